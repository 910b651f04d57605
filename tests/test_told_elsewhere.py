"""Failures that ``join()`` raises beside the body of the test: in a task, in a thread.

The body may wait for the client then, and the client for the server.
"""

from __future__ import annotations

import textwrap
import threading

import anyio
import pytest
from runs import DEFAULTS, EVERY_RUNNER, INI, RUNNERS, Result, Run, Runner, run

from pytest_tcpclient import ScriptError

WRONG = "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'"

CLIENT = """
import anyio, socket, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

def connect(server):
    return anyio.connect_tcp(server.host, server.port)

def script(server):
    server.expect_connect()
    server.expect_bytes(b"Bonjour")
    server.send_bytes(b"Salut")
    server.expect_disconnect()

def sync_client(address):
    with socket.create_connection(address) as client:
        client.sendall(b"Goodbye")
        return client.recv(100)

def does_not_wait(address):
    with socket.create_connection(address) as client:
        client.sendall(b"Goodbye")

async def async_client(server):
    async with await connect(server) as client:
        await client.send(b"Goodbye")
        await client.receive()

PROGRAM = '''
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    client.sendall(b"Goodbye")
    client.recv(100)
'''

def program(server):
    return [sys.executable, "-c", PROGRAM, str(server.port)]
"""


def ended(pytester: pytest.Pytester, runner: Runner, source: str, ini: str = INI) -> Run:
    """Run tests with these clients."""
    pytester.makepyfile(clients_that_wait=CLIENT)
    source = "from clients_that_wait import *\n" + textwrap.dedent(source)
    return run(pytester, runner, source, ini=ini)


def outcomes(others: dict[str, Result]) -> dict[str, tuple[str, str, str]]:
    """In which phase each test has ended, how, and with which line."""
    return {name: (each.when, each.outcome, each.line) for name, each in others.items()}


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_client_that_waits_is_woken_whoever_was_told(pytester, runner):
    """The end of the test waits for the client: in a thread, in a process, in a task."""
    source = """
        async def test_thread(tcpserver):
            script(tcpserver)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, sync_client, tcpserver.address)
                await tcpserver.join()

        @pytest.mark.tcpserver(timeout=20)
        async def test_process(tcpserver):
            script(tcpserver)
            async with await anyio.open_process(program(tcpserver), stderr=subprocess.DEVNULL):
                await tcpserver.join()

        async def test_shielded(tcpserver):
            script(tcpserver)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tcpserver.join)
                with anyio.CancelScope(shield=True):
                    await async_client(tcpserver)
    """
    result = ended(pytester, runner, source)
    assert result.passed == []
    assert outcomes(result.others) == dict.fromkeys(
        ["test_thread", "test_process", "test_shielded"], ("call", "failed", WRONG)
    )
    assert max(each.seconds for each in result.others.values()) < 10


def test_tasks_of_asyncio_at_which_nobody_looks(pytester):
    """What has ended one of them is the failure of the test all the same."""
    source = """
        async def test_client_waits(tcpserver):
            script(tcpserver)
            joined = asyncio.create_task(tcpserver.join())
            await async_client(tcpserver)
            await joined

        async def test_handle(tcpserver):
            tcpserver.expect_connect()
            waiting = asyncio.create_task(tcpserver.expect_bytes(b"Bonjour").wait())
            await async_client(tcpserver)
            await waiting

        async def test_both_in_tasks(tcpserver):
            script(tcpserver)
            client = asyncio.create_task(async_client(tcpserver))
            await asyncio.wait([client, asyncio.create_task(tcpserver.join())])
            assert client.exception()

        async def test_never_awaited(tcpserver):
            script(tcpserver)
            joined = asyncio.create_task(tcpserver.join())
            await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)
            while not joined.done():
                await asyncio.sleep(0)

        async def test_looked_at(tcpserver):
            script(tcpserver)
            joined = asyncio.create_task(tcpserver.join())
            await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)
            await asyncio.wait([joined])
            assert "Bonjour" in str(joined.exception())

        async def test_another_error(tcpserver):
            script(tcpserver)

            async def fails():
                try:
                    await tcpserver.join()
                except ScriptMismatch:
                    raise ZeroDivisionError from None

            joined = asyncio.create_task(fails())
            await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)
            await asyncio.wait([joined])
            joined.exception()
    """
    result = ended(pytester, RUNNERS["anyio on asyncio"], source)
    assert result.passed == ["test_looked_at", "test_another_error"]
    assert outcomes(result.others) == dict.fromkeys(
        ["test_client_waits", "test_handle", "test_both_in_tasks", "test_never_awaited"],
        ("call", "failed", WRONG),
    )
    text = result.others["test_client_waits"].text
    assert "Then the client raised anyio.BrokenResourceError" in text.replace("E   ", "")


