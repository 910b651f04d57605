"""Blocking servers: for sync tests, from any thread, with the vocabulary of the others."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import anyio
import pytest
from anyio import EndOfStream
from runs import DEFAULTS, INI, RUNNERS, run, without_slowness

from pytest_tcpclient import (
    BlockingTcpServer,
    ScriptError,
    ScriptMismatch,
    open_blocking_tcp_server,
    open_tcp_server,
)
from pytest_tcpclient._bridge import Bridges
from pytest_tcpclient._surroundings import current

ANYIO = RUNNERS["anyio on asyncio"]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request):
    """What runs the server."""
    return request.param


@pytest.fixture
def server(backend):
    """A server of that backend."""
    with open_blocking_tcp_server(backend=backend, timeout=10) as server:
        yield server


def connect(server):
    """A blocking client, connected."""
    client = socket.create_connection(server.address)
    client.settimeout(10)
    return client


def receive_all(client):
    """Everything until EOF."""
    return b"".join(iter(lambda: client.recv(1000), b""))


def is_refused(address):
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(address) == errno.ECONNREFUSED


def first_line(error):
    """The first line of a failure."""
    return str(error.value).partition("\n")[0]


# The vocabulary


def test_a_conversation(server):
    """It reads as in an async test, and nothing is awaited."""
    connection = server.expect_connect()
    greeting = server.expect_bytes(b"Hello")
    sent = server.send_bytes(b"World")
    server.expect_disconnect()
    assert not greeting.done
    with connect(server) as client:
        client.sendall(b"Hello")
        assert client.recv(5) == b"World"
        assert greeting.result() == b"Hello"
        assert connection.client_address == client.getsockname()
    server.join()
    assert (greeting.done, greeting.received, sent.received) == (True, b"Hello", None)
    assert server.connections == [connection]
    assert connection.done
    assert not connection.skipped


def test_shapes_and_functions(server):
    """What stands in a script is called in the thread of the server."""
    threads = []

    def reply(line):
        threads.append(threading.current_thread())
        return b"Welcome, " + line

    server.expect_connect()
    server.expect_line()
    server.send_line(reply)
    server.expect_frame(lambda payload: payload.startswith(b"{"))
    server.send_frame(b"{}")
    server.expect_until(b";", b"SELECT 1;")
    server.expect_count(3, b"abc")
    with connect(server) as client:
        client.sendall(b"alice\n\0\0\0\2{}SELECT 1;abc")
        server.join()
        assert client.recv(100) == b"Welcome, alice\n\0\0\0\2{}"
    assert threading.current_thread() not in threads


def test_background_rules(server):
    """The rule counts in the other thread."""
    rule = server.whenever(b"PING\n", b"PONG\n")
    connection = server.expect_connect()
    other = connection.whenever(b"TICK\n")
    server.expect_line(b"BYE")
    with connect(server) as client:
        client.sendall(b"PING\nTICK\nPING\nBYE\n")
        server.join()
        assert client.recv(100) == b"PONG\nPONG\n"
    assert (rule.count, other.count) == (2, 1)


def test_a_function_plays_the_server(server):
    """A plain one gets a blocking stream, an async one that of the event loop."""

    def plain(stream):
        data = stream.receive()
        stream.send(data.upper())
        return data

    async def in_the_loop(stream):
        await stream.send(b"bye")
        await stream.send_eof()
        with pytest.raises(EndOfStream):
            await stream.receive()

    server.expect_connect()
    received = server.run(plain)
    server.run(in_the_loop)
    with connect(server) as client:
        client.sendall(b"hello")
        assert receive_all(client) == b"HELLObye"
    server.join()
    assert received.received == b"hello"


def test_faults(server):
    """Reset, half-close, refusal: each is a step."""
    server.expect_connect()
    server.send_reset()
    with connect(server) as client, pytest.raises(ConnectionResetError):
        client.recv(1)
    server.join()
    server.stop_listening().result()
    assert is_refused(server.address)
    server.wait(0)
    server.resume_listening().result()
    second = server.expect_connect()
    second.expect_eof()
    second.send_bytes(b"x", b"y")
    second.disconnect()
    with connect(server) as client:
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"xy"
    second.join()
    third = server.expect_connect()
    server.expect_reset()
    with connect(server) as client:
        assert third.result() is third
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.expect_no_connection(0)
    server.join()


def test_parallel_connections(server):
    """Each has steps of its own."""
    alice = server.expect_connect(first=b"A")
    bob = server.expect_connect(first=b"B")
    alice.expect_bytes(b"A")
    alice.send_bytes(b"a")
    bob.expect_bytes(b"B")
    bob.wait(0)
    bob.send_bytes(b"b")
    with connect(server) as first, connect(server) as second:
        first.sendall(b"B")
        second.sendall(b"A")
        assert (first.recv(1), second.recv(1)) == (b"b", b"a")
        server.join()
    assert (alice.number, bob.number) == (1, 2)
    assert repr(bob) == f"<Connection 2 of <TcpServer {server.name}>>"


def test_tls(backend):
    """The handshake is done in the other thread."""
    pytest.importorskip("trustme")
    with open_blocking_tcp_server(tls=True, backend=backend) as server:
        connection = server.expect_connect()
        server.expect_bytes(b"Hello")
        server.expect_disconnect(clean=False)
        context = server.client_ssl_context()
        with connect(server) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"Hello")
        server.join()
        assert connection.ssl_object is not None
        assert server.connections[0].ssl_object.version() == "TLSv1.3"


def test_a_unix_socket(backend, tmp_path):
    """Where it listens is known in the thread of the test."""
    with open_blocking_tcp_server(path=tmp_path / "s", backend=backend) as server:
        assert server.path == str(tmp_path / "s")
        assert repr(server) == f"<BlockingTcpServer {server.path}>"
        server.expect_connect()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(server.path)
            server.join()


def test_framing_and_newline(backend):
    """Options are those of any server."""
    with open_blocking_tcp_server(newline=b"\r\n", backend=backend) as server:
        connection = server.expect_connect()
        server.send_line(b"x")
        connection.send_line(b"y")
        connection.send_frame(b"z")
        server.disconnect()
        with connect(server) as client:
            assert receive_all(client) == b"x\r\ny\r\n\0\0\0\1z"


def test_an_optional_step(server):
    """It is skipped, in sync code as well."""
    connection = server.expect_connect(optional=True, timeout=0)
    server.join()
    assert connection.skipped
    with pytest.raises(ScriptError, match=r"^expect_connect\(\) was optional, and was skipped"):
        connection.result()
    with pytest.raises(ScriptError, match=r"^nobody has connected to <Connection 1 of "):
        _ = connection.client_address


def test_the_transcript_is_a_snapshot(server):
    """It does not change while it is looked at."""
    server.expect_connect()
    before = server.transcript
    with connect(server) as client:
        client.sendall(b"x")
        server.expect_bytes(b"x").result()
        after = server.transcript
    assert (len(before), len(after)) == (0, 2)
    assert [event.data for event in after] == [b"", b"x"]


# Failures


def test_join_raises(server):
    """A failure that is caught has been dealt with."""
    server.expect_connect(timeout=0.05)
    with pytest.raises(ScriptMismatch) as caught:
        server.join()
    assert first_line(caught) == "Timed out waiting for client to connect."
    server.join()


def test_a_handle_raises(server):
    """At the line that waits for it."""
    server.expect_connect()
    handle = server.expect_bytes(b"Bonjour")
    with connect(server) as client:
        client.sendall(b"Goodbye")
        with pytest.raises(ScriptMismatch) as caught:
            handle.result()
    assert first_line(caught) == "Expected to read b'Bonjour' but actually read b'Goodbye'"


def test_a_connection_raises(server):
    """Whichever of its steps has failed."""
    connection = server.expect_connect()
    connection.expect_bytes(b"Bonjour")
    with connect(server) as client:
        client.sendall(b"Goodbye")
        with pytest.raises(ScriptMismatch, match=r"^Expected to read b'Bonjour'"):
            connection.join()


def test_a_block_ends_with_the_failure(backend):
    """What the client raised because of it is one line."""
    block = open_blocking_tcp_server(backend=backend)
    with pytest.raises(ScriptMismatch) as caught, block as server:
        server.expect_connect()
        server.expect_bytes(b"Bonjour")
        with connect(server) as client:
            client.sendall(b"Goodbye")
            client.recv(1)
    assert first_line(caught) == "Expected to read b'Bonjour' but actually read b'Goodbye'"
    assert str(caught.value).endswith(
        f"Then the client raised ConnectionResetError: [Errno {errno.ECONNRESET}] "
        "Connection reset by peer"
    )
    modules = {entry.frame.f_globals["__name__"] for entry in caught.traceback}
    assert modules.isdisjoint({"anyio.from_thread", "concurrent.futures._base"})


def test_an_error_of_the_block_stands(backend):
    """Nothing is waited for."""
    block = open_blocking_tcp_server(backend=backend, timeout=1000)
    with pytest.raises(ZeroDivisionError) as caught, block as server:
        server.expect_connect()
        raise ZeroDivisionError
    [note] = caught.value.__notes__
    assert note.startswith(f"The server {server.name} was at expect_connect() (")


def test_scripts_one_after_the_other(server):
    """Each is a server of its own, in the same place."""
    for _ in range(2):
        with server.script(timeout=5) as script:
            assert isinstance(script, BlockingTcpServer)
            script.expect_connect()
            script.expect_disconnect()
            with connect(server):
                pass
    with pytest.raises(ScriptMismatch) as caught, server.script(timeout=0.05) as script:
        script.expect_connect()
    assert first_line(caught) == "Timed out waiting for client to connect."
    with pytest.raises(TypeError, match=r"^script\(\) of a server that has its port already$"):
        server.script(port=1)


# Mistakes


def test_what_cannot_follow(server):
    """The error is raised at the line, though it was found in the other thread."""
    server.expect_connect()
    server.disconnect()
    with pytest.raises(ScriptError) as caught:
        server.send_bytes(b"x")
    assert str(caught.value) == "send_bytes() cannot follow disconnect() on one connection"
    with connect(server):
        server.join()


def test_a_server_that_is_stopped(backend):
    """It takes no steps."""
    with open_blocking_tcp_server(backend=backend) as server:
        pass
    with pytest.raises(ScriptError, match=r"^expect_connect\(\) on a server that is stopped$"):
        server.expect_connect()
    with pytest.raises(ScriptError, match=r"^whenever\(\) on a server that is stopped$"):
        server.whenever(b"PING", b"PONG")
    assert is_refused(server.address)


def test_what_is_for_async_servers(server):
    """A handle says which of the two it is."""
    handle = server.expect_connect(optional=True, timeout=0)
    server.join()
    waiting = server.wait(0)
    with pytest.raises(ScriptError) as caught:
        waiting.wait().send(None)
    assert str(caught.value) == "wait() on a handle of a blocking server: call result()"
    assert handle.wait(0) is not None  # Of a connection it is a step.


@pytest.mark.anyio
async def test_what_is_for_blocking_servers(anyio_backend):
    """A handle of an async server cannot block."""
    async with open_tcp_server() as server:
        handle = server.wait(0)
        with pytest.raises(ScriptError) as caught:
            handle.result()
        assert str(caught.value) == (
            "result() on a handle of an async server: `await handle.wait()`"
        )


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda server, handle: server.join(), r"join\(\)"),
        (lambda server, handle: handle.result(), r"result\(\)"),
        (lambda server, handle: server.connections[0].join(), r"join\(\)"),
    ],
)
def test_who_waits_in_the_thread_of_the_server(server, call, what):
    """It would wait for itself."""

    def reply():
        call(server, handle)

    server.expect_connect()
    handle = server.wait(0)
    server.send_bytes(reply)
    with connect(server), pytest.raises(ScriptError, match=rf"^{what} in the thread of the serv"):
        server.join()


def test_declarations_in_the_thread_of_the_server(server):
    """A function of the script may add to it."""

    def reply(line):
        said.append(server.transcript)
        server.whenever(b"PING\n", b"PONG\n")
        server.send_line(b"and " + line)
        server.expect_no_connection(0)
        return line

    said = []
    server.expect_connect()
    server.expect_line()
    server.send_bytes(reply)
    with connect(server) as client:
        client.sendall(b"x\n")
        server.join()
        server.join()
        client.sendall(b"PING\n")
        with client.makefile("rb") as answers:
            assert answers.read(11) == b"xand x\nPONG"
    assert [event.data for event in said[0]] == [b"", b"x\n"]


def test_declarations_in_other_threads(server):
    """From wherever they come, each is taken whole."""
    connection = server.expect_connect()

    def declare():
        for _ in range(100):
            connection.send_bytes(b"x")

    threads = [threading.Thread(target=declare) for _ in range(5)]
    with connect(server) as client:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.disconnect()
        assert receive_all(client) == b"x" * 500


@contextlib.contextmanager
def blocked(bridge):
    """Meanwhile its event loop does nothing."""
    go_on = threading.Event()
    bridge.loop.soon(lambda: go_on.wait(30))
    try:
        yield
    finally:
        go_on.set()


@pytest.fixture
def unhurried_server(backend, monkeypatch):
    """One that does not look at the time for a minute."""
    monkeypatch.setattr("pytest_tcpclient._host.TICK", 60.0)
    with open_blocking_tcp_server(backend=backend, timeout=20) as server:
        yield server


def test_a_declaration_does_not_wait(unhurried_server):
    """It is checked at once, and is taken when a client connects, or somebody waits."""
    server = unhurried_server
    with blocked(server._bridge):
        connection = server.expect_connect()
        handles = [server.expect_bytes(b"a"), connection.send_bytes(b"b"), server.disconnect()]
        with pytest.raises(ScriptError, match=r"^send_bytes\(\) cannot follow disconnect\(\)"):
            connection.send_bytes(b"c")
        assert server.connections == [connection]
        client = connect(server)
    with client:
        client.sendall(b"a")
        assert receive_all(client) == b"b"
    server.join()
    assert [handle.done for handle in handles] == [True] * 3


def test_a_declaration_when_a_client_is_there(unhurried_server):
    """Nobody has to wait for it to be played."""
    server = unhurried_server
    connection = server.expect_connect()
    with connect(server) as client:
        connection.result()
        for number in range(100):
            connection.send_bytes(b"%02d" % number)
            assert client.recv(2, socket.MSG_WAITALL) == b"%02d" % number
        connection.disconnect()
        assert client.recv(1) == b""
    server.join()


def test_time_passes_although_nobody_connects_or_waits(backend):
    """A declaration alone is enough for that."""
    with open_blocking_tcp_server(backend=backend) as server:
        server.expect_connect(timeout=0.01)
        inner = server._server
        deadline = time.monotonic() + 10
        while inner.failure is None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert inner.failure is not None
        with pytest.raises(ScriptMismatch, match=r"^Timed out waiting for client to connect"):
            server.join()


def test_what_is_posted(server):
    """It is called in its order, before what is called and run, and its errors are not lost."""
    bridge, order = server._bridge, []

    async def run():
        order.append("run")

    def fail():
        raise KeyError("posted")

    with blocked(bridge):
        for number in range(3):
            bridge.post(order.append, number)
            bridge.wake()
    bridge.run("it", run)
    bridge.post(order.append, 3)
    bridge.call(order.append, 4)
    bridge.call(bridge.post, order.append, 5)
    assert order == [0, 1, 2, "run", 3, 4, 5]
    bridge.post(fail)
    with pytest.raises(KeyError, match="posted"):
        bridge.call(order.append, 6)
    bridge.post(fail)
    with pytest.raises(KeyError, match="posted"):
        bridge.run("it", run)
    bridge.run("it", run)
    assert order[7:] == [6, "run", "run"]


def test_declarations_of_the_test_and_of_a_function_of_a_script(backend):
    """What the test has declared goes first, although it was not taken yet."""

    def answer():
        other.expect_bytes(b"hi")
        return b"answer"

    with (
        open_blocking_tcp_server(backend=backend) as one,
        open_blocking_tcp_server(backend=backend) as other,
    ):
        one.expect_connect()
        one.expect_bytes(b"go")
        one.send_bytes(answer)
        one.expect_disconnect()
        with connect(one) as client:
            one.connections[0].result()
            other.expect_connect()
            other.send_bytes(b"welcome")
            client.sendall(b"go")
            assert client.recv(6, socket.MSG_WAITALL) == b"answer"
        with connect(other) as client:
            assert client.recv(7, socket.MSG_WAITALL) == b"welcome"
            client.sendall(b"hi")
            other.join()


def test_a_declaration_in_another_thread_at_the_same_time(server, monkeypatch):
    """Steps are taken in the order in which they are made."""
    post, threads, words = server._bridge.post, [], []

    def post_slowly(take, handle):
        if not threads:
            threads.append(threading.Thread(target=server.expect_bytes, args=(b"x",)))
            threads[0].start()
            threads[0].join(0.1)
        words.append(handle._step.word)
        post(take, handle)

    monkeypatch.setattr(server._bridge, "post", post_slowly)
    server.expect_connect()
    [thread] = threads
    thread.join()
    assert words == ["expect_connect", "expect_bytes"]
    with connect(server) as client:
        client.sendall(b"x")
        server.join()


@pytest.mark.parametrize("value", ["curio", None, 5, b"trio"])
def test_what_a_backend_can_be(value):
    """One of two."""
    if value is None:
        with open_blocking_tcp_server(backend=value):
            return
    with pytest.raises(ValueError, match=r"^backend must be 'asyncio' or 'trio', not "):
        open_blocking_tcp_server(backend=value)


def test_an_address_that_is_not_to_be_had(backend):
    """Nothing is left of it."""
    threads = set(threading.enumerate())
    block = open_blocking_tcp_server(host="192.0.2.1", backend=backend)
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 0: "), block:
        pytest.fail("it has begun")
    assert len(set(threading.enumerate()) - threads) <= 1


class Interruption(Exception):
    """What a signal raises."""


def test_the_switch_of_a_block():
    """It is where its options are."""
    with (
        pytest.raises(ScriptMismatch) as caught,
        open_blocking_tcp_server() as server,
        socket.create_connection(server.address),
    ):
        pass
    assert str(caught.value).endswith(
        "If this is on purpose: open_blocking_tcp_server(check_extra_connections=False)."
    )


@pytest.mark.anyio
async def test_a_block_for_sync_code():
    """``async with`` says what to write instead."""
    with pytest.raises(TypeError) as caught:
        async with open_blocking_tcp_server():  # type: ignore[attr-defined]
            pytest.fail("it has begun")
    assert str(caught.value) == (
        "this block is for `with`; for async code there is open_tcp_server()"
    )


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_who_waits_can_be_interrupted(server, monkeypatch):
    """By a signal, and then nothing waits on in the event loop."""

    def interrupt(number, frame):
        raise Interruption

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        server.expect_connect()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interruption):
            server.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    inner = server._server
    server._bridge.call(lambda: None)
    deadline = time.monotonic() + 10
    while inner.joining and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not inner.joining
    with connect(server):
        server.join()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_who_waits_can_be_interrupted_before_it_has_begun(server):
    """The event loop was busy with something else, and then it does not wait at all."""

    def interrupt(number, frame):
        raise Interruption

    waited = []

    async def wait():
        try:
            await anyio.sleep(20)
        except BaseException:
            waited.append("was cancelled")
            raise

    bridge = server._bridge
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        bridge.loop.soon(lambda: time.sleep(0.3))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interruption):
            bridge.run("it", wait)
    finally:
        signal.signal(signal.SIGALRM, before)
    deadline = time.monotonic() + 10
    while not waited and time.monotonic() < deadline:
        time.sleep(0.001)
    assert waited == ["was cancelled"]


# Threads


def test_one_thread_for_all(backend):
    """It is there for as long as pytest runs, and no other is."""
    with open_blocking_tcp_server(backend=backend) as first:
        threads = set(threading.enumerate())
        with open_blocking_tcp_server(backend=backend) as second:
            assert set(threading.enumerate()) <= threads
            assert first._bridge is second._bridge
    assert current().bridges is not None


def test_a_thread_that_does_not_last(backend):
    """Outside of pytest it ends with the last one who needs it."""
    bridges = Bridges(backend)
    threads = set(threading.enumerate())
    first, second = bridges.enter(backend), bridges.enter(backend)
    assert first is second
    [thread] = set(threading.enumerate()) - threads
    bridges.leave(backend)
    assert bridges.enter(backend) is first
    bridges.leave(backend)
    bridges.leave(backend)
    assert not thread.is_alive()
    assert bridges.enter(backend) is not first
    bridges.close()


def test_errors_of_other_kinds(server):
    """They come from one thread to the other as they are."""

    async def fail():
        raise KeyError("x")

    with pytest.raises(KeyError, match="x") as caught:
        server._bridge.run("it", fail)
    assert caught.traceback[-1].name == "fail"


def test_what_is_cancelled_in_the_event_loop():
    """At its end, for instance: nobody waits for it any more."""

    async def cancelled():
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)

    block = open_blocking_tcp_server(backend="asyncio")
    with block as server, pytest.raises(asyncio.CancelledError):
        server._bridge.run("it", cancelled)


SCRIPT = """
import socket, threading
from pytest_tcpclient import ScriptMismatch, open_blocking_tcp_server

