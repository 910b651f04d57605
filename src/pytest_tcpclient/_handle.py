"""What a declaration returns. No I/O."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._errors import ScriptError

if TYPE_CHECKING:
    from ._steps import Step

T = TypeVar("T")


class Waiter(Protocol):
    """What waits for the server in the thread of the test."""

    @abstractmethod
    def run(self, what: str, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """Run a coroutine function where the server is, and wait for it."""


class Waiting(Protocol):
    """What a handle asks to wait for its step: the script that has it."""

    @abstractmethod
    async def _reach(self, handle: Handle[Any]) -> None:
        """Wait for a step of this script; raise if it cannot come true."""


class Handle(Generic[T]):
    """What a declaration returns: to wait for one step and to get what it received.

    A handle is not awaitable itself: a declaration that is not awaited must not look
    like a forgotten ``await``.
    """

    __slots__ = (
        *("_after", "_done", "_over", "_received", "_script", "_step", "_waiter", "_when_over"),
    )

    def __init__(
        self, step: Step, script: Waiting | None, after: Handle[Any] | None = None
    ) -> None:
        self._step = step
        self._script = script
        self._after = after
        self._done = False
        self._over = False
        self._received: T | None = None
        self._when_over: list[Callable[[], None]] = []
        self._waiter: Waiter | None = None

    def __repr__(self) -> str:
        state = "done" if self._done else "skipped" if self._over else "not done"
        return f"<{type(self).__name__} of {self._step.word}(), {state}>"

    @property
    def done(self) -> bool:
        """Whether the step came true, or was performed."""
        return self._done

    @property
    def skipped(self) -> bool:
        """Whether the step was optional, and the script went on without it."""
        return self._over and not self._done

    @property
    def received(self) -> T:
        """What the step received, if it is done.

        Bytes; of a line, without its newline; of ``expect_until()``, with the delimiter; of a
        frame, its payload; of a pattern, the ``re.Match``; of :meth:`Script.run`, what the
        function returned; of other steps ``None``.

        :raises ScriptError: if the step is not done. (To send what depends on it, give
            ``send_bytes()`` a function: it is called when its step has become the current one.)
        """
        __tracebackhide__ = True
        if not self._done:
            why = "was optional, and was skipped" if self._over else "has not received anything yet"
            remedy = "" if self._over else ": pass a callable, which is called when it is time"
            raise ScriptError(f"{self._step.word}() {why}{remedy}")
        return self._received  # type: ignore[return-value]

    async def wait(self) -> T:
        """Wait until the step is done, and return what it received.

        :raises ScriptMismatch: if the server has failed. The failure is then settled: a
            test that catches it has dealt with it.
        :raises ScriptError: if the step was optional, and was skipped.
        """
        __tracebackhide__ = True
        if self._waiter is not None:
            raise ScriptError("wait() on a handle of a blocking server: call result()")
        return await self._wait()

    def result(self) -> T:
        """Wait until the step is done, and return what it received: of a blocking server.

        :raises ScriptMismatch: as :meth:`wait` does, if the server has failed.
        :raises ScriptError: if the step was optional, and was skipped.
        """
        __tracebackhide__ = True
        if self._waiter is None:
            raise ScriptError("result() on a handle of an async server: `await handle.wait()`")
        return self._waiter.run("result()", self._wait)

    async def _wait(self) -> T:
        __tracebackhide__ = True
        assert self._script is not None  # Nobody gets the handle of a rule's reply.
        await self._script._reach(self)
        return self.received

    def _of(self, waiter: Waiter) -> Handle[T]:
        """The same handle, for sync code."""
        self._waiter = waiter
        return self

    def _complete(self, received: Any) -> None:
        self._done = True
        self._received = received
        self._end()

    def _skip(self) -> None:
        self._end()

    def _end(self) -> None:
        self._over = True
        if self._when_over:
            callbacks, self._when_over = self._when_over, []
            for callback in callbacks:
                callback()
