"""What a test may give where something the client sends is to be compared."""

from __future__ import annotations

import functools
import operator
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

from pytest_tcpclient._contents import (
    ANY,
    Late,
    Predicate,
    compare,
    given,
    given_content,
    name_of,
)
from pytest_tcpclient._errors import ScriptError


class Alike:
    """Says itself what is equal to it, as the objects of dirty_equals do."""

    def __init__(self, *accepted: object) -> None:
        self.accepted = accepted

    def __eq__(self, other: object) -> bool:
        return other in self.accepted

    def __hash__(self) -> int:
        return 0

    def __call__(self) -> None:
        raise AssertionError("it is compared, and not called")


class Meta(type):
    """Makes a class equal to something, as those of dirty_equals are."""

    def __eq__(cls, other: object) -> bool:
        return other == b"like the class"

    def __hash__(cls) -> int:
        return 0


class LikeTheClass(metaclass=Meta):
    pass


class Callee:
    """An object that can be called, and is equal to itself only."""

    def __call__(self, content: bytes) -> bool:
        return content == b"x"

    def method(self, content: bytes) -> bool:
        return content == b"x"

    @staticmethod
    def static() -> bytes:
        return b"x"


@dataclass
class Command:
    """A payload that can be called, and says itself what is equal to it."""

    name: str

    def __call__(self) -> None:
        raise AssertionError("it is compared, and not called")


def no_argument() -> bytes:
    return b"x"


def one_argument(received: object) -> bytes:
    return b"<" + bytes(str(received), "ascii") + b">"


def two_arguments(one: object, other: object) -> bytes:
    return b"x"


async def coroutine() -> bytes:
    return b"x"


def identity(value: Any) -> Any:
    return value


# ANY


@pytest.mark.parametrize("value", [None, b"", b"x", 0, {"a": 1}, ANY, object()])
def test_any_is_equal_to_everything(value: object) -> None:
    """On either side, and inside of other objects."""
    assert value == ANY
    assert value == ANY
    assert {"id": value} == {"id": ANY}
    assert [1, value] == [1, ANY]


def test_any_is_one_object() -> None:
    """It prints as it is written, can be a key, and is the same one after pickling."""
    assert repr(ANY) == "ANY"
    assert hash(ANY) == hash(ANY)
    assert pickle.loads(pickle.dumps(ANY)) is ANY


# Functions that give a value


@pytest.mark.parametrize(
    ("function", "takes_received", "value"),
    [
        (no_argument, False, b"x"),
        (one_argument, True, b"<None>"),
        (lambda: b"y", False, b"y"),
        (lambda received: bytes(str(received), "ascii"), True, b"None"),
        (lambda data=b"bound": data, False, b"bound"),
        (lambda received, data=b"!": bytes(str(received), "ascii") + data, True, b"None!"),
        (lambda *, data=b"keyword": data, False, b"keyword"),
        (lambda *received: bytes(str(received), "ascii"), True, b"(None,)"),
        (functools.partial(two_arguments, 1, 2), False, b"x"),
        (functools.partial(two_arguments, 1), True, b"x"),
        (functools.partial(two_arguments, other=2), True, b"x"),
        (Callee.static, False, b"x"),
        (b"abc".join, True, TypeError),
        (mock.Mock(return_value=b"mocked"), True, b"mocked"),
    ],
)
def test_functions_that_give_a_value(
    function: Callable[..., Any], takes_received: bool, value: Any
) -> None:
    """A function of one argument gets what the last expectation received."""
    late = given(function, identity)
    assert late == Late(function, takes_received, identity)
    if value is TypeError:
        with pytest.raises(TypeError):
            late.value(None)
    else:
        assert late.value(None) == value


@pytest.mark.parametrize(
    "value",
    [b"x", 5, None, Alike(b"x"), Command("x"), Command, LikeTheClass, bytes, mock.MagicMock()],
)
def test_values_that_are_not_called(value: object) -> None:
    """Classes, and objects that say themselves what is equal to them, stand for themselves."""
    assert given(value, lambda it: [it]) == [value]
    assert given_content("payload", value, raw=False) is value


