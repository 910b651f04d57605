"""How one message is delimited on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._framings import (
    LIMIT,
    LINE_LIMIT,
    Checked,
    Delimited,
    FixedSize,
    Incomplete,
    LengthPrefixed,
    Netstring,
    OwnFraming,
    TooLong,
    VarintPrefixed,
    checked_framing,
    find,
)


class JsonLines:
    """A framing as a test may write it: a JSON value in a line of its own."""

    def encode(self, payload: Any) -> bytes:
        return json.dumps(payload).encode() + b"\n"

    def decode(self, buffer: bytes) -> tuple[Any, int] | None:
        line, newline, _ = buffer.partition(b"\n")
        return (json.loads(line), len(line) + 1) if newline else None


class Answers:
    """A framing that answers as it is told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __repr__(self) -> str:
        return "Answers()"

    def encode(self, payload: Any) -> Any:
        return self.answer

    def decode(self, buffer: bytes) -> Any:
        return self.answer


def progress(framing: Checked, wire: bytes) -> list[Incomplete | None]:
    """What is known to be missing of each beginning of a message, none of which is complete."""
    buffers = [bytearray(wire[:size]) for size in range(len(wire))]
    assert [framing.decode(buffer) for buffer in buffers] == [None] * len(wire)
    return [framing.missing(buffer) for buffer in buffers]


# A length before the payload


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


@pytest.mark.parametrize(
    ("framing", "text"),
    [
        (LengthPrefixed(), "LengthPrefixed()"),
        (LengthPrefixed(4, limit=5), "LengthPrefixed(limit=5)"),
        (
            LengthPrefixed(2, "little", True),
            "LengthPrefixed(size=2, byteorder='little', includes_prefix=True)",
        ),
        (VarintPrefixed(), "VarintPrefixed()"),
        (Netstring(5), "Netstring(limit=5)"),
        (Delimited(b"\n"), "Delimited()"),
        (Delimited(b"--"), "Delimited(delimiter=b'--')"),
        (FixedSize(2), "FixedSize(size=2)"),
    ],
)
def test_a_framing_prints_as_it_is_written(framing: Checked, text: str) -> None:
    """Without what need not be written."""
    assert repr(framing) == text


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


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        (LengthPrefixed(1), b"\2ab"),
        (LengthPrefixed(2), b"\0\2ab"),
        (LengthPrefixed(3), b"\0\0\2ab"),
        (LengthPrefixed(8), b"\0\0\0\0\0\0\0\2ab"),
        (LengthPrefixed(1, "little"), b"\2ab"),
        (LengthPrefixed(2, "little"), b"\2\0ab"),
        (LengthPrefixed(3, "little"), b"\2\0\0ab"),
        (LengthPrefixed(4, "little"), b"\2\0\0\0ab"),
        (LengthPrefixed(8, "little"), b"\2\0\0\0\0\0\0\0ab"),
        (LengthPrefixed(1, includes_prefix=True), b"\3ab"),
        (LengthPrefixed(2, includes_prefix=True), b"\0\4ab"),
        (LengthPrefixed(3, includes_prefix=True), b"\0\0\5ab"),
        (LengthPrefixed(4, includes_prefix=True), b"\0\0\0\6ab"),
        (LengthPrefixed(8, "little", includes_prefix=True), b"\x0a\0\0\0\0\0\0\0ab"),
        (VarintPrefixed(), b"\2ab"),
        (Netstring(), b"2:ab,"),
        (Delimited(), b"ab\n"),
        (Delimited(b"--"), b"ab--"),
        (FixedSize(2), b"ab"),
    ],
)
def test_a_message_on_the_wire(framing: Checked, wire: bytes) -> None:
    """Encoded and decoded; what follows is left alone, and the buffer is not changed."""
    assert framing.encode(b"ab") == wire
    assert framing.encode(bytearray(b"ab")) == wire
    for rest in (b"", b"x", wire):
        buffer = bytearray(wire + rest)
        decoded = framing.decode(buffer)
        assert decoded == (b"ab", len(wire))
        assert type(decoded[0]) is bytes
        assert buffer == wire + rest
        assert framing.decode(bytes(buffer)) == decoded


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("includes", [False, True])
def test_what_is_missing_after_a_length(size: int, includes: bool) -> None:
    """First bytes of the prefix, then of the payload."""
    framing = LengthPrefixed(size, includes_prefix=includes)
    assert progress(framing, framing.encode(b"abc")) == [
        *(Incomplete(have, size, "length prefix") for have in range(size)),
        *(Incomplete(have, 3, "payload") for have in range(3)),
    ]


