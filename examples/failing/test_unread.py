"""The client closes its streams and has not read all that it was sent."""

import asyncio

import pytest


@pytest.mark.asyncio()
async def test_unread(tcpserver):
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()

    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await reader.readexactly(3) == b"Hol"
    writer.close()
    await writer.wait_closed()

    await tcpserver.join()
