"""Servers on unix sockets: the same scripts, and what is different about them."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio.streams.tls import TLSStream
from clients import failure_of, receive_all, receive_exactly
from runs import EVERY_RUNNER, run

from pytest_tcpclient import ScriptError
from pytest_tcpclient._listening import UnixListener, hold, listen_at

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(path=True, timeout=10)]

brief = pytest.mark.tcpserver(timeout=0.2)


async def connect(server):
    """Connect a client."""
    return await anyio.connect_unix(server.path)


def in_thread(server):
    """A blocking client, connected."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(server.path)
    return client


# The same scripts


async def test_a_conversation(tcpserver):
    """It reads as on a port."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    tcpserver.send_bytes(b"Hello, client!")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"Hello, server!")
        assert await receive_exactly(client, 14) == b"Hello, client!"
    await tcpserver.join()


async def test_a_client_in_a_thread(tcpserver):
    """With what the socket module has."""
    tcpserver.expect_connect()
    tcpserver.expect_line(b"Hello")
    tcpserver.send_line(b"World")
    tcpserver.disconnect()

    def client():
        with in_thread(tcpserver) as connection:
            connection.sendall(b"Hello\n")
            return b"".join(iter(lambda: connection.recv(100), b""))

    assert await anyio.to_thread.run_sync(client) == b"World\n"
    await tcpserver.join()


async def test_a_pool(tcpserver):
    """Each connection has a script of its own, and is told by what it says first."""
    clients = [await connect(tcpserver) for _ in range(20)]
    for number in range(20):
        hello = b"client %02d" % number
        connection = tcpserver.expect_connect(first=hello)
        connection.expect_bytes(hello)
        connection.send_bytes(b"%02d" % number)
        connection.expect_disconnect()
    for number, client in reversed(list(enumerate(clients))):
        await client.send(b"client %02d" % number)
    for number, client in enumerate(clients):
        assert await receive_exactly(client, 2) == b"%02d" % number
        await client.aclose()
    await tcpserver.join()


async def test_half_close(tcpserver):
    """Both ways."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.expect_eof()
    tcpserver.send_bytes(b"World")
    tcpserver.send_eof()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        await client.send_eof()
        assert await receive_all(client) == b"World"
    await tcpserver.join()


async def test_each_segment_reaches_the_client_by_itself(tcpserver):
    """As soon as the client has read the one before, for the kernel tells."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"one", b"two", b"three")
    async with await connect(tcpserver) as client:
        assert [await client.receive() for _ in range(3)] == [b"one", b"two", b"three"]
        await tcpserver.join()


async def test_a_client_that_does_not_read_segments(tcpserver):
    """They are sent all the same, after a while."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"one", b"two")
    async with await connect(tcpserver) as client:
        await tcpserver.join()
        assert await client.receive() == b"onetwo"


async def test_a_client_that_sends_much_has_to_wait(tcpserver):
    """Its ``send()`` blocks for as long as the server does not read."""
    data = bytes(1_000_000)
    tcpserver.expect_connect()
    silence = tcpserver.stop_reading(0.3)
    received = tcpserver.expect_count(len(data))
    tcpserver.expect_disconnect()

    def client():
        with in_thread(tcpserver) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
            connection.sendall(data)
            return silence.done

    assert await anyio.to_thread.run_sync(client)
    await tcpserver.join()
    assert received.received == data


async def test_bulk(tcpserver):
    """Tens of megabytes, both ways."""
    data = os.urandom(1 << 20) * 16
    tcpserver.expect_connect()
    tcpserver.expect_bytes(data)
    tcpserver.send_bytes(data)
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(data)
        assert await receive_exactly(client, len(data)) == data
    await tcpserver.join()


async def test_tls(tcpserver_factory):
    """A unix socket can be encrypted like any other."""
    pytest.importorskip("trustme")
    server = await tcpserver_factory(tls=True)
    server.expect_connect()
    server.expect_bytes(b"Hello")
    server.send_bytes(b"World")
    server.expect_disconnect()
    stream = await connect(server)
    context = server.client_ssl_context()
    async with await TLSStream.wrap(stream, hostname="localhost", ssl_context=context) as client:
        await client.send(b"Hello")
        assert await client.receive() == b"World"
    await server.join()


# Refused, and accepted again