@pytest.mark.parametrize(
    ("framing", "most"),
    [
        (LengthPrefixed(1), 255),
        (LengthPrefixed(1, includes_prefix=True), 254),
        (LengthPrefixed(2), 65535),
        (LengthPrefixed(2, "little", includes_prefix=True), 65533),
    ],
)
def test_how_much_a_length_can_say(framing: LengthPrefixed, most: int) -> None:
    """A payload that is too long for it is refused."""
    payload = bytes(most)
    assert framing.decode(framing.encode(payload)) == (payload, most + framing.size)
    with pytest.raises(ValueError, match="too long") as caught:
        framing.encode(bytes(most + 1))
    assert str(caught.value) == (
        f"a payload of {most + 1:,} bytes is too long for a length of "
        f"{'1 byte' if framing.size == 1 else '2 bytes'}"
    )


@pytest.mark.parametrize(
    ("framing", "wire", "message"),
    [
        (
            LengthPrefixed(includes_prefix=True),
            b"\0\0\0\3",
            r"its length prefix b'\x00\x00\x00\x03' says 3, which is less than its own 4 bytes",
        ),
        (
            LengthPrefixed(2, "little", includes_prefix=True),
            b"\0\0",
            r"its length prefix b'\x00\x00' says 0, which is less than its own 2 bytes",
        ),
        (
            LengthPrefixed(1, includes_prefix=True),
            b"\0",
            r"its length prefix b'\x00' says 0, which is less than its own 1 byte",
        ),
        (VarintPrefixed(), b"\x80" * 10, "its length is a varint of more than 10 bytes"),
        (VarintPrefixed(), b"\xff" * 10, "its length is a varint of more than 10 bytes"),
        (Netstring(), b"x", "it does not begin with a length in decimal digits"),
        (Netstring(), b":", "it does not begin with a length in decimal digits"),
        (Netstring(), b"-1:", "it does not begin with a length in decimal digits"),
        (Netstring(), b"1x", "it does not begin with a length in decimal digits"),
        (Netstring(), b"\xb2:", "it does not begin with a length in decimal digits"),
        (Netstring(), b"00", "its length begins with a zero"),
        (Netstring(), b"05:hello", "its length begins with a zero"),
        (Netstring(), b"2:abc", "b',' must follow its payload, not b'c'"),
        (Netstring(), b"0:\n", r"b',' must follow its payload, not b'\n'"),
        (OwnFraming(JsonLines()), b"x\n", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_is_no_message(framing: Checked, wire: bytes, message: str) -> None:
    """It is known at the first byte that cannot belong to one, whatever follows."""
    for rest in (b"", b"x", b"1:a,", bytes(100)):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            framing.decode(bytearray(wire + rest))
        assert str(caught.value) == message
        assert type(caught.value) is not TooLong


@pytest.mark.parametrize(
    ("framing", "wire", "arguments"),
    [
        (LengthPrefixed(1, limit=3), b"\4", (3, 4, b"\4")),
        (LengthPrefixed(2, "little", limit=3), b"\4\0", (3, 4, b"\4\0")),
        (LengthPrefixed(2, includes_prefix=True, limit=3), b"\0\6", (3, 4, b"\0\6")),
        (LengthPrefixed(8), b"\xff" * 8, (LIMIT, 2**64 - 1, b"\xff" * 8)),
        (VarintPrefixed(limit=3), b"\4", (3, 4, b"\4")),
        (VarintPrefixed(limit=200), b"\xc9\1", (200, 201, b"\xc9\1")),
        (VarintPrefixed(), b"\xff" * 9 + b"\x7f", (LIMIT, 2**70 - 1, b"\xff" * 9 + b"\x7f")),
        (Netstring(limit=3), b"4:", (3, 4, b"4")),
        (Netstring(limit=3), b"10", (3, None, b"")),
        (Netstring(), b"67108865:", (LIMIT, LIMIT + 1, b"67108865")),
        (Netstring(), b"123456789", (LIMIT, None, b"")),
        (Delimited(limit=3), b"abcd", (3, None, b"")),
        (Delimited(b"ab", limit=3), b"xxxxa", (3, None, b"")),
        (Delimited(), b"x" * (LINE_LIMIT + 1), (LINE_LIMIT, None, b"")),
        (OwnFraming(JsonLines()), b"1" * (LIMIT + 1), (LIMIT, None, b"")),
    ],
)
def test_what_is_over_a_limit(framing: Checked, wire: bytes, arguments: object) -> None:
    """It is known as soon as that is certain, and whatever follows."""
    assert framing.decode(wire[:-1]) is None
    for rest in (b"", b"x", b":ab,\nab", b"\n"):
        with pytest.raises(TooLong) as caught:
            framing.decode(wire + rest)
        assert caught.value.args == arguments
        error = caught.value
        assert (error.limit, error.size, error.prefix) == arguments


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        (LengthPrefixed(1, limit=3), b"\3abc"),
        (VarintPrefixed(limit=3), b"\3abc"),
        (Netstring(limit=3), b"3:abc,"),
        (Netstring(limit=12), b"3:abc,"),
        (Delimited(limit=3), b"abc\n"),
        (Delimited(b"--", limit=3), b"abc--"),
    ],
)
def test_what_is_at_a_limit(framing: Checked, wire: bytes) -> None:
    """The limit itself is not over the limit."""
    assert framing.decode(wire[:-1]) is None
    assert framing.decode(wire) == (b"abc", len(wire))


# A varint before the payload


@pytest.mark.parametrize(
    ("size", "prefix"),
    [
        (0, b"\0"),
        (1, b"\1"),
        (127, b"\x7f"),
        (128, b"\x80\1"),
        (300, b"\xac\2"),
        (16383, b"\xff\x7f"),
        (16384, b"\x80\x80\1"),
    ],
)
def test_varints(size: int, prefix: bytes) -> None:
    """Seven bits a byte, the least significant ones first, as Protocol Buffers has them."""
    wire = VarintPrefixed().encode(bytes(size))
    assert wire == prefix + bytes(size)
    assert VarintPrefixed().decode(wire) == (bytes(size), len(wire))


def test_a_varint_may_be_longer_than_it_need_be() -> None:
    """Up to ten bytes."""
    for zeros in range(9):
        wire = b"\x82" + b"\x80" * zeros + b"\0ab"
        assert VarintPrefixed().decode(wire) == (b"ab", len(wire))


def test_what_is_missing_after_a_varint() -> None:
    """Nothing is known before the length is."""
    wire = VarintPrefixed().encode(bytes(200))
    assert progress(VarintPrefixed(), wire)[:4] == [
        None,
        None,
        Incomplete(0, 200, "payload"),
        Incomplete(1, 200, "payload"),
    ]


# Netstrings


@pytest.mark.parametrize(
    ("payload", "wire"),
    [(b"", b"0:,"), (b"hello world!", b"12:hello world!,"), (b",:1", b"3:,:1,")],
)
def test_netstrings(payload: bytes, wire: bytes) -> None:
    """As their author has them."""
    assert Netstring().encode(payload) == wire
    assert Netstring().decode(wire) == (payload, len(wire))


def test_what_is_missing_of_a_netstring() -> None:
    """Nothing is known before the length is, nor when only the comma is missing."""
    assert progress(Netstring(), b"2:ab,") == [
        None,
        None,
        Incomplete(0, 2, "payload"),
        Incomplete(1, 2, "payload"),
        None,
    ]


# Delimiters


def test_a_delimiter_is_found_where_it_comes_first() -> None:
    """Also if it overlaps with itself."""
    framing = Delimited(b"aba")
    assert framing.decode(b"xababa") == (b"x", 4)
    assert framing.decode(b"aba") == (b"", 3)
    assert framing.decode(b"ab") is None


def test_nothing_is_known_of_what_ends_with_a_delimiter() -> None:
    """Until it is complete."""
    assert progress(Delimited(b"\r\n"), b"ab\r\n") == [None] * 4


@pytest.mark.parametrize("payload", [b"--", b"a--b", b"ab--", b"--ab"])
def test_a_payload_that_contains_the_delimiter(payload: bytes) -> None:
    """It cannot be sent."""
    with pytest.raises(ValueError, match="delimiter") as caught:
        Delimited(b"--").encode(payload)
    assert str(caught.value) == "payload must not contain the delimiter b'--'"


@settings(deadline=None)
@given(st.binary(max_size=8), st.binary(min_size=1, max_size=3), st.integers(1, 8))
def test_finding_agrees_with_a_naive_search(data: bytes, delimiter: bytes, limit: int) -> None:
    """Byte by byte, whatever is said of a buffer is said of every longer one."""
    data = bytes(byte % 2 for byte in data)
    delimiter = bytes(byte % 2 for byte in delimiter)
    verdict: int | None = None
    for size in range(len(data) + 1):
        try:
            at = find(data[:size], delimiter, limit)
        except TooLong:
            at = -2
        if verdict is None and at != -1:
            verdict = at
        assert at == (-1 if verdict is None else verdict)
    first = data.find(delimiter)
    if 0 <= first <= limit:
        assert verdict == first
    else:
        assert verdict == (-2 if len(data) >= limit + len(delimiter) else None)


# A fixed size


def test_what_is_missing_of_a_fixed_size() -> None:
    """It is known from the first byte on."""
    assert progress(FixedSize(3), b"abc") == [
        Incomplete(0, 3, "payload"),
        Incomplete(1, 3, "payload"),
        Incomplete(2, 3, "payload"),
    ]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"a", "payload must have 2 bytes, not 1"),
        (bytes(1000), "payload must have 2 bytes, not 1,000"),
        (b"", "payload must not be empty"),
    ],
)
def test_a_payload_of_another_size(payload: bytes, message: str) -> None:
    """It cannot be sent."""
    with pytest.raises(ValueError, match="payload") as caught:
        FixedSize(2).encode(payload)
    assert str(caught.value) == message