def main(said):
    with open_blocking_tcp_server(timeout=0.3, backend={backend!r}) as server:
        with open_blocking_tcp_server():
            pass
        server.expect_connect()
        server.expect_bytes(b"Hello")
        server.send_bytes(b"World")
        with socket.create_connection(server.address) as client:
            client.sendall(said)
            print(client.recv(5).decode())

main(b"Hello")
try:
    main(b"Goodbye")
except ScriptMismatch as error:
    print(type(error).__mro__[1].__name__, str(error).splitlines()[0])
print(threading.active_count())
"""


def test_a_program_of_its_own(backend):
    """Outside of pytest the thread ends with the last server."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", SCRIPT.format(backend=backend)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert without_slowness(done.stderr) == ""
    assert done.stdout.splitlines() == [
        "World",
        "AssertionError Expected to read b'Hello' but actually read b'Goodb'",
        "1",
    ]


# Fixtures

HEAD = """
import socket, sys, threading, time
import pytest
from pytest_tcpclient import ScriptMismatch, open_blocking_tcp_server, open_tcp_server

def connect(server):
    client = socket.create_connection(server.address)
    client.settimeout(20)
    return client

"""


def run_sync(pytester, source, *arguments, ini=INI, backend="asyncio"):
    """Run sync tests."""
    sync = ANYIO._replace(mark="filterwarnings('error')")
    ini += f"tcpclient_blocking_backend = {backend}\n"
    return run(pytester, sync, HEAD + source, *arguments, ini=ini)


