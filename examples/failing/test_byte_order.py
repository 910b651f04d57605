"""A client that writes the length of a message in the byte order of its own machine."""

import struct

import anyio
import pytest


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.mark.anyio
async def test_message(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"\x01\x02\x03")
    tcpserver.expect_disconnect()
    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(struct.pack("<I", 3) + b"\x01\x02\x03")
