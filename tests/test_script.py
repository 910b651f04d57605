"""The vocabulary."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from helpers import Recorder

from pytest_tcpclient._contents import ANY, Late, Predicate
from pytest_tcpclient._framings import FixedSize, LengthPrefixed, Netstring, OwnFraming
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._matchers import (
    AnyOf,
    Count,
    Exactly,
    Frame,
    Line,
    NamedMatcher,
    Outcome,
    OwnMatcher,
    Until,
    any_of,
    line,
)
from pytest_tcpclient._script import Script, decided, place_of_caller
from pytest_tcpclient._steps import (
    Disconnect,
    Expect,
    ExpectDisconnect,
    ExpectEof,
    ExpectNothing,
    ExpectReset,
    Limited,
    Place,
    Run,
    Send,
    SendReset,
    Step,
    StopReading,
    Undecided,
    Wait,
)


def line_here() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


# What a declaration notes


def test_expect_bytes() -> None:
    """Exactly these bytes come next, within the timeout of the server."""
    script = Recorder(timeout=2.0)
    script.expect_bytes(b"Hello")
    place = Place(__file__, line_here() - 1)
    assert script.steps == [
        Expect("expect_bytes", place, (b"Hello",), {}, 2.0, matcher=Exactly(b"Hello"))
    ]


def test_expect_frame() -> None:
    """One message with this payload comes next."""
    script = Recorder()
    script.expect_frame(b"Hello")
    place = Place(__file__, line_here() - 1)
    matcher = Frame(b"Hello", LengthPrefixed())
    assert script.steps == [Expect("expect_frame", place, (b"Hello",), {}, 1.0, matcher=matcher)]


def test_expect_an_empty_frame() -> None:
    """The payload of a message may be empty."""
    script = Recorder()
    script.expect_frame(b"")
    (step,) = script.steps
    assert isinstance(step, Expect)
    assert step.matcher == Frame(b"", LengthPrefixed())
    assert step.arguments == (b"",)


def test_expect_disconnect() -> None:
    """The client closes the connection."""
    script = Recorder()
    script.expect_disconnect()
    place = Place(__file__, line_here() - 1)
    assert script.steps == [ExpectDisconnect("expect_disconnect", place, (), {}, 1.0)]


def test_send_bytes() -> None:
    """The server sends bytes, and a client that does not read them has its timeout."""
    script = Recorder(timeout=3.0)
    script.send_bytes(b"Hello")
    place = Place(__file__, line_here() - 1)
    assert script.steps == [Send("send_bytes", place, (b"Hello",), {}, 3.0, data=b"Hello")]


def test_send_frame() -> None:
    """The server sends one message; the payload is what stands in the script."""
    script = Recorder()
    script.send_frame(b"Hello")
    place = Place(__file__, line_here() - 1)
    data = b"\0\0\0\5Hello"
    assert script.steps == [Send("send_frame", place, (b"Hello",), {}, 1.0, data=data)]


def test_send_an_empty_frame() -> None:
    """An empty message is sent as its length, which is 0."""
    script = Recorder()
    script.send_frame(b"")
    (step,) = script.steps
    assert isinstance(step, Send)
    assert step.data == b"\0\0\0\0"


def test_disconnect() -> None:
    """The server closes the connection, which has no limit of its own."""
    script = Recorder()
    script.disconnect()
    place = Place(__file__, line_here() - 1)
    assert script.steps == [Disconnect("disconnect", place)]


def test_steps_stand_in_order() -> None:
    """Declarations are steps in the order in which they were made."""
    script = Recorder()
    script.expect_bytes(b"a")
    script.send_bytes(b"b")
    script.expect_frame(b"c")
    script.send_frame(b"d")
    script.disconnect()
    script.expect_disconnect()
    assert [step.word for step in script.steps] == [
        "expect_bytes",
        "send_bytes",
        "expect_frame",
        "send_frame",
        "disconnect",
        "expect_disconnect",
    ]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_what_is_declared_does_not_change(kind: Callable[[bytearray], Any]) -> None:
    """A buffer that is used again after the declaration does not change the script."""
    script = Recorder()
    buffer = bytearray(b"Hello")
    given: Any = buffer if kind is bytearray else kind(buffer)
    script.expect_bytes(given)
    script.expect_frame(given)
    script.send_bytes(given)
    script.send_frame(given)
    buffer[:] = b"Wrong"
    assert [step.arguments for step in script.steps] == [(b"Hello",)] * 4
    assert [step.matcher.expected for step in script.steps if isinstance(step, Expect)] == [
        b"Hello",
        b"Hello",
    ]
    assert [step.data for step in script.steps if isinstance(step, Send)] == [
        b"Hello",
        b"\0\0\0\5Hello",
    ]


# Timeouts


DECLARATIONS: list[Any] = [
    pytest.param(lambda script, timeout: script.expect_bytes(b"x", timeout), id="expect_bytes"),
    pytest.param(lambda script, timeout: script.expect_frame(b"x", timeout), id="expect_frame"),
    pytest.param(lambda script, timeout: script.expect_disconnect(timeout), id="expect_disconnect"),
]


@pytest.mark.parametrize("declare", DECLARATIONS)
@pytest.mark.parametrize(
    ("timeout", "limit", "options"),
    [
        (None, 2.0, {}),
        (0, 0.0, {"timeout": 0.0}),
        (5, 10.0, {"timeout": 5.0}),
        (0.25, 0.5, {"timeout": 0.25}),
        (math.inf, math.inf, {"timeout": math.inf}),
    ],
)
def test_a_timeout(
    declare: Callable[[Script, Any], object], timeout: Any, limit: float, options: dict[str, object]
) -> None:
    """A step has its own timeout, or the server's, times the factor; the script shows its own."""
    script = Recorder(timeout=1.0, factor=2.0)
    declare(script, timeout)
    (step,) = script.steps
    assert isinstance(step, Limited)
    assert step.limit == limit
    assert step.options == options


