"""Servers without our fixtures: ``open_tcp_server()``, and scripts of a server of wider scope."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import textwrap

import anyio
import pytest
from clients import connect, failure_of, receive_exactly
from runs import DEFAULTS, EVERY_RUNNER, RUNNERS, run, without_slowness

from pytest_tcpclient import ScriptError, ScriptMismatch, open_tcp_server

pytestmark = pytest.mark.anyio

ANYIO = [each for each in EVERY_RUNNER if each.values[0].mark == "anyio"]


def first_line(error):
    """The first line of a failure."""
    return str(error.value).partition("\n")[0]


def is_refused(address):
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(address) == errno.ECONNREFUSED


async def until_refused(address):
    """Wait until nobody listens there."""
    for _ in range(1000):
        if is_refused(address):
            return
        await anyio.sleep(0.01)
    pytest.fail("somebody listens")


# In a block


async def test_a_conversation():
    """The server is there for as long as the block lasts."""
    async with open_tcp_server() as server:
        server.expect_connect()
        server.expect_bytes(b"Hello")
        server.send_bytes(b"World")
        server.expect_disconnect()
        async with await connect(server) as client:
            await client.send(b"Hello")
            assert await receive_exactly(client, 5) == b"World"
    with pytest.raises(ScriptError, match=r"^expect_connect\(\) on a server that is stopped$"):
        server.expect_connect()
    assert is_refused(server.address)


async def test_a_block_that_is_used_twice():
    """Each time it is another server."""
    block = open_tcp_server(name="one")
    async with block as first:
        pass
    async with block as second:
        second.expect_connect()
        async with await connect(second):
            await second.join()
    assert first is not second


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"colour": "red"}, TypeError, r"^there is no option 'colour'; there are host, port, "),
        ({"timeout": -1}, ValueError, r"^timeout must be a number of seconds, zero or more, not"),
    ],
)
def test_options_are_checked_where_they_are_written(options, error, message):
    """Before anything is opened."""
    with pytest.raises(error, match=message):
        open_tcp_server(**options)


def tasks_of_servers():
    """The background tasks of servers that there are."""
    return [each for each in anyio.get_running_tasks() if each.name == "pytest-tcpclient"]


async def test_an_address_that_is_not_to_be_had():
    """That is an error at the beginning, and nothing is left of it."""
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 0: "):
        async with open_tcp_server(host="192.0.2.1"):
            pytest.fail("it has begun")
    assert tasks_of_servers() == []


async def test_what_is_not_done_at_the_end():
    """It is waited for, and fails at the end."""
    with pytest.raises(ScriptMismatch) as caught:
        async with open_tcp_server(timeout=0.1) as server:
            server.expect_connect()
    assert first_line(caught) == "Timed out waiting for client to connect."


async def test_the_checks_can_be_switched_off():
    """As for any other server."""
    async with open_tcp_server(strict=False) as server:
        server.expect_connect()


async def test_a_client_that_waits_is_woken():
    """What it raises then is one line of the failure, which is the end of the block."""
    with pytest.raises(ScriptMismatch) as caught:
        async with open_tcp_server() as server:
            server.expect_connect()
            server.expect_bytes(b"Bonjour")
            async with await connect(server) as client:
                await client.send(b"Goodbye")
                await client.receive()
    assert first_line(caught) == "Expected to read b'Bonjour' but actually read b'Goodbye'"
    assert str(caught.value).endswith("Then the client raised anyio.BrokenResourceError")
    assert isinstance(caught.value, pytest.fail.Exception)


async def test_the_body_is_never_cancelled():
    """It goes on for as long as it likes, and is refused when it connects again."""
    went_on = False
    with pytest.raises(ScriptMismatch, match=r"^Expected to read"):
        async with open_tcp_server() as server:
            server.expect_connect()
            server.expect_bytes(b"Bonjour")
            async with await connect(server) as client:
                await client.send(b"Goodbye")
                with anyio.fail_after(10):
                    with pytest.raises(anyio.BrokenResourceError):
                        await client.receive()
                    await until_refused(server.address)
            went_on = True
    assert went_on


async def test_join_raises_first():
    """A failure that the block has dealt with is not raised again."""
    async with open_tcp_server(timeout=0.1) as server:
        server.expect_connect()
        assert await failure_of(server) == "Timed out waiting for client to connect."


async def test_a_handle_raises_first():
    """It passes through the end of the block as it is."""
    with pytest.raises(ScriptMismatch) as caught:
        async with open_tcp_server(timeout=0.1) as server:
            await server.expect_connect().wait()
    assert first_line(caught) == "Timed out waiting for client to connect."
    assert "Then the client" not in str(caught.value)


async def test_an_error_of_the_block_stands():
    """What was pending is not waited for, and where the script stood is noted."""
    with anyio.fail_after(5), pytest.raises(ZeroDivisionError) as caught:
        async with open_tcp_server(timeout=1000) as server:
            server.expect_connect()
            raise ZeroDivisionError
    [note] = caught.value.__notes__
    assert note.startswith(f"The server {server.name} was at expect_connect() (")


async def test_a_block_that_is_skipped():
    """Nothing is checked."""
    with anyio.fail_after(5), pytest.raises(pytest.skip.Exception):
        async with open_tcp_server(timeout=1000) as server:
            server.expect_connect()
            pytest.skip("not today")


async def test_a_block_that_is_cancelled():
    """It ends at once, and leaves nothing."""
    with anyio.move_on_after(0.05) as scope:
        async with open_tcp_server(timeout=1000) as server:
            server.expect_connect()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert is_refused(server.address)


async def test_a_block_whose_end_is_cancelled():
    """The checks may take their time; what is around them may not."""
    with anyio.move_on_after(0.05) as scope:
        async with open_tcp_server(timeout=1000) as server:
            server.expect_connect()
    assert scope.cancelled_caught
    assert is_refused(server.address)


# Scripts


async def test_one_script_after_the_other():
    """All of them listen in the same place, and each begins empty."""
    async with open_tcp_server(name="redis") as server:
        for number in range(3):
            async with server.script() as script:
                assert (script.port, script.name) == (server.port, "redis")
                assert script.connections == []
                script.expect_connect()
                script.expect_bytes(b"%d" % number)
                script.expect_disconnect()
                async with await connect(server) as client:
                    await client.send(b"%d" % number)
            assert len(script.transcript) > 0
            with pytest.raises(ScriptError, match=r"^wait\(\) on a server that is stopped$"):
                script.wait(1)


async def test_a_script_with_options_of_its_own(anyio_backend):
    """What is not said is as the server has it."""
    async with open_tcp_server(timeout=1000, newline=b"\r\n") as server:
        async with server.script(newline=b"\0", strict=False) as script:
            script.expect_connect()
            script.send_line(b"x")
            client = await connect(server)
            assert await receive_exactly(client, 2) == b"x\0"
            await client.aclose()
        async with server.script() as script:
            script.expect_connect()
            script.send_line(b"x")
            async with await connect(server) as client:
                assert await receive_exactly(client, 3) == b"x\r\n"


@pytest.mark.parametrize("option", ["host", "port", "path", "tls", "check_streams"])
async def test_what_a_script_cannot_set(option):
    """The server is there already."""
    async with open_tcp_server() as server:
        with pytest.raises(TypeError) as caught:
            server.script(**{option: None})
    assert str(caught.value) == f"script() of a server that has its {option} already"


async def test_what_a_script_leaves_is_reset():
    """So that it cannot disturb the next one."""
    async with open_tcp_server() as server:
        async with server.script(check_left_open=False) as script:
            script.expect_connect()
            client = await connect(server)
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
        await client.aclose()
        async with server.script() as script:
            script.expect_connect()
            async with await connect(server):
                await script.join()


async def test_who_connects_between_two_scripts_is_reset():
    """It is not taken for a client of the next one."""
    async with open_tcp_server() as server:
        early = await connect(server)
        async with server.script() as script:
            script.expect_connect(timeout=0.1, optional=True)
        with pytest.raises(anyio.BrokenResourceError):
            await early.receive()
        await early.aclose()
        with socket.create_connection(server.address) as between:
            async with server.script() as script:
                script.expect_connect()
                with pytest.raises(ConnectionResetError):
                    between.recv(1)
                async with await connect(server):
                    await script.join()


async def test_a_script_that_refuses_is_followed_by_one_that_accepts():
    """The port is kept."""
    async with open_tcp_server() as server:
        async with server.script() as script:
            await script.stop_listening().wait()
            assert is_refused(server.address)
        async with server.script() as script:
            script.expect_connect()
            async with await connect(server):
                await script.join()


async def test_scripts_on_a_unix_socket(tmp_path):
    """The path stays until the server is closed."""
    async with open_tcp_server(path=tmp_path / "s") as server:
        for _ in range(2):
            async with server.script() as script:
                await script.stop_listening().wait()
                await script.resume_listening().wait()
                script.expect_connect()
                async with await anyio.connect_unix(script.path):
                    await script.join()
        assert (tmp_path / "s").exists()
    assert not (tmp_path / "s").exists()


async def test_scripts_with_tls():
    """Each of them speaks it."""
    pytest.importorskip("trustme")
    async with open_tcp_server(tls=True) as server:
        for _ in range(2):
            async with server.script() as script:
                script.expect_connect()
                script.expect_disconnect()
                context = script.client_ssl_context()
                async with await anyio.connect_tcp("localhost", server.port, ssl_context=context):
                    pass


async def test_a_script_that_fails():
    """Its failure is the end of its block, and the next one knows nothing of it."""
    async with open_tcp_server() as server:
        with pytest.raises(ScriptMismatch) as caught:
            async with server.script() as script:
                script.expect_connect()
                script.expect_bytes(b"Bonjour")
                async with await connect(server) as client:
                    await client.send(b"Goodbye")
                    await client.receive()
        assert first_line(caught) == "Expected to read b'Bonjour' but actually read b'Goodbye'"
        assert str(caught.value).endswith("Then the client raised anyio.BrokenResourceError")
        async with server.script() as script:
            script.expect_connect()
            async with await connect(server):
                await script.join()


async def test_a_script_that_is_not_done():
    """It is waited for at the end of its block."""
    async with open_tcp_server(timeout=0.1) as server:
        with pytest.raises(ScriptMismatch) as caught:
            async with server.script() as script:
                script.expect_connect()
    assert first_line(caught) == "Timed out waiting for client to connect."


async def test_a_failure_that_a_script_has_dealt_with():
    """It is not raised again."""
    async with open_tcp_server(timeout=0.1) as server, server.script() as script:
        script.expect_connect()
        assert await failure_of(script) == "Timed out waiting for client to connect."


async def test_an_error_in_a_script_stands():
    """With a note that says where it was."""
    async with open_tcp_server(timeout=1000) as server:
        with pytest.raises(ZeroDivisionError) as caught:
            async with server.script() as script:
                script.expect_connect()
                raise ZeroDivisionError
    [note] = caught.value.__notes__
    assert note.startswith(f"The server {server.name} was at expect_connect() (")


async def test_a_script_that_is_skipped():
    """Nothing of it is checked, and the server is there for the next one."""
    async with open_tcp_server(timeout=1000) as server:
        with anyio.fail_after(5), pytest.raises(pytest.skip.Exception):
            async with server.script() as script:
                script.expect_connect()
                pytest.skip("not today")
        async with server.script() as script:
            script.expect_connect()
            async with await connect(server):
                await script.join()


async def test_a_script_that_is_cancelled():
    """The server is there for the next one."""
    async with open_tcp_server(timeout=1000) as server:
        with anyio.move_on_after(0.05) as scope:
            async with server.script() as script:
                script.expect_connect()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        async with server.script() as script:
            script.expect_connect()
            async with await connect(server):
                await script.join()


async def test_a_script_that_is_cancelled_before_it_begins():
    """The server is there for the next one."""
    async with open_tcp_server() as server:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with server.script():
                pytest.fail("it has begun")
        assert scope.cancelled_caught
        async with server.script() as script:
            script.expect_connect()
            async with await connect(server):
                await script.join()


async def test_a_script_of_a_server_that_is_stopped_and_has_played_some():
    """It says so, as it would have done at first."""
    async with open_tcp_server() as server, server.script():
        pass
    with pytest.raises(ScriptError, match=r"^script\(\) on a server that is stopped$"):
        async with server.script():
            pytest.fail("it has begun")


async def test_a_script_that_outlives_its_server():
    """Then there is nothing to give back."""
    async with open_tcp_server() as server:
        block = server.script()
        script = await block.__aenter__()
        assert script.port == server.port
    await block.__aexit__(None, None, None)
    assert is_refused(("127.0.0.1", script.port))


async def test_one_script_at_a_time():
    """Two would not know whose a connection is."""
    async with open_tcp_server() as server, server.script():
        with pytest.raises(ScriptError) as caught:
            async with server.script():
                pytest.fail("it has begun")
    assert str(caught.value) == "script() of a server while another script of it is played"


async def test_a_server_that_plays_scripts_takes_no_steps():
    """Between two scripts they would be for nobody."""
    async with open_tcp_server() as server:
        async with server.script():
            pass
        with pytest.raises(ScriptError) as caught:
            server.expect_connect()
    assert str(caught.value) == (
        "expect_connect() on a server that plays scripts: write it on the script, which is what "
        "the block of `server.script()` begins with"
    )


async def test_a_connection_of_the_last_moment():
    """The event loop has not seen it when the block ends."""
    with pytest.raises(ScriptMismatch) as caught:
        async with open_tcp_server() as server:
            client = socket.create_connection(server.address)
    client.close()
    assert first_line(caught) == "A client connected, but there is no `expect_connect()` for it."


async def test_the_switch_is_where_the_options_are():
    """The marker is for fixtures of ours."""
    async with open_tcp_server() as server:
        with pytest.raises(ScriptMismatch) as caught:
            async with server.script(), await connect(server):
                pass
    assert str(caught.value) == (
        "A client connected, but there is no `expect_connect()` for it.\n\n"
        f"Received: nothing so far on connection 1 to {server.name}\n\n"
        "If this is on purpose: script(check_extra_connections=False)."
    )
    with pytest.raises(ScriptMismatch) as caught:
        async with open_tcp_server() as server, await connect(server):
            pass
    assert str(caught.value) == (
        "A client connected, but there is no `expect_connect()` for it.\n\n"
        f"Received: nothing so far on connection 1 to {server.name}\n\n"
        "If this is on purpose: open_tcp_server(check_extra_connections=False)."
    )


async def test_a_block_for_async_code():
    """``with`` says what to write instead."""
    with pytest.raises(TypeError) as caught, open_tcp_server():
        pytest.fail("it has begun")
    assert str(caught.value) == (
        "this block is for `async with`; for sync code there is open_blocking_tcp_server()"
    )


@pytest.mark.parametrize(
    "declare",
    [
        lambda server: server.expect_connect(timeout=0.01, optional=True),
        lambda server: server.expect_bytes(b"x"),
        lambda server: server.wait(0),
    ],
)
async def test_a_server_with_steps_of_its_own_plays_no_scripts(declare):
    """It begins empty, or not at all."""
    async with open_tcp_server(check_pending=False) as server:
        declare(server)
        with pytest.raises(ScriptError, match=r"^script\(\) of a server that has steps of its own"):
            async with server.script():
                pytest.fail("it has begun")


async def test_a_script_of_a_fixture(tcpserver):
    """Servers of the fixtures have them, too."""
    for _ in range(2):
        async with tcpserver.script() as script:
            script.expect_connect()
            script.expect_disconnect()
            async with await connect(tcpserver):
                pass


async def test_a_stopped_server_plays_no_scripts():
    """It says so."""
    async with open_tcp_server() as server:
        pass
    with pytest.raises(ScriptError, match=r"^script\(\) on a server that is stopped$"):
        async with server.script():
            pytest.fail("it has begun")


# Of a wider scope, under pytest

WIDE = """
from pytest_tcpclient import open_tcp_server

