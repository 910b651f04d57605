"""What stands around a client in the body of a test: the runner's own groups, limits and tasks.

However it is wrapped, the test ends with the server's failure, and nothing around that.
"""

from __future__ import annotations

import asyncio
import textwrap

import pytest
from runs import EVERY_RUNNER, INI, run

MISMATCH = "Failed: Expected to read b'Hello' but actually read b'HELLO'"

CLIENTS = """
    import time

    @fixture
    async def script(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        return tcpserver

    async def wrong(server):
        async with await connect(server) as stream:
            await stream.send(b"HELLO")
            await stream.receive()

    async def wrong_and_asleep(server):
        async with await connect(server) as stream:
            await stream.send(b"HELLO")
            await anyio.sleep(100)
"""

ASYNCIO = """
    async def test_in_a_limit(script):
        await asyncio.wait_for(wrong(script), 30)

    async def test_asleep_in_a_limit(script):
        await asyncio.wait_for(wrong_and_asleep(script), 30)

    async def test_in_a_task_of_its_own(script):
        task = asyncio.create_task(wrong(script))
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.wait([task])
            task.exception()

    async def test_gathered(script):
        await asyncio.gather(wrong(script), script.join())
"""

ASYNCIO_AND_LATER_PYTHONS = """
    async def test_in_a_group(script):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wrong(script))

    async def test_asleep_in_a_group(script):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wrong_and_asleep(script))

    async def test_in_a_group_that_joins(script):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wrong(script))
            await script.join()

    async def test_asleep_in_a_timeout(script):
        async with asyncio.timeout(30):
            await wrong_and_asleep(script)
"""

TRIO = """
    import trio

    async def test_in_a_limit(script):
        with trio.fail_after(30):
            await wrong(script)

    async def test_asleep_in_a_limit(script):
        with trio.move_on_after(30):
            await wrong_and_asleep(script)

    async def test_in_a_nursery(script):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wrong, script)

    async def test_asleep_in_a_nursery(script):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wrong_and_asleep, script)
            nursery.start_soon(trio.sleep_forever)

    async def test_in_a_nursery_that_joins(script):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wrong, script)
            await script.join()
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_the_failure_comes_out_of_the_groups_of_the_runner(pytester, runner):
    """A nursery, an asyncio.TaskGroup, a limit, a task, gather()."""
    if runner.backend == "trio":
        tests = TRIO
    elif hasattr(asyncio, "TaskGroup"):
        tests = ASYNCIO + ASYNCIO_AND_LATER_PYTHONS
    else:
        tests = ASYNCIO
    result = run(pytester, runner, CLIENTS + tests, "-W", "error")
    assert result.passed == []
    assert len(result.others) == tests.count("async def test_")
    for name, each in result.others.items():
        assert each[:3] == ("call", "failed", MISMATCH), name
        assert each.seconds < 20, name  # Before any limit of its own has passed.
        assert "ExceptionGroup" not in each.text, name


EXIT = """
    async def test_exit(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello", timeout=60)
        async with await connect(tcpserver):
            pytest.exit("enough")

    async def test_not_run(tcpserver):
        raise AssertionError
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_the_run_is_ended_by_a_body(pytester, runner):
    """pytest.exit() passes through, whatever the script waits for."""
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(EXIT))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*! _pytest.outcomes.Exit: enough !*"])


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_body_is_killed_by_a_thread(pytester, runner):
    """pytest-timeout's other method ends the process, and says where the body was."""
    pytest.importorskip("pytest_timeout")
    source = """
        @pytest.mark.timeout(2, method="thread", func_only=True)
        async def test_it(tcpserver):
            tcpserver.expect_connect(timeout=60)
            await anyio.sleep(60)
    """
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(source))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    assert result.ret == 1
    assert "+ Timeout +" in result.stdout.str() + result.stderr.str()


TRIES_AGAIN = """
    import time

    def client(server):
        \"\"\"Tries again until its server is gone: somebody else may have the port next.\"\"\"
        while True:
            try:
                with socket.create_connection(server.address) as stream:
                    stream.sendall(b"Goodbye")
                    stream.recv(10)
            except ConnectionRefusedError:
                return
            except OSError:
                time.sleep(0.01)

    @pytest.mark.parametrize("number", range(3))
    async def test_tries_again(tcpserver, number):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        if {mark!r} == "asyncio":
            await asyncio.to_thread(client, tcpserver)
        else:
            await anyio.to_thread.run_sync(client, tcpserver, abandon_on_cancel=True)
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_thread_that_outlives_the_test_is_not_left_waiting(pytester, runner):
    """Whoever connects while the servers are stopped is reset; asyncio waits for its threads."""
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(TRIES_AGAIN).format(mark=runner.mark))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=60)
    result.assert_outcomes(failed=3)
    lines = [line for line in result.outlines if "Failed: Expected to read b'Bonjour' but" in line]
    assert len(lines) >= 3
