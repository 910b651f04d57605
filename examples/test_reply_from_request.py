"""The server answers with what the client has sent: a function stands where bytes would."""

import re

import anyio
import pytest


@pytest.mark.anyio
async def test_login(tcpserver):
    tcpserver.expect_connect()
    # A pattern has to match the whole line; the handle has the match afterwards.
    login = tcpserver.expect_line(re.compile(rb"LOGIN (\w+)"))
    # Called when it is time, with what the last expectation has received.
    tcpserver.send_line(lambda match: b"Welcome, " + match[1])
    tcpserver.expect_line(b"BYE", optional=True)
    tcpserver.expect_disconnect()

    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"LOGIN alice\n")
        assert await stream.receive() == b"Welcome, alice\n"

    await tcpserver.join()
    assert login.received[1] == b"alice"
