"""What a function of the test has in its hands while it plays the server.

The streams have the methods of anyio's byte streams, so that the function is written like any
other code. What it receives is what the engine has received: the transcript has it, and what
it leaves is there for the next step.
"""

from __future__ import annotations

import inspect
import sys
import threading
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from anyio import ClosedResourceError, EndOfStream, from_thread, to_thread

from ._checked import checked_bytes, checked_size
from ._traceback import Spot, spots_of_call, spots_of_task

#: How many bytes ``receive()`` returns at the most if nothing else is said, as in anyio.
MOST = 65536


class Carrier(Protocol):
    """What the engine does for such a function."""

    @abstractmethod
    async def take(self, most: int) -> bytes:
        """What has arrived, or arrives next; nothing if the client has finished sending."""

    @abstractmethod
    async def transmit(self, data: bytes) -> None:
        """Send these bytes."""

    @abstractmethod
    async def finish(self) -> None:
        """Finish sending."""


class Stream:
    """The stream of a connection, for an async function. It is closed when that is over."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._closed = False

    def __repr__(self) -> str:
        return f"<Stream, {'closed' if self._closed else 'open'}>"

    async def receive(self, max_bytes: int = MOST) -> bytes:
        """Wait for the client to send something.

        :return: 1 to ``max_bytes`` bytes.
        :raises anyio.EndOfStream: if the client has finished sending.
        :raises anyio.BrokenResourceError: if it has aborted the connection.
        """
        self._check()
        data = await self._carrier.take(checked_size("max_bytes", max_bytes))
        self._check()
        if not data:
            raise EndOfStream
        return data

    async def send(self, data: bytes) -> None:
        """Send all of it.

        :raises anyio.BrokenResourceError: if the client has gone.
        """
        self._check()
        await self._carrier.transmit(checked_bytes("data", data))

    async def send_eof(self) -> None:
        """Finish sending: the client gets EOF, and may go on sending."""
        self._check()
        await self._carrier.finish()

    def _close(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise ClosedResourceError


class BlockingStream:
    """The same for a plain function, which runs in a thread."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._stream)[1:]}"

    def receive(self, max_bytes: int = MOST) -> bytes:
        """Wait for the client to send something: see :meth:`Stream.receive`."""
        return from_thread.run(self._stream.receive, max_bytes)

    def send(self, data: bytes) -> None:
        """Send all of it: see :meth:`Stream.send`."""
        from_thread.run(self._stream.send, data)

    def send_eof(self) -> None:
        """Finish sending: see :meth:`Stream.send_eof`."""
        from_thread.run(self._stream.send_eof)


class Call:
    """One call of a function of the test, which gets the connection."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self._coroutine: Any = None
        self._thread: int | None = None

    async def run(self, carrier: Carrier) -> Any:
        """Let the function have the connection. Return what it returns.

        A plain function that is cancelled is left to its thread, where its next call is an error.
        """
        stream = Stream(carrier)
        function = self._function
        try:
            # An object that can be called like a coroutine function is one, too.
            call_of_object = vars(type(function)).get("__call__")
            if any(map(inspect.iscoroutinefunction, (function, call_of_object))):
                self._coroutine = function(stream)
                return await self._coroutine
            blocking = BlockingStream(stream)
            return await to_thread.run_sync(self._block, blocking, abandon_on_cancel=True)
        finally:
            stream._close()

    def where(self) -> Spot | None:
        """The innermost line of the test that is being executed, where that is known."""
        if self._coroutine is not None:
            spots = spots_of_task(self._coroutine)
        else:
            spots = spots_of_call(
                sys._current_frames().get(self._thread or 0), Call._block.__code__
            )
        return spots[-1] if spots else None

    def _block(self, stream: BlockingStream) -> Any:
        self._thread = threading.get_ident()
        return self._function(stream)
