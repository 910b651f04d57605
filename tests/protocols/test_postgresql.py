"""PostgreSQL: asyncpg asks for TLS, which it gets or not, starts up, and makes a query."""

from __future__ import annotations

import ssl
from typing import Any, NamedTuple

import pytest
from clients import failure_of

from pytest_tcpclient import TLS, TcpServer, frame
from pytest_tcpclient.framing import LengthPrefixed

asyncpg = pytest.importorskip("asyncpg")

#: A length that counts itself, and a body: that is all of what a client sends at first.
BODY = LengthPrefixed(includes_prefix=True)

SSL_REQUEST = (80877103).to_bytes(4, "big")
VERSION_3 = (3 << 16).to_bytes(4, "big")


class Message(NamedTuple):
    """The byte that says what it is, and the body."""

    kind: bytes
    body: bytes = b""


class Messages:
    """After that there is a byte before the length, which does not count it."""

    def encode(self, payload: Message) -> bytes:
        """The message on the wire."""
        return payload.kind + BODY.encode(payload.body)

    def decode(self, buffer: bytes) -> tuple[Message, int] | None:
        """The message, when all of it is there."""
        found = BODY.decode(buffer[1:])
        return (Message(buffer[:1], found[0]), 1 + found[1]) if found else None


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # The library is for no other.
    pytest.mark.tcpserver(framing=Messages()),
]

AUTHENTICATION_OK = Message(b"R", b"\0\0\0\0")
PARAMETER = Message(b"S", b"server_version\0" + b"17.0\0")
READY = Message(b"Z", b"I")
TERMINATE = Message(b"X")


def is_for_ann(startup: bytes) -> bool:
    """Whether the client asks for the right user."""
    return startup.startswith(VERSION_3) and b"user\0ann\0" in startup


def expect_start_up(server: TcpServer) -> None:
    """How each conversation begins, whether the client asks for TLS or not."""
    server.whenever(frame(SSL_REQUEST, framing=BODY), b"N")
    server.expect_connect()
    start_up(server)


def start_up(server: TcpServer) -> None:
    """The rest of it."""
    server.expect_frame(is_for_ann, framing=BODY)
    server.send_frame(AUTHENTICATION_OK)
    server.send_frame(PARAMETER)
    server.send_frame(READY)


async def execute(server: TcpServer, query: str, **options: Any) -> Any:
    """What is to be tested."""
    connection = await asyncpg.connect(
        host="localhost", port=server.port, user="ann", database="notes", **options
    )
    try:
        return await connection.execute(query)
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["disable", "prefer"])
async def test_a_query(tcpserver: TcpServer, mode: str) -> None:
    """The client asks for TLS or does not: the script is the same."""
    expect_start_up(tcpserver)
    tcpserver.expect_frame(Message(b"Q", b"DELETE FROM notes\0"))
    tcpserver.send_frame(Message(b"C", b"DELETE 3\0"))
    tcpserver.send_frame(READY)
    tcpserver.expect_frame(TERMINATE)
    tcpserver.disconnect()
    tcpserver.expect_disconnect()

    assert await execute(tcpserver, "DELETE FROM notes", ssl=mode) == "DELETE 3"


async def test_another_query(tcpserver: TcpServer) -> None:
    """The failure shows the two messages as the framing has decoded them."""
    expect_start_up(tcpserver)
    tcpserver.expect_frame(Message(b"Q", b"DELETE FROM notes\0"))

    with pytest.raises(asyncpg.PostgresConnectionError):
        await execute(tcpserver, "DELETE FROM users")

    assert await failure_of(tcpserver) == (
        r"Expected to get frame Message(kind=b'Q', body=b'DELETE FROM notes\x00') "
        r"but actually got frame Message(kind=b'Q', body=b'DELETE FROM users\x00')"
    )


async def test_another_user(tcpserver: TcpServer) -> None:
    """A predicate has said no, and is called by its name."""
    expect_start_up(tcpserver)

    with pytest.raises(asyncpg.PostgresConnectionError):
        await asyncpg.connect(host="localhost", port=tcpserver.port, user="eve", ssl="disable")

    failure = await failure_of(tcpserver)
    assert failure.startswith(
        r"Expected to get a frame satisfying is_for_ann but actually got frame "
        r'b"\x00\x03\x00\x00'
    )
    assert r"user\x00eve\x00" in failure


def expect_tls(server: TcpServer, tls: bool | TLS = True, **options: Any) -> None:
    """The client asks for TLS, and gets it."""
    pytest.importorskip("trustme")
    server.expect_connect()
    server.expect_frame(SSL_REQUEST, framing=BODY)
    server.send_bytes(b"S")
    server.start_tls(tls, **options)


async def test_a_query_over_tls(tcpserver: TcpServer) -> None:
    """The script goes on encrypted after the answer to the request."""
    expect_tls(tcpserver)
    start_up(tcpserver)
    tcpserver.expect_frame(Message(b"Q", b"DELETE FROM notes\0"))
    tcpserver.send_frame(Message(b"C", b"DELETE 3\0"))
    tcpserver.send_frame(READY)
    tcpserver.expect_frame(TERMINATE)
    tcpserver.disconnect()
    tcpserver.expect_disconnect(clean=False)

    context = tcpserver.client_ssl_context()
    assert await execute(tcpserver, "DELETE FROM notes", ssl=context) == "DELETE 3"


async def test_another_query_over_tls(tcpserver: TcpServer) -> None:
    """The failure shows what was encrypted."""
    expect_tls(tcpserver)
    start_up(tcpserver)
    tcpserver.expect_frame(Message(b"Q", b"DELETE FROM notes\0"))

    with pytest.raises(asyncpg.PostgresConnectionError):
        await execute(tcpserver, "DELETE FROM users", ssl=tcpserver.client_ssl_context())

    assert await failure_of(tcpserver) == (
        r"Expected to get frame Message(kind=b'Q', body=b'DELETE FROM notes\x00') "
        r"but actually got frame Message(kind=b'Q', body=b'DELETE FROM users\x00')"
    )


async def test_a_certificate_that_is_refused(tcpserver: TcpServer) -> None:
    """The client has to do so."""
    expect_tls(tcpserver, TLS(certificate="expired"), handshake_fails=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        await execute(tcpserver, "DELETE FROM notes", ssl=tcpserver.client_ssl_context())
    await tcpserver.join()


async def test_a_client_that_does_not_ask_for_tls(tcpserver: TcpServer) -> None:
    """It would send its password in plain text."""
    expect_tls(tcpserver)
    with pytest.raises(asyncpg.PostgresConnectionError):
        await execute(tcpserver, "DELETE FROM notes", ssl="disable")
    start = b"\0\3\0\0client_encoding\0'utf-8'\0user\0ann\0database\0notes\0\0"
    assert await failure_of(tcpserver) == (
        rf"Expected to get frame b'\x04\xd2\x16/' but actually got frame {start!r}"
    )
