"""The background task in which the servers of one test live, and their clock.

The task is started by the fixture and is nobody's child: a task group that spanned the
``yield`` of a fixture could not be cancelled (under anyio's plugin a trio run hangs, an
asyncio run dies), and pytest-asyncio sets up and tears down in different tasks.

Law: nothing but cancellation leaves a background task.

Patience: time in which the event loop was blocked does not count. One ticker notes how
late it was woken, and the clock of the deadlines stands still for that long. The ticker
is also the only one that looks at deadlines: a cancel scope for each step costs a fifth
of a round trip and more.

A clock that a test moves by hand stands still when nobody is left to move it: when the body is
over, and as long as it waits for the end of its servers. Then a thread moves it, as a real one
goes. (A task could only wait until all others are blocked, which they may never be.)
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ._event_loop import EventLoop, is_cancellation

#: Seconds between two looks at the deadlines, at the most. No fraction of 0.1: every so often
#: anyio looks on asyncio whether all tasks are blocked, and in step with us it never saw them so.
TICK = 0.047

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

    def __init__(self, on_crash: Callable[[BaseException], None], loop: EventLoop) -> None:
        self.loop = loop
        #: Looks whether anything has been declared in another thread.
        self.catch_up: Callable[[], None] = _nothing
        self._on_crash = on_crash
        self._watched: list[Watched] = []
        self._later: list[tuple[Callable[..., Coroutine[Any, Any, object]], tuple[Any, ...]]] = []
        self.lost = 0.0
        self._stopped_at: float | None = None
        self._started = self._over = False
        self._tasks: TaskGroup | None = None
        self.time = loop.time
        self.largest = loop.largest

    def start(self) -> None:
        """Start the task, in the event loop of the caller, unless it is there."""
        if not self._started:
            self._started = True
            self._stopped = anyio.Event()
            self.loop.spawn(self._run)

    async def stop(self) -> None:
        """End everything that runs in the task, and the task."""
        if not self._started:
            return
        with anyio.CancelScope(shield=True):
            while self._tasks is None:  # It has not begun yet.
                await anyio.lowlevel.checkpoint()
            self._tasks.cancel_scope.cancel()
            await self._stopped.wait()

    def watch(self, watched: Watched) -> None:
        """Look at its deadlines from now on."""
        self._watched.append(watched)

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, object]], *args: Any) -> None:
        """Run a function in the background.

        The steps of a test may be declared where no loop runs, in a sync fixture: then it
        is started by the next tick.
        """
        if self._over:
            return  # Nothing is to be done any more.
        if self._tasks is not None and self.loop.is_in_task():
            self._tasks.start_soon(self._guard, function, *args)
            return
        self._later.append((function, args))
        if self._tasks is not None and self.loop.is_here():
            self.loop.spawn(self._start_now)

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

    @contextmanager
    def unattended(self) -> Iterator[None]:
        """There is nobody to move the clock: one that is moved by hand goes by itself."""
        if not self.loop.stands_still:
            yield
            return
        over = threading.Event()
        mover = threading.Thread(
            target=self.loop.move_clock, args=(TICK, over), name="pytest-tcpclient", daemon=True
        )
        mover.start()
        try:
            yield
        finally:
            over.set()
            mover.join()

    async def pause(self, seconds: float) -> None:
        """Let others run for so long. A clock that a test moves by hand is not slept on."""
        if not self.loop.mock_clock:
            await anyio.sleep(seconds)
            return
        from trio.testing import wait_all_tasks_blocked

        with anyio.CancelScope() as enough:
            timer = threading.Timer(seconds, self.loop.interrupt, [enough.cancel])
            timer.start()
            try:
                await wait_all_tasks_blocked(seconds / 10)
            finally:
                timer.cancel()
                timer.join()

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
            self._over = True
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

    async def _start_now(self) -> None:
        """Start what was asked for in a callback."""
        self._start_late()

    def _start_late(self) -> None:
        """Start what could not be started when it was asked for."""
        later, self._later = self._later, []
        for function, args in later:
            self.start_soon(function, *args)

    async def _tick(self) -> None:
        due = self.time() + TICK
        while True:
            await anyio.sleep(max(0.0, due - self.time()))
            self.catch_up()
            now = self.time()
            if self._stopped_at is not None:
                due = now + TICK
                self._start_late()
                continue
            if not self.loop.mock_clock:
                self.lost += max(0.0, now - due)
            self._start_late()
            patient = now - self.lost
            again = min((each.look_at(patient) for each in self._watched), default=patient + TICK)
            # Not at once again, however near the next deadline is.
            due = now + min(TICK, max(0.001, again - patient))


def _nothing() -> None:
    pass
