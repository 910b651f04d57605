"""Clients that block the event loop of their server, and wait for it: it never comes."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import os
import select
import socket
import ssl
import struct
import sys
import threading

import anyio
import pytest
from clients import connect
from runs import EVERY_RUNNER, RUNNERS, run

from pytest_tcpclient import (
    ScriptError,
    ScriptMismatch,
    open_blocking_tcp_server,
    open_tcp_server,
)
from pytest_tcpclient._blocked_loop import _HOOKS, LoopWatcher

pytestmark = pytest.mark.anyio

needs_certificates = pytest.mark.skipif(
    importlib.util.find_spec("trustme") is None, reason="trustme is not installed"
)

needs_unix_sockets = pytest.mark.skipif(sys.platform == "win32", reason="there are no unix sockets")

LINE = "The client blocks the event loop in which the server runs, and waits for it."

#: What the error of a client gets that has waited for so long as it wanted.
NOTE = (
    "The client waited for the server {} in the thread of the event loop in which that runs, and "
    "which could do nothing meanwhile: use `blocking_tcpserver`, or call the client in a thread "
    "(`await anyio.to_thread.run_sync(...)`)."
)

OBSERVED = [(socket.socket, "recv"), (socket.socket, "recv_into"), (ssl.SSLSocket, "do_handshake")]


def classes():
    """What stands in the classes now, of what is observed."""
    return [vars(owner).get(name) for owner, name in OBSERVED]


ORIGINALS = classes()


def connected(server):
    """A client that blocks."""
    if server._endpoint.path:
        client = socket.socket(socket.AF_UNIX)
        client.connect(server.path)
        return client
    return socket.create_connection(server.address)


def greeted(server):
    """A server that answers."""
    server.expect_connect()
    server.expect_bytes(b"Hello")
    server.send_bytes(b"World")
    server.expect_disconnect()


def first_line(error):
    """The first line of a failure."""
    return str(error.value).partition("\n")[0]


# Clients that would wait for ever


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_the_test_fails_at_once(pytester, runner):
    """Once, in its call phase, at the line of the client, with all that there is to know."""
    source = """
        def ask(server):
            with socket.create_connection(server.address) as client:
                client.sendall(b"Hello")
                return client.recv(5)

        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            tcpserver.send_bytes(b"World")
            assert ask(tcpserver) == b"World"
    """
    [result] = run(pytester, runner, source).others.values()
    assert (result.when, result.outcome) == ("call", "failed")
    assert result.line == f"Failed: {LINE}"
    assert result.at == "return client.recv(5)"
    assert result.seconds < 3
    lines = [line.removeprefix("E").strip() for line in result.text.splitlines()]
    at = lines.index(
        "Call it in a thread (`await anyio.to_thread.run_sync(...)`), or use `blocking_tcpserver`."
    )
    assert lines[at + 2].startswith("Script of connection 1 to 127.0.0.1:")
    states = [line.split("  ")[0] for line in lines[at + 3 : at + 6]]
    assert states == ["> failed", "not reached", "not reached"]
    assert "_blocked_loop" not in result.text


async def fails(server, client):
    """See that a client is told, and the server has failed."""
    with pytest.raises(ScriptMismatch) as caught:
        client()
    assert first_line(caught) == LINE
    with pytest.raises(ScriptMismatch) as joined:
        await server.join()
    assert first_line(joined) == LINE


@pytest.mark.parametrize(
    "receive",
    [
        lambda client: client.recv(5),
        lambda client: client.recv_into(bytearray(5)),
        lambda client: client.makefile("rb").readline(),
    ],
    ids=["recv", "recv_into", "a file"],
)
async def test_a_client_that_waits(tcpserver, receive):
    """However it receives."""
    greeted(tcpserver)
    with connected(tcpserver) as client:
        client.sendall(b"Hello")
        await fails(tcpserver, lambda: receive(client))


@needs_unix_sockets
@pytest.mark.tcpserver(path=True)
async def test_a_client_of_a_unix_socket(tcpserver):
    """It is known by the path."""
    greeted(tcpserver)
    with connected(tcpserver) as client:
        await fails(tcpserver, lambda: client.recv(5))


@pytest.mark.tcpserver(host="0.0.0.0")
async def test_a_client_of_a_server_that_listens_everywhere(tcpserver):
    """It is known by the port."""
    greeted(tcpserver)
    with socket.create_connection(("127.0.0.1", tcpserver.port)) as client:
        await fails(tcpserver, lambda: client.recv(5))


async def test_a_client_with_much_patience(tcpserver):
    """It would wait longer than anybody wants to."""
    greeted(tcpserver)
    with connected(tcpserver) as client:
        client.settimeout(60)
        await fails(tcpserver, lambda: client.recv(5))


@pytest.mark.parametrize("patience", [None, 60])
@needs_certificates
@pytest.mark.tcpserver(tls=True)
async def test_a_client_that_shakes_hands(tcpserver, patience):
    """With TLS the server has to answer before anything else."""
    greeted(tcpserver)
    context = tcpserver.client_ssl_context()
    with connected(tcpserver) as client:
        client.settimeout(patience)
        await fails(tcpserver, lambda: context.wrap_socket(client, server_hostname="localhost"))


async def test_a_client_that_waits_where_the_server_cannot_be(tcpserver):
    """Nothing has been declared for it, or all of it is done."""
    with connected(tcpserver) as client:
        await fails(tcpserver, lambda: client.recv(5))
    assert tcpserver.failure.step is None


async def test_what_is_wrong_already_goes_first(tcpserver):
    """The client is told of that, which is why it waits."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    with connected(tcpserver) as client:
        client.sendall(b"Goodbye")
        with anyio.fail_after(30):
            while tcpserver.failure is None:
                await anyio.lowlevel.checkpoint()
        line = r"^Expected to read b'Hello' but actually read b'Goodb'"
        with pytest.raises(ScriptMismatch, match=line):
            client.recv(5)
        with pytest.raises(ScriptMismatch, match=line):
            await tcpserver.join()