@pytest.mark.parametrize("declare", DECLARATIONS)
@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        ("1", TypeError, "timeout must be a number of seconds, not '1'"),
        (True, TypeError, "timeout must be a number of seconds, not True"),
        (-1, ValueError, "timeout must be a number of seconds, zero or more, not -1"),
    ],
)
def test_a_timeout_that_is_none(
    declare: Callable[[Script, Any], object], timeout: Any, error: type[Exception], message: str
) -> None:
    """A wrong timeout is refused by the declaration, and no step is declared."""
    script = Recorder()
    with pytest.raises(error) as caught:
        declare(script, timeout)
    assert str(caught.value) == message
    assert script.steps == []


# Arguments


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("expect_bytes", "data"),
        ("send_bytes", "data"),
        ("expect_frame", "payload"),
        ("send_frame", "payload"),
    ],
)
def test_what_is_given_must_be_bytes(word: str, name: str) -> None:
    """Text is refused by the declaration, by the name of its parameter."""
    script = Recorder()
    with pytest.raises(TypeError) as caught:
        getattr(script, word)("Hello")
    assert str(caught.value) == f"{name} must be bytes, not str: write b'Hello' or encode it"
    assert script.steps == []


@pytest.mark.parametrize("word", ["expect_bytes", "send_bytes"])
def test_bytes_must_not_be_empty(word: str) -> None:
    """To expect or to send no bytes is refused by the declaration."""
    script = Recorder()
    with pytest.raises(ValueError, match="empty") as caught:
        getattr(script, word)(b"")
    assert str(caught.value) == "data must not be empty"
    assert script.steps == []


def test_a_script_is_abstract() -> None:
    """Something has to take the steps."""
    assert Script.__abstractmethods__ == {
        *("_declare", "_limit", "_add_rule", "_framing", "_newline"),
    }
    with pytest.raises(TypeError):
        Script()  # type: ignore[abstract]


# Where a declaration stands


def test_the_line_of_a_helper() -> None:
    """A declaration in a helper of the test is noted there, where the argument stands."""

    def greet(script: Script) -> int:
        script.expect_bytes(b"Hello")
        return line_here() - 1

    script = Recorder()
    line = greet(script)
    assert script.steps[0].place == Place(__file__, line)


def test_the_line_of_the_caller_is_outside_of_the_package() -> None:
    """Frames of the package are passed over, those of one with a longer name are not."""
    source = (
        "def inner(place):\n    return place()\ndef outer(inner, place):\n    return inner(place)\n"
    )
    namespaces = [{"__name__": "pytest_tcpclient._server"}, {"__name__": "pytest_tcpclient_extra"}]
    for namespace in namespaces:
        exec(compile(source, f"<{namespace['__name__']}>", "exec"), namespace)
    ours, theirs = cast(list[dict[str, Any]], namespaces)

    def declare() -> Place:
        return place_of_caller()

    assert theirs["outer"](ours["inner"], declare) == Place("<pytest_tcpclient_extra>", 4)


