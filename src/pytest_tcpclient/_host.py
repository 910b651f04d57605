"""The background task in which the servers of one test live, and their clock.

The task is started by the fixture and is nobody's child: a task group that spanned the
``yield`` of a fixture could not be cancelled (under anyio's plugin a trio run hangs, an
asyncio run dies), and pytest-asyncio sets up and tears down in different tasks.

Law: nothing but cancellation leaves a background task.

Patience: time in which the event loop was blocked does not count. One ticker notes how
late it was woken, and the clock of the deadlines stands still for that long. The ticker
is also the only one that looks at deadlines: a cancel scope for each step costs a fifth
of a round trip and more.
"""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

#: Seconds between two looks at the deadlines, at the most.
TICK = 0.05

#: What the kernel holds already is seen, received and judged within this many turns of
#: the event loop (to accept a connection takes asyncio about five).
TURNS = 10

#: What has arrived is waited for during this many turns at the most.
MOST_TURNS = 1000


#: What ends the event loop itself.
_NOT_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Watched(Protocol):
    """Something that has deadlines."""

    @abstractmethod
    def look_at(self, now: float) -> float:
        """Deal with what is due. Return when to look again."""


class Host:
    """One background task, its task group and its clock."""

    def __init__(self, on_crash: Callable[[BaseException], None]) -> None:
        self._on_crash = on_crash
        # asyncio is asked first: a trio run that was torn out of its loop by a signal still
        # calls itself the current one.
        self._trio = None if current_asyncio_task() else sys.modules["trio"]
        self._watched: list[Watched] = []
        self._later: list[tuple[Callable[..., Coroutine[Any, Any, object]], tuple[Any, ...]]] = []
        self.lost = 0.0
        self._stopped_at: float | None = None
        self._stopped = anyio.Event()
        self._tasks: TaskGroup | None = None
        if self._trio is None:
            self._loop = asyncio.get_running_loop()
            self.time = self._loop.time
            self._mock_clock = False
            #: How many bytes are received at once: asyncio reads so many, and anyio copies
            #: what is left over of a longer piece.
            self.largest = 256 * 1024
        else:
            clock = self._trio.lowlevel.current_clock()
            self._token = self._trio.lowlevel.current_trio_token()
            self.time = clock.current_time
            self._mock_clock = hasattr(clock, "jump")
            self.largest = 64 * 1024  # trio allocates as much for each receive.

    def start(self) -> None:
        """Start the task, in the event loop of the caller."""
        if self._trio is None:
            # asyncio keeps only a weak reference to a task.
            self._task = self._loop.create_task(self._run(), name="pytest-tcpclient")
        else:
            self._trio.lowlevel.spawn_system_task(self._run, name="pytest-tcpclient")

    async def stop(self) -> None:
        """End everything that runs in the task, and the task."""
        with anyio.CancelScope(shield=True):
            while self._tasks is None:  # It has not begun yet.
                await anyio.lowlevel.checkpoint()
            self._tasks.cancel_scope.cancel()
            await self._stopped.wait()

    def watch(self, watched: Watched) -> None:
        """Look at its deadlines from now on."""
        self._watched.append(watched)

    def is_here(self) -> bool:
        """Whether the caller runs in the event loop of the host."""
        if self._trio is None:
            return asyncio._get_running_loop() is self._loop
        try:
            return self._trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def is_elsewhere(self) -> bool:
        """Whether the caller runs in another event loop. (It may run in none.)"""
        if self._trio is None:
            return asyncio._get_running_loop() not in (self._loop, None)
        try:
            return self._trio.lowlevel.current_trio_token() is not self._token
        except RuntimeError:
            return False

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, object]], *args: Any) -> None:
        """Run a function in the background.

        The steps of a test may be declared where no loop runs, in a sync fixture: then it
        is started by the next tick.
        """
        if self._stopped.is_set():
            return  # Nothing is to be done any more.
        if self._tasks is not None and self.is_here():
            self._tasks.start_soon(self._guard, function, *args)
        else:
            self._later.append((function, args))

    def interrupt(self, callback: Callable[[], object]) -> None:
        """Call something when the loop goes on. (For code outside of it, which has stopped it.)"""
        if self._trio is None:
            if not self._loop.is_closed():
                self._loop.call_soon(callback)
        else:
            # A run that a signal handler has torn has closed what wakes it, and does not know it.
            with suppress(self._trio.RunFinishedError, OSError):
                self._token.run_sync_soon(callback)

    def now(self) -> float:
        """Seconds, without those in which the event loop was blocked."""
        return (self.time() if self._stopped_at is None else self._stopped_at) - self.lost

    def stop_clock(self) -> None:
        """The time from now on does not count, until :meth:`start_clock`."""
        if self._stopped_at is None:
            self._stopped_at = self.time()

    def start_clock(self) -> None:
        """It counts again."""
        if self._stopped_at is not None:
            self.lost += self.time() - self._stopped_at
            self._stopped_at = None

    async def pause(self, seconds: float) -> None:
        """Let others run for so long. A clock that a test moves by hand is not slept on."""
        if self._mock_clock:
            from trio.testing import wait_all_tasks_blocked

            await wait_all_tasks_blocked(seconds / 10)
        else:
            await anyio.sleep(seconds)

    async def settle(self, progress: Callable[[], int]) -> None:
        """Let everything that has arrived already be received and judged."""
        seen = -1
        turns = 0
        while turns < MOST_TURNS and progress() != seen:
            seen = progress()
            for _ in range(TURNS):
                await anyio.lowlevel.checkpoint()
            turns += TURNS

    async def _run(self) -> None:
        try:
            async with anyio.create_task_group() as self._tasks:
                self._start_late()
                await self._guard(self._tick)
                await anyio.sleep_forever()
        finally:
            self._stopped.set()

    async def _guard(
        self, function: Callable[..., Coroutine[Any, Any, object]], *args: Any
    ) -> None:
        """What should never happen is told to somebody, and does not end the event loop.

        A signal handler may raise in the middle of anything: that of pytest-timeout does.
        """
        try:
            await function(*args)
        except BaseException as error:
            if is_cancellation(error) or isinstance(error, _NOT_OURS):
                raise
            self._on_crash(error)

    def _start_late(self) -> None:
        """Start what could not be started when it was asked for."""
        assert self._tasks is not None
        later, self._later = self._later, []
        for function, args in later:
            self._tasks.start_soon(self._guard, function, *args)

    async def _tick(self) -> None:
        due = self.time() + TICK
        while True:
            await anyio.sleep(max(0.0, due - self.time()))
            now = self.time()
            if self._stopped_at is not None:
                due = now + TICK
                self._start_late()
                continue
            if not self._mock_clock:
                self.lost += max(0.0, now - due)
            self._start_late()
            patient = now - self.lost
            again = min((each.look_at(patient) for each in self._watched), default=patient + TICK)
            # Not at once again, however near the next deadline is.
            due = now + min(TICK, max(0.001, again - patient))


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is how asyncio or trio cancels a task."""
    trio = sys.modules.get("trio")
    kinds = (asyncio.CancelledError, trio.Cancelled) if trio else (asyncio.CancelledError,)
    return isinstance(error, kinds)


def current_asyncio_task() -> asyncio.Task[Any] | None:
    """The task of asyncio in which the caller runs; ``None`` on trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