async def test_a_client_is_refused_for_a_while(tcpserver):
    """The path stays, nobody listens there, and whoever is connected goes on."""
    kept = tcpserver.expect_connect()
    refusing = tcpserver.stop_listening()
    async with await connect(tcpserver) as first:
        await refusing.wait()
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as probe:
                assert probe.connect_ex(tcpserver.path) == errno.ECONNREFUSED
        kept.expect_bytes(b"still here")
        await first.send(b"still here")
        await tcpserver.resume_listening().wait()
        again = tcpserver.expect_connect()
        async with await connect(tcpserver):
            await again.join()
        tcpserver.stop_listening()
        await tcpserver.resume_listening().wait()
        tcpserver.expect_connect()
        async with await connect(tcpserver):
            await tcpserver.join()
    await tcpserver.join()


async def test_there_is_always_something_at_the_path(tcpserver):
    """A client that tries without a pause is refused, and never told that nothing is there."""
    for _ in range(20):
        tcpserver.stop_listening()
        tcpserver.wait(0.001)
        tcpserver.resume_listening()
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"x")

    def client():
        codes = set()
        received = b""
        while not received:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(10)
                codes.add(probe.connect_ex(tcpserver.path))
                with suppress(OSError):  # It was not accepted before the server refused.
                    received = probe.recv(1)
        return codes

    assert await anyio.to_thread.run_sync(client) <= {0, errno.ECONNREFUSED}
    await tcpserver.join()


async def test_a_listener_that_is_closed(tmp_path):
    """It says so, as those of anyio do, whether somebody waits or not."""
    [raw_socket], _ = listen_at(None, 0, str(tmp_path / "socket"))
    listener = UnixListener(raw_socket)

    async def close():
        await anyio.wait_all_tasks_blocked()
        await listener.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        with pytest.raises(anyio.ClosedResourceError):
            await listener.accept()
    with pytest.raises(anyio.ClosedResourceError):
        await listener.accept()


# Failures


@brief
async def test_a_silent_client(tcpserver):
    """The failure says what it would on a port."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == "Timed out waiting for b'Hello'"


async def test_wrong_bytes(tcpserver):
    """The first wrong byte fails, and the script names the path."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Bonjour")
    async with await connect(tcpserver) as client:
        await client.send(b"Goodbye")
        with pytest.raises(pytest.fail.Exception) as caught:
            await tcpserver.join()
    first, *others = str(caught.value).splitlines()
    assert first == "Expected to read b'Bonjour' but actually read b'Goodbye'"
    assert f"Script of connection 1 to {tcpserver.path}:" in others


async def test_a_client_that_closes_early(tcpserver):
    """What it has sent is shown."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"Hel")
    assert await failure_of(tcpserver) == (
        "Expected to read b'Hello' but only read b'Hel' before the connection was closed."
    )


async def test_one_connection_too_many(tcpserver):
    """It fails at once, when the script is waiting for something else."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver), await connect(tcpserver):
        assert await failure_of(tcpserver) == (
            "While waiting for client to disconnect a second connection was attempted."
        )


async def test_a_client_that_has_not_read_everything_resets(tcpserver):
    """That is what the kernel makes of it, as on a port."""
    tcpserver.expect_connect()
    sent = tcpserver.send_bytes(b"unread")
    tcpserver.expect_reset()
    async with await connect(tcpserver):
        await sent.wait()
    await tcpserver.join()


async def test_the_server_aborts_the_connection(tcpserver):
    """There is no reset on a unix socket: the client gets EOF, and cannot send."""
    tcpserver.expect_connect()
    tcpserver.send_reset()
    async with await connect(tcpserver) as client:
        assert await receive_all(client) == b""
        with pytest.raises(anyio.BrokenResourceError):
            await client.send(b"x")
    await tcpserver.join()


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_client_that_waits_is_woken(pytester, runner):
    """The test fails with the reason of the server, and what the client raised is one line."""
    source = """
    @pytest.mark.tcpserver(path=True)
    async def test_it(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        async with await anyio.connect_unix(tcpserver.path) as client:
            await client.send(b"Goodbye")
            await client.receive()
    """
    result = run(pytester, runner, source).others["test_it"]
    assert result.line == "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'"
    assert result.at == "await client.receive()"
    assert "Then the client raised anyio.EndOfStream" in result.text


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_clients_with_asyncio_streams(pytester, runner):
    """What they do with them is not judged: a client of a unix socket has no address."""
    source = """
    @pytest.mark.tcpserver(path=True, check_streams=True)
    async def test_it(tcpserver):
        tcpserver.expect_connect()
        tcpserver.send_bytes(b"x")
        tcpserver.expect_disconnect()
        if asyncio._get_running_loop() is not None:
            reader, writer = await asyncio.open_unix_connection(tcpserver.path)
            assert await reader.read(1) == b"x"
            writer.close()
        else:
            async with await anyio.connect_unix(tcpserver.path) as client:
                await client.receive()
        await tcpserver.join()
    """
    assert run(pytester, runner, source).passed == ["test_it"]


