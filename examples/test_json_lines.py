"""Messages that are objects: a framing of one's own, for a client that speaks JSON lines."""

import json

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from pytest_tcpclient import ANY


class JsonLines:
    """One object a line."""

    def encode(self, payload):
        """The bytes of a message."""
        return json.dumps(payload).encode() + b"\n"

    def decode(self, buffer):
        """The message at the start of what has arrived, and how many bytes it takes."""
        line, newline, _ = buffer.partition(b"\n")
        if not newline:
            return None  # More has to come.
        return json.loads(line), len(line) + 1


class Client:
    """Calls remote procedures, one at a time."""

    def __init__(self, stream):
        self.stream = stream
        self.lines = BufferedByteReceiveStream(stream)
        self.calls = 0

    async def call(self, method, **params):
        """Send a request, and wait for its result."""
        self.calls += 1
        request = {"id": self.calls, "method": method, "params": params}
        await self.stream.send(json.dumps(request).encode() + b"\n")
        return json.loads(await self.lines.receive_until(b"\n", 1024))["result"]


def sum_of(request):
    """The answer to a request, made of the request."""
    return {"id": request["id"], "result": request["params"]["a"] + request["params"]["b"]}


@pytest.mark.anyio
@pytest.mark.tcpserver(framing=JsonLines())
async def test_calls(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_frame({"id": 1, "method": "ping", "params": {}})
    tcpserver.send_frame({"id": 1, "result": "pong"})
    tcpserver.expect_frame({"id": ANY, "method": "add", "params": {"a": ANY, "b": ANY}})
    tcpserver.send_frame(sum_of)
    tcpserver.expect_frame(lambda request: request["id"] == 3)
    tcpserver.send_frame({"id": 3, "result": None})
    tcpserver.expect_disconnect()

    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        client = Client(stream)
        assert await client.call("ping") == "pong"
        assert await client.call("add", a=3, b=4) == 7
        assert await client.call("quit") is None
