"""Postpones the alarm of pytest-timeout to a moment at which the event loop can stand it.

The handler of that alarm raises in whatever the thread of the tests is at. That is to end the
test, and it does where the event loop waits. Where it is at work, it may not: what is raised in a
callback of asyncio is logged, and the test goes on. Under anyio's plugin a run of trio is a guest
of the thread, which carries it forward by callbacks out of a queue: what is raised between the
steps of trio's tasks ends the run, or the callback that would go on with it is lost; and then anyio
waits for its test, or for the teardown of its fixtures, for ever. Under pytest-trio the run and the
test end, but what pytest shows of that may be an internal error of trio.
While a client waits no event loop is at work, but for the ticker of its server, some twenty times
a second: on trio about one alarm in three hundred would hit upon that, and more on a busy machine.
"""

from __future__ import annotations

import queue
import selectors
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType

#: Seconds until the next attempt.
AGAIN = 0.01

#: How many of them there are. A test that computes for ever does not wait.
MOST = 20

#: What runs an event loop.
_LOOPS = ("anyio._backends._trio", "asyncio.base_events", "trio._core._run")

#: How these wait, from the inside out: at any other line a callback or an event may be lost.
_WAITS = (
    (selectors.DefaultSelector.select.__code__,),
    (threading.Condition.wait.__code__, queue.Queue.get.__code__),
)

#: And so waits trio, where it is no guest.
_TRIO_WAITS = "get_events"

Handler = Callable[[int, FrameType | None], object]


class PostponedAlarm:
    """A handler of ``SIGALRM``, in place of one that raises.

    :param handler: the one that raises.
    :param concerns_us: whether there is a server.
    """

    def __init__(self, handler: Handler, concerns_us: Callable[[], bool]) -> None:
        self._handler = handler
        self._concerns_us = concerns_us
        self._postponed = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        if self._postponed < MOST and _is_loop_at_work(frame) and self._concerns_us():
            self._postponed += 1
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
        else:
            self._handler(number, frame)


def postpone(concerns_us: Callable[[], bool]) -> None:
    """Postpone the alarm that has just been set, in the thread of the tests."""
    handler = signal.getsignal(signal.SIGALRM)
    if callable(handler):
        signal.signal(signal.SIGALRM, PostponedAlarm(handler, concerns_us))


def _is_loop_at_work(frame: FrameType | None) -> bool:
    """Whether an event loop does more than wait, in the thread with that innermost frame."""
    called: list[CodeType] = []
    while frame is not None:
        if frame.f_globals.get("__name__") in _LOOPS:
            waits = tuple(called) in _WAITS or [each.co_name for each in called] == [_TRIO_WAITS]
            return not waits
        called.append(frame.f_code)
        frame = frame.f_back
    return False
