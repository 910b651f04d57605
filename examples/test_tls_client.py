"""The client must trust the server's certificate, and must refuse one that has expired."""

import ssl

import anyio
import pytest

from pytest_tcpclient import TLS


async def greet(server):
    """The client."""
    context = server.client_ssl_context()  # Trusts the throw-away certificates.
    async with await anyio.connect_tcp("localhost", server.port, ssl_context=context) as stream:
        await stream.send(b"Hello, server!")
        return await stream.receive()


@pytest.mark.anyio
@pytest.mark.tcpserver(tls=True)
async def test_tls(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")  # As it was before it was encrypted.
    tcpserver.send_bytes(b"Hello, client!")
    tcpserver.expect_disconnect()

    assert await greet(tcpserver) == b"Hello, client!"
    await tcpserver.join()


@pytest.mark.anyio
@pytest.mark.parametrize("certificate", ["expired", "wrong-host", "self-signed"])
async def test_refused(tcpserver_factory, certificate):
    server = await tcpserver_factory(tls=TLS(certificate=certificate))
    server.expect_connect(handshake_fails=True)

    with pytest.raises(ssl.SSLCertVerificationError):
        await greet(server)
    await server.join()
