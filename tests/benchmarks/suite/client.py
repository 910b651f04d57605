"""The client of all tests, and the conversation by hand."""

from __future__ import annotations

import anyio
from anyio.abc import SocketStream


async def say_hello(port: int) -> None:
    """Ask, read the answer, and close the connection."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"Hello, server!")
        assert await stream.receive() == b"Hello, client!"


async def answer_hello(stream: SocketStream) -> None:
    """What a server by hand does with a connection."""
    async with stream:
        assert await stream.receive() == b"Hello, server!"
        await stream.send(b"Hello, client!")
        try:
            await stream.receive()
        except anyio.EndOfStream:
            return
        raise AssertionError("the client went on")