def test_tests_that_pass(pytester, backend):
    """With the server, the factory, the marker; and both fixtures are of one factory."""
    source = """
threads = set(threading.enumerate())

def test_server(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"x")
    blocking_tcpserver.expect_disconnect()
    with connect(blocking_tcpserver) as client:
        client.sendall(b"x")

@pytest.mark.tcpserver(name="redis")
def test_factory(blocking_tcpserver_factory, blocking_tcpserver):
    one, two = blocking_tcpserver_factory(), blocking_tcpserver_factory(name="two")
    assert (one.name, two.name, blocking_tcpserver.name) == ("redis", "two", "redis")
    two.expect_connect()
    with connect(two):
        two.join()
    blocking_tcpserver_factory.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(blocking_tcpserver)

def test_stop(blocking_tcpserver_factory):
    server = blocking_tcpserver_factory(timeout=0)
    server.expect_connect()
    with pytest.raises(pytest.fail.Exception, match="Timed out waiting for client to connect"):
        blocking_tcpserver_factory.stop()

def test_thread_is_shared():
    assert len(set(threading.enumerate()) - threads) == 1

def test_caught(blocking_tcpserver):
    blocking_tcpserver.expect_connect(0)
    with pytest.raises(pytest.fail.Exception):
        blocking_tcpserver.join()
"""
    passed, others, _ = run_sync(pytester, source, backend=backend)
    assert others == {}
    assert len(passed) == 5


