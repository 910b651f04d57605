"""A client says hello and gets an answer, under anyio's own pytest plugin."""

import anyio
import pytest


@pytest.mark.anyio
async def test_hello(tcpserver):
    # What the client must do, and what the server does.
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    tcpserver.send_bytes(b"Hello, client!")
    tcpserver.expect_disconnect()

    # The client.
    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"Hello, server!")
        assert await stream.receive() == b"Hello, client!"

    # Every step has been done, or the test fails here and says why.
    await tcpserver.join()
