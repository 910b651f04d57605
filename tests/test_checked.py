"""Arguments are checked at the line that gives them."""

from __future__ import annotations

import math

import pytest

from pytest_tcpclient._checked import checked_bytes, checked_flag, checked_seconds


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0.0), (2, 2.0), (0.25, 0.25), (-0.0, 0.0), (math.inf, math.inf)]
)
def test_seconds_are_numbers_from_zero_on(value: float, expected: float) -> None:
    """Zero, positive numbers and infinity are seconds, and come out as floats."""
    seconds = checked_seconds("timeout", value)
    assert seconds == expected
    assert type(seconds) is float


@pytest.mark.parametrize(
    ("value", "shown"), [("1", "'1'"), (None, "None"), (True, "True"), (1j, "1j"), ([], "[]")]
)
def test_seconds_must_be_numbers(value: object, shown: str) -> None:
    """What is not a number is no number of seconds, and a bool is not a number."""
    with pytest.raises(TypeError) as caught:
        checked_seconds("timeout", value)
    assert str(caught.value) == f"timeout must be a number of seconds, not {shown}"


@pytest.mark.parametrize(
    ("value", "shown"), [(-1, "-1"), (-0.5, "-0.5"), (math.nan, "nan"), (-math.inf, "-inf")]
)
def test_seconds_must_not_be_negative(value: float, shown: str) -> None:
    """Negative numbers and nan are refused."""
    with pytest.raises(ValueError, match="zero or more") as caught:
        checked_seconds("grace", value)
    assert str(caught.value) == f"grace must be a number of seconds, zero or more, not {shown}"


def test_more_seconds_than_a_float_can_hold_are_for_ever() -> None:
    """An int has no bound."""
    assert checked_seconds("timeout", 10**400) == math.inf


def test_bytes_are_returned_as_they_are() -> None:
    """Bytes need not be copied."""
    data = b"Hello"
    assert checked_bytes("data", data) is data


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_mutable_bytes_are_copied(kind: type) -> None:
    """A buffer that changes after the declaration does not change the script."""
    buffer = bytearray(b"Hello")
    copied = checked_bytes("data", kind(buffer) if kind is memoryview else buffer)
    buffer[0] = 0
    assert copied == b"Hello"
    assert type(copied) is bytes


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Hello", "data must be bytes, not str: write b'Hello' or encode it"),
        ("it's", 'data must be bytes, not str: write b"it\'s" or encode it'),
        ("", "data must be bytes, not str: write b'' or encode it"),
        ("Grüße", "data must be bytes, not str: encode it, 'Grüße'.encode()"),
        (5, "data must be bytes, not int"),
        (None, "data must be bytes, not NoneType"),
        ([72], "data must be bytes, not list"),
    ],
)
def test_anything_else_is_not_bytes(value: object, message: str) -> None:
    """What is not bytes is refused, and for a str the remedy is named."""
    with pytest.raises(TypeError) as caught:
        checked_bytes("data", value)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [b"", bytearray(), memoryview(b"")])
def test_no_bytes_at_all_are_refused(value: object) -> None:
    """To expect or to send nothing makes no sense."""
    with pytest.raises(ValueError, match="empty") as caught:
        checked_bytes("data", value)
    assert str(caught.value) == "data must not be empty"


def test_no_bytes_at_all_may_be_allowed() -> None:
    """A payload may be empty."""
    assert checked_bytes("payload", b"", empty=True) == b""


@pytest.mark.parametrize("value", [True, False])
def test_flags_are_booleans(value: bool) -> None:
    """True and False are flags."""
    assert checked_flag("strict", value) is value


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (1, "1"), (None, "None"), ("no", "'no'"), ([], "[]")]
)
def test_what_merely_counts_as_true_is_no_flag(value: object, shown: str) -> None:
    """A value that is only truthy or falsy is refused: it is nearly always a mistake."""
    with pytest.raises(TypeError) as caught:
        checked_flag("strict", value)
    assert str(caught.value) == f"strict must be True or False, not {shown}"
