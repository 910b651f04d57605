"""Typical usage, for mypy and pyright. It is checked, never run."""

from __future__ import annotations

import asyncio
import pickle
import re
import ssl
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from typing_extensions import assert_type

from pytest_tcpclient import (
    ANY,
    NEED_DATA,
    TLS,
    Connection,
    Failure,
    Framing,
    Handle,
    Matched,
    Matcher,
    Mismatch,
    Rule,
    Script,
    ScriptError,
    ScriptMismatch,
    TcpServer,
    TcpServerFactory,
    Transcript,
    any_of,
    count,
    cuts,
    exactly,
    frame,
    in_any_order,
    line,
    splits,
    until,
)
from pytest_tcpclient.framing import (
    Delimited,
    FixedSize,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
    read_frame,
    write_frame,
)


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


class Numbers:
    """A framing of the test's own: a number in a line."""

    def encode(self, payload: int) -> bytes:
        return b"%d\n" % payload

    def decode(self, buffer: bytes) -> tuple[int, int] | None:
        digits, newline, _ = buffer.partition(b"\n")
        return (int(digits), len(digits) + 1) if newline else None


class Texts:
    """Another one, of text."""

    def encode(self, payload: str) -> bytes:
        return payload.encode() + b"\0"

    def decode(self, buffer: bytes) -> tuple[str, int] | None:
        text, end, _ = buffer.partition(b"\0")
        return (text.decode(), len(text) + 1) if end else None


class Spaces:
    """A matcher of the test's own."""

    def match(self, buffer: bytes) -> Matched | Mismatch | type(NEED_DATA):  # type: ignore[valid-type]
        size = len(buffer) - len(buffer.lstrip(b" "))
        if not size:
            return Mismatch("spaces", buffer[:1])
        return Matched(size, size) if size < len(buffer) else NEED_DATA


def shapes_of_input(script: Script) -> None:
    """A handle has bytes, or the match if a pattern was given."""
    pattern = re.compile(rb"USER (\w+)")
    assert_type(script.expect_line(), Handle[bytes])
    assert_type(script.expect_line(b"QUIT", 2, newline=b"\r\n", limit=512), Handle[bytes])
    assert_type(script.expect_line(lambda line: line.isdigit()), Handle[bytes])
    assert_type(script.expect_line(pattern, optional=True), Handle[re.Match[bytes]])
    assert_type(script.expect_line(pattern).received[1], bytes | Any)
    assert_type(script.expect_until(b"\r\n\r\n"), Handle[bytes])
    assert_type(script.expect_until(b";", b"a;", timeout=1), Handle[bytes])
    assert_type(script.expect_until(b";", re.compile(rb"(.*);")), Handle[re.Match[bytes]])
    assert_type(script.expect_count(4), Handle[bytes])
    assert_type(script.expect_count(lambda: 4, b"abcd"), Handle[bytes])
    assert_type(script.expect_count(lambda length: int(length) + 1), Handle[bytes])
    assert_type(script.expect_count(4, re.compile(rb"\d+")), Handle[re.Match[bytes]])
    assert_type(script.expect_bytes(lambda: b"Hello"), Handle[bytes])
    assert_type(script.expect_nothing(0.5), Handle[None])
    assert_type(script.expect_disconnect(optional=True), Handle[None])


def frames(script: Script) -> None:
    """A handle has what the framing gives: of the server's framing only the server knows what."""
    assert_type(script.expect_frame(), Handle[Any])
    assert_type(script.expect_frame(b"Hello"), Handle[bytes])
    assert_type(script.expect_frame({"id": ANY}), Handle[Any])
    assert_type(script.expect_frame(framing=Netstring()), Handle[bytes])
    assert_type(script.expect_frame(b"Hello", framing=LengthPrefixed(2, "little")), Handle[bytes])
    assert_type(script.expect_frame(framing=Numbers()), Handle[int])
    assert_type(script.expect_frame(5, 1.5, framing=Numbers(), optional=True), Handle[int])
    assert_type(script.expect_frame(re.compile(rb"a+")), Handle[re.Match[bytes]])
    assert_type(
        script.expect_frame(re.compile(rb"a+"), framing=Netstring()), Handle[re.Match[bytes]]
    )
    assert_type(script.expect_frame(re.compile("a+"), framing=Texts()), Handle[re.Match[str]])
    assert_type(script.send_frame(5, framing=Numbers()), Handle[None])
    script.expect_frame(framing=Numbers)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def framings() -> None:
    """All of the package, and those of a test."""
    some: list[Framing[bytes]] = [
        LengthPrefixed(includes_prefix=True),
        VarintPrefixed(limit=100),
        Netstring(),
        Delimited(b"--"),
        FixedSize(12),
    ]
    own: Framing[int] = Numbers()
    assert_type(some[0].decode(b""), tuple[bytes, int] | None)
    assert_type(own.decode(b""), tuple[int, int] | None)


def matchers(script: Script) -> None:
    """Bytes, those of the package, and those of a test; what a handle has is anything."""
    own: Matcher = Spaces()
    handle = script.expect(any_of(b"QUIT", line(b"EXIT"), own), optional=True)
    assert_type(handle, Handle[Any])
    assert_type(script.expect(in_any_order(b"a", frame(), count(2), until(b";"))), Handle[Any])
    assert_type(script.expect(Spaces(), 2), Handle[Any])
    assert_type(script.expect(exactly(b"a")), Handle[Any])
    script.expect("a")  # type: ignore[arg-type]


def background(tcpserver: TcpServer) -> None:
    """A rule can be asked and stopped."""
    rule = tcpserver.whenever(line(b"PING"), b"PONG\r\n")
    assert_type(rule, Rule)
    assert_type(rule.count, int)
    assert_type(rule.stop(), None)
    tcpserver.expect_connect().whenever(b"NOOP")
    tcpserver.whenever(line(), lambda received: received or None)
    tcpserver.whenever(line(), lambda: b"x")


def answers(script: Script) -> None:
    """Bytes or functions, one or several."""
    assert_type(script.send_bytes(b"a", lambda: b"b", lambda received: received), Handle[None])
    assert_type(script.send_bytes(b"abc", chunk_size=1, interval=0.1), Handle[None])
    assert_type(script.send_bytes(*splits(b"abc")[0]), Handle[None])
    assert_type(script.send_line(b"220 ready", newline=b"\r\n"), Handle[None])
    assert_type(splits(b"abc"), list[tuple[bytes, ...]])
    assert_type(cuts(b"abc"), list[tuple[bytes, ...]])


async def play_server(stream: ByteStream) -> int:
    """The way out of an async test."""
    await stream.send(b"x")
    return 5


def play_server_in_a_thread(stream: Any) -> str:
    """The same as a plain function."""
    stream.send(b"x")
    return "done"


async def ways_out(script: Script) -> None:
    """A handle has what the function returns."""
    assert_type(script.run(play_server), Handle[int])
    assert_type(await script.run(play_server, timeout=2).wait(), int)
    assert_type(script.run(play_server_in_a_thread), Handle[str])
    assert_type(script.run(lambda stream: None), Handle[None])
    assert_type(script.expect_line(optional=True).skipped, bool)
