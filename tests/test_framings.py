"""How one message is delimited on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._framings import Incomplete, LengthPrefixed, TooLong


@pytest.mark.parametrize(
    ("payload", "wire"),
    [
        (b"", b"\0\0\0\0"),
        (b"x", b"\0\0\0\1x"),
        (b"Hello", b"\0\0\0\5Hello"),
        (bytes(0x010203), b"\0\1\2\3" + bytes(0x010203)),
    ],
)
def test_a_message_is_its_length_and_its_payload(payload: bytes, wire: bytes) -> None:
    """The length is 4 bytes, the most significant one first."""
    framing = LengthPrefixed()
    assert framing.encode(payload) == wire
    assert framing.decode(bytearray(wire)) == (payload, len(wire))


def test_every_prefix_of_a_message_is_incomplete() -> None:
    """Until the last byte is there it says how much of which part has come."""
    wire = bytearray(b"\0\0\0\3abc")
    framing = LengthPrefixed()
    assert [framing.decode(wire[:size]) for size in range(len(wire))] == [None] * 7
    assert [framing.missing(wire[:size]) for size in range(len(wire))] == [
        Incomplete(0, 4, "length prefix"),
        Incomplete(1, 4, "length prefix"),
        Incomplete(2, 4, "length prefix"),
        Incomplete(3, 4, "length prefix"),
        Incomplete(0, 3, "payload"),
        Incomplete(1, 3, "payload"),
        Incomplete(2, 3, "payload"),
    ]


def test_what_follows_a_message_is_left_alone() -> None:
    """Only one message is decoded, and the buffer is not changed."""
    buffer = bytearray(b"\0\0\0\2ab\0\0\0\1c")
    assert LengthPrefixed().decode(buffer) == (b"ab", 6)
    assert buffer == b"\0\0\0\2ab\0\0\0\1c"


def test_a_payload_is_a_copy() -> None:
    """A payload does not change with the buffer."""
    buffer = bytearray(b"\0\0\0\2ab")
    decoded = LengthPrefixed().decode(buffer)
    buffer[:] = b"\0" * 6
    assert decoded == (b"ab", 6)
    assert type(decoded[0]) is bytes


@pytest.mark.parametrize("size", [4, 5, 100])
def test_a_length_over_the_limit_is_not_waited_for(size: int) -> None:
    """With the prefix it is known already that a message is too long."""
    framing = LengthPrefixed(limit=3)
    buffer = bytearray(size.to_bytes(4, "big"))
    for data in (buffer, buffer + bytes(size)):
        with pytest.raises(TooLong) as caught:
            framing.decode(data)
        assert caught.value.args == (3, size, bytes(buffer))


def test_a_length_at_the_limit_is_a_message() -> None:
    """The limit itself is not over the limit."""
    framing = LengthPrefixed(limit=3)
    assert framing.decode(bytearray(b"\0\0\0\3ab")) is None
    assert framing.decode(bytearray(b"\0\0\0\3abc")) == (b"abc", 7)


def test_the_default_limit() -> None:
    """By default a message has up to 64 MiB; text that is read as a length has more."""
    framing = LengthPrefixed()
    most = 64 * 1024 * 1024
    assert framing.decode(bytearray(most.to_bytes(4, "big"))) is None
    for over, size in (((most + 1).to_bytes(4, "big"), most + 1), (b"Hello", 0x48656C6C)):
        with pytest.raises(TooLong) as caught:
            framing.decode(over)
        assert (caught.value.size, caught.value.limit) == (size, most)


def test_framings_are_values() -> None:
    """Two framings with the same settings are equal."""
    assert LengthPrefixed(limit=5) == LengthPrefixed(limit=5)
    assert LengthPrefixed(limit=5) != LengthPrefixed(limit=6)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20)), st.binary(max_size=3))
def test_messages_survive_the_wire(payloads: list[bytes], rest: bytes) -> None:
    """Whatever was encoded is decoded, one message after the other."""
    framing = LengthPrefixed()
    buffer = bytearray(b"".join(framing.encode(payload) for payload in payloads) + rest)
    decoded = []
    while result := framing.decode(buffer):
        decoded.append(result[0])
        del buffer[: result[1]]
    assert decoded == payloads
    assert buffer == rest
