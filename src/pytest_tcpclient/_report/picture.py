"""What crossed the wire, to look at: the client on the left, the server on the right.

An arrow is what went from one to the other, with its time; beside it stands the step that it
was for, as far as the failure knows of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple

from .._failure import Failure
from .._steps import ACTIONS, ExpectConnect, Skipped, Step
from .._transcript import Event, Transcript, What
from .data import is_binary
from .script import call, seconds

#: So many arrows and steps are shown, the last ones.
ROWS = 40

#: Seconds: what is done so soon after something has come is done because of it.
SOON = 0.01


class Glyphs(NamedTuple):
    """What the picture is drawn with."""

    line: str
    right: str
    left: str
    wall: str
    failed: str
    more: str


UNICODE = Glyphs("─", "▶", "◀", "│", "✗", "…")
ASCII = Glyphs("-", ">", "<", "|", "x", "...")

_FROM_CLIENT = {
    What.CONNECTED: "connects",
    What.RECEIVED: "",
    What.CLIENT_EOF: "ends (FIN)",
    What.CLIENT_RESET: "aborts (RST)",
}
_FROM_SERVER = {
    What.SENT: "",
    What.SERVER_EOF: "ends (FIN)",
    What.SERVER_RESET: "aborts (RST)",
    # So that the client does not wait for ever.
    What.SERVER_LEFT: "RST: the test failed",
}
_HEARD = {What.RECEIVED, What.CLIENT_EOF, What.CLIENT_RESET}


class _Side(NamedTuple):
    """A step, and when it was over."""

    time: float
    step: Step
    failed: bool = False


class _Row(NamedTuple):
    time: float
    event: Event | None
    side: _Side | None


def picture(
    transcript: Transcript,
    failure: Failure | None = None,
    *,
    width: int = 80,
    unicode: bool = True,
    color: bool = False,
) -> str:
    """The last part of a conversation; ``""`` if there was none.

    :param failure: what has failed, whose steps are shown.
    :param width: of the picture, in characters, 60 or more.
    :param unicode: whether more than ASCII can be shown.
    :param color: whether the failed step is red.
    """
    start = transcript.start
    if start is None:
        return ""
    events = [event._replace(time=event.time - start) for event in transcript]
    glyphs = UNICODE if unicode else ASCII
    connections = {event.connection for event in events}
    numbers = len(str(max(connections))) if len(connections) > 1 else 0
    inner = max(24, width * 2 // 5)
    rows = list(_rows(events, failure))
    lines = [f"{'':11}{'':{numbers}}{'client':{inner - 3}}server"]
    before = len(rows) - ROWS
    if before > 0 or transcript.dropped:
        left_out = transcript.dropped + sum(row.event is not None for row in rows[: max(before, 0)])
        lines.append(f"{'':13}{'':{numbers}}{glyphs.more} {left_out:,} more before")
    for row in rows[-ROWS:]:
        number = f"{row.event.connection:>{numbers}}" if numbers and row.event else " " * numbers
        wall = glyphs.wall
        arrow = _arrow(row, inner, glyphs)
        line = f"{seconds(row.time):>10} {number} {wall}{arrow}{wall}"
        if row.side is not None:
            mark = glyphs.failed if row.side.failed else " "
            line += f" {mark} {_short(call(row.side.step), width - len(line) - 3, glyphs)}"
        line = line.rstrip()
        failed = row.side is not None and row.side.failed
        lines.append(f"\x1b[31m{line}\x1b[0m" if color and failed else line)
    return "\n".join(lines)


def _rows(events: list[Event], failure: Failure | None) -> Iterator[_Row]:
    """The events, each with the steps that it was for; and the steps that were for none."""
    sides = deque(_sides(failure))
    for index, event in enumerate(events):
        while sides and sides[0].time < event.time:
            yield _Row(sides[0].time, None, sides.popleft())
        beside: list[_Side] = []
        if failure is not None and event.connection == failure.connection:
            until = event.time + SOON
            if index + 1 < len(events):
                until = min(until, events[index + 1].time)
            # What was received may be for several steps. What was sent is of one.
            most = 1 if event.what in _FROM_SERVER else len(sides)
            while sides and len(beside) < most and _is_of(sides[0], event, until):
                beside.append(sides.popleft())
        yield _Row(event.time, event, beside[0] if beside else None)
        yield from (_Row(side.time, None, side) for side in beside[1:])
    yield from (_Row(side.time, None, side) for side in sides)


def _is_of(side: _Side, event: Event, until: float) -> bool:
    """Whether a step was over because of such an event, and not of one later on."""
    # Some clocks show whole milliseconds: several events have one and the same time.
    in_time = side.time == event.time or side.time < until
    if isinstance(side.step, ExpectConnect):
        return in_time and event.what is What.CONNECTED
    if isinstance(side.step, ACTIONS):
        return in_time and event.what in _FROM_SERVER
    return in_time and event.what in _HEARD


def _sides(failure: Failure | None) -> Iterable[_Side]:
    """The steps of a failure that have a time."""
    if failure is None or failure.times is None:
        return
    for each, time in zip_longest(failure.script.done, failure.times.done):
        if time is not None:
            yield _Side(time, each.step if isinstance(each, Skipped) else each)
    if failure.step is not None and failure.times.failed is not None:
        yield _Side(failure.times.failed, failure.step, failed=True)


def _arrow(row: _Row, inner: int, glyphs: Glyphs) -> str:
    """An arrow from one to the other, with what it says."""
    event = row.event
    if event is None:
        return " " * inner
    comes = event.what in _FROM_CLIENT
    word = (_FROM_CLIENT if comes else _FROM_SERVER)[event.what]
    label = word or _quoted(event, inner - 8, glyphs)
    shaft = f"{glyphs.line * 2} {label} ".ljust(inner - 1, glyphs.line)
    return f"{shaft}{glyphs.right}" if comes else f"{glyphs.left}{shaft}"


def _quoted(event: Event, room: int, glyphs: Glyphs) -> str:
    """The data of an event, as much as there is room for."""
    text = event.data[:room].hex(" ") if is_binary(event.data[:room]) else repr(event.data)
    if len(text) <= room and len(event.data) == event.size:
        return text
    size = f"{glyphs.more} {event.size:,} bytes"
    return f"{text[: room - len(size)]}{size}"


def _short(text: str, room: int, glyphs: Glyphs) -> str:
    return text if len(text) <= room else f"{text[: room - len(glyphs.more)]}{glyphs.more}"
