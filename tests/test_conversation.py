"""The rules, under every way in which bytes can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from helpers import (
    EOF,
    FILE,
    RESET,
    SERVER,
    Recorder,
    connect,
    converse,
    cut,
    disconnect,
    end,
    every_cut,
    frame,
    framed,
    hang_up,
    play,
    read,
    run,
    send,
    start_tls,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._conversation import (
    CONCLUDE,
    DONE,
    HANG_UP,
    IDLE,
    RECEIVE,
    REPORTED_LIMIT,
    STEPS_SHOWN,
    UNEXPECTED_LIMIT,
    Conversation,
    Streams,
)
from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._failure import (
    Blocked,
    Broken,
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
    NotSent,
    NotWaited,
    Problem,
    ScriptView,
    SendStalled,
    Standing,
    TimedOut,
    Times,
    TlsFailed,
    Unread,
    WasReset,
)
from pytest_tcpclient._framings import Incomplete
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._matchers import Mismatch, Oversized
from pytest_tcpclient._steps import Expect, Place, Run, Step

HELLO = framed(b"Hello")


class Passing(NamedTuple):
    """A client that does what the script says."""

    steps: list[Step]
    data: bytes
    ending: str | None = None
    received: Sequence[object] = ()
    performed: Sequence[object] = ()


PASSING = {
    "nothing at all": Passing([], b""),
    "a connection": Passing([connect()], b"", received=[None]),
    "bytes": Passing([read(b"Hello")], b"Hello", received=[b"Hello"]),
    "bytes, then the end": Passing([read(b"Hello")], b"Hello", EOF, [b"Hello"]),
    "bytes, then a reset": Passing([read(b"Hello")], b"Hello", RESET, [b"Hello"]),
    "bytes twice": Passing(
        [read(b"Hello"), read(b", world")], b"Hello, world", None, [b"Hello", b", world"]
    ),
    "a frame": Passing([frame(b"Hello")], HELLO, received=[b"Hello"]),
    "an empty frame": Passing([frame(b"")], framed(b""), received=[b""]),
    "a frame, then a reset": Passing([frame(b"Hello")], HELLO, RESET, [b"Hello"]),
    "frames and bytes": Passing(
        [frame(b"a"), read(b"b"), frame(b""), frame(b"c")],
        framed(b"a") + b"b" + framed(b"") + framed(b"c"),
        received=[b"a", b"b", b"", b"c"],
    ),
    "an answer": Passing(
        [read(b"Hello"), send(b"World"), read(b"Thanks")],
        b"HelloThanks",
        None,
        [b"Hello", None, b"Thanks"],
        [send(b"World")],
    ),
    "a greeting": Passing(
        [connect(), send(b"Hi"), read(b"Hello")],
        b"Hello",
        None,
        [None, None, b"Hello"],
        [send(b"Hi")],
    ),
    "a disconnect": Passing([hang_up()], b"", EOF, [None], [HANG_UP]),
    "bytes, then a disconnect": Passing(
        [read(b"Hello"), hang_up()], b"Hello", EOF, [b"Hello", None], [HANG_UP]
    ),
    "the server closes first": Passing(
        [read(b"Hello"), disconnect(), read(b"Bye"), hang_up()],
        b"HelloBye",
        EOF,
        [b"Hello", None, b"Bye", None],
        [disconnect(), HANG_UP],
    ),
    "a clean end": Passing([read(b"Hello"), end()], b"Hello", EOF, [b"Hello", None]),
    "a reset as an end": Passing([read(b"Hello"), end()], b"Hello", RESET, [b"Hello", None]),
    "an end that may be left open": Passing(
        [read(b"Hello"), end(left_open=False)], b"Hello", None, [b"Hello", None]
    ),
    "an end that may have bytes left": Passing(
        [read(b"Hello"), end(unexpected=False)], b"Hello, world", EOF, [b"Hello", None]
    ),
}


@pytest.mark.parametrize("case", PASSING.values(), ids=PASSING)
def test_a_client_that_does_as_the_script_says(case: Passing) -> None:
    """However the bytes are cut, every step is done and has received what it should."""
    for pieces in every_cut(case.data):
        played = play(case.steps, pieces, case.ending)
        assert played.failure is None
        assert played.done == [True] * len(case.steps)
        assert played.received == [*case.received]
        assert played.performed == [*case.performed]
        assert played.signal is IDLE


class Failing(NamedTuple):
    """A client that departs from the script, and the step at which it does."""

    steps: list[Step]
    data: bytes
    ending: str | None
    problem: Problem
    at: int | None = 0


def differs(expected: bytes, actual: bytes, received: bytes) -> Differs:
    return Differs(Mismatch(expected, actual), received)


PREFIX = "length prefix"

FAILING = {
    "wrong bytes": Failing(
        [read(b"Bonjour")], b"Goodbye", None, differs(b"Bonjour", b"Goodbye", b"Goodbye")
    ),
    "one wrong byte": Failing([read(b"Hello")], b"X", None, differs(b"Hello", b"X", b"X")),
    "wrong at the end": Failing(
        [read(b"Hello")], b"HellO", None, differs(b"Hello", b"HellO", b"HellO")
    ),
    "wrong, and the end": Failing(
        [read(b"Hello")], b"Help", EOF, differs(b"Hello", b"Help", b"Help")
    ),
    "wrong, and a reset": Failing(
        [read(b"Hello")], b"Help", RESET, differs(b"Hello", b"Help", b"Help")
    ),
    "wrong, and more": Failing(
        [read(b"Hello")], b"Help me!", None, differs(b"Hello", b"Help ", b"Help me!")
    ),
    "the second is wrong": Failing(
        [read(b"Hello"), read(b"you")], b"Hello me", EOF, differs(b"you", b" me", b" me"), 1
    ),
    "too few bytes": Failing([read(b"Hello, world")], b"Hel", EOF, Ended(b"Hel", None, False)),
    "no bytes": Failing([read(b"Hello")], b"", EOF, Ended(b"", None, False)),
    "too few bytes, reset": Failing([read(b"Hello")], b"Hel", RESET, Ended(b"Hel", None, True)),
    "too few for the second": Failing(
        [read(b"Hello"), read(b"you")], b"Helloyo", EOF, Ended(b"yo", None, False), 1
    ),
    "a wrong frame": Failing(
        [frame(b"Bonjour")], HELLO, None, differs(b"Bonjour", b"Hello", HELLO)
    ),
    "a wrong frame, and more": Failing(
        [frame(b"Bonjour")], HELLO + b"abc", EOF, differs(b"Bonjour", b"Hello", HELLO + b"abc")
    ),
    "an empty frame instead": Failing(
        [frame(b"Bonjour")], framed(b""), RESET, differs(b"Bonjour", b"", framed(b""))
    ),
    "the second frame is wrong": Failing(
        [frame(b"Hello"), frame(b"you")], HELLO + framed(b"me"), None,
        differs(b"you", b"me", framed(b"me")), 1,
    ),
    "a frame over the limit": Failing(
        [frame(b"Hello", limit=100)], b"GET / HTTP/1.1", None,
        Differs(Oversized(100, 0x47455420, b"GET "), b"GET / HTTP/1.1"),
    ),
    "no frame": Failing([frame(b"Hello")], b"", EOF, Ended(b"", None, False)),
    "no frame, reset": Failing([frame(b"Hello")], b"", RESET, Ended(b"", None, True)),
    "half a prefix": Failing(
        [frame(b"Hello")], b"\0\0", EOF, Ended(b"\0\0", Incomplete(2, 4, PREFIX), False)
    ),
    "a prefix alone": Failing(
        [frame(b"Hello")], HELLO[:4], RESET, Ended(HELLO[:4], Incomplete(0, 5, "payload"), True)
    ),
    "half a frame": Failing(
        [frame(b"Bonjour")], framed(b"Bonjour")[:7], EOF,
        Ended(framed(b"Bonjour")[:7], Incomplete(3, 7, "payload"), False),
    ),
    "bytes instead of a disconnect": Failing(
        [hang_up()], b"Hello", None, NotADisconnect(b"Hello")
    ),
    "bytes before a disconnect": Failing(
        [read(b"Hello"), hang_up()], b"Hello!", EOF, NotADisconnect(b"!"), 1
    ),
    "bytes, then a reset instead": Failing(
        [hang_up()], b"Hello", RESET, NotADisconnect(b"Hello")
    ),
    "a reset instead of a disconnect": Failing([hang_up()], b"", RESET, WasReset()),
    "a reset after bytes": Failing([read(b"Hello"), hang_up()], b"Hello", RESET, WasReset(), 1),
    "bytes left at the end": Failing(
        [read(b"Hello"), end()], b"Hello!", None, LeftBytes(b"!"), 1
    ),
    "bytes left, and closed": Failing(
        [read(b"Hello"), end()], b"Hello!", EOF, LeftBytes(b"!"), 1
    ),
    "bytes left, and reset": Failing(
        [read(b"Hello"), end()], b"Hello!", RESET, LeftBytes(b"!"), 1
    ),
    "nothing but bytes left": Failing(
        [end()], b"Hello", None, LeftBytes(b"Hello")
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_a_client_that_departs_from_the_script(case: Failing) -> None:
    """However the bytes are cut, the failure is the same, at the same step."""
    at = case.at
    assert at is not None
    for pieces in every_cut(case.data):
        played = play(case.steps, pieces, case.ending)
        assert played.failure == Failure(
            case.problem, case.steps[at], ScriptView(done=tuple(case.steps[:at])), 1, SERVER
        )
        assert played.done == [index < at for index in range(len(case.steps))]
        assert played.signal is DONE


TOO_LITTLE = {
    "no bytes": ([read(b"Hello")], b"", TimedOut(b"")),
    "some bytes": ([read(b"Hello, world")], b"Hello", TimedOut(b"Hello")),
    "no frame": ([frame(b"Hello")], b"", TimedOut(b"")),
    "half a prefix": ([frame(b"Hello")], b"\0\0", TimedOut(b"\0\0")),
    "half a frame": ([frame(b"Hello")], HELLO[:6], TimedOut(HELLO[:6])),
    "half of what is wrong": ([frame(b"Hello")], b"\0\0\0\5Wr", TimedOut(b"\0\0\0\5Wr")),
    "no disconnect": ([hang_up()], b"", TimedOut(b"")),
    "left open": ([end()], b"", LeftOpen()),
    "left open with bytes": ([end(unexpected=False)], b"abc", LeftOpen()),
    "bytes for no step": ([], b"Hello", LeftBytes(b"Hello")),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "data", "problem"), TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_a_client_that_does_too_little_in_time(
    steps: list[Step], data: bytes, problem: Problem
) -> None:
    """When the time has passed the failure has all that came, however it was cut."""
    for pieces in every_cut(data):
        played = play(steps, pieces)
        assert played.failure is None
        assert played.conversation.limit == 1.0
        played.conversation.time_out()
        assert played.conversation.failure == Failure(
            problem, steps[0] if steps else None, ScriptView(), 1, SERVER
        )
        assert played.conversation.next_action() is DONE


def test_a_client_that_does_not_connect_in_time() -> None:
    """An expect_connect() has its limit as well."""
    conversation, (first, _) = converse(connect(1), read(b"Hello", 2))
    assert conversation.next_action() is RECEIVE
    conversation.time_out()
    view = ScriptView(ahead=(read(b"Hello", 2),))
    assert conversation.failure == Failure(TimedOut(b""), connect(1), view, 1, SERVER)
    assert not first.done


# No cut of the input changes the verdict


SOME = st.binary(max_size=4).map(lambda data: bytes(b"ab\0\1"[byte % 4] for byte in data))
STEPS: st.SearchStrategy[Step] = st.one_of(
    SOME.filter(bool).map(read),
    SOME.map(frame),
    SOME.map(lambda payload: frame(payload, limit=1)),
    SOME.filter(bool).map(send),
    st.builds(connect),
    st.builds(hang_up),
)
#: A test ends once. (What a client sends after an end that it may leave open comes too late.)
ENDS = st.sampled_from([[], [end()], [end(unexpected=False)]])


def right_bytes(step: Step) -> bytes:
    """What a client should send for a step."""
    if not isinstance(step, Expect):
        return b""
    expected = step.matcher.expected
    assert isinstance(expected, bytes)
    return framed(expected) if step.matcher.noun else expected


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Step], bytes, str | None]:
    """A script, and a client that does it, or part of it, or something like it."""
    steps = draw(st.lists(STEPS, max_size=5)) + draw(ENDS)
    data = b"".join(map(right_bytes, steps))
    if draw(st.booleans()):
        kept = draw(st.integers(0, len(data)))
        data = data[:kept] + draw(SOME) + data[kept + draw(st.integers(0, 2)) :]
    data += draw(st.just(b"") | SOME)
    return steps, data, draw(st.sampled_from([None, EOF, RESET]))


@settings(deadline=None)
@given(conversations(), st.data())
def test_no_cut_changes_the_verdict(
    case: tuple[list[Step], bytes, str | None], data: st.DataObject
) -> None:
    """Cut anywhere, a script passes or fails as it does when all comes in one piece."""
    steps, received, ending = case
    offsets = data.draw(st.lists(st.integers(0, len(received)), max_size=len(received)))
    whole = play(steps, [received] if received else [], ending)
    pieces = play(steps, cut(received, offsets), ending)
    assert pieces == whole
    assert pieces.conversation.limit == whole.conversation.limit
    assert pieces.conversation.standing() == whole.conversation.standing()
    if whole.conversation.limit is not None:
        whole.conversation.time_out()
        pieces.conversation.time_out()
        assert pieces.conversation.failure == whole.conversation.failure is not None


@settings(deadline=None)
@given(st.data())
def test_one_expectation_agrees_with_a_naive_judge(data: st.DataObject) -> None:
    """Exact bytes and frames pass and fail as comparing all that came says they do."""
    expected = data.draw(SOME.filter(bool), label="expected")
    is_frame = data.draw(st.booleans(), label="is a frame")
    wire = framed(expected) if is_frame else expected
    right = data.draw(st.integers(0, len(wire)), label="right")
    received = wire[:right] + data.draw(st.just(b"") | SOME, label="and then")
    ending = data.draw(st.sampled_from([None, EOF, RESET]), label="ending")
    offsets = data.draw(st.lists(st.integers(0, len(received))), label="cut at")
    played = play([frame(expected) if is_frame else read(expected)], cut(received, offsets), ending)
    if is_frame:
        need = 4 + int.from_bytes(received[:4], "big")
        complete = len(received) >= 4 and need - 4 <= 64 * 1024 * 1024
        over = len(received) >= 4 and not complete
        verdict = (
            "differs" if over
            else "waits" if not complete or len(received) < need
            else "matches" if received[4:need] == expected
            else "differs"
        )  # fmt: skip
    elif received.startswith(wire):
        verdict = "matches"
    else:
        verdict = "waits" if wire.startswith(received) else "differs"
    problem = played.failure.problem if played.failure else None
    assert played.done == [verdict == "matches"]
    if verdict == "differs":
        assert isinstance(problem, Differs)
        assert problem.received == received
    elif verdict == "waits" and ending is not None:
        assert isinstance(problem, Ended)
        assert problem.received == received
        assert problem.reset is (ending == RESET)
    else:
        assert problem is None


# What the driver asks


def test_the_current_step() -> None:
    """It is the first one that is not done, and there is none when all are."""
    first, second = read(b"a", 1), read(b"b", 2)
    conversation, _ = converse(first, second)
    assert conversation.current is first
    conversation.receive_data(b"a")
    run(conversation)
    assert conversation.current is second
    conversation.receive_data(b"b")
    run(conversation)
    assert conversation.current is None


def test_the_last_step() -> None:
    """It is the last one declared, until it is done."""
    conversation, (_, second) = converse(read(b"a"), read(b"b"))
    assert conversation.last is second
    conversation.receive_data(b"ab")
    run(conversation)
    assert conversation.last is None


def test_the_number_of_a_connection() -> None:
    """A conversation knows which one it is."""
    assert Conversation(3).number == 3


def test_each_step_is_a_stage_of_its_own() -> None:
    """Whenever another limit begins to run the stage changes, and not with every byte."""
    conversation, _ = converse(read(b"ab"), read(b"c"))
    stages = [conversation.stage]
    for piece in (b"a", b"b", b"c"):
        conversation.receive_data(piece)
        run(conversation)
        stages.append(conversation.stage)
    assert stages[0] == stages[1] < stages[2] < stages[3]


def test_a_step_declared_behind_others_begins_no_stage() -> None:
    """The limit of the current step goes on."""
    conversation, _ = converse(read(b"ab"))
    stage = conversation.stage
    conversation.add(Handle(read(b"c"), Recorder()))
    assert conversation.stage == stage


def test_a_step_declared_when_all_are_done_begins_a_stage() -> None:
    """Its limit runs from then on."""
    conversation, _ = converse(read(b"a"))
    conversation.receive_data(b"a")
    run(conversation)
    stage = conversation.stage
    conversation.add(Handle(read(b"b"), Recorder()))
    assert conversation.stage > stage


def test_bytes_that_nobody_expects_begin_a_stage() -> None:
    """Their time runs from the first of them on, and what follows does not prolong it."""
    conversation, _ = converse(patience=2.0)
    stage = conversation.stage
    assert conversation.limit is None
    conversation.receive_data(b"a")
    first = conversation.stage
    assert first > stage
    assert conversation.limit == 2.0
    conversation.receive_data(b"b")
    assert conversation.stage == first


def test_bytes_that_nobody_expects_may_never_be_a_failure() -> None:
    """Without patience there is no limit for them."""
    conversation, _ = converse(patience=None)
    conversation.receive_data(b"a")
    assert conversation.limit is None
    assert run(conversation) is IDLE


def test_bytes_that_nobody_expected_may_be_expected_later() -> None:
    """A step that is declared afterwards takes them."""
    conversation, _ = converse(patience=1.0)
    conversation.receive_data(b"Hello")
    assert run(conversation) is IDLE
    handle: Handle[bytes] = Handle(read(b"Hello"), Recorder())
    conversation.add(handle)
    assert run(conversation) is IDLE
    assert handle.received == b"Hello"
    assert conversation.limit is None


@pytest.mark.parametrize("step", [connect(), read(b"a"), frame(b"a"), hang_up(), send(b"a"), end()])
def test_the_limit_of_a_step(step: Step) -> None:
    """Expectations and sends have a limit."""
    conversation, _ = converse(step)
    assert conversation.limit == 1.0


def test_a_disconnect_has_no_limit() -> None:
    """To finish sending takes no time."""
    conversation, _ = converse(disconnect())
    assert conversation.limit is None


def test_a_wrong_answer_has_no_limit() -> None:
    """Once the verdict is known nothing can time out any more."""
    conversation, _ = converse(read(b"Hello"))
    conversation.receive_data(b"X")
    assert run(conversation) is CONCLUDE
    assert conversation.limit is None
    conversation.conclude()
    assert conversation.limit is None


# Waiting for a step of another connection


def test_a_step_waits_for_another_connection() -> None:
    """Until the other step is done it is not current, has no limit, and nothing is judged."""
    other: Handle[bytes] = Handle(read(b"first"), Recorder())
    conversation = Conversation(2, SERVER, patience=1.0)
    step = read(b"second")
    handle: Handle[bytes] = Handle(step, Recorder(), after=other)
    conversation.add(handle)
    conversation.receive_data(b"wrong?")
    assert conversation.next_action() is IDLE
    assert conversation.current is None
    assert conversation.limit is None
    assert conversation.standing() is None
    assert conversation.last is handle
    stage = conversation.stage
    other._complete(b"first")
    conversation.release()
    assert conversation.stage > stage
    assert conversation.current is step
    assert conversation.limit == 1.0
    assert conversation.next_action() is CONCLUDE


def test_an_action_waits_for_another_connection() -> None:
    """It is not performed before its turn."""
    other: Handle[None] = Handle(send(b"first"), Recorder())
    conversation = Conversation(2)
    conversation.add(Handle(send(b"second"), Recorder(), after=other))
    assert conversation.next_action() is IDLE
    other._complete(None)
    conversation.release()
    assert conversation.next_action() == send(b"second")


def test_a_step_of_the_same_connection_behind_a_held_one() -> None:
    """It waits with it, and both follow in order."""
    other: Handle[bytes] = Handle(read(b"first"), Recorder())
    conversation = Conversation(2)
    handles: list[Handle[Any]] = [
        Handle(read(b"a"), Recorder(), after=other),
        Handle(read(b"b"), Recorder()),
    ]
    for handle in handles:
        conversation.add(handle)
    conversation.receive_data(b"ab")
    assert run(conversation) is IDLE
    assert [handle.done for handle in handles] == [False, False]
    other._complete(b"first")
    conversation.release()
    assert run(conversation) is IDLE
    assert [handle.done for handle in handles] == [True, True]


# What cannot be declared


@pytest.mark.parametrize(
    ("step", "word"), [(send(b"Hello"), "send_bytes"), (disconnect(), "disconnect")]
)
def test_nothing_is_sent_after_a_disconnect(step: Step, word: str) -> None:
    """It is refused where it is declared, done or not, and the script stays as it was."""
    for done in (False, True):
        conversation, _ = converse(disconnect())
        if done:
            run(conversation)
        last = conversation.last
        with pytest.raises(ScriptError) as caught:
            conversation.declare(step)
        assert str(caught.value) == f"{word}() cannot follow disconnect() on one connection"
        assert conversation.last is last
        conversation.declare(hang_up())


# Actions


def test_an_action_is_named_until_it_is_performed() -> None:
    """Asked again, the conversation names the same action; after it comes the next one."""
    conversation, (first, second) = converse(send(b"a"), send(b"b"))
    assert conversation.next_action() == send(b"a")
    assert conversation.next_action() == send(b"a")
    assert not first.done
    conversation.perform()
    assert first.done
    assert conversation.next_action() == send(b"b")
    conversation.perform()
    assert second.done
    assert conversation.next_action() is IDLE


def test_a_client_that_does_not_read() -> None:
    """A send that makes no progress fails, with how much of it was accepted."""
    conversation, _ = converse(send(b"x" * 100))
    conversation.next_action()
    stage = conversation.stage
    conversation.accept(30)
    assert conversation.stage > stage
    conversation.accept(12)
    conversation.time_out()
    assert conversation.failure == Failure(
        SendStalled(42, 100), send(b"x" * 100), ScriptView(), 1, SERVER
    )


def test_what_was_accepted_is_counted_for_each_send() -> None:
    """The next send begins at zero."""
    conversation, _ = converse(send(b"x" * 10), send(b"y" * 20))
    conversation.next_action()
    conversation.accept(10)
    conversation.perform()
    conversation.next_action()
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.problem == SendStalled(0, 20)


def test_a_send_to_a_client_that_has_closed() -> None:
    """It is the client's close that was wrong."""
    conversation, _ = converse(send(b"Hello"))
    conversation.receive_eof()
    assert conversation.next_action() == send(b"Hello")
    conversation.refuse()
    assert conversation.failure == Failure(
        NotSent(b"Hello"), send(b"Hello"), ScriptView(), 1, SERVER
    )