@pytest.mark.parametrize(
    "runner", [each for each in EVERY_RUNNER if each.id in ("anyio on asyncio", "pytest-asyncio")]
)
def test_a_body_that_waits_as_if_nothing_had_failed(pytester, runner):
    """It is cancelled: what has ended a task of asyncio is not caught by that."""
    source = """
        async def connects_again(server):
            while True:
                try:
                    await async_client(server)
                except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
                    await asyncio.sleep(0.01)

        async def joins_in_a_group(server):
            async with anyio.create_task_group():
                await server.join()

        async def test_queue(tcpserver):
            script(tcpserver)
            joined = asyncio.create_task(tcpserver.join())
            await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)
            try:
                await asyncio.Queue().get()  # here
            finally:
                await asyncio.sleep(0)

        async def test_connects_again(tcpserver):
            script(tcpserver)
            joined = asyncio.create_task(tcpserver.join())
            await connects_again(tcpserver)

        async def test_gather(tcpserver):
            script(tcpserver)
            client = connects_again(tcpserver)
            await asyncio.gather(client, tcpserver.join(), return_exceptions=True)  # here

        async def test_in_a_group(tcpserver):
            script(tcpserver)
            client = connects_again(tcpserver)
            joined = joins_in_a_group(tcpserver)
            await asyncio.gather(client, joined, return_exceptions=True)  # here
    """
    joins_late = """
        async def test_joins_late(tcpserver):
            script(tcpserver)

            reset = asyncio.Event()

            async def client():
                with pytest.raises(anyio.BrokenResourceError):
                    await async_client(tcpserver)
                reset.set()
                await connects_again(tcpserver)

            async def joins():
                await reset.wait()
                await tcpserver.join()

            await asyncio.gather(client(), joins(), return_exceptions=True)
    """
    result = ended(pytester, runner, source)
    assert outcomes(result.others) == dict.fromkeys(
        ["test_queue", "test_connects_again", "test_gather", "test_in_a_group"],
        ("call", "failed", WRONG),
    )
    for name, each in result.others.items():
        assert "Then the client waited, and was cancelled after 0.4 s." in each.text
        assert each.at.endswith("# here") or name == "test_connects_again"
        assert 0.4 <= each.seconds < 10
    late = source.partition("    async def test_")[0] + joins_late
    result = ended(pytester, runner, late, ini=DEFAULTS)
    assert outcomes(result.others) == {"test_joins_late": ("call", "failed", WRONG)}
    text = result.others["test_joins_late"].text
    assert "Then the client waited, and was cancelled after 1.5 s." in text


def test_a_body_that_goes_on_has_seen_what_ended_its_task(pytester):
    """Perhaps that is what it wanted."""
    source = """
        async def test_gather(tcpserver):
            script(tcpserver)
            client = async_client(tcpserver)
            outcomes = await asyncio.gather(client, tcpserver.join(), return_exceptions=True)
            assert isinstance(outcomes[1], ScriptMismatch)
            await asyncio.sleep(1)

        async def test_caught_in_a_task(tcpserver):
            async def fails():
                with pytest.raises(ScriptMismatch):
                    await tcpserver.join()

            script(tcpserver)
            caught = asyncio.create_task(fails())
            await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)
            await asyncio.sleep(1)

        async def test_caught_in_a_function(tcpserver):
            async def looks():
                joined = asyncio.create_task(tcpserver.join())
                await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)
                with pytest.raises(ScriptMismatch):
                    await joined
                await asyncio.sleep(1)

            script(tcpserver)
            await looks()

        async def catches(server, then):
            with pytest.raises(ScriptMismatch):
                await server.join()
            await then()

        async def ends_as_cancelled():
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        @pytest.mark.parametrize("then", [asyncio.Event().wait, ends_as_cancelled])
        async def test_caught_in_a_task_that_goes_on(tcpserver, then):
            script(tcpserver)
            client = asyncio.create_task(asyncio.to_thread(does_not_wait, tcpserver.address))
            catching = asyncio.create_task(catches(tcpserver, then))
            await asyncio.sleep(1)  # All of it.
            catching.cancel()
            await client
    """
    result = ended(pytester, RUNNERS["anyio on asyncio"], source)
    assert result.others == {}
    assert len(result.passed) == 5


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_who_has_caught_it_goes_on(pytester, runner):
    """In the body or in a task of it, and for as long as it likes."""
    source = """
        async def test_in_the_body(tcpserver):
            script(tcpserver)
            async with await connect(tcpserver) as client:
                await client.send(b"Goodbye")
                with pytest.raises(ScriptMismatch):
                    await tcpserver.join()
            await anyio.sleep(0.5)

        async def test_while_the_client_waits(tcpserver):
            script(tcpserver)
            async with await connect(tcpserver) as client:
                await client.send(b"Goodbye")
                with pytest.raises(ScriptMismatch):
                    await tcpserver.join()
                with pytest.raises(anyio.BrokenResourceError):
                    await client.receive()

        async def test_in_a_task(tcpserver):
            script(tcpserver)

            async def fails():
                with pytest.raises(ScriptMismatch):
                    await tcpserver.join()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fails)
                await anyio.to_thread.run_sync(does_not_wait, tcpserver.address)

        async def test_another_error(tcpserver):
            script(tcpserver)
            async with await connect(tcpserver) as client:
                await client.send(b"Goodbye")
                with pytest.raises(ScriptMismatch):
                    await tcpserver.join()
                with pytest.raises(anyio.BrokenResourceError):
                    await client.receive()
            assert 1 == 2
    """
    result = ended(pytester, runner, source)
    assert result.passed == ["test_in_the_body", "test_while_the_client_waits", "test_in_a_task"]
    [another] = result.others.values()
    assert (another.when, another.outcome) == ("call", "failed")
    assert (
        "E       assert 1 == 2" in another.text or "AssertionError: assert 1 == 2" in another.text
    )  # (pytest-trio shows a group.)


