"""What is on the wire: round trips, bulk data, memory, and scripts of many steps."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import anyio
from anyio.abc import SocketStream
from conversations import (
    CHUNK,
    Conversation,
    Seconds,
    by_hand,
    download,
    round_trips,
    scripted,
    upload,
)
from table import Row, least

MIB = 1024 * 1024


def wire(backend: str, quick: bool) -> Iterator[Row]:
    """Our server against one by hand: 2,000 round trips, 64 MiB in both directions."""
    rounds = 3 if quick else 15
    yield from _round_trips(backend, 400 if quick else 2_000, rounds)
    size = (16 if quick else 64) * MIB
    for name, conversation in _bulk(size):
        ours, other = least(rounds, *_sides(conversation, backend))
        yield Row(f"{size // MIB} MiB {name}", backend, "ms", ours * 1e3, other * 1e3, 1.1)


def growth(backend: str, quick: bool) -> Iterator[Row]:
    """The time of one step must not depend on how many there are."""
    counts = (10_000, 1_000)
    conversations = [round_trips(count // 2) for count in counts]
    runs = [
        [anyio.run(scripted, conversation, backend=backend) for conversation in conversations]
        for _ in range(3 if quick else 10)
    ]
    sides = list(zip(counts, zip(*runs, strict=True), strict=True))
    played = [min(run.talking for run in side) / count * 1e6 for count, side in sides]
    declared = [min(run.declaring for run in side) / count * 1e6 for count, side in sides]
    for what, (many, few) in (("played", played), ("declared", declared)):
        yield Row(f"a step {what}, of 10,000 (other: of 1,000)", backend, "µs", many, few, 1.1)


def memory(backend: str, quick: bool) -> Iterator[Row]:
    """The memory that a conversation takes while it is held must not grow with the script."""
    # Both fill the transcript, which is bounded: below that it is the transcript that grows.
    least_size, most = (64, 128) if quick else (64, 256)
    for name, case in (("expected", upload), ("sent", download)):
        large, small = (case([bytes(size * MIB)]) for size in (most, least_size))
        ours = _peak(scripted, large, backend)
        what = f"peak while {most} MiB are {name}"
        yield Row(what, backend, "MiB", ours, _peak(by_hand, large, backend))
        other = _peak(scripted, small, backend)
        yield Row(f"  (other: {least_size} MiB)", backend, "MiB", ours, other, 1.1)
    many, few = (_peak(scripted, round_trips(count), backend) for count in (10_000, 5_000))
    yield Row("peak of 10,000 round trips (other: 5,000)", backend, "MiB", many, few)


def _round_trips(backend: str, count: int, rounds: int) -> Iterator[Row]:
    conversation = round_trips(count)
    declaring: list[float] = []

    def ours() -> float:
        seconds = anyio.run(scripted, conversation, backend=backend)
        declaring.append(seconds.declaring)
        return seconds.talking

    talking, other = least(rounds, ours, _sides(conversation, backend)[1])
    scale = 1e6 / count
    yield Row(f"round trip, of {count:,}", backend, "µs", talking * scale, other * scale, 1.15)
    yield Row("  declaring one step", backend, "µs", min(declaring) * scale / 2)
    whole = (talking + min(declaring)) * scale
    yield Row("  round trip, its two declarations included", backend, "µs", whole, other * scale)


def _bulk(size: int) -> Iterator[tuple[str, Conversation]]:
    data = os.urandom(size)
    pieces = [data[at : at + CHUNK] for at in range(0, size, CHUNK)]
    yield "expected as one", upload([data])
    yield f"expected in {len(pieces):,}", upload(pieces)
    yield "sent as one", download([data])
    yield f"sent in {len(pieces):,}", download(pieces)


def _sides(conversation: Conversation, backend: str) -> list[Callable[[], float]]:
    return [
        lambda: anyio.run(scripted, conversation, backend=backend).talking,
        lambda: anyio.run(by_hand, conversation, backend=backend).talking,
    ]


def _peak(
    side: Callable[[Conversation], Awaitable[Seconds]], conversation: Conversation, backend: str
) -> float:
    """The most that Python allocated on top of what there was when the client began, in MiB."""
    before = 0

    async def talk(stream: SocketStream) -> None:
        nonlocal before
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        await conversation.talk(stream)

    tracemalloc.start()
    try:
        anyio.run(side, replace(conversation, talk=talk), backend=backend)
        return (tracemalloc.get_traced_memory()[1] - before) / MIB
    finally:
        tracemalloc.stop()
