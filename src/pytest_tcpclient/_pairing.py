"""Which connection belongs to which ``expect_connect()``. No I/O.

The n-th accepted connection belongs to the n-th ``expect_connect()``, whichever of the
two comes first. Both ends cost the same however many there are.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Expected = TypeVar("Expected")
Accepted = TypeVar("Accepted")


class Pairing(Generic[Expected, Accepted]):
    """Two queues, of which at least one is empty."""

    def __init__(self) -> None:
        self.awaited: deque[Expected] = deque()
        self.unclaimed: deque[Accepted] = deque()

    def expect(self, expected: Expected) -> Accepted | None:
        """Return the connection that was there first, or wait for the next one."""
        if self.unclaimed:
            return self.unclaimed.popleft()
        self.awaited.append(expected)
        return None

    def accept(self, accepted: Accepted) -> Expected | None:
        """Return the ``expect_connect()`` that was waiting, or keep the connection."""
        if self.awaited:
            return self.awaited.popleft()
        self.unclaimed.append(accepted)
        return None

    def withdraw(self, expected: Expected) -> None:
        """Do not wait for this one any more."""
        self.awaited.remove(expected)
