"""How one message is delimited on the wire. No I/O."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Decoded(NamedTuple):
    """A whole message: its payload, and how many bytes of the buffer it took."""

    payload: bytes
    size: int


class Incomplete(NamedTuple):
    """Not yet a whole message: ``have`` of the ``need`` bytes of its current ``part``."""

    have: int
    need: int
    part: str


class TooLong(NamedTuple):
    """A message that says of itself that it is longer than ``limit`` bytes."""

    size: int
    limit: int


class Framing(Protocol):
    """How one message is delimited on the wire."""

    @abstractmethod
    def encode(self, payload: bytes) -> bytes:
        """The bytes on the wire for one message."""

    @abstractmethod
    def decode(self, buffer: bytes | bytearray) -> Decoded | Incomplete | TooLong:
        """Look for one message at the start of the buffer, without changing it."""


@dataclass(frozen=True, slots=True)
class LengthPrefixed:
    """A 4-byte big-endian length, then that many bytes of payload.

    A length of more than ``limit`` bytes is not waited for: it is nearly always
    something else that was read as a length.
    """

    limit: int = 64 * 1024 * 1024

    def encode(self, payload: bytes) -> bytes:
        return len(payload).to_bytes(4, "big") + payload

    def decode(self, buffer: bytes | bytearray) -> Decoded | Incomplete | TooLong:
        have = len(buffer)
        if have < 4:
            return Incomplete(have, 4, "length prefix")
        need = int.from_bytes(buffer[:4], "big")
        if need > self.limit:
            return TooLong(need, self.limit)
        end = 4 + need
        if have < end:
            return Incomplete(have - 4, need, "payload")
        return Decoded(bytes(buffer[4:end]), end)