SURVIVES = """
    async def test_{name}(tcpserver):
        tcpserver.expect_connect()
        tcpserver.send_bytes(b"World")
        with socket.create_connection(tcpserver.address) as client:
            try:
                client.recv(5)
            except Exception as error:
                {then}
"""


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("pass", ""),
        ("raise OSError('no answer') from error", "Then the client raised OSError: no answer"),
        ("raise OSError('no answer') from None", "Then the client raised OSError: no answer"),
    ],
)
@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_client_may_make_of_it_what_it_likes(pytester, runner, then, told):
    """The test fails all the same, and says what the client has made of it."""
    [result] = run(pytester, runner, SURVIVES.format(name="it", then=then)).others.values()
    assert (result.when, result.line) == ("call", f"Failed: {LINE}")
    assert told in result.text


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_client_in_a_fixture(pytester, runner):
    """What fails there is an error, with the same first line. (pytest-trio calls it a failure.)"""
    source = """
        @fixture
        async def answer(tcpserver):
            tcpserver.expect_connect()
            tcpserver.send_bytes(b"World")
            with socket.create_connection(tcpserver.address) as client:
                return client.recv(5)

        async def test_it(answer):
            pass
    """
    [result] = run(pytester, runner, source).others.values()
    assert result.when == ("call" if runner.mark == "trio" else "setup")
    assert result.line == f"Failed: {LINE}"


@pytest.mark.parametrize("where", ["script", "server"])
async def test_a_server_of_a_wider_scope(where):
    """It is the script that fails which is played at its address then."""
    async with open_tcp_server() as server:
        if where == "server":
            server.expect_connect()
            with connected(server) as client, pytest.raises(ScriptMismatch) as caught:
                client.recv(5)
            with pytest.raises(ScriptMismatch):
                await server.join()
        else:
            with pytest.raises(ScriptMismatch) as caught:
                async with server.script() as script:
                    script.expect_connect()
                    with connected(server) as client:
                        client.recv(5)
            assert script.failure is not None
            assert server.failure is None
    assert first_line(caught) == LINE


