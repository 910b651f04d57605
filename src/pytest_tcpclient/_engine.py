"""Carries what happens between one stream and one conversation.

Law: nothing but cancellation leaves a background task. What goes wrong with the stream is
told to the conversation, which knows what it means.

Speed: one task receives, and performs the actions that follow from what it received, so
that a round trip costs no task switch of ours. Another one is started only for an action
that is declared while the first one waits for the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import SocketStream

from ._conversation import CONCLUDE, DONE, IDLE, RECEIVE, Conversation, Signal
from ._failure import Failure
from ._host import Host
from ._steps import Action, Send
from ._transcript import Transcript, What
from ._transport import close_stream, reset_stream

#: How much is given to the event loop at once: what it accepts of that is progress.
CHUNK = 64 * 1024

#: Seconds for which the rest of a wrong answer is received, for the report.
REST = 0.004

# Looked up here, once: the member of an enum costs as much as a call.
RECEIVED, SENT = What.RECEIVED, What.SENT

_GONE = (BrokenResourceError, ClosedResourceError, OSError)


class Engine:
    """Plays one conversation on one stream, as soon as there is one."""

    def __init__(
        self,
        conversation: Conversation,
        host: Host,
        transcript: Transcript,
        on_failure: Callable[[Failure], None],
        before_time_out: Callable[[], Awaitable[None]],
    ) -> None:
        self.conversation = conversation
        #: Grows with everything that arrives.
        self.received = 0
        #: Whether the rest of a wrong answer is being received.
        self.concluding = False
        self._host = host
        self._add = transcript.add
        self._on_failure = on_failure
        self._before_time_out = before_time_out
        self._stream: SocketStream | None = None
        self._stage = -1
        self._since = 0.0
        #: When something happened last. A stage begins then, as far as a look at it can tell:
        #: to read the clock for each step would cost more than that is worth.
        self._latest = 0.0
        self._time = host.time
        self._number = conversation.number
        self._expiring = -1
        self._acting = False
        self._reading = False
        self._reported = False
        self._abandoned = False

    def attach(self, stream: SocketStream) -> None:
        """The client has connected."""
        self._stream = stream
        self._note(What.CONNECTED)
        self.conversation.connect()
        self.go_on()

    def go_on(self) -> None:
        """Something is new for the conversation: see what it means, and act on it."""
        if self._acting:
            return  # It will be seen when the action is done.
        self._latest = self._host.now()
        action = self._next()
        if isinstance(action, Signal):
            self._wait(action)
        else:
            self._acting = True
            self._host.start_soon(self._act_alone, action)

    def release(self) -> None:
        """The step of another connection that held this one up has been done."""
        self.conversation.release()
        self.go_on()

    def look_at(self, now: float) -> float:
        """Deal with a limit that has passed. Return when to look again."""
        limit = self.conversation.limit
        if limit is None:
            return float("inf")
        if self._stage != self.conversation.stage:
            self._stage, self._since = self.conversation.stage, self._latest
        due = self._since + limit
        if due <= now and self._expiring != self._stage:
            self._expiring = self._stage
            self._host.start_soon(self._expire, self._stage)
        return due if due > now else float("inf")

    async def reset(self) -> bool:
        """Let go of the socket; abort the connection if the client has not closed it.

        :return: whether it was aborted.
        """
        self._abandoned = True
        stream, self._stream = self._stream, None
        if stream is None:
            return False
        if self.conversation.eof or self.conversation.reset:
            await close_stream(stream)
            return False
        self._note(What.SERVER_RESET)
        await reset_stream(stream)
        return True

    def _next(self) -> Action | Signal:
        """Ask the conversation, and report its failure."""
        action = self.conversation.next_action()
        if action is DONE and not self._reported:
            self._reported = True
            assert self.conversation.failure is not None
            self._on_failure(self.conversation.failure)
        return action

    def _wait(self, signal: Signal) -> None:
        """See to it that somebody waits for the client."""
        conversation = self.conversation
        if signal is CONCLUDE and not self.concluding:
            self.concluding = True
            self._host.start_soon(self._conclude)
        if (
            self._stream is not None
            and not self._reading
            and not self._abandoned
            and not conversation.full
            and not (conversation.eof or conversation.reset or conversation.failure)
        ):
            self._reading = True
            self._host.start_soon(self._read, self._stream)

    async def _read(self, stream: SocketStream) -> None:
        conversation = self.conversation
        receive = stream.receive
        host = self._host
        largest = host.largest
        clock, note, number = self._time, self._add, self._number
        action: Action | Signal = RECEIVE
        try:
            while action is RECEIVE or not (conversation.failure or conversation.full):
                data = await receive(largest)
                self.received += len(data)
                now = clock()
                self._latest = now - host.lost
                note(now, number, RECEIVED, data)
                conversation.receive_data(data)
                if self._acting:
                    action = IDLE  # It will be seen when the action is done.
                    continue
                action = self._next()
                if not isinstance(action, Signal):
                    self._acting = True
                    action = await self._act(stream, action)
                if action is CONCLUDE:
                    self._wait(action)
        except EndOfStream:
            self._note(What.CLIENT_EOF)
            conversation.receive_eof()
        except _GONE:
            if not self._abandoned:
                self._note(What.CLIENT_RESET)
                conversation.receive_reset()
        finally:
            self._reading = False
        if not self._abandoned:
            self.received += 1  # The end is progress too.
            self.go_on()

    async def _act_alone(self, action: Action) -> None:
        """Act in a task of its own."""
        if self._stream is not None:  # Otherwise it was abandoned before this began.
            self._wait(await self._act(self._stream, action))

    async def _act(self, stream: SocketStream, action: Action | Signal) -> Signal:
        """Perform one action after the other, until the client has to do something.

        :return: what it has to do.
        """
        conversation = self.conversation
        try:
            while not isinstance(action, Signal):
                try:
                    if not isinstance(action, Send):
                        self._note(What.SERVER_EOF)
                        await stream.send_eof()
                    elif len(action.data) > CHUNK:
                        await self._send(stream, action.data)
                    else:
                        await stream.send(action.data)
                        self._note(SENT, action.data)
                except _GONE:
                    conversation.refuse()
                else:
                    conversation.perform()
                action = self._next()
        finally:
            self._acting = False
        return action

    async def _send(self, stream: SocketStream, data: bytes) -> None:
        """Send much, and see how the client gets on with it."""
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            await stream.send(chunk)
            self._note(SENT, chunk)
            self.conversation.accept(len(chunk))

    async def _conclude(self) -> None:
        await self._host.pause(REST)
        # On a busy machine the pause was longer, and more has arrived in it.
        await self._host.settle(lambda: self.received)
        self.conversation.conclude()
        self.concluding = False
        self._next()

    async def _expire(self, stage: int) -> None:
        """A limit has passed: read what has arrived before anything is declared."""
        await self._host.settle(lambda: self.received)
        if self.conversation.stage == stage:
            await self._before_time_out()
        if self.conversation.stage == stage:
            self.conversation.time_out()
            self._next()

    def _note(self, what: What, data: bytes = b"") -> None:
        time = self._time()
        self._latest = time - self._host.lost
        self._add(time, self._number, what, data)