# A framing of the test's own


def test_a_framing_of_the_test() -> None:
    """Its payloads are objects; it is asked when there is something to look at."""
    framing = OwnFraming(JsonLines())
    wire = framing.encode({"id": 1})
    assert wire == b'{"id": 1}\n'
    assert framing.decode(bytearray(wire + b"x")) == ({"id": 1}, len(wire))
    assert progress(framing, wire) == [None] * len(wire)
    nothing = OwnFraming(Answers(1))
    assert nothing.decode(b"") is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_a_framing_may_encode_to(kind: Callable[[bytes], Any]) -> None:
    """Bytes of any kind, which are copied."""
    encoded = OwnFraming(Answers(kind(b"ab"))).encode(None)
    assert (type(encoded), encoded) == (bytes, b"ab")


@pytest.mark.parametrize("answer", [None, "ab", 5, [1]])
def test_a_framing_that_does_not_encode_to_bytes(answer: Any) -> None:
    """The test is at fault, and not the client."""
    with pytest.raises(ScriptError) as caught:
        OwnFraming(Answers(answer)).encode(b"x")
    assert str(caught.value) == f"Answers.encode() must return bytes, not {answer!r}"


@pytest.mark.parametrize(
    "answer",
    [b"ab", (b"ab",), (b"ab", 2, 3), [b"ab", 2], (b"ab", "2"), (b"ab", True), (2, b"ab"), 0],
)
def test_a_framing_that_does_not_decode_to_a_pair(answer: Any) -> None:
    """The test is at fault, and not the client."""
    with pytest.raises(ScriptError) as caught:
        OwnFraming(Answers(answer)).decode(b"abc")
    assert str(caught.value) == (
        f"Answers.decode() must return (payload, size) or None, not {answer!r}"
    )


