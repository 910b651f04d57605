"""Typical usage, for mypy and pyright. It is checked, never run."""

from __future__ import annotations

import asyncio
import pickle
import ssl

import anyio
import pytest
from typing_extensions import assert_type

from pytest_tcpclient import (
    TLS,
    Connection,
    Failure,
    Handle,
    Script,
    ScriptError,
    ScriptMismatch,
    TcpServer,
    TcpServerFactory,
    Transcript,
)
from pytest_tcpclient.framing import read_frame, write_frame


@pytest.mark.anyio
async def a_plain_test(tcpserver: TcpServer) -> None:
    """A declaration need not be awaited, and its handle need not be used."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello", timeout=2)
    tcpserver.expect_bytes(b"Hello", 2)
    tcpserver.expect_frame(b"Hello", timeout=0.5)
    tcpserver.send_bytes(b"World")
    tcpserver.send_frame(b"")
    tcpserver.expect_disconnect(timeout=1)
    tcpserver.disconnect()
    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"Hello")
    assert_type(await tcpserver.join(), None)


async def where_it_listens(tcpserver: TcpServer) -> None:
    """The address, in the shapes that clients take."""
    assert_type(tcpserver.host, str)
    assert_type(tcpserver.port, int)
    assert_type(tcpserver.service_port, int)
    assert_type(tcpserver.address, tuple[str, int])
    host, port = tcpserver.address
    reader, writer = await asyncio.open_connection(host, port)
    write_frame(writer, b"payload")
    assert_type(await read_frame(reader), bytes)


async def tls(tcpserver_factory: TcpServerFactory) -> None:
    """A server that speaks TLS, and what its client needs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    await tcpserver_factory(tls=True)
    await tcpserver_factory(tls=context)
    server = await tcpserver_factory(
        tls=TLS(alpn=["h2"], client_cert=True, minimum="1.2", maximum=ssl.TLSVersion.TLSv1_3)
    )
    connection = server.expect_connect(handshake_fails=True)
    assert_type(connection.ssl_object, ssl.SSLObject | None)
    assert_type(server.client_ssl_context(client_cert=False), ssl.SSLContext)
    assert_type(server.ca_file, str)
    assert_type(server.url("https"), str)
    plain = await tcpserver_factory()
    assert_type(plain.start_tls(), Handle[None])
    plain.start_tls(TLS(certificate="expired"), timeout=2, handshake_fails=True)
    plain.start_tls(context)
    plain.expect_disconnect(clean=False)


async def what_was_received(tcpserver: TcpServer) -> None:
    """A handle knows the type of what its step receives."""
    connection = tcpserver.expect_connect(timeout=1.5)
    assert_type(connection, Connection)
    assert_type(connection.number, int)
    handle = connection.expect_bytes(b"Hello")
    assert_type(handle, Handle[bytes])
    assert_type(handle.done, bool)
    assert_type(handle.received, bytes)
    assert_type(await handle.wait(), bytes)
    assert_type(connection.expect_frame(b"Hello"), Handle[bytes])
    assert_type(connection.send_bytes(b"x"), Handle[None])
    assert_type(connection.expect_disconnect(), Handle[None])
    assert_type(await connection.wait(), Connection)
    assert_type(tcpserver.connections, list[Connection])


def one_vocabulary(script: Script) -> None:
    """What is written for a script serves a server as well as a connection."""
    assert_type(script.expect_bytes(b"login"), Handle[bytes])


async def shared_steps(tcpserver: TcpServer) -> None:
    """Both are scripts; a connection is the handle of its expectation, too."""
    one_vocabulary(tcpserver)
    connection = tcpserver.expect_connect()
    one_vocabulary(connection)
    handle: Handle[Connection] = connection
    assert_type(handle.received, Connection)


async def many_servers(tcpserver_factory: TcpServerFactory) -> None:
    """The factory takes the options of a server, and nothing else."""
    primary = await tcpserver_factory(timeout=2, name="primary")
    assert_type(primary, TcpServer)
    await tcpserver_factory(host="::1", port=0, strict=False, check_left_open=True)
    await tcpserver_factory(tiemout=2)  # type: ignore[call-arg]
    await tcpserver_factory(timeout="2")  # type: ignore[arg-type]
    assert_type(await tcpserver_factory.stop(), None)


async def wrong_arguments(tcpserver: TcpServer) -> None:
    """Text is not bytes."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes("Hello")  # type: ignore[arg-type]
    tcpserver.send_frame("Hello")


async def a_test_of_a_failure(tcpserver: TcpServer) -> None:
    """What was wrong is an AssertionError that carries the facts."""
    tcpserver.expect_connect()
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    assertion: AssertionError = caught.value
    pickle.dumps(assertion)
    try:
        tcpserver.expect_bytes(b"Hello")
    except ScriptError as error:
        assert_type(error, ScriptError)


def what_happened(tcpserver: TcpServer) -> None:
    """The transcript and the failure can be read."""
    assert_type(tcpserver.transcript, Transcript)
    assert_type(tcpserver.failure, Failure | None)
    for event in tcpserver.transcript:
        assert_type(event.data, bytes)
