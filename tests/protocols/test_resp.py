"""RESP, the protocol of Redis: single commands of redis.asyncio, and several in a pipeline."""

from __future__ import annotations

from typing import Any

import pytest
from clients import failure_of

from pytest_tcpclient import TcpServer, frame

redis = pytest.importorskip("redis.asyncio")


class Commands:
    """A command: an array of strings, each with its length before it."""

    def encode(self, payload: list[bytes]) -> bytes:
        """The array, and what is in it."""
        strings = [b"$%d\r\n%b\r\n" % (len(each), each) for each in payload]
        return b"*%d\r\n" % len(payload) + b"".join(strings)

    def decode(self, buffer: bytes) -> tuple[list[bytes], int] | None:
        """The command, when all of it is there."""
        head, complete, rest = buffer.partition(b"\r\n")
        if not head.startswith(b"*"):
            raise ValueError("a command begins with b'*'")
        strings: list[bytes] = []
        while complete and len(strings) < int(head[1:]):
            length, complete, rest = rest.partition(b"\r\n")
            if complete:
                size = int(length[1:])
                strings.append(rest[:size])
                complete, rest = rest[size : size + 2], rest[size + 2 :]
        return (strings, len(buffer) - len(rest)) if complete == b"\r\n" else None


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # The library is for no other.
    pytest.mark.tcpserver(framing=Commands()),
]


def says_what_it_is(command: list[bytes]) -> bool:
    """Whether the client tells its name or its version."""
    return command[:2] == [b"CLIENT", b"SETINFO"]


@pytest.fixture
def client(tcpserver: TcpServer) -> Any:
    """Not connected yet. What it says of itself when it has connected does not matter."""
    tcpserver.whenever(frame(says_what_it_is), b"+OK\r\n")
    return redis.Redis(host="localhost", port=tcpserver.port, protocol=2, retry=None)


async def test_commands_are_lists(client: Any, tcpserver: TcpServer) -> None:
    """A command is a list of strings, and is compared with one."""
    tcpserver.expect_connect()
    tcpserver.expect_frame([b"SET", b"colour", b"blue"])
    tcpserver.send_bytes(b"+OK\r\n")
    tcpserver.expect_frame([b"GET", b"colour"])
    tcpserver.send_bytes(b"$4\r\nblue\r\n")
    tcpserver.expect_disconnect()

    async with client:
        await client.set("colour", "blue")
        assert await client.get("colour") == b"blue"


async def test_a_pipeline(client: Any, tcpserver: TcpServer) -> None:
    """All of the commands are there before the first reply is."""
    tcpserver.expect_connect()
    tcpserver.expect_frame([b"RPUSH", b"queue", b"tea"])
    tcpserver.expect_frame([b"RPUSH", b"queue", b"milk"])
    tcpserver.expect_frame([b"LPOP", b"queue"])
    tcpserver.send_bytes(b":1\r\n", b":2\r\n", b"$3\r\ntea\r\n")
    tcpserver.expect_disconnect()

    async with client, client.pipeline(transaction=False) as pipeline:
        pipeline.rpush("queue", "tea").rpush("queue", "milk").lpop("queue")
        assert await pipeline.execute() == [1, 2, b"tea"]


async def test_a_pipeline_is_a_transaction(client: Any, tcpserver: TcpServer) -> None:
    """The client was not told that it should be none: the first command is another."""
    tcpserver.expect_connect()
    tcpserver.expect_frame([b"LPOP", b"queue"])
    tcpserver.send_bytes(b"$3\r\ntea\r\n")

    async with client, client.pipeline() as pipeline:
        with pytest.raises(redis.RedisError):
            await pipeline.lpop("queue").execute()

    assert await failure_of(tcpserver) == (
        "Expected to get frame [b'LPOP', b'queue'] but actually got frame [b'MULTI']"
    )