@pytest.mark.parametrize("reset", [True, False])
def test_a_send_to_a_client_that_has_not_closed(reset: bool) -> None:
    """A send that fails before an end is seen, or after a reset, is a reset."""
    conversation, _ = converse(send(b"Hello"))
    if reset:
        conversation.receive_reset()
    conversation.next_action()
    conversation.refuse()
    assert conversation.failure == Failure(WasReset(), send(b"Hello"), ScriptView(), 1, SERVER)


@pytest.mark.parametrize("eof", [True, False])
def test_a_disconnect_of_a_client_that_is_gone(eof: bool) -> None:
    """A disconnect that cannot be performed is a reset, whatever was seen before."""
    conversation, _ = converse(disconnect())
    if eof:
        conversation.receive_eof()
    conversation.next_action()
    conversation.refuse()
    assert conversation.failure is not None
    assert conversation.failure.problem == WasReset()


def test_the_server_closes_when_the_client_has() -> None:
    """After expect_disconnect() the server finishes sending, too."""
    conversation, (handle,) = converse(hang_up())
    conversation.receive_eof()
    assert conversation.next_action() is HANG_UP
    assert conversation.next_action() is HANG_UP
    assert handle.done
    conversation.perform()
    assert conversation.next_action() is IDLE
    assert conversation.failure is None


