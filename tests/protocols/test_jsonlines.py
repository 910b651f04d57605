"""JSON lines: a framing of the test's own, whose payloads are objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream
from clients import connect, failure_of

from pytest_tcpclient import ANY, TcpServer


class JsonLines:
    """One JSON object a line."""

    def encode(self, payload: dict[str, Any]) -> bytes:
        """The object, and a newline."""
        return json.dumps(payload).encode() + b"\n"

    def decode(self, buffer: bytes) -> tuple[dict[str, Any], int] | None:
        """The object of the first line, when all of it is there.

        What is not JSON is a ``ValueError`` of ``json.loads()``, and so it should be.
        """
        line, newline, _ = buffer.partition(b"\n")
        return (json.loads(line), len(line) + 1) if newline else None


pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(framing=JsonLines())]


class Client:
    """Calls remote procedures, one at a time."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._lines = BufferedByteReceiveStream(stream)
        self._calls = 0

    async def call(self, method: str, **params: Any) -> Any:
        """Send a request, and wait for the result."""
        self._calls += 1
        request = {"id": self._calls, "method": method, "params": params}
        await self._stream.send(json.dumps(request).encode() + b"\n")
        answer = json.loads(await self._lines.receive_until(b"\n", 1024))
        assert answer["id"] == self._calls
        return answer["result"]


def result(value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The answer to the request that was received last."""
    return lambda request: {"id": request["id"], "result": value}


def is_positive(request: dict[str, Any]) -> bool:
    """Whether the request is about a number above zero."""
    return bool(request["params"]["n"] > 0)


async def test_objects(tcpserver: TcpServer) -> None:
    """Compared as a whole, with something left open, by a function; answered with the same id."""
    tcpserver.expect_connect()
    tcpserver.expect_frame({"id": 1, "method": "ping", "params": {}})
    tcpserver.send_frame({"id": 1, "result": "pong"})
    tcpserver.expect_frame({"id": ANY, "method": "add", "params": {"n": 3}})
    tcpserver.send_frame(result(3))
    tcpserver.expect_frame(is_positive)
    tcpserver.send_frame(result(10))
    tcpserver.expect_disconnect()

    async with await connect(tcpserver) as stream:
        client = Client(stream)
        assert await client.call("ping") == "pong"
        assert await client.call("add", n=3) == 3
        assert await client.call("add", n=7) == 10


async def test_another_object(tcpserver: TcpServer) -> None:
    """The objects are shown, not the bytes of which they were read."""
    tcpserver.expect_connect()
    tcpserver.expect_frame({"id": ANY, "method": "add", "params": {"n": 3}})

    async with await connect(tcpserver) as stream:
        with pytest.raises((anyio.IncompleteRead, anyio.BrokenResourceError)):
            await Client(stream).call("add", n=5)

    assert await failure_of(tcpserver) == (
        "Expected to get frame {'id': ANY, 'method': 'add', 'params': {'n': 3}} "
        "but actually got frame {'id': 1, 'method': 'add', 'params': {'n': 5}}"
    )


async def test_an_object_that_will_not_do(tcpserver: TcpServer) -> None:
    """What was wanted is called by the name of the function that has said no."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(is_positive)

    async with await connect(tcpserver) as stream:
        with pytest.raises((anyio.IncompleteRead, anyio.BrokenResourceError)):
            await Client(stream).call("add", n=-5)

    assert await failure_of(tcpserver) == (
        "Expected to get a frame satisfying is_positive "
        "but actually got frame {'id': 1, 'method': 'add', 'params': {'n': -5}}"
    )


async def test_no_object_at_all(tcpserver: TcpServer) -> None:
    """The framing says why a line is none of its messages."""
    tcpserver.expect_connect()
    tcpserver.expect_frame({"id": ANY, "method": "ping", "params": {}})

    async with await connect(tcpserver) as stream:
        await stream.send(b"{'id': 1}\n")

        assert await failure_of(tcpserver) == (
            "Expected to get frame {'id': ANY, 'method': 'ping', 'params': {}} but it is "
            "malformed: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
        )


async def test_half_an_object(tcpserver: TcpServer) -> None:
    """The client closes in the middle of a message."""
    tcpserver.expect_connect()
    tcpserver.expect_frame()

    async with await connect(tcpserver) as stream:
        await stream.send(b'{"id": 1')

    assert await failure_of(tcpserver) == (
        "Expected to get a frame but the connection was closed after b'{\"id\": 1'."
    )
