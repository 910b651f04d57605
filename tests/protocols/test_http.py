"""HTTP/1.1 with keep-alive: two requests of httpx on one connection, the second with a body."""

from __future__ import annotations

import re

import pytest
from clients import failure_of

from pytest_tcpclient import TcpServer

httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.anyio

#: A request that has a body: its path, and the length of the body.
POST = re.compile(rb"(?is)POST (\S+) HTTP/1\.1\r\n.*content-length: (\d+)\r\n.*")


def length(head: re.Match[bytes]) -> int:
    """How long the body is, of what the expectation before has received."""
    return int(head[2])


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    """A response that leaves the connection open."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def url(server: TcpServer) -> str:
    return f"http://localhost:{server.port}"


async def test_two_requests_on_one_connection(tcpserver: TcpServer) -> None:
    """The length of the second one's body is what its head says."""
    tcpserver.expect_connect()
    first = tcpserver.expect_until(b"\r\n\r\n")
    tcpserver.send_bytes(response(b"[]"))
    head = tcpserver.expect_until(b"\r\n\r\n", POST)
    body = tcpserver.expect_count(length)
    tcpserver.send_bytes(response(b"", b"201 Created"))
    tcpserver.expect_disconnect()

    async with httpx.AsyncClient(base_url=url(tcpserver)) as client:
        assert (await client.get("/notes")).json() == []
        assert (await client.post("/notes", content=b"buy milk")).status_code == 201

    await tcpserver.join()
    assert first.received.startswith(b"GET /notes HTTP/1.1\r\n")
    assert head.received[1] == b"/notes"
    assert body.received == b"buy milk"


async def test_a_request_without_a_body(tcpserver: TcpServer) -> None:
    """A length of zero: there is nothing to wait for."""
    tcpserver.expect_connect()
    tcpserver.expect_until(b"\r\n\r\n", POST)
    body = tcpserver.expect_count(length)
    tcpserver.send_bytes(response(b""))
    tcpserver.expect_disconnect()

    async with httpx.AsyncClient(base_url=url(tcpserver)) as client:
        await client.post("/notes")

    await tcpserver.join()
    assert body.received == b""


async def test_the_body_is_another(tcpserver: TcpServer) -> None:
    """The server says what came instead, and the client is not left waiting for a response."""
    tcpserver.expect_connect()
    tcpserver.expect_until(b"\r\n\r\n", POST)
    tcpserver.expect_count(length, b"buy milk")
    tcpserver.send_bytes(response(b"", b"201 Created"))

    async with httpx.AsyncClient(base_url=url(tcpserver)) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/notes", content=b"buy soap")

    assert await failure_of(tcpserver) == (
        "Expected to get b'buy milk' but actually got b'buy soap'"
    )


async def test_a_connection_for_each_request(tcpserver: TcpServer) -> None:
    """A client that does not keep its connection alive has closed it before the second one."""
    tcpserver.expect_connect()
    tcpserver.expect_until(b"\r\n\r\n")
    tcpserver.send_bytes(response(b"[]"))
    tcpserver.expect_until(b"\r\n\r\n")

    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url(tcpserver), limits=limits) as client:
        await client.get("/notes")

    assert await failure_of(tcpserver) == (
        r"Expected to get data up to b'\r\n\r\n' but the connection was closed."
    )