def test_a_client_that_is_gone_when_the_server_closes() -> None:
    """There is nobody left to tell, and nothing is wrong."""
    conversation, (handle,) = converse(hang_up())
    conversation.receive_eof()
    assert conversation.next_action() is HANG_UP
    conversation.refuse()
    assert conversation.next_action() is IDLE
    assert conversation.failure is None
    assert handle.done


@pytest.mark.parametrize("refused", [True, False])
def test_an_action_that_ends_after_the_failure(refused: bool) -> None:
    """A send that timed out changes nothing any more, whatever becomes of it."""
    conversation, (handle,) = converse(send(b"Hello"))
    conversation.next_action()
    conversation.time_out()
    failure = conversation.failure
    assert failure is not None
    if refused:
        conversation.refuse()
    else:
        conversation.perform()
    assert conversation.failure is failure
    assert not handle.done
    assert conversation.next_action() is DONE


# What can be seen of the client itself


class Seen(NamedTuple):
    """A client that is seen when it has ended, after the server has sent ``Hola!``."""

    step: Step
    ending: str
    streams: Streams | None
    #: At once, or else when the time is over; ``None`` if the step came true.
    problem: Problem | None
    late: bool = False


READ_ALL = Streams(closed=True, fed=5)
GREETING = Unread(b"Hola!", 5)
COLLECTED = Streams(closed=False, collected=True, fed=5)

