"""What becomes of an alarm that comes at a bad moment."""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import anyio
import pytest

from pytest_tcpclient import _alarm, open_blocking_tcp_server, plugin
from pytest_tcpclient._alarm import MOST, PostponedAlarm, postpone
from pytest_tcpclient._options import Options
from pytest_tcpclient._runners import SUPERVISOR
from pytest_tcpclient._supervisor import Supervisor
from pytest_tcpclient._verdict import Rules

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGALRM")


class Alarm(BaseException):
    """What the handler raises."""


@pytest.fixture(autouse=True)
def alarms(monkeypatch):
    """None comes again by itself while a test runs, and nothing is left of them."""
    monkeypatch.setattr(_alarm, "AGAIN", 60)
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def handler(number, frame):
    raise Alarm


def set_timer(item, method):
    """What pytest-timeout does, with our hook around it."""
    wrapper = plugin.pytest_timeout_set_timer(item, SimpleNamespace(method=method))
    next(wrapper)
    signal.signal(signal.SIGALRM, handler)
    with pytest.raises(StopIteration, match=r"^True$"):
        wrapper.send(True)
    return signal.getsignal(signal.SIGALRM)


def in_a_loop(module="asyncio.base_events"):
    """A frame of what runs an event loop."""
    scope = {"__name__": module, "sys": sys}
    exec("def frame(): return sys._getframe()", scope)
    return scope["frame"]()


def test_it_comes_at_once_where_nothing_can_be_torn():
    """In a test that is no async one."""
    with pytest.raises(Alarm):
        PostponedAlarm(handler, lambda: True)(signal.SIGALRM, sys._getframe())


def test_the_alarm_is_left_alone_where_there_is_no_server():
    """Then it is not ours to postpone."""
    with pytest.raises(Alarm):
        PostponedAlarm(handler, lambda: False)(signal.SIGALRM, in_a_loop())


def test_it_comes_in_the_end_though_the_loop_never_waits():
    """A test that computes for ever would not be ended otherwise."""
    alarm = PostponedAlarm(handler, lambda: True)
    for _ in range(MOST):
        alarm(signal.SIGALRM, in_a_loop())
    with pytest.raises(Alarm):
        alarm(signal.SIGALRM, in_a_loop())


def test_it_comes_again(monkeypatch):
    """A little later, without anybody else's doing."""
    monkeypatch.setattr(_alarm, "AGAIN", 0.01)
    signal.signal(signal.SIGALRM, handler)
    postpone(lambda: True)
    alarm = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Alarm):  # Perhaps before it returns.
        alarm(signal.SIGALRM, in_a_loop())
        threading.Event().wait(60)
    assert alarm._postponed == 1


def test_it_is_postponed_for_tests_that_have_a_server():
    """Of our fixtures, or of their own."""
    item = SimpleNamespace(stash=pytest.Stash())
    alarm = set_timer(item, "signal")
    with pytest.raises(Alarm):
        alarm(signal.SIGALRM, in_a_loop())
    with open_blocking_tcp_server():
        alarm(signal.SIGALRM, in_a_loop())
    item.stash[SUPERVISOR] = Supervisor(Rules(), Options())
    alarm(signal.SIGALRM, in_a_loop())


def test_a_timer_in_a_thread_of_its_own_is_left_alone():
    """It raises nothing where the test is."""
    assert set_timer(None, "thread") is handler


def test_a_test_in_another_thread_is_left_alone():
    """No signal is handled there, and pytest-timeout takes its other method."""
    wrapper = plugin.pytest_timeout_set_timer(None, SimpleNamespace(method="signal"))
    next(wrapper)
    with ThreadPoolExecutor() as pool, pytest.raises(StopIteration):
        pool.submit(wrapper.send, True).result()
    assert not isinstance(signal.getsignal(signal.SIGALRM), PostponedAlarm)


@pytest.mark.parametrize("nothing", [signal.SIG_DFL, signal.SIG_IGN])
def test_what_is_no_function_is_left_alone(nothing):
    """It raises nothing."""
    signal.signal(signal.SIGALRM, nothing)
    postpone(lambda: True)
    assert signal.getsignal(signal.SIGALRM) is nothing


def rings_at_once(frame):
    """Whether the alarm is raised there."""
    try:
        PostponedAlarm(handler, lambda: True)(signal.SIGALRM, frame)
    except Alarm:
        return True
    return False


@pytest.mark.anyio
async def test_it_is_postponed_while_an_event_loop_is_at_work(anyio_backend):
    """That is found by the names of the modules in which it runs. (uvloop is written in C.)"""
    assert rings_at_once(sys._getframe()) is ("use_uvloop" in anyio_backend[1])


@pytest.mark.anyio
async def test_it_comes_when_the_event_loop_waits(anyio_backend, monkeypatch):
    """For the network, or for the next callback. (uvloop waits in C.)"""
    monkeypatch.setattr(_alarm, "AGAIN", 0.01)
    functions = []

    def rings(number, frame):
        functions.append(frame.f_code.co_name)

    signal.signal(signal.SIGALRM, PostponedAlarm(rings, lambda: True))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    for _ in range(1000):
        if not functions:
            await anyio.sleep(0.05)
    if "use_uvloop" not in anyio_backend[1]:
        assert functions in (["select"], ["wait"])


def test_it_is_postponed_where_somebody_else_waits():
    """A thread that is started does, for one, and trio starts some."""
    alarm = PostponedAlarm(handler, lambda: True)

    class Ringing:
        def wait(self):
            alarm(signal.SIGALRM, sys._getframe())

    scope = {"__name__": "anyio._backends._trio", "event": Ringing()}
    exec("event.wait()", scope)
    assert signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0
