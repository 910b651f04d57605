"""A client must not depend on how its input is cut: it is tried with every cut."""

import anyio
import pytest

from pytest_tcpclient import cuts


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", cuts(b"+OK\r\n"), ids=repr)
async def test_every_cut(tcpserver, pieces):
    tcpserver.expect_connect()
    tcpserver.send_bytes(*pieces)  # Each is a read of its own for the client.
    tcpserver.expect_disconnect()

    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += await stream.receive()

    assert answer == b"+OK\r\n"
    await tcpserver.join()