def test_an_event_loop_that_does_not_run():
    """A sync test with an async server of a wider scope is told what it should use."""
    loop = asyncio.new_event_loop()
    block = open_tcp_server(name="blue")
    server = loop.run_until_complete(block.__aenter__())
    server.expect_connect()
    with connected(server) as client:
        with pytest.raises(ScriptError) as caught:
            client.recv(5)
        client.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.recv(5)
    loop.run_until_complete(server.join())  # It has not failed by that.
    loop.run_until_complete(block.__aexit__(None, None, None))
    loop.close()
    assert str(caught.value) == (
        "a client waits for the server blue in the thread of its event loop, which is not running: "
        "for sync tests and fixtures there are `blocking_tcpserver` and "
        "`open_blocking_tcp_server()`"
    )


@pytest.mark.parametrize("runner", [RUNNERS["anyio on asyncio"], RUNNERS["anyio on uvloop"]])
def test_a_client_in_a_callback(pytester, runner):
    """It is no task. The body waits for it, and is ended."""
    if runner.needs:
        pytest.importorskip(runner.needs)
    source = """
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.send_bytes(b"World")
            raised = []

            def client():
                with socket.create_connection(tcpserver.address) as client:
                    try:
                        client.recv(5)
                    except ScriptMismatch as error:
                        raised.append(error)

            asyncio.get_running_loop().call_soon(client)
            try:
                await anyio.sleep(60)
            finally:
                assert len(raised) == 1
    """
    [result] = run(pytester, runner, source).others.values()
    assert (result.when, result.line) == ("call", f"Failed: {LINE}")
    assert result.at == "await anyio.sleep(60)"
    assert result.seconds < 3
    assert "Then the client waited, and was cancelled after 0.2 s." in result.text


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_client_between_two_scripts(pytester, runner):
    """The server that plays them answers nobody then, and goes on."""
    if runner.mark == "trio":
        pytest.skip("its fixtures are not of a wider scope")
    scope = "module" if runner.mark == "anyio" else "function"
    source = f"""
        from pytest_tcpclient import open_tcp_server

        async def ask(server):
            with socket.create_connection(server.address) as client:
                return client.recv(5)

        async def talk(server):
            async with server.script() as script:
                script.expect_connect()
                script.send_bytes(b"World")
                async with await connect(server) as client:
                    assert await client.receive() == b"World"

        @fixture(scope={scope!r})
        async def wide():
            async with open_tcp_server(name="blue") as server:
                await talk(server)
                yield server

        async def test_one(wide):
            await ask(wide)

        async def test_other(wide):
            await talk(wide)
    """
    if scope == "module":
        source += f"""
        @pytest.fixture(scope="module")
        def anyio_backend():
            return {runner.backend!r}
        """
    ran = run(pytester, runner, source)
    assert ran.passed == ["test_other"]
    result = ran.others["test_one"]
    assert (result.when, result.line) == (
        "call",
        "pytest_tcpclient.ScriptError: a client waits for the server blue, which plays scripts and "
        "is between two of them: connect inside of `async with server.script()`",
    )


@pytest.mark.parametrize("path", [None, pytest.param(True, marks=needs_unix_sockets)])
async def test_a_client_of_a_server_that_listens_again(tcpserver_factory, path):
    """A unix socket has another name then."""
    options = {} if path is None else {"path": path}
    server = await tcpserver_factory(**options)
    server.stop_listening()
    server.resume_listening()
    await server.join()
    server.expect_connect()
    server.send_bytes(b"World", b"again")
    with connected(server) as client:
        await fails(server, lambda: client.recv(5))


