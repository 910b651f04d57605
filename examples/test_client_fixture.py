"""The client is a fixture: it connects and logs in, and closes when the test is over."""

import anyio
import pytest


@pytest.fixture
async def client(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"LOGIN me\n")
    tcpserver.send_bytes(b"OK\n")
    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"LOGIN me\n")
        assert await stream.receive() == b"OK\n"
        yield stream


@pytest.mark.anyio
async def test_ping(client, tcpserver):
    tcpserver.expect_bytes(b"PING\n")
    tcpserver.send_bytes(b"PONG\n")
    tcpserver.expect_disconnect()

    await client.send(b"PING\n")
    assert await client.receive() == b"PONG\n"