def test_a_value_that_is_given_later_is_checked_then() -> None:
    """By the check that any value passes which stands there."""

    def check(value: Any) -> Any:
        if value != b"x":
            raise ValueError(f"{value!r} is wrong")
        return b"checked"

    assert given(b"x", check) == b"checked"
    assert given(no_argument, check).value(None) == b"checked"
    with pytest.raises(ValueError, match="wrong") as caught:
        given(lambda: b"y", check).value(None)
    assert str(caught.value) == "b'y' is wrong"


def test_a_value_of_what_was_received() -> None:
    """The function is called with it, and each time anew."""
    late = given(one_argument, identity)
    assert [late.value(1), late.value(2)] == [b"<1>", b"<2>"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            two_arguments,
            "two_arguments() must take no argument, or one: what the last expectation received. "
            "It takes 2",
        ),
        (
            lambda one, two, three: b"",
            "<lambda>() must take no argument, or one: what the last expectation received. "
            "It takes 3",
        ),
        (coroutine, "coroutine() must be a plain function, not an async one"),
        (
            functools.partial(coroutine),
            "coroutine() must be a plain function, not an async one",
        ),
    ],
)
def test_functions_that_cannot_give_a_value(function: Any, message: str) -> None:
    """They are refused at once."""
    with pytest.raises(TypeError) as caught:
        given(function, identity)
    assert str(caught.value) == message


# Contents


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_a_content(kind: Callable[[bytes], Any], raw: bool) -> None:
    """They may be empty, and are copied if they can change."""
    for data in (b"Hello", b""):
        content = given_content("line", kind(data), raw=raw)
        assert (type(content), content) == (bytes, data)


@pytest.mark.parametrize("value", [ANY, re.compile(rb"x"), Alike(b"x"), LikeTheClass, [b"x"]])
def test_objects_are_contents(value: object) -> None:
    """Anything that may be equal to bytes."""
    assert given_content("line", value, raw=True) is value


@pytest.mark.parametrize("value", ["x", 5, 1.5, None, {"id": ANY}, re.compile("x")])
def test_contents_of_any_type(value: object) -> None:
    """What a framing decodes may be anything."""
    assert given_content("payload", value, raw=False) is value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "line must be bytes, not str: write b'x' or encode it"),
        (5, "line must be bytes, not int"),
        (1.5, "line must be bytes, not float"),
        (None, "line must be bytes, not NoneType"),
        (True, "line must be bytes, not bool"),
        (re.compile("a.c"), "line must be a pattern of bytes: write rb'a.c'"),
        (
            two_arguments,
            "two_arguments() must take one argument, what came, to say whether that is right; or "
            "none, to give what is expected. It takes 2",
        ),
        (coroutine, "coroutine() must be a plain function, not an async one"),
    ],
)
def test_what_no_bytes_can_be(value: Any, message: str) -> None:
    """It is refused at once, by the name of its parameter."""
    with pytest.raises(TypeError) as caught:
        given_content("line", value, raw=True)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "function",
    [
        one_argument,
        bytes.isdigit,
        b"abc".startswith,
        Callee(),
        Callee().method,
        operator.methodcaller("startswith", b"x"),
        operator.itemgetter(0),
        functools.partial(operator.eq, b"x"),
        lambda content, prefix=b"x": content.startswith(prefix),
        lambda *content: True,
        mock.Mock(return_value=True),
    ],
)
def test_functions_that_are_predicates(function: Callable[..., Any]) -> None:
    """Those that take an argument."""
    assert given_content("line", function, raw=True) == Predicate(function)


def test_a_function_that_gives_a_content() -> None:
    """One without arguments gives it later, and then it is checked."""
    late = given_content("line", lambda: bytearray(b"x"), raw=True)
    assert isinstance(late, Late)
    assert late.takes_received is False
    assert type(late.value(None)) is bytes
    wrong = given_content("line", lambda: "x", raw=True)
    with pytest.raises(TypeError) as caught:
        wrong.value(None)
    assert str(caught.value) == "line must be bytes, not str: write b'x' or encode it"


