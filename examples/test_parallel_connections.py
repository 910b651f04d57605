"""Two connections at once, in whichever order they come."""

import anyio
import pytest


@pytest.mark.anyio
async def test_parallel_connections(tcpserver):
    control = tcpserver.expect_connect(first=b"CONTROL")
    control.expect_line(b"CONTROL")
    control.send_line(b"ready")
    data = tcpserver.expect_connect(first=b"DATA")
    data.expect_line(b"DATA")
    data.expect_eof()
    data.send_line(b"got it")

    one = await anyio.connect_tcp("localhost", tcpserver.port)
    two = await anyio.connect_tcp("localhost", tcpserver.port)
    async with one, two:
        await one.send(b"DATA\n")
        await one.send_eof()
        assert await one.receive() == b"got it\n"
        await two.send(b"CONTROL\n")
        assert await two.receive() == b"ready\n"
        await tcpserver.join()

    assert control.client_address != data.client_address
