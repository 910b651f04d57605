"""A client of SMTP goes over to TLS in the middle of the conversation."""

import anyio
import pytest
from anyio.streams.tls import TLSStream


@pytest.mark.anyio
async def test_starttls(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_line(b"STARTTLS")
    tcpserver.send_line(b"220 Go ahead")
    tcpserver.start_tls()
    tcpserver.expect_line(b"AUTH PLAIN secret")  # It was encrypted.
    tcpserver.send_line(b"235 Welcome")
    tcpserver.expect_disconnect()

    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"STARTTLS\n")
        assert await stream.receive() == b"220 Go ahead\n"
        context = tcpserver.client_ssl_context()
        async with await TLSStream.wrap(stream, hostname="localhost", ssl_context=context) as tls:
            await tls.send(b"AUTH PLAIN secret\n")
            assert await tls.receive() == b"235 Welcome\n"

    await tcpserver.join()
