"""aiosmtplib, a client of SMTP, with STARTTLS."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from pytest_tcpclient import TLS, TcpServer

aiosmtplib = pytest.importorskip("aiosmtplib")
pytest.importorskip("trustme")

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(newline=b"\r\n")]

MESSAGE = "From: me@example.com\r\nTo: you@example.com\r\n\r\nHello!\r\n"


@pytest.fixture(params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=repr)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """It is for asyncio."""
    if request.param[1]:
        pytest.importorskip("uvloop")
    return request.param


def greet(server: TcpServer) -> None:
    """All that comes before the request for TLS."""
    server.expect_connect()
    server.send_line(b"220 mail.example.com ESMTP")
    server.expect_line(is_ehlo)
    server.send_bytes(b"250-mail.example.com\r\n250 STARTTLS\r\n")


def is_ehlo(line: bytes) -> bool:
    return line.startswith(b"EHLO ")


def client_of(server: TcpServer, **options: Any) -> Any:
    return aiosmtplib.SMTP(
        hostname="localhost",
        port=server.port,
        tls_context=server.client_ssl_context(),
        timeout=5,
        **options,
    )


async def test_mail_is_sent_over_tls(tcpserver: TcpServer) -> None:
    """The client asks for TLS as it is offered, and greets the server once more."""
    greet(tcpserver)
    tcpserver.expect_line(b"STARTTLS")
    tcpserver.send_line(b"220 Go ahead")
    tcpserver.start_tls()
    tcpserver.expect_line(is_ehlo)
    tcpserver.send_line(b"250 mail.example.com")
    tcpserver.expect_line(b"MAIL FROM:<me@example.com>")
    tcpserver.send_line(b"250 OK")
    tcpserver.expect_line(b"RCPT TO:<you@example.com>")
    tcpserver.send_line(b"250 OK")
    tcpserver.expect_line(b"DATA")
    tcpserver.send_line(b"354 Go on")
    mail = tcpserver.expect_until(b"\r\n.\r\n")
    tcpserver.send_line(b"250 OK")
    tcpserver.expect_line(b"QUIT")
    tcpserver.send_line(b"221 Bye")
    tcpserver.expect_disconnect()
    async with client_of(tcpserver, start_tls=True) as client:
        await client.sendmail("me@example.com", ["you@example.com"], MESSAGE)
    await tcpserver.join()
    assert mail.received.endswith(b"\r\nHello!\r\n.\r\n")


async def test_it_refuses_a_wrong_certificate(tcpserver: TcpServer) -> None:
    """It says nothing more to a server that it cannot trust."""
    greet(tcpserver)
    tcpserver.expect_line(b"STARTTLS")
    tcpserver.send_line(b"220 Go ahead")
    tcpserver.start_tls(TLS(certificate="wrong-host"), handshake_fails=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await client_of(tcpserver, start_tls=True).connect()
    await tcpserver.join()


async def test_it_drops_what_was_put_in_before_tls(tcpserver: TcpServer) -> None:
    """An answer in plain text, behind the last one, is not taken for one of the session."""
    greet(tcpserver)
    tcpserver.expect_line(b"STARTTLS")
    tcpserver.send_bytes(b"220 Go ahead\r\n250 AUTH PLAIN\r\n")
    tcpserver.start_tls()
    tcpserver.expect_line(is_ehlo)
    tcpserver.send_line(b"250 mail.example.com")
    tcpserver.expect_line(b"QUIT")
    tcpserver.send_line(b"221 Bye")
    tcpserver.expect_disconnect()
    async with client_of(tcpserver, start_tls=True) as client:
        await client.ehlo()
        assert not client.supports_extension("auth")
    await tcpserver.join()


async def test_it_gives_up_where_tls_is_not_offered(tcpserver: TcpServer) -> None:
    """A server in the middle that takes the offer away gets no password."""
    tcpserver.expect_connect()
    tcpserver.send_line(b"220 mail.example.com ESMTP")
    tcpserver.expect_line(is_ehlo)
    tcpserver.send_line(b"250 mail.example.com")
    tcpserver.expect_disconnect()
    with pytest.raises(aiosmtplib.SMTPException, match="STARTTLS"):
        await client_of(tcpserver, start_tls=True).connect()
    await tcpserver.join()


@pytest.mark.tcpserver(tls=True)
async def test_it_speaks_tls_from_the_beginning(tcpserver: TcpServer) -> None:
    """As on port 465."""
    tcpserver.expect_connect()
    tcpserver.send_line(b"220 mail.example.com ESMTP")
    tcpserver.expect_line(b"QUIT")
    tcpserver.send_line(b"221 Bye")
    tcpserver.expect_disconnect()
    async with client_of(tcpserver, use_tls=True):
        pass
    await tcpserver.join()