# The other words


def late_step(script: Recorder) -> Undecided:
    """The only step of a script, which is not decided yet."""
    (step,) = script.steps
    assert isinstance(step, Undecided)
    return step


NETSTRING = Netstring()
DIGITS = re.compile(rb"\d+")


class Own:
    """A framing and a matcher of the test's own."""

    def __repr__(self) -> str:
        return "Own()"

    def encode(self, payload: int) -> bytes:
        return b"%d;" % payload

    def decode(self, buffer: bytes) -> tuple[int, int] | None:
        raise AssertionError("not used")

    def match(self, buffer: bytes) -> Outcome:
        raise AssertionError("not used")


OWN = Own()


NOTED: list[tuple[Callable[[Recorder], Any], str, tuple[object, ...], dict[str, object], Any]] = [
    (lambda s: s.expect_line(), "expect_line", (ANY,), {}, Line(ANY, b"\n")),
    (lambda s: s.expect_line(b"a"), "expect_line", (b"a",), {}, Line(b"a", b"\n")),
    (
        lambda s: s.expect_line(DIGITS, 5, newline=b"\r\n", limit=9, optional=True),
        "expect_line",
        (DIGITS,),
        {"timeout": 5.0, "optional": True, "newline": b"\r\n", "limit": 9},
        Line(DIGITS, b"\r\n", 9),
    ),
    (
        lambda s: s.expect_line(bytes.isdigit),
        "expect_line",
        (Predicate(bytes.isdigit),),
        {},
        Line(Predicate(bytes.isdigit), b"\n"),
    ),
    (lambda s: s.expect_until(b";"), "expect_until", (b";", ANY), {}, Until(b";")),
    (
        lambda s: s.expect_until(b";", b"a;", 5, limit=9, optional=True),
        "expect_until",
        (b";", b"a;"),
        {"timeout": 5.0, "optional": True, "limit": 9},
        Until(b";", b"a;", 9),
    ),
    (lambda s: s.expect_count(3), "expect_count", (3, ANY), {}, Count(3)),
    (
        lambda s: s.expect_count(3, b"abc", 5, optional=True),
        "expect_count",
        (3, b"abc"),
        {"timeout": 5.0, "optional": True},
        Count(3, b"abc"),
    ),
    (lambda s: s.expect_frame(), "expect_frame", (ANY,), {}, Frame(ANY, LengthPrefixed())),
    (
        lambda s: s.expect_frame(DIGITS, framing=NETSTRING),
        "expect_frame",
        (DIGITS,),
        {"framing": NETSTRING},
        Frame(DIGITS, NETSTRING),
    ),
    (
        lambda s: s.expect_frame({"id": 1}, 5, framing=OWN, optional=True),
        "expect_frame",
        ({"id": 1},),
        {"timeout": 5.0, "optional": True, "framing": OwnFraming(OWN)},
        Frame({"id": 1}, OwnFraming(OWN)),
    ),
    (lambda s: s.expect(b"a"), "expect", (Exactly(b"a"),), {}, Exactly(b"a")),
    (
        lambda s: s.expect(any_of(b"a", line()), 5, optional=True),
        "expect",
        (any_of(b"a", line()),),
        {"timeout": 5.0, "optional": True},
        AnyOf((Exactly(b"a"), Line(ANY, b"\n"))),
    ),
    (lambda s: s.expect(OWN), "expect", (OwnMatcher(OWN),), {}, OwnMatcher(OWN)),
]


@pytest.mark.parametrize(("declare", "word", "arguments", "options", "matcher"), NOTED)
def test_what_an_expectation_notes(
    declare: Callable[[Recorder], Any],
    word: str,
    arguments: tuple[object, ...],
    options: dict[str, object],
    matcher: NamedMatcher,
) -> None:
    """The word, what stands in its parentheses, its limit, and a matcher with all defaults."""
    script = Recorder(timeout=2.0)
    handle = declare(script)
    (step,) = script.steps
    assert isinstance(handle, Handle)
    assert step == Expect(
        word,
        step.place,
        arguments,
        options,
        5.0 if "timeout" in options else 2.0,
        "optional" in options,
        matcher=matcher,
    )
    assert step.place.file == __file__


