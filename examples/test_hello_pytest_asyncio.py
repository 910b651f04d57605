"""The same under pytest-asyncio, as tests for pytest-tcpclient 0.7 are written."""

import asyncio

import pytest


@pytest.mark.asyncio()
async def test_hello(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    tcpserver.send_bytes(b"Hello, client!")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Hello, server!")
    assert await reader.readexactly(14) == b"Hello, client!"
    writer.close()
    await writer.wait_closed()
    await tcpserver.join()