@pytest.fixture(scope="module")
def anyio_backend():
    return {backend!r}, {options!r}

@pytest.fixture(scope="module")
async def server():
    async with open_tcp_server() as server:
        yield server
"""

WIDE_ASYNCIO = """
from pytest_tcpclient import open_tcp_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

@fixture(scope="module", loop_scope="module")
async def server():
    async with open_tcp_server() as server:
        yield server
"""


def run_wide(pytester, runner, source, *arguments, **options):
    """Run tests that have a server for all of them."""
    head = WIDE.format(
        backend=runner.backend, options={"use_uvloop": True} if runner.uvloop else {}
    )
    if runner.mark == "asyncio":
        head = WIDE_ASYNCIO
    return run(pytester, runner, head + textwrap.dedent(source), *arguments, **options)


WIDE_RUNNERS = [each for each in EVERY_RUNNER if each.values[0].mark != "trio"]


@pytest.mark.parametrize("runner", WIDE_RUNNERS)
def test_a_server_for_a_module(pytester, runner):
    """A test that fails does so at once and by itself; those after it begin anew."""
    source = """
    async def hello(server, said):
        async with server.script() as script:
            script.expect_connect()
            script.expect_bytes(b"Hello")
            script.expect_disconnect()
            async with await connect(server) as client:
                await client.send(said)
                if said != b"Hello":
                    await anyio.sleep(20)

    async def test_1(server):
        await hello(server, b"Hello")

    async def test_2(server):
        await hello(server, b"World")

    async def test_3(server):
        await hello(server, b"Hello")

    async def test_4(server):
        async with server.script() as script:
            script.expect_connect()
            script.expect_bytes(b"Hello")
            async with await connect(server) as client:
                await client.send(b"Hel")
                assert not client, "my own"

    async def test_5(server):
        async with server.script() as script:
            script.expect_connect()

    async def test_6(server):
        await hello(server, b"Hello")
    """
    passed, others, _ = run_wide(pytester, runner, source)
    assert passed == ["test_1", "test_3", "test_6"]
    assert {each.when for each in others.values()} == {"call"}
    wrong, own, pending = (others[f"test_{number}"] for number in (2, 4, 5))
    assert wrong.line == "Failed: Expected to read b'Hello' but actually read b'World'"
    assert wrong.at == "await anyio.sleep(20)"
    assert wrong.seconds < 3
    assert own.line.startswith("AssertionError: my own")
    assert "was at expect_bytes(b'Hello') (" in own.text
    assert pending.line == "Failed: Timed out waiting for client to connect."
    assert pending.at == "async with server.script() as script:"


@pytest.mark.parametrize("runner", WIDE_RUNNERS)
def test_a_script_in_a_fixture(pytester, runner):
    """It is watched with the test as well; what is not done at the end is an error of the test."""
    source = """
    @fixture
    async def script(server):
        async with server.script() as script:
            yield script

    async def test_1(script):
        script.expect_connect()
        script.expect_bytes(b"Hello")
        async with await connect(script) as client:
            await anyio.sleep(20)

    async def test_2(script):
        script.expect_connect()
        script.expect_disconnect()
        async with await connect(script):
            pass

    async def test_3(script):
        script.expect_connect()

    async def test_4(script):
        script.expect_connect()
        async with await connect(script):
            await script.join()
    """
    if runner.mark == "asyncio":
        source = source.replace("@fixture", '@fixture(loop_scope="module")')
    result = run_wide(pytester, runner, source)
    assert result.others["test_1"].when == "call"
    assert result.others["test_1"].line == "Failed: Timed out waiting for b'Hello'"
    assert result.others["test_1"].at == "await anyio.sleep(20)"
    assert result.passed == ["test_2", "test_3", "test_4"]
    assert result.others["test_3"].when == "teardown"
    assert result.others["test_3"].line == "Failed: Timed out waiting for client to connect."


@pytest.mark.parametrize("runner", WIDE_RUNNERS)
def test_a_script_that_outlives_its_test(pytester, runner):
    """It was begun in the body, and is ended by a fixture: what is not done is an error there."""
    source = """
    import contextlib

    @fixture
    async def stack():
        async with contextlib.AsyncExitStack() as stack:
            yield stack

    async def test_1(server, stack):
        script = await stack.enter_async_context(server.script())
        script.expect_connect()

    async def test_2(server, stack):
        script = await stack.enter_async_context(server.script())
        script.expect_connect()
        async with await connect(server):
            await script.join()
    """
    if runner.mark == "asyncio":
        source = source.replace("@fixture", '@fixture(loop_scope="module")')
    passed, others, _ = run_wide(pytester, runner, source)
    assert passed == ["test_1", "test_2"]
    assert list(others) == ["test_1"]
    assert others["test_1"].when == "teardown"
    assert others["test_1"].line == "Failed: Timed out waiting for client to connect."


@pytest.mark.parametrize("runner", WIDE_RUNNERS)
def test_a_server_that_failed_in_an_earlier_test(pytester, runner):
    """Without scripts of their own the tests after it are told so, at their first step."""
    source = """
    async def test_1(server):
        server.expect_connect()
        server.expect_bytes(b"Hello")
        async with await connect(server) as client:
            await client.send(b"World")
            await client.receive()

    async def test_2(server):
        server.expect_connect()
    """
    _, others, _ = run_wide(pytester, runner, source)
    assert others["test_1"].line == ("Failed: Expected to read b'Hello' but actually read b'World'")
    assert others["test_2"].line == (
        "pytest_tcpclient.ScriptError: expect_connect() on a server that has failed in an earlier "
        "test: give each test a script of its own, `server.script()`"
    )
    assert others["test_2"].at == "server.expect_connect()"


@pytest.mark.parametrize("runner", WIDE_RUNNERS)
def test_a_server_whose_script_was_not_done(pytester, runner):
    """What a test has left when it failed cannot be gone on with."""
    source = """
    async def test_1(server):
        server.expect_connect()
        raise ZeroDivisionError

    async def test_2(server):
        server.expect_connect()
    """
    _, others, _ = run_wide(pytester, runner, source)
    assert others["test_1"].line == "ZeroDivisionError"
    assert others["test_2"].line == (
        "pytest_tcpclient.ScriptError: expect_connect() on a server whose script was not done when "
        "an earlier test failed: give each test a script of its own, `server.script()`"
    )


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_server_of_a_fixture_of_a_test(pytester, runner):
    """A fixture of the user's own is as good as ours, but for the checks of the end."""
    source = """
    from pytest_tcpclient import open_tcp_server

    @fixture
    async def server():
        async with open_tcp_server() as server:
            yield server
            await server.join()

    async def test_passes(server):
        server.expect_connect()
        server.expect_disconnect()
        async with await connect(server):
            pass

    async def test_waits(server):
        server.expect_connect()
        server.expect_bytes(b"Hello")
        async with await connect(server) as client:
            await anyio.sleep(20)

    async def test_fails_by_itself(server):
        server.expect_connect()
        raise ZeroDivisionError

    async def test_is_not_done(server):
        server.expect_connect()
    """
    passed, others, _ = run(pytester, runner, source)
    # What fails in the teardown of a fixture, pytest-trio counts as the test.
    assert passed == ["test_passes", "test_is_not_done"][: 1 if runner.mark == "trio" else 2]
    assert others["test_is_not_done"].when == ("call" if runner.mark == "trio" else "teardown")
    waits, own, pending = (
        others[f"test_{name}"] for name in ("waits", "fails_by_itself", "is_not_done")
    )
    assert (waits.when, waits.at) == ("call", "await anyio.sleep(20)")
    assert waits.line == "Failed: Timed out waiting for b'Hello'"
    assert own.when == "call"
    assert "ZeroDivisionError" in own.text  # (On Python 3.10 pytest-trio shows a group.)
    assert pending.at == "await server.join()"
    assert pending.line == "Failed: Timed out waiting for client to connect."


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_client_that_fails_in_a_fixture(pytester, runner):
    """It is woken there as well, and the error begins with the reason of the server."""
    source = """
    from pytest_tcpclient import open_tcp_server

    @fixture
    async def client():
        async with open_tcp_server() as server:
            server.expect_connect()
            server.expect_bytes(b"LOGIN")
            async with await connect(server) as client:
                await client.send(b"LOGOUT")
                await client.receive()
                yield client

    async def test_it(client):
        pass
    """
    [result] = run(pytester, runner, source).others.values()
    # pytest-trio sets up its fixtures when it calls the test.
    assert result.when == ("call" if runner.mark == "trio" else "setup")
    assert "Failed: Expected to read b'LOGIN' but actually read b'LOGOU'" in result.text


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_server_that_has_failed_before_the_body(pytester, runner):
    """The body is not run, and the test fails with the reason."""
    source = """
    from pytest_tcpclient import open_tcp_server

    @fixture
    async def server():
        async with open_tcp_server() as server:
            server.expect_connect(0)
            while server.failure is None:
                await anyio.sleep(0.001)
            yield server

    async def test_it(server):
        raise AssertionError("it was run")
    """
    result = run(pytester, runner, source).others["test_it"]
    assert result.when == "call"
    assert result.line == "Failed: Timed out waiting for client to connect."


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_server_beside_those_of_our_fixtures(pytester, runner):
    """Whichever of them fails ends the test, and all connections are reset."""
    source = """
    from pytest_tcpclient import open_tcp_server

    @fixture
    async def other():
        async with open_tcp_server(check_left_open=False) as server:
            yield server

    async def test_it(other, tcpserver):
        other.expect_connect()
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        async with await connect(other) as first, await connect(tcpserver) as second:
            await second.send(b"World")
            await first.receive()
    """
    result = run(pytester, runner, source).others["test_it"]
    assert result.line == "Failed: Expected to read b'Hello' but actually read b'World'"
    assert result.at == "await first.receive()"


