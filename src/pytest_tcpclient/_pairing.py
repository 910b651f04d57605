"""Which connection belongs to which ``expect_connect()``. No I/O.

The n-th accepted connection belongs to the n-th ``expect_connect()``, whichever of the two
comes first. One with a ``first`` matcher takes the first connection whose first bytes satisfy
it: a connection is offered to those that wait in the order in which they were declared, and
to one only when those before it have said no. Both ends cost the same however many there are.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ._matchers import Matched, NamedMatcher, NeedData, judge_early

Expected = TypeVar("Expected")
Accepted = TypeVar("Accepted")


@dataclass(frozen=True, slots=True)
class _Awaited(Generic[Expected]):  # Not a NamedTuple: one cannot be generic before Python 3.11.
    expected: Expected
    first: NamedMatcher | None


class _Seen(NamedTuple):
    """What has arrived on a connection that nobody has claimed; whether that is all."""

    data: bytes = b""
    ended: bool = False


class Pairing(Generic[Expected, Accepted]):
    """Those that wait for a connection, and the connections that nobody has claimed."""

    def __init__(self) -> None:
        self._awaited: deque[_Awaited[Expected]] = deque()
        self._unclaimed: OrderedDict[Accepted, _Seen] = OrderedDict()
        self._choosy = 0  # How many of those that wait have a ``first``.

    @property
    def unclaimed(self) -> list[Accepted]:
        """The connections that nobody has claimed, the oldest first."""
        return list(self._unclaimed)

    @property
    def oldest(self) -> Accepted | None:
        """The first of them."""
        return next(iter(self._unclaimed), None)

    @property
    def curious(self) -> bool:
        """Whether what a connection says first may decide whose it is."""
        return self._choosy > 0

    def expect(
        self, expected: Expected, first: NamedMatcher | None = None
    ) -> list[tuple[Accepted, Expected]]:
        """Somebody waits for a connection.

        :return: here and below, the connections that have now found somebody, and whom.
        """
        self._awaited.append(_Awaited(expected, first))
        self._choosy += first is not None
        return self._pairs()

    def accept(self, accepted: Accepted) -> list[tuple[Accepted, Expected]]:
        """There is a connection."""
        self._unclaimed[accepted] = _Seen()
        return self._pairs()

    def receive(
        self, accepted: Accepted, data: bytes, *, ended: bool = False
    ) -> list[tuple[Accepted, Expected]]:
        """More has arrived on a connection that nobody has claimed; or nothing more will."""
        seen = self._unclaimed.get(accepted)
        if seen is None:
            return []  # It was forgotten meanwhile.
        self._unclaimed[accepted] = _Seen(seen.data + data, ended)
        return self._pairs()

    def withdraw(self, expected: Expected) -> list[tuple[Accepted, Expected]]:
        """Do not wait for this one any more."""
        self._awaited = deque(each for each in self._awaited if each.expected is not expected)
        self._choosy = sum(each.first is not None for each in self._awaited)
        return self._pairs()

    def clear(self) -> None:
        """Forget the connections that nobody has claimed."""
        self._unclaimed.clear()

    def _pairs(self) -> list[tuple[Accepted, Expected]]:
        """Offer the connections to those that wait, until there is nothing more to be had."""
        made: list[tuple[Accepted, Expected]] = []
        while self._unclaimed and self._awaited and self._awaited[0].first is None:
            # It takes the oldest. There is no need to look at all the others.
            made.append((self._unclaimed.popitem(last=False)[0], self._awaited.popleft().expected))
        found = bool(self._unclaimed)
        while found and self._awaited:
            found = False
            for accepted in list(self._unclaimed):
                expected = self._claim(accepted)
                if expected is not None:
                    made.append((accepted, expected))
                    found = True
                if not self._awaited:
                    break
        return made

    def _claim(self, accepted: Accepted) -> Expected | None:
        """Offer one connection to those that wait."""
        data, ended = self._unclaimed[accepted]
        for index, awaited in enumerate(self._awaited):
            expected, first = awaited.expected, awaited.first
            if first is not None:
                outcome = judge_early(first, data)
                if isinstance(outcome, NeedData) and not ended:
                    return None
                if not isinstance(outcome, Matched):
                    continue
            del self._awaited[index]
            del self._unclaimed[accepted]
            self._choosy -= first is not None
            return expected
        return None
