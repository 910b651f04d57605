"""The client connects and says nothing. The test fails after a second, with the reason."""

import asyncio

import pytest


@pytest.mark.asyncio()
async def test_silent_client(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, world!")
    tcpserver.expect_disconnect()

    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)

    await tcpserver.join()
