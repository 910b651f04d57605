"""How one message is delimited on the wire. No I/O.

Rules:

1. A framing has no state: it looks for one message at the start of the buffer, and does not
   change it.
2. What it says of a buffer it says of every longer one, so that no cut of the input changes a
   verdict: an error, for instance, is one however much comes after it.
3. A message that can never be complete is a ``ValueError``, at once. How long the client says
   that a message will be is not believed beyond the ``limit``: it is nearly always something
   else that was read as a length.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from ._checked import checked_bytes, checked_flag, checked_size
from ._contents import literal
from ._errors import ScriptError

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.

P = TypeVar("P")

#: What has arrived and is not used yet: as it came, or more than one piece of it.
Buffer = bytes | bytearray

#: The longest message that is received if nothing else is said. As much as most libraries for
#: protocols with a length prefix allow: gRPC 4 MiB, Kafka 100 MiB, MQTT 256 MiB.
LIMIT = 64 * 1024 * 1024

#: The longest line or delimited message that is received if nothing else is said. Sixteen
#: times the limit of asyncio's streams.
LINE_LIMIT = 1024 * 1024


class Framing(Protocol[P]):
    """How one message is delimited on the wire: ``P`` is the type of its payload.

    Any object with these two methods will do. A payload need not be bytes: it is compared
    with ``==``, and shown by its ``repr``.
    """

    @abstractmethod
    def encode(self, payload: P) -> bytes:
        """The bytes on the wire for one message.

        Called at the line of the test that sends it; what it raises is raised there.
        """

    @abstractmethod
    def decode(self, buffer: bytes) -> tuple[P, int] | None:
        """Look for one message at the start of what has arrived.

        :param buffer: one byte or more; what follows the message may be there already.
        :return: the payload, and how many bytes of the buffer the message takes (1 or more);
            ``None`` while it is not complete.
        :raises ValueError: if it will never be a message. The error says why, after the words
            "it is malformed: ".
        """


class Incomplete(NamedTuple):
    """Not yet a whole message: ``have`` of the ``need`` bytes of its current ``part``."""

    have: int
    need: int
    part: str


class TooLong(ValueError):
    """A message that is longer than ``limit`` bytes.

    :ivar size: its length, if it says that itself, in these bytes: ``prefix``.
    """

    def __init__(self, limit: int, size: int | None = None, prefix: bytes = b"") -> None:
        super().__init__(limit, size, prefix)
        self.limit = limit
        self.size = size
        self.prefix = prefix


class _Shown:
    """Prints as a test writes it, without what it need not write."""

    __slots__ = ()

    def __repr__(self) -> str:
        given = [(each, getattr(self, each.name)) for each in fields(self)]  # type: ignore[arg-type]
        shown = [f"{each.name}={value!r}" for each, value in given if value != each.default]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, repr=False)
class LengthPrefixed(_Shown):
    """A length, then that many bytes of payload.

    :param size: of the length: 1, 2, 3, 4 or 8 bytes.
    :param byteorder: ``"big"`` (network order) or ``"little"``.
    :param includes_prefix: whether the length counts its own bytes, too.
    :param limit: the longest payload that is received, in bytes.
    """

    size: int = 4
    byteorder: Literal["big", "little"] = "big"
    includes_prefix: bool = False
    limit: int = LIMIT

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        if self.size not in (1, 2, 3, 4, 8):
            raise ValueError(f"size must be 1, 2, 3, 4 or 8 bytes, not {self.size!r}")
        if self.byteorder not in ("big", "little"):
            raise ValueError(f'byteorder must be "big" or "little", not {self.byteorder!r}')
        checked_flag("includes_prefix", self.includes_prefix)
        checked_size("limit", self.limit)

    def encode(self, payload: bytes) -> bytes:
        """The length and the payload.

        :raises ValueError: if the payload is too long for a length of this size.
        """
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload, empty=True)
        length = len(payload) + (self.size if self.includes_prefix else 0)
        if length >= 1 << 8 * self.size:
            raise ValueError(
                f"a payload of {len(payload):,} bytes is too long for a length of "
                f"{self.size} byte{'' if self.size == 1 else 's'}"
            )
        return length.to_bytes(self.size, self.byteorder) + payload

    def decode(self, buffer: Buffer) -> tuple[bytes, int] | None:
        """The payload, and the size of the message, when all of it is there."""
        size = self.size
        have = len(buffer)
        if have < size:
            return None
        end = self._end(buffer)
        if have < end:
            return None
        return bytes(buffer[size:end]), end

    def missing(self, buffer: Buffer) -> Incomplete | None:
        """How far an incomplete message has come."""
        if len(buffer) < self.size:
            return Incomplete(len(buffer), self.size, "length prefix")
        return Incomplete(len(buffer) - self.size, self._end(buffer) - self.size, "payload")

    def _end(self, buffer: Buffer) -> int:
        size = self.size
        length = int.from_bytes(buffer[:size], self.byteorder)
        if self.includes_prefix:
            length -= size
            if length < 0:
                prefix = bytes(buffer[:size])
                raise ValueError(
                    f"its length prefix {prefix!r} says {length + size}, which is less than its "
                    f"own {size} byte{'' if size == 1 else 's'}"
                )
        if length > self.limit:
            raise TooLong(self.limit, length, bytes(buffer[:size]))
        return size + length


@dataclass(frozen=True, slots=True, repr=False)
class VarintPrefixed(_Shown):
    """A length as a varint, then that many bytes of payload.

    The varint is that of Protocol Buffers (and of MQTT): seven bits a byte, the least
    significant ones first, the highest bit set in all but the last; ten bytes at the most.

    :param limit: the longest payload that is received, in bytes.
    """

    limit: int = LIMIT

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        checked_size("limit", self.limit)

    def encode(self, payload: bytes) -> bytes:
        """The length and the payload."""
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload, empty=True)
        prefix = bytearray()
        length = len(payload)
        while length > 0x7F:
            prefix.append(length & 0x7F | 0x80)
            length >>= 7
        prefix.append(length)
        return bytes(prefix) + payload

    def decode(self, buffer: Buffer) -> tuple[bytes, int] | None:
        """The payload, and the size of the message, when all of it is there."""
        start, length = self._prefix(buffer)
        end = start + length
        if not start or len(buffer) < end:
            return None
        return bytes(buffer[start:end]), end

    def missing(self, buffer: Buffer) -> Incomplete | None:
        """How far an incomplete message has come: nothing is known before its length is."""
        start, length = self._prefix(buffer)
        return Incomplete(len(buffer) - start, length, "payload") if start else None

    def _prefix(self, buffer: Buffer) -> tuple[int, int]:
        """Where the payload begins, 0 as long as that is not known, and its length."""
        length = 0
        for index, byte in enumerate(buffer[:10]):
            length |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if length > self.limit:
                    raise TooLong(self.limit, length, bytes(buffer[: index + 1]))
                return index + 1, length
        if len(buffer) >= 10:
            raise ValueError("its length is a varint of more than 10 bytes")
        return 0, 0


@dataclass(frozen=True, slots=True, repr=False)
class Netstring(_Shown):
    """A length in decimal digits, a colon, that many bytes of payload, and a comma.

    As D. J. Bernstein's "Netstrings" of 1997 have it: ``b"5:hello,"``.

    :param limit: the longest payload that is received, in bytes.
    """

    limit: int = LIMIT

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        checked_size("limit", self.limit)

    def encode(self, payload: bytes) -> bytes:
        """The length and the payload, with what stands around it."""
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload, empty=True)
        return b"%d:%b," % (len(payload), payload)

    def decode(self, buffer: Buffer) -> tuple[bytes, int] | None:
        """The payload, and the size of the message, when all of it is there."""
        start, length = self._prefix(buffer)
        end = start + length
        if not start or len(buffer) <= end:
            return None
        if buffer[end] != ord(","):
            raise ValueError(f"b',' must follow its payload, not {bytes(buffer[end : end + 1])!r}")
        return bytes(buffer[start:end]), end + 1

    def missing(self, buffer: Buffer) -> Incomplete | None:
        """How far an incomplete message has come: nothing is known before its length is."""
        start, length = self._prefix(buffer)
        if not start or len(buffer) == start + length:
            return None
        return Incomplete(len(buffer) - start, length, "payload")

    def _prefix(self, buffer: Buffer) -> tuple[int, int]:
        """Where the payload begins, 0 as long as that is not known, and its length."""
        most = len(str(self.limit))
        for index, byte in enumerate(buffer[: most + 1]):
            if byte == ord(":") and index:
                digits = bytes(buffer[:index])
                if int(digits) > self.limit:
                    raise TooLong(self.limit, int(digits), digits)
                return index + 1, int(digits)
            if not ord("0") <= byte <= ord("9"):
                raise ValueError("it does not begin with a length in decimal digits")
            if index == 1 and buffer[0] == ord("0"):
                raise ValueError("its length begins with a zero")
            if index == most:
                raise TooLong(self.limit)
        return 0, 0


@dataclass(frozen=True, slots=True, repr=False)
class Delimited(_Shown):
    """A payload, and a delimiter after it, which is in no payload.

    :param delimiter: one byte or more.
    :param limit: the longest payload that is received, in bytes.
    """

    delimiter: bytes = b"\n"
    limit: int = LINE_LIMIT

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        checked_bytes("delimiter", self.delimiter)
        checked_size("limit", self.limit)

    def encode(self, payload: bytes) -> bytes:
        """The payload and the delimiter.

        :raises ValueError: if the delimiter is in the payload.
        """
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload, empty=True)
        if self.delimiter in payload:
            raise ValueError(f"payload must not contain the delimiter {self.delimiter!r}")
        return payload + self.delimiter

    def decode(self, buffer: Buffer) -> tuple[bytes, int] | None:
        """The payload, and the size of the message, when all of it is there."""
        end = find(buffer, self.delimiter, self.limit)
        if end < 0:
            return None
        return bytes(buffer[:end]), end + len(self.delimiter)

    def missing(self, buffer: Buffer) -> Incomplete | None:
        """Nothing is known of a message before its end."""
        return None


@dataclass(frozen=True, slots=True, repr=False)
class FixedSize(_Shown):
    """Messages that all have the same size.

    :param size: 1 or more bytes.
    """

    size: int

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        checked_size("size", self.size)

    def encode(self, payload: bytes) -> bytes:
        """The payload itself.

        :raises ValueError: if it is of another size.
        """
        __tracebackhide__ = True
        payload = checked_bytes("payload", payload)
        if len(payload) != self.size:
            raise ValueError(f"payload must have {self.size:,} bytes, not {len(payload):,}")
        return payload

    def decode(self, buffer: Buffer) -> tuple[bytes, int] | None:
        """The payload, and its size, when all of it is there."""
        return (bytes(buffer[: self.size]), self.size) if len(buffer) >= self.size else None

    def missing(self, buffer: Buffer) -> Incomplete | None:
        """How far an incomplete message has come."""
        return Incomplete(len(buffer), self.size, "payload")


@dataclass(frozen=True, slots=True, repr=False)
class OwnFraming:
    """A framing of the test's own, whose answers are checked."""

    framing: Framing[Any]

    def __repr__(self) -> str:
        return literal(self.framing)

    def encode(self, payload: Any) -> bytes:
        """What the framing makes of the payload."""
        __tracebackhide__ = True
        data = self.framing.encode(payload)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ScriptError(f"{self._name}.encode() must return bytes, not {data!r}")
        return bytes(data)

    def decode(self, buffer: Buffer) -> tuple[Any, int] | None:
        """What the framing makes of the buffer."""
        if not buffer:
            return None
        # No more than the limit: whether a message is too long must not depend on a cut.
        found: Any = self.framing.decode(bytes(buffer[:LIMIT]))
        if found is None:
            if len(buffer) > LIMIT:
                raise TooLong(LIMIT)
            return None
        if not (isinstance(found, tuple) and len(found) == 2 and type(found[1]) is int):
            raise ScriptError(
                f"{self._name}.decode() must return (payload, size) or None, not {found!r}"
            )
        payload, size = found
        given = min(len(buffer), LIMIT)
        if not 0 < size <= given:
            raise ScriptError(
                f"{self._name}.decode() was given {given:,} bytes, and says that its message "
                f"has {size:,}"
            )
        return payload, size

    def missing(self, buffer: Buffer) -> Incomplete | None:
        """Nothing is known of a message before its end."""
        return None

    @property
    def _name(self) -> str:
        return type(self.framing).__name__


