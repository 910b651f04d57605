"""Matchers decide about the bytes received so far."""

from __future__ import annotations

import pytest
from helpers import every_cut, framed
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._framings import Incomplete, LengthPrefixed
from pytest_tcpclient._matchers import (
    Exactly,
    Frame,
    Matched,
    Mismatch,
    NeedData,
    Outcome,
    Oversized,
)


def judge(matcher: Exactly | Frame, pieces: list[bytes]) -> tuple[Outcome, bytes, bytes]:
    """The verdict about these pieces, all that had arrived then, and what is left of it."""
    buffer = bytearray()
    taken = 0
    outcome: Outcome = NeedData()
    for piece in pieces:
        buffer += piece
        if isinstance(outcome, NeedData):
            outcome = matcher.match(buffer, taken)
            if isinstance(outcome, NeedData):
                del buffer[: outcome.taken]
                taken += outcome.taken
    received = matcher.so_far(buffer, taken)
    if isinstance(outcome, Matched):
        del buffer[: outcome.size]
    return outcome, received, bytes(buffer)


# Exactly


@pytest.mark.parametrize(
    ("data", "rest"), [(b"Hello", b""), (b"Hello, world", b", world"), (b"HelloHello", b"Hello")]
)
def test_exact_bytes_match(data: bytes, rest: bytes) -> None:
    """The bytes match however they are cut, and what follows is left for the next step."""
    for pieces in every_cut(data):
        outcome, _, left = judge(Exactly(b"Hello"), pieces)
        assert isinstance(outcome, Matched)
        assert outcome.value == b"Hello"
        assert left == rest


@pytest.mark.parametrize("data", [b"", b"H", b"Hell"])
def test_exact_bytes_are_waited_for(data: bytes) -> None:
    """The beginning of the bytes is no verdict, and need not be kept."""
    for pieces in every_cut(data):
        outcome, received, left = judge(Exactly(b"Hello"), pieces)
        assert isinstance(outcome, NeedData)
        assert received == data
        assert left == b""


@pytest.mark.parametrize("data", [b"X", b"Xello", b"Help", b"HellO", b"Helpless", b"HellO, all"])
def test_exact_bytes_differ(data: bytes) -> None:
    """What was read is shown up to the length of what was expected."""
    for pieces in every_cut(data):
        outcome, received, _ = judge(Exactly(b"Hello"), pieces)
        assert isinstance(outcome, Mismatch)
        assert outcome.expected == b"Hello"
        assert isinstance(outcome.actual, bytes)
        assert data[:5].startswith(outcome.actual)
        assert received == data


def test_exact_bytes_are_wrong_from_the_first_wrong_byte_on() -> None:
    """The rest is not waited for."""
    assert Exactly(b"Hello").match(bytearray(b"He!"), 0) == Mismatch(b"Hello", b"He!")


def test_taken_bytes_are_part_of_what_was_read() -> None:
    """The bytes that were judged and removed before are shown as well."""
    matcher = Exactly(b"Hello")
    assert matcher.match(bytearray(b"p me"), 3) == Mismatch(b"Hello", b"Help ")
    assert matcher.so_far(bytearray(b"p me"), 3) == b"Help me"


def test_exact_bytes_are_not_named() -> None:
    """Plain bytes have no noun, and nothing is known of what is missing."""
    matcher = Exactly(b"Hello")
    assert matcher.noun == ""
    assert matcher.expected == b"Hello"
    assert matcher.missing(bytearray(b"He"), 0) is None


def naive(expected: bytes, data: bytes, taken: int) -> Outcome:
    """What ``Exactly`` must say of this data, of which some was removed from the buffer."""
    for index, byte in enumerate(expected):
        if index == len(data):
            return NeedData(len(data) - taken)
        if data[index] != byte:
            return Mismatch(expected, data[: len(expected)])
    return Matched(len(expected) - taken, expected)


@settings(deadline=None)
@given(st.data())
def test_exact_bytes_agree_with_a_naive_comparison(data: st.DataObject) -> None:
    """Whatever was taken before, the verdict is that of comparing byte by byte."""
    two = st.binary(max_size=6).map(lambda some: bytes(byte % 2 for byte in some))
    expected = data.draw(two.filter(bool), label="expected")
    right = data.draw(st.integers(0, len(expected)), label="right")
    received = expected[:right] + data.draw(two, label="and then")
    common = 0
    while common < min(len(expected), len(received)) and expected[common] == received[common]:
        common += 1
    taken = data.draw(st.integers(0, min(common, len(expected) - 1)), label="taken")
    buffer = bytearray(received[taken:])
    matcher = Exactly(expected)
    assert matcher.match(buffer, taken) == naive(expected, received, taken)
    assert matcher.so_far(buffer, taken) == received
    assert buffer == received[taken:]


# Frame


@pytest.mark.parametrize("payload", [b"", b"x", b"Hello"])
@pytest.mark.parametrize("rest", [b"", b"\0\0\0\1y"])
def test_a_frame_matches(payload: bytes, rest: bytes) -> None:
    """A frame matches however it is cut, and what follows is left for the next step."""
    for pieces in every_cut(framed(payload) + rest):
        outcome, _, left = judge(Frame(payload, LengthPrefixed()), pieces)
        assert outcome == Matched(4 + len(payload), payload)
        assert left == rest


@pytest.mark.parametrize("actual", [b"", b"Hellp", b"Hello, world", b"Hell"])
def test_a_frame_differs(actual: bytes) -> None:
    """Of a wrong frame the whole payload is shown, however it was cut."""
    for pieces in every_cut(framed(actual)):
        outcome, received, _ = judge(Frame(b"Hello", LengthPrefixed()), pieces)
        assert outcome == Mismatch(b"Hello", actual)
        assert received == framed(actual)


def test_a_frame_is_judged_when_it_is_complete() -> None:
    """A frame that is wrong from its first byte on is waited for, and nothing is removed."""
    wire = framed(b"Wrong!")
    matcher = Frame(b"Hello", LengthPrefixed())
    for size in range(len(wire)):
        assert matcher.match(bytearray(wire[:size]), 0) == NeedData(0)
        assert matcher.so_far(bytearray(wire[:size]), 0) == wire[:size]
    assert matcher.match(bytearray(wire), 0) == Mismatch(b"Hello", b"Wrong!")


def test_a_frame_over_its_limit_is_not_waited_for() -> None:
    """The prefix of a frame that is too long is verdict enough."""
    for pieces in every_cut(b"GET / HTTP"):
        outcome, received, _ = judge(Frame(b"Hello", LengthPrefixed(limit=1000)), pieces)
        assert outcome == Oversized(1000, 0x47455420, b"GET ")
        assert received == b"GET / HTTP"


def test_what_is_missing_of_a_frame() -> None:
    """It is known how far a frame has come, once it has begun and until it is complete."""
    matcher = Frame(b"abc", LengthPrefixed(limit=10))
    wire = framed(b"abc")
    assert [matcher.missing(bytearray(wire[:size]), 0) for size in range(len(wire))] == [
        None,
        Incomplete(1, 4, "length prefix"),
        Incomplete(2, 4, "length prefix"),
        Incomplete(3, 4, "length prefix"),
        Incomplete(0, 3, "payload"),
        Incomplete(1, 3, "payload"),
        Incomplete(2, 3, "payload"),
    ]


def test_a_frame_is_named() -> None:
    """The report calls it a frame, and shows its payload."""
    matcher = Frame(b"abc", LengthPrefixed())
    assert matcher.noun == "frame"
    assert matcher.expected == b"abc"