SEEN = {
    "nothing": Seen(hang_up(), EOF, None, None),
    "all read and waited": Seen(hang_up(), EOF, READ_ALL, None),
    "uncounted": Seen(hang_up(), EOF, Streams(closed=True), None),
    "not waited": Seen(hang_up(), EOF, replace(READ_ALL, waited=False), NotWaited(), True),
    "half closed": Seen(hang_up(), EOF, Streams(closed=False, fed=5), NotClosed(False), True),
    "half closed and unread": Seen(hang_up(), EOF, Streams(False, fed=0), NotClosed(False), True),
    "collected": Seen(hang_up(), EOF, COLLECTED, NotClosed(True), True),
    "collected, reset": Seen(hang_up(), RESET, COLLECTED, NotClosed(True), True),
    "collected before data": Seen(read(b"Hi"), EOF, COLLECTED, TimedOut(b""), True),
    "unread": Seen(hang_up(), EOF, Streams(closed=True, fed=0), GREETING),
    "unread and not waited": Seen(hang_up(), EOF, Streams(True, waited=False, fed=0), GREETING),
    "buffered": Seen(hang_up(), EOF, Streams(closed=True, fed=5, buffered=b"Hola!"), GREETING),
    "half of each": Seen(hang_up(), EOF, Streams(closed=True, fed=3, buffered=b"Hol"), GREETING),
    "some": Seen(hang_up(), EOF, Streams(closed=True, fed=5, buffered=b"a!"), Unread(b"a!", 2)),
    "unread, reset": Seen(hang_up(), RESET, Streams(closed=True, fed=0), GREETING),
    "unread, reset from below": Seen(hang_up(), RESET, Streams(closed=False, fed=0), GREETING),
    "reset": Seen(hang_up(), RESET, READ_ALL, WasReset()),
    "reset, uncounted": Seen(hang_up(), RESET, Streams(closed=True), WasReset(unread=5)),
    "reset, nothing seen": Seen(hang_up(), RESET, None, WasReset(unread=5)),
    "unread before data": Seen(read(b"Hi"), EOF, Streams(closed=True, fed=0), GREETING),
    "unread before data, reset": Seen(read(b"Hi"), RESET, Streams(closed=True, fed=0), GREETING),
    "read before data": Seen(read(b"Hi"), EOF, READ_ALL, Ended(b"", None, False)),
    "half closed before data": Seen(
        read(b"Hi"), EOF, Streams(closed=False, fed=0), Ended(b"", None, False)
    ),
    "reset before data": Seen(read(b"Hi"), RESET, None, Ended(b"", None, True, unread=5)),
    "the end of the test": Seen(end(), EOF, Streams(closed=True, waited=False, fed=0), None),
}  # fmt: skip


