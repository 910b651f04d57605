"""Objects that a framing of the test's own has decoded, and where two of them differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from helpers import SERVER, connect, disconnect
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_tcpclient import ANY
from pytest_tcpclient._failure import Differs, Failure, ScriptView
from pytest_tcpclient._framings import OwnFraming
from pytest_tcpclient._matchers import Frame, Mismatch
from pytest_tcpclient._report import render
from pytest_tcpclient._report.data import comparison
from pytest_tcpclient._report.objects import brief, difference
from pytest_tcpclient._steps import Expect, Place


class Message(NamedTuple):
    kind: int
    body: bytes = b""


@dataclass
class Point:
    x: float
    seen: int = field(compare=False)
    y: float


class Odd:
    """Does not care to be compared."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("odd")

    __hash__ = None  # type: ignore[assignment]


DEEPER: Any = 1
for _ in range(30):
    DEEPER = [DEEPER]


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        ({"a": 1}, {"a": 2}, ["['a']:", "Expected: 1", "Received: 2"]),
        ({"a": 1}, {}, ["['a']:", "Expected: 1", "Received: nothing"]),
        ({}, {"a": 1}, ["['a']:", "Expected: nothing", "Received: 1"]),
        (
            {"id": ANY, "rows": [1, {"n": 2}]},
            {"id": 7, "rows": [1, {"n": 3}]},
            ["['rows'][1]['n']:", "Expected: 2", "Received: 3"],
        ),
        ([1, 2], [1], ["[1]:", "Expected: 2", "Received: nothing"]),
        ((1,), (1, 2), ["[1]:", "Expected: nothing", "Received: 2"]),
        ([1, (2,)], [1, [2]], ["[1]:", "Expected: (2,)", "Received: [2]"]),
        (Message(1), Message(2), [".kind:", "Expected: 1", "Received: 2"]),
        (
            Message(1, b"Hello"),
            Message(1, b"Help"),
            [
                ".body:",
                "Expected: b'Hello'",
                "Received: b'Help'",
                "             ^ first difference, at byte 3",
            ],
        ),
        (Point(1, 2, 3), Point(1, 4, 5), [".y:", "Expected: 3", "Received: 5"]),
        (
            {"text": "x" * 300},
            {"text": ""},
            ["['text']:", f"Expected: '{'x' * 79}... (302 characters)", "Received: ''"],
        ),
    ],
)
def test_where_two_objects_differ(expected: object, actual: object, lines: list[str]) -> None:
    """The path to the first place, as one would write it, and what is there."""
    first, *others = difference(expected, actual)
    assert first == f"First difference at {lines[0]}"
    rest = lines[1:]
    if len(rest) == 3:
        assert others[2].strip() == rest[2].strip()
        others, rest = others[:2], rest[:2]
    assert others == rest


@pytest.mark.parametrize(
    ("expected", "actual"),
    [(1, 2), ("one", "two"), ({"a": 1}, [1]), ([Odd()], [Odd()]), (Point, Point(1, 2, 3))],
)
def test_objects_that_differ_as_a_whole(expected: object, actual: object) -> None:
    """There is no place inside of them to speak of; one that cannot be compared is left alone."""
    assert difference(expected, actual) == []


@pytest.mark.parametrize(
    "base",
    [dict, list, tuple, dataclass(type("Plain", (), {"__annotations__": {"x": int}, "x": 1}))],
)
def test_objects_that_differ_in_nothing_that_is_inside_of_them(base: type) -> None:
    """They say themselves that they are not equal."""
    other = type("Other", (base,), {"__eq__": lambda self, other: False})
    assert difference(other(), other()) == []


def test_no_deeper_than_a_person_would_look() -> None:
    """A long way in, the objects are shown from there on."""
    assert difference(DEEPER, [DEEPER])[0] == f"First difference at {'[0]' * 20}:"


VALUES = st.recursive(
    st.integers(0, 1) | st.binary(max_size=1),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
)


class Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = Nothing()


def at(path: str, value: object) -> object:
    """What is there."""
    try:
        return eval(f"value{path}", {"value": value})
    except LookupError:
        return NOTHING


@given(VALUES, VALUES)
def test_what_is_at_the_place_differs(expected: object, actual: object) -> None:
    """Whatever the objects are."""
    assume(expected != actual)
    lines = difference(expected, actual)
    if not lines:
        assert type(expected) is not type(actual) or not isinstance(expected, list | dict)
        return
    path = lines[0].removeprefix("First difference at ").removesuffix(":")
    found = [at(path, expected), at(path, actual)]
    if isinstance(found[0], bytes) and isinstance(found[1], bytes):
        assert lines[1:] == comparison(*found)
    else:
        assert [line[10:] for line in lines[1:3]] == list(map(repr, found))
    assert found[0] != found[1]


def test_an_object_of_200_characters_stands_in_full() -> None:
    """As printed in Python."""
    assert brief("x" * 198) == repr("x" * 198)
    assert brief("x" * 199) == f"'{'x' * 79}... (201 characters)"


def test_the_text_of_a_failure_shows_where_two_objects_differ() -> None:
    """Below the script, and then what was on the wire."""
    expected, actual = {"id": ANY, "n": list(range(100))}, {"id": 1, "n": [*range(99), 0]}
    framing = OwnFraming(object())  # type: ignore[arg-type]
    step = Expect(
        *("expect_frame", Place("test_client.py", 2), (expected,)),
        limit=1.0,
        matcher=Frame(expected, framing),
    )
    failure = Failure(
        Differs(Mismatch(expected, actual), b"wire"),
        step,
        ScriptView((connect(),), (disconnect(3),)),
        1,
        SERVER,
    )
    shown = f"{repr(expected)[:80]}... ({len(repr(expected))} characters)"
    assert render(failure).splitlines() == [
        f"Expected to get frame {shown} but actually got frame {repr(actual)[:80]}... "
        f"({len(repr(actual))} characters)",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "  done         expect_connect()  test_client.py:1",
        f"> failed       expect_frame({shown})  test_client.py:2",
        "  not reached  disconnect()      test_client.py:3",
        "",
        "First difference at ['n'][99]:",
        "Expected: 99",
        "Received: 0",
        "In all: b'wire'",
    ]
