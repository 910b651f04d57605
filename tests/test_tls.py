"""A server that speaks TLS, with real clients; and one that starts it in mid-script."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from functools import cache

import anyio
import pytest
import trio
from anyio import to_thread
from anyio.abc import SocketStream
from clients import connect, failure_of, receive_all, without_times
from runs import EVERY_RUNNER, RUNNERS, run
from tls_clients import CLIENTS, AnyioClient, BlockingClient, reckless, start_tls

from pytest_tcpclient import TLS, ScriptError, ScriptMismatch, _certificates
from pytest_tcpclient._tls import TlsStream
from pytest_tcpclient._transcript import What

pytest.importorskip("trustme")

with_anyio = pytest.mark.anyio
with_tls = pytest.mark.tcpserver(tls=True)
MEGABYTE = 1024 * 1024
RESETS = (ConnectionResetError, anyio.BrokenResourceError, trio.BrokenResourceError)


@pytest.fixture(params=CLIENTS)
def connect_client(request):
    """Connects a client that speaks TLS: of each kind that there is."""
    return CLIENTS[request.param]


@pytest.fixture
def without_trustme(monkeypatch):
    """It is not installed, and nothing was made with it: what was made stays as it is."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    for name in ("authority", "_context_for", "_certificate_of_client"):
        monkeypatch.setattr(_certificates, name, cache(getattr(_certificates, name).__wrapped__))