# The path


async def test_where_it_listens(tcpserver_factory, tmp_path):
    """On the path that it was given; the path is its name."""
    server = await tcpserver_factory(path=tmp_path / "s")
    assert server.path == str(tmp_path / "s")
    assert stat.S_ISSOCK(os.stat(server.path).st_mode)
    assert server.url("unix") == f"unix://{tmp_path}/s"
    assert repr(server) == f"<TcpServer {tmp_path}/s>"
    await tcpserver_factory.stop()
    assert list(tmp_path.iterdir()) == []


async def test_a_path_is_made(tcpserver_factory):
    """It is short, and its directory goes with it."""
    one, two = await tcpserver_factory(path=True), await tcpserver_factory(path=True)
    assert one.path != two.path
    assert len(one.path) < 100
    await tcpserver_factory.stop()
    assert not Path(one.path).parent.exists()
    assert not Path(two.path).parent.exists()


async def test_a_relative_path(tcpserver_factory, tmp_path, monkeypatch):
    """It is where it was, wherever the test goes."""
    monkeypatch.chdir(tmp_path)
    server = await tcpserver_factory(path="s")
    assert server.path == str(tmp_path / "s")
    monkeypatch.chdir("/")
    await tcpserver_factory.stop()
    assert list(tmp_path.iterdir()) == []


async def test_the_test_removes_the_socket(tcpserver_factory, tmp_path):
    """Then there is nothing to remove."""
    server = await tcpserver_factory(path=tmp_path / "s")
    os.unlink(server.path)
    await tcpserver_factory.stop()


async def test_what_is_there_already_is_left_alone(tcpserver_factory, tmp_path):
    """It may be another server."""
    (tmp_path / "s").write_text("mine")
    with pytest.raises(
        OSError,
        match=r"cannot listen on .*/s: .* \(remove what is there, or let path=True find a path\)$",
    ) as caught:
        await tcpserver_factory(path=tmp_path / "s")
    assert caught.value.errno == errno.EADDRINUSE
    assert (tmp_path / "s").read_text() == "mine"


async def test_a_path_that_is_too_long(tcpserver_factory, tmp_path):
    """The kernel has room for some hundred bytes."""
    with pytest.raises(OSError, match=r"cannot listen on .*x: AF_UNIX path too long$") as caught:
        await tcpserver_factory(path=tmp_path / ("x" * 120))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_a_platform_without_unix_sockets(monkeypatch):
    """It says so."""
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(OSError, match=r"cannot listen on /tmp/s: no unix sockets here$"):
        listen_at(None, 0, "/tmp/s")


@pytest.mark.parametrize("end", ["s", "~"])
def test_the_name_of_a_socket_that_is_held(tmp_path, end):
    """Its own, whatever it ends with."""
    [listener], endpoint = listen_at(None, 0, str(tmp_path / end))
    with listener, hold(listener, endpoint.path):
        assert [each.name for each in tmp_path.iterdir()] == [end]


@pytest.mark.parametrize("name", ["host", "port", "service_port", "address"])
async def test_what_only_a_port_has(tcpserver, name):
    """The sentence says why there is none."""
    with pytest.raises(ScriptError) as caught:
        getattr(tcpserver, name)
    assert str(caught.value) == (f"{name} of a server that listens on a unix socket: it has a path")


async def test_a_client_has_no_address(tcpserver):
    """Nor when it has connected."""
    connection = tcpserver.expect_connect()
    async with await connect(tcpserver):
        await tcpserver.join()
        with pytest.raises(ScriptError, match=r"^client_address of a server that listens on a un"):
            _ = connection.client_address


async def test_what_only_a_unix_socket_has(tcpserver_factory):
    """A server on a port has no path."""
    server = await tcpserver_factory(port=0)
    with pytest.raises(ScriptError) as caught:
        _ = server.path
    assert str(caught.value) == ("path of a server that listens on a port: give it the option path")
