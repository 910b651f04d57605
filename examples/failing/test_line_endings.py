"""A client of SMTP that is right but for one line ending."""

import anyio
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def say_hello(port):
    async with await anyio.connect_tcp("localhost", port) as stream:
        await stream.receive()
        await stream.send(b"EHLO me\r\n")
        await stream.receive()
        await stream.send(b"QUIT\n")
        await stream.receive()


@pytest.mark.anyio
@pytest.mark.tcpserver(newline=b"\r\n")
async def test_hello(tcpserver):
    tcpserver.expect_connect()
    tcpserver.send_line(b"220 localhost")
    tcpserver.expect_line(b"EHLO me")
    tcpserver.send_line(b"250 Hello")
    tcpserver.expect_line(b"QUIT")
    tcpserver.send_line(b"221 Bye")
    tcpserver.expect_disconnect()
    await say_hello(tcpserver.port)
