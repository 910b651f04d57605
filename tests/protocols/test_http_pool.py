"""HTTP/1.1: the connections of httpx's pool, and all that can happen to them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest
from clients import failure_of
from test_http import httpx, response, url

from pytest_tcpclient import Connection, TcpServer

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=1)]

patient = pytest.mark.tcpserver(timeout=10)

#: The end of a request without a body.
END = b"\r\n\r\n"

#: The beginning of a response whose body is not all there.
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nbuy"


def client_of(server: TcpServer, **options: Any) -> Any:
    """A client with a pool of its own. Its timeout is longer than any of the server's."""
    return httpx.AsyncClient(base_url=url(server), **{"timeout": 20, **options})


async def get_text(client: Any, path: str, texts: dict[str, str]) -> None:
    """Get one page."""
    texts[path] = (await client.get(path)).text


async def get_patiently(client: Any, path: str) -> Any:
    """Try again if a connection is lost, as whoever uses httpx has to."""
    with suppress(httpx.TransportError):
        return await client.get(path)
    return await client.get(path)


# Several at once


def page(server: TcpServer, path: bytes) -> Connection:
    """One connection, on which this is asked for."""
    connection = server.expect_connect(first=b"GET %b " % path)
    connection.expect_until(END)
    return connection


@patient
async def test_several_connections_at_once(tcpserver: TcpServer) -> None:
    """They come in any order, and are told apart by what they ask for."""
    paths = [b"/tea", b"/milk", b"/bread"]
    for path in paths:
        connection = page(tcpserver, path)
        connection.send_bytes(response(path))
        connection.expect_disconnect()

    texts: dict[str, str] = {}
    async with client_of(tcpserver) as client, anyio.create_task_group() as tasks:
        for path in reversed(paths):
            tasks.start_soon(get_text, client, path.decode(), texts)

    await tcpserver.join()
    assert texts == {"/tea": "/tea", "/milk": "/milk", "/bread": "/bread"}


@patient
async def test_the_first_answer_comes_last(tcpserver: TcpServer) -> None:
    """What one connection is sent can wait until another one is done."""
    tea, milk = page(tcpserver, b"/tea"), page(tcpserver, b"/milk")
    milk.send_bytes(response(b"milk"))
    texts: dict[str, str] = {}
    async with client_of(tcpserver) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get_text, client, "/tea", texts)
            await get_text(client, "/milk", texts)
            assert list(texts) == ["/milk"]
            tea.send_bytes(response(b"tea"))
        assert list(texts) == ["/milk", "/tea"]
        await tcpserver.join()


async def test_a_pool_that_is_too_small(tcpserver: TcpServer) -> None:
    """The second request waits for the connection of the first, which is not answered."""
    tea = page(tcpserver, b"/tea")
    page(tcpserver, b"/milk")

    client = client_of(tcpserver, limits=httpx.Limits(max_connections=1))
    async with client, anyio.create_task_group() as tasks:
        tasks.start_soon(get_text, client, "/tea", {})
        await tea.join()
        tasks.start_soon(get_text, client, "/milk", {})
        assert await failure_of(tcpserver) == "Timed out waiting for client to connect."
        tasks.cancel_scope.cancel()


@patient
async def test_a_pool_that_uses_a_connection_again(tcpserver: TcpServer) -> None:
    """The script wants a connection for each request."""
    for path in (b"/tea", b"/milk"):
        connection = page(tcpserver, path)
        connection.send_bytes(response(path))
        connection.expect_disconnect()

    async with client_of(tcpserver) as client:
        await client.get("/tea")
        with pytest.raises(httpx.TransportError):
            await client.get("/milk")

    line = await failure_of(tcpserver)
    assert line.startswith(
        "Received unexpected data while waiting for client to disconnect. Data is b'GET /milk HTTP"
    )


# A connection that was kept alive


def two_requests_with_a_close_between(server: TcpServer) -> None:
    """The server closes the connection that the client has kept."""
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(response(b"one"))
    server.disconnect()
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(response(b"two"))
    server.expect_disconnect()


@patient
async def test_the_server_closes_a_connection_between_two_requests(tcpserver: TcpServer) -> None:
    """The client opens another one, and whoever uses it notices nothing."""
    two_requests_with_a_close_between(tcpserver)

    async with client_of(tcpserver) as client:
        assert (await client.get("/")).text == "one"
        await tcpserver.connections[0].join()
        assert (await client.get("/")).text == "two"

    await tcpserver.join()


async def test_a_client_that_does_not_come_again(tcpserver: TcpServer) -> None:
    """It was content with one answer."""
    two_requests_with_a_close_between(tcpserver)

    async with client_of(tcpserver) as client:
        await client.get("/")

    assert await failure_of(tcpserver) == "Timed out waiting for client to connect."