async def receive_exactly(client, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await client.receive()
        assert piece
        data += piece
    return data


# Data


@with_anyio
@with_tls
async def test_a_script_is_played_over_tls(tcpserver, connect_client):
    """It is written, and the transcript reads, as if there were no TLS."""
    connection = tcpserver.expect_connect()
    tcpserver.send_line(b"220 ready")
    tcpserver.expect_line(b"HELO")
    tcpserver.send_line(b"250 hello")
    tcpserver.expect_disconnect()
    client = await connect_client(tcpserver, tcpserver.client_ssl_context())
    assert await receive_exactly(client, 10) == b"220 ready\n"
    await client.send(b"HELO\n")
    assert await receive_exactly(client, 10) == b"250 hello\n"
    await client.close()
    await tcpserver.join()
    assert connection.ssl_object.version() == "TLSv1.3"
    # (That the server has finished, too, may come a moment later.)
    assert [(event.what, event.data) for event in tcpserver.transcript][:5] == [
        (What.CONNECTED, b""),
        (What.SENT, b"220 ready\n"),
        (What.RECEIVED, b"HELO\n"),
        (What.SENT, b"250 hello\n"),
        (What.CLIENT_EOF, b""),
    ]


@with_anyio
@with_tls
async def test_large_data_is_received_and_sent_over_tls(tcpserver, connect_client):
    """Many records, in both directions."""
    data = bytes(range(256)) * (4 * MEGABYTE // 256)
    tcpserver.expect_connect()
    tcpserver.expect_bytes(data, timeout=10)
    tcpserver.send_bytes(data)
    tcpserver.expect_disconnect(timeout=10)
    client = await connect_client(tcpserver, tcpserver.client_ssl_context())
    await client.send(data)
    assert await receive_exactly(client, len(data)) == data
    await client.close()
    await tcpserver.join()


@with_anyio
@with_tls
async def test_segments_are_segments_over_tls(tcpserver):
    """Each reaches the client by itself."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"one", b"two", b"three")
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    assert [await client.receive() for _ in range(3)] == [b"one", b"two", b"three"]
    await client.close()


@with_anyio
@with_tls
async def test_a_function_has_the_decrypted_stream(tcpserver):
    """It plays the server of the protocol, not of TLS."""

    async def reverse(stream):
        await stream.send((await stream.receive())[::-1])

    tcpserver.expect_connect()
    tcpserver.run(reverse)
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.send(b"abc")
    assert await client.receive() == b"cba"
    await client.close()


@with_anyio
@with_tls
async def test_wrong_bytes_over_tls(tcpserver):
    """The failure shows what the client has said, decrypted."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Bonjour")
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.send(b"Goodbye")
    expected = "Expected to read b'Bonjour' but actually read b'Goodbye'"
    assert await failure_of(tcpserver) == expected
    await client.close()  # It is answered all the same.


@with_anyio
@with_tls
async def test_a_client_may_connect_before_it_is_declared(tcpserver, connect_client):
    """The handshake does not wait for the declaration, for which the client would wait."""
    client = await connect_client(tcpserver, tcpserver.client_ssl_context())
    await client.send(b"Hello")
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.expect_disconnect()
    await client.close()
    await tcpserver.join()


@with_anyio
@with_tls
async def test_no_handshake_holds_up_another(tcpserver):
    """A client that never begins is nobody's business but its own."""
    silent = tcpserver.expect_connect(timeout=5)
    async with await connect(tcpserver):
        # For the script from top to bottom it is the second one. It is connected all the same.
        client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
        await client.cut()
        assert not silent.done
    assert await failure_of(tcpserver) == "TLS handshake failed: the client closed the connection."


@with_anyio
@with_tls
async def test_a_client_that_aborts_during_the_handshake(tcpserver):
    """It is not taken for one that closes."""
    tcpserver.expect_connect()
    client = socket.create_connection((tcpserver.host, tcpserver.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert await failure_of(tcpserver) == "TLS handshake failed: the client reset the connection."


@with_anyio
@with_tls
async def test_connections_are_told_apart_by_what_they_say_encrypted(tcpserver):
    """For that the handshake is done before anybody claims them."""
    b = tcpserver.expect_connect(first=b"b")
    a = tcpserver.expect_connect(first=b"a")
    b.expect_bytes(b"bb")
    a.expect_bytes(b"aa")
    for text in (b"aa", b"bb"):
        client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
        await client.send(text)
        await client.close()
    await tcpserver.join()
    assert a.ssl_object.version() == "TLSv1.3"


@with_anyio
@with_tls
async def test_a_connection_that_says_nothing_because_of_tls(tcpserver):
    """It is nobody's who waits for a certain beginning."""
    tcpserver.expect_connect(timeout=0.1, first=b"a", optional=True)
    tcpserver.expect_connect()
    async with await connect(tcpserver) as stream:
        await stream.send(b"aa")
        assert await failure_of(tcpserver) == (
            "TLS handshake failed: the client spoke plain text: b'aa'."
        )


@with_anyio
@with_tls
async def test_the_client_gets_a_reset(tcpserver, connect_client):
    """In spite of TLS."""
    if sys.version_info < (3, 12, 3) and connect_client == CLIENTS["blocking"]:
        pytest.skip("before that, the ssl module took a reset for EOF")
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_reset()
    client = await connect_client(tcpserver, tcpserver.client_ssl_context())
    await client.send(b"Hello")
    with pytest.raises(RESETS):
        await client.receive()
    await tcpserver.join()
    with suppress(OSError, *RESETS):
        await client.cut()


@with_anyio
@with_tls
async def test_a_server_that_does_not_read(tcpserver):
    """What was sent meanwhile comes afterwards."""
    data = b"x" * MEGABYTE
    tcpserver.expect_connect()
    tcpserver.stop_reading(0.1)
    tcpserver.expect_bytes(data)
    tcpserver.expect_disconnect()
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.send(data)
    await client.close()
    await tcpserver.join()


# The end


@with_anyio
@with_tls
@pytest.mark.parametrize("clean", [True, False])
async def test_a_connection_that_is_cut(tcpserver, connect_client, clean):
    """Without a close_notify it is not closed, unless that need not be clean."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello")
    tcpserver.expect_disconnect(clean=clean)
    client = await connect_client(tcpserver, tcpserver.client_ssl_context())
    assert await receive_exactly(client, 5) == b"Hello"
    await client.cut()
    if clean:
        assert await failure_of(tcpserver) == (
            "Client closed the connection without a close_notify of TLS."
        )
    else:
        await tcpserver.join()


@with_anyio
@with_tls
async def test_the_remedy_for_a_connection_that_is_cut(tcpserver):
    """The failure says how to allow it, and the script how far it was."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.cut()
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    assert str(caught.value).splitlines()[1] == (
        "If it need not send one: expect_disconnect(clean=False)."
    )
    assert "> failed       expect_disconnect()" in without_times(str(caught.value))


@with_anyio
@with_tls
async def test_a_client_that_closes_is_answered(tcpserver, connect_client):
    """Clients wait for that, whether the script says that they close or not."""
    tcpserver.expect_connect()
    client = await connect_client(tcpserver, tcpserver.client_ssl_context())
    with anyio.fail_after(5):
        await client.close()


@with_anyio
@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_the_server_disconnects(tcpserver_factory, version):
    """The client gets everything and the end, and may still talk."""
    server = await tcpserver_factory(tls=TLS(minimum=version, maximum=version))
    server.expect_connect()
    server.send_bytes(b"Hello")
    server.disconnect()
    server.expect_bytes(b"Goodbye")
    server.expect_disconnect()
    client = await AnyioClient.connect(server, server.client_ssl_context())
    assert await receive_exactly(client, 5) == b"Hello"
    assert await client.receive() == b""
    await client.send(b"Goodbye")
    await client.close()
    await server.join()


@with_anyio
@with_tls
async def test_what_was_under_way_when_the_server_disconnects_is_received(tcpserver):
    """However it arrives, it is not lost."""
    data = b"x" * (3 * MEGABYTE)
    tcpserver.expect_connect()
    tcpserver.disconnect()
    tcpserver.expect_bytes(data, timeout=10)
    tcpserver.expect_disconnect()
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.send(data)
    await client.close()
    await tcpserver.join()


@with_anyio
@with_tls
async def test_sending_to_a_client_that_said_goodbye(tcpserver):
    """It does not listen any more."""
    tcpserver.expect_connect()
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.close()
    tcpserver.send_bytes(b"Hello")
    assert await failure_of(tcpserver) == (
        "Client closed the connection before b'Hello' could be sent."
    )


@with_anyio
@pytest.mark.tcpserver(tls=True, timeout=10)
async def test_a_client_that_says_goodbye_and_does_not_read(tcpserver):
    """Its end is noticed although the server cannot answer."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"x" * 50_000_000)
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    with anyio.fail_after(5):
        while not any(event.what is What.SENT for event in tcpserver.transcript):
            await anyio.lowlevel.checkpoint()
    ssl_object = client.stream._ssl_object
    with pytest.raises(ssl.SSLWantReadError):
        ssl_object.unwrap()
    await client.stream.transport_stream.send(client.stream._write_bio.read())
    with anyio.fail_after(5):  # Before the sending has taken too long.
        while not any(event.what is What.CLIENT_EOF for event in tcpserver.transcript):
            await anyio.lowlevel.checkpoint()
    await client.cut()
    assert await failure_of(tcpserver) == "Connection was reset."


@with_anyio
@with_tls
async def test_nonsense_after_the_handshake(tcpserver):
    """What is no record of TLS fails the test."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await client.stream.transport_stream.send(b"Hello, in plain text")
    line = await failure_of(tcpserver)
    assert line.startswith("TLS failed after the handshake: ")
    await client.cut()


@with_anyio
async def test_what_has_arrived_before_the_end_is_not_lost():
    """OpenSSL would drop what is not decrypted yet when the server finishes."""
    data = b"x" * 20_000  # Two records.
    here, there = socket.socketpair()
    here.setblocking(False)
    sent = threading.Event()

    def talk() -> None:
        context = _certificates.client_context(client_cert=False)
        with context.wrap_socket(there, server_hostname="localhost") as client:
            client.sendall(data)
            sent.set()
            assert client.recv(1) == b""

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, talk)
        raw_stream = await SocketStream.from_socket(here)
        async with TlsStream(raw_stream, _certificates.server_context(TLS())) as stream:
            await stream.handshake()
            await to_thread.run_sync(sent.wait)
            received = await stream.receive()
            await stream.send_eof()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b"x")
            received += await stream.receive()
            assert received == data


@with_anyio
@pytest.mark.tcpserver(strict=False)
async def test_what_comes_when_the_connection_was_let_go_is_dropped(tcpserver):
    """It had been received already when the server closed it."""
    connection = tcpserver.expect_connect()
    async with await connect(tcpserver):
        await connection.wait()
        await tcpserver.reset()
        connection._engine._hand_over(b"x")


# Handshakes that fail


@with_anyio
@with_tls
async def test_a_client_that_does_not_trust_the_server(tcpserver):
    """It says so to the server, and the failure says it in its words."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    with pytest.raises(ssl.SSLCertVerificationError):
        await BlockingClient.connect(tcpserver, ssl.create_default_context())
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    first, _, title, step, next_step = str(caught.value).splitlines()
    assert first == "TLS handshake failed: the client refused the certificate: unknown ca."
    assert title == f"Script of connection 1 to {tcpserver.name}:"
    assert without_times(step).startswith("> failed       expect_connect()")
    assert without_times(next_step).startswith("  not reached  expect_bytes(b'Hello')")


@with_anyio
@with_tls
@pytest.mark.parametrize("kind", ["anyio", "native"])
async def test_a_client_that_does_not_trust_the_server_and_says_nothing(tcpserver, kind):
    """Clients of event loops send no alert: the failure says what may be behind that."""
    tcpserver.expect_connect()
    with pytest.raises(ssl.SSLCertVerificationError):
        await CLIENTS[kind](tcpserver, ssl.create_default_context())
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    first, hint = str(caught.value).splitlines()[:2]
    assert first == "TLS handshake failed: the client closed the connection."
    assert hint == "Perhaps it refused the certificate: not every client tells the server why."


REFUSALS = {
    "expired": "certificate has expired",
    "wrong-host": "Hostname mismatch",
    "self-signed": "self.signed certificate",
}


@with_anyio
@pytest.mark.parametrize("certificate", REFUSALS)
async def test_a_client_that_is_right_to_refuse(tcpserver_factory, connect_client, certificate):
    """The script says that the handshake must fail."""
    server = await tcpserver_factory(tls=TLS(certificate=certificate))
    server.expect_connect(handshake_fails=True)
    server.expect_disconnect()
    with pytest.raises(ssl.SSLCertVerificationError, match=REFUSALS[certificate]):
        await connect_client(server, server.client_ssl_context())
    await server.join()


@with_anyio
@pytest.mark.parametrize("certificate", REFUSALS)
async def test_a_client_that_ought_to_refuse(tcpserver_factory, connect_client, certificate):
    """One that trusts everybody is found out."""
    server = await tcpserver_factory(tls=TLS(certificate=certificate))
    server.expect_connect(handshake_fails=True)
    client = await connect_client(server, reckless())
    assert await failure_of(server) == "Expected the TLS handshake to fail, but it succeeded."
    await client.cut()


@with_anyio
async def test_no_version_in_common(tcpserver_factory):
    """Neither side needs to know what the other one wants."""
    server = await tcpserver_factory(tls=TLS(minimum=ssl.TLSVersion.TLSv1_3))
    server.expect_connect()
    context = server.client_ssl_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        await AnyioClient.connect(server, context)
    assert await failure_of(server) == (
        "TLS handshake failed: client and server have no version of TLS in common."
    )


@with_anyio
@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_the_version_that_was_asked_for(tcpserver_factory, version):
    """Of those that a client may speak."""
    server = await tcpserver_factory(tls=TLS(minimum=version, maximum=version))
    connection = server.expect_connect()
    client = await AnyioClient.connect(server, server.client_ssl_context())
    await connection.wait()
    assert connection.ssl_object.version() == f"TLSv{version}"
    await client.close()


@with_anyio
async def test_the_protocol_is_agreed_on(tcpserver_factory):
    """By ALPN, and both sides know it."""
    server = await tcpserver_factory(tls=TLS(alpn=["h2", "http/1.1"]))
    connection = server.expect_connect()
    context = server.client_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    client = await AnyioClient.connect(server, context)
    await connection.wait()
    assert connection.ssl_object.selected_alpn_protocol() == "http/1.1"
    await client.close()


@with_anyio
async def test_a_client_with_a_certificate(tcpserver_factory, connect_client):
    """The server asks for it, and knows it afterwards."""
    server = await tcpserver_factory(tls=TLS(client_cert=True))
    connection = server.expect_connect()
    client = await connect_client(server, server.client_ssl_context())
    await connection.wait()
    assert connection.ssl_object.getpeercert()["subjectAltName"] == (("email", "client@localhost"),)
    await client.close()


@with_anyio
async def test_a_client_without_a_certificate(tcpserver_factory):
    """A client of TLS 1.3 learns it when it reads next."""
    server = await tcpserver_factory(tls=TLS(client_cert=True))
    server.expect_connect()
    client = await AnyioClient.connect(server, server.client_ssl_context(client_cert=False))
    with pytest.raises(ssl.SSLError, match="certificate required"):
        await client.receive()
    assert await failure_of(server) == "TLS handshake failed: the client sent no certificate."
    await client.cut()


@with_anyio
async def test_a_client_with_somebody_elses_certificate(tcpserver_factory):
    """The failure says what is wrong with it."""
    import trustme

    server = await tcpserver_factory(tls=TLS(client_cert=True))
    server.expect_connect(handshake_fails=True)
    server.expect_connect()
    for _ in range(2):
        context = server.client_ssl_context(client_cert=False)
        trustme.CA().issue_cert("client@localhost").configure_cert(context)
        client = await AnyioClient.connect(server, context)
        with pytest.raises(ssl.SSLError):
            await client.receive()
        await client.cut()
    assert await failure_of(server) == (
        "TLS handshake failed: the client's certificate was refused: unable to get local issuer "
        "certificate."
    )


@with_anyio
@with_tls
async def test_plain_text_for_a_server_that_speaks_tls(tcpserver):
    """It is shown, and is in the transcript."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"GET")
    async with await connect(tcpserver) as stream:
        await stream.send(b"GET / HTTP/1.1\r\n")
        assert await failure_of(tcpserver) == (
            "TLS handshake failed: the client spoke plain text: b'GET / HTTP/1.1\\r\\n'."
        )
    received = [event.data for event in tcpserver.transcript if event.what is What.RECEIVED]
    assert received == [b"GET / HTTP/1.1\r\n"]


@with_anyio
@with_tls
async def test_plain_text_that_must_be_refused(tcpserver):
    """The connection is closed then: a client that waits for an answer learns it."""
    tcpserver.expect_connect(handshake_fails=True)
    async with await connect(tcpserver) as stream:
        await stream.send(b"GET / HTTP/1.1\r\n")
        assert await receive_all(stream) == b""
        await tcpserver.join()


@with_anyio
@with_tls
async def test_a_client_that_closes_during_the_handshake(tcpserver):
    """It may have begun."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as stream:
        await stream.send(b"\x16\x03\x01")
    assert await failure_of(tcpserver) == "TLS handshake failed: the client closed the connection."


@with_anyio
@with_tls
async def test_what_is_no_handshake_although_it_begins_like_one(tcpserver):
    """Then OpenSSL says what it thinks of it."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as stream:
        await stream.send(b"\x16" + bytes(100))
        assert await failure_of(tcpserver) == "TLS handshake failed: wrong version number."


@with_anyio
@with_tls
async def test_a_client_that_is_gone_before_it_is_claimed(tcpserver):
    """Who declares it learns what became of it."""
    async with await connect(tcpserver):
        pass
    tcpserver.expect_connect()
    assert await failure_of(tcpserver) == "TLS handshake failed: the client closed the connection."


@with_anyio
@pytest.mark.parametrize(
    ("fails", "line"),
    [
        (False, "TLS handshake failed: timed out waiting for the client."),
        (True, "Expected the TLS handshake to fail, but the client neither went on nor refused."),
    ],
)
async def test_a_client_that_never_begins(tcpserver_factory, fails, line):
    """The handshake has the time of the step, from the moment of the connection."""
    server = await tcpserver_factory(tls=True, timeout=0.1)
    server.expect_connect(handshake_fails=fails, optional=True)
    async with await connect(server):
        assert await failure_of(server) == line


@with_anyio
@with_tls
async def test_other_steps_wait_for_the_handshake(tcpserver):
    """An optional connection that comes is not skipped, and holds up the next step."""
    first = tcpserver.expect_connect(optional=True)
    tcpserver.expect_bytes(b"1")
    second = tcpserver.expect_connect()
    client = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    other = await AnyioClient.connect(tcpserver, tcpserver.client_ssl_context())
    await first.wait()
    assert not second.done  # Although its handshake is done.
    await client.send(b"1")
    await second.wait()
    await client.close()
    await other.close()


# STARTTLS


def declare_starttls(server, **options) -> None:
    server.expect_connect()
    server.expect_line(b"STARTTLS")
    server.send_line(b"220 go ahead")
    server.start_tls(**options)


async def ask_for_tls(server):
    stream = await connect(server)
    await stream.send(b"STARTTLS\n")
    assert await stream.receive() == b"220 go ahead\n"
    return stream


class ByteByByte:
    """A stream that sends every byte by itself, as a network may deliver them."""

    def __init__(self, stream) -> None:
        self._stream = stream
        self.receive = stream.receive
        self.aclose = stream.aclose

    async def send(self, data: bytes) -> None:
        for byte in data:
            await self._stream.send(bytes([byte]))


@with_anyio
@pytest.mark.parametrize("wrap", [lambda stream: stream, ByteByByte], ids=["whole", "bytes"])
async def test_tls_is_started_in_the_middle(tcpserver, wrap):
    """What comes afterwards is encrypted, and the script goes on."""
    declare_starttls(tcpserver)
    tcpserver.expect_line(b"EHLO")
    tcpserver.send_line(b"250 secret")
    tcpserver.expect_disconnect()
    stream = await ask_for_tls(tcpserver)
    client = await start_tls(wrap(stream), tcpserver.client_ssl_context())
    await client.send(b"EHLO\n")
    assert await client.receive() == b"250 secret\n"
    await client.close()
    await tcpserver.join()
    # (That the server has finished, too, may come a moment later.)
    assert [(event.what, event.data) for event in tcpserver.transcript][:6] == [
        (What.CONNECTED, b""),
        (What.RECEIVED, b"STARTTLS\n"),
        (What.SENT, b"220 go ahead\n"),
        (What.RECEIVED, b"EHLO\n"),
        (What.SENT, b"250 secret\n"),
        (What.CLIENT_EOF, b""),
    ]


@with_anyio
async def test_tls_is_started_when_the_script_has_been_idle(tcpserver):
    """Whoever waited for the client then hands over what it gets."""
    connection = tcpserver.expect_connect()
    async with await connect(tcpserver) as stream:
        await connection.wait()
        started = tcpserver.start_tls(TLS(minimum="1.3"))
        client = await start_tls(stream, tcpserver.client_ssl_context())
        await started.wait()
        assert connection.ssl_object.version() == "TLSv1.3"
        await client.close()


@with_anyio
async def test_a_handshake_that_begins_before_the_step(tcpserver):
    """A client that does not wait for the answer: its part is there when the step begins."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"S")
    tcpserver.send_bytes(b"A", b"B", interval=0.05)
    tcpserver.start_tls()
    tcpserver.send_bytes(b"secret")
    tcpserver.expect_disconnect()

    class Impatient:
        """Sends its request together with the first part of the handshake."""

        def __init__(self, stream) -> None:
            self.aclose = stream.aclose
            self._stream = stream
            self._request = b"S"
            self._answer = b"AB"

        async def send(self, data: bytes) -> None:
            await self._stream.send(self._request + data)
            self._request = b""

        async def receive(self) -> bytes:
            data = await self._stream.receive()
            answer = data[: len(self._answer)]
            assert self._answer.startswith(answer) or not self._answer
            self._answer = self._answer[len(answer) :]
            return data[len(answer) :] or await self.receive()

    async with await connect(tcpserver) as stream:
        client = await start_tls(Impatient(stream), tcpserver.client_ssl_context())
        assert await client.receive() == b"secret"
        await client.close()
    await tcpserver.join()


@with_anyio
@pytest.mark.parametrize("together", [True, False])
async def test_plain_text_before_the_handshake(tcpserver, together):
    """Commands that anybody could have put there fail the test, however they arrive."""
    declare_starttls(tcpserver)
    tcpserver.expect_line(b"EHLO")
    async with await connect(tcpserver) as stream:
        if together:
            await stream.send(b"STARTTLS\nRCPT TO:<a>\n")
        else:
            await stream.send(b"STARTTLS\n")
            assert await stream.receive() == b"220 go ahead\n"
            await stream.send(b"RCPT TO:<a>\n")
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    first, hint = str(caught.value).splitlines()[:2]
    assert first == "Client sent b'RCPT TO:<a>\\n' before the TLS handshake."
    assert hint == "A client must send nothing between its request for TLS and the handshake."
    assert "> failed       start_tls()" in without_times(str(caught.value))


@with_anyio
async def test_plain_text_is_no_refusal(tcpserver):
    """Not even where the handshake must fail."""
    declare_starttls(tcpserver, handshake_fails=True)
    async with await ask_for_tls(tcpserver) as stream:
        await stream.send(b"EHLO\n")
        assert await failure_of(tcpserver) == "Client sent b'EHLO\\n' before the TLS handshake."


@with_anyio
async def test_a_client_that_is_right_to_refuse_to_start_tls(tcpserver):
    """The script says that the handshake must fail."""
    declare_starttls(tcpserver, tls=TLS(certificate="expired"), handshake_fails=True)
    async with await ask_for_tls(tcpserver) as stream:
        with pytest.raises(ssl.SSLCertVerificationError):
            await start_tls(stream, tcpserver.client_ssl_context())
    await tcpserver.join()


@with_anyio
async def test_a_client_that_ought_to_refuse_to_start_tls(tcpserver):
    """Many do not look at the certificate there."""
    declare_starttls(tcpserver, tls=TLS(certificate="wrong-host"), handshake_fails=True)
    stream = await ask_for_tls(tcpserver)
    client = await start_tls(stream, reckless())
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    first, *rest = str(caught.value).splitlines()
    assert first == "Expected the TLS handshake to fail, but it succeeded."
    assert any(
        "> failed       start_tls(TLS(certificate='wrong-host'), handshake_fails=True)"
        in without_times(line)
        for line in rest
    )
    await client.cut()


@with_anyio
async def test_a_client_that_does_not_start_tls(tcpserver):
    """It has the time of the step."""
    declare_starttls(tcpserver, timeout=0.1)
    async with await ask_for_tls(tcpserver):
        assert await failure_of(tcpserver) == (
            "TLS handshake failed: timed out waiting for the client."
        )


@with_anyio
async def test_a_handshake_that_nobody_waits_for(tcpserver_factory):
    """The server is stopped in the middle of it, and does not want steps to be done."""
    server = await tcpserver_factory(strict=False)
    declare_starttls(server)
    async with await ask_for_tls(server):
        await tcpserver_factory.stop()


@with_anyio
async def test_a_client_that_goes_away_instead_of_starting_tls(tcpserver):
    """By closing the connection, or by aborting it."""
    declare_starttls(tcpserver)
    async with await ask_for_tls(tcpserver):
        pass
    assert await failure_of(tcpserver) == "TLS handshake failed: the client closed the connection."


@with_anyio
async def test_tls_cannot_be_started_when_both_sides_have_closed(tcpserver):
    """As nothing can be sent then."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver):
        pass
    await tcpserver.join()
    tcpserver.start_tls()
    assert await failure_of(tcpserver) == "Client closed the connection before `start_tls()`."


@with_anyio
async def test_tls_is_started_once(tcpserver, tcpserver_factory):
    """Nor on a connection that is encrypted from the beginning, or that is over."""
    tcpserver.expect_connect(optional=True, timeout=0)
    tcpserver.start_tls()
    with pytest.raises(ScriptError, match="on a connection that is encrypted already"):
        tcpserver.start_tls()
    encrypted = await tcpserver_factory(tls=True)
    encrypted.expect_connect(optional=True, timeout=0)
    with pytest.raises(ScriptError, match="on a connection that is encrypted already"):
        encrypted.start_tls()
    plain = await tcpserver_factory()
    plain.expect_connect(optional=True, timeout=0)
    plain.disconnect()
    with pytest.raises(ScriptError, match=r"start_tls\(\) cannot follow disconnect\(\)"):
        plain.start_tls()
    with pytest.raises(TypeError, match="tls must be True, a TLS"):
        plain.start_tls(False)


# Certificates, contexts and files


@with_anyio
async def test_a_context_of_the_tests_own(tcpserver_factory):
    """Only the test knows what its client needs then."""
    own = _certificates.server_context(TLS())
    server = await tcpserver_factory(tls=own)
    server.expect_connect()
    client = await AnyioClient.connect(server, _certificates.client_context(client_cert=False))
    await client.close()
    with pytest.raises(ScriptError, match="only you know what its client needs"):
        server.client_ssl_context()


@with_anyio
async def test_a_context_of_a_client(tcpserver, tcpserver_factory):
    """A common mistake, which is told at the line that makes it."""
    tcpserver.expect_connect(optional=True, timeout=0)
    with pytest.raises(ValueError, match=r"of a server: ssl\.create_default_context\("):
        tcpserver.start_tls(ssl.create_default_context())
    with pytest.raises(ValueError, match=r"tls must be the ssl\.SSLContext of a server"):
        await tcpserver_factory(tls=ssl.create_default_context())


@with_anyio
async def test_the_handshake_can_fail_only_where_there_is_one(tcpserver):
    """It is refused at the line that says so."""
    with pytest.raises(ScriptError, match="for a server without the option tls"):
        tcpserver.expect_connect(handshake_fails=True)
    assert tcpserver.expect_connect(optional=True, timeout=0).ssl_object is None


@with_anyio
async def test_the_url_of_a_server(tcpserver, tcpserver_factory):
    """An IPv6 address stands in brackets (RFC 3986)."""
    assert tcpserver.url("https") == f"https://127.0.0.1:{tcpserver.port}"
    server = await tcpserver_factory(host="::1")
    assert server.url("redis") == f"redis://[::1]:{server.port}"


@with_anyio
async def test_the_files(tcpserver_factory):
    """For libraries that want paths: the same certificates, until the session ends."""
    server = await tcpserver_factory(tls=TLS(client_cert=True))
    server.expect_connect()
    context = ssl.create_default_context(cafile=server.ca_file)
    context.load_cert_chain(server.client_cert_file, server.client_key_file)
    client = await AnyioClient.connect(server, context)
    await client.close()
    directory = os.path.dirname(server.ca_file)
    assert os.stat(directory).st_mode & 0o077 == 0
    assert sorted(os.listdir(directory)) == ["ca.pem", "client.key", "client.pem"]
    _certificates.remove_files()
    with pytest.raises(FileNotFoundError):
        os.stat(directory)
    _certificates.remove_files()
    assert os.stat(server.ca_file)


def test_the_files_are_removed_with_the_session(pytester):
    """Nothing lasts, in a worker of xdist neither."""
    _certificates.remove_files()
    outcome = run(
        pytester,
        RUNNERS["anyio on asyncio"],
        """
        import os

        async def test_files(tcpserver):
            with open("paths", "w") as paths:
                print(tcpserver.ca_file, file=paths)
            assert os.path.getsize(tcpserver.ca_file)
        """,
    )
    assert outcome.passed == ["test_files"]
    path = (pytester.path / "paths").read_text().strip()
    assert path
    assert not os.path.exists(os.path.dirname(path))


def test_certificates_are_made_once():
    """They take time."""
    assert _certificates.authority() is _certificates.authority()
    assert _certificates.server_context(TLS()) is _certificates.server_context(TLS())
    assert _certificates.server_context(TLS(alpn=["h2"])) is not _certificates.server_context(TLS())


@pytest.mark.parametrize("tls", [TLS(), TLS(certificate="self-signed")], ids=repr)
@pytest.mark.usefixtures("without_trustme")
def test_trustme_is_needed_for_certificates(tls):
    """What is missing is named, and how to get it."""
    with pytest.raises(ModuleNotFoundError) as caught:
        _certificates.server_context(tls)
    assert str(caught.value) == (
        "tls makes throw-away certificates, which needs trustme: "
        'python -m pip install "pytest-tcpclient[tls]"'
    )


@with_anyio
@pytest.mark.usefixtures("without_trustme")
async def test_trustme_is_needed_where_tls_is_started(tcpserver):
    """It is said at the line of the declaration, not when the step begins."""
    tcpserver.expect_connect(optional=True, timeout=0)
    with pytest.raises(ModuleNotFoundError, match="needs trustme"):
        tcpserver.start_tls()


# The arguments


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"alpn": "h2"}, "alpn must be a list of names, not 'h2'"),
        ({"alpn": 2}, "alpn must be a list of names, not 2"),
        ({"alpn": [b"h2"]}, "alpn must be a list of names, not (b'h2',)"),
        ({"alpn": [""]}, "a name of alpn must have 1 to 255 ASCII characters, not ''"),
        ({"client_cert": 1}, "client_cert must be True or False, not 1"),
        ({"minimum": "1.1"}, 'minimum must be "1.2", "1.3" or one of ssl.TLSVersion, not \'1.1\''),
        ({"maximum": 12}, 'maximum must be "1.2", "1.3" or one of ssl.TLSVersion, not 12'),
        ({"minimum": "1.3", "maximum": "1.2"}, "minimum must not be higher than maximum"),
        (
            {"certificate": "bad"},
            "certificate must be one of 'good', 'expired', 'wrong-host', 'self-signed', not 'bad'",
        ),
    ],
)
def test_wrong_arguments(settings, error):
    """They are refused at the line that gives them."""
    with pytest.raises((TypeError, ValueError)) as caught:
        TLS(**settings)
    assert str(caught.value) == error


