"""The event loop in which servers live: one of asyncio, or a run of trio."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any


class EventLoop:
    """The event loop of the caller.

    :ivar trio: the module, if it is one of trio.
    :ivar thread: in which it runs.
    :ivar time: its clock.
    :ivar mock_clock: whether a test moves that by hand.
    :ivar largest: how many bytes are received at once.
    :ivar soon: from any thread: have something called in it.
    """

    def __init__(self) -> None:
        # asyncio is asked first: a trio run that was torn out of its loop by a signal still
        # calls itself the current one.
        self.trio: Any = None if current_asyncio_task() else sys.modules["trio"]
        self.thread = threading.get_ident()
        self.mock_clock = False
        self.soon: Callable[[Callable[[], object]], object]
        if self.trio is None:
            self._loop = asyncio.get_running_loop()
            self._tasks: set[asyncio.Task[None]] = set()
            self.time = self._loop.time
            # asyncio reads so many, and anyio copies what is left over of a longer piece.
            self.largest = 256 * 1024
            # In a context of its own: the caller may be in a run of trio, which a context says.
            self.soon = partial(self._loop.call_soon_threadsafe, context=copy_context())
        else:
            clock = self.trio.lowlevel.current_clock()
            self._token = self.trio.lowlevel.current_trio_token()
            self.time = clock.current_time
            self.mock_clock = hasattr(clock, "jump")
            self._clock = clock
            self.largest = 64 * 1024  # trio allocates as much for each receive.
            self.soon = self._token.run_sync_soon

    def is_here(self) -> bool:
        """Whether the caller runs in it, in a task or a callback."""
        if self.trio is None:
            return asyncio._get_running_loop() is self._loop
        try:
            return self.trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def is_in_task(self) -> bool:
        """Whether the caller runs in it where anyio starts tasks: on asyncio in no callback."""
        return self.is_here() and (self.trio is not None or current_asyncio_task() is not None)

    def has_moved(self) -> bool:
        """Whether it runs now, and in another thread than that in which it was first."""
        return self.trio is None and self._loop.is_running() and not self.is_here()

    def is_elsewhere(self) -> bool:
        """Whether the caller runs in another one. (It may run in none.)"""
        if self.trio is None:
            return asyncio._get_running_loop() not in (self._loop, None)
        try:
            return self.trio.lowlevel.current_trio_token() is not self._token
        except RuntimeError:
            return False

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """From inside: start a task that is nobody's child."""
        if self.trio is None:
            task = self._loop.create_task(function(), name="pytest-tcpclient")
            self._tasks.add(task)  # asyncio keeps only a weak reference to it.
            task.add_done_callback(self._tasks.discard)
        else:
            self.trio.lowlevel.spawn_system_task(function, name="pytest-tcpclient")

    def interrupt(self, callback: Callable[[], object]) -> None:
        """Call something when it goes on. (For code outside of it, which has stopped it.)"""
        if self.trio is None:
            if not self._loop.is_closed():
                self._loop.call_soon(callback)
        else:
            # A run that a signal handler has torn has closed what wakes it, and does not know it.
            with suppress(self.trio.RunFinishedError, OSError):
                self._token.run_sync_soon(callback)

    @property
    def stands_still(self) -> bool:
        """Whether its clock goes only when a test moves it. (A ``MockClock`` may have a rate.)"""
        return self.mock_clock and not getattr(self._clock, "rate", 0)

    def move_clock(self, step: float, over: threading.Event) -> None:
        """From another thread: move a clock that stands still as a real one goes, until it is over.

        Time in which the loop is blocked does not count, as on a real clock.
        """
        with suppress(self.trio.RunFinishedError, OSError):  # See interrupt().
            while not over.wait(step):
                self._token.run_sync_soon(self._clock.jump, step, idempotent=True)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is how asyncio or trio cancels a task."""
    trio = sys.modules.get("trio")
    kinds = (asyncio.CancelledError, trio.Cancelled) if trio else (asyncio.CancelledError,)
    return isinstance(error, kinds)


def is_in_event_loop() -> bool:
    """Whether the caller runs in one, in a task or a callback of asyncio or a task of trio."""
    if asyncio._get_running_loop() is not None:
        return True
    try:
        sys.modules["trio"].lowlevel.current_task()
    except (KeyError, RuntimeError):  # There is no trio, or no task of it.
        return False
    return True


def current_asyncio_task() -> asyncio.Task[Any] | None:
    """The task of asyncio in which the caller runs; ``None`` on trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