def test_tests_that_fail(pytester, backend):
    """Each fails once, when it is called, with the server's reason and at the right line."""
    source = """
def test_waits(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Bonjour")
    with connect(blocking_tcpserver) as client:
        client.sendall(b"Goodbye")
        client.recv(1)

def test_joins(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.join()

def test_ends(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_disconnect()
    client = connect(blocking_tcpserver)
    blocking_tcpserver.connections[0].result()
    client.send(b"x")
    client.close()

def helper(server):
    server.expect_connect()

def test_declares_in_a_helper(blocking_tcpserver):
    helper(blocking_tcpserver)

def test_raises(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    raise ZeroDivisionError

def test_skips(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    pytest.skip("not today")

def test_refused(blocking_tcpserver_factory):
    first, second = blocking_tcpserver_factory(), blocking_tcpserver_factory()
    first.expect_connect()
    second.expect_connect()
    second.expect_bytes(b"x")
    with connect(first) as one, connect(second) as two:
        two.sendall(b"y")
        one.recv(1)

def test_unknown_option(blocking_tcpserver_factory):
    blocking_tcpserver_factory(colour="red")
"""
    passed, others, _ = run_sync(pytester, source, backend=backend)
    assert passed == []
    assert {each.when for each in others.values()} == {"call"}
    assert [(name, each.line, each.at) for name, each in others.items()] == [
        (
            "test_waits",
            "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'",
            "client.recv(1)",
        ),
        (
            "test_joins",
            "Failed: Timed out waiting for client to connect.",
            "blocking_tcpserver.join()",
        ),
        (
            "test_ends",
            "Failed: Received unexpected data while waiting for client to disconnect. "
            "Data is b'x'.",
            "blocking_tcpserver.expect_disconnect()",
        ),
        (
            "test_declares_in_a_helper",
            "Failed: Timed out waiting for client to connect.",
            "def test_declares_in_a_helper(blocking_tcpserver):",
        ),
        ("test_raises", "ZeroDivisionError", "raise ZeroDivisionError"),
        ("test_skips", "", ""),
        ("test_refused", "Failed: Expected to read b'x' but actually read b'y'", "one.recv(1)"),
        (
            "test_unknown_option",
            "TypeError: there is no option 'colour'; there are host, port, path, tls, timeout, "
            "framing, newline, name, check_pending, check_unexpected, check_extra_connections, "
            "check_left_open, check_streams, strict",
            'blocking_tcpserver_factory(colour="red")',
        ),
    ]
    assert "was at expect_connect() (" in others["test_raises"].text
    assert "Then the client raised ConnectionResetError" in others["test_waits"].text
    assert others["test_waits"].seconds < 3
    for each in others.values():
        assert "_blocking.py" not in each.text


