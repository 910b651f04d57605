"""Performs those actions of one conversation that may take their time.

Law: an error of the stream leaves (``GONE``); what a function of the test raises does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
from anyio import BrokenResourceError, ClosedResourceError
from anyio.abc import SocketStream

from ._conversation import NOT_ERRORS, Conversation
from ._event_loop import is_cancellation
from ._host import Host
from ._run import Call
from ._steps import CHUNK, Action, Disconnect, Place, Run, Send, SendReset
from ._transcript import What
from ._transport import raise_if_aborted, raise_if_broken, reset_stream, unread_by_client

#: Seconds for a client to read one segment before it gets the next one; and where it cannot
#: be seen whether it has.
SEGMENT_PATIENCE = 0.05
SEGMENT_PAUSE = 0.01

#: What a stream raises when its connection is over.
GONE = (BrokenResourceError, ClosedResourceError, OSError)


class Note(Protocol):
    """Takes what happens into the transcript."""

    def __call__(self, what: What, data: bytes = b"") -> None:
        """Take it."""


class Performer:
    """Performs actions, one at a time.

    :param note: takes what is sent into the transcript.
    :param listen: sees to it that what the client sends is received.
    """

    def __init__(
        self, conversation: Conversation, host: Host, note: Note, listen: Callable[[], None]
    ) -> None:
        #: Whether time passes because the test wants it to: no limit runs.
        self.resting = False
        self._conversation = conversation
        self._host = host
        self._note = note
        self._listen = listen
        self._stream: SocketStream | None = None
        self._running: anyio.CancelScope | None = None
        self._call: Call | None = None
        self._news: anyio.Event | None = None

    async def perform(self, stream: SocketStream, action: Action) -> object:
        """Perform one action. Return what a function of the test returned."""
        self._stream = stream
        if isinstance(action, Disconnect):
            await self.finish()
        elif isinstance(action, SendReset):
            self._conversation.abort()
            self._note(What.SERVER_RESET)
            await reset_stream(stream)
        elif isinstance(action, Run):
            return await self._run(action)
        else:
            assert isinstance(action, Send)  # TLS is started by the engine.
            if action.segments:
                await self._send_segments(stream, action)
            else:
                await self._send(stream, action.data)
        return None

    def stop(self) -> None:
        """What a function of the test is doing is of no use any more."""
        if self._running is not None:
            self._running.cancel()

    def notice(self) -> None:
        """Something has arrived, or nothing will any more."""
        if self._news is not None:
            self._news.set()

    async def _send(self, stream: SocketStream, data: bytes) -> None:
        """Send, and see how the client gets on with it."""
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            await stream.send(chunk)
            self._note(What.SENT, chunk)
            self._conversation.accept(len(chunk))

    async def _send_segments(self, stream: SocketStream, action: Send) -> None:
        """Send one segment after the other, each when the client has the one before."""
        first, *others = action.segments
        await self._send(stream, first)
        for segment in others:
            self.resting = True
            try:
                if action.interval is None:
                    await self._let_client_read(stream)
                else:
                    await self._host.pause(action.interval)
            finally:
                self.resting = False
            await self._send(stream, segment)
        if self._conversation.eof:  # Nothing is received any more: only a write can have failed.
            await anyio.lowlevel.checkpoint()  # uvloop writes when the loop goes on.
            raise_if_broken(stream)

    async def _let_client_read(self, stream: SocketStream) -> None:
        """Wait until the client has read what was sent, or does not care to."""
        for _ in range(10):  # A client in the same event loop needs a few turns of it.
            await anyio.lowlevel.checkpoint()
            if unread_by_client(stream) == 0:
                return
        waited = 0.0
        while waited < SEGMENT_PATIENCE:
            await self._host.pause(0.001)
            waited += 0.001
            unread = unread_by_client(stream)
            if unread == 0 or (unread is None and waited >= SEGMENT_PAUSE):
                return

    async def _run(self, action: Run) -> object:
        """Let a function of the test have the connection."""
        try:
            with anyio.CancelScope() as self._running:
                self._call = Call(action.function)
                return await self._call.run(self)
        except BaseException as error:
            if is_cancellation(error) or isinstance(error, NOT_ERRORS):
                raise
            self._conversation.raise_(error)
        finally:
            self._running = self._call = None
        return None

    def where(self) -> tuple[Place | None, str]:
        """The line at which a function of the test is, and its name."""
        spot = self._call.where() if self._call is not None else None
        if spot is None:
            return None, ""
        code = spot.frame.f_code
        return Place(code.co_filename, spot.line), code.co_name

    # What a function of the test can do

    async def take(self, most: int) -> bytes:
        """What has arrived, or arrives next; nothing if the client has finished sending."""
        conversation = self._conversation
        while True:
            data = conversation.take(most)
            if data or conversation.eof:
                self._listen()  # The client may have had to wait.
                return data
            if conversation.reset:
                raise BrokenResourceError
            self._news = anyio.Event()
            await self._news.wait()

    async def transmit(self, data: bytes) -> None:
        """Send these bytes."""
        assert self._stream is not None
        await self._stream.send(data)
        self._note(What.SENT, data)
        self._conversation.give(len(data))

    async def finish(self) -> None:
        """Finish sending."""
        assert self._stream is not None
        self._note(What.SERVER_EOF)
        if self._conversation.eof:
            await anyio.lowlevel.checkpoint()  # uvloop writes when the loop goes on.
            raise_if_aborted(self._stream)
        try:
            await self._stream.send_eof()
        except RuntimeError:  # So says uvloop that the connection is over.
            raise BrokenResourceError from None
        # uvloop sends it when the loop goes on: it has to be there when the step is done.
        await anyio.lowlevel.checkpoint()
