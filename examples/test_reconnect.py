"""A client that survives: its connection is aborted, it is refused, and then it is served."""

import anyio
import pytest


async def fetch(port):
    """Ask until there is an answer."""
    while True:
        try:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"fetch\n")
                return b"".join([chunk async for chunk in stream])
        except (OSError, anyio.BrokenResourceError):
            await anyio.sleep(0.05)


@pytest.mark.anyio
async def test_reconnect(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_line(b"fetch")
    tcpserver.stop_listening()  # Before it is too late: the client may be quick.
    tcpserver.send_reset()  # The client gets ECONNRESET, and then ECONNREFUSED,
    tcpserver.wait(0.2)
    tcpserver.resume_listening()  # for a while.
    tcpserver.expect_connect()
    tcpserver.expect_line(b"fetch")
    tcpserver.send_bytes(b"an", b"swer", interval=0.1)
    tcpserver.disconnect()

    assert await fetch(tcpserver.port) == b"answer"
    await tcpserver.join()