def test_a_test_that_goes_on(pytester):
    """It cannot be ended. Why it fails is printed, for whoever ends the process."""
    source = """
def test_it(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    time.sleep(1)
"""
    run_sync(pytester, source, "-s")
    result = pytester.runpytest("-p", "no:randomly")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Captured stderr call*",
            "The test goes on, although its server has failed:",
            "Timed out waiting for client to connect.",
        ]
    )


def test_a_client_that_connects_again(pytester, backend):
    """After the grace: in the thread of the test it is told the failure, in others refused."""
    source = """
def patient(server):
    while True:
        try:
            with connect(server) as client:
                client.sendall(b"World")
                client.recv(1)
        except OSError:
            time.sleep(0.02)

def test_connects(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
    patient(blocking_tcpserver)

def test_wraps(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
    try:
        patient(blocking_tcpserver)
    except Exception as error:
        raise ValueError("no answer") from error

@pytest.mark.tcpserver(path=True)
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no unix sockets")
def test_on_a_path(blocking_tcpserver):
    blocking_tcpserver.stop_listening()
    blocking_tcpserver.resume_listening()
    blocking_tcpserver.join()
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(blocking_tcpserver.path)
                client.sendall(b"World")
                client.recv(1)
            except OSError:
                time.sleep(0.02)

def test_of_a_wider_scope(wide):
    with wide.script() as script:
        script.expect_connect()
        script.expect_bytes(b"Hello")
        patient(wide)

@pytest.fixture(scope="module")
def wide():
    with open_blocking_tcp_server() as server:
        yield server

errors = []

def test_in_a_thread(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")

    def until_refused():
        while not errors:
            try:
                with connect(blocking_tcpserver) as client:
                    client.sendall(b"World")
                    client.recv(1)
            except ConnectionRefusedError as error:
                errors.append(error)
            except OSError:
                pass

    thread = threading.Thread(target=until_refused)
    thread.start()
    thread.join()

def test_nothing_is_left():
    assert len(errors) == 1
    assert "connect" not in vars(socket.socket)
"""
    ran = run_sync(pytester, source, backend=backend)
    assert ran.passed == ["test_nothing_is_left"]
    assert {each.when for each in ran.others.values()} == {"call"}
    wrong = "Failed: Expected to read b'Hello' but actually read b'World'"
    assert [(name, each.line, each.at) for name, each in ran.others.items()] == [
        ("test_connects", wrong, "client = socket.create_connection(server.address)"),
        ("test_wraps", wrong, 'raise ValueError("no answer") from error'),
        ("test_on_a_path", wrong, "client.connect(blocking_tcpserver.path)"),
        ("test_of_a_wider_scope", wrong, "client = socket.create_connection(server.address)"),
        ("test_in_a_thread", wrong, 'blocking_tcpserver.expect_bytes(b"Hello")'),
    ]
    assert "Then the client raised ValueError: no answer" in ran.others["test_wraps"].text
    for each in ran.others.values():
        assert each.seconds < 3
        assert "_refusal.py" not in each.text


def test_a_client_that_swallows_what_it_is_told(pytester, backend):
    """It is told so often, and then ended by what is no Exception; the test fails as others do."""
    source = """
import asyncio

swallowed = []

def patient(server):
    while True:
        try:
            with connect(server) as client:
                client.sendall(b"World")
                client.recv(1)
        except OSError:
            time.sleep(0.02)
        except Exception as error:
            swallowed.append(error)
            time.sleep(0.02)

@pytest.fixture
def script(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
    return blocking_tcpserver

def test_swallows(script):
    patient(script)

def test_wraps(script):
    try:
        patient(script)
    finally:
        raise ValueError("no answer")

@pytest.fixture(scope="module")
def wide():
    with open_blocking_tcp_server() as server:
        yield server

def test_of_a_wider_scope(wide):
    with wide.script() as script:
        script.expect_connect()
        script.expect_bytes(b"Hello")
        patient(wide)

def test_in_an_event_loop(script):
    async def client():
        while True:
            try:
                reader, writer = await asyncio.open_connection(*script.address)
                try:
                    writer.write(b"World")
                    await reader.readexactly(1)
                finally:
                    writer.close()
            except Exception:
                await asyncio.sleep(0.02)

    async def clients():
        await asyncio.gather(client(), asyncio.sleep(60))

    asyncio.run(clients())

async def in_a_nursery(server):
    while True:
        try:
            with trio.socket.socket() as client:
                await client.connect(server.address)
                await client.send(b"World")
                await client.recv(1)
        except Exception:
            await trio.sleep(0.02)

def test_in_a_nursery(script):
    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_a_nursery, script)
            nursery.start_soon(trio.sleep, 60)

    trio.run(main)

def test_of_a_script_that_raises(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.run(lambda stream: 1 / 0)
    patient(blocking_tcpserver)

def test_what_was_swallowed():
    assert [isinstance(error, ScriptMismatch) for error in swallowed] == [True] * 8
    assert "connect" not in vars(socket.socket)
"""
    ran = run_sync(pytester, "import trio\n" + source, backend=backend)
    assert ran.passed == ["test_what_was_swallowed"]
    assert {each[:2] for each in ran.others.values()} == {("call", "failed")}
    wrong = "Failed: Expected to read b'Hello' but actually read b'World'"
    connecting = "client = socket.create_connection(server.address)"
    assert [(name, each.line, each.at) for name, each in ran.others.items()] == [
        ("test_swallows", wrong, connecting),
        ("test_wraps", wrong, 'raise ValueError("no answer")'),
        ("test_of_a_wider_scope", wrong, connecting),
        (
            *("test_in_an_event_loop", wrong),
            "reader, writer = await asyncio.open_connection(*script.address)",
        ),
        ("test_in_a_nursery", wrong, "await client.connect(server.address)"),
        ("test_of_a_script_that_raises", "ZeroDivisionError: division by zero", connecting),
    ]
    for each in ran.others.values():
        assert each.seconds < 20
        assert "Ended" not in each.text  # What it was ended by.
        assert "_refusal.py" not in each.text