def two_requests_with_a_close_instead_of_an_answer(server: TcpServer) -> None:
    """The server closes the connection when the second request is on its way already."""
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(response(b"one"))
    server.expect_until(END)
    server.disconnect()
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(response(b"two"))
    server.expect_disconnect()


@patient
async def test_the_server_closes_a_connection_instead_of_answering(tcpserver: TcpServer) -> None:
    """The pool cannot know whether the request was carried out: it has to be sent once more."""
    two_requests_with_a_close_instead_of_an_answer(tcpserver)

    async with client_of(tcpserver) as client:
        assert (await client.get("/")).text == "one"
        assert (await get_patiently(client, "/")).text == "two"

    await tcpserver.join()


async def test_a_client_that_does_not_send_it_once_more(tcpserver: TcpServer) -> None:
    """It has left that to the pool."""
    two_requests_with_a_close_instead_of_an_answer(tcpserver)

    async with client_of(tcpserver) as client:
        await client.get("/")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")

    assert await failure_of(tcpserver) == "Timed out waiting for client to connect."


# A connection that is lost


def a_reset_in_the_middle_of_a_response(server: TcpServer) -> None:
    """The client has the first half of the body."""
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(HALF)
    server.send_reset()
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(response(b"buy milk"))
    server.expect_disconnect()


@patient
async def test_a_response_that_is_cut_short(tcpserver: TcpServer) -> None:
    """The client asks again, and takes no half of a body for a whole one."""
    a_reset_in_the_middle_of_a_response(tcpserver)

    async with client_of(tcpserver) as client:
        assert (await get_patiently(client, "/")).text == "buy milk"

    await tcpserver.join()


async def test_retries_of_the_transport_are_not_for_that(tcpserver: TcpServer) -> None:
    """They are about connecting only: the client gives up."""
    a_reset_in_the_middle_of_a_response(tcpserver)

    async with client_of(tcpserver, transport=httpx.AsyncHTTPTransport(retries=3)) as client:
        with pytest.raises(httpx.ReadError):
            await client.get("/")

    assert await failure_of(tcpserver) == "Timed out waiting for client to connect."


def a_server_that_is_away_for_a_while(server: TcpServer) -> None:
    """At first it refuses connections."""
    server.stop_listening()
    server.wait(0.2)
    server.resume_listening()
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(response(b"here"))
    server.expect_disconnect()


@patient
async def test_a_client_that_connects_once_more(tcpserver: TcpServer) -> None:
    """At once, which is too early, and then half a second later."""
    stopped = tcpserver.stop_listening()
    await stopped.wait()
    a_server_that_is_away_for_a_while(tcpserver)

    async with client_of(tcpserver, transport=httpx.AsyncHTTPTransport(retries=2)) as client:
        assert (await client.get("/")).text == "here"

    await tcpserver.join()


async def test_a_client_that_is_content_with_being_refused(tcpserver: TcpServer) -> None:
    """It never comes."""
    stopped = tcpserver.stop_listening()
    await stopped.wait()
    a_server_that_is_away_for_a_while(tcpserver)

    async with client_of(tcpserver) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")

    assert await failure_of(tcpserver) == "Timed out waiting for client to connect."


# A server that takes its time


def a_slow_response(server: TcpServer) -> None:
    """A body that comes in three pieces, each of them 0.2 s after the other."""
    server.expect_connect()
    server.expect_until(END)
    server.send_bytes(HALF, b" t", b"ea", interval=0.2)
    server.expect_disconnect()


@patient
async def test_a_slow_response(tcpserver: TcpServer) -> None:
    """The timeout of the client is for each piece, not for the whole."""
    a_slow_response(tcpserver)

    async with client_of(tcpserver, timeout=5) as client:
        assert (await client.get("/")).text == "buy tea"

    await tcpserver.join()


async def test_a_client_that_has_no_time(tcpserver: TcpServer) -> None:
    """It hangs up in the middle of the response."""
    a_slow_response(tcpserver)

    async with client_of(tcpserver, timeout=httpx.Timeout(5, read=0.05)) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")

    # What came after that had nobody to go to.
    assert await failure_of(tcpserver) == "Connection was reset."


def no_answer(server: TcpServer) -> None:
    """The client is connected, has asked, and hears nothing."""
    server.expect_connect()
    server.expect_until(END)
    server.expect_disconnect()


@patient
async def test_a_client_that_does_not_wait_for_ever(tcpserver: TcpServer) -> None:
    """It gives up, and closes the connection."""
    no_answer(tcpserver)

    async with client_of(tcpserver, timeout=httpx.Timeout(5, read=0.1)) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")
        await tcpserver.join()


async def test_a_client_that_waits_for_ever(tcpserver: TcpServer) -> None:
    """It is woken by a reset when the patience of the script is over."""
    no_answer(tcpserver)

    async with client_of(tcpserver, timeout=None) as client:
        with pytest.raises(httpx.ReadError):
            await client.get("/")

    assert await failure_of(tcpserver) == "Timed out waiting for client to disconnect."