def test_how_tls_is_shown():
    """As the test wrote it, without what it did not say."""
    assert repr(TLS()) == "TLS()"
    shown = repr(TLS(alpn=["h2"], minimum=ssl.TLSVersion.TLSv1_2, certificate="expired"))
    assert shown == "TLS(alpn=('h2',), minimum='1.2', certificate='expired')"


# Under every runner


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_handshake_that_fails_ends_the_test(pytester, runner):
    """With the server's words, at the line of the client, and the client's error below."""
    outcome = run(
        pytester,
        runner,
        """
        import ssl

        @pytest.mark.tcpserver(tls=True)
        async def test_untrusted(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            await anyio.connect_tcp(  # Here.
                "localhost", tcpserver.port, ssl_context=ssl.create_default_context()
            )
        """,
    )
    failed = outcome.others["test_untrusted"]
    assert failed.when == "call"
    assert failed.line == "Failed: TLS handshake failed: the client closed the connection."
    assert failed.at == "await anyio.connect_tcp(  # Here."
    assert "Then the client raised ssl.SSLCertVerificationError: " in failed.text


def test_asyncio_streams_are_checked_over_tls(pytester):
    """As without it: what was read is counted decrypted."""
    outcome = run(
        pytester,
        RUNNERS["pytest-asyncio"],
        """
        pytestmark = [pytestmark, pytest.mark.tcpserver(tls=True)]

        async def talk(server, read):
            server.expect_connect()
            server.send_bytes(b"Hello")
            server.expect_disconnect()
            context = server.client_ssl_context()
            reader, writer = await asyncio.open_connection("localhost", server.port, ssl=context)
            assert await reader.readexactly(read) == b"Hello"[:read]
            writer.close()
            await writer.wait_closed()
            await server.join()

        async def test_good(tcpserver):
            await talk(tcpserver, 5)

        async def test_unread(tcpserver):
            await talk(tcpserver, 3)
        """,
    )
    assert outcome.passed == ["test_good"]
    assert outcome.others["test_unread"].line == (
        "Failed: There is data sent by server that was not read by client: unread_bytes=b'lo'."
    )


@pytest.mark.anyio
async def test_what_a_connection_says_without_tls_that_nobody_expects(tcpserver_factory):
    """The failure shows what came instead of a handshake."""
    server = await tcpserver_factory(tls=True)
    async with await connect(server) as client:
        await client.send(b"GET / HTTP/1.1\r\n")
        with anyio.fail_after(20):
            while server._reception.oldest is None:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(ScriptMismatch) as caught:
            await server.join()
    received = f"Received: b'GET / HTTP/1.1\\r\\n' on connection 1 to {server.name}"
    assert received in str(caught.value).splitlines()
