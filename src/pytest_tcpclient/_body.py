"""The body of an async test, which can be ended from outside of it, and from any thread.

On asyncio it is cancelled with one plain ``task.cancel()``, so that its clean-up can await, and
with a cancel scope half a second later; on trio with the cancel scope.

Law: it is cancelled in its own event loop, where it is known whether it is over. The same task
may run the teardown of a fixture next, which nobody is to cancel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import anyio

from ._event_loop import EventLoop, current_asyncio_task, is_cancellation
from ._traceback import Spot, spots_of_task

#: Seconds for the clean-up of a body that was cancelled politely.
CLEAN_UP = 0.5


class AsyncBody:
    """The body of an async test. Made in the task that runs it.

    :ivar stuck: where it waited when it was cancelled, or was to begin if it was not to be run.
    :ivar cancelled: whether it was, by :meth:`end`.
    :ivar ended: whether that has ended it.
    :ivar interrupted: whether what it raises is of no interest any more.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.stuck: list[Spot] | None = None
        self.cancelled = self.ended = self.interrupted = False
        self._coroutine = coroutine
        self._loop = EventLoop()
        self._task = current_asyncio_task()
        self._scope = anyio.CancelScope()
        self._over = False
        self._last_call: asyncio.TimerHandle | None = None

    async def run(self) -> BaseException | None:
        """Run it. Return what it raised of itself; what else has cancelled it passes through."""
        cancelling = _cancel_count(self._task)
        raised: BaseException | None = None
        with self._scope:
            try:
                await self._coroutine
            except BaseException as error:
                if not is_cancellation(error):
                    raised = error
                elif not self.cancelled:
                    raise
                else:
                    self.ended = True
            finally:
                self._over = True
                if self._last_call is not None:
                    self._last_call.cancel()
        _uncancel(self._task, cancelling)
        try:
            return raised
        finally:
            del raised  # An error whose traceback refers to it is not freed.

    def skip(self) -> None:
        """It is not to be run."""
        self.stuck = spots_of_task(self._coroutine)
        self.close()

    def close(self) -> None:
        """It is over, or will not be run."""
        self._over = True
        self._coroutine.close()

    def end(self, unless: Callable[[], bool]) -> None:
        """Cancel it when it waits next.

        :param unless: says whether it is not to be cancelled any more.
        """
        if self._loop.is_here():
            self._cancel(unless)
            return
        with suppress(RuntimeError, OSError):  # The event loop has ended, and it with it.
            self._loop.soon(partial(self._cancel, unless))

    def interrupt(self) -> None:
        """End what its runner has left where it was. (From outside of the event loop.)"""
        if not self._over:
            self.interrupted = True
            self._loop.interrupt(self._scope.cancel)

    def _cancel(self, unless: Callable[[], bool]) -> None:
        if self._over or self.cancelled or unless():
            return
        self.cancelled = True
        self.stuck = spots_of_task(self._coroutine)
        if self._task is None:
            self._scope.cancel()
        else:
            self._task.cancel()
            loop = self._task.get_loop()
            self._last_call = loop.call_later(CLEAN_UP, self._scope.cancel)


def _cancel_count(task: asyncio.Task[Any] | None) -> int:
    """How many cancellations of the task are under way (Python 3.11 and later)."""
    count = getattr(task, "cancelling", None)
    return count() if count else 0


def _uncancel(task: asyncio.Task[Any] | None, count: int) -> None:
    """Take back our own cancellation, which the body has answered."""
    while _cancel_count(task) > count:
        assert task is not None
        task.uncancel()  # type: ignore[attr-defined, unused-ignore]
