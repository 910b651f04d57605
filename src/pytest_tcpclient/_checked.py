"""Arguments are checked at the line that gives them. The errors are worded here."""

from __future__ import annotations

import math

__tracebackhide__ = True


def checked_seconds(name: str, value: object) -> float:
    """A number of seconds: zero or more, ``math.inf`` included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not value >= 0:  # Nor is NaN.
        raise ValueError(f"{name} must be a number of seconds, zero or more, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def checked_bytes(name: str, value: object, *, empty: bool = False) -> bytes:
    """Bytes, copied if they can change. ``empty`` says whether none may be given."""
    if isinstance(value, str):
        raise TypeError(
            f"{name} must be bytes, not str: write b{value!r} or encode it"
            if value.isascii()
            else f"{name} must be bytes, not str: encode it, {value!r}.encode()"
        )
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{name} must be bytes, not {type(value).__name__}")
    data = bytes(value)
    if not data and not empty:
        raise ValueError(f"{name} must not be empty")
    return data


def checked_flag(name: str, value: object) -> bool:
    """``True`` or ``False``, and nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def checked_size(name: str, value: object, *, least: int = 1) -> int:
    """A number of bytes, ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a number of bytes, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be a number of bytes, {least} or more, not {value!r}")
    return value
