"""The rules of the words, under every way in which bytes can be cut."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from helpers import (
    EOF,
    FILE,
    RESET,
    SERVER,
    Recorder,
    comparable,
    converse,
    cut,
    disconnect,
    end,
    every_cut,
    hang_up,
    play,
    read,
    run,
    send,
    verdict,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Client, Palindrome, Twins, clients

from pytest_tcpclient import NEED_DATA, Matched, any_of, count, in_any_order, line
from pytest_tcpclient._conversation import (
    DONE,
    HANG_UP,
    IDLE,
    RECEIVE,
    UNEXPECTED_LIMIT,
)
from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._failure import (
    Differs,
    Ended,
    Failure,
    NotSent,
    NotSilent,
    Problem,
    Raised,
    ScriptView,
    TimedOut,
    WasReset,
)
from pytest_tcpclient._framings import Delimited, Incomplete, Netstring
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._matchers import Malformed, Mismatch, Outcome, Oversized
from pytest_tcpclient._steps import ExpectConnect, Place, Skipped, Step

Declare = Callable[[Recorder], object]


def steps_of(declare: Declare) -> list[Step]:
    """The steps that a script of the test has."""
    script = Recorder()
    declare(script)
    return script.steps


def problem_of(failure: Failure | None) -> Problem | None:
    return failure.problem if failure else None


class Passing(NamedTuple):
    """A client that does what the script says, and what the handles then have."""

    declare: Declare
    data: bytes
    received: Sequence[object]
    ending: str | None = None
    sent: Sequence[bytes] = ()


def echo(received: object) -> bytes:
    return repr(received).encode()


USER = re.compile(rb"USER (\w+)")

PASSING = {
    "any line": Passing(lambda s: s.expect_line(), b"Hello\n", [b"Hello"]),
    "a line": Passing(lambda s: s.expect_line(b"", newline=b"\r\n"), b"\r\n", [b""]),
    "a line of a pattern": Passing(
        lambda s: s.expect_line(USER), b"USER ann\n", [comparable(USER.fullmatch(b"USER ann"))]
    ),
    "lines and bytes": Passing(
        lambda s: (s.expect_line(b"a"), s.expect_bytes(b"b\n"), s.expect_line()),
        b"a\nb\n\n",
        [b"a", b"b\n", b""],
    ),
    "data up to a delimiter": Passing(lambda s: s.expect_until(b";;"), b"a;b;;", [b"a;b;;"]),
    "so many bytes": Passing(
        lambda s: (s.expect_count(3), s.expect_count(2, b"de")), b"abcde", [b"abc", b"de"]
    ),
    "a number, and twice as many bytes": Passing(
        lambda s: (s.expect_line(bytes.isdigit), s.expect_count(lambda size: 2 * int(size))),
        b"3\nHello!",
        [b"3", b"Hello!"],
    ),
    "frames": Passing(
        lambda s: (s.expect_frame(framing=Netstring()), s.expect_frame(framing=Twins())),
        b"2:ab,xx",
        [b"ab", ord("x")],
    ),
    "any of several": Passing(
        lambda s: (s.expect(any_of(b"QUIT now", b"QUIT")), s.expect(line())),
        b"QUIT\n",
        [b"QUIT", b""],
    ),
    "several in any order": Passing(
        lambda s: s.expect(in_any_order(b"a", line(b"b"), count(2))),
        b"b\nacd",
        [(b"a", b"b", b"cd")],
    ),
    "a matcher of the test": Passing(lambda s: s.expect(Palindrome()), b"aba", ["aba"]),
    "an answer of what was received": Passing(
        lambda s: (s.expect_line(), s.send_bytes(echo), s.expect_bytes(b"x"), s.send_line(echo)),
        b"Hello\nx",
        [b"Hello", None, b"x", None],
        None,
        [b"b'Hello'", b"b'x'\n"],
    ),
    "an answer before anything was received": Passing(
        lambda s: s.send_bytes(echo), b"", [None], None, [b"None"]
    ),
    "an answer of what was received before other steps": Passing(
        lambda s: (
            s.expect_line(),
            s.expect_bytes(b"no", optional=True),
            s.send_frame(echo, framing=Netstring()),
            s.expect_disconnect(),
        ),
        b"a\n",
        [b"a", None, None, None],
        EOF,
        [b"4:b'a',"],
    ),
    "bytes that are known later": Passing(
        lambda s: (s.expect_line(), s.expect_bytes(lambda name: b"bye " + name)),
        b"ann\nbye ann",
        [b"ann", b"bye ann"],
    ),
    "silence until the end": Passing(
        lambda s: (s.expect_line(), s.expect_nothing(5), s.expect_disconnect()),
        b"a\n",
        [b"a", None, None],
        EOF,
    ),
    "silence until a reset": Passing(lambda s: s.expect_nothing(5), b"", [None], RESET),
}


@pytest.mark.parametrize("case", PASSING.values(), ids=PASSING)
def test_a_client_that_does_as_the_script_says(case: Passing) -> None:
    """However the bytes are cut, the handles have what was sent, and the answers are right."""
    for pieces in every_cut(case.data):
        played = play(steps_of(case.declare), pieces, case.ending)
        assert played.failure is None
        assert played.received == [*case.received]
        assert [step.data for step in played.performed if hasattr(step, "data")] == [*case.sent]
        assert played.signal is IDLE


class Failing(NamedTuple):
    """A client that departs from the last step of the script."""

    declare: Declare
    data: bytes
    ending: str | None
    problem: Problem


def wrong(expected: object, actual: object, received: bytes) -> Differs:
    return Differs(Mismatch(expected, actual), received)


FAILING = {
    "another line": Failing(
        lambda s: s.expect_line(b"Hello"), b"Help\n!", None, wrong(b"Hello", b"Help", b"Help\n!")
    ),
    "no match": Failing(
        lambda s: s.expect_line(USER), b"QUIT\n", None, wrong(USER, b"QUIT", b"QUIT\n")
    ),
    "a line too long": Failing(
        lambda s: s.expect_line(limit=2), b"abc\n", EOF, Differs(Oversized(2), b"abc\n")
    ),
    "half a line": Failing(lambda s: s.expect_line(), b"abc", EOF, Ended(b"abc", None, False)),
    "no delimiter": Failing(
        lambda s: s.expect_until(b"ab"), b"a", RESET, Ended(b"a", None, True)
    ),
    "too few bytes": Failing(lambda s: s.expect_count(3), b"ab", EOF, Ended(b"ab", None, False)),
    "other bytes": Failing(
        lambda s: s.expect_count(2, b"ab"), b"acd", None, wrong(b"ab", b"ac", b"acd")
    ),
    "no twins": Failing(
        lambda s: s.expect_frame(framing=Twins()), b"xyz", None,
        Differs(Malformed("they are no twins"), b"xyz"),
    ),
    "half a netstring": Failing(
        lambda s: s.expect_frame(framing=Netstring()), b"3:ab", EOF,
        Ended(b"3:ab", Incomplete(2, 3, "payload"), False),
    ),
    "no netstring": Failing(
        lambda s: s.expect_frame(framing=Netstring()), b"", EOF, Ended(b"", None, False)
    ),
    "a netstring without an end": Failing(
        lambda s: s.expect_frame(framing=Netstring()), b"3:abc", RESET,
        Ended(b"3:abc", None, True),
    ),
    "a delimited frame too long": Failing(
        lambda s: s.expect_frame(framing=Delimited(limit=1)), b"abc", None,
        Differs(Oversized(1), b"abc"),
    ),
    "none of several": Failing(
        lambda s: s.expect(any_of(b"abc", line(b"b"))), b"abd\n", None,
        wrong(b"abc", b"abd", b"abd\n"),
    ),
    "none of several yet": Failing(
        lambda s: s.expect(any_of(b"abc", b"b")), b"ab", EOF, Ended(b"ab", None, False)
    ),
    "not several": Failing(
        lambda s: s.expect(in_any_order(b"a", line(b"b"))), b"b\nc", None,
        wrong(b"a", b"c", b"b\nc"),
    ),
    "no palindrome": Failing(
        lambda s: s.expect(Palindrome()), b"abcd", None, wrong("a palindrome", b"abcd", b"abcd")
    ),
    "bytes in a silence": Failing(
        lambda s: s.expect_nothing(1), b"abc", None, NotSilent(b"abc")
    ),
    "bytes in a silence, and the end": Failing(
        lambda s: s.expect_nothing(1), b"abc", RESET, NotSilent(b"abc")
    ),
    "a function without a client": Failing(
        lambda s: (s.expect_disconnect(), s.run(print)), b"", EOF, NotSent(None)
    ),
    "an answer without a client": Failing(
        lambda s: (s.expect_disconnect(), s.send_bytes(lambda: b"late")), b"", EOF, NotSent(b"late")
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_a_client_that_departs_from_the_script(case: Failing) -> None:
    """However the bytes are cut, the failure is the same, at the last step."""
    for pieces in every_cut(case.data):
        steps = steps_of(case.declare)
        played = play(steps, pieces, case.ending)
        assert problem_of(played.failure) == case.problem
        assert played.failure is not None
        assert played.failure.step is not None
        assert played.failure.step.place == steps[-1].place
        assert played.done == [True] * (len(steps) - 1) + [False]


@pytest.mark.parametrize(
    ("declare", "data"),
    [
        (lambda s: s.expect_line(), b"abc"),
        (lambda s: s.expect_until(b";"), b""),
        (lambda s: s.expect_count(3), b"ab"),
        (lambda s: s.expect_frame(framing=Netstring()), b"3:ab"),
        (lambda s: s.expect(any_of(b"abc", b"x")), b"ab"),
        (lambda s: s.expect(in_any_order(b"abc", b"x")), b"xab"),
        (lambda s: s.expect(Palindrome()), b"ab"),
        (lambda s: s.expect_bytes(lambda: b"abc"), b"ab"),
    ],
)
def test_a_client_that_does_too_little_in_time(declare: Declare, data: bytes) -> None:
    """When the time has passed the failure has all that came, however it was cut."""
    for pieces in every_cut(data):
        played = play(steps_of(declare), pieces)
        assert played.failure is None
        assert played.conversation.limit == 1.0
        standing = played.conversation.standing()
        assert standing is not None
        assert standing.received == data
        played.conversation.time_out()
        assert problem_of(played.conversation.failure) == TimedOut(data)


# Silence


def test_a_silence_that_lasts() -> None:
    """When the time has passed it has come true, and the script goes on."""
    conversation, handles = converse(*steps_of(lambda s: (s.expect_nothing(2), s.expect_line())))
    assert conversation.next_action() is RECEIVE
    assert conversation.limit == 2
    conversation.time_out()
    assert handles[0].done
    conversation.receive_data(b"a\n")
    assert run(conversation) is IDLE
    assert handles[1].received == b"a"


# What is known later


def test_a_step_is_decided_when_it_is_the_current_one() -> None:
    """And not before: what the function refers to may change until then."""
    answers = [b"old"]
    script = Recorder()
    script.expect_line()
    script.send_bytes(lambda: answers[-1])
    conversation, (_, handle) = converse(*script.steps)
    assert conversation.next_action() is RECEIVE
    answers.append(b"new")
    conversation.receive_data(b"a\n")
    action = conversation.next_action()
    assert getattr(action, "data", None) == b"new"
    assert handle._step is action
    answers.append(b"newer")
    assert conversation.next_action() is action


@pytest.mark.parametrize(
    ("declare", "error", "message"),
    [
        (lambda s: s.send_bytes(lambda: 1 // 0), ZeroDivisionError, None),
        (lambda s: s.expect_bytes(lambda: b""), ValueError, "data must not be empty"),
        (
            lambda s: s.send_bytes(lambda: "x"),
            TypeError,
            "data must be bytes, not str: write b'x' or encode it",
        ),
        (lambda s: s.expect_count(lambda: -1), ValueError, None),
        (
            lambda s: s.expect_count(lambda: 2, lambda: b"abc"),
            ValueError,
            "content must have n = 2 bytes, not 3",
        ),
        (lambda s: s.expect_until(lambda: b""), ValueError, "delimiter must not be empty"),
        (lambda s: s.send_line(lambda: b"a\n"), ValueError, None),
        (lambda s: s.send_bytes(lambda: pytest.fail("stop")), pytest.fail.Exception, "stop"),
    ],
)
def test_a_function_that_gives_nothing_good(
    declare: Declare, error: type[BaseException], message: str | None
) -> None:
    """What it raises, or what is wrong with its value, is the failure of its step."""
    steps = steps_of(declare)
    played = play(steps, [])
    assert played.failure is not None
    assert played.failure.step is steps[0]
    problem = played.failure.problem
    assert isinstance(problem, Raised)
    assert type(problem.error) is error
    assert message is None or str(problem.error) == message
    assert played.signal is DONE


def refuses(content: bytes) -> bool:
    raise LookupError(content)


class Faulty:
    """A matcher that is at fault itself, from so many bytes on."""

    def __init__(self, size: int, outcome: Any = None) -> None:
        self.size = size
        self.outcome = outcome

    def match(self, buffer: bytes) -> Any:
        if len(buffer) < self.size:
            return Mismatch("x", buffer)
        if self.outcome is None:
            raise LookupError(buffer)
        return self.outcome


@pytest.mark.parametrize(
    ("declare", "error"),
    [
        (lambda s: s.expect_line(refuses), LookupError),
        (lambda s: s.expect_line(lambda content: None), ScriptError),
        (lambda s: s.expect(any_of(b"x", count(1, refuses))), LookupError),
        (lambda s: s.expect(Faulty(1)), LookupError),
        (lambda s: s.expect(Faulty(2)), LookupError),
    ],
)
def test_a_function_that_cannot_decide(declare: Declare, error: type[BaseException]) -> None:
    """What a predicate or a matcher raises is the failure of its step, whenever it is asked."""
    for pieces in every_cut(b"a\n"):
        steps = steps_of(declare)
        played = play(steps, pieces)
        problem = problem_of(played.failure)
        assert isinstance(problem, Raised)
        assert type(problem.error) is error
        assert played.failure is not None
        assert played.failure.step is steps[0]


@pytest.mark.parametrize("outcome", [NEED_DATA, Matched(2, "x")])
def test_a_matcher_that_changes_its_mind(outcome: Outcome) -> None:
    """What it said first stands."""
    played = play(steps_of(lambda s: s.expect(Faulty(2, outcome))), [b"a", b"b"])
    assert problem_of(played.failure) == wrong("x", b"a", b"ab")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_whole_run(error: type[BaseException]) -> None:
    """It is no failure of a step, wherever it is raised."""

    def interrupts(*_: object) -> bytes:
        raise error

    class Interrupts:
        def __init__(self, at: int) -> None:
            self.at = at

        def match(self, buffer: bytes) -> Outcome:
            return Mismatch("x", buffer) if len(buffer) < self.at else interrupts()  # type: ignore[return-value]

    for declare in (
        lambda s: s.send_bytes(interrupts),
        lambda s: s.expect(Interrupts(1)),
        lambda s: s.expect(Interrupts(2)),
        lambda s: s.whenever(b"a", interrupts),
    ):
        script = Recorder()
        declare(script)  # type: ignore[no-untyped-call]
        with pytest.raises(error):
            play(script.steps, [b"a", b"b"], None, script.rules)


# Optional steps


class Optional(NamedTuple):
    """A client, and which steps are done; what becomes of it in the end."""

    declare: Declare
    data: bytes
    done: Sequence[bool]
    ending: str | None = None
    problem: Problem | None = None


OPTIONAL = {
    "it comes": Optional(
        lambda s: (s.expect_bytes(b"a", optional=True), s.expect_bytes(b"b")), b"ab", [True, True]
    ),
    "it does not come": Optional(
        lambda s: (s.expect_bytes(b"a", optional=True), s.expect_bytes(b"b")), b"b", [False, True]
    ),
    "it begins alike": Optional(
        lambda s: (s.expect_bytes(b"aab", optional=True), s.expect_bytes(b"aac")), b"aac",
        [False, True],
    ),
    "two of them": Optional(
        lambda s: (
            s.expect_line(b"a", optional=True), s.expect_line(b"b", optional=True), s.expect_line()
        ),
        b"c\n", [False, False, True],
    ),
    "the first of two": Optional(
        lambda s: (s.expect_line(b"a", optional=True), s.expect_line(b"b", optional=True)),
        b"a\n", [True, False], EOF,
    ),
    "a frame too long": Optional(
        lambda s: (
            s.expect_frame(framing=Delimited(limit=1), optional=True), s.expect_bytes(b"abc")
        ),
        b"abc", [False, True],
    ),
    "no frame": Optional(
        lambda s: (s.expect_frame(framing=Twins(), optional=True), s.expect_bytes(b"ab")), b"ab",
        [False, True],
    ),
    "any of several": Optional(
        lambda s: (s.expect(any_of(b"a", b"b"), optional=True), s.expect_bytes(b"c")), b"c",
        [False, True],
    ),
    "known later": Optional(
        lambda s: (s.expect_bytes(lambda: b"a", optional=True), s.expect_bytes(b"b")), b"b",
        [False, True],
    ),
    "half of it, then the end": Optional(
        lambda s: (s.expect_bytes(b"ab", optional=True), s.expect_bytes(b"a")), b"a",
        [False, True], EOF,
    ),
    "nothing, then the end": Optional(
        lambda s: (s.expect_line(optional=True), s.expect_disconnect()), b"", [False, True], EOF
    ),
    "nothing, then a reset": Optional(
        lambda s: (s.expect_line(optional=True), s.expect_disconnect()), b"", [False, False], RESET,
        WasReset(),
    ),
    "a step after it fails": Optional(
        lambda s: (s.expect_bytes(b"ab", optional=True), s.expect_bytes(b"ad")), b"acx",
        [False, False], None, wrong(b"ad", b"ac", b"acx"),
    ),
    "it hangs up": Optional(
        lambda s: (s.expect_disconnect(optional=True),), b"", [True], EOF
    ),
    "it does not hang up": Optional(
        lambda s: (s.expect_disconnect(optional=True), s.expect_bytes(b"a")), b"a", [False, True]
    ),
    "it aborts instead": Optional(
        lambda s: (s.expect_disconnect(optional=True),), b"", [False], RESET
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIONAL.values(), ids=OPTIONAL)
def test_optional_steps(case: Optional) -> None:
    """They come true or are skipped, and what they did not take is for the next step."""
    for pieces in every_cut(case.data):
        played = play(steps_of(case.declare), pieces, case.ending)
        assert problem_of(played.failure) == case.problem
        assert played.done == [*case.done]
        if case.problem is None:
            assert played.skipped == [not done for done in case.done]


@pytest.mark.parametrize("data", [b"", b"a"])
def test_an_optional_step_that_does_not_come_in_time(data: bytes) -> None:
    """It is skipped, and the limit of the next one begins."""
    steps = steps_of(lambda s: (s.expect_bytes(b"ab", optional=True), s.expect_count(2)))
    conversation, (first, second) = converse(*steps)
    if data:
        conversation.receive_data(data)
    assert conversation.next_action() is RECEIVE
    stage = conversation.stage
    conversation.time_out()
    assert first.skipped
    assert conversation.stage > stage
    assert conversation.next_action() is RECEIVE
    conversation.time_out()
    assert conversation.failure == Failure(
        TimedOut(data), steps[1], ScriptView(done=(Skipped(steps[0]),)), 1, SERVER
    )
    assert not second.done


def test_a_disconnect_that_does_not_come_in_time() -> None:
    """If it was optional it is skipped."""
    conversation, (handle,) = converse(*steps_of(lambda s: s.expect_disconnect(optional=True)))
    assert conversation.next_action() is RECEIVE
    conversation.time_out()
    assert handle.skipped
    assert conversation.next_action() is IDLE


def test_a_client_that_need_not_connect() -> None:
    """If it does not, all the steps of its connection are skipped, whenever they are declared."""
    place = Place(FILE, 1)
    step = ExpectConnect("expect_connect", place, limit=1.0, optional=True)
    conversation, handles = converse(step, read(b"a"), hang_up())
    assert conversation.next_action() is RECEIVE
    conversation.time_out()
    assert [handle.skipped for handle in handles] == [True, True, True]
    late: Handle[bytes] = Handle(read(b"b"), Recorder())
    assert conversation.add(late) is False
    assert late.skipped
    assert conversation.last is None
    assert conversation.failure is None


def test_who_waits_for_a_step_that_is_skipped() -> None:
    """They are told when the script has gone on."""
    conversation, (handle, _) = converse(
        *steps_of(lambda s: (s.expect_bytes(b"a", optional=True), s.expect_bytes(b"b")))
    )
    told: list[object] = []
    handle._when_over.append(lambda: told.append(conversation.current))
    conversation.receive_data(b"b")
    run(conversation)
    assert [getattr(step, "arguments", None) for step in told] == [(b"b",)]


def test_a_step_of_another_connection_that_was_skipped() -> None:
    """It holds up nothing any more."""
    other: Handle[bytes] = Handle(read(b"first"), Recorder())
    conversation, _ = converse()
    handle: Handle[bytes] = Handle(read(b"a"), Recorder(), after=other)
    conversation.add(handle)
    conversation.receive_data(b"a")
    assert conversation.next_action() is IDLE
    other._skip()
    conversation.release()
    assert conversation.next_action() is IDLE
    assert handle.done


# Functions that play the server


def test_a_function_that_plays_the_server() -> None:
    """It gets what has arrived, piece by piece, and leaves the rest for the next step."""
    steps = steps_of(lambda s: (s.expect_line(), s.run(print), s.expect_bytes(b"ef")))
    conversation, handles = converse(*steps)
    conversation.receive_data(b"a\nbcd")
    assert conversation.next_action() is steps[1]
    assert conversation.limit == 1.0
    assert conversation.take(2) == b"bc"
    assert conversation.take(100) == b"d"
    assert conversation.take(100) == b""
    conversation.receive_data(b"ef")
    assert conversation.take(0) == b""
    conversation.perform("returned")
    assert run(conversation) is IDLE
    assert [handle.received for handle in handles] == [b"a", "returned", b"ef"]


def test_a_function_that_takes_too_long() -> None:
    """It is late, whatever has arrived for it."""
    for data in (b"", b"abc"):
        steps = steps_of(lambda s: s.run(print, timeout=3))
        conversation, _ = converse(*steps)
        if data:
            conversation.receive_data(data)
        assert conversation.next_action() is steps[0]
        assert conversation.limit == 3
        conversation.time_out()
        assert problem_of(conversation.failure) == TimedOut(b"")


def test_a_function_that_raises() -> None:
    """Its error is the failure, and nothing is done after it."""
    steps = steps_of(lambda s: (s.run(print), s.expect_line()))
    conversation, handles = converse(*steps)
    assert conversation.next_action() is steps[0]
    error = LookupError("no")
    conversation.raise_(error)
    conversation.perform(None)
    view = ScriptView(ahead=(steps[1],))
    assert conversation.failure == Failure(Raised(error), steps[0], view, 1, SERVER)
    assert [handle.done for handle in handles] == [False, False]
    assert conversation.next_action() is DONE


def test_how_much_is_kept_for_a_function() -> None:
    """Up to 1 MiB that it has not taken; then the client has to wait."""
    conversation, _ = converse(*steps_of(lambda s: s.run(print)))
    conversation.receive_data(bytes(UNEXPECTED_LIMIT))
    assert conversation.full
    conversation.take(1)
    assert not conversation.full


# Actions that are not in the script any more


@pytest.mark.parametrize("refused", [True, False])
def test_an_action_that_is_dropped_while_it_is_performed(refused: bool) -> None:
    """It is not taken for the end of the test, whatever becomes of it."""
    conversation, (handle,) = converse(send(b"x" * 100))
    conversation.next_action()
    conversation.accept(10)
    assert conversation.abandon() is True
    over: Handle[None] = Handle(end(), Recorder())
    conversation.add(over)
    conversation.receive_eof()
    if refused:
        conversation.refuse()
    else:
        conversation.perform()
    assert (handle.done, over.done) == (False, False)
    assert conversation.failure is None
    assert conversation.next_action() is IDLE
    assert over.done


def test_a_close_that_is_not_dropped() -> None:
    """When the client has closed the server closes, too, whatever was to come."""
    conversation, _ = converse(hang_up(), send(b"x"))
    conversation.receive_eof()
    assert conversation.next_action() is HANG_UP
    assert conversation.abandon() is True
    conversation.perform()
    over: Handle[None] = Handle(end(), Recorder())
    conversation.add(over)
    assert conversation.next_action() is IDLE
    assert over.done


def test_nothing_late_is_sent_after_a_disconnect() -> None:
    """It is refused where it is declared, although it is not decided what it is."""
    conversation, _ = converse(disconnect())
    with pytest.raises(ScriptError) as caught:
        conversation.declare(steps_of(lambda s: s.send_bytes(lambda: b"x"))[0])
    assert str(caught.value) == "send_bytes() cannot follow disconnect() on one connection"
    conversation.declare(steps_of(lambda s: s.expect_bytes(lambda: b"x"))[0])


# No cut of the input changes the verdict


#: Enough for every day; ``EXAMPLES=20000 pytest -k no_cut`` looks further.
EXAMPLES = int(os.environ.get("EXAMPLES", "100"))


def hold_every_cut(client: Client, data: st.DataObject) -> None:
    """Cut anywhere, a script passes or fails as it does when all comes in one piece."""
    received, ending = client.data, client.ending
    wholly = play(client.steps, cut(received, []), ending, client.fresh_rules())
    ways = [range(1, len(received))]
    if len(received) > 2:
        ways.append(data.draw(st.lists(st.integers(1, len(received) - 1), unique=True)))
    for offsets in ways:
        piecewise = play(client.steps, cut(received, offsets), ending, client.fresh_rules())
        assert verdict(piecewise) == verdict(wholly)
    if wholly.conversation.limit is not None:
        wholly.conversation.time_out()
        piecewise.conversation.time_out()
        assert piecewise.conversation.failure == wholly.conversation.failure


@settings(deadline=None, max_examples=EXAMPLES)
@given(clients(), st.data())
def test_no_cut_changes_the_verdict(client: Client, data: st.DataObject) -> None:
    """Whatever is expected."""
    hold_every_cut(client, data)


@settings(deadline=None, max_examples=EXAMPLES)
@given(clients(optional=True), st.data())
def test_no_cut_changes_which_steps_are_skipped(client: Client, data: st.DataObject) -> None:
    """Whatever is optional."""
    hold_every_cut(client, data)
