"""The body of an async test is ended whose blocking server has failed, under every runner."""

from __future__ import annotations

import textwrap

import anyio
import anyio.to_thread
import pytest
from runs import EVERY_RUNNER, INI, RUNNERS, run

from pytest_tcpclient._body import AsyncBody
from pytest_tcpclient._bridge import Bridges
from pytest_tcpclient._options import Options
from pytest_tcpclient._supervisor import Supervisor
from pytest_tcpclient._verdict import Rules
from pytest_tcpclient._watch import Watch

BODIES = """
    import threading, time

    ABANDON = {"abandon_on_cancel": True}
    done = []

    @fixture
    async def script(blocking_tcpserver):
        blocking_tcpserver.expect_connect()
        blocking_tcpserver.expect_bytes(b"Bonjour")
        yield blocking_tcpserver
        await anyio.sleep(0.01)
        done.append("teardown")

    def say_goodbye(server):
        with socket.create_connection(server.address) as client:
            client.sendall(b"Goodbye")
            client.settimeout(20)
            client.recv(1)

    def until_failed(script):
        "Nothing else happens in the event loop of the test meanwhile."
        with socket.create_connection(script.address) as client:
            client.sendall(b"Goodbye")
            while script._server.failure is None:
                time.sleep(0.001)

    async def goodbye_while_joining(script, stream):
        while not script._server.joining:
            await anyio.sleep(0.001)
        await stream.send(b"Goodbye")

    async def test_waits(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            await anyio.sleep(60)  # here

    async def test_waits_beside_another_server(script, tcpserver):
        tcpserver.expect_connect(timeout=60)
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            await anyio.sleep(60)  # here

    async def test_waits_for_a_thread(script):
        released = threading.Event()

        def client():
            with socket.create_connection(script.address) as connection:
                connection.sendall(b"Goodbye")
                released.wait(60)

        try:
            await anyio.to_thread.run_sync(client, **ABANDON)
        finally:
            released.set()

    async def test_waits_for_a_group(script):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 60)
            until_failed(script)

    async def test_cleans_up(script):
        try:
            async with await connect(script) as stream:
                await stream.send(b"Goodbye")
                await anyio.sleep(60)  # here
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
                done.append("clean-up")

    async def test_swallows_the_first_cancellation(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            try:
                await anyio.sleep(60)  # here
            except BaseException:
                pass
            await anyio.sleep(60)

    async def test_two_fail(blocking_tcpserver_factory):
        for number in range(2):
            blocking_tcpserver_factory(name=f"Server {number}").expect_connect(timeout=0)
        await anyio.sleep(60)  # here

    async def test_blocks_and_connects_again(script):
        while True:
            try:
                say_goodbye(script)
            except Exception:
                time.sleep(0.02)

    async def test_raises_too_late_to_be_cancelled(script):
        until_failed(script)
        time.sleep(0.4)
        raise ValueError("lost")

    async def test_joins_in_a_thread(script):
        async with await connect(script) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(goodbye_while_joining, script, stream)
            await anyio.to_thread.run_sync(script.join)  # here

    async def test_catches_it(script):
        async with await connect(script) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(goodbye_while_joining, script, stream)
            with pytest.raises(ScriptMismatch):
                await anyio.to_thread.run_sync(script.join)
        await anyio.sleep(0.4)

    async def test_catches_it_in_a_function(script):
        async def fails():
            with pytest.raises(ScriptMismatch):
                await anyio.to_thread.run_sync(script.join)

        async with await connect(script) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(fails)
            await goodbye_while_joining(script, stream)

    async def test_catches_it_too_late_to_be_cancelled(script):
        until_failed(script)
        time.sleep(0.4)
        with pytest.raises(ScriptMismatch):
            script.join()
        await anyio.sleep(0.1)

    async def test_what_was_done():
        assert done.count("teardown") == 12
        assert done.count("clean-up") == 1
"""