@pytest.mark.parametrize("size", [0, -1, 4, 1000])
def test_a_framing_that_decodes_more_than_there_is(size: int) -> None:
    """The test is at fault, and not the client."""
    with pytest.raises(ScriptError) as caught:
        OwnFraming(Answers((b"ab", size))).decode(b"abc")
    assert str(caught.value) == (
        f"Answers.decode() was given 3 bytes, and says that its message has {size:,}"
    )


def test_how_much_a_framing_of_the_test_gets() -> None:
    """Up to the limit, so that it does not depend on a cut whether a message is too long."""
    sizes = []

    class Counts:
        def encode(self, payload: object) -> bytes:
            raise AssertionError("not used")

        def decode(self, buffer: bytes) -> tuple[object, int] | None:
            sizes.append(len(buffer))
            return ("all", len(buffer)) if len(buffer) >= LIMIT else None

    assert OwnFraming(Counts()).decode(bytes(LIMIT + 5)) == ("all", LIMIT)
    assert OwnFraming(Counts()).decode(bytes(5)) is None
    assert sizes == [LIMIT, 5]


# What is given as a framing


@pytest.mark.parametrize(
    "framing",
    [
        LengthPrefixed(),
        VarintPrefixed(),
        Netstring(),
        Delimited(),
        FixedSize(1),
        OwnFraming(JsonLines()),
    ],
)
def test_the_framings_of_the_package(framing: Checked) -> None:
    """They are taken as they are."""
    assert checked_framing("framing", framing) is framing


