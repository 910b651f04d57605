"""Clocks that a test moves by hand: trio's ``MockClock``, which pytest-trio has as a fixture."""

from __future__ import annotations

import textwrap
import threading
import time

import pytest
import trio
from runs import DEFAULTS, INI, RUNNERS, run
from trio.testing import MockClock

from pytest_tcpclient import ScriptMismatch, open_tcp_server
from pytest_tcpclient._event_loop import EventLoop

REAL_CLOCK = """
@pytest.fixture
def mock_clock():
    pass
"""

FIXTURES = """
from contextlib import AsyncExitStack
from pytest_tcpclient import open_tcp_server
import time, trio

@pytest.fixture
async def kept():
    async with AsyncExitStack() as stack:
        yield stack
"""

UNFINISHED = """
async def test_nobody_connects(tcpserver, mock_clock):
    tcpserver.expect_connect()

async def test_the_client_is_silent(tcpserver, kept, mock_clock):
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    await kept.enter_async_context(await connect(tcpserver))

async def test_the_client_stays(tcpserver, kept, mock_clock):
    tcpserver.expect_connect()
    await kept.enter_async_context(await connect(tcpserver))

async def test_there_is_another_client(tcpserver, kept, mock_clock):
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    await kept.enter_async_context(await connect(tcpserver))
    await kept.enter_async_context(await connect(tcpserver))

async def test_others_go_on(tcpserver, nursery, mock_clock):
    async def go_on():
        while True:
            await trio.lowlevel.checkpoint()

    nursery.start_soon(go_on)
    tcpserver.expect_connect()

async def test_a_fixture_uses_the_server(tcpserver, client, mock_clock):
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    tcpserver.expect_connect()

@pytest.fixture
async def client(tcpserver):
    async with await connect(tcpserver) as client:
        yield client

async def test_a_factory_stops(tcpserver_factory, mock_clock):
    server = await tcpserver_factory()
    server.expect_connect()
    await tcpserver_factory.stop()  # here

async def test_a_block_ends(mock_clock):
    async with open_tcp_server(timeout=0.3) as server:
        server.expect_connect()

async def test_a_script_ends(mock_clock):
    async with open_tcp_server() as server:
        async with server.script(timeout=0.3) as script:
            script.expect_connect()
"""

LATE = """
async def test_the_server_pauses(tcpserver, mock_clock):
    tcpserver.expect_connect()
    tcpserver.wait(0.05)
    tcpserver.expect_disconnect()
    async with await connect(tcpserver):
        pass

async def test_a_function_sleeps(tcpserver, mock_clock):
    async def play(stream):
        await trio.sleep(0.05)

    tcpserver.expect_connect()
    tcpserver.run(play)
    tcpserver.expect_disconnect()
    async with await connect(tcpserver):
        pass

async def test_the_client_sleeps(tcpserver, nursery, mock_clock):
    async def play(client):
        async with client:
            await trio.sleep(0.05)
            await client.send(b"Hello")

    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.expect_disconnect()
    nursery.start_soon(play, await connect(tcpserver))

async def test_the_client_blocks_the_event_loop(tcpserver, nursery, mock_clock):
    async def play(client):
        async with client:
            time.sleep(1.5)  # Longer than the limit.
            await trio.to_thread.run_sync(time.sleep, 0.05)
            await client.send(b"Hello")

    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.expect_disconnect()
    nursery.start_soon(play, await connect(tcpserver))
"""

EACH_CLOCK = pytest.mark.parametrize(
    "clock", [pytest.param(REAL_CLOCK, id="real"), pytest.param("", id="by_hand")]
)


def run_tests(pytester, source, ini=INI):
    """Run the tests of a source under pytest-trio."""
    pytest.importorskip("pytest_trio")
    return run(pytester, RUNNERS["pytest-trio"], FIXTURES + source, "-W", "error", ini=ini)


@EACH_CLOCK
def test_what_is_not_done_at_the_end_fails_the_same_on_each_clock(pytester, clock):
    """Nobody is left to move it."""
    result = run_tests(pytester, clock + UNFINISHED)
    nobody = "Failed: Timed out waiting for client to connect."
    assert result.passed == []
    assert {name: each.line for name, each in result.others.items()} == {
        "test_nobody_connects": nobody,
        "test_the_client_is_silent": "Failed: Timed out waiting for b'Hello'",
        "test_the_client_stays": "Failed: Client left connection 1 open.",
        "test_there_is_another_client": (
            "Failed: While waiting for client to disconnect a second connection was attempted."
        ),
        "test_others_go_on": nobody,
        "test_a_fixture_uses_the_server": nobody,
        "test_a_factory_stops": nobody,
        "test_a_block_ends": nobody,
        "test_a_script_ends": nobody,
    }
    assert result.others["test_a_factory_stops"].at.endswith("# here")


@EACH_CLOCK
def test_what_is_done_late_passes_the_same_on_each_clock(pytester, clock):
    """The client and the functions of a script sleep on it, too."""
    result = run_tests(pytester, clock + LATE, ini=DEFAULTS)
    assert result.others == {}
    assert len(result.passed) == LATE.count("async def test_")


@EACH_CLOCK
def test_a_failure_ends_a_body_that_goes_on_on_each_clock(pytester, clock):
    """It is never seen that all tasks are blocked."""
    source = """
        async def test_it(tcpserver, mock_clock):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            async with await connect(tcpserver) as client:
                await client.send(b"HELLO")
                while True:
                    await trio.lowlevel.checkpoint()  # here
    """
    result = run_tests(pytester, clock + textwrap.dedent(source))
    failed = result.others["test_it"]
    assert failed.line == "Failed: Expected to read b'Hello' but actually read b'HELLO'"
    assert failed.at.endswith("# here")


def test_a_clock_stands_still_again_when_a_block_is_over():
    """It went by itself only as long as the test waited for the end of the server."""

    async def main():
        with pytest.raises(ScriptMismatch, match=r"^Timed out waiting for client to connect\."):
            async with open_tcp_server(timeout=0.2) as server:
                server.expect_connect()
        then = trio.current_time()
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert trio.current_time() == then
        assert "pytest-tcpclient" not in [thread.name for thread in threading.enumerate()]

    trio.run(main, clock=MockClock())


def test_a_clock_that_goes_by_itself_is_not_moved():
    """It would go twice as fast."""

    async def main():
        with pytest.raises(ScriptMismatch, match=r"^Timed out waiting for client to connect\."):
            async with open_tcp_server(timeout=0.4) as server:
                server.expect_connect()

    began = time.perf_counter()
    trio.run(main, clock=MockClock(rate=1))
    assert time.perf_counter() - began >= 0.4


def test_a_clock_is_not_moved_when_its_run_has_ended():
    """Something may have torn it, and nobody has said that the checks are over."""
    loops = []

    async def main():
        loops.append(EventLoop())

    clock = MockClock()
    trio.run(main, clock=clock)
    loops[0].move_clock(0.001, threading.Event())
    assert clock.current_time() == 0