def test_what_a_function_has_sent_is_counted_and_not_shown() -> None:
    """Nobody has kept it."""
    run_it = Run("run", Place(FILE, 1), (), {}, limit=1.0, function=print)
    conversation, _ = converse(run_it, hang_up())
    assert conversation.next_action() is run_it
    conversation.give(5)
    conversation.perform()
    conversation.receive_eof()
    conversation.receive_streams(Streams(closed=True, fed=2))
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == Unread(b"", 3)


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_a_client_that_is_seen(seen: Seen) -> None:
    """What it has left unread wins over how it ended; then comes what it did not do in time."""
    conversation, (_, handle) = converse(send(b"Hola!"), seen.step)
    assert run(conversation) is RECEIVE
    if seen.ending == EOF:
        conversation.receive_eof()
    else:
        conversation.receive_reset()
    conversation.receive_streams(seen.streams)
    run(conversation)
    if seen.late:
        assert conversation.failure is None
        assert conversation.limit == 1.0
        conversation.time_out()
    assert handle.done is (seen.problem is None)
    problem = conversation.failure.problem if conversation.failure else None
    assert problem == seen.problem


def test_a_client_that_is_seen_to_do_the_rest_in_time() -> None:
    """It finishes sending, closes and waits, one after the other."""
    conversation, (handle,) = converse(hang_up())
    conversation.receive_eof()
    for streams in (Streams(closed=False), Streams(closed=True, waited=False)):
        conversation.receive_streams(streams)
        assert conversation.next_action() is RECEIVE
    conversation.receive_streams(Streams(closed=True))
    assert conversation.next_action() is HANG_UP
    assert handle.done


def test_what_is_unread_is_shown_as_far_as_it_is_known() -> None:
    """Only the last steps are kept: of more than they had, there is the size."""
    last = [read(b"x")] * STEPS_SHOWN
    conversation, _ = converse(send(b"Hola!"), *last, hang_up())
    run(conversation)
    conversation.receive_data(b"x" * STEPS_SHOWN)
    assert run(conversation) is RECEIVE
    conversation.receive_eof()
    conversation.receive_streams(Streams(closed=True, fed=3, buffered=b"ol"))
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == Unread(b"ol", 4)


def test_much_that_is_unread_is_not_kept() -> None:
    """A report needs its beginning only."""
    size = 2 * REPORTED_LIMIT
    conversation, _ = converse(send(bytes(size)), hang_up())
    run(conversation)
    conversation.receive_eof()
    conversation.receive_streams(Streams(closed=True, fed=0))
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == Unread(bytes(REPORTED_LIMIT), size)


@pytest.mark.parametrize("both", [True, False])
def test_a_send_to_a_client_that_is_seen_and_has_closed(both: bool) -> None:
    """It is the reset, as in 0.7, whether the server has closed or not."""
    conversation, _ = converse(*([hang_up()] if both else []), send(b"Hello"))
    conversation.receive_eof()
    conversation.receive_streams(Streams(closed=True, fed=0))
    action = run(conversation) if both else conversation.next_action()
    if not both:
        assert action == send(b"Hello")
        conversation.refuse()
    assert conversation.failure is not None
    assert conversation.failure.problem == WasReset()
    assert conversation.failure.step == send(b"Hello")


def test_a_send_that_is_overtaken_by_the_close() -> None:
    """The client left early: the next expectation says what it has not read."""
    conversation, (first, second, _) = converse(send(b"Hola!"), send(b"Adios!"), hang_up())
    conversation.next_action()
    conversation.perform()
    conversation.next_action()
    conversation.refuse(overtaken=True)
    assert (first.done, second.done) == (True, True)
    assert conversation.next_action() is RECEIVE
    conversation.receive_reset()
    conversation.receive_streams(Streams(closed=True, fed=0))
    assert conversation.next_action() is DONE
    assert conversation.failure is not None
    assert conversation.failure.problem == Unread(b"Hola!Adios!", 11)


def test_a_long_send_that_is_overtaken_by_the_close() -> None:
    """The client has taken some of it: the send has failed."""
    conversation, _ = converse(send(b"x" * 100))
    conversation.next_action()
    conversation.accept(60)
    conversation.refuse(overtaken=True)
    assert conversation.failure is not None
    assert conversation.failure.problem == WasReset(unread=60)


# A wrong answer is received for the report


