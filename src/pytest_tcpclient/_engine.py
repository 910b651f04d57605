"""Carries what happens between one stream and one conversation.

Law: nothing but cancellation leaves a background task. What goes wrong with the stream is
told to the conversation, which knows what it means.

Speed: one task receives, and performs the actions that follow from what it received, so
that a round trip costs no task switch of ours. Another one is started only for an action
that is declared while the first one waits for the client.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import SocketStream

from ._conversation import CONCLUDE, DONE, IDLE, NOT_ERRORS, RECEIVE, Conversation, Signal
from ._failure import Failure
from ._host import Host, is_cancellation
from ._rule import Rule
from ._run import call
from ._steps import Action, Disconnect, Run, Send
from ._transcript import Transcript, What
from ._transport import close_stream, reset_stream, unread_by_client

#: How much is given to the event loop at once: what it accepts of that is progress.
CHUNK = 64 * 1024

#: Seconds for which the rest of a wrong answer is received, for the report.
REST = 0.004

#: Seconds for a client to read one segment before it gets the next one; and where it cannot
#: be seen whether it has.
SEGMENT_PATIENCE = 0.05
SEGMENT_PAUSE = 0.01

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
    ) -> None:
        self.conversation = conversation
        #: Grows with everything that arrives.
        self.received = 0
        #: Whether the rest of a wrong answer is being received.
        self.concluding = False
        self._host = host
        self._add = transcript.add
        self._on_failure = on_failure
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
        self._resting = False
        self._running: anyio.CancelScope | None = None
        self._arrived: anyio.Event | None = None
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

    def add_rule(self, rule: Rule) -> None:
        """Answer something in the background; perhaps it has come already."""
        self.conversation.add_rule(rule)
        self.go_on()

    def release(self) -> None:
        """The step of another connection that held this one up has been done."""
        self.conversation.release()
        self.go_on()

    def look_at(self, now: float) -> float:
        """Deal with a limit that has passed. Return when to look again."""
        limit = self.conversation.limit
        if limit is None or self._resting:
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
        self._stop_running()
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
            self._stop_running()
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
                    if self._arrived is not None:
                        self._arrived.set()
                    continue
                action = self._next()
                if not isinstance(action, Signal):
                    self._acting = True
                    action = await self._act(stream, action, alone=False)
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
            if self._arrived is not None:
                self._arrived.set()
        if not self._abandoned:
            self.received += 1  # The end is progress too.
            self.go_on()

    async def _act_alone(self, action: Action) -> None:
        """Act in a task of its own."""
        if self._stream is not None:  # Otherwise it was abandoned before this began.
            self._wait(await self._act(self._stream, action, alone=True))

    async def _act(self, stream: SocketStream, action: Action | Signal, *, alone: bool) -> Signal:
        """Perform one action after the other, until the client has to do something.

        :param alone: whether this task has nothing else to do: otherwise what takes time is
            left to one that has not.
        :return: what the client has to do.
        """
        conversation = self.conversation
        acting = False
        try:
            while not isinstance(action, Signal):
                if not alone and _takes_time(action):
                    self._host.start_soon(self._act_alone, action)
                    acting = True
                    return IDLE
                try:
                    received = await self._perform(stream, action)
                except _GONE:
                    conversation.refuse()
                else:
                    conversation.perform(received)
                action = self._next()
        finally:
            self._acting = acting
        return action

    async def _perform(self, stream: SocketStream, action: Action) -> object:
        """Perform one action. Return what a function of the test returned."""
        if _takes_time(action):
            self._wait(IDLE)  # The client is listened to all the while.
        if isinstance(action, Disconnect):
            self._note(What.SERVER_EOF)
            await stream.send_eof()
        elif isinstance(action, Run):
            return await self._run(action)
        elif action.segments:
            await self._send_segments(stream, action)
        elif len(action.data) > CHUNK:
            await self._send(stream, action.data)
        else:
            await stream.send(action.data)
            self._note(SENT, action.data)
        return None

    async def _send(self, stream: SocketStream, data: bytes) -> None:
        """Send much, and see how the client gets on with it."""
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            await stream.send(chunk)
            self._note(SENT, chunk)
            self.conversation.accept(len(chunk))

    async def _send_segments(self, stream: SocketStream, action: Send) -> None:
        """Send one segment after the other, each when the client has the one before."""
        for index, segment in enumerate(action.segments):
            if index:
                self._resting = True  # Nobody is waited for.
                try:
                    if action.interval is not None:
                        await self._host.pause(action.interval)
                    else:
                        await self._let_client_read(stream)
                finally:
                    self._resting = False
                self._latest = self._host.now()
                self.conversation.accept(0)
            await self._send(stream, segment)

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
                return await call(action.function, self)
        except BaseException as error:
            if is_cancellation(error) or isinstance(error, NOT_ERRORS):
                raise
            self.conversation.raise_(error)
        finally:
            self._running = None
        return None

    def _stop_running(self) -> None:
        """What plays the server is over: nobody is to wait for it."""
        if self._running is not None:
            self._running.cancel()

    async def take(self, most: int) -> bytes:
        """Give what has arrived, or arrives next, to a function of the test.

        :return: nothing if the client has finished sending.
        """
        conversation = self.conversation
        while True:
            data = conversation.take(most)
            if data or conversation.eof:
                self._wait(IDLE)  # The client may have had to wait.
                return data
            if conversation.reset:
                raise BrokenResourceError
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def transmit(self, data: bytes) -> None:
        """Send what a function of the test wants to be sent."""
        if self._stream is None:
            raise ClosedResourceError
        await self._stream.send(data)
        self._note(SENT, data)

    async def finish(self) -> None:
        """Finish sending, for a function of the test."""
        if self._stream is None:
            raise ClosedResourceError
        self._note(What.SERVER_EOF)
        await self._stream.send_eof()

    async def _conclude(self) -> None:
        await self._host.pause(REST)
        self.conversation.conclude()
        self.concluding = False
        self._next()

    async def _expire(self, stage: int) -> None:
        """A limit has passed: read what has arrived before anything is declared."""
        await self._host.settle(lambda: self.received)
        if self.conversation.stage == stage:
            self.conversation.time_out()
            self._next()
            self.go_on()

    def _note(self, what: What, data: bytes = b"") -> None:
        time = self._time()
        self._latest = time - self._host.lost
        self._add(time, self._number, what, data)


def _takes_time(action: Action) -> bool:
    """Whether an action may wait for the client, or for the time to pass."""
    return isinstance(action, Run) or (
        isinstance(action, Send) and (len(action.data) > CHUNK or bool(action.segments))
    )
