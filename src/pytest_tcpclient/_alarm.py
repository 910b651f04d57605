"""Postpones the alarm of pytest-timeout to a moment at which trio can stand it.

The handler of that alarm raises in whatever the thread of the tests is at. Under anyio's plugin
a run of trio is a guest of that thread, which carries it forward by callbacks out of a queue.
What is raised between the steps of trio's tasks ends the run, or the callback that would go on
with it is lost; and then anyio waits for its test, or for the teardown of its fixtures, for ever.
A client that waits does none of this, but the ticker of its server does, some twenty times a
second: about one alarm in three hundred would hit upon it, and more on a busy machine.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

#: Seconds until the next attempt.
AGAIN = 0.01

#: How many of them there are. A test that computes for ever waits for no callback.
MOST = 20

#: Where a guest run is carried forward.
_RUNNER = "anyio._backends._trio"

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
        if self._postponed < MOST and _is_within_a_guest_run(frame) and self._concerns_us():
            self._postponed += 1
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
        else:
            self._handler(number, frame)


def postpone(concerns_us: Callable[[], bool]) -> None:
    """Postpone the alarm that has just been set, in the thread of the tests."""
    handler = signal.getsignal(signal.SIGALRM)
    if callable(handler):
        signal.signal(signal.SIGALRM, PostponedAlarm(handler, concerns_us))


def _is_within_a_guest_run(frame: FrameType | None) -> bool:
    """Whether a guest run is carried forward there: it does more than wait for a callback."""
    if frame is not None and frame.f_code is threading.Condition.wait.__code__:
        return False
    while frame is not None:
        if frame.f_globals.get("__name__") == _RUNNER:
            return True
        frame = frame.f_back
    return False
