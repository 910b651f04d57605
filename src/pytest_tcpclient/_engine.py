"""Carries what happens between one stream and one conversation.

Law: nothing but cancellation leaves a background task. What goes wrong with the stream is
told to the conversation, which knows what it means.

Speed: one task receives, and sends what follows from what it received, so that a round trip
costs no task switch of ours. Another one is started only for an action that is declared while
the first one waits for the client, and for those that may take their time.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio import EndOfStream
from anyio.abc import SocketAttribute, SocketStream

from ._asyncio_streams import ClientStreams
from ._certificates import server_context
from ._conversation import CONCLUDE, DONE, IDLE, RECEIVE, Conversation, Signal
from ._failure import Failure
from ._host import Host
from ._performer import GONE, Performer
from ._report import call
from ._rule import Rule
from ._steps import Action, Send, Skipped, StartTls
from ._tls import CutOff, TlsError, TlsStream
from ._transcript import KEPT, Event, Transcript, What
from ._transport import close_stream, pause_reading, raise_if_broken, reset_stream

#: Seconds for which the rest of a wrong answer is received, for the report.
REST = 0.004

#: Tells what happens as it happens.
LOG = logging.getLogger("pytest_tcpclient")

# Looked up here, once: the member of an enum costs as much as a call.
RECEIVED, SENT = What.RECEIVED, What.SENT


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
        #: The same, if it is encrypted.
        self.tls: TlsStream | None = None
        #: Where the client is, as soon as it has connected.
        self.client_address: tuple[str, int] | None = None
        self._client: ClientStreams | None = None
        #: Whether the client was gone when the server began to send.
        self._late = False
        self._stage = -1
        self._since = 0.0
        #: When something happened last. A stage begins then, as far as a look at it can tell:
        #: to read the clock for each step would cost more than that is worth.
        self._latest = 0.0
        self._time = host.time
        self._number = conversation.number
        self._expiring = -1
        self._acting = False
        #: Whether the conversation is being asked: a function of the test may declare something.
        self._asking = False
        self._reading = False
        self._reported = False
        self._abandoned = False
        self._draining = False
        self._deaf = False
        #: Whether anybody wants to know. (To ask each time would cost more than that is worth.)
        self._logging = LOG.isEnabledFor(logging.DEBUG)
        self._logged = 0
        self._receiving: anyio.CancelScope | None = None
        self._performer = Performer(conversation, host, self._note, self.listen)

    def attach(
        self, stream: SocketStream, client: ClientStreams | None = None, received: bytes = b""
    ) -> None:
        """The client has connected.

        :param client: what can be seen of it, besides what it sends.
        :param received: what it has sent already.
        """
        self._stream = stream
        self._logging = LOG.isEnabledFor(logging.DEBUG)
        with suppress(OSError, LookupError):  # It was reset, and has no addresses any more.
            address = stream.extra(SocketAttribute.remote_address)
            if isinstance(address, tuple):  # That of a unix socket has none.
                self.client_address = str(address[0]), int(address[1])
        self._note(What.CONNECTED)
        if isinstance(stream, TlsStream):
            self.tls = stream
            self.conversation.begin_handshake()
            if stream.ready:
                self.conversation.end_handshake()
        else:
            self.conversation.connect()
        if received:
            self._note(RECEIVED, received)
            self.received += len(received)
            self.conversation.receive_data(received)
        self.go_on()
        # Not before: what is sent at once is not late, however soon the client closes.
        self._client = client
        if client is not None:
            client.on_change = self.go_on

    def go_on(self) -> None:
        """Something is new for the conversation: see what it means, and act on it."""
        if self._acting or self._asking:
            return  # It will be seen when the action is done, or found.
        if self._client is not None:
            self._late = self._client.gone
        self._see_time(self._time())
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

    def fail_blocked(self) -> None:
        """The client blocks the event loop."""
        self.conversation.fail_blocked()
        self._next()

    def look_at(self, now: float) -> float:
        """Deal with a limit that has passed. Return when to look again."""
        limit = self.conversation.limit
        if limit is None or self._performer.resting:
            return float("inf")
        if self._stage != self.conversation.stage:
            self._stage, self._since = self.conversation.stage, self._latest
        due = self._since + limit
        if due <= now and self._expiring != self._stage:
            self._expiring = self._stage
            self._host.start_soon(self._expire, self._stage)
        return due if due > now else float("inf")

    def drain(self) -> None:
        """Receive what nobody looks at any more, so that the client can send it, and close."""
        self._draining = True
        self._wait(RECEIVE)

    async def reset(self) -> bool:
        """Let go of the socket; abort the connection if the client has not closed it.

        :return: whether it was aborted.
        """
        self._abandoned = True
        self._performer.stop()
        stream, self._stream = self._stream, None
        if stream is None:
            return False
        conversation = self.conversation
        if conversation.eof or conversation.reset or conversation.aborted:
            await close_stream(stream)
            return False
        self._note(What.SERVER_LEFT)
        await reset_stream(stream)
        return True

    def _next(self) -> Action | Signal:
        """Ask the conversation, and report its failure."""
        conversation = self.conversation
        if self._client is not None and (conversation.eof or conversation.reset):
            conversation.receive_streams(self._client.look())
        self._asking = True
        try:
            action = conversation.next_action()
        finally:
            self._asking = False
        if self._logging:
            self._log_steps()
        if action is DONE and not self._reported:
            self._reported = True
            self._performer.stop()
            assert conversation.failure is not None
            self._on_failure(conversation.failure)
        return action

    def _wait(self, signal: Signal) -> None:
        """See to it that somebody waits for the client."""
        if signal is CONCLUDE and not self.concluding:
            self.concluding = True
            self._host.start_soon(self._conclude)
        if self.conversation.deaf != self._deaf:
            self._turn_deaf()
        self.listen()

    def _turn_deaf(self) -> None:
        """Receive nothing for a while; or hear again."""
        self._deaf = not self._deaf
        if self._deaf and self._stream is not None:
            pause_reading(self._stream)
        if self._deaf and self._receiving is not None:
            self._receiving.cancel()

    def listen(self) -> None:
        """Receive what the client sends, unless that is done, or is of no use."""
        conversation = self.conversation
        if (
            self._stream is not None
            and not self._reading
            and not self._abandoned
            and not (conversation.eof or conversation.reset or conversation.aborted)
            and (self._draining or not (conversation.full or conversation.failure))
        ):
            self._reading = True
            self._host.start_soon(self._listen, self._stream)

    async def _listen(self, stream: SocketStream) -> None:
        """Receive until that is done, or until the script wants nothing to be received."""
        try:
            with anyio.CancelScope() as self._receiving:
                await self._read(stream)
        finally:
            self._receiving = None
            self._reading = False
            self._performer.notice()
        if not self._abandoned:
            self.received += 1  # The end is progress too.
            self.go_on()

    async def _read(self, stream: SocketStream) -> None:
        conversation = self.conversation
        receive = stream.receive
        host = self._host
        largest = host.largest
        clock, note, number = self._time, self._add, self._number
        action: Action | Signal = RECEIVE
        try:
            if conversation.handshaking:
                await self._shake_hands()
            while self._stream is stream and (
                action is RECEIVE or not (conversation.failure or conversation.full)
            ):
                data = await receive(largest)
                if self._stream is not stream:
                    self._hand_over(data)
                    break
                self.received += len(data)
                now = clock()
                self._latest = now - host.lost
                conversation.time = now
                note(now, number, RECEIVED, data)
                if self._logging:
                    self._log(RECEIVED, data)
                conversation.receive_data(data)
                if self._acting:
                    action = IDLE  # It will be seen when the action is done.
                    self._performer.notice()
                    continue
                action = self._next()
                if not isinstance(action, Signal):
                    self._acting = True
                    if self._client is not None:
                        self._late = self._client.gone
                    action = await self._act(stream, action, alone=False)
                if action is CONCLUDE:
                    self._wait(action)
            while self._draining and self._stream is stream:
                await receive(largest)
        except EndOfStream as end:
            if not (self._abandoned or conversation.aborted):
                self._note(What.CLIENT_EOF)
                conversation.receive_eof(cut=isinstance(end, CutOff))
        except TlsError as error:
            self._fail_tls(error)
        except GONE:
            if not (self._abandoned or conversation.aborted):
                self._note(What.CLIENT_RESET)
                conversation.receive_reset()

    async def _shake_hands(self) -> None:
        """Do the TLS handshake, before anything else is received."""
        assert self.tls is not None
        await self.tls.handshake()
        self.conversation.end_handshake()
        self.go_on()

    def _fail_tls(self, error: TlsError) -> None:
        """Tell the conversation that TLS has failed."""
        if error.received:
            self._note(RECEIVED, error.received)
        self.conversation.receive_tls_error(error.reason, error.detail, error.received)

    def _hand_over(self, data: bytes) -> None:
        """Leave to TLS what the client has sent since it was told to begin with it."""
        if self.tls is not None and not self._abandoned:
            self.tls.feed(data)

    async def _start_tls(self, stream: SocketStream, action: StartTls) -> SocketStream:
        """Put TLS on top of the stream. Whoever receives next does the handshake.

        What has arrived since the last step is a part of it; or is not, which is an error.
        """
        conversation = self.conversation
        self._stream = self.tls = tls = TlsStream(stream, server_context(action.tls))
        conversation.begin_handshake()
        tls.feed(conversation.take(sys.maxsize))
        with suppress(TlsError):  # It is raised once more where it is expected.
            await tls.advance()
        return tls

    async def _act_alone(self, action: Action) -> None:
        """Act in a task of its own, and see to it that the client is listened to meanwhile."""
        if self._stream is not None:  # Otherwise it was abandoned before this began.
            self.listen()
            self._wait(await self._act(self._stream, action, alone=True))

    async def _act(self, stream: SocketStream, action: Action | Signal, *, alone: bool) -> Signal:
        """Perform one action after the other, until the client has to do something.

        :param alone: whether this is the only thing that the task has to do: another one
            sends what can be sent at once, and leaves the rest to a task of its own.
        :return: what the client has to do.
        """
        conversation = self.conversation
        passed_on = False
        try:
            while not isinstance(action, Signal):
                received = None
                try:
                    if isinstance(action, Send) and action.at_once:
                        await stream.send(action.data)
                        self._note(SENT, action.data)
                        if self._client is not None:
                            raise_if_broken(stream)
                    elif isinstance(action, StartTls):
                        stream = await self._start_tls(stream, action)
                        action = self._next()
                        continue
                    elif alone:
                        received = await self._performer.perform(stream, action)
                    else:
                        self._host.start_soon(self._act_alone, action)
                        passed_on = True
                        return IDLE
                except GONE:
                    self._refuse()
                else:
                    conversation.perform(received)
                action = self._next()
        finally:
            self._acting = passed_on
        return action

    def _refuse(self) -> None:
        """An action has failed, because the client is gone."""
        overtaken = self._client is not None and self._client.gone and not self._late
        self.conversation.refuse(overtaken=overtaken)

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
        if self._client is not None:
            self.go_on()  # Not all that can be seen of it was told.
        if self.conversation.stage == stage and not self.conversation.lenient:
            await self._before_time_out()
        if self.conversation.stage == stage:
            self._see_time(self._time())
            self.conversation.time_out(*self._performer.where())
            self._next()
            self.go_on()

    def _see_time(self, time: float) -> None:
        self._latest = time - self._host.lost
        self.conversation.see(time)

    def _note(self, what: What, data: bytes = b"") -> None:
        self.conversation.time = time = self._time()
        self._latest = time - self._host.lost
        self._add(time, self._number, what, data)
        if self._logging:
            self._log(what, data)

    def _log(self, what: What, data: bytes) -> None:
        event = Event(0.0, self._number, what, data[:KEPT], len(data))
        LOG.debug("%s: %s", self.conversation.server, event)

    def _log_steps(self) -> None:
        """Tell which steps have come true since the last time."""
        conversation = self.conversation
        name = conversation.server
        if conversation.number:
            name = f"{name}: connection {conversation.number}"
        for step in conversation.done_since(self._logged):
            if isinstance(step, Skipped):
                LOG.debug("%s: skipped %s", name, call(step.step))
            else:
                LOG.debug("%s: done %s", name, call(step))
        self._logged = conversation.done_count
