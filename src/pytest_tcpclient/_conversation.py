"""The rules: one script played against one client.

Laws:

1. Everything that decides whether a connection passes or fails is in this file.
2. It does not know that there is a network: no await, no clock, no socket. Bytes, EOF,
   a reset, the passing of time, and what can be seen of the client itself are inputs, each a
   method.
3. What the client does wrong is a value, never an exception: ``failure``.
4. No cut of the input changes the verdict. (Except that the end of a test does not wait
   for bytes that nobody expects, if it need not wait for the client to close.) So what comes
   next is offered in a fixed order, and each is asked only when those before it have said no:
   the current expectation, the background rules, and, if the expectation is optional, the
   next one.

The driver feeds what happened and asks :meth:`Conversation.next_action` what to do,
again and again. ``stage`` changes whenever another limit begins to run, ``limit`` is
that limit; the driver keeps the time and says :meth:`Conversation.time_out`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from ._errors import ScriptError
from ._failure import (
    Blocked,
    CutOff,
    Differs,
    Ended,
    ExtraConnection,
    Failure,
    HandshakeFailed,
    HandshakePassed,
    LeftBytes,
    LeftOpen,
    NotADisconnect,
    NotClosed,
    NotEncrypted,
    NotReset,
    NotSent,
    NotSilent,
    NotWaited,
    Problem,
    Raised,
    ScriptView,
    SendStalled,
    Standing,
    TimedOut,
    Times,
    TlsFailed,
    Unread,
    Unwanted,
    WasReset,
)
from ._handle import Handle
from ._matchers import (
    AnyOf,
    Count,
    Difference,
    Exactly,
    InAnyOrder,
    Matched,
    NeedData,
    OwnMatcher,
    judge_early,
)
from ._rule import Rule
from ._script import decided
from ._steps import (
    ACTIONS,
    Action,
    Disconnect,
    Expect,
    ExpectConnect,
    ExpectDisconnect,
    ExpectEnd,
    ExpectEof,
    ExpectNothing,
    ExpectReset,
    Limited,
    Place,
    Run,
    Send,
    SendReset,
    Skipped,
    StartTls,
    Step,
    StopReading,
    Undecided,
    Wait,
)

#: How many steps on either side of the failed one a failure keeps.
STEPS_SHOWN = 10

#: Bytes that no step expects are received up to this many; then the client has to wait.
#: As much as a kernel commonly holds for a connection that nobody reads.
UNEXPECTED_LIMIT = 1024 * 1024

#: How much of a wrong answer is received for the report, after the first wrong byte.
REPORTED_LIMIT = 64 * 1024


#: What ends the whole run, and is no error of a function of the test.
NOT_ERRORS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Signal:
    """What there is to do when it is not an action: one of four.

    (Not an enum: to tell an enum's members from other things costs a tenth of what it takes
    to judge a message.)
    """

    __slots__ = ("meaning",)

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def __repr__(self) -> str:
        return f"<Signal: {self.meaning}>"


RECEIVE = Signal("wait for the client")
IDLE = Signal("wait for the client, or for the next step to be declared")
CONCLUDE = Signal("receive what is there already, for the report; then conclude()")
DONE = Signal("nothing any more")


#: What never comes true when the client has finished sending.
_WANT_DATA = frozenset(
    ("expect_bytes", "expect_count", "expect_frame", "expect_line", "expect_until")
)


#: What the server does when the client has closed: it finishes sending, too.
HANG_UP = Disconnect("disconnect", Place("", 0))


@dataclass(frozen=True, slots=True)
class Streams:
    """What a client of asyncio has done with its reader and its writer.

    :ivar closed: it has closed the connection, and will not read any more.
    :ivar collected: it has not, but the garbage collector did.
    :ivar waited: it has awaited ``writer.wait_closed()``, or need not.
    :ivar fed: how many bytes of the server have come to its reader; ``None`` if unknown.
    :ivar buffered: those of them that it has not read.
    """

    closed: bool
    collected: bool = False
    waited: bool = True
    fed: int | None = None
    buffered: bytes = b""


class Conversation:
    """One script meeting one client.

    :param number: the number of the connection, from 1; 0 for the steps of a server that are
        about none.
    :param patience: seconds for which bytes that no step expects are kept before they
        are a failure; ``None`` if they never are.
    :ivar time: what the driver's clock showed when something happened last, for the report;
        ``None`` if nobody says.
    """

    def __init__(self, number: int, server: str = "", patience: float | None = None) -> None:
        self.number = number
        self.stage = 0
        self.time: float | None = None
        self.failure: Failure | None = None
        self.connected = False
        self.eof = False
        self.reset = False
        #: Whether the connection is encrypted, or will be when its script has got there.
        self.encrypted = False
        #: Whether the current step is a TLS handshake that has begun.
        self.handshaking = False
        self._handshake: HandshakeFailed | None = None
        self._shaken = False
        self._cut = False
        #: Whether the server has aborted the connection.
        self.aborted = False
        self.server = server
        self._patience = patience
        self._stages = 0
        #: When the present stage began; ``None`` until the driver has looked at its clock.
        self._began: float | None = None
        self._interrupted: int | None = None
        self._interrupted_began: float | None = None
        self._rules: list[Rule] = []
        self._pending: deque[Handle[Any]] = deque()
        self._done: deque[Step | Skipped] = deque(maxlen=STEPS_SHOWN)
        self._done_at: deque[float | None] = deque(maxlen=STEPS_SHOWN)
        #: How many steps were done, or skipped.
        self.done_count = 0
        self._buffer: bytes | bytearray = b""
        self._taken = 0
        self._received: object = None
        self._accepted = 0
        self._sent = 0
        self._streams: Streams | None = None
        #: What the test has declared that ends what the server sends, and what the client does.
        self._last_word = ""
        self._end_word = ""
        self._closing = False
        self._closed = False
        self._absent = False
        #: An action that is being performed and is not in the script any more.
        self._adrift: Step | None = None
        self._wrong = False
        self._wrong_at: float | None = None
        self._difference: Difference | None = None

    # What is asked

    @property
    def current(self) -> Step | None:
        """The step that the connection is busy with."""
        if self._pending and not self._held:
            return self._pending[0]._step
        return None

    @property
    def ahead(self) -> list[Step]:
        """The next of the steps that are still to be done, the current one included."""
        return [handle._step for handle in islice(self._pending, STEPS_SHOWN)]

    def done_since(self, count: int) -> list[Step | Skipped]:
        """The steps that were done after so many, as far as they are kept."""
        new = min(self.done_count - count, len(self._done))
        return list(self._done)[len(self._done) - new :]

    @property
    def last(self) -> Handle[Any] | None:
        """The last step of those that are still to be done."""
        return self._pending[-1] if self._pending else None

    @property
    def limit(self) -> float | None:
        """How many seconds the present stage may last; ``None`` if it has no limit."""
        if self.failure or self._wrong:
            return None
        step = self.current
        if isinstance(step, Limited):
            return step.limit
        return self._patience if self._buffer and not self._pending else None

    @property
    def full(self) -> bool:
        """Whether nothing more should be received for now: nobody waits for it."""
        if self.deaf:
            return True
        size = len(self._buffer)
        if size < REPORTED_LIMIT:
            return False
        return self._wrong or (size >= UNEXPECTED_LIMIT and not isinstance(self.current, Expect))

    @property
    def lenient(self) -> bool:
        """Whether the script just goes on when the limit of the present stage has passed."""
        step = self.current
        return isinstance(step, Wait | ExpectNothing) or (
            isinstance(step, Limited) and step.optional
        )

    @property
    def deaf(self) -> bool:
        """Whether the script wants nothing to be received."""
        return isinstance(self.current, StopReading)

    @property
    def end(self) -> Literal["", "closed", "reset"]:
        """How the client has ended the connection, if it has."""
        if self.reset:
            return "reset"
        return "closed" if self.eof else ""

    @property
    def _ended(self) -> bool:
        """Whether the client has ended its side. (It has not if the garbage collector did.)"""
        if not (self.eof or self.reset):
            return False
        return self._streams is None or not self._streams.collected

    @property
    def _held(self) -> bool:
        """Whether the next step has to wait for a step of another connection."""
        after = self._pending[0]._after
        return after is not None and not after._over

    # What the test declares

    def declare(self, step: Step) -> None:
        """Note that the test wants one more step. (It may do so in a thread of its own.)

        :raises ScriptError: if the step cannot follow those before it.
        """
        __tracebackhide__ = True
        last = self._last_word
        sends = isinstance(step, Send | Disconnect | StartTls) or (
            isinstance(step, Undecided) and step.acts
        )
        if last == "send_reset" or (last and sends):
            raise ScriptError(f"{step.word}() cannot follow {last}() on one connection")
        if isinstance(step, Limited) and not step.optional:
            if self._end_word and step.word in _WANT_DATA:
                raise ScriptError(
                    f"{step.word}() cannot follow {self._end_word}() on one connection: the next "
                    "one begins with an expect_connect()"
                )
            if isinstance(step, ExpectDisconnect | ExpectEof | ExpectReset):
                self._end_word = step.word
        if isinstance(step, Disconnect | SendReset):
            self._last_word = step.word
        if isinstance(step, StartTls):
            if self.encrypted:
                raise ScriptError("start_tls() on a connection that is encrypted already")
            self.encrypted = True

    def add(self, handle: Handle[Any]) -> bool:
        """Take one more step into the script. Return whether it is the next one."""
        if self._absent:
            handle._skip()
            return False
        self._pending.append(handle)
        if len(self._pending) > 1:
            if self._interrupted is not None and len(self._pending) == 2:
                # Nothing but the reply of a rule goes before it: then its time begins.
                self._stages += 1
                self._interrupted = self._stages
                self._interrupted_began = None
            return False
        self._begin_stage()
        self._began = None
        return True

    def add_rule(self, rule: Rule) -> None:
        """Apply one more rule in the background, after those that are there."""
        self._rules.append(rule)

    def release(self) -> None:
        """The step of another connection that held this one up is over."""
        self._begin_stage()
        self._began = None

    # What happened

    def see(self, time: float) -> None:
        """The driver has looked at its clock."""
        self.time = time
        if self._began is None:
            self._began = time

    def connect(self) -> None:
        """The client has connected."""
        self.connected = True

    def receive_data(self, data: bytes) -> None:
        """The client has sent these bytes."""
        if not self._buffer and not self._pending:
            self._begin_stage()
        if not self._buffer:
            self._buffer = data  # Not copied: mostly a step takes all of it.
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    def receive_eof(self, *, cut: bool = False) -> None:
        """The client has finished sending.

        :param cut: it has not told TLS so: perhaps that was not all.
        """
        self.eof = True
        self._cut = cut

    def receive_reset(self) -> None:
        """The client has aborted the connection."""
        self.reset = True

    def begin_handshake(self) -> None:
        """The TLS handshake is to be done. It has a limit of its own."""
        self.handshaking = True
        self._begin_stage()

    def end_handshake(self) -> None:
        """The TLS handshake is done."""
        self._shaken = True

    def receive_tls_error(self, reason: str, detail: str = "", received: bytes = b"") -> None:
        """TLS has failed. Nothing can be received any more.

        See :class:`HandshakeFailed` for what the parameters are.
        """
        self.eof = True
        if self.handshaking:
            self._handshake = HandshakeFailed(reason, detail, received)
        elif self._shaken:  # Otherwise the handshake was abandoned.
            self._fail(TlsFailed(reason))

    def abort(self) -> None:
        """The server is about to abort it: its end says nothing of the client."""
        self.aborted = True

    def receive_streams(self, streams: Streams | None) -> None:
        """So much can be seen of the client itself, now that the connection has ended."""
        self._streams = streams

    def accept(self, size: int) -> None:
        """The client has taken ``size`` bytes more of what is being sent."""
        self._accepted += size
        self._begin_stage()

    def perform(self, received: object = None) -> None:
        """The action that :meth:`next_action` named has been performed.

        :param received: what a function of the test has returned.
        """
        if self._closing:
            self._closing, self._closed = False, True
        elif self.failure is None:
            step = self._adrift or self._pending[0]._step
            if isinstance(step, Send):
                self._sent += len(step.data)
            if self._adrift is None:
                self._advance(received)
            else:
                self._adrift, self._accepted = None, 0

    def take(self, size: int) -> bytes:
        """Give up to ``size`` bytes of what has arrived to a function of the test."""
        data = bytes(self._buffer[:size])
        self._drop(len(data))
        return data

    def give(self, size: int) -> None:
        """A function of the test has sent ``size`` bytes."""
        self._sent += size

    def raise_(self, error: BaseException) -> None:
        """A function of the test has raised this."""
        self._fail(Raised(error))

    def refuse(self, *, overtaken: bool = False) -> None:
        """The action that :meth:`next_action` named could not be performed any more.

        :param overtaken: the client can be seen, and closed the connection when the server was
            sending already: what it left unread is for the next expectation to judge.
        """
        if self._closing:
            self._closing, self._closed = False, True  # There is nobody left to tell.
            return
        if self.handshaking:
            self.reset = True
            return
        if self._adrift is not None:
            self._sent += self._accepted
            self._adrift, self._accepted = None, 0
            return
        step = self.current
        # What the client is known to have aborted need not be closed any more.
        over = isinstance(step, Disconnect) and self.reset
        if over or (overtaken and not self._accepted):
            self.perform()
        # Known to be closed: that is what was wrong. Otherwise, or in the middle of the data, it
        # was a reset that made the stream useless.
        elif self.eof and isinstance(step, Send) and not self._accepted:
            self._fail(self._not_sent(step))
        else:
            self._fail(self._was_reset())

    def time_out(self, at: Place | None = None, function: str = "") -> None:
        """The present stage has lasted longer than its ``limit``.

        :param at: where a function of the test is that plays the server, and its name.
        """
        step = self.current
        if self.handshaking:
            fails = isinstance(step, ExpectConnect | StartTls) and step.fails
            self._fail(HandshakePassed(True) if fails else HandshakeFailed("timed out"))
        elif self._wrong:
            self.conclude()
        elif isinstance(step, Limited) and step.optional:
            self._skip()
        elif isinstance(step, Wait):
            self._advance(None)
        elif self._difference is not None:  # A background rule was waiting for more of it.
            self.conclude()
        elif isinstance(step, Expect):
            self._fail(TimedOut(step.matcher.so_far(self._buffer, self._taken)))
        elif isinstance(step, Send):
            self._fail(SendStalled(self._accepted, len(step.data)))
        elif step is None:
            self._fail(LeftBytes(bytes(self._buffer)))
        elif isinstance(step, ExpectEnd) and not (self._buffer and step.unexpected):
            if step.left_open:
                self._fail(LeftOpen())
            else:
                self._advance(None)
        elif self._buffer and not isinstance(step, Run):  # A rule was waiting for more of it.
            self.conclude()
        elif isinstance(step, ExpectNothing):
            self._advance(None)
        elif self._streams is not None and isinstance(step, ExpectDisconnect):
            streams = self._streams
            self._fail(NotWaited() if streams.closed else NotClosed(streams.collected))
        else:
            self._fail(TimedOut(b"", at, function))

    def standing(self) -> Standing | None:
        """Where the script stands, if it waits for something."""
        step = self.current
        if step is None or isinstance(step, ExpectEnd):
            return None
        taken = step.matcher.so_far(self._buffer, self._taken) if isinstance(step, Expect) else b""
        return Standing(self.server, step, taken)

    def meet_nobody_wanted(self, number: int) -> None:
        """The client has connected while the script expects that nobody does."""
        self._fail(Unwanted(number))

    def meet_another(self, number: int, waiting: Step | None) -> None:
        """The client has opened another connection, and no step is waiting for it.

        :param waiting: the step that was current then.
        """
        if self._wrong:
            self.conclude()
        self._fail(ExtraConnection(number, waiting or self.current, scripted=True))

    def fail_blocked(self) -> None:
        """The client waits for the server where that cannot do anything."""
        self._fail(Blocked())

    # What to do next

    def next_action(self) -> Action | Signal:
        """Judge what has arrived, as far as that goes, and say what to do next."""
        pending = self._pending
        while self.failure is None and not self._wrong:
            if self._closing:
                return HANG_UP
            if not pending or (pending[0]._after is not None and self._held):
                if (
                    not (self._rules and self._buffer)
                    or self.handshaking
                    or not isinstance(self._try_rules(), Matched)
                ):
                    return IDLE
                continue
            step = pending[0]._step
            if isinstance(step, Expect):
                if not (self._buffer or self.eof or self.reset) or not self._judge_data(step):
                    return RECEIVE
            elif isinstance(step, ACTIONS) and not (self._closed or self.handshaking):
                return step
            elif isinstance(step, Wait):
                return IDLE
            elif isinstance(step, Undecided):
                self._decide(pending[0], step)
            elif not self._judge(step):
                return RECEIVE
        return DONE if self.failure else CONCLUDE

    def conclude(self) -> None:
        """All that the report can show of a wrong answer is here: make it the failure."""
        step = self.current
        received = bytes(self._buffer)
        if isinstance(step, Expect):
            assert self._difference is not None
            # More bytes do not change what is wrong, but may be shown with it.
            if isinstance(step.matcher, Exactly | AnyOf | InAnyOrder | OwnMatcher):
                self._match(step)
            if self.failure is None:
                whole = step.matcher.so_far(self._buffer, self._taken)
                self._fail(Differs(self._difference, whole))
        elif isinstance(step, ExpectEnd):
            self._fail(LeftBytes(received))
        elif isinstance(step, ExpectNothing):
            self._fail(NotSilent(received))
        else:
            self._fail(NotADisconnect(received))

    def abandon(self) -> bool:
        """Drop the steps that are not done. Return whether there were any."""
        if self._wrong:
            self.conclude()
        unfinished = bool(self._pending)
        if isinstance(self.current, ACTIONS) and not (self._closing or self.handshaking):
            self._adrift = self.current
        self._pending.clear()
        self.handshaking = False
        self._taken = 0
        self._interrupted = None
        return unfinished

    # The rules of the single steps

    def _judge(self, step: Step) -> bool:
        """Judge a step by what has happened. Return whether there is a verdict.

        An action is judged only when it cannot be performed: both sides have closed.
        """
        if self.handshaking:
            assert isinstance(step, ExpectConnect | StartTls)
            return self._judge_handshake(step)
        if isinstance(step, ExpectConnect):
            came_true = self.connected
        elif isinstance(step, Send):
            came_true = False
            self._fail(self._not_sent(step))
        elif isinstance(step, Run | StartTls):
            came_true = False
            self._fail(NotSent(None))
        elif isinstance(step, Disconnect | SendReset):
            came_true = True
        else:
            return self._judge_silence(step)
        if came_true:
            self._advance(None)
        return came_true or self.failure is not None

    def _judge_silence(self, step: Step) -> bool:
        """Judge a step for which nothing must come, until perhaps the connection ends."""
        ended = self.eof or self.reset or self.aborted
        if self._rules and self._buffer:
            tried = self._try_rules()
            if tried is not None and not (isinstance(tried, NeedData) and ended):
                return isinstance(tried, Matched)
        if isinstance(step, ExpectEnd):
            if self._buffer and not step.unexpected:
                self._buffer = b""  # So that the client can go on and come to its end.
                self._rules.clear()  # Who can say where another message begins?
            ended = ended or not step.left_open
        optional = isinstance(step, Limited) and step.optional
        if self._buffer:
            self._wrong, self._wrong_at = not optional, self.time
        elif not ended:
            return False
        elif isinstance(step, ExpectDisconnect):
            if not (self.reset and optional and step.clean):
                return self._judge_end(step)
        elif isinstance(step, ExpectEof) and self.reset:
            if not optional:
                self._fail(self._was_reset())
        elif isinstance(step, ExpectReset) and not self.reset:
            if not optional:
                self._fail(NotReset())
        else:
            self._advance(None)
            return True
        if optional:
            self._skip()
        return True

    def _judge_handshake(self, step: ExpectConnect | StartTls) -> bool:
        """Judge what has become of the TLS handshake. Return whether there is a verdict."""
        problem = self._handshake
        if problem is None and not self._shaken:
            if not (self.eof or self.reset):
                return False
            problem = HandshakeFailed("reset" if self.reset else "closed")
        self.handshaking = False
        self.connected = True
        if problem is None and step.fails:
            self._fail(HandshakePassed())
        elif problem is None:
            self._advance(None)
        elif isinstance(step, StartTls) and problem.reason == "plain text":
            self._fail(NotEncrypted(problem.received))
        elif not step.fails:
            self._fail(problem)
        else:
            self._closing = True
            self._advance(None)
        return True

    def _judge_data(self, step: Expect) -> bool:
        try:
            outcome = step.matcher.match(self._buffer, self._taken)
        except NOT_ERRORS:
            raise
        except BaseException as error:
            self._fail(Raised(error))
            return True
        if isinstance(outcome, Matched):
            if outcome.size == len(self._buffer):
                self._buffer = b""
            else:
                self._drop(outcome.size)
            self._taken = 0
            self._received = outcome.value
            self._advance(outcome.value)
            return True
        ended = self._ended
        if not isinstance(outcome, NeedData):
            self._difference = outcome
            tried = self._try_rules() if self._rules and not self._taken else None
            if isinstance(tried, NeedData) and not ended:
                return False
            if isinstance(tried, Matched):
                self._difference = None
            elif step.optional:
                self._skip()
            else:
                self._wrong, self._wrong_at = True, self.time
            return True
        if ended:
            if step.optional:
                self._skip()
            else:
                self._end(step)
            return True
        if not (step.optional or self._rules):  # Others may have to look at the same bytes.
            self._drop(outcome.taken)
            self._taken += outcome.taken
        return False

    def _match(self, step: Expect) -> None:
        """Note what is wrong, now that more has arrived."""
        try:
            outcome = step.matcher.match(self._buffer, self._taken)
        except NOT_ERRORS:
            raise
        except BaseException as error:
            self._fail(Raised(error))
        else:
            if not isinstance(outcome, Matched | NeedData):
                self._difference = outcome

    def _try_rules(self) -> Matched | NeedData | None:
        """Let the background rules look at what has arrived, one after the other.

        :return: ``Matched`` if one has applied (or failed), ``NeedData`` if one may yet.
        """
        for rule in self._rules:
            if rule._stopped:
                continue
            try:
                outcome = judge_early(rule._matcher, self._buffer)
                if isinstance(outcome, Matched):
                    self._drop(outcome.size)
                    rule.count += 1
                    reply = rule._answer(outcome.value)
                    if reply is not None:
                        self._interject(reply)
                    return outcome
            except NOT_ERRORS:
                raise
            except BaseException as error:
                # It is the rule that has failed, not the step that it came before.
                self._pending.appendleft(Handle(Step(*rule._declaration[:4]), None))
                self._fail(Raised(error))
                return Matched(0, None)
            if isinstance(outcome, NeedData):
                return outcome
        return None

    def _interject(self, reply: Send) -> None:
        """Send a reply before anything else. The time of the current step runs on."""
        self._pending.appendleft(Handle(reply, None))
        self._interrupted, self._interrupted_began = self.stage, self._began
        self._begin_stage()

    def _decide(self, handle: Handle[Any], step: Undecided) -> None:
        """The step has become the current one: see what it is."""
        try:
            handle._step = known = decided(step, self._received)
        except NOT_ERRORS:
            raise
        except BaseException as error:
            self._fail(Raised(error))
        else:
            if (
                isinstance(known, Expect)
                and isinstance(known.matcher, Count)
                and not known.matcher.size
            ):
                self._judge_data(known)  # Nothing has to come for it.

    def _drop(self, size: int) -> None:
        """Forget the first bytes of the buffer."""
        if size == len(self._buffer):
            self._buffer = b""
        elif size:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            del self._buffer[:size]

    def _end(self, step: Expect) -> None:
        """The connection ended in the middle of what was expected."""
        matcher = step.matcher
        self._fail(
            self._unread()
            or Ended(
                matcher.so_far(self._buffer, self._taken),
                matcher.missing(self._buffer, self._taken),
                self.reset,
                self._perhaps_unread() if self.reset else 0,
            )
        )

    def _judge_end(self, step: ExpectDisconnect) -> bool:
        """Judge how the client disconnected. Return whether there is a verdict."""
        if step.clean:
            if not self._ended:
                return False
            problem: Problem | None = self._unread()
            if problem is None and self.reset:
                problem = self._was_reset()
            elif problem is None and self._cut:
                problem = CutOff()
            if problem is not None:
                self._fail(problem)
                return True
            streams = self._streams
            if streams is not None and not (streams.closed and streams.waited):
                return False
        self._closing = self.eof
        self._closed = not self.eof  # After a reset there is nothing to close.
        self._advance(None)
        return True

    def _unread(self) -> Unread | None:
        """What the client has left unread, where that is known."""
        streams = self._streams
        if streams is None or streams.fed is None or not (streams.closed or self.reset):
            return None
        on_the_way = self._sent - streams.fed
        size = on_the_way + len(streams.buffered)
        if size <= 0:
            return None
        tail = b""
        for step in reversed(self._done):
            if len(tail) >= on_the_way:
                break
            if isinstance(step, Run):
                break  # What it has sent is not kept.
            if isinstance(step, Send):
                tail = step.data + tail
        # What is not among the last steps any more is not shown.
        tail = tail[len(tail) - on_the_way :] if len(tail) >= on_the_way else b""
        return Unread((streams.buffered + tail)[:REPORTED_LIMIT], size)

    def _perhaps_unread(self) -> int:
        """How many bytes were sent, if it is not known that the client has read them all."""
        known = self._streams is not None and self._streams.fed is not None
        return 0 if known and self._unread() is None else self._sent + self._accepted

    def _was_reset(self) -> WasReset:
        return WasReset(self._perhaps_unread())

    def _not_sent(self, step: Send) -> NotSent | WasReset:
        # Whoever can be seen gets the sentence about what it did, as in 0.7.
        return NotSent(step.data) if self._streams is None else self._was_reset()

    def _advance(self, received: object) -> None:
        handle = self._pending.popleft()
        self._done.append(handle._step)
        self._done_at.append(self.time)
        self.done_count += 1
        self._accepted = 0
        if self._interrupted is None:
            self._stages += 1
            self.stage = self._stages
            self._began = self.time
        else:
            self.stage, self._interrupted = self._interrupted, None
            self._began = self._interrupted_began or self.time
        handle._complete(received)

    def _skip(self) -> None:
        """The current step was optional, and did not come true.

        A connection that does not come takes all its steps with it.
        """
        self._difference = None
        self._absent = isinstance(self._pending[0]._step, ExpectConnect)
        skipped = list(self._pending) if self._absent else [self._pending[0]]
        for handle in skipped:
            self._pending.popleft()
            self._done.append(Skipped(handle._step))
            self._done_at.append(self.time)
            self.done_count += 1
        self._begin_stage()
        for handle in skipped:
            handle._skip()

    def _begin_stage(self) -> None:
        self._stages += 1
        self.stage = self._stages
        self._began = self.time

    def _fail(self, problem: Problem) -> None:
        """The first failure ends the script: what was to come is dropped."""
        if self.failure is not None:
            return
        times = self.times()
        self._begin_stage()
        self.failure = Failure(
            problem, self.current, self.view(), self.number or None, self.server, times
        )
        self._pending.clear()

    def view(self) -> ScriptView:
        """The steps around the current one."""
        ahead = islice(self._pending, 1 if self.current else 0, None)
        steps = [handle._step for handle in ahead if not isinstance(handle._step, ExpectEnd)]
        return ScriptView(
            done=tuple(self._done),
            ahead=tuple(steps[:STEPS_SHOWN]),
            done_before=self.done_count - len(self._done),
            ahead_after=max(0, len(steps) - STEPS_SHOWN),
        )

    def times(self) -> Times | None:
        """When the last steps were done, and how long the one that fails has waited."""
        if self.time is None:
            return None
        waited = 0.0 if self._began is None else self.time - self._began
        # What comes after the wrong bytes is only for the report.
        failed = self._wrong_at if self._wrong else self.time
        return Times(tuple(self._done_at), failed, waited)