def test_what_comes_after_the_first_wrong_byte_is_in_the_failure() -> None:
    """It is known at once that it is wrong; what follows is only for the report."""
    conversation, _ = converse(read(b"Hello"), read(b"x"))
    conversation.receive_data(b"He")
    assert conversation.next_action() is RECEIVE
    conversation.receive_data(b"a")
    assert conversation.next_action() is CONCLUDE
    assert conversation.failure is None
    conversation.receive_data(b"ven")
    conversation.receive_eof()
    assert conversation.next_action() is CONCLUDE
    conversation.conclude()
    assert conversation.failure == Failure(
        differs(b"Hello", b"Heave", b"Heaven"),
        read(b"Hello"),
        ScriptView(ahead=(read(b"x"),)),
        1,
        SERVER,
    )
    assert conversation.next_action() is DONE


def test_a_conclusion_is_drawn_once() -> None:
    """What comes later does not change the failure."""
    conversation, _ = converse(read(b"Hello"))
    conversation.receive_data(b"X")
    run(conversation)
    conversation.conclude()
    failure = conversation.failure
    conversation.receive_data(b"Y")
    conversation.conclude()
    assert conversation.failure is failure is not None


def test_how_much_of_a_wrong_answer_is_received() -> None:
    """Up to 64 KiB, however long the expectation is."""
    conversation, _ = converse(read(b"Hello"))
    conversation.receive_data(b"X" * (REPORTED_LIMIT - 1))
    run(conversation)
    assert not conversation.full
    conversation.receive_data(b"X")
    assert conversation.full
    assert REPORTED_LIMIT == 65536


# How much is kept


@pytest.mark.parametrize("steps", [[], [connect()], [send(b"a")], [disconnect()]])
def test_how_much_is_kept_that_nobody_expects(steps: list[Step]) -> None:
    """Up to 1 MiB; then the client has to wait until a step expects it."""
    conversation, _ = converse(*steps)
    conversation.receive_data(bytes(UNEXPECTED_LIMIT - 1))
    assert not conversation.full
    conversation.receive_data(b"\0")
    assert conversation.full
    assert UNEXPECTED_LIMIT == 1048576


def test_what_is_expected_has_no_limit() -> None:
    """A frame may be larger than what is kept without being expected."""
    conversation, (handle,) = converse(frame(bytes(2 * UNEXPECTED_LIMIT)))
    wire = framed(bytes(2 * UNEXPECTED_LIMIT))
    conversation.receive_data(wire[:-1])
    assert conversation.next_action() is RECEIVE
    assert not conversation.full
    conversation.receive_data(wire[-1:])
    assert conversation.next_action() is IDLE
    assert handle.done


def test_exact_bytes_are_not_kept() -> None:
    """What has been judged right is dropped: memory does not grow with the expectation."""
    expected = bytes(range(256)) * 1024
    conversation, (handle,) = converse(read(expected))
    for start in range(0, len(expected), 1000):
        conversation.receive_data(expected[start : start + 1000])
        run(conversation)
        assert len(conversation._buffer) == 0
    assert handle.received == expected


# Where the script stands


@pytest.mark.parametrize(
    ("step", "data", "received"),
    [
        (read(b"Hello"), b"", b""),
        (read(b"Hello"), b"Hel", b"Hel"),
        (frame(b"Hello"), b"\0\0", b"\0\0"),
        (hang_up(), b"", b""),
        (send(b"x"), b"abc", b""),
        (connect(), b"", b""),
    ],
)
def test_where_a_script_stands(step: Step, data: bytes, received: bytes) -> None:
    """At its current step, with what has come for it, however it was cut."""
    for pieces in every_cut(data):
        conversation, _ = converse(step)
        for piece in pieces:
            conversation.receive_data(piece)
            conversation.next_action()
        assert conversation.standing() == Standing(SERVER, step, received)


def test_a_script_that_is_done_stands_nowhere() -> None:
    """There is nothing that it waits for."""
    conversation, _ = converse()
    assert conversation.standing() is None


# Another connection


@pytest.mark.parametrize("waiting", [None, read(b"a", 1)])
def test_another_connection_than_expected(waiting: Step | None) -> None:
    """It is a failure of the step that is current; the one that was current then is named."""
    conversation, _ = converse(read(b"a", 1), hang_up(2), send(b"b", 3))
    conversation.receive_data(b"a")
    run(conversation)
    conversation.meet_another(2, waiting)
    assert conversation.failure == Failure(
        ExtraConnection(2, waiting or hang_up(2), scripted=True),
        hang_up(2),
        ScriptView(done=(read(b"a", 1),), ahead=(send(b"b", 3),)),
        1,
        SERVER,
    )


def test_a_client_that_blocks_the_event_loop() -> None:
    """It waits in vain, at the step that is current."""
    conversation, _ = converse(read(b"a", 1), hang_up(2))
    conversation.fail_blocked()
    assert conversation.failure == Failure(
        Blocked(), read(b"a", 1), ScriptView(ahead=(hang_up(2),)), 1, SERVER
    )


# The end


def test_a_client_may_close_after_the_test() -> None:
    """At the end the server waits for the client to close."""
    conversation, (handle,) = converse(end())
    assert conversation.next_action() is RECEIVE
    conversation.receive_eof()
    assert conversation.next_action() is IDLE
    assert handle.done


@pytest.mark.parametrize(
    ("data", "eof", "unexpected", "left_open", "problem"),
    [
        (b"", True, True, True, None),
        (b"", False, True, False, None),
        (b"x", True, False, True, None),
        (b"x", False, False, False, None),
        (b"x", True, True, True, LeftBytes(b"x")),
        (b"x", False, True, False, LeftBytes(b"x")),
        (b"x", True, True, False, LeftBytes(b"x")),
    ],
)
def test_what_is_there_at_the_end(
    data: bytes, eof: bool, unexpected: bool, left_open: bool, problem: Problem | None
) -> None:
    """What had come before the end of the test was declared is judged by the checks alone."""
    conversation, _ = converse(patience=1.0)
    if data:
        conversation.receive_data(data)
    if eof:
        conversation.receive_eof()
    run(conversation)
    conversation.add(Handle(end(unexpected=unexpected, left_open=left_open), Recorder()))
    if run(conversation) is CONCLUDE:
        conversation.conclude()
    assert (conversation.failure and conversation.failure.problem) == problem


def test_dropping_steps() -> None:
    """Steps that are not done can be dropped, and it is known whether there were any."""
    conversation, (first, second) = converse(read(b"a"), read(b"b"))
    conversation.receive_data(b"a")
    run(conversation)
    assert conversation.abandon() is True
    assert conversation.next_action() is IDLE
    assert (first.done, second.done) == (True, False)
    assert conversation.abandon() is False


# What a failure keeps of the script


