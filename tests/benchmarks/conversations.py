"""The conversations that are measured, each both as a script and by hand on anyio.

The server by hand is what a good engineer would write: it compares what arrives piece by
piece, in place, and asks for no more than it needs.

Times are CPU times of the process, the kernel's included: client and server share it, and what
else the machine does hardly counts.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import process_time
from typing import NamedTuple

import anyio
from anyio.abc import SocketAttribute, SocketStream

from pytest_tcpclient._options import Options
from pytest_tcpclient._server import TcpServer
from pytest_tcpclient._supervisor import Supervisor
from pytest_tcpclient._verdict import Rules

REQUEST = b"Hello, server!"
ANSWER = b"Hello, client!"

#: How much is sent or received at once.
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Conversation:
    """One conversation: both kinds of server, and the client, which is the same for both."""

    declare: Callable[[TcpServer], None]
    serve: Callable[[SocketStream], Awaitable[None]]
    talk: Callable[[SocketStream], Awaitable[None]]


class Seconds(NamedTuple):
    """CPU time: from the first byte to the end, and before that to declare it."""

    talking: float
    declaring: float = 0.0


def round_trips(count: int) -> Conversation:
    """The client asks and waits for the answer, again and again."""

    def declare(server: TcpServer) -> None:
        for _ in range(count):
            server.expect_bytes(REQUEST)
            server.send_bytes(ANSWER)

    async def serve(stream: SocketStream) -> None:
        for _ in range(count):
            await receive(stream, REQUEST)
            await stream.send(ANSWER)

    async def talk(stream: SocketStream) -> None:
        for _ in range(count):
            await stream.send(REQUEST)
            await receive(stream, ANSWER)

    return Conversation(declare, serve, talk)


def upload(pieces: list[bytes]) -> Conversation:
    """The client sends, the server expects it in these pieces."""
    chunks = [piece[at : at + CHUNK] for piece in pieces for at in range(0, len(piece), CHUNK)]

    def declare(server: TcpServer) -> None:
        for piece in pieces:
            server.expect_bytes(piece)

    async def serve(stream: SocketStream) -> None:
        for piece in pieces:
            await receive(stream, piece)

    async def talk(stream: SocketStream) -> None:
        for chunk in chunks:
            await stream.send(chunk)

    return Conversation(declare, serve, talk)


def download(pieces: list[bytes]) -> Conversation:
    """The server sends these pieces, and the client reads."""

    def declare(server: TcpServer) -> None:
        for piece in pieces:
            server.send_bytes(piece)

    async def serve(stream: SocketStream) -> None:
        for piece in pieces:
            await stream.send(piece)

    async def talk(stream: SocketStream) -> None:
        rest = sum(map(len, pieces))
        while rest:
            rest -= len(await stream.receive())

    return Conversation(declare, serve, talk)


async def receive(stream: SocketStream, expected: bytes) -> None:
    """Receive these bytes, and nothing else."""
    taken = 0
    while taken < len(expected):
        data = await stream.receive(min(CHUNK, len(expected) - taken))
        if not expected.startswith(data, taken):
            raise AssertionError(f"expected {expected[taken : taken + 20]!r}, not {data[:20]!r}")
        taken += len(data)


async def scripted(conversation: Conversation) -> Seconds:
    """Hold the conversation with our server."""
    async with scripted_server() as server:
        gc.collect()
        began = process_time()
        server.expect_connect()
        conversation.declare(server)
        server.expect_disconnect()
        declaring = process_time() - began
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        began = process_time()
        async with stream:
            await conversation.talk(stream)
        await server.join()
        return Seconds(process_time() - began, declaring)


async def by_hand(conversation: Conversation) -> Seconds:
    """Hold the same conversation with a server written by hand."""
    served = anyio.Event()

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await conversation.serve(stream)
            try:
                await stream.receive()
            except anyio.EndOfStream:
                served.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        gc.collect()
        port = listener.extra(SocketAttribute.local_port)
        stream = await anyio.connect_tcp("127.0.0.1", port)
        began = process_time()
        async with stream:
            await conversation.talk(stream)
        await served.wait()
        talking = process_time() - began
        tasks.cancel_scope.cancel()
    return Seconds(talking)


@asynccontextmanager
async def scripted_server() -> AsyncIterator[TcpServer]:
    """Our server, without pytest: checked and closed at the end."""
    supervisor = Supervisor(Rules(), Options())
    try:
        yield await supervisor.open_server(Options(timeout=60.0))
        await supervisor.finish()
    finally:
        await supervisor.close()
