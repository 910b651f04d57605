"""Clients for the tests of the network half, and what a server says to them."""

from __future__ import annotations

import re
from importlib.metadata import version

import anyio
import pytest
from anyio.abc import SocketStream

from pytest_tcpclient import ScriptMismatch, TcpServer
from pytest_tcpclient._transport import reset_stream

#: What ends a connection with a RST without our help (see ``reset()``). On asyncio, anyio before
#: 4.16 sends a FIN before it, and send() learns of neither.
needs_true_resets = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(
            ("asyncio", {}),
            id="asyncio",
            marks=pytest.mark.skipif(
                tuple(map(int, version("anyio").split(".")[:2])) < (4, 16),
                reason="anyio sends a FIN before each RST on asyncio",
            ),
        ),
        pytest.param(("trio", {}), id="trio"),
    ],
)


async def connect(server: TcpServer) -> SocketStream:
    """Connect a client."""
    return await anyio.connect_tcp(server.host, server.port)


async def receive_exactly(stream: SocketStream, size: int) -> bytes:
    """Receive so many bytes, in however many pieces."""
    data = b""
    while len(data) < size:
        data += await stream.receive(size - len(data))
    return data


async def receive_all(stream: SocketStream) -> bytes:
    """Receive until the server has finished sending."""
    return b"".join([data async for data in stream])


async def reset(stream: SocketStream) -> None:
    """Abort the connection from the client's side."""
    # (On asyncio anyio before 4.16 would send a FIN before.)
    await reset_stream(stream)


async def failure_of(server: TcpServer) -> str:
    """The first line with which ``join()`` fails."""
    with pytest.raises(ScriptMismatch) as caught:
        await server.join()
    return str(caught.value).partition("\n")[0]


def without_times(text: str) -> str:
    """The text of a failure without the column of times."""
    return re.sub(r"(?m)^(. .{11})  (?:[ \d,]+\.\d\d s| {6,})  (?=\w)", r"\1  ", text)


def every_split(data: bytes) -> list[list[bytes]]:
    """The data whole, byte by byte, and cut in two at every place."""
    in_two = [[data[:i], data[i:]] for i in range(1, len(data))]
    return [[data], [bytes([byte]) for byte in data], *in_two]