def test_who_connects_when_the_grace_is_over(pytester, backend):
    """Several servers may have failed, one may be gone, the failure may have been caught."""
    source = """
import contextlib

def listeners_of(*servers):
    return [each for server in servers for each in server._server._reception._sockets]

def until_refused(listeners):
    while any(each.fileno() != -1 for each in listeners):
        time.sleep(0.001)

def wrong(server):
    listeners = listeners_of(server)
    server.expect_connect()
    server.expect_bytes(b"Hello")
    with connect(server) as client:
        client.sendall(b"World")
        until_refused(listeners)

def test_two_servers(blocking_tcpserver_factory):
    servers = blocking_tcpserver_factory(), blocking_tcpserver_factory()
    listeners = listeners_of(*servers)
    for server in servers:
        server.expect_connect(timeout=0)
    until_refused(listeners)

def test_nothing_is_left():
    assert "connect" not in vars(socket.socket)

@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack

@pytest.fixture
def closable(stack):
    return stack.enter_context(open_blocking_tcp_server())

def test_a_server_that_is_closed(closable, stack, blocking_tcpserver):
    stack.close()
    wrong(blocking_tcpserver)
    with pytest.raises(ScriptMismatch, match=r"^Expected to read b'Hello'"):
        blocking_tcpserver.join()

def test_caught(blocking_tcpserver):
    wrong(blocking_tcpserver)
    with pytest.raises(ScriptMismatch):
        blocking_tcpserver.join()
    with pytest.raises(ConnectionRefusedError):
        connect(blocking_tcpserver)

def raises(stream):
    raise ConnectionResetError("said the script")

def test_an_error_of_the_script(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.run(raises)
    while True:
        try:
            with connect(blocking_tcpserver) as client:
                client.recv(1)
        except OSError:
            time.sleep(0.02)

@pytest.fixture(scope="module")
def healthy():
    with open_blocking_tcp_server() as server:
        yield server

def test_beside_another_server(healthy, blocking_tcpserver):
    wrong(blocking_tcpserver)

def test_the_other_server(healthy):
    healthy.expect_connect()
    healthy.expect_disconnect()
    connect(healthy).close()
    healthy.join()

@pytest.fixture
def client(blocking_tcpserver):
    yield
    with connect(blocking_tcpserver) as client:
        client.sendall(b"World")
        client.recv(1)

def test_a_teardown(client, blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
"""
    ran = run_sync(pytester, source, backend=backend)
    assert ran.passed == [
        "test_nothing_is_left",
        "test_a_server_that_is_closed",
        "test_caught",
        "test_the_other_server",
        "test_a_teardown",
    ]
    wrong = "Failed: Expected to read b'Hello' but actually read b'World'"
    assert [(name, each.when, each.line) for name, each in ran.others.items()] == [
        ("test_two_servers", "call", "Failed: Timed out waiting for client to connect."),
        ("test_an_error_of_the_script", "call", "ConnectionResetError: said the script"),
        ("test_beside_another_server", "call", wrong),
        ("test_a_teardown", "teardown", wrong),
    ]
    for each in ran.others.values():
        assert each.seconds < 3


def test_a_client_that_says_goodbye_to_a_reset_connection(pytester, backend):
    """The teardown of a test that has failed does not fail once more because of that."""
    source = """
@pytest.fixture
def client(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
    with connect(blocking_tcpserver) as client:
        yield client
        client.sendall(b"Bye")
        client.recv(1)
        client.recv(1)

def test_woken(client):
    client.sendall(b"HELLO")
    client.recv(1)

def test_joined(client, blocking_tcpserver):
    client.sendall(b"HELLO")
    blocking_tcpserver.join()
"""
    ran = run_sync(pytester, source, backend=backend)
    mismatch = "Failed: Expected to read b'Hello' but actually read b'HELLO'"
    assert ran.passed == []
    assert [(name, each.when, each.line) for name, each in ran.others.items()] == [
        ("test_woken", "call", mismatch),
        ("test_joined", "call", mismatch),
    ]


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout(pytester, method):
    """Both of its methods show the reason of the server."""
    pytest.importorskip("pytest_timeout")
    pytester.makeini(INI)
    pytester.makepyfile(
        HEAD
        + """
def test_it(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello")
    with connect(blocking_tcpserver) as client:
        client.sendall(b"World")
        time.sleep(30)
"""
    )
    result = pytester.runpytest_subprocess(
        *("-p", "no:randomly", "--timeout=2", f"--timeout-method={method}"), timeout=30
    )
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert "Expected to read b'Hello' but actually read b'World'" in text
    if method == "signal":
        result.stdout.fnmatch_lines(["E*Failed: *b'Hello' but actually read b'World'"])
        assert "time.sleep(30)" in text


def test_fixtures_that_use_a_server(pytester):
    """The checks wait for their teardown; what fails in their setup is an error."""
    source = """
@pytest.fixture
def client(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    with connect(blocking_tcpserver) as client:
        yield client

def test_closes_in_time(client, blocking_tcpserver):
    blocking_tcpserver.expect_disconnect()

def test_says_too_much(client, blocking_tcpserver):
    client.sendall(b"x")
    blocking_tcpserver.expect_disconnect()

@pytest.fixture
def wrong(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Bonjour")
    with connect(blocking_tcpserver) as client:
        client.sendall(b"Goodbye")
        client.recv(1)
        yield

def test_wrong(wrong):
    pass
"""
    passed, others, _ = run_sync(pytester, source)
    assert passed == ["test_closes_in_time"]
    much, wrong = others["test_says_too_much"], others["test_wrong"]
    assert much.line.startswith("Failed: Received unexpected data while waiting for client to")
    assert wrong.when == "setup"
    assert wrong.line == "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'"