@pytest.mark.parametrize("runner", ANYIO)
def test_what_the_ini_file_says(pytester, runner):
    """It is about all servers."""
    source = """
    from pytest_tcpclient import open_tcp_server

    async def test_it():
        async with open_tcp_server() as server:
            server.expect_connect()
            async with await connect(server):
                with pytest.raises(ScriptMismatch, match="Timed out waiting for b'x'"):
                    await server.expect_bytes(b"x").wait()

    async def test_left_open():
        async with open_tcp_server() as server:
            server.expect_connect()
            client = await connect(server)
            await server.join()
        await client.aclose()
    """
    ini = DEFAULTS + "tcpclient_timeout = 10\ntcpclient_check_left_open = false\n"
    result = run(pytester, runner, source, "--tcpclient-timeout-factor=0.01", ini=ini)
    assert result.passed == ["test_it", "test_left_open"]


def test_a_server_in_another_loop(pytester):
    """Nothing waits for ever for what cannot come."""
    pytest.importorskip("pytest_asyncio")
    source = """
    from pytest_tcpclient import open_tcp_server

    @fixture(scope="session", loop_scope="session")
    async def server():
        async with open_tcp_server(strict=False) as server:
            yield server

    @fixture(scope="session", loop_scope="session")
    async def busy(server):
        server.expect_connect()

    async def test_script(server):
        async with server.script() as script:
            script.expect_connect()

    async def test_step(server):
        server.expect_connect()

    async def test_join(server, busy):
        await server.join()
    """
    result = run(pytester, RUNNERS["pytest-asyncio"], source)
    assert {name: each.at for name, each in result.others.items()} == {
        "test_script": "async with server.script() as script:",
        "test_step": "server.expect_connect()",
        "test_join": "await server.join()",
    }
    for each in result.others.values():
        assert each.line.startswith(
            "pytest_tcpclient.ScriptError: the server runs in another event loop than the test"
        )