async def test_the_second_of_two_connections(tcpserver):
    """It is that whose client waits which has failed."""
    one = tcpserver.expect_connect()
    one.expect_bytes(b"for one")
    two = tcpserver.expect_connect()
    two.expect_bytes(b"for two")
    async with await connect(tcpserver):
        await one.wait()
        with connected(tcpserver) as client:
            await two.wait()
            await fails(tcpserver, lambda: client.recv(5))
    assert tcpserver.failure.connection == 2
    assert tcpserver.failure.step.arguments == (b"for two",)


@pytest.mark.parametrize("mapped", [False, True])
async def test_a_client_of_a_socket_for_both_versions_of_ip(tcpserver, mapped):
    """It calls the addresses otherwise than the server does."""
    address = "::ffff:127.0.0.1" if mapped else "127.0.0.1"
    family = socket.AF_INET6 if mapped else socket.AF_INET
    for name in (b"one", b"two"):
        connection = tcpserver.expect_connect()
        connection.expect_bytes(name)
    with socket.socket(family) as one, socket.socket(family) as two:
        for client, connection in zip((one, two), tcpserver.connections, strict=True):
            client.connect((address, tcpserver.port))
            await connection.wait()
        await fails(tcpserver, lambda: two.recv(5))
    assert tcpserver.failure.connection == 2


@needs_unix_sockets
@pytest.mark.tcpserver(path=True)
async def test_two_clients_of_a_unix_socket(tcpserver):
    """They have no names: where it cannot be known which one waits, none is said to."""
    for name in (b"one", b"two"):
        tcpserver.expect_connect().expect_bytes(name)
    one, two = tcpserver.connections
    with connected(tcpserver), connected(tcpserver) as client:
        await one.wait()
        await two.wait()
        await fails(tcpserver, lambda: client.recv(5))
    assert tcpserver.failure.step is None


async def test_a_connection_that_nobody_expects(tcpserver):
    """The step of no other one has failed by that."""
    one = tcpserver.expect_connect()
    one.expect_bytes(b"for one", timeout=60)
    async with await connect(tcpserver):
        await one.wait()
        with connected(tcpserver) as client:
            await fails(tcpserver, lambda: client.recv(5))
    assert tcpserver.failure.step is None


async def test_a_connection_that_has_not_been_accepted(tcpserver):
    """It will be the next one."""
    one = tcpserver.expect_connect()
    tcpserver.expect_connect()
    async with await connect(tcpserver):
        await one.wait()
        with connected(tcpserver) as client:
            await fails(tcpserver, lambda: client.recv(5))
    assert tcpserver.failure.connection == 2


async def test_a_connection_that_has_not_said_whose_it_is(tcpserver):
    """It is that which waits for one."""
    tcpserver.expect_connect(first=b"Hello")
    with connected(tcpserver) as client:
        with anyio.fail_after(30):
            while not tcpserver._reception.unclaimed:
                await anyio.lowlevel.checkpoint()
        await fails(tcpserver, lambda: client.recv(5))
    assert tcpserver.failure.connection == 1


async def test_a_failure_that_was_dealt_with(tcpserver):
    """What comes after it is another one. The test fails with it if it does not catch it."""
    tcpserver.expect_connect(timeout=0)
    with pytest.raises(ScriptMismatch, match=r"^Timed out waiting for client to connect\."):
        await tcpserver.join()
    with connected(tcpserver) as client, pytest.raises(ScriptMismatch) as caught:
        client.recv(5)
    assert first_line(caught) == LINE
    tcpserver.referee.settle(caught.value.failure)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_failure_of_an_earlier_test(pytester, backend):
    """Its server is of no use any more, and says so."""
    source = f"""
        from pytest_tcpclient import open_tcp_server

        @pytest.fixture(scope="module")
        def anyio_backend():
            return {backend!r}

        @pytest.fixture(scope="module")
        async def wide():
            async with open_tcp_server(name="blue") as server:
                yield server

        async def test_one(wide):
            wide.expect_connect(timeout=0)
            await wide.join()

        async def test_other(wide):
            with socket.create_connection(wide.address) as client:
                client.recv(5)
    """
    ran = run(pytester, RUNNERS[f"anyio on {backend}"], source)
    assert ran.others["test_other"].line == (
        "pytest_tcpclient.ScriptError: a client waits for the server blue that has failed in an "
        "earlier test: give each test a script of its own, `server.script()`"
    )