def test_a_failure_keeps_the_steps_around_it() -> None:
    """Ten before and ten after, and the number of those left out."""
    steps = [read(b"%02d" % number, number) for number in range(30)]
    conversation, _ = converse(*steps)
    conversation.receive_data(b"".join(b"%02d" % number for number in range(14)))
    run(conversation)
    conversation.time_out()
    assert STEPS_SHOWN == 10
    assert conversation.failure == Failure(
        TimedOut(b""),
        steps[14],
        ScriptView(tuple(steps[4:14]), tuple(steps[15:25]), done_before=4, ahead_after=5),
        1,
        SERVER,
    )


def test_a_failure_keeps_up_to_ten_steps_in_full() -> None:
    """With ten steps on either side nothing is left out."""
    steps = [read(b"%02d" % number, number) for number in range(21)]
    conversation, _ = converse(*steps)
    conversation.receive_data(b"".join(b"%02d" % number for number in range(10)))
    run(conversation)
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.script == ScriptView(tuple(steps[:10]), tuple(steps[11:]), 0, 0)


def test_a_failure_knows_when_its_steps_were_done() -> None:
    """By the driver's clock, when something happened last; and how long the last one waited."""
    conversation, _ = converse(read(b"a"), send(b"b"), read(b"c"))
    for time, data in ((10.0, b"a"), (12.5, b"")):
        conversation.see(time)
        conversation.receive_data(data)
        run(conversation)
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.times == Times((10.0, 10.0), 12.5, 2.5)


def test_a_failure_that_has_not_waited() -> None:
    """The clock is looked at when a step has been declared, or may go on: its time begins then."""
    conversation, _ = converse()
    conversation.see(10.0)
    for declare in (lambda: conversation.add(Handle(read(b"a"), Recorder())), conversation.release):
        declare()
        times = conversation.times()
        assert times is not None
        assert times.waited == 0.0
        conversation.see(20.0)
        conversation.see(21.0)
        times = conversation.times()
        assert times is not None
        assert times.waited == 1.0


def test_the_reply_of_a_rule_does_not_shorten_the_waiting() -> None:
    """The time of the step that it came before runs on."""
    script = Recorder()
    script.whenever(b"PING", b"PONG")
    conversation, _ = converse(read(b"x"))
    conversation.add_rule(script.rules[0])
    conversation.see(10.0)
    conversation.see(15.0)
    conversation.receive_data(b"PING")
    run(conversation)
    conversation.see(17.0)
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.times == Times((15.0,), 17.0, 7.0)


def test_a_step_that_was_declared_while_a_reply_is_sent() -> None:
    """Its time begins then."""
    script = Recorder()
    script.whenever(b"PING", b"PONG")
    conversation, _ = converse()
    conversation.add_rule(script.rules[0])
    conversation.see(10.0)
    conversation.receive_data(b"PING")
    conversation.next_action()
    conversation.add(Handle(read(b"x"), Recorder()))
    conversation.see(12.0)
    run(conversation)
    conversation.see(13.0)
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.times is not None
    assert conversation.failure.times.waited == 1.0


def test_a_failure_does_not_show_what_the_server_declared_itself() -> None:
    """The end of the test is none of the steps that were not reached."""
    conversation, _ = converse(read(b"a"), send(b"b"), end())
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.script == ScriptView(ahead=(send(b"b"),))


def test_a_failure_ends_the_script() -> None:
    """Nothing is done any more, nothing is waited for, and a stage is over."""
    conversation, (first, second) = converse(read(b"a"), send(b"b"))
    stage = conversation.stage
    conversation.time_out()
    assert conversation.stage > stage
    assert conversation.last is None
    assert conversation.standing() is None
    conversation.receive_data(b"a")
    assert conversation.next_action() is DONE
    assert (first.done, second.done) == (False, False)


@pytest.mark.parametrize(
    ("problem", "only"),
    [
        (Ended(b"", None, False), True),
        (WasReset(), True),
        (Unread(b"x", 1), True),
        (NotSent(b"x"), True),
        (NotClosed(collected=False), False),
        (NotWaited(), False),
        (TimedOut(b""), False),
        (differs(b"a", b"b", b"b"), False),
        (NotADisconnect(b"x"), False),
        (SendStalled(0, 1), False),
        (ExtraConnection(2, None, True), False),
        (LeftBytes(b"x"), False),
        (LeftOpen(), False),
        (Broken("It broke"), False),
    ],
)
def test_failures_that_are_only_the_end_of_the_connection(problem: Problem, only: bool) -> None:
    """A client that closes while its test is failing already is known by its failure."""
    assert Failure(problem).only_the_end is only


def test_the_words_for_what_there_is_to_do() -> None:
    """A driver that logs its signals can be understood."""
    assert [repr(signal) for signal in (RECEIVE, IDLE, CONCLUDE, DONE)] == [
        "<Signal: wait for the client>",
        "<Signal: wait for the client, or for the next step to be declared>",
        "<Signal: receive what is there already, for the report; then conclude()>",
        "<Signal: nothing any more>",
    ]


# What must not depend on the moment


def test_a_limit_that_passes_while_a_wrong_answer_is_read() -> None:
    """The answer is wrong, not late."""
    conversation, _ = converse(read(b"Hello"))
    conversation.receive_data(b"X")
    assert conversation.next_action() is CONCLUDE
    assert conversation.limit is None
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.problem == differs(b"Hello", b"X", b"X")


def test_a_connection_too_many_while_a_wrong_answer_is_read() -> None:
    """What has arrived on the expected connection goes first."""
    conversation, _ = converse(hang_up())
    conversation.receive_data(b"X")
    assert conversation.next_action() is CONCLUDE
    conversation.meet_another(2, None)
    assert conversation.failure is not None
    assert conversation.failure.problem == NotADisconnect(b"X")


def test_a_script_that_is_dropped_while_a_wrong_answer_is_read() -> None:
    """It is a failure all the same."""
    conversation, _ = converse(read(b"Hello"))
    conversation.receive_data(b"X")
    assert conversation.next_action() is CONCLUDE
    assert conversation.abandon() is False
    assert conversation.failure is not None
    assert conversation.failure.problem == differs(b"Hello", b"X", b"X")


def test_the_first_failure_stays() -> None:
    """Whatever is said afterwards."""
    conversation, _ = converse(read(b"Hello"))
    conversation.time_out()
    first = conversation.failure
    conversation.receive_data(b"X")
    conversation.time_out()
    conversation.meet_another(2, None)
    conversation.conclude()
    conversation.refuse()
    assert conversation.failure is first