def test_an_async_server_beside_a_blocking_one(pytester):
    """Each is watched where it runs."""
    source = """
    from pytest_tcpclient import open_tcp_server

    @fixture
    async def server():
        async with open_tcp_server() as server:
            yield server

    def test_sync(blocking_tcpserver):
        pass

    async def test_async(server):
        server.expect_connect()
        server.expect_bytes(b"Hello")
        async with await connect(server) as client:
            await client.send(b"HELLO")
            await client.receive()
    """
    result = run(pytester, RUNNERS["anyio on asyncio"], source)
    assert result.passed == ["test_sync"]
    assert result.others["test_async"].line == (
        "Failed: Expected to read b'Hello' but actually read b'HELLO'"
    )


def test_where_nobody_opens_a_server(pytester, monkeypatch):
    """Nothing is watched, and nothing is loaded for it."""
    monkeypatch.delitem(sys.modules, "pytest_tcpclient._opening")
    result = run(pytester, RUNNERS["anyio on asyncio"], "async def test_it(): pass")
    assert result.passed == ["test_it"]
    assert "pytest_tcpclient._opening" not in sys.modules


def test_a_test_that_nothing_runs(pytester):
    """A server that is there does not make it another one."""
    source = """
    from pytest_tcpclient import open_tcp_server

    @pytest.fixture
    async def server(anyio_backend):
        async with open_tcp_server() as server:
            yield server

    def test_sync(server):
        pass
    """
    assert run(pytester, RUNNERS["anyio on asyncio"], source).passed == ["test_sync"]


# Outside of pytest


SCRIPT = """
import anyio, sys
from pytest_tcpclient import ScriptMismatch, open_tcp_server

async def main(said):
    async with open_tcp_server(timeout=0.3) as server:
        server.expect_connect()
        server.expect_bytes(b"Hello")
        server.send_bytes(b"World")
        async with await anyio.connect_tcp("localhost", server.port) as client:
            await client.send(said)
            print((await client.receive()).decode())

anyio.run(main, b"Hello", backend={backend!r})
try:
    anyio.run(main, b"Goodbye", backend={backend!r})
except ScriptMismatch as error:
    print(type(error).__mro__[1].__name__, str(error).splitlines()[0])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_program_of_its_own(backend):
    """What is raised is an AssertionError; pytest has no part in it."""
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
    ]