def test_an_event_loop_that_has_moved():
    """It was made here, and runs in another thread: so it goes on."""
    loop = asyncio.new_event_loop()
    block = open_tcp_server()
    server = loop.run_until_complete(block.__aenter__())
    server.expect_connect()
    server.wait(0.3)  # Longer than is looked for what has come.
    server.send_bytes(b"World")
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with connected(server) as client:
        client.settimeout(0.01)
        with pytest.raises(TimeoutError) as caught:
            client.recv(5)
        assert not hasattr(caught.value, "__notes__")
        client.settimeout(None)
        for received in (b"Wor", b"ld"):
            assert client.recv(len(received), socket.MSG_WAITALL) == received
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(block.__aexit__(None, None, None))
    loop.close()


# Clients that wait for as long as they want


async def test_a_client_with_little_patience(tcpserver, monkeypatch):
    """That may be meant. Its error says why nothing has come, and is not late."""
    monkeypatch.delattr("pytest_tcpclient._blocked_loop._has_come")  # It takes its time.
    tcpserver.expect_connect()
    with connected(tcpserver) as client:
        client.settimeout(0.01)
        for _ in range(2):
            with pytest.raises(TimeoutError) as caught:
                client.recv(5)
            assert caught.value.__notes__ == [NOTE.format(tcpserver.name)]
        with pytest.raises(TimeoutError) as caught:
            client.recv_into(bytearray(5))
        assert caught.value.__notes__ == [NOTE.format(tcpserver.name)]
    await tcpserver.join()


@pytest.mark.parametrize(("limit", "meant"), [(0.1, 3.0), (3.0, 3.0), (20.0, 20.0)])
def test_which_patience_is_little(limit, meant):
    """That of a few seconds, or of a server that is patient itself."""
    assert LoopWatcher("blue", set(), None, limit, lambda client: None).limit == meant


@needs_certificates
@pytest.mark.tcpserver(tls=True)
async def test_a_handshake_with_little_patience(tcpserver):
    """The same."""
    tcpserver.expect_connect(handshake_fails=True)
    context = tcpserver.client_ssl_context()
    with connected(tcpserver) as client:
        client.settimeout(0.01)
        with pytest.raises(TimeoutError) as caught:
            context.wrap_socket(client, server_hostname="localhost")
    assert caught.value.__notes__ == [NOTE.format(tcpserver.name)]
    await tcpserver.join()


# Clients that need not wait


async def until_readable(client):
    """Let the server go on until something has come."""
    with anyio.fail_after(30):
        while not select.select([client], [], [], 0)[0]:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("patience", [None, 0.01, 60])
async def test_what_has_come_is_received(tcpserver, patience):
    """Data, and the end; whether the client has a timeout or not."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello")
    tcpserver.disconnect()
    with connected(tcpserver) as client:
        client.settimeout(patience)
        await tcpserver.join()
        await until_readable(client)
        assert client.recv(2) == b"He"
        buffer = bytearray(5)
        assert client.recv_into(buffer) == 3
        assert buffer[:3] == b"llo"
        assert client.recv(5) == b""
        assert client.recv_into(buffer, nbytes=5, flags=socket.MSG_PEEK) == 0


@pytest.mark.skipif(not hasattr(select, "poll"), reason="there is no other way")
async def test_what_has_come_is_received_where_there_is_no_poll(tcpserver, monkeypatch):
    """On Windows."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello")
    with connected(tcpserver) as client:
        await tcpserver.join()
        await until_readable(client)
        monkeypatch.delattr(select, "poll")
        assert client.recv(5) == b"Hello"
        with pytest.raises(ScriptMismatch):
            client.recv(5)
        monkeypatch.undo()
    with pytest.raises(ScriptMismatch):
        await tcpserver.join()