WRONG = "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'"
WAITED = "Then the client waited, and was cancelled after 0.2 s."


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_body_that_waits_is_cancelled(pytester, runner):
    """As with an async server: it fails at the line where it waited, and teardowns can await."""
    ran = run(pytester, runner, BODIES, "-W", "error")
    assert ran.passed == [
        "test_catches_it",
        "test_catches_it_in_a_function",
        "test_catches_it_too_late_to_be_cancelled",
        "test_what_was_done",
    ]
    assert {each[:2] for each in ran.others.values()} == {("call", "failed")}
    assert {name: (each.line, each.at) for name, each in ran.others.items()} == {
        "test_waits": (WRONG, "await anyio.sleep(60)  # here"),
        "test_waits_beside_another_server": (WRONG, "await anyio.sleep(60)  # here"),
        "test_waits_for_a_thread": (WRONG, "await anyio.to_thread.run_sync(client, **ABANDON)"),
        "test_waits_for_a_group": (WRONG, "async with anyio.create_task_group() as tasks:"),
        "test_cleans_up": (WRONG, "await anyio.sleep(60)  # here"),
        "test_swallows_the_first_cancellation": (WRONG, "await anyio.sleep(60)  # here"),
        "test_two_fail": (
            "Failed: Timed out waiting for client to connect.",
            "await anyio.sleep(60)  # here",
        ),
        "test_blocks_and_connects_again": (
            WRONG,
            "with socket.create_connection(server.address) as client:",
        ),
        "test_raises_too_late_to_be_cancelled": (WRONG, 'raise ValueError("lost")'),
        "test_joins_in_a_thread": (WRONG, "await anyio.to_thread.run_sync(script.join)  # here"),
    }
    for name in list(ran.others)[:7]:
        assert WAITED in ran.others[name].text
    for name in list(ran.others)[7:]:
        assert WAITED not in ran.others[name].text
    for each in ran.others.values():
        assert "_body.py" not in each.text
        assert each.seconds < 20


@pytest.mark.anyio
async def test_a_body_that_was_torn_out_of_its_loop_is_ended(anyio_backend):
    """As pytest-timeout and Ctrl-C do: its runner has given up, and its clean-up runs."""
    bridges = Bridges()
    watch = Watch(bridges.enter("asyncio"), Supervisor(Rules(), Options()))
    server = watch.factory()(timeout=60)
    begun, ended = anyio.Event(), anyio.Event()

    async def body():
        server.expect_connect()
        begun.set()
        try:
            await anyio.sleep(60)
        finally:
            ended.set()

    watch.interrupt()  # There is nothing to end yet.
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run_async, body)
        await begun.wait()
        watch.interrupt()
        with anyio.fail_after(30):
            await ended.wait()
    assert watch.bridge.on_raised is None  # Nothing of it is kept for the next test.
    await anyio.to_thread.run_sync(watch.bridge.run, "", watch.supervisor.close)
    bridges.leave("asyncio")


def test_a_body_whose_loop_has_ended_is_left_alone(anyio_backend):
    """It was torn out of it, and the server fails afterwards."""
    name, options = anyio_backend
    bodies = []

    async def main():
        bodies.append(AsyncBody(anyio.sleep(60)))

    anyio.run(main, backend=name, backend_options=options)
    bodies[0].end(unless=lambda: False)
    bodies[0].close()
    assert not bodies[0].cancelled


@pytest.mark.parametrize("name", ["anyio on asyncio", "anyio on trio"])
def test_pytest_timeout(pytester, name):
    """The body that it has torn out of its loop is ended: fixtures are torn down in its task."""
    runner = RUNNERS[name]
    pytest.importorskip("pytest_timeout")
    source = """
        @fixture
        async def script(blocking_tcpserver):
            blocking_tcpserver.expect_connect(timeout=60)
            yield blocking_tcpserver
            await anyio.sleep(0.01)
            print("The fixture was torn down.")

        @pytest.mark.timeout(1, method="signal", func_only=True)
        async def test_it(script):
            await anyio.sleep(120)
    """
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(source))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*Failed: Timeout (>1.0s) from pytest-timeout."])
    result.stdout.fnmatch_lines(["The fixture was torn down."])