#: A framing as the rules use it.
BuiltIn = LengthPrefixed | VarintPrefixed | Netstring | Delimited | FixedSize
Checked = BuiltIn | OwnFraming

_BUILT_IN = (LengthPrefixed, VarintPrefixed, Netstring, Delimited, FixedSize)


def checked_framing(name: str, value: object) -> Checked:
    """A framing of this package, or an object that has its two methods."""
    __tracebackhide__ = True
    if type(value) in _BUILT_IN or isinstance(value, OwnFraming):
        return value  # type: ignore[return-value]
    if isinstance(value, type):
        raise TypeError(f"{name} must be an object, not a class: write {value.__name__}()")
    if not all(callable(getattr(value, method, None)) for method in ("encode", "decode")):
        raise TypeError(f"{name} must have the methods encode() and decode(), not {value!r}")
    return OwnFraming(value)  # type: ignore[arg-type]


def find(buffer: Buffer, delimiter: bytes, limit: int) -> int:
    """Where the delimiter begins, -1 if it may still come.

    :raises TooLong: if more than ``limit`` bytes stand before it.
    """
    # No further than needed: what follows may be long, and must not change the verdict.
    at = buffer.find(delimiter, 0, limit + len(delimiter))
    if at < 0 and len(buffer) >= limit + len(delimiter):
        raise TooLong(limit)
    return at
