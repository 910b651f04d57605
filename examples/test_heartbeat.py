"""Heartbeats are answered in the background, and a function plays what no step can say."""

import anyio
import pytest


async def add_numbers(stream):
    """A server within the server: it has the stream until it returns."""
    total = 0
    while total < 6:
        total += (await stream.receive(1))[0]
    await stream.send(bytes([total]))
    return total


@pytest.mark.anyio
async def test_heartbeat(tcpserver):
    heartbeat = tcpserver.whenever(b"PING", b"PONG")
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"add")
    total = tcpserver.run(add_numbers)
    tcpserver.expect_nothing(0.1)
    tcpserver.expect_disconnect()

    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"PING")
        assert await stream.receive() == b"PONG"
        await stream.send(b"add\1\2\3")
        assert await stream.receive() == b"\6"
        await anyio.sleep(0.2)

    await tcpserver.join()
    assert total.received == 6
    assert heartbeat.count == 1
