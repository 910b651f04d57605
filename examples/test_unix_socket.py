"""The server listens on a unix socket. The script is the same."""

import anyio
import pytest


@pytest.mark.anyio
@pytest.mark.tcpserver(path=True)  # Or a path of your own: path="/tmp/redis.sock".
async def test_unix_socket(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_line(b"PING")
    tcpserver.send_line(b"PONG")
    tcpserver.expect_disconnect()

    async with await anyio.connect_unix(tcpserver.path) as stream:
        await stream.send(b"PING\n")
        assert await stream.receive() == b"PONG\n"

    await tcpserver.join()
