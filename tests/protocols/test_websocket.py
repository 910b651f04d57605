"""A WebSocket: the handshake, whose reply is made of the request, and a text each way.

websockets is for asyncio, trio-websocket for trio; they get the same script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
import trio
from clients import failure_of

from pytest_tcpclient import ANY, TcpServer

#: The request of a handshake: its path and its key.
REQUEST = re.compile(rb"(?is)GET (\S+) HTTP/1\.1\r\n.*Sec-WebSocket-Key: (\S+)\r\n.*")


def accept(request: re.Match[bytes]) -> bytes:
    """The reply to a request."""
    return reply(request[2])


def reply(key: bytes) -> bytes:
    """The reply that goes with a key (RFC 6455, section 4.2.2)."""
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n"
        b"\r\n"
    ) % base64.b64encode(digest)


class Message(NamedTuple):
    """A whole message in one frame."""

    opcode: int
    data: bytes


TEXT, CLOSE = 1, 8


class Frames:
    """Frames of up to 125 bytes (RFC 6455, section 5.2), which only the client masks."""

    def encode(self, payload: Message) -> bytes:
        """A frame of the server's."""
        return bytes([0x80 | payload.opcode, len(payload.data)]) + payload.data

    def decode(self, buffer: bytes) -> tuple[Message, int] | None:
        """A frame of the client's, when all of it is there."""
        if len(buffer) < 2:
            return None
        if not buffer[1] & 0x80:
            raise ValueError("it is not masked")
        end = 6 + (buffer[1] & 0x7F)
        if len(buffer) < end:
            return None
        mask, masked = buffer[2:6], buffer[6:end]
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
        return Message(buffer[0] & 0x0F, data), end


async def say_with_websockets(server: TcpServer, text: str) -> str | bytes:
    """Say something, and return the answer."""
    websockets = pytest.importorskip("websockets.asyncio.client")
    async with websockets.connect(f"ws://localhost:{server.port}/chat") as connection:
        await connection.send(text)
        answer: str | bytes = await connection.recv()
        return answer


async def say_with_trio_websocket(server: TcpServer, text: str) -> str | bytes:
    """The same."""
    trio_websocket = pytest.importorskip("trio_websocket")
    # (Its own open_websocket() would leave a connection that was reset to the garbage collector.)
    async with (
        await trio.open_tcp_stream("localhost", server.port) as stream,
        trio.open_nursery() as nursery,
    ):
        connection = await trio_websocket.wrap_client_stream(nursery, stream, "localhost", "/chat")
        await connection.send_message(text)
        answer: str | bytes = await connection.get_message()
        await connection.aclose()
        return answer


Say = Callable[[TcpServer, str], Awaitable[str | bytes]]

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(framing=Frames())]

with_each_library = pytest.mark.parametrize(
    ("anyio_backend", "say"),
    [("asyncio", say_with_websockets), ("trio", say_with_trio_websocket)],
    ids=["websockets", "trio-websocket"],
)


@with_each_library
async def test_a_text_each_way(tcpserver: TcpServer, say: Say) -> None:
    """The key of the reply is that of the request; so are the bytes with which it closes."""
    tcpserver.expect_connect()
    request = tcpserver.expect_until(b"\r\n\r\n", REQUEST)
    tcpserver.send_bytes(accept)
    tcpserver.expect_frame(Message(TEXT, b"hello"))
    tcpserver.send_frame(Message(TEXT, b"good morning"))
    tcpserver.expect_frame(Message(CLOSE, ANY))
    tcpserver.send_frame(lambda close: close)
    tcpserver.disconnect()
    tcpserver.expect_disconnect()

    assert await say(tcpserver, "hello") == "good morning"

    await tcpserver.join()
    assert request.received[1] == b"/chat"


@with_each_library
async def test_another_text(tcpserver: TcpServer, say: Say) -> None:
    """The frames are shown unmasked, as the framing has decoded them."""
    tcpserver.expect_connect()
    tcpserver.expect_until(b"\r\n\r\n", REQUEST)
    tcpserver.send_bytes(accept)
    tcpserver.expect_frame(Message(TEXT, b"hello"))

    with pytest.raises(Exception):  # noqa: B017, PT011 - each library has its own
        await say(tcpserver, "hi")

    assert await failure_of(tcpserver) == (
        "Expected to get frame Message(opcode=1, data=b'hello') "
        "but actually got frame Message(opcode=1, data=b'hi')"
    )


# (trio-websocket leaves the connection open in this case, and the server says so.)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_client_does_not_accept_the_handshake(tcpserver: TcpServer) -> None:
    """A reply with the key of another request: the client closes, and sends no frame."""
    websockets = pytest.importorskip("websockets.exceptions")
    tcpserver.expect_connect()
    tcpserver.expect_until(b"\r\n\r\n", REQUEST)
    tcpserver.send_bytes(reply(b"the key of another request"))
    tcpserver.expect_frame(Message(TEXT, b"hello"))

    with pytest.raises(websockets.InvalidHandshake):
        await say_with_websockets(tcpserver, "hello")

    assert await failure_of(tcpserver) == (
        "Expected to get frame Message(opcode=1, data=b'hello') but the connection was closed."
    )
