"""Rules that answer in the background."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Recorder

from pytest_tcpclient._contents import Late
from pytest_tcpclient._framings import LengthPrefixed
from pytest_tcpclient._matchers import (
    Exactly,
    Frame,
    Line,
    NamedMatcher,
    Outcome,
    OwnMatcher,
    any_of,
    line,
)
from pytest_tcpclient._matchers import frame as framed_by
from pytest_tcpclient._rule import Rule
from pytest_tcpclient._steps import Place, Send


def line_here() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


class Own:
    """A matcher of the test's own."""

    def __repr__(self) -> str:
        return "Own()"

    def match(self, buffer: bytes) -> Outcome:
        raise AssertionError("not used")


def test_what_a_rule_notes() -> None:
    """Its matcher, its reply, and the line of the test; it is no step."""
    script = Recorder(timeout=2.0)
    rule = script.whenever(b"PING", b"PONG")
    place = Place(__file__, line_here() - 1)
    assert script.rules == [rule]
    assert script.steps == []
    assert (rule._matcher, rule.count) == (Exactly(b"PING"), 0)
    assert rule._answer(b"PING") == Send(
        "whenever", place, (Exactly(b"PING"), b"PONG"), {}, 2.0, data=b"PONG"
    )


OWN = Own()


@pytest.mark.parametrize(
    ("given", "matcher"),
    [
        (bytearray(b"PING"), Exactly(b"PING")),
        (line(b"PING"), Line(b"PING", b"\n")),
        (framed_by(b"PING"), Frame(b"PING", LengthPrefixed())),
        (OWN, OwnMatcher(OWN)),
    ],
)
def test_what_a_rule_is_about(given: Any, matcher: NamedMatcher) -> None:
    """Bytes or a matcher, with the defaults of its script."""
    assert Recorder().whenever(given)._matcher == matcher


@pytest.mark.parametrize(
    ("reply", "received", "data"),
    [
        (b"PONG", b"PING", b"PONG"),
        (bytearray(b"PONG"), b"PING", b"PONG"),
        (lambda: b"PONG", b"PING", b"PONG"),
        (bytes.lower, b"PING", b"ping"),
        (lambda received: received or None, b"PING", b"PING"),
    ],
)
def test_what_a_rule_answers(reply: Any, received: bytes, data: bytes) -> None:
    """Bytes, or what a function gives, of what the matcher received."""
    answer = Recorder().whenever(b"PING", reply)._answer(received)
    assert answer is not None
    assert (answer.word, answer.data) == ("whenever", data)


@pytest.mark.parametrize("reply", [None, lambda: None, lambda received: None])
def test_a_rule_without_an_answer(reply: Any) -> None:
    """It takes what comes, and sends nothing."""
    assert Recorder().whenever(b"PING", reply)._answer(b"PING") is None


@pytest.mark.parametrize(
    ("declare", "error", "message"),
    [
        (
            lambda script: script.whenever("PING"),
            TypeError,
            "matcher must be bytes, not str: write b'PING' or encode it",
        ),
        (lambda script: script.whenever(b""), ValueError, "matcher must not be empty"),
        (
            lambda script: script.whenever(Own),
            TypeError,
            "matcher must be an object, not a class: write Own()",
        ),
        (
            lambda script: script.whenever(b"PING", "PONG"),
            TypeError,
            "reply must be bytes, not str: write b'PONG' or encode it",
        ),
        (lambda script: script.whenever(b"PING", b""), ValueError, "reply must not be empty"),
        (
            lambda script: script.whenever(b"PING", lambda one, two: b""),
            TypeError,
            "<lambda>() must take no argument, or one: what the last expectation received. "
            "It takes 2",
        ),
    ],
)
def test_bad_arguments(
    declare: Callable[[Recorder], object], error: type[Exception], message: str
) -> None:
    """They are refused by the declaration, and there is no rule."""
    script = Recorder()
    with pytest.raises(error) as caught:
        declare(script)
    assert str(caught.value) == message
    assert script.rules == []


@pytest.mark.parametrize("answer", ["PONG", b"", 5])
def test_an_answer_that_is_none(answer: Any) -> None:
    """What a function gives is checked as well."""
    rule = Recorder().whenever(b"PING", lambda: answer)
    assert isinstance(rule._reply, Late)
    with pytest.raises((TypeError, ValueError), match="reply must"):
        rule._answer(b"PING")


def test_a_rule_prints_as_what_it_has_done() -> None:
    """What it is about, and how often it has applied."""
    rule = Recorder().whenever(any_of(b"PING", line(b"ping")), b"PONG")
    texts = []
    for rule.count in (0, 1, 2):
        texts.append(repr(rule))
    assert texts == [
        "<Rule any_of(b'PING', line(b'ping')), applied 0 times>",
        "<Rule any_of(b'PING', line(b'ping')), applied once>",
        "<Rule any_of(b'PING', line(b'ping')), applied 2 times>",
    ]


def test_a_rule_that_is_stopped() -> None:
    """It remembers what it has done."""
    rule = Recorder().whenever(b"PING")
    rule.count = 3
    rule.stop()
    rule.stop()
    assert isinstance(rule, Rule)
    assert rule.count == 3
