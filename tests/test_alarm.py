"""What becomes of an alarm that comes at a bad moment."""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from pytest_tcpclient import open_blocking_tcp_server, plugin
from pytest_tcpclient._alarm import MOST, PostponedAlarm, postpone
from pytest_tcpclient._runners import SUPERVISOR

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGALRM")


class Alarm(BaseException):
    """What the handler raises."""


@pytest.fixture(autouse=True)
def handlers():
    """Nothing is left of them."""
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


def in_a_guest_run():
    """A frame of anyio's runner, and what it has called."""
    scope = {"__name__": "anyio._backends._trio", "sys": sys}
    exec("def frame(): return sys._getframe()", scope)
    return scope["frame"]()


def test_it_comes_at_once_where_nothing_can_be_torn():
    """asyncio, pytest-trio, and a test that is no async one."""
    with pytest.raises(Alarm):
        PostponedAlarm(handler, lambda: True)(signal.SIGALRM, sys._getframe())


def test_the_alarm_is_left_alone_where_there_is_no_server():
    """Then it is not ours to postpone."""
    with pytest.raises(Alarm):
        PostponedAlarm(handler, lambda: False)(signal.SIGALRM, in_a_guest_run())


def test_it_comes_in_the_end_though_the_run_never_waits():
    """A test that computes for ever would not be ended otherwise."""
    alarm = PostponedAlarm(handler, lambda: True)
    for _ in range(MOST):
        alarm(signal.SIGALRM, in_a_guest_run())
    with pytest.raises(Alarm):
        alarm(signal.SIGALRM, in_a_guest_run())


def test_it_comes_again():
    """Ten milliseconds later, and so on, without anybody else's doing."""
    signal.signal(signal.SIGALRM, handler)
    postpone(lambda: True)
    alarm = signal.getsignal(signal.SIGALRM)
    alarm(signal.SIGALRM, in_a_guest_run())
    with pytest.raises(Alarm):
        threading.Event().wait(60)


def test_it_is_postponed_for_tests_that_have_a_server():
    """Of our fixtures, or of their own."""
    item = SimpleNamespace(stash=pytest.Stash())
    alarm = set_timer(item, "signal")
    with pytest.raises(Alarm):
        alarm(signal.SIGALRM, in_a_guest_run())
    with open_blocking_tcp_server():
        alarm(signal.SIGALRM, in_a_guest_run())
    item.stash[SUPERVISOR] = "of some test"
    alarm(signal.SIGALRM, in_a_guest_run())


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


@pytest.mark.anyio
async def test_where_anyio_carries_a_run_of_trio_forward(anyio_backend_name):
    """That is found by the name of the module in which it does."""
    if anyio_backend_name == "trio":
        PostponedAlarm(handler, lambda: True)(signal.SIGALRM, sys._getframe())
        assert signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0
    else:
        with pytest.raises(Alarm):
            PostponedAlarm(handler, lambda: True)(signal.SIGALRM, sys._getframe())