def test_a_failure_before_the_body(pytester):
    """Then the body is not run."""
    source = """
@pytest.fixture
def failed(blocking_tcpserver):
    blocking_tcpserver.expect_connect(0)
    while blocking_tcpserver._server.failure is None:
        time.sleep(0.001)

def test_it(failed):
    raise AssertionError("it was run")
"""
    result = run_sync(pytester, source).others["test_it"]
    assert result.line == "Failed: Timed out waiting for client to connect."
    assert result.at == "def test_it(failed):"


def test_async_tests(pytester):
    """They may have blocking servers, for clients that block the event loop."""
    source = """
import anyio

pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

async def test_passes(blocking_tcpserver, tcpserver):
    blocking_tcpserver.expect_connect()
    tcpserver.expect_connect()
    with connect(blocking_tcpserver):
        async with await anyio.connect_tcp(tcpserver.host, tcpserver.port):
            blocking_tcpserver.join()
            await tcpserver.join()

async def test_waits(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Bonjour")
    with connect(blocking_tcpserver) as client:
        client.sendall(b"Goodbye")
        client.recv(1)

async def test_ends(blocking_tcpserver):
    blocking_tcpserver.expect_connect(0)

async def test_other_fails(blocking_tcpserver, tcpserver):
    tcpserver.expect_connect(0)
    await anyio.sleep(20)

async def test_raises(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    raise ZeroDivisionError

@pytest.fixture
def failed(blocking_tcpserver):
    blocking_tcpserver.expect_connect(0)
    while blocking_tcpserver._server.failure is None:
        time.sleep(0.001)

async def test_not_run(failed):
    raise AssertionError("it was run")
"""
    passed, others, _ = run_sync(pytester, source)
    assert passed == ["test_passes[asyncio]", "test_passes[trio]"]
    for backend in ("asyncio", "trio"):
        lines = [
            others[f"test_{name}[{backend}]"].line
            for name in ("waits", "ends", "other_fails", "raises", "not_run")
        ]
        assert lines == [
            "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'",
            "Failed: Timed out waiting for client to connect.",
            "Failed: Timed out waiting for client to connect.",
            "ZeroDivisionError",
            "Failed: Timed out waiting for client to connect.",
        ]
    assert {each.when for each in others.values()} == {"call"}


def test_the_fixture_is_asked_for_within_the_event_loop(pytester, backend):
    """By an async fixture or a body: anyio can run no other fixture there."""
    source = f"""
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "{backend}"

@pytest.fixture
async def server(request):
    return request.getfixturevalue("blocking_tcpserver")

async def test_in_a_fixture(server):
    server.expect_connect()
    connect(server).close()

async def test_in_the_body(request):
    server = request.getfixturevalue("blocking_tcpserver")
    server.expect_connect()
    connect(server).close()
    server.join()
"""
    passed, others, _ = run_sync(pytester, source)
    assert others == {}
    assert passed == ["test_in_a_fixture", "test_in_the_body"]


CANCELLED = """
import asyncio

async def test_it(blocking_tcpserver):
    blocking_tcpserver.expect_connect(timeout=60)
    asyncio.current_task().cancel()
    await asyncio.sleep(20)
"""


def test_an_async_test_that_is_cancelled(pytester):
    """By what is around it: nothing is waited for."""
    pytest.importorskip("pytest_asyncio")
    result = run(pytester, RUNNERS["pytest-asyncio"], HEAD + CANCELLED).others["test_it"]
    assert result.when == "call"
    assert "CancelledError" in result.text
    assert "was at expect_connect(timeout=60) (" in result.text


def test_an_async_test_that_cancels_the_runner_of_anyio(pytester):
    """Which does not survive it, as with any async fixture."""
    pytester.makeini(INI)
    pytester.makepyfile(ANYIO.header() + HEAD + "pytestmark = pytest.mark.anyio\n" + CANCELLED)
    # In a process of its own: it leaves what it has not awaited.
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["E * asyncio.exceptions.CancelledError", "E * was at expect_connect(timeout=60) (*"]
    )
    result.stdout.no_fnmatch_line("*pytest_pyfunc_call(pyfuncitem: pytest.Function)*")


def test_a_server_of_a_wider_scope(pytester, backend):
    """It is watched with each test, and begins anew in each."""
    source = """
@pytest.fixture(scope="session")
def server():
    with open_blocking_tcp_server() as server:
        yield server

def hello(server, said):
    with server.script() as script:
        script.expect_connect()
        script.expect_bytes(b"Hello")
        with connect(server) as client:
            client.sendall(said)
            script.connections[0].expect_disconnect()
            if said != b"Hello":
                client.recv(1)

def test_1(server):
    hello(server, b"Hello")

def test_2(server):
    hello(server, b"World")

def test_3(server):
    hello(server, b"Hello")

def test_4(server):
    with server.script() as script:
        script.expect_connect()

def test_5(server):
    pass
"""
    passed, others, _ = run_sync(pytester, source, backend=backend)
    assert passed == ["test_1", "test_3", "test_5"]
    assert others["test_2"].line == ("Failed: Expected to read b'Hello' but actually read b'World'")
    assert others["test_2"].at == "client.recv(1)"
    assert others["test_4"].line == "Failed: Timed out waiting for client to connect."
    assert others["test_4"].at == "with server.script() as script:"


OTHERS = """
import anyio

@pytest.fixture(scope="session")
def server():
    with open_blocking_tcp_server(backend={backend!r}) as server:
        yield server

def check(server):
    with server.script() as script:
        script.expect_connect()
        script.expect_bytes(b"Hello")
        with connect(server) as client:
            client.sendall(b"World")
            client.recv(1)

def test_sync(server):
    check(server)

def test_beside(server, blocking_tcpserver):
    check(server)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_async(server, tcpserver):
    check(server)
"""


def test_a_server_of_a_wider_scope_that_fails_before_the_body(pytester, backend):
    """Then there is nothing to run it for."""
    source = """
import time

@pytest.fixture(scope="module")
def server():
    with open_blocking_tcp_server() as server:
        yield server

@pytest.fixture
def client(server):
    server.expect_connect()
    server.expect_bytes(b"Hello")
    with connect(server) as client:
        client.sendall(b"World")
        while server._server.failure is None:
            time.sleep(0.001)
        yield client

def test_it(client):
    pytest.fail("It was run.")
"""
    _, others, _ = run_sync(pytester, source, backend=backend)
    result = others["test_it"]
    assert (result.when, result.line) == (
        "call",
        "Failed: Expected to read b'Hello' but actually read b'World'",
    )
    assert "Then the client raised" not in result.text