@pytest.mark.parametrize(
    ("declare", "step"),
    [
        (
            lambda s: s.expect_nothing(2),
            ExpectNothing("expect_nothing", Place("", 0), (2.0,), {}, 2.0),
        ),
        (
            lambda s: s.expect_disconnect(5, optional=True),
            ExpectDisconnect(
                "expect_disconnect",
                Place("", 0),
                (),
                {"timeout": 5.0, "optional": True},
                50.0,
                True,
            ),
        ),
        (
            lambda s: s.expect_disconnect(clean=False),
            ExpectDisconnect(
                "expect_disconnect", Place("", 0), (), {"clean": False}, 20.0, clean=False
            ),
        ),
        (
            lambda s: s.expect_eof(5, optional=True),
            ExpectEof(
                "expect_eof", Place("", 0), (), {"timeout": 5.0, "optional": True}, 50.0, True
            ),
        ),
        (
            lambda s: s.expect_reset(5, optional=True),
            ExpectReset(
                "expect_reset", Place("", 0), (), {"timeout": 5.0, "optional": True}, 50.0, True
            ),
        ),
        (lambda s: s.send_eof(), Disconnect("send_eof", Place("", 0))),
        (lambda s: s.send_reset(), SendReset("send_reset", Place("", 0))),
        (lambda s: s.wait(2), Wait("wait", Place("", 0), (2.0,), {}, 2.0)),
        (
            lambda s: s.stop_reading(2),
            StopReading("stop_reading", Place("", 0), (2.0,), {}, 2.0),
        ),
        (
            lambda s: s.send_line(b"ab"),
            Send("send_line", Place("", 0), (b"ab",), {}, 20.0, data=b"ab\n"),
        ),
        (
            lambda s: s.send_line(b"", newline=b"\r\n"),
            Send("send_line", Place("", 0), (b"",), {"newline": b"\r\n"}, 20.0, data=b"\r\n"),
        ),
        (
            lambda s: s.send_frame(b"ab", framing=NETSTRING),
            Send("send_frame", Place("", 0), (b"ab",), {"framing": NETSTRING}, 20.0, data=b"2:ab,"),
        ),
        (
            lambda s: s.send_frame(5, framing=OWN),
            Send("send_frame", Place("", 0), (5,), {"framing": OwnFraming(OWN)}, 20.0, data=b"5;"),
        ),
        (
            lambda s: s.send_bytes(b"a", bytearray(b"b")),
            Send(
                *("send_bytes", Place("", 0), (b"a", b"b"), {}, 20.0),
                data=b"ab",
                segments=(b"a", b"b"),
            ),
        ),
        (
            lambda s: s.send_bytes(b"abc", b"d", chunk_size=2, interval=1),
            Send(
                *("send_bytes", Place("", 0), (b"abc", b"d")),
                {"interval": 1.0, "chunk_size": 2},
                20.0,
                data=b"abcd",
                segments=(b"ab", b"c", b"d"),
                interval=1.0,
            ),
        ),
        (
            lambda s: s.send_bytes(b"ab", chunk_size=2),
            Send("send_bytes", Place("", 0), (b"ab",), {"chunk_size": 2}, 20.0, data=b"ab"),
        ),
        (
            lambda s: s.run(print, 5),
            Run("run", Place("", 0), (print,), {"timeout": 5.0}, 50.0, function=print),
        ),
        (
            lambda s: s.run(OWN.match),
            Run("run", Place("", 0), (OWN.match,), {}, 20.0, function=OWN.match),
        ),
    ],
)
def test_what_other_words_note(declare: Callable[[Recorder], Any], step: Step) -> None:
    """All of it at the line of the test; only limits are multiplied by the factor."""
    script = Recorder(timeout=2.0, factor=10.0)
    declare(script)
    (noted,) = script.steps
    assert replace(noted, place=Place("", 0)) == step
    assert noted.place.file == __file__


# What is wrong is refused by the declaration