async def test_what_does_not_wait_is_none_of_our_business(tcpserver):
    """Whether it says so of the socket or of the call, or wants nothing."""
    tcpserver.expect_connect()
    with connected(tcpserver) as client:
        await tcpserver.join()
        with pytest.raises(BlockingIOError):
            client.recv(5, socket.MSG_DONTWAIT)
        with pytest.raises(BlockingIOError):
            client.recv_into(bytearray(5), 5, socket.MSG_DONTWAIT)
        with pytest.raises(OSError, match="Invalid argument"):
            client.recv(1, socket.MSG_OOB)
        assert client.recv(0) == b""
        assert client.recv_into(bytearray()) == 0
        with client.makefile("rb", buffering=0) as file:
            assert file.readinto(bytearray()) == 0
        os.set_blocking(client.fileno(), False)  # As it is for whoever shares it with asyncio.
        with pytest.raises(BlockingIOError):
            client.recv(5)
        os.set_blocking(client.fileno(), True)
        limit = struct.pack("ll", 0, 10_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        with pytest.raises(BlockingIOError):
            client.recv(5)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(5)
        with pytest.raises(BlockingIOError):
            client.recv_into(bytearray(5))
    with socket.socket() as lonely, pytest.raises(OSError) as caught:  # noqa: PT011
        lonely.recv(5)
    assert caught.value.errno == errno.ENOTCONN


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((-1,), ValueError),
        (("5",), TypeError),
        ((1.5,), TypeError),
        ((), TypeError),
        ((5, "x"), TypeError),
        ((5, 0, 0), TypeError),
    ],
)
async def test_wrong_arguments(tcpserver, arguments, error):
    """What is wrong with them the socket says itself, and the server goes on."""
    tcpserver.expect_connect()
    with connected(tcpserver) as client:
        with pytest.raises(error):
            client.recv(*arguments)
        for into in (5, b"const", None):
            with pytest.raises((TypeError, ValueError, BufferError)):
                client.recv_into(into)
        for size in (-1, 6, "x"):
            with pytest.raises((TypeError, ValueError)):
                client.recv_into(bytearray(5), size)
        with pytest.raises(TypeError):
            client.recv_into(bytearray(5), colour="red")
        with pytest.raises(TypeError):
            client.recv(bufsize=5)
    await tcpserver.join()


async def test_a_client_in_a_thread(tcpserver):
    """There it may wait: the event loop goes on."""
    greeted(tcpserver)

    def client():
        with connected(tcpserver) as client:
            client.sendall(b"Hello")
            return client.recv(5)

    assert await anyio.to_thread.run_sync(client) == b"World"
    await tcpserver.join()


@needs_certificates
@pytest.mark.tcpserver(tls=True)
async def test_a_handshake_in_a_thread(tcpserver):
    """The same."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"World")
    tcpserver.expect_disconnect(clean=False)
    context = tcpserver.client_ssl_context()

    def client():
        with (
            connected(tcpserver) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"Hello")
            return client.recv(5)

    assert await anyio.to_thread.run_sync(client) == b"World"


@needs_certificates
@pytest.mark.tcpserver(tls=True)
async def test_a_handshake_that_does_not_wait(tcpserver):
    """It is for the client to go on with it."""
    tcpserver.expect_connect(handshake_fails=True)
    context = tcpserver.client_ssl_context()
    client = context.wrap_socket(
        connected(tcpserver), server_hostname="localhost", do_handshake_on_connect=False
    )
    client.setblocking(False)
    with client, pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    await tcpserver.join()


@needs_certificates
@pytest.mark.tcpserver(tls=True)
async def test_a_handshake_that_has_been_done(tcpserver):
    """In a thread, say: there is nothing to wait for."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(clean=False)
    context = tcpserver.client_ssl_context()

    def client():
        return context.wrap_socket(connected(tcpserver), server_hostname="localhost")

    with await anyio.to_thread.run_sync(client) as client:
        client.do_handshake()
    await tcpserver.join()


