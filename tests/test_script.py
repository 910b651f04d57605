"""The vocabulary, and the handles that it returns."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from helpers import Recorder, hang_up, read, send

from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._framings import LengthPrefixed
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._matchers import Exactly, Frame
from pytest_tcpclient._script import Script, place_of_caller
from pytest_tcpclient._steps import Disconnect, Expect, ExpectDisconnect, Limited, Place, Send, Step


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
        *("_declare", "_reach", "_limit"),
        *("_add_rule", "_framing", "_newline"),
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
