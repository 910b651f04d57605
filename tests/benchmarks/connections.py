"""Many connections at once: what each of them costs, and that it costs the same among many."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from time import process_time

import anyio
from anyio.abc import SocketAttribute, SocketStream
from conversations import ANSWER, REQUEST, Seconds, receive, scripted_server
from table import Row, least

COUNTS = (10, 100, 1_000)


def connections(backend: str, quick: bool) -> Iterator[Row]:
    """A round trip on each of so many connections, all of them open at once."""
    costs = {count: list(_costs(count, backend, 3 if quick else 10)) for count in COUNTS}
    for count, (talking, declaring, other) in costs.items():
        yield Row(f"a connection, of {count:,} at once", backend, "µs", talking, other)
        yield Row("  declaring its four steps", backend, "µs", declaring)
    many, few = costs[COUNTS[-1]], costs[COUNTS[-2]]
    held, declared, by_hand = (each / other for each, other in zip(many, few, strict=True))
    # The kernel and the garbage collector have more to do for each, whoever serves it.
    what = "growth of a connection from 100 to 1,000"
    yield Row(what, backend, "times", held, by_hand, 1.1)
    yield Row("  of declaring its four steps", backend, "times", declared, target=1.1)


def _costs(count: int, backend: str, rounds: int) -> Iterator[float]:
    """What one of so many costs, in µs: ours, to declare it, and by hand."""
    repeats = max(1, 200 // count)
    declaring: list[float] = []

    def ours() -> float:
        runs = [anyio.run(_scripted, count, backend=backend) for _ in range(repeats)]
        declaring.append(sum(run.declaring for run in runs))
        return sum(run.talking for run in runs)

    def other() -> float:
        return sum(anyio.run(_by_hand, count, backend=backend) for _ in range(repeats))

    talking, by_hand = least(rounds, ours, other)
    for seconds in (talking, min(declaring), by_hand):
        yield seconds / repeats / count * 1e6


async def _scripted(count: int) -> Seconds:
    async with scripted_server() as server:
        gc.collect()
        began = process_time()
        for _ in range(count):
            connection = server.expect_connect()
            connection.expect_bytes(REQUEST)
            connection.send_bytes(ANSWER)
            connection.expect_disconnect()
        declaring = process_time() - began
        began = process_time()
        await _talk(count, server.port)
        await server.join()
        return Seconds(process_time() - began, declaring)


async def _by_hand(count: int) -> float:
    served: list[None] = []
    all_served = anyio.Event()

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await receive(stream, REQUEST)
            await stream.send(ANSWER)
            try:
                await stream.receive()
            except anyio.EndOfStream:
                served.append(None)
        if len(served) == count:
            all_served.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(listener.serve, serve))
        gc.collect()
        began = process_time()
        await _talk(count, listener.extra(SocketAttribute.local_port))
        await all_served.wait()
        talking = process_time() - began
        tasks.cancel_scope.cancel()
    return talking


async def _talk(count: int, port: int) -> None:
    """The client: it connects so many times, asks on each, and reads all the answers."""
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
            for _ in range(count)
        ]
        for stream in streams:
            await stream.send(REQUEST)
        for stream in streams:
            await receive(stream, ANSWER)