async def test_sockets_of_other_kinds(tcpserver):
    """A datagram socket may have the same port, an IPv6 one the same, too, and a pair none."""
    port = tcpserver.port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port))
            client.settimeout(0.01)
            with pytest.raises((TimeoutError, ConnectionRefusedError)) as caught:
                client.recv(5)
            assert not hasattr(caught.value, "__notes__")
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(0.01)
        with pytest.raises(TimeoutError) as caught:
            one.recv(5)
        assert not hasattr(caught.value, "__notes__")


class Strange(socket.socket):
    """It has an idea of its own of where it is, and where it is connected to."""

    def getpeername(self):
        raise ZeroDivisionError

    def getsockname(self):
        raise ZeroDivisionError


async def test_a_subclass_of_sockets(tcpserver):
    """What it says of itself does not matter."""
    tcpserver.expect_connect()
    with Strange() as client:
        client.connect(tcpserver.address)
        await fails(tcpserver, lambda: client.recv(5))


async def test_a_client_of_somebody_else(tcpserver):
    """A server in a thread, which answers. (Ours is there, so that its hooks are.)"""
    assert tcpserver.failure is None
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(b"Hello")

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(listener.getsockname()) as client:
            assert client.recv(2) == b"He"
            assert client.recv_into(bytearray(3)) == 3
        thread.join()


async def test_a_blocking_server_of_an_async_test():
    """It is there for clients that block the event loop: it has one of its own."""
    with open_blocking_tcp_server() as server:
        server.expect_connect()
        server.send_bytes(b"Hello")
        server.expect_disconnect()
        with socket.create_connection(server.address) as client:
            assert client.recv(5) == b"Hello"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork()")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_a_client_in_a_process_that_was_forked(tcpserver):
    """It has the same threads, and not the event loop of the server."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.wait(0.3)  # Longer than is looked for what has come.
    tcpserver.send_bytes(b"World")
    tcpserver.expect_disconnect()
    child = os.fork()
    if not child:
        status = 1
        try:
            with connected(tcpserver) as client:
                client.sendall(b"Hello")
                status = int(client.recv(5) != b"World")
        finally:
            os._exit(status)
    try:
        await tcpserver.join()
    finally:
        _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
    assert status == 0


# The hooks


async def test_the_last_server_takes_the_hooks_with_it(tcpserver_factory):
    """They look like what they observe, and leave no trace."""
    servers = [await tcpserver_factory() for _ in range(2)]
    for (owner, name), original, hook in zip(OBSERVED, ORIGINALS, classes(), strict=True):
        assert hook not in (None, original)
        assert hook.__name__ == name
        assert hook.__wrapped__ is (original or getattr(owner.__mro__[1], name))
    await servers[0].close()
    assert None not in classes()
    await servers[1].close()
    assert classes() == ORIGINALS
    assert _HOOKS.watchers == []


async def test_a_client_of_a_server_that_is_gone(tcpserver_factory):
    """It is nobody's any more, and finds that out itself."""
    server = await tcpserver_factory(strict=False)
    other = await tcpserver_factory()
    assert other.failure is None
    with connected(server) as client:
        await server.close()
        with pytest.raises(ConnectionResetError):
            client.recv(5)


async def test_a_connection_that_an_async_client_has_made(tcpserver):
    """What it does with its own socket is seen as well."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await tcpserver.join()
        raw = client.extra(anyio.abc.SocketAttribute.raw_socket)
        with socket.socket(fileno=os.dup(raw.fileno())) as blocking:
            blocking.settimeout(None)
            with pytest.raises(ScriptMismatch):
                blocking.recv(5)
            blocking.setblocking(False)
        with pytest.raises(ScriptMismatch):
            await tcpserver.join()