def test_a_server_of_a_wider_scope_beside_others(pytester, backend):
    """It is watched with the test, whatever runs it, and whatever other servers the test has."""
    _, others, _ = run_sync(pytester, OTHERS.format(backend=backend))
    assert len(others) == 4
    if backend == "trio":
        # The servers of the fixture run on asyncio: these are watched.
        del others["test_beside"]
    for each in others.values():
        assert (each.when, each.at) == ("call", "client.recv(1)")
        assert each.line == "Failed: Expected to read b'Hello' but actually read b'World'"
        assert "with server.script() as script:\n                   ^" not in each.text


def test_hypothesis(pytester):
    """Each example has the servers that its body makes."""
    pytest.importorskip("hypothesis")
    source = """
from hypothesis import HealthCheck, given, settings, strategies as st

@settings(deadline=None, max_examples=20, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1))
def test_passes(blocking_tcpserver_factory, data):
    server = blocking_tcpserver_factory()
    assert blocking_tcpserver_factory._factory._supervisor.servers == [server._server]
    server.expect_connect()
    server.expect_bytes(data)
    server.expect_disconnect()
    with connect(server) as client:
        client.sendall(data)

@settings(deadline=None, max_examples=20, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 100))
def test_fails(blocking_tcpserver_factory, number):
    server = blocking_tcpserver_factory()
    server.expect_connect()
    server.expect_bytes(b"small")
    with connect(server) as client:
        client.sendall(b"small" if number < 5 else b"large")
        server.join()
"""
    source += """
@settings(deadline=None, max_examples=20, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 100))
def test_one_server_for_all(blocking_tcpserver, number):
    blocking_tcpserver.expect_connect(0)
"""
    passed, others, _ = run_sync(pytester, source)
    assert passed == ["test_passes"]
    assert "The script has failed in an earlier example." in others["test_one_server_for_all"].text
    assert "Expected to read b'small' but actually read b'large'" in others["test_fails"].text
    assert "number=5" in others["test_fails"].text


def test_rerun(pytester):
    """Another run of the test has servers of its own."""
    pytest.importorskip("pytest_rerunfailures")
    pytester.makeini(INI)
    pytester.makepyfile(
        HEAD
        + """
runs = []

def test_it(blocking_tcpserver):
    runs.append(blocking_tcpserver)
    blocking_tcpserver.expect_connect(0)
    if len(runs) == 2:
        with connect(blocking_tcpserver):
            pass
"""
    )
    # The second run connects in time, or not: what matters is that it is another server.
    result = pytester.runpytest("--reruns=1", "-p", "no:randomly")
    assert "1 rerun" in result.stdout.str()


def test_xdist(pytester):
    """A failure is sent from one process to the other."""
    pytest.importorskip("xdist")
    pytester.makeini(INI)
    pytester.makepyfile(
        HEAD + "def test_it(blocking_tcpserver): blocking_tcpserver.expect_connect(0)"
    )
    result = pytester.runpytest_subprocess("-n1", "-p", "no:randomly")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*Failed: Timed out waiting for client to connect."])


def test_time_at_a_debugger_does_not_count(pytester):
    """The server has a thread of its own, but its clocks stand."""
    source = """
def test_it(blocking_tcpserver, request):
    blocking_tcpserver.expect_connect(timeout=0.3)
    debugger = request.config.hook
    debugger.pytest_enter_pdb(config=request.config, pdb=None)
    debugger.pytest_enter_pdb(config=request.config, pdb=None)
    time.sleep(0.8)
    debugger.pytest_leave_pdb(config=request.config, pdb=None)
    debugger.pytest_leave_pdb(config=request.config, pdb=None)
    with connect(blocking_tcpserver):
        blocking_tcpserver.join()

def test_counts_again(blocking_tcpserver):
    began = time.monotonic()
    blocking_tcpserver.expect_connect(timeout=0.3)
    with pytest.raises(pytest.fail.Exception):
        blocking_tcpserver.join()
    assert time.monotonic() - began < 5
"""
    assert run_sync(pytester, source).passed == ["test_it", "test_counts_again"]


def test_time_counts_while_a_debugger_lets_the_test_go_on(pytester):
    """From one prompt to the next: a line that waits for the server would wait for ever."""
    source = """
import cmd
import io

class Prompt(cmd.Cmd):
    use_rawinput = False

    def do_wait(self, line):
        time.sleep(0.8)

    def do_next(self, line):
        return True

def test_it(blocking_tcpserver, request):
    prompt = Prompt(stdin=io.StringIO("wait\\nnext\\n"), stdout=io.StringIO())
    request.config.hook.pytest_enter_pdb(config=request.config, pdb=prompt)
    blocking_tcpserver.expect_connect(timeout=0.6)
    prompt.cmdloop()
    with connect(blocking_tcpserver):
        blocking_tcpserver.join()
        blocking_tcpserver.expect_bytes(b"Hello", timeout=0.3)
        blocking_tcpserver.join()
"""
    result = run_sync(pytester, source).others["test_it"]
    assert result.line == "Failed: Timed out waiting for b'Hello'"


def test_a_debugger_without_a_server(pytester):
    """There are no clocks to stop."""
    source = """
def test_it(request):
    request.config.hook.pytest_enter_pdb(config=request.config, pdb=None)
    request.config.hook.pytest_leave_pdb(config=request.config, pdb=None)
"""
    assert run_sync(pytester, source).passed == ["test_it"]


def test_a_backend_that_there_is_not(pytester):
    """It is an error before any test runs."""
    pytester.makeini(DEFAULTS + "tcpclient_blocking_backend = curio\n")
    result = pytester.runpytest()
    result.stderr.fnmatch_lines(
        ["ERROR: tcpclient_blocking_backend must be asyncio or trio, not 'curio'"]
    )


def test_a_body_whose_code_is_not_known(pytester):
    """A test need not be a function; what it does wrong is said nevertheless."""
    source = """
import functools

def check(wanted, blocking_tcpserver):
    blocking_tcpserver.expect_connect(wanted)

test_it = functools.partial(check, 0)
"""
    result = run_sync(pytester, source).others["test_it"]
    assert result.when == "call"
    assert "Timed out waiting for client to connect." in result.text