@pytest.mark.parametrize(
    ("declare", "error", "message"),
    [
        (
            lambda s: s.expect_line("ab"),
            TypeError,
            "line must be bytes, not str: write b'ab' or encode it",
        ),
        (
            lambda s: s.expect_line(re.compile("a")),
            TypeError,
            "line must be a pattern of bytes: write rb'a'",
        ),
        (
            lambda s: s.expect_line(b"ab\n"),
            ValueError,
            r"line must not contain the newline b'\n': it stands before that",
        ),
        (lambda s: s.expect_line(newline=b""), ValueError, "newline must not be empty"),
        (
            lambda s: s.expect_line(limit=0),
            ValueError,
            "limit must be a number of bytes, 1 or more, not 0",
        ),
        (
            lambda s: s.expect_line(optional=1),
            TypeError,
            "optional must be True or False, not 1",
        ),
        (lambda s: s.expect_until(b""), ValueError, "delimiter must not be empty"),
        (
            lambda s: s.expect_until(b";", b"ab"),
            ValueError,
            "content must end with the delimiter b';', and not contain it before",
        ),
        (
            lambda s: s.expect_until(b";", 5),
            TypeError,
            "content must be bytes, not int",
        ),
        (
            lambda s: s.expect_until(b";", limit=True),
            TypeError,
            "limit must be a number of bytes, not True",
        ),
        (lambda s: s.expect_count(0), ValueError, "n must be a number of bytes, 1 or more, not 0"),
        (lambda s: s.expect_count(b"a"), TypeError, "n must be a number of bytes, not b'a'"),
        (
            lambda s: s.expect_count(3, b"ab"),
            ValueError,
            "content must have n = 3 bytes, not 2",
        ),
        (
            lambda s: s.expect_frame({"id": 1}, framing=Netstring),
            TypeError,
            "framing must be an object, not a class: write Netstring()",
        ),
        (
            lambda s: s.expect_frame(b"abc", framing=FixedSize(2)),
            ValueError,
            "payload must have 2 bytes, not 3",
        ),
        (lambda s: s.expect(b""), ValueError, "matcher must not be empty"),
        (
            lambda s: s.expect(line(b"a\n")),
            ValueError,
            r"line must not contain the newline b'\n': it stands before that",
        ),
        (
            lambda s: s.expect(Own),
            TypeError,
            "matcher must be an object, not a class: write Own()",
        ),
        (
            lambda s: s.expect_nothing(-1),
            ValueError,
            "seconds must be a number of seconds, zero or more, not -1",
        ),
        (
            lambda s: s.expect_nothing(None),
            TypeError,
            "seconds must be a number of seconds, not None",
        ),
        (
            lambda s: s.wait(-1),
            ValueError,
            "seconds must be a number of seconds, zero or more, not -1",
        ),
        (
            lambda s: s.stop_reading("1"),
            TypeError,
            "seconds must be a number of seconds, not '1'",
        ),
        (
            lambda s: s.expect_disconnect(clean=0),
            TypeError,
            "clean must be True or False, not 0",
        ),
        (lambda s: s.send_bytes(), TypeError, "send_bytes() needs the bytes to send"),
        (lambda s: s.send_bytes(b"a", b""), ValueError, "data must not be empty"),
        (
            lambda s: s.send_bytes(b"a", interval=-1),
            ValueError,
            "interval must be a number of seconds, zero or more, not -1",
        ),
        (
            lambda s: s.send_bytes(b"a", chunk_size=0),
            ValueError,
            "chunk_size must be a number of bytes, 1 or more, not 0",
        ),
        (
            lambda s: s.send_line("ab"),
            TypeError,
            "line must be bytes, not str: write b'ab' or encode it",
        ),
        (
            lambda s: s.send_line(b"a\nb"),
            ValueError,
            r"line must not contain the newline b'\n': it is added",
        ),
        (
            lambda s: s.send_frame(b"abc", framing=FixedSize(2)),
            ValueError,
            "payload must have 2 bytes, not 3",
        ),
        (
            lambda s: s.run(5),
            TypeError,
            "function must be a function of the stream, not 5",
        ),
        (
            lambda s: s.run(int),
            TypeError,
            "function must be a function of the stream, not <class 'int'>",
        ),
        (
            lambda s: s.run(print, timeout="1"),
            TypeError,
            "timeout must be a number of seconds, not '1'",
        ),
        (
            lambda s: s.send_bytes(lambda one, two: b""),
            TypeError,
            "<lambda>() must take no argument, or one: what the last expectation received. "
            "It takes 2",
        ),
        (
            lambda s: s.expect_line(lambda one, two: True),
            TypeError,
            "<lambda>() must take one argument, what came, to say whether that is right; or none, "
            "to give what is expected. It takes 2",
        ),
    ],
)
def test_bad_arguments(
    declare: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    """Its error says what is wrong, and no step is declared."""
    script = Recorder()
    with pytest.raises(error) as caught:
        declare(script)
    assert str(caught.value) == message
    assert script.steps == []


def test_what_a_framing_of_the_test_raises() -> None:
    """A payload that it cannot encode is refused at the line that sends it."""
    with pytest.raises(TypeError, match="format"):
        Recorder().send_frame("five", framing=OWN)


# What is known later


@pytest.mark.parametrize(
    ("declare", "received", "kind", "shown"),
    [
        (lambda s: s.expect_bytes(lambda: b"ab"), None, Expect, Exactly(b"ab")),
        (lambda s: s.expect_bytes(bytes.lower), b"AB", Expect, Exactly(b"ab")),
        (lambda s: s.expect_line(lambda: b"ab"), None, Expect, Line(b"ab", b"\n")),
        (lambda s: s.expect_line(lambda: DIGITS), None, Expect, Line(DIGITS, b"\n")),
        (lambda s: s.expect_until(lambda: b";"), None, Expect, Until(b";")),
        (lambda s: s.expect_until(bytes.lower, ANY, limit=5), b"X", Expect, Until(b"x", ANY, 5)),
        (lambda s: s.expect_until(b";", lambda: b"a;"), None, Expect, Until(b";", b"a;")),
        (lambda s: s.expect_count(lambda data: int(data) + 1), b"4", Expect, Count(5)),
        (lambda s: s.expect_count(lambda: 2, lambda: b"ab"), None, Expect, Count(2, b"ab")),
        (
            lambda s: s.expect_frame(lambda: b"ab", framing=NETSTRING),
            None,
            Expect,
            Frame(b"ab", NETSTRING),
        ),
        (
            lambda s: s.expect_frame(lambda: 5, framing=OWN),
            None,
            Expect,
            Frame(5, OwnFraming(OWN)),
        ),
        (lambda s: s.send_bytes(lambda: b"ab"), None, Send, b"ab"),
        (lambda s: s.send_bytes(bytes.lower, b"!", bytes.upper), b"Ab", Send, b"ab!AB"),
        (lambda s: s.send_line(bytes.lower), b"AB", Send, b"ab\n"),
        (lambda s: s.send_frame(bytes.lower, framing=NETSTRING), b"AB", Send, b"2:ab,"),
        (lambda s: s.send_frame(len, framing=OWN), b"AB", Send, b"2;"),
    ],
)
def test_a_step_that_is_decided_later(
    declare: Callable[[Recorder], Any], received: object, kind: type[Step], shown: object
) -> None:
    """It is noted with its functions; when it is time they give what it is made of."""
    script = Recorder(timeout=2.0)
    declare(script)
    undecided = late_step(script)
    assert undecided.acts is (kind is Send)
    assert any(isinstance(argument, Late) for argument in undecided.arguments)
    step = decided(undecided, received)
    assert type(step) is kind
    assert (step.matcher if isinstance(step, Expect) else getattr(step, "data", None)) == shown
    for each in ("word", "place", "arguments", "options", "limit", "optional"):
        assert getattr(step, each) == getattr(undecided, each)


def test_an_optional_step_that_is_decided_later() -> None:
    """It stays what it was declared to be."""
    script = Recorder()
    script.expect_bytes(lambda: b"a", 5, optional=True)
    place = Place(__file__, line_here() - 1)
    undecided = late_step(script)
    step = decided(undecided, None)
    assert step == Expect(
        *(
            "expect_bytes",
            place,
            undecided.arguments,
            {"timeout": 5.0, "optional": True},
            5.0,
            True,
        ),
        matcher=Exactly(b"a"),
    )


def test_segments_that_are_known_later() -> None:
    """They are cut when they are known."""
    script = Recorder()
    script.send_bytes(lambda: b"abc", b"d", chunk_size=2, interval=0)
    step = decided(late_step(script), None)
    assert isinstance(step, Send)
    assert (step.data, step.segments, step.interval) == (b"abcd", (b"ab", b"c", b"d"), 0.0)


def test_the_words_of_a_class_that_can_be_called() -> None:
    """A payload that says itself what is equal to it is compared, not called."""

    class Payload:
        def __eq__(self, other: object) -> bool:
            return other == 5

        def __hash__(self) -> int:
            return 5

        def __call__(self) -> None:
            raise AssertionError("it is not called")

    script = Recorder()
    payload = Payload()
    script.expect_frame(payload, framing=OWN)
    (step,) = script.steps
    assert isinstance(step, Expect)
    assert step.matcher.expected is payload
