"""The same under pytest-trio."""

import pytest
import trio


@pytest.mark.trio
async def test_hello(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    tcpserver.send_bytes(b"Hello, client!")
    tcpserver.expect_disconnect()

    async with await trio.open_tcp_stream("localhost", tcpserver.port) as stream:
        await stream.send_all(b"Hello, server!")
        assert await stream.receive_some() == b"Hello, client!"

    await tcpserver.join()
