"""Matchers decide about the bytes received so far. No I/O.

Rules:

1. A matcher has no state. What it has judged already is told to it again as
   ``taken``, so that a large expectation is compared piece by piece, in place.
2. A matcher returns the difference, not a boolean: the report cannot disagree with
   the decision.
3. A matcher names what it wanted (``noun`` and ``expected``). Sentences are made in
   ``_report``.
4. The verdict depends on the bytes alone, never on how they were cut.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ._framings import Decoded, Framing, Incomplete, TooLong

#: What has arrived and is not used yet: as it came, or more than one piece of it.
Buffer = bytes | bytearray


class Matched(NamedTuple):
    """Satisfied. ``size`` bytes of the buffer belong to it; ``value`` is what it got."""

    size: int
    value: object


class NeedData(NamedTuple):
    """Neither yet. The first ``taken`` bytes of the buffer need not be seen again."""

    taken: int = 0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Cannot be satisfied any more: ``actual`` came where ``expected`` should have."""

    expected: object
    actual: object


@dataclass(frozen=True, slots=True)
class Oversized:
    """Cannot be judged: the message says that it is longer than its limit."""

    size: int
    limit: int
    prefix: bytes


Outcome = Matched | NeedData | Mismatch | Oversized


class Matcher(Protocol):
    """Decides about the bytes received so far."""

    @property
    @abstractmethod
    def noun(self) -> str:
        """What kind of thing is wanted, ``""`` for plain bytes."""

    @property
    @abstractmethod
    def expected(self) -> object:
        """The thing that is wanted."""

    @abstractmethod
    def match(self, buffer: Buffer, taken: int) -> Outcome:
        """Judge the buffer, after ``taken`` bytes that were judged and removed before."""

    @abstractmethod
    def so_far(self, buffer: Buffer, taken: int) -> bytes:
        """All that has arrived for this expectation, the taken bytes included."""

    @abstractmethod
    def missing(self, buffer: Buffer, taken: int) -> Incomplete | None:
        """How far the current message has come, where that is known."""


@dataclass(frozen=True, slots=True)
class Exactly:
    """Exactly these bytes come next. Wrong from the first wrong byte on."""

    expected: bytes

    @property
    def noun(self) -> str:
        return ""

    def match(self, buffer: Buffer, taken: int) -> Outcome:
        expected = self.expected
        rest = len(expected) - taken
        have = len(buffer)
        piece = buffer if have <= rest else memoryview(buffer)[:rest]
        if not expected.startswith(piece, taken):
            return Mismatch(expected, expected[:taken] + bytes(piece))
        return Matched(rest, expected) if have >= rest else NeedData(have)

    def so_far(self, buffer: Buffer, taken: int) -> bytes:
        # What was taken matched: it need not have been kept.
        return self.expected[:taken] + bytes(buffer)

    def missing(self, buffer: Buffer, taken: int) -> Incomplete | None:
        return None


@dataclass(frozen=True, slots=True)
class Frame:
    """One message with this payload comes next. Judged when it is complete."""

    expected: bytes
    framing: Framing

    @property
    def noun(self) -> str:
        return "frame"

    def match(self, buffer: Buffer, taken: int) -> Outcome:
        result = self.framing.decode(buffer)
        if isinstance(result, Decoded):
            if result.payload == self.expected:
                return Matched(result.size, result.payload)
            return Mismatch(self.expected, result.payload)
        if isinstance(result, TooLong):
            return Oversized(result.size, result.limit, bytes(buffer[:4]))
        return NeedData()

    def so_far(self, buffer: Buffer, taken: int) -> bytes:
        return bytes(buffer)

    def missing(self, buffer: Buffer, taken: int) -> Incomplete | None:
        result = self.framing.decode(buffer)
        return result if isinstance(result, Incomplete) and buffer else None
