"""MQTT: aiomqtt connects, publishes, and pings when it has nothing else to say."""

from __future__ import annotations

from typing import NamedTuple

import anyio
import pytest
from clients import failure_of

from pytest_tcpclient import ANY, TcpServer, frame
from pytest_tcpclient.framing import VarintPrefixed

aiomqtt = pytest.importorskip("aiomqtt")

#: The kinds of packets. (Some have flags in the lower four bits.)
CONNECT, CONNACK, PUBLISH, PINGREQ, PINGRESP, DISCONNECT = 0x10, 0x20, 0x30, 0xC0, 0xD0, 0xE0


class Packet(NamedTuple):
    """The first byte, and what stands after the length."""

    kind: int
    body: bytes = b""


class Packets:
    """A byte, and then a body with its length as a varint before it."""

    body = VarintPrefixed()

    def encode(self, payload: Packet) -> bytes:
        """The packet on the wire."""
        return bytes([payload.kind]) + self.body.encode(payload.body)

    def decode(self, buffer: bytes) -> tuple[Packet, int] | None:
        """The packet, when all of it is there."""
        found = self.body.decode(buffer[1:])
        return (Packet(buffer[0], found[0]), 1 + found[1]) if found else None


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # The library is for no other.
    pytest.mark.tcpserver(framing=Packets()),
]


def expect_hello(server: TcpServer) -> None:
    """How each conversation begins."""
    server.expect_connect()
    server.expect_frame(Packet(CONNECT, ANY))
    server.send_frame(Packet(CONNACK, b"\0\0"))


async def test_a_ping_in_between(tcpserver: TcpServer) -> None:
    """It is answered whenever it comes, and the script need not say when."""
    pinged = anyio.Event()

    def pong() -> bytes:
        pinged.set()
        return bytes([PINGRESP, 0])

    pings = tcpserver.whenever(frame(Packet(PINGREQ)), pong)
    expect_hello(tcpserver)
    tcpserver.expect_frame(Packet(PUBLISH, b"\0\4news" + b"rain"), timeout=5)
    tcpserver.expect_frame(Packet(DISCONNECT))
    tcpserver.expect_disconnect()

    async with aiomqtt.Client("localhost", tcpserver.port, keepalive=1) as client:
        await pinged.wait()
        await client.publish("news", b"rain")

    await tcpserver.join()
    assert pings.count == 1


async def test_another_topic(tcpserver: TcpServer) -> None:
    """Two packets that differ are shown as what they are."""
    expect_hello(tcpserver)
    published = Packet(PUBLISH | 1 << 1, b"\0\4news" + b"\0\1" + b"rain")
    tcpserver.expect_frame(published)

    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("localhost", tcpserver.port, timeout=0.2) as client:
            await client.publish("olds", b"rain", qos=1)

    assert await failure_of(tcpserver) == (
        r"Expected to get frame Packet(kind=50, body=b'\x00\x04news\x00\x01rain') "
        r"but actually got frame Packet(kind=50, body=b'\x00\x04olds\x00\x01rain')"
    )