def test_nothing_can_be_sent_when_both_have_closed() -> None:
    """The bytes are not given to a stream that takes none; to close again is nothing."""
    conversation, handles = converse(hang_up(), send(b"late"))
    conversation.receive_eof()
    assert conversation.next_action() is HANG_UP
    conversation.perform()
    assert conversation.next_action() is DONE
    assert conversation.failure is not None
    assert conversation.failure.problem == NotSent(b"late")
    assert [handle.done for handle in handles] == [True, False]


def test_to_disconnect_when_both_have_closed_is_nothing() -> None:
    """The server has done it already."""
    conversation, handles = converse(hang_up(), disconnect())
    conversation.receive_eof()
    run(conversation)
    assert [handle.done for handle in handles] == [True, True]
    assert conversation.failure is None


def test_bytes_after_the_end_are_dropped_if_they_may_come() -> None:
    """So that a client which has more to say can come to its end."""
    conversation, (handle,) = converse(end(unexpected=False))
    conversation.receive_data(bytes(UNEXPECTED_LIMIT))
    assert conversation.full
    assert conversation.next_action() is RECEIVE
    assert not conversation.full
    conversation.receive_eof()
    assert conversation.next_action() is IDLE
    assert handle.done


# TLS


def shaking(*, fails: bool = False) -> tuple[Conversation, list[Handle[Any]]]:
    """A conversation in the middle of a handshake, which began in mid-script."""
    conversation, handles = converse(connect(), start_tls(fails=fails), read(b"Hello"))
    conversation.connect()
    assert conversation.next_action() is handles[1]._step
    conversation.begin_handshake()
    assert conversation.next_action() is RECEIVE
    return conversation, handles


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("happens", "problem"),
    [
        (Conversation.end_handshake, HandshakePassed()),
        (Conversation.receive_eof, HandshakeFailed("closed")),
        (Conversation.receive_reset, HandshakeFailed("reset")),
        (Conversation.refuse, HandshakeFailed("reset")),
        (
            lambda conversation: conversation.receive_tls_error("unknown ca"),
            HandshakeFailed("unknown ca"),
        ),
    ],
)
def test_how_a_handshake_ends(fails: bool, happens: Any, problem: Problem) -> None:
    """It succeeds or fails, and one of the two is what the script says."""
    conversation, handles = shaking(fails=fails)
    happens(conversation)
    action = conversation.next_action()
    if fails is isinstance(problem, HandshakePassed):
        assert action is DONE
        assert conversation.failure is not None
        assert conversation.failure.problem == problem
        assert conversation.failure.step is handles[1]._step
    else:
        assert action is (HANG_UP if fails else RECEIVE)
        assert [handle.done for handle in handles] == [True, True, False]


def test_plain_text_before_a_handshake() -> None:
    """Whether it must fail or not."""
    for fails in (False, True):
        conversation, _ = shaking(fails=fails)
        conversation.receive_tls_error("plain text", received=b"Hello")
        assert conversation.next_action() is DONE
        assert conversation.failure is not None
        assert conversation.failure.problem == NotEncrypted(b"Hello")


@pytest.mark.parametrize(
    ("fails", "problem"),
    [(False, HandshakeFailed("timed out")), (True, HandshakePassed(timed_out=True))],
)
def test_a_handshake_that_takes_too_long(fails: bool, problem: Problem) -> None:
    """Its limit is that of its step."""
    conversation, _ = shaking(fails=fails)
    assert conversation.limit == 1.0
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.problem == problem


def test_the_handshake_of_a_new_connection_has_a_limit_of_its_own() -> None:
    """The client is connected when it is done."""
    conversation, (connected, _) = converse(connect(), read(b"Hello"))
    stage = conversation.stage
    conversation.begin_handshake()
    assert conversation.stage != stage
    assert conversation.next_action() is RECEIVE
    assert not connected.done
    conversation.end_handshake()
    assert conversation.next_action() is RECEIVE
    assert connected.done


def test_tls_fails_after_the_handshake() -> None:
    """Whatever the script is at."""
    conversation, _ = shaking()
    conversation.end_handshake()
    conversation.next_action()
    conversation.receive_tls_error("wrong version number")
    assert conversation.failure is not None
    assert conversation.failure.problem == TlsFailed("wrong version number")


@pytest.mark.parametrize("clean", [True, False])
def test_a_connection_is_cut(clean: bool) -> None:
    """It may be, if the script does not want it closed cleanly."""
    conversation, (handle,) = converse(replace(hang_up(), clean=clean))
    conversation.receive_eof(cut=True)
    run(conversation)
    assert handle.done is not clean
    assert (conversation.failure is not None) is clean
    if conversation.failure is not None:
        assert conversation.failure.problem == CutOff()
        assert conversation.failure.only_the_end


@pytest.mark.parametrize("ending", ["error", "eof"])
def test_a_handshake_is_abandoned(ending: str) -> None:
    """When the test is over and does not want steps to be waited for, nothing comes of it."""
    conversation, _ = shaking()
    assert conversation.abandon()
    conversation.add(Handle(end(), Recorder()))
    assert conversation.next_action() is RECEIVE
    if ending == "error":
        conversation.receive_tls_error("unknown ca")
    else:
        conversation.receive_eof()
    run(conversation)
    assert conversation.failure is None


def test_tls_is_started_once() -> None:
    """On a connection that is not encrypted, nor will be."""
    with pytest.raises(ScriptError, match="on a connection that is encrypted already"):
        converse(connect(), start_tls(), start_tls())
    with pytest.raises(ScriptError, match=r"start_tls\(\) cannot follow disconnect\(\)"):
        converse(connect(), disconnect(), start_tls())


def test_tls_cannot_be_started_when_both_have_closed() -> None:
    """There is nobody to start it with."""
    conversation, _ = converse(hang_up(), start_tls())
    conversation.receive_eof()
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == NotSent(None)


@pytest.mark.parametrize("data", [b"", b"Hello"])
def test_no_bytes_at_all(data: bytes) -> None:
    """A count that turns out to be zero comes true at once, and takes nothing."""
    script = Recorder()
    script.expect_count(lambda: 0)
    script.expect_bytes(b"Hello")
    conversation, handles = converse(*script.steps)
    if data:
        conversation.receive_data(data)
    assert conversation.next_action() is (IDLE if data else RECEIVE)
    assert handles[0].received == b""
    assert handles[1].done == bool(data)


def test_no_bytes_are_not_what_was_expected() -> None:
    """The content is judged as any other."""
    script = Recorder()
    script.expect_count(lambda: 0, lambda data: False)
    conversation, _ = converse(*script.steps)
    assert conversation.next_action() is CONCLUDE
    conversation.conclude()
    assert conversation.failure is not None
    assert isinstance(conversation.failure.problem, Differs)
    assert conversation.failure.problem.received == b""
