"""Background rules, under every way in which bytes can be cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from helpers import (
    EOF,
    RESET,
    SERVER,
    Played,
    Recorder,
    converse,
    end,
    every_cut,
    hang_up,
    play,
    read,
    run,
    send,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Client, clients
from test_conversation_words import EXAMPLES, hold_every_cut

from pytest_tcpclient import any_of, count, line
from pytest_tcpclient._conversation import DONE, IDLE, RECEIVE, UNEXPECTED_LIMIT
from pytest_tcpclient._failure import (
    Differs,
    Ended,
    Failure,
    LeftBytes,
    LeftOpen,
    NotADisconnect,
    NotSent,
    NotSilent,
    Problem,
    Raised,
    ScriptView,
    SendStalled,
    TimedOut,
    WasReset,
)
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._matchers import Mismatch
from pytest_tcpclient._steps import Send, Step

Declare = Callable[[Recorder], object]

PING = line(b"PING")
PONG = b"PONG\n"


def answers(script: Recorder) -> None:
    """A heartbeat."""
    script.whenever(PING, PONG)


def replay(
    declare: Declare,
    pieces: Sequence[bytes],
    ending: str | None = None,
    steps: Sequence[Step] = (),
) -> Played:
    """Play a script with its rules, and perhaps these steps."""
    script = Recorder()
    declare(script)
    return play([*script.steps, *steps], pieces, ending, script.rules)


def sent(played: Played) -> list[bytes]:
    return [step.data for step in played.performed if isinstance(step, Send)]


class Case(NamedTuple):
    """A script with rules, a client, what is sent, how often each rule has applied."""

    declare: Declare
    data: bytes
    sent: Sequence[bytes]
    counts: Sequence[int]
    ending: str | None = None
    steps: Sequence[Step] = ()
    problem: Problem | None = None


CASES = {
    "without a script": Case(answers, b"PING\nPING\n", [PONG, PONG], [2]),
    "without an answer": Case(lambda s: s.whenever(PING), b"PING\n", [], [1]),
    "with an answer of what came": Case(
        lambda s: s.whenever(line(bytes.isdigit), lambda number: b"<" + number + b">"),
        b"1\n23\n", [b"<1>", b"<23>"], [2],
    ),
    "with an answer now and then": Case(
        lambda s: s.whenever(count(1), lambda byte: byte if byte == b"a" else None),
        b"abab", [b"a", b"a"], [4],
    ),
    "before a step": Case(answers, b"PING\nGO", [PONG], [1], None, [read(b"GO")]),
    "between steps": Case(
        answers, b"aPING\nPING\nb", [PONG, PONG, b"x"], [2], None,
        [read(b"a"), read(b"b"), send(b"x")],
    ),
    "after the steps": Case(answers, b"aPING\n", [PONG], [1], None, [read(b"a")]),
    "not in the middle of a step": Case(
        answers, b"aPING\n", [], [0], None, [read(b"aa")],
        Differs(Mismatch(b"aa", b"aP"), b"aPING\n"),
    ),
    "an expectation that matches wins": Case(
        answers, b"PING\nPING\n", [PONG], [1], None, [read(b"PING\n")]
    ),
    "an expectation that could match is waited for": Case(
        answers, b"PING\n", [], [0], EOF, [read(b"PING\nPING\n")],
        Ended(b"PING\n", None, False),
    ),
    "an expectation that could have matched": Case(
        answers, b"PING\nPONG\n", [PONG], [1], None, [read(b"PING\nPING\n")],
        Differs(Mismatch(b"PING\nPING\n", b"PONG\n"), b"PONG\n"),
    ),
    "the first of two rules": Case(
        lambda s: (s.whenever(b"PING", b"1"), s.whenever(line(b"PING"), b"2")),
        b"PING", [b"1"], [1, 0],
    ),
    "the second of two rules": Case(
        lambda s: (s.whenever(b"PING now", b"1"), s.whenever(b"PING", b"2")),
        b"PINGPING nowPINGx", [b"2", b"1", b"2"], [1, 2], None, [read(b"x")],
    ),
    "before an optional step": Case(
        lambda s: (answers(s), s.expect_bytes(b"a", optional=True), s.expect_bytes(b"b")),
        b"PING\nb", [PONG], [1],
    ),
    "before an optional step that comes": Case(
        lambda s: (answers(s), s.expect_bytes(b"a", optional=True), s.expect_bytes(b"b")),
        b"PING\naPING\nb", [PONG, PONG], [2],
    ),
    "before a disconnect": Case(answers, b"PING\n", [PONG], [1], EOF, [hang_up()]),
    "before a disconnect that is none": Case(
        answers, b"PING\nPONG", [PONG], [1], EOF, [hang_up()], NotADisconnect(b"PONG")
    ),
    "half of it before a disconnect": Case(
        answers, b"PI", [], [0], EOF, [hang_up()], NotADisconnect(b"PI")
    ),
    "before a reset": Case(answers, b"PING\n", [PONG], [1], RESET, [hang_up()], WasReset(5)),
    "before an optional disconnect": Case(
        lambda s: (answers(s), s.expect_disconnect(optional=True), s.expect_bytes(b"a")),
        b"PING\na", [PONG], [1],
    ),
    "in a silence": Case(lambda s: (answers(s), s.expect_nothing(5)), b"PING\n", [PONG], [1], EOF),
    "in a silence that is broken": Case(
        lambda s: (answers(s), s.expect_nothing(5)), b"PING\nx", [PONG], [1], None, (),
        NotSilent(b"x"),
    ),
    "at the end": Case(answers, b"PING\n", [PONG], [1], EOF, [end()]),
    "at the end, with bytes left": Case(
        answers, b"PING\nPONG", [PONG], [1], EOF, [end()], LeftBytes(b"PONG")
    ),
    "at the end, with half of it left": Case(
        answers, b"PING\nPI", [PONG], [1], EOF, [end()], LeftBytes(b"PI")
    ),
    "at the end, when bytes may be left": Case(
        answers, b"PING\nPIPING\n", [PONG], [1], EOF, [end(unexpected=False)]
    ),
    "beside a frame that is wrong": Case(
        answers, b"PONG\n", [], [0], None, [read(b"GO")],
        Differs(Mismatch(b"GO", b"PO"), b"PONG\n"),
    ),
    "any of several": Case(
        lambda s: s.whenever(any_of(b"a", b"b"), lambda what: what.upper()),
        b"ab", [b"A", b"B"], [2],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_answered_in_the_background(case: Case) -> None:
    """However the bytes are cut, the same is answered, and comes to the same verdict."""
    for pieces in every_cut(case.data):
        played = replay(case.declare, pieces, case.ending, case.steps)
        assert (played.failure and played.failure.problem) == case.problem
        assert sent(played) == [*case.sent]
        assert played.counts == [*case.counts]
        assert case.problem or all(
            done or skipped for done, skipped in zip(played.done, played.skipped, strict=True)
        )


# In time


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([], LeftBytes(b"PI")),
        ([hang_up()], NotADisconnect(b"PI")),
        ([read(b"GO")], Differs(Mismatch(b"GO", b"PI"), b"PI")),
        ([end()], LeftBytes(b"PI")),
        ([end(left_open=False)], LeftBytes(b"PI")),
        ([end(unexpected=False)], LeftOpen()),
        ([read(b"PIT")], TimedOut(b"PI")),
    ],
)
def test_half_of_what_a_rule_answers(steps: list[Step], problem: Problem) -> None:
    """It is waited for; when the time has passed it is something that nobody expected."""
    for pieces in every_cut(b"PI"):
        played = replay(answers, pieces, None, steps)
        assert played.failure is None
        assert played.conversation.limit == 1.0
        played.conversation.time_out()
        assert played.conversation.failure is not None
        assert played.conversation.failure.problem == problem
        assert played.conversation.next_action() is DONE


def test_half_of_what_a_rule_answers_at_an_end_at_which_all_may_be_left() -> None:
    """It is waited for, and then it may be left."""
    script = Recorder()
    answers(script)
    conversation, _ = converse(patience=1.0)
    conversation.add_rule(script.rules[0])
    conversation.receive_data(b"PI")
    assert conversation.next_action() is IDLE
    over: Handle[None] = Handle(end(unexpected=False, left_open=False), Recorder())
    conversation.add(over)
    assert conversation.next_action() is RECEIVE
    conversation.time_out()
    assert over.done
    assert conversation.failure is None


def test_half_of_what_a_rule_answers_in_a_silence() -> None:
    """It breaks the silence when that is over."""
    played = replay(lambda s: (answers(s), s.expect_nothing(5)), [b"PI"])
    assert played.failure is None
    played.conversation.time_out()
    assert played.conversation.failure is not None
    assert played.conversation.failure.problem == NotSilent(b"PI")


@pytest.mark.parametrize("word", ["expect_bytes", "expect_disconnect"])
def test_half_of_what_a_rule_answers_before_an_optional_step(word: str) -> None:
    """When the time has passed the step is skipped, and the next one has what came."""

    def declare(script: Recorder) -> None:
        answers(script)
        if word == "expect_bytes":
            script.expect_bytes(b"GO", optional=True)
        else:
            script.expect_disconnect(optional=True)
        script.expect_bytes(b"PIT")

    played = replay(declare, [b"PI"])
    assert played.skipped == [False, False]
    conversation = played.conversation
    conversation.time_out()
    assert conversation.failure is None
    conversation.receive_data(b"T")
    assert run(conversation) is IDLE


# The order of things


def test_a_reply_does_not_prolong_the_current_step() -> None:
    """Its stage goes on when the reply has been sent, which has a limit of its own."""
    script = Recorder()
    answers(script)
    conversation, _ = converse(read(b"GO"), patience=1.0)
    conversation.add_rule(script.rules[0])
    stage = conversation.stage
    conversation.receive_data(b"PING\n")
    action = conversation.next_action()
    assert isinstance(action, Send)
    assert (action.word, action.data) == ("whenever", PONG)
    assert conversation.stage != stage
    assert conversation.limit == 1.0
    assert conversation.current is action
    conversation.perform()
    assert conversation.stage == stage
    assert conversation.next_action() is RECEIVE


def test_a_step_that_is_declared_while_a_reply_is_sent() -> None:
    """Its limit begins when the reply has been sent."""
    script = Recorder()
    answers(script)
    conversation, _ = converse(patience=1.0)
    conversation.add_rule(script.rules[0])
    conversation.receive_data(b"PING")
    assert conversation.next_action() is IDLE
    idle = conversation.stage
    conversation.receive_data(b"\n")
    assert isinstance(conversation.next_action(), Send)
    replying = conversation.stage
    handles: list[Handle[bytes]] = [Handle(read(data), Recorder()) for data in (b"a", b"b")]
    assert [conversation.add(handle) for handle in handles] == [False, False]
    assert conversation.stage == replying
    conversation.perform()
    stage = conversation.stage
    assert stage not in (idle, replying)
    conversation.receive_data(b"ab")
    assert run(conversation) is IDLE
    assert conversation.stage not in (stage, idle, replying)
    assert [handle.done for handle in handles] == [True, True]


def test_a_reply_that_the_client_does_not_read() -> None:
    """It is a failure of the rule."""
    script = Recorder()
    answers(script)
    conversation, _ = converse(read(b"GO"))
    conversation.add_rule(script.rules[0])
    conversation.receive_data(b"PING\n")
    reply = conversation.next_action()
    conversation.accept(2)
    conversation.time_out()
    assert conversation.failure == Failure(
        SendStalled(2, 5), reply, ScriptView(ahead=(read(b"GO"),)), 1, SERVER
    )


def test_a_reply_to_a_client_that_is_gone() -> None:
    """It is a failure of the rule, as a send is one of the script."""
    script = Recorder()
    script.whenever(b"a", b"b")
    conversation, _ = converse(hang_up())
    conversation.add_rule(script.rules[0])
    conversation.receive_eof()
    run(conversation)
    conversation.receive_data(b"a")
    assert run(conversation) is DONE
    assert conversation.failure is not None
    assert conversation.failure.problem == NotSent(b"b")


def test_a_reply_that_is_dropped_while_it_is_sent() -> None:
    """The end of the test begins afresh."""
    script = Recorder()
    answers(script)
    conversation, _ = converse(read(b"GO"))
    conversation.add_rule(script.rules[0])
    conversation.receive_data(b"PING\n")
    assert isinstance(conversation.next_action(), Send)
    assert conversation.abandon() is True
    over: Handle[None] = Handle(end(), Recorder())
    assert conversation.add(over) is True
    conversation.perform()
    assert not over.done
    conversation.receive_eof()
    assert conversation.next_action() is IDLE
    assert over.done


def test_a_rule_applies_while_a_step_waits_for_another_connection() -> None:
    """What the step could have taken is taken by the rule."""
    script = Recorder()
    script.whenever(b"a", b"b")
    conversation, _ = converse()
    conversation.add_rule(script.rules[0])
    other: Handle[bytes] = Handle(read(b"first"), Recorder())
    handle: Handle[bytes] = Handle(read(b"a"), Recorder(), after=other)
    conversation.add(handle)
    conversation.receive_data(b"a")
    action = conversation.next_action()
    assert isinstance(action, Send)
    conversation.perform()
    assert conversation.next_action() is IDLE
    assert not handle.done


def test_a_rule_that_is_declared_when_its_bytes_are_there() -> None:
    """It applies to them, if no step has taken them."""
    script = Recorder()
    answers(script)
    conversation, _ = converse(patience=1.0)
    conversation.receive_data(b"PING\n")
    assert conversation.next_action() is IDLE
    conversation.add_rule(script.rules[0])
    assert isinstance(conversation.next_action(), Send)


def test_a_rule_that_is_declared_in_the_middle_of_a_step() -> None:
    """It does not apply to what the step has begun with."""
    script = Recorder()
    script.whenever(b"ab", b"x")
    conversation, (handle,) = converse(read(b"aa"))
    conversation.receive_data(b"a")
    assert conversation.next_action() is RECEIVE
    conversation.add_rule(script.rules[0])
    conversation.receive_data(b"b")
    run(conversation)
    conversation.conclude()
    assert conversation.failure is not None
    assert conversation.failure.problem == Differs(Mismatch(b"aa", b"ab"), b"ab")
    assert script.rules[0].count == 0
    assert not handle.done


def test_a_rule_that_is_stopped() -> None:
    """It applies no more, and the others do."""
    script = Recorder()
    first = script.whenever(b"a", b"1")
    second = script.whenever(any_of(b"a", b"b"), b"2")
    conversation, _ = converse(patience=1.0)
    for rule in script.rules:
        conversation.add_rule(rule)
    performed: list[Step] = []
    conversation.receive_data(b"a")
    run(conversation, performed)
    first.stop()
    conversation.receive_data(b"ab")
    run(conversation, performed)
    second.stop()
    conversation.receive_data(b"a")
    assert run(conversation, performed) is IDLE
    assert [step.data for step in performed if isinstance(step, Send)] == [b"1", b"2", b"2"]
    assert (first.count, second.count) == (1, 2)
    conversation.time_out()
    assert conversation.failure is not None
    assert conversation.failure.problem == LeftBytes(b"a")


def test_how_much_is_kept_for_a_rule() -> None:
    """As much as of what nobody expects."""
    script = Recorder()
    script.whenever(count(2 * UNEXPECTED_LIMIT))
    conversation, _ = converse()
    conversation.add_rule(script.rules[0])
    conversation.receive_data(bytes(UNEXPECTED_LIMIT))
    assert conversation.next_action() is IDLE
    assert conversation.full


# What goes wrong in a rule


def broken(received: object) -> bytes:
    raise LookupError(f"no answer to {received!r}")


@pytest.mark.parametrize(
    "declare",
    [
        lambda s: s.whenever(PING, broken),
        lambda s: s.whenever(line(broken)),
        lambda s: s.whenever(PING, lambda: broken(b"PING")),
    ],
)
@pytest.mark.parametrize("steps", [[], [read(b"GO")], [hang_up(), send(b"x")]])
def test_a_rule_that_raises(declare: Declare, steps: list[Step]) -> None:
    """Its error is the failure, of the rule and of no step."""
    for pieces in every_cut(b"PING\n"):
        played = replay(declare, pieces, None, steps)
        failure = played.failure
        assert failure is not None
        assert isinstance(failure.problem, Raised)
        assert repr(failure.problem.error) == repr(LookupError("no answer to b'PING'"))
        assert failure.step is not None
        assert failure.step.word == "whenever"
        assert failure.script.ahead == tuple(steps)
        assert played.signal is DONE
        assert played.done == [False] * len(steps)


# No cut of the input changes the verdict


@settings(deadline=None, max_examples=EXAMPLES)
@given(clients(optional=True, rules=True), st.data())
def test_no_cut_changes_what_is_answered_in_the_background(
    client: Client, data: st.DataObject
) -> None:
    """Whichever rules apply."""
    hold_every_cut(client, data)
