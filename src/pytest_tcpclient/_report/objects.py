"""Objects as a reader can take them in, and where two of them differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from .._contents import literal
from .data import IN_FULL, SHORTENED, comparison

#: Objects are compared so many levels deep.
DEEP = 20


class _Nothing:
    """What stands where only one of two objects has something."""

    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


class Spot(NamedTuple):
    """Where two objects differ, as one would write it after their name, and what is there."""

    path: str
    expected: object
    actual: object


def brief(value: object) -> str:
    """An object's ``repr``, in full or shortened with its size."""
    text = literal(value)
    if len(text) <= IN_FULL:
        return text
    return f"{text[:SHORTENED]}... ({len(text):,} characters)"


def difference(expected: object, actual: object) -> list[str]:
    """The first place at which two objects differ, if it is inside of both."""
    try:
        spot = _first(expected, actual)
    except Exception:  # An object of the test's own may do anything when it is compared.
        return []
    if not spot.path:
        return []
    if isinstance(spot.expected, bytes) and isinstance(spot.actual, bytes):
        lines = comparison(spot.expected, spot.actual)
    else:
        lines = [f"Expected: {brief(spot.expected)}", f"Received: {brief(spot.actual)}"]
    return [f"First difference at {spot.path}:", *lines]


def _first(expected: object, actual: object, path: str = "", depth: int = 0) -> Spot:
    """The first place at which two objects differ that are not equal."""
    if depth < DEEP:
        for step, inner, other in _insides(expected, actual):
            if inner is _NOTHING or other is _NOTHING:
                return Spot(path + step, inner, other)
            if not bool(inner == other):
                return _first(inner, other, path + step, depth + 1)
    return Spot(path, expected, actual)


def _insides(expected: Any, actual: Any) -> Iterator[tuple[str, object, object]]:
    """What is inside of two objects, pair by pair, and how one comes to it."""
    if type(expected) is not type(actual):
        return
    if isinstance(expected, dict):
        for key in [*expected, *(key for key in actual if key not in expected)]:
            yield f"[{key!r}]", expected.get(key, _NOTHING), actual.get(key, _NOTHING)
    elif isinstance(expected, list | tuple):
        names = getattr(expected, "_fields", ())  # Of a named tuple.
        for index in range(max(len(expected), len(actual))):
            yield (
                f".{names[index]}" if names else f"[{index}]",
                expected[index] if index < len(expected) else _NOTHING,
                actual[index] if index < len(actual) else _NOTHING,
            )
    elif is_dataclass(expected):
        for field in fields(expected):
            if field.compare:
                yield f".{field.name}", getattr(expected, field.name), getattr(actual, field.name)
