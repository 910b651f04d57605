"""The public helpers for asyncio streams, on real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from helpers import every_cut, framed

from pytest_tcpclient import framing
from pytest_tcpclient.framing import read_frame, write_frame

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The helpers are for asyncio's own streams."""
    return "asyncio"


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The reader of one end of a connection, and the writer of the other."""
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    reader, other = await accepted.get()
    server.close()
    try:
        yield reader, writer
    finally:
        for each in (writer, other):
            each.close()
            await each.wait_closed()
        await server.wait_closed()


async def finish(writer: asyncio.StreamWriter) -> None:
    """Half-close, so that the other end sees what was written and then the end."""
    writer.write_eof()
    await writer.drain()


def test_what_is_public() -> None:
    """The module offers the framings, and two functions for asyncio's streams."""
    assert framing.__all__ == [
        "Delimited",
        "FixedSize",
        "Framing",
        "LengthPrefixed",
        "Netstring",
        "VarintPrefixed",
        "read_frame",
        "write_frame",
    ]


async def test_what_is_written_is_a_message() -> None:
    """A message on the wire is its length and its payload."""
    async with connection() as (reader, writer):
        write_frame(writer, b"Hello")
        write_frame(writer, b"")
        await finish(writer)
        assert await reader.read() == b"\0\0\0\5Hello\0\0\0\0"


async def test_what_is_written_is_read() -> None:
    """Messages are read one by one, and after the last one there is nothing."""
    payloads = [b"Hello", b"", bytes(range(256)) * 1000]
    async with connection() as (reader, writer):
        for payload in payloads:
            write_frame(writer, payload)
        reading = asyncio.create_task(writer.drain())
        assert [await read_frame(reader) for _ in payloads] == payloads
        await reading
        await finish(writer)
        assert await read_frame(reader) == b""


async def test_a_message_is_read_however_it_is_cut() -> None:
    """The pieces in which a message arrives do not matter."""
    async with connection() as (reader, writer):
        for pieces in every_cut(framed(b"Hello")):
            reading = asyncio.create_task(read_frame(reader))
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            assert await reading == b"Hello"


async def test_an_end_before_a_message() -> None:
    """A connection that ended between two messages reads as an empty one, again and again."""
    async with connection() as (reader, writer):
        await finish(writer)
        assert await read_frame(reader) == b""
        assert await read_frame(reader) == b""


@pytest.mark.parametrize(
    ("wire", "partial", "expected"),
    [
        (b"\0", b"\0", 4),
        (b"\0\0\0", b"\0\0\0", 4),
        (b"\0\0\0\5", b"", 5),
        (b"\0\0\0\5Hell", b"Hell", 5),
    ],
)
async def test_an_end_in_a_message(wire: bytes, partial: bytes, expected: int) -> None:
    """A connection that ended in the middle of a message is an error, with what had come."""
    async with connection() as (reader, writer):
        writer.write(wire)
        await finish(writer)
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await read_frame(reader)
        assert caught.value.partial == partial
        assert caught.value.expected == expected
