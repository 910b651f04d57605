"""The background task of a test's servers: when it must not come to anything, it says so."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import anyio
import pytest
from clients import connect, failure_of

from pytest_tcpclient import ScriptError, ScriptMismatch
from pytest_tcpclient._conversation import Conversation
from pytest_tcpclient._event_loop import EventLoop
from pytest_tcpclient._host import Host
from pytest_tcpclient._options import Options
from pytest_tcpclient._supervisor import Supervisor
from pytest_tcpclient._verdict import Rules

pytestmark = pytest.mark.anyio


@pytest.fixture
async def supervisor():
    """A supervisor as outside of pytest."""
    supervisor = Supervisor(Rules(grace=0.05), Options(timeout=0.2))
    yield supervisor
    await supervisor.close()


async def open_server(supervisor):
    """A server of the supervisor."""
    return await supervisor.open_server(supervisor.options)


def failing(*args):
    """What should never happen."""
    raise ZeroDivisionError("a bug of ours")


async def test_a_crash_of_the_server_is_its_failure(tcpserver, monkeypatch):
    """Nobody waits for it, the event loop goes on, and the traceback is in the text."""
    monkeypatch.setattr(Conversation, "receive_data", failing)
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello", timeout=60)
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        with anyio.fail_after(30), pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    text = str(caught.value)
    assert text.startswith(
        "pytest-tcpclient has failed: ZeroDivisionError('a bug of ours')\n\nTraceback"
    )
    assert "in failing\n" in text


async def test_a_crash_of_the_clock_is_a_failure_too(tcpserver, monkeypatch):
    """Without it no limit would ever pass."""
    monkeypatch.setattr(type(tcpserver), "look_at", failing)
    tcpserver.expect_connect()
    with anyio.fail_after(30):
        line = await failure_of(tcpserver)
    assert line == "pytest-tcpclient has failed: ZeroDivisionError('a bug of ours')"


class Signalled(BaseException):
    """What a signal handler raises: that of pytest-timeout, for one."""


async def test_what_a_signal_handler_raises_is_what_the_test_ends_with(supervisor, monkeypatch):
    """Even if it hits upon a task of ours."""
    server = await open_server(supervisor)
    server.expect_connect(timeout=60)

    def look_at(self, now):
        monkeypatch.undo()
        raise Signalled("time is up")

    monkeypatch.setattr(type(server), "look_at", look_at)
    with pytest.raises(Signalled, match=r"^time is up") as caught:
        await supervisor.watch(server.join())
    [note] = caught.value.__notes__
    assert note.startswith(f"The server {server.name} was at expect_connect(timeout=60) (")


async def test_a_failure_goes_before_what_a_signal_handler_raises(supervisor, monkeypatch):
    """It was there first."""
    server = await open_server(supervisor)
    server.expect_connect(timeout=0)

    def look_at(self, now):
        if server.failure is None:
            return now
        monkeypatch.undo()
        raise Signalled("time is up")

    monkeypatch.setattr(type(server), "look_at", look_at)
    with pytest.raises(ScriptMismatch, match=r"^Timed out waiting for client to connect\."):
        await supervisor.watch(anyio.sleep(60))


async def test_a_crash_is_the_failure_of_all_servers(supervisor, monkeypatch):
    """Nobody knows which of them it would have served."""
    one, other = await open_server(supervisor), await open_server(supervisor)
    monkeypatch.setattr(Conversation, "connect", failing)
    one.expect_connect()
    other.expect_connect()
    async with await connect(one):
        for server in one, other:
            line = await failure_of(server)
            assert line == "pytest-tcpclient has failed: ZeroDivisionError('a bug of ours')"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits to set")
@pytest.mark.parametrize(
    ("expected", "line"),
    [
        (2, "The server cannot accept connections: [Errno 24] "),
        (1, "While waiting for client to disconnect a second connection was attempted."),
    ],
)
async def test_a_server_that_cannot_accept_says_why(tcpserver, expected, line):
    """The process has as many files open as it may have: too many connections, perhaps."""
    import resource

    for _ in range(expected):
        tcpserver.expect_connect(timeout=60)
        tcpserver.expect_disconnect(timeout=60)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.setblocking(False)
        async with await connect(tcpserver), await connect(tcpserver):
            with anyio.fail_after(30):
                while tcpserver._reception.count < 2:
                    await anyio.lowlevel.checkpoint()
            # The lowest number that is free is the first one that is too high.
            with socket.socket() as lowest:
                limit = lowest.fileno()
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            try:
                client.connect_ex((tcpserver.host, tcpserver.port))
                with anyio.fail_after(30):
                    while tcpserver.failure is None:
                        await anyio.lowlevel.checkpoint()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await failure_of(tcpserver)).startswith(line)


async def test_a_host_may_be_stopped_before_its_task_has_begun():
    """An error between the two leaves no task behind."""
    host = Host(failing, EventLoop())
    host.start()
    with anyio.fail_after(30):
        await host.stop()


async def test_the_clock_does_not_keep_step_with_anyio(supervisor):
    """On asyncio it looks every 100 ms whether all tasks are blocked: once ours must be, too."""
    await open_server(supervisor)
    with anyio.fail_after(30):
        await anyio.wait_all_tasks_blocked()


async def test_a_server_of_a_test_that_is_over_still_fails(supervisor):
    """Whoever holds on to it is told; there is no test to end any more."""
    server = await open_server(supervisor)
    server.expect_bytes(b"Hello")
    await supervisor.close()
    assert await failure_of(server) == (
        "Missing `expect_connect()` before `expect_bytes(b'Hello')`"
    )


async def test_a_body_in_another_event_loop_is_not_run(supervisor):
    """It would wait for the server for ever."""
    server = await open_server(supervisor)
    raised = []

    def elsewhere():
        try:
            anyio.run(supervisor.watch, server.join(), backend="asyncio")
        except ScriptError as error:
            raised.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert raised == [
        "The fixtures of this test run in another event loop than the test itself: two plugins "
        "claim it. Mark it for one of anyio, asyncio (pytest-asyncio) and trio (pytest-trio); in "
        "the auto mode of pytest-asyncio every async test is marked asyncio."
    ]


async def test_a_failure_ends_no_other_example(supervisor):
    """Each example of Hypothesis is a run of its own; that before it may have failed just now."""

    async def failing_body():
        server = await open_server(supervisor)
        server.expect_connect()
        server.expect_bytes(b"Hello")
        async with await connect(server) as client:
            await client.send(b"HELLO")
            await client.receive()  # Until the connection is reset: the grace begins.

    async def slow_body():
        server = await open_server(supervisor)
        server.expect_connect()
        server.expect_bytes(b"Hello")
        async with await connect(server) as client:
            await anyio.sleep(0.15)  # Longer than the grace, and than the time for a clean-up.
            await client.send(b"Hello")
            await server.join()
        bodies.append("slow")

    bodies = []
    await open_server(supervisor)  # As the fixture has it: it lasts.
    with pytest.raises(ScriptMismatch, match=r"^Expected to read b.Hello. but actually read"):
        await supervisor.watch(failing_body())
    await supervisor.watch(slow_body())
    assert bodies == ["slow"]


async def test_a_body_that_was_torn_out_of_its_loop_is_ended(supervisor):
    """As pytest-timeout and Ctrl-C do: its runner has given up, and its clean-up runs."""
    server = await open_server(supervisor)
    server.expect_connect(timeout=60)
    begun, ended = anyio.Event(), anyio.Event()

    async def body():
        begun.set()
        try:
            await server.join()
        finally:
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.watch, body())
        await begun.wait()
        supervisor.interrupt()
        with anyio.fail_after(30):
            await ended.wait()
    supervisor.interrupt()  # There is nothing left to end.


def test_an_event_loop_that_has_ended_is_not_interrupted(anyio_backend):
    """It was closed before anybody could be told."""
    name, options = anyio_backend
    hosts = []

    async def main():
        hosts.append(Host(failing, EventLoop()))
        hosts[0].start()
        await hosts[0].stop()

    anyio.run(main, backend=name, backend_options=options)
    hosts[0].loop.interrupt(failing)
    assert not hosts[0].loop.is_here()


TORN = """
import time
import trio
from pytest_tcpclient._event_loop import EventLoop
from pytest_tcpclient._host import Host

class Tearing(trio.abc.Clock):
    turns = 0

    def start_clock(self):
        pass

    def current_time(self):
        return time.monotonic()

    def deadline_to_sleep_time(self, deadline):
        self.turns += 1
        if self.turns == 5:
            raise ZeroDivisionError
        return deadline - self.current_time()

async def main():
    global host
    host = Host(lambda error: None, EventLoop())  # Torn out, a task cannot end well.
    host.start()
    await trio.sleep_forever()

try:
    trio.run(main, clock=Tearing())
except trio.TrioInternalError as error:
    torn = error
host.loop.interrupt(print)
print("torn by", type(torn.__cause__).__name__)
"""


def test_a_run_of_trio_that_was_torn_is_not_interrupted():
    """Something has raised in trio itself: a clock, or the signal handler of pytest-timeout."""
    command = [sys.executable, "-c", TORN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "torn by ZeroDivisionError\n", done.stderr