# Predicates


@pytest.mark.parametrize("answer", [True, False])
def test_a_predicate_decides(answer: bool) -> None:
    """Its answer is the verdict."""
    assert Predicate(lambda content: answer).accepts(b"x") is answer


@pytest.mark.parametrize("answer", [None, 1, 0, b"x", []])
def test_a_predicate_that_gives_no_answer(answer: object) -> None:
    """A return that was forgotten must neither let everything pass nor nothing."""

    def check(content: bytes) -> Any:
        return answer

    with pytest.raises(ScriptError) as caught:
        Predicate(check).accepts(b"x")
    assert str(caught.value) == (
        f"the predicate check must return True or False, not {answer!r}. (To compute what is "
        "expected, give a function without arguments.)"
    )


def test_predicates_are_values() -> None:
    """Two of the same function are equal; a predicate is called what its function is."""
    assert Predicate(one_argument) == Predicate(one_argument)
    assert Predicate(one_argument) != Predicate(bytes.isdigit)
    assert repr(Predicate(bytes.isdigit)) == "isdigit"
    assert repr(Late(no_argument, False, identity)) == "no_argument"


# Comparing


@pytest.mark.parametrize(
    ("content", "actual", "same"),
    [
        (ANY, b"x", True),
        (ANY, None, True),
        (b"x", b"x", True),
        (b"x", b"y", False),
        (b"x", "x", False),
        (Predicate(bytes.isdigit), b"12", True),
        (Predicate(bytes.isdigit), b"1x", False),
        (Alike(b"x", b"y"), b"y", True),
        (Alike(b"x", b"y"), b"z", False),
        (LikeTheClass, b"like the class", True),
        (LikeTheClass, b"x", False),
        ({"id": ANY, "ok": True}, {"id": 7, "ok": True}, True),
        ({"id": ANY, "ok": True}, {"id": 7, "ok": False}, False),
        (re.compile(rb"a"), b"b", False),
        (re.compile(rb"a"), b"ab", False),
        (re.compile(rb"a"), b"ba", False),
        (re.compile(rb"a"), b"a\n", False),
        (re.compile("a"), 5, False),
        (re.compile("a"), {"a": 1}, False),
    ],
)
def test_comparing(content: object, actual: object, same: bool) -> None:
    """Whether it is the same; a handle then has what came."""
    equal, value = compare(content, actual)
    assert equal is same
    assert value is (None if isinstance(content, re.Pattern) else actual)


@pytest.mark.parametrize(
    ("pattern", "actual"), [(re.compile(rb"(a+)b*"), b"aab"), (re.compile("(a+)b*"), "aab")]
)
def test_a_pattern_that_matches(pattern: Any, actual: Any) -> None:
    """A handle then has the match."""
    same, match = compare(pattern, actual)
    assert same is True
    assert match.group(1) == actual[:2]


def test_a_comparison_that_gives_no_boolean() -> None:
    """What counts as true is true."""

    class Odd:
        def __eq__(self, other: object) -> Any:
            return [other]

        def __hash__(self) -> int:
            return 0

    assert compare(Odd(), b"x") == (True, b"x")


# Names


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (no_argument, "no_argument"),
        (lambda: b"", "<lambda>"),
        (bytes.isdigit, "isdigit"),
        (functools.partial(one_argument, b"x"), "one_argument"),
        (functools.partial(functools.partial(two_arguments, 1), 2), "two_arguments"),
        (Callee().method, "method"),
        (operator.methodcaller("startswith", b"x"), "operator.methodcaller('startswith', b'x')"),
        (mock.Mock(name="send"), "<Mock name='send' id="),
    ],
)
def test_what_a_function_is_called(function: Callable[..., Any], name: str) -> None:
    """Its own name, or else what it prints as."""
    assert name_of(function).startswith(name)
