"""SMTP: aiosmtplib says hello, sends a message, and quits."""

from __future__ import annotations

import re

import pytest
from clients import failure_of

from pytest_tcpclient import TcpServer

aiosmtplib = pytest.importorskip("aiosmtplib")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # The library is for no other.
    pytest.mark.tcpserver(newline=b"\r\n"),
]

MESSAGE = "Subject: Tea\n\nAt five?\n.\nAnn\n"


async def send_mail(server: TcpServer, recipient: str = "bob@example.org") -> None:
    """What is to be tested."""
    await aiosmtplib.send(
        MESSAGE,
        sender="ann@example.org",
        recipients=[recipient],
        hostname="localhost",
        port=server.port,
        start_tls=False,
    )


def accepted(message: bytes) -> bytes:
    """The reply to a message, made of the message."""
    return b"250 %d bytes accepted" % len(message)


def expect_hello(server: TcpServer) -> None:
    """How each conversation begins."""
    server.expect_connect()
    server.send_line(b"220 mail.example.org")
    server.expect_line(re.compile(rb"EHLO \S+"))
    server.send_line(b"250-mail.example.org")
    server.send_line(b"250 SIZE 1000")


async def test_a_message_is_sent(tcpserver: TcpServer) -> None:
    """Line by line, and then the message, up to a dot on a line of its own."""
    expect_hello(tcpserver)
    tcpserver.expect_line(re.compile(rb"MAIL FROM:<ann@example\.org> size=\d+"))
    tcpserver.send_line(b"250 go on")
    tcpserver.expect_line(b"RCPT TO:<bob@example.org>")
    tcpserver.send_line(b"250 go on")
    tcpserver.expect_line(b"DATA")
    tcpserver.send_line(b"354 go on")
    data = tcpserver.expect_until(b"\r\n.\r\n")
    tcpserver.send_line(accepted)
    tcpserver.expect_line(b"QUIT")
    tcpserver.send_line(b"221 bye")
    tcpserver.expect_disconnect()

    await send_mail(tcpserver)

    await tcpserver.join()
    assert data.received == b"Subject: Tea\r\n\r\nAt five?\r\n..\r\nAnn\r\n.\r\n"


async def test_another_recipient(tcpserver: TcpServer) -> None:
    """The client is told by a broken connection, the test by the two lines."""
    expect_hello(tcpserver)
    tcpserver.expect_line(re.compile(rb"MAIL .*"))
    tcpserver.send_line(b"250 go on")
    tcpserver.expect_line(b"RCPT TO:<bob@example.org>")
    tcpserver.send_line(b"250 go on")

    with pytest.raises(aiosmtplib.SMTPException):
        await send_mail(tcpserver, recipient="eve@example.org")

    assert await failure_of(tcpserver) == (
        "Expected to get line b'RCPT TO:<bob@example.org>' "
        "but actually got line b'RCPT TO:<eve@example.org>'"
    )


async def test_the_client_gives_up(tcpserver: TcpServer) -> None:
    """A reply that refuses the recipient: no message comes, but the client begins anew."""
    expect_hello(tcpserver)
    tcpserver.expect_line(re.compile(rb"MAIL .*"))
    tcpserver.send_line(b"250 go on")
    tcpserver.expect_line(re.compile(rb"RCPT .*"))
    tcpserver.send_line(b"550 nobody of this name")
    tcpserver.expect_line(b"DATA")

    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await send_mail(tcpserver)

    assert await failure_of(tcpserver) == (
        "Expected to get line b'DATA' but actually got line b'RSET'"
    )
