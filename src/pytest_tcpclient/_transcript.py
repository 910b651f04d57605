"""What crossed the wire, in order, with times. No I/O."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


class What(enum.Enum):
    """What happened."""

    CONNECTED = "client connected"
    RECEIVED = "client sent"
    CLIENT_EOF = "client finished sending"
    CLIENT_RESET = "client reset the connection"
    SENT = "server sent"
    SERVER_EOF = "server finished sending"
    SERVER_RESET = "server reset the connection"
    SERVER_LEFT = "server reset the connection because the test was over"


#: How much of one piece of data is kept. To hold on to all of it makes a bulk transfer up to
#: twice as slow, because every piece then lands in memory that is new to the process.
KEPT = 4 * 1024


#: How much of all data is kept if nothing else is said.
LIMIT = 1024 * 1024

#: How much of one piece is printed.
SHOWN = 80


class Event(NamedTuple):
    """One thing that happened on one connection.

    ``time`` is in seconds, on the clock of the event loop; ``connection`` is counted from 1;
    ``size`` is how many bytes came or went, and ``data`` the first 4,096 of them.
    """

    time: float
    connection: int
    what: What
    data: bytes = b""
    size: int = 0

    def __str__(self) -> str:
        said = f"connection {self.connection}: {self.what.value}"
        if not self.size:
            return said
        if self.size <= SHOWN:
            return f"{said} {self.data!r}"
        return f"{said} {self.data[:SHOWN]!r}... ({self.size:,} bytes)"


class Transcript:
    """What happened on the connections of one server, the oldest first.

    It keeps the last ``limit`` bytes of data, and as many events as go with them, but no
    more than ``most`` of those; what was dropped is counted.

    :ivar limit: in bytes. The setting ``tcpclient_transcript_limit``; a test may change it.
    :ivar dropped: how many events are not here any more.
    """

    def __init__(self, limit: int = LIMIT, most: int = 10_000) -> None:
        self.dropped = 0
        self.limit = limit
        self._start: float | None = None
        self._most = most
        self._size = 0
        self._events: deque[tuple[float, int, What, bytes, int]] = deque()

    def add(self, time: float, connection: int, what: What, data: bytes = b"") -> None:
        """Take one event, and drop the oldest if there are too many."""
        size = len(data)
        # A copy in any case: asyncio receives into a block of 256 KiB, and to hold on to its
        # beginning leaves the allocator none of that size for the next piece.
        data = data[:KEPT] if size > KEPT else b"%b" % data
        events = self._events
        # A plain tuple costs a fifth of an Event, and few are ever looked at.
        events.append((time, connection, what, data, size))
        self._size += len(data)
        if len(events) > self._most or self._size > self.limit:
            self._drop_oldest()

    def insert(self, time: float, connection: int, what: What, data: bytes = b"") -> None:
        """Take an event that was earlier than the last ones, in its place."""
        later = []
        while self._events and self._events[-1][0] > time:
            later.append(self._events.pop())
            self._size -= len(later[-1][3])
        self.add(time, connection, what, data)
        self._events.extend(reversed(later))
        self._size += sum(len(each[3]) for each in later)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        events = self._events
        while len(events) > self._most or (self._size > self.limit and len(events) > 1):
            oldest = events.popleft()
            if not self.dropped:
                self._start = oldest[0]
            self._size -= len(oldest[3])
            self.dropped += 1

    @property
    def start(self) -> float | None:
        """When the first event was, whether it is here or not; ``None`` if there was none."""
        return self._start if self.dropped or not self._events else self._events[0][0]

    def copy(self) -> Transcript:
        """What there is so far."""
        copied = Transcript(self.limit, self._most)
        copied.dropped, copied._size = self.dropped, self._size
        copied._start, copied._events = self._start, self._events.copy()
        return copied

    def __iter__(self) -> Iterator[Event]:
        # Of a copy, which is made at once: that of a blocking server may go on.
        return map(Event._make, tuple(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        count = f"{len(self):,} event{'' if len(self) == 1 else 's'}"
        dropped = f", {self.dropped:,} before them dropped" if self.dropped else ""
        return f"<Transcript of {count}{dropped}>"

    def __str__(self) -> str:
        """A line for each event, with the seconds since the first one."""
        start = self.start or 0.0
        lines = [f"... {self.dropped:,} more before"] if self.dropped else []
        lines += [f"{event.time - start:8.2f} s  {event}" for event in self]
        return "\n".join(lines) or repr(self)
