"""The vocabulary of a script, written once for everything that takes steps.

A declaration is an ordinary call. It checks its arguments, notes the line of the
test that made it, and returns a handle at once; the server plays the step later.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._checked import checked_bytes, checked_seconds
from ._errors import ScriptError
from ._framings import Framing, LengthPrefixed
from ._matchers import Exactly, Frame
from ._steps import Disconnect, Expect, ExpectDisconnect, Place, Send, Step

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]
_DEFAULT_FRAMING = LengthPrefixed()


def place_of_caller() -> Place:
    """The line of the test: the nearest one that is outside of this package."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        assert frame.f_back is not None
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


class Handle(Generic[T]):
    """What a declaration returns: to wait for one step and to get what it received.

    A handle is not awaitable itself: a declaration that is not awaited must not look
    like a forgotten ``await``.
    """

    __slots__ = ("_after", "_done", "_received", "_script", "_step", "_when_done")

    def __init__(self, step: Step, script: Script, after: Handle[Any] | None = None) -> None:
        self._step = step
        self._script = script
        self._after = after
        self._done = False
        self._received: T | None = None
        self._when_done: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        state = "done" if self._done else "not done"
        return f"<{type(self).__name__} of {self._step.word}(), {state}>"

    @property
    def done(self) -> bool:
        """Whether the step came true, or was performed."""
        return self._done

    @property
    def received(self) -> T:
        """What the step received: the bytes, or the payload of a frame.

        :raises ScriptError: if the step is not done.
        """
        if not self._done:
            raise ScriptError(f"{self._step.word}() has not received anything yet")
        return self._received  # type: ignore[return-value]

    async def wait(self) -> T:
        """Wait until the step is done, and return what it received.

        :raises ScriptMismatch: if the server has failed. The failure is then settled: a
            test that catches it has dealt with it.
        """
        __tracebackhide__ = True
        await self._script._reach(self)
        return self.received

    def _complete(self, received: Any) -> None:
        self._done = True
        self._received = received
        if self._when_done:
            callbacks, self._when_done = self._when_done, []
            for callback in callbacks:
                callback()


class Script(ABC):
    """Everything that a connection can be told to expect and to do.

    Said to a server, a step is about the connection of the last ``expect_connect()``
    above that line. ``timeout`` is in seconds, from the moment at which the step
    becomes the current one; ``None`` is the server's own.
    """

    @abstractmethod
    def _declare(self, step: Step) -> Handle[Any]:
        """Take one step into the script."""

    @abstractmethod
    async def _reach(self, handle: Handle[Any]) -> None:
        """Wait for a step of this script; raise if it cannot come true."""

    @abstractmethod
    def _limit(self, timeout: float | None) -> float:
        """The limit of a step: its own timeout or the server's, times the factor."""

    def expect_bytes(self, data: bytes, timeout: float | None = None) -> Handle[bytes]:
        """Expect that exactly these bytes come next.

        They may arrive in any number of pieces. The test fails at the first byte that
        differs.

        :param data: one byte or more.
        :param timeout: seconds, zero or more, for all of it.
        """
        __tracebackhide__ = True
        data = checked_bytes("data", data)
        return self._expect("expect_bytes", data, Exactly(data), timeout)

    def expect_frame(self, payload: bytes, timeout: float | None = None) -> Handle[bytes]:
        """Expect that one message with this payload comes next.

        A message is a 4-byte big-endian length and that many bytes of payload. It is
        judged when it is complete.

        :param payload: may be empty: then a length of 0 must come.
        :param timeout: seconds, zero or more, for all of it.
        """
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload, empty=True)
        return self._expect("expect_frame", payload, Frame(payload, self._framing()), timeout)

    def expect_disconnect(self, timeout: float | None = None) -> Handle[None]:
        """Expect that the client closes the connection, and sends nothing before that.

        :param timeout: seconds, zero or more.
        """
        __tracebackhide__ = True
        limit, options = self._timing(timeout)
        return self._declare(
            ExpectDisconnect("expect_disconnect", place_of_caller(), (), options, limit)
        )

    def send_bytes(self, data: bytes) -> Handle[None]:
        """Send these bytes, one or more.

        It takes as long as the client needs to read them. The server's timeout counts
        only while the client accepts nothing.
        """
        __tracebackhide__ = True
        data = checked_bytes("data", data)
        return self._send("send_bytes", data, data)

    def send_frame(self, payload: bytes) -> Handle[None]:
        """Send one message: a 4-byte big-endian length and the payload.

        :param payload: may be empty.
        """
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload, empty=True)
        return self._send("send_frame", payload, self._framing().encode(payload))

    def disconnect(self) -> Handle[None]:
        """Close the connection politely: everything sent before arrives, then EOF.

        The server goes on receiving, so that what the client still sends is not answered
        with a reset. Expectations may follow; :meth:`send_bytes` may not.
        """
        __tracebackhide__ = True
        return self._declare(Disconnect("disconnect", place_of_caller()))

    def _framing(self) -> Framing:
        return _DEFAULT_FRAMING

    def _expect(
        self, word: str, argument: bytes, matcher: Exactly | Frame, timeout: float | None
    ) -> Handle[bytes]:
        __tracebackhide__ = True
        limit, options = self._timing(timeout)
        return self._declare(
            Expect(word, place_of_caller(), (argument,), options, limit, matcher=matcher)
        )

    def _send(self, word: str, argument: bytes, data: bytes) -> Handle[None]:
        __tracebackhide__ = True
        limit, _ = self._timing(None)
        return self._declare(Send(word, place_of_caller(), (argument,), {}, limit, data=data))

    def _timing(self, timeout: float | None) -> tuple[float, dict[str, object]]:
        """The limit of a step, and what the test wrote of it."""
        __tracebackhide__ = True
        if timeout is None:
            return self._limit(None), {}
        timeout = checked_seconds("timeout", timeout)
        return self._limit(timeout), {"timeout": timeout}