def test_blocking_servers(pytester):
    """The same for threads and processes beside a sync test."""
    source = """
        pytestmark = []

        def test_executor(blocking_tcpserver):
            script(blocking_tcpserver)
            with ThreadPoolExecutor() as executor:
                executor.submit(sync_client, blocking_tcpserver.address)
                blocking_tcpserver.join()

        @pytest.mark.tcpserver(timeout=20)
        def test_process(blocking_tcpserver):
            script(blocking_tcpserver)
            with subprocess.Popen(program(blocking_tcpserver), stderr=subprocess.DEVNULL):
                blocking_tcpserver.join()

        def test_joined_in_a_thread(blocking_tcpserver):
            script(blocking_tcpserver)
            with ThreadPoolExecutor() as executor:
                joined = executor.submit(blocking_tcpserver.join)
                sync_client(blocking_tcpserver.address)
                joined.result()

        def test_nobody_looks(blocking_tcpserver):
            script(blocking_tcpserver)
            with ThreadPoolExecutor() as executor:
                executor.submit(does_not_wait, blocking_tcpserver.address)
                executor.submit(blocking_tcpserver.join)

        def test_caught(blocking_tcpserver):
            script(blocking_tcpserver)
            with ThreadPoolExecutor() as executor:
                executor.submit(does_not_wait, blocking_tcpserver.address)
                joined = executor.submit(blocking_tcpserver.join)
                with pytest.raises(ScriptMismatch):
                    joined.result()

        @pytest.mark.anyio
        async def test_from_an_async_test(blocking_tcpserver):
            script(blocking_tcpserver)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, sync_client, blocking_tcpserver.address)
                await anyio.to_thread.run_sync(blocking_tcpserver.join)

        @pytest.mark.anyio
        async def test_caught_in_an_async_test(blocking_tcpserver):
            script(blocking_tcpserver)
            await anyio.to_thread.run_sync(does_not_wait, blocking_tcpserver.address)
            with pytest.raises(ScriptMismatch):
                await anyio.to_thread.run_sync(blocking_tcpserver.join)
    """
    result = ended(pytester, RUNNERS["anyio on asyncio"], source)
    assert result.passed == ["test_caught", "test_caught_in_an_async_test"]
    assert outcomes(result.others) == dict.fromkeys(
        [
            "test_executor",
            "test_process",
            "test_joined_in_a_thread",
            "test_nobody_looks",
            "test_from_an_async_test",
        ],
        ("call", "failed", WRONG),
    )
    assert max(each.seconds for each in result.others.values()) < 10


@pytest.mark.anyio
async def test_no_steps_after_a_failure(tcpserver_factory):
    """They would never be done: who was told of it makes another server."""
    server = await tcpserver_factory(timeout=0.1)
    server.expect_connect()
    with pytest.raises(pytest.fail.Exception):
        await server.join()
    message = "{}() on a server that has failed already: Timed out waiting for client to connect."
    for word, declare in {
        "expect_connect": server.expect_connect,
        "expect_bytes": lambda: server.expect_bytes(b"a"),
        "whenever": lambda: server.whenever(b"a", b"b"),
    }.items():
        with pytest.raises(ScriptError) as caught:
            declare()
        assert str(caught.value) == message.format(word)
    await server.join()


@pytest.mark.anyio
async def test_steps_that_are_declared_in_another_event_loop(tcpserver, anyio_backend):
    """A server of a wider scope than its loop: nobody would ever play them."""
    name, options = anyio_backend
    raised = []

    async def declare():
        with pytest.raises(ScriptError) as caught:
            tcpserver.expect_connect()
        raised.append(str(caught.value))

    def elsewhere():
        anyio.run(declare, backend=name, backend_options=options)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert raised == [
        "the server runs in another event loop than the test: a fixture of a wider scope needs "
        "the loop of its tests (loop_scope= of pytest-asyncio, anyio_backend of the same scope)"
    ]
    assert tcpserver.connections == []