def test_an_object_that_is_a_framing() -> None:
    """It is one if it has the two methods; it prints as what it is."""
    own = Answers(b"")
    framing = checked_framing("framing", own)
    assert framing == OwnFraming(own)
    assert repr(framing) == "Answers()"


def test_a_framing_that_is_derived_from_one_of_the_package() -> None:
    """Its own methods are what is used."""

    class Shouting(Delimited):
        def decode(self, buffer: bytes | bytearray) -> tuple[bytes, int] | None:
            found = super().decode(buffer)
            return found and (found[0].upper(), found[1])

    framing = checked_framing("framing", Shouting(b"!"))
    assert framing.decode(b"ab!") == (b"AB", 3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Netstring, "framing must be an object, not a class: write Netstring()"),
        (JsonLines, "framing must be an object, not a class: write JsonLines()"),
        ("line", "framing must have the methods encode() and decode(), not 'line'"),
        (b"\n", "framing must have the methods encode() and decode(), not b'\\n'"),
        (None, "framing must have the methods encode() and decode(), not None"),
    ],
)
def test_what_is_no_framing(value: object, message: str) -> None:
    """It is refused by the name of the option."""
    with pytest.raises(TypeError) as caught:
        checked_framing("framing", value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LengthPrefixed(5), ValueError, "size must be 1, 2, 3, 4 or 8 bytes, not 5"),
        (lambda: LengthPrefixed(0), ValueError, "size must be 1, 2, 3, 4 or 8 bytes, not 0"),
        (lambda: LengthPrefixed("4"), ValueError, "size must be 1, 2, 3, 4 or 8 bytes, not '4'"),
        (
            lambda: LengthPrefixed(byteorder="network"),
            ValueError,
            'byteorder must be "big" or "little", not \'network\'',
        ),
        (
            lambda: LengthPrefixed(includes_prefix=1),
            TypeError,
            "includes_prefix must be True or False, not 1",
        ),
        (
            lambda: LengthPrefixed(limit=0),
            ValueError,
            "limit must be a number of bytes, 1 or more, not 0",
        ),
        (lambda: VarintPrefixed("1"), TypeError, "limit must be a number of bytes, not '1'"),
        (lambda: Netstring(-1), ValueError, "limit must be a number of bytes, 1 or more, not -1"),
        (lambda: Delimited(b""), ValueError, "delimiter must not be empty"),
        (
            lambda: Delimited("\n"),
            TypeError,
            r"delimiter must be bytes, not str: write b'\n' or encode it",
        ),
        (lambda: Delimited(limit=True), TypeError, "limit must be a number of bytes, not True"),
        (lambda: FixedSize(0), ValueError, "size must be a number of bytes, 1 or more, not 0"),
        (lambda: FixedSize(1.5), TypeError, "size must be a number of bytes, not 1.5"),
    ],
)
def test_bad_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    """They are refused where the framing is made."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "framing", [LengthPrefixed(), VarintPrefixed(), Netstring(), Delimited(), FixedSize(2)]
)
def test_payloads_are_bytes(framing: Checked) -> None:
    """Text is refused."""
    with pytest.raises(TypeError) as caught:
        framing.encode("ab")
    assert str(caught.value) == "payload must be bytes, not str: write b'ab' or encode it"


# All of them


MANY: list[Checked] = [
    *(
        LengthPrefixed(size, order, includes)  # type: ignore[arg-type]
        for size in (1, 2, 3, 4, 8)
        for order in ("big", "little")
        for includes in (False, True)
    ),
    *(VarintPrefixed(), Netstring(), Delimited(b"ab"), FixedSize(3), OwnFraming(JsonLines())),
]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(MANY), st.data())
def test_every_framing_survives_the_wire(framing: Checked, data: st.DataObject) -> None:
    """Whatever was encoded is decoded, at the last byte of each message and not before."""
    payloads: st.SearchStrategy[Any] = st.binary(max_size=200)
    if isinstance(framing, Delimited):
        payloads = payloads.filter(lambda some: b"ab" not in some + b"a")
    elif isinstance(framing, FixedSize):
        payloads = st.binary(min_size=3, max_size=3)
    elif isinstance(framing, OwnFraming):
        payloads = st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=3)
    sent = data.draw(st.lists(payloads, max_size=3))
    buffer = bytearray()
    received = []
    for byte in b"".join(map(framing.encode, sent)):
        buffer.append(byte)
        found = framing.decode(buffer)
        if found is not None:
            assert found[1] == len(buffer)
            received.append(found[0])
            del buffer[:]
    assert received == sent
    assert not buffer


@settings(deadline=None, max_examples=500)
@given(
    st.sampled_from(
        [
            LengthPrefixed(1, limit=3),
            LengthPrefixed(2, includes_prefix=True, limit=3),
            VarintPrefixed(limit=3),
            Netstring(limit=3),
            Netstring(limit=120),
            Delimited(b"0:", limit=3),
            FixedSize(2),
        ]
    ),
    st.lists(st.sampled_from(b"\0\1\3\x80:,012"), max_size=15).map(bytes),
)
def test_what_is_said_of_a_buffer_is_said_of_every_longer_one(
    framing: Checked, data: bytes
) -> None:
    """A message, an error: each is one however much comes after it."""

    def said(buffer: bytes) -> object:
        try:
            return framing.decode(buffer)
        except ValueError as error:
            return type(error), str(error)

    verdicts = [said(data[:size]) for size in range(len(data) + 1)]
    first = next((verdict for verdict in verdicts if verdict is not None), None)
    assert [verdict for verdict in verdicts if verdict is not None] == [first] * (
        len(verdicts) - verdicts.count(None)
    )
