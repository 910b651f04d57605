"""pytest's face: fixtures, settings, markers, and what is said of their misuse."""

from __future__ import annotations

import io
import pickle
import sys
import textwrap
from types import SimpleNamespace

import pytest
from runs import EVERY_RUNNER, INI, RUNNERS, Runner, run

from pytest_tcpclient import Failure, ScriptMismatch, plugin
from pytest_tcpclient._failure import TimedOut
from pytest_tcpclient._outcome import Failed

ANYIO = RUNNERS["anyio on asyncio"]


def only(run):
    """The one thing that was not simply passed."""
    assert run.passed == []
    [result] = run.others.values()
    return result


def test_fixtures_are_documented(pytester):
    """pytest --fixtures."""
    pytester.makeini(INI)
    output = pytester.runpytest("--fixtures").stdout
    output.fnmatch_lines(
        [
            "tcpserver -- *pytest_tcpclient/plugin.py:*",
            "    A TCP server that follows a script and fails the test if the client does not.",
            "tcpserver_factory -- *pytest_tcpclient/plugin.py:*",
            "    Makes scripted TCP servers: ``server = await tcpserver_factory(timeout=2)``.",
        ]
    )
    output.no_fnmatch_line("*_tcpclient_*")


def test_marker_is_documented(pytester):
    """pytest --markers."""
    pytester.makeini(INI)
    pytester.runpytest("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.tcpserver(host, port, path, tls, timeout, framing, newline, name, strict, *"]
    )


def test_settings_are_documented(pytester):
    """pytest --help."""
    pytester.makeini(INI)
    text = " ".join(pytester.runpytest("--help").stdout.str().split())
    for words in (
        "--tcpclient-timeout-factor=FACTOR multiply every timeout of a server by this",
        "Seconds that an expectation may take if nothing else is said (default: 1)",
        "Seconds that a test may go on after its server has failed (default: 0.5)",
        "Bytes that are kept of what went to and fro, the last ones (default: 1048576)",
        "When a test is over, wait for the steps that are not done (default: true)",
        "Fail a test if the client sends bytes that no step expects (default: true)",
        "Fail a test if the client opens more connections than expected (default: true)",
        "Fail a test if the client leaves a connection open at its end (default: true)",
        "wait_closed() (default: under pytest-asyncio)",
        "All of these checks at once (default: true)",
    ):
        assert words in text, words
    for name in (
        "timeout",
        "grace",
        "transcript_limit",
        "strict",
        "check_pending",
        "check_unexpected",
        "check_extra_connections",
        "check_left_open",
        "check_streams",
    ):
        assert f"tcpclient_{name}" in text, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "tcpclient_timeout=soon"], "tcpclient_timeout*soon*"),
        (["-o", "tcpclient_timeout=-1"], "tcpclient_timeout must be a number, zero or more, *-1*"),
        (["-o", "tcpclient_grace=nan"], "tcpclient_grace must be a number, zero or more, *nan*"),
        (["-o", "tcpclient_strict=perhaps"], "tcpclient_strict: *perhaps*"),
        (
            ["-o", "tcpclient_transcript_limit=1e6"],
            "tcpclient_transcript_limit must be a number of bytes, zero or more, not '1e6'",
        ),
        (
            ["--tcpclient-timeout-factor=fast"],
            "--tcpclient-timeout-factor must be a number, zero or more, not 'fast'",
        ),
    ],
)
def test_bad_settings_are_named(pytester, arguments, words):
    """A usage error, before any test is run."""
    pytester.makeini(INI)
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {words}"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("timeout=-1", "timeout must be a number of seconds, zero or more, not -1"),
        ("timeout='1'", "timeout must be a number of seconds, not '1'"),
        ("strict=1", "strict must be True or False, not 1"),
        ("port=70000", "port must be a port number, 0 to 65535, not 70000"),
        (
            "host='example.org'",
            "host must be an IP address or \"localhost\" (no name is looked up), not 'example.org'",
        ),
        (
            "colour='red'",
            "there is no option 'colour'; there are host, port, path, tls, timeout, framing, "
            "newline, name, check_pending, check_unexpected, check_extra_connections, "
            "check_left_open, check_streams, strict",
        ),
        ("2", "it takes keyword arguments only"),
    ],
)
def test_bad_arguments_of_the_marker_are_named(pytester, arguments, words):
    """An error of the setup, in one sentence."""
    source = f"""
        @pytest.mark.tcpserver({arguments})
        async def test_it(tcpserver):
            pass
    """
    result = only(run(pytester, ANYIO, source))
    assert (result.when, result.text) == ("setup", f"@pytest.mark.tcpserver: {words}")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("timeout=float('nan')", "ValueError: timeout must be a number of seconds, zero or more"),
        ("speed=1", "TypeError: there is no option 'speed'; there are host, port, "),
        ("name=1", "TypeError: name must be a str, not 1"),
        ("port=True", "TypeError: port must be a port number, not True"),
        ("host=1", "TypeError: host must be an IP address, not 1"),
    ],
)
def test_bad_options_of_the_factory_are_errors_at_that_line(pytester, arguments, error):
    """The traceback ends in the test."""
    source = f"""
        async def test_it(tcpserver_factory):
            await tcpserver_factory({arguments})  # here
    """
    result = only(run(pytester, ANYIO, source))
    assert result.line.startswith(error)
    assert result.at.endswith("# here")


@pytest.mark.parametrize("runner", EVERY_RUNNER)
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("expect_bytes('Hi')", "TypeError: data must be bytes, not str: write b'Hi' or encode it"),
        (
            "expect_bytes('Zoë')",
            "TypeError: data must be bytes, not str: encode it, 'Zoë'.encode()",
        ),
        ("expect_bytes(1)", "TypeError: data must be bytes, not int"),
        ("expect_bytes(b'')", "ValueError: data must not be empty"),
        ("send_bytes(b'')", "ValueError: data must not be empty"),
        ("send_frame('Hi')", "TypeError: payload must be bytes, not str: write b'Hi' or encode it"),
        ("expect_frame(None)", "TypeError: payload must be bytes, not NoneType"),
        (
            "expect_bytes(b'Hi', timeout=-1)",
            "ValueError: timeout must be a number of seconds, zero or more, not -1",
        ),
        (
            "expect_connect(timeout=float('nan'))",
            "ValueError: timeout must be a number of seconds, zero or more, not nan",
        ),
        ("expect_disconnect('1')", "TypeError: timeout must be a number of seconds, not '1'"),
    ],
)
def test_bad_arguments_of_a_step_are_errors_at_that_line(pytester, runner, call, error):
    """The traceback ends in the test, whatever runs it."""
    source = f"""
        async def test_it(tcpserver):
            tcpserver.{call}  # here
    """
    result = only(run(pytester, runner, source))
    if runner.mark == "trio":  # pytest-trio wraps what a test raises.
        assert f"{error}\n" in result.text
    else:
        assert (result.line, result.at) == (error, f"tcpserver.{call}  # here")
        assert "pytest_tcpclient" not in result.text


@pytest.mark.parametrize("fixture", ["tcpserver", "tcpserver_factory"])
def test_a_plain_test_is_told_what_to_do(pytester, fixture):
    """The fixtures serve async tests."""
    pytester.makeini(INI)
    pytester.makepyfile(f"def test_it({fixture}): pass")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"`{fixture}` serves async tests only, and test_it is not one: take "
            f"`blocking_{fixture}`, or write it as `async def`, and mark it with "
            "@pytest.mark.anyio, @pytest.mark.asyncio (pytest-asyncio) or @pytest.mark.trio "
            "(pytest-trio)."
        ]
    )


def test_an_async_test_that_nobody_runs_is_told_what_to_do(pytester):
    """A mark is missing."""
    pytester.makeini(INI)
    pytester.makepyfile("async def test_it(tcpserver): pass")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["`tcpserver`: nothing runs test_it: mark it with @pytest.mark.anyio, *"]
    )


@pytest.mark.parametrize(
    ("marks", "claimants"),
    [
        (["anyio", "asyncio"], "pytest-asyncio and anyio"),
        (["anyio", "trio"], "pytest-trio and anyio"),
        (["asyncio", "trio"], "pytest-asyncio and pytest-trio"),
    ],
)
def test_a_test_that_two_runners_claim_fails_at_once(pytester, marks, claimants):
    """Its fixtures and its body would wait for each other for ever."""
    pytest.importorskip("pytest_asyncio")
    pytest.importorskip("pytest_trio")
    source = f"""
        pytestmark = [{", ".join(f"pytest.mark.{mark}" for mark in marks)}]

        async def test_it(tcpserver):
            pass
    """
    result = only(run(pytester, ANYIO, source))
    assert result.when == "setup"
    assert result.text == (
        f"`tcpserver`: test_it is claimed by {claimants}, which would run its fixtures in one "
        "event loop and the test in another: leave it to one of them. (In its auto mode a plugin "
        "claims every async test.)"
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("marks", "auto", "claimants"),
    [
        (["anyio", "asyncio"], [], "pytest-asyncio and anyio"),
        (["anyio", "trio"], [], "pytest-trio and anyio"),
        (["trio", "anyio"], [], "pytest-trio and anyio"),
        (["anyio"], ["asyncio_mode=auto"], "pytest-asyncio and anyio"),
        (["anyio"], ["trio_mode=true"], "pytest-trio and anyio"),
    ],
)
def test_a_clash_with_a_server_of_a_fixture_of_the_test(pytester, backend, marks, auto, claimants):
    """It would hang, or fail with whatever the second event loop says."""
    pytest.importorskip("pytest_asyncio")
    pytest.importorskip("pytest_trio")
    source = f"""
        from pytest_tcpclient import open_tcp_server

        pytestmark = [{", ".join(f"pytest.mark.{mark}" for mark in marks)}]

        @pytest.fixture
        async def server():
            async with open_tcp_server() as server:
                server.expect_connect()
                yield server
                await server.join()

        async def test_it(server):
            pass
    """
    arguments = [word for setting in auto for word in ("-o", setting)]
    runner = ANYIO._replace(backend=backend)
    ran = run(pytester, runner, source, "-W", "ignore::pytest.PytestDeprecationWarning", *arguments)
    result = only(ran)
    assert result.when == "call"
    assert result.text == (
        f"`open_tcp_server()`: test_it is claimed by {claimants}, which would run its fixtures in "
        "one event loop and the test in another: leave it to one of them. (In its auto mode a "
        "plugin claims every async test.)"
    )


def test_a_clash_that_has_nothing_to_do_with_a_server(pytester):
    """It is none of ours: where the test has no server, where it opens it in its body."""
    pytest.importorskip("pytest_asyncio")
    source = """
        from pytest_tcpclient import open_blocking_tcp_server, open_tcp_server

        @pytest.fixture(scope="module")
        def blocking_server():
            with open_blocking_tcp_server() as server:
                yield server

        @pytest.fixture
        async def number():
            return 3

        async def test_no_server(number):
            assert number == 3

        async def test_blocking(blocking_server, number):
            assert number == 3

        async def test_in_the_body(number):
            async with open_tcp_server() as server:
                server.expect_connect()
                server.expect_disconnect()
                async with await connect(server):
                    pass
                await server.join()
    """
    result = run(pytester, ANYIO, source, "-o", "asyncio_mode=auto")
    assert result.passed == ["test_no_server", "test_blocking", "test_in_the_body"]


def test_a_clash_beside_a_server_of_other_tests(pytester):
    """It is none of ours either, however long that server is there."""
    pytest.importorskip("pytest_asyncio")
    source = """
        from pytest_tcpclient import open_blocking_tcp_server, open_tcp_server

        @pytest.fixture(scope="module")
        def anyio_backend():
            return "asyncio"

        @pytest.fixture(scope="module")
        async def server(anyio_backend):
            async with open_tcp_server() as server:
                yield server

        @pytest.fixture
        async def blocking_server():
            with open_blocking_tcp_server() as server:
                yield server

        async def test_with_the_server(server):
            pass

        @pytest.mark.asyncio
        async def test_without(blocking_server):
            pass

        @pytest.mark.asyncio
        async def test_with_it_again(server):
            pass
    """
    quiet = ("-W", "ignore::pytest.PytestDeprecationWarning")
    passed, others, _ = run(pytester, ANYIO, source, *quiet)
    assert passed == ["test_with_the_server", "test_without"]
    assert list(others) == ["test_with_it_again"]
    assert others["test_with_it_again"].text.startswith(
        "`open_tcp_server()`: test_with_it_again is claimed by pytest-asyncio and anyio, "
    )


@pytest.mark.parametrize(
    ("mark", "plugin"),
    [("anyio", "anyio"), ("asyncio", "pytest-asyncio"), ("trio", "pytest-trio")],
)
def test_a_mark_for_a_plugin_that_is_not_there(pytester, mark, plugin):
    """The test is marked: that is not what is missing."""
    # A plugin that is not installed has registered no mark.
    pytester.makeini(f"{'[pytest]' if mark == 'asyncio' else INI}\nmarkers = {mark}\n")
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.{mark}
        async def test_it(tcpserver): pass
        """
    )
    result = pytester.runpytest("-p", f"no:{mark}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"`tcpserver`: test_it is marked for {plugin}, which is not installed, or switched "
            f"off (`-p no:{mark}`)."
        ]
    )


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
@pytest.mark.parametrize("how", ["marker", "ini", "auto"])
def test_every_loop_scope_of_pytest_asyncio_works(pytester, scope, how):
    """From the marker or the ini file, in strict and in auto mode."""
    pytest.importorskip("pytest_asyncio")
    mark = f"asyncio(loop_scope={scope!r})" if how == "marker" else "asyncio"
    runner = Runner(mark, fixture="pytest.fixture")
    source = """
        class TestIt:
            @pytest.mark.parametrize("number", range(2))
            async def test_it(self, tcpserver, number):
                tcpserver.expect_connect()
                tcpserver.expect_disconnect()
                async with await connect(tcpserver):
                    pass
                await tcpserver.join()

            async def test_wrong(self, tcpserver):
                tcpserver.expect_connect(timeout=0)
                await tcpserver.join()
    """
    arguments = {
        "marker": [],
        "ini": ["-o", f"asyncio_default_test_loop_scope={scope}"],
        "auto": ["-o", f"asyncio_default_test_loop_scope={scope}", "-o", "asyncio_mode=auto"],
    }[how]
    result = run(pytester, runner, source, "-W", "error", *arguments)
    assert result.passed == ["TestIt::test_it[0]", "TestIt::test_it[1]"]
    assert result.others["TestIt::test_wrong"][:3] == (
        "call",
        "failed",
        "Failed: Timed out waiting for client to connect.",
    )


def test_the_former_name_of_a_loop_scope_works(pytester):
    """pytest-asyncio still takes ``scope=``, with a warning of its own."""
    pytest.importorskip("pytest_asyncio")
    source = """
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_disconnect()
            async with await connect(tcpserver):
                pass
            await tcpserver.join()
    """
    runner = Runner("asyncio(scope='module')")
    ignored = ("-W", "ignore::pytest.PytestDeprecationWarning")
    assert run(pytester, runner, source, *ignored).passed == ["test_it"]


def test_the_auto_mode_of_pytest_asyncio_and_a_mark_for_anyio_clash(pytester):
    """It would run even a test that is marked for another."""
    pytest.importorskip("pytest_asyncio")
    source = "async def test_it(tcpserver): pass"
    result = only(run(pytester, ANYIO, source, "-o", "asyncio_mode=auto"))
    assert result.when == "setup"
    assert result.text.startswith("`tcpserver`: test_it is claimed by pytest-asyncio and anyio, ")


def test_trio_mode_works(pytester):
    """pytest-trio then marks every async test itself."""
    pytest.importorskip("pytest_trio")
    pytester.makeini(INI + "trio_mode = true\n")
    pytester.makepyfile(
        """
        async def test_it(tcpserver):
            await tcpserver.join()
        """
    )
    pytester.runpytest("-W", "error").assert_outcomes(passed=1)


def test_anyio_mode_auto_works(pytester, pytestconfig):
    """anyio then runs every async test, on a backend of any scope."""
    try:
        pytestconfig.getini("anyio_mode")
    except (KeyError, ValueError):
        pytest.skip("anyio has no such mode before 4.11")
    pytester.makeini(INI + "anyio_mode = auto\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module", params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        @pytest.mark.parametrize("number", range(2))
        async def test_it(tcpserver, number):
            await tcpserver.join()
        """
    )
    pytester.runpytest("-W", "error").assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("ini", "passes"),
    [
        ("", False),
        ("tcpclient_check_left_open = false", True),
        ("tcpclient_strict = false", True),
        ("tcpclient_strict = false\ntcpclient_check_left_open = true", False),
    ],
)
def test_the_checks_are_set_in_the_ini_file(pytester, ini, passes):
    """One by one, or all at once, and then one by one."""
    pytester.makeini(INI + ini)
    pytester.makepyfile(
        """
        import pytest, socket

        @pytest.fixture
        def client():
            with socket.socket() as client:
                yield client

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_it(client, tcpserver):
            tcpserver.expect_connect()
            client.connect(tcpserver.address)
            await tcpserver.join()
        """
    )
    pytester.runpytest("-W", "error").assert_outcomes(passed=int(passes), failed=int(not passes))


STREAMS = """
    import asyncio

    async def test_it(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_disconnect()
        _, writer = await asyncio.open_connection(None, tcpserver.service_port)
        writer.close()
"""


TRIO_STREAM = """
    async def test_it(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_disconnect()
        await (await connect(tcpserver)).aclose()
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
@pytest.mark.parametrize(
    ("ini", "marker", "checked"),
    [
        ("", "", None),
        ("tcpclient_check_streams = true", "", True),
        ("tcpclient_check_streams = false", "", False),
        ("tcpclient_strict = true", "", None),
        ("tcpclient_strict = false", "", False),
        ("tcpclient_check_streams = false", "check_streams=True", True),
        ("tcpclient_check_streams = true", "strict=False", False),
        ("tcpclient_check_streams = true", "strict=True", None),
    ],
)
def test_the_check_of_streams(pytester, runner, ini, marker, checked):
    """It is on where 0.7's users are, and nowhere else, unless a setting says so."""
    source = STREAMS if runner.backend == "asyncio" else TRIO_STREAM
    if marker:
        source = source.replace("async def", f"@pytest.mark.tcpserver({marker})\n    async def")
    ran = run(pytester, runner, source, *(["-o", ini.replace(" ", "")] if ini else []))
    if checked is None:
        checked = runner.mark == "asyncio"
    if checked and runner.backend == "asyncio":
        line = "Timed out waiting for client to call `await writer.wait_closed()`."
        assert only(ran).line == f"Failed: {line}"
    else:
        assert len(ran.passed) == 1


def test_markers_of_a_class_and_of_its_test_add_up(pytester):
    """The closest one wins, setting by setting."""
    source = """
        @pytest.mark.tcpserver(timeout=0.1, name="red")
        class TestIt:
            @pytest.mark.tcpserver(name="blue")
            async def test_it(self, tcpserver):
                assert repr(tcpserver) == "<TcpServer blue>"
                tcpserver.expect_connect()
                with anyio.fail_after(30):
                    await tcpserver.join()
    """
    result = only(run(pytester, ANYIO, source, "-o", "tcpclient_timeout=60"))
    assert result.line == "Failed: Timed out waiting for client to connect."
    assert "Script of connection 1 to blue:" in result.text


def test_the_factor_multiplies_every_timeout(pytester):
    """Those of a server, and those of its steps."""
    source = """
        import time

        async def test_it(tcpserver_factory):
            for timeout, own in ((0.1, None), (10, 0.1)):
                server = await tcpserver_factory(timeout=timeout)
                began = time.monotonic()
                server.expect_connect(own)
                with pytest.raises(ScriptMismatch):
                    await server.join()
                assert 0.3 <= time.monotonic() - began < 20
    """
    result = run(pytester, ANYIO, source, "--tcpclient-timeout-factor=3")
    assert result.passed == ["test_it"]


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_step_is_declared_in_a_callback(pytester, runner):
    """On asyncio that is no task, and anyio does not start any there."""
    source = """
        async def test_it(tcpserver):
            connection = tcpserver.expect_connect()
            async with await connect(tcpserver) as client:
                await connection.wait()
                declare = functools.partial(tcpserver.send_bytes, b"Hello")
                if {BACKEND!r} == "trio":
                    trio.lowlevel.current_trio_token().run_sync_soon(declare)
                else:
                    asyncio.get_running_loop().call_soon(declare)
                assert await client.receive() == b"Hello"
    """
    source = source.replace("{BACKEND!r}", repr(runner.backend))
    result = run(pytester, runner, "import functools, trio\n" + textwrap.dedent(source))
    assert result.passed == ["test_it"]


def test_the_grace_is_set_in_the_ini_file(pytester):
    """How long a test may go on after the failure."""
    source = """
        import time

        async def test_it(tcpserver):
            tcpserver.expect_connect(timeout=0)
            began = time.monotonic()
            try:
                await anyio.sleep(100)
            finally:
                print("ended after", time.monotonic() - began)
                assert 0.5 < time.monotonic() - began < 50
    """
    result = only(run(pytester, ANYIO, source, "-o", "tcpclient_grace=0.5"))
    assert result.line == "Failed: Timed out waiting for client to connect."
    assert "AssertionError" not in result.text


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_tcpserver_is_one_of_the_servers_of_the_factory(pytester, runner):
    """A test may ask for both: stop() ends them all."""
    source = """
        async def test_it(tcpserver, tcpserver_factory):
            tcpserver.expect_connect()
            other = await tcpserver_factory()
            with pytest.raises(ScriptMismatch, match="^Timed out waiting for client to connect"):
                await tcpserver_factory.stop()
            assert tcpserver.stopped and other.stopped

        @fixture
        async def asks_later(tcpserver_factory, request):
            return tcpserver_factory

        @pytest.fixture
        def asks_for_tcpserver(request):
            return request.getfixturevalue("tcpserver")

        async def test_dynamic(asks_for_tcpserver):
            await asks_for_tcpserver.join()
    """
    if runner.mark == "trio":  # A sync fixture gets pytest-trio's placeholder.
        source = source.partition("        @fixture")[0]
        assert run(pytester, runner, source, "-W", "error").passed == ["test_it"]
    else:
        passed = run(pytester, runner, source, "-W", "error").passed
        assert passed == ["test_it", "test_dynamic"]


def test_tcpserver_cannot_be_added_to_a_factory_that_is_there(pytester):
    """By a fixture that asks for it in the middle of the setup."""
    source = """
        @pytest.fixture
        def late(tcpserver_factory, request):
            return request.getfixturevalue("tcpserver")

        async def test_it(late):
            pass
    """
    result = only(run(pytester, ANYIO, source))
    assert (result.when, result.line) == (
        "setup",
        "pytest_tcpclient.ScriptError: `tcpserver` cannot be added to a "
        "`tcpserver_factory` that is there already: name `tcpserver` among the arguments of "
        "the test",
    )


def test_what_a_handle_received_is_asked_too_early(pytester):
    """The error is raised at the line of the test, and names the remedy."""
    source = """
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            line = tcpserver.expect_line()
            tcpserver.send_line(line.received)
    """
    result = only(run(pytester, ANYIO, source))
    assert (result.line, result.at) == (
        "pytest_tcpclient.ScriptError: expect_line() has not received anything yet: pass a "
        "callable, which is called when it is time",
        "tcpserver.send_line(line.received)",
    )


def test_a_fixture_of_a_trio_test_with_a_clock_moved_by_hand(pytester):
    """No timeout expires unless the test moves the clock, and no failure waits for it."""
    pytest.importorskip("pytest_trio")
    source = """
        import time, trio

        async def test_stands_still(tcpserver, mock_clock):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            async with await connect(tcpserver) as stream:
                began = time.monotonic()
                while time.monotonic() < began + 0.6:
                    await trio.lowlevel.checkpoint()
                await stream.send(b"Hello")
                await tcpserver.join()

        async def test_is_moved(tcpserver, mock_clock):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            async with await connect(tcpserver):
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(1)
                await tcpserver.join()

        async def test_fails_at_once(tcpserver, mock_clock):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            async with await connect(tcpserver) as stream:
                await stream.send(b"HELLO")
                await trio.sleep_forever()  # here
    """
    result = run(pytester, RUNNERS["pytest-trio"], source, "-W", "error")
    assert result.passed == ["test_stands_still"]
    assert {name: each.line for name, each in result.others.items()} == {
        "test_is_moved": "Failed: Timed out waiting for b'Hello'",
        "test_fails_at_once": "Failed: Expected to read b'Hello' but actually read b'HELLO'",
    }
    assert result.others["test_fails_at_once"].at.endswith("# here")


def test_the_hint_is_in_the_first_line_under_pytest_asyncio(pytester):
    """As 0.7 had it."""
    pytest.importorskip("pytest_asyncio")
    source = """
        @pytest.fixture
        def client():
            with socket.socket() as client:
                yield client

        async def test_not_closed(client, tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_disconnect()
            client.connect(tcpserver.address)
            await tcpserver.join()

        async def test_not_connected(tcpserver):
            tcpserver.expect_disconnect()
            await tcpserver.join()
    """
    result = run(pytester, RUNNERS["pytest-asyncio"], source)
    assert {name: each.line for name, each in result.others.items()} == {
        "test_not_closed": (
            "Failed: Timed out waiting for client to disconnect. Remember to call `writer.close()`."
        ),
        "test_not_connected": (
            "Failed: Client is not connected. Did you forget to call `asyncio.open_connection`?"
        ),
    }


INTERRUPTED = """
    import os, signal, threading

    # A shell starts what it runs in the background deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def test_it(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello", timeout=60)
        # (anyio's own client would do, but for pytest-asyncio's runner on Python 3.10.)
        with socket.create_connection(tcpserver.address):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            await anyio.sleep(60)
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_an_interrupted_run_ends_at_once(pytester, runner):
    """Ctrl-C is not turned into a failure, nor held up by the script."""
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(INTERRUPTED))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*! KeyboardInterrupt !*"])
    result.stderr.no_fnmatch_line("*Task exception was never retrieved*")


@pytest.mark.parametrize(
    "runner",
    # uvloop logs what a signal handler raises, and goes on.
    [each for each in EVERY_RUNNER if each.id != "anyio on uvloop"],
)
def test_pytest_timeout_is_told_where_the_script_stood(pytester, runner):
    """Its failure stands, with a note, and nothing is held up by the body it has left."""
    pytest.importorskip("pytest_timeout")
    source = """
        @pytest.mark.timeout(1, method="signal", func_only=True)
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello", timeout=60)
            async with await connect(tcpserver):
                await anyio.sleep(60)
    """
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(source))
    # In a process of its own: a trio run that is left like that is beyond repair.
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * Failed: Timeout (>1.0s) from pytest-timeout.",
            "E * The server 127.0.0.1:* was at expect_bytes(b'Hello', timeout=60) (*",
        ]
    )


@pytest.mark.parametrize(
    ("name", "alarm"),
    [
        ("anyio on asyncio", "in_a_callback_of_asyncio"),
        ("anyio on asyncio", "while_the_loop_waits"),
        ("pytest-asyncio", "in_a_callback_of_asyncio"),
        ("anyio on trio", "in_a_callback_of_trio"),
        ("anyio on trio", "between_steps_of_trio"),
        ("anyio on trio", "while_the_loop_waits"),
        ("pytest-trio", "in_a_callback_of_trio"),
        ("pytest-trio", "in_the_run_of_trio"),
        ("pytest-trio", "while_the_loop_waits"),
    ],
)
def test_pytest_timeout_ends_a_test_whenever_its_alarm_comes(pytester, name, alarm):
    """It would be lost in a callback of asyncio, and would tear the run of trio, and hang."""
    pytest.importorskip("pytest_timeout")
    pytest.importorskip(RUNNERS[name].needs or "anyio")
    source = f"""
        import os, signal, sys, threading, trio

        def ring(*args):
            signal.raise_signal(signal.SIGALRM)

        class Ringing(trio.abc.Instrument):
            def before_io_wait(self, timeout):
                trio.lowlevel.remove_instrument(self)
                ring()

        def in_a_callback_of_asyncio():
            asyncio.get_running_loop().call_soon(ring)

        def in_a_callback_of_trio():
            trio.lowlevel.current_trio_token().run_sync_soon(ring)

        def between_steps_of_trio():
            trio.lowlevel.add_instrument(Ringing())

        def in_the_run_of_trio():
            frame = sys._getframe()
            while frame.f_code.co_name != "unrolled_run":
                frame = frame.f_back

            def trace(*args):
                sys.settrace(None)
                frame.f_trace = None
                ring()

            sys.settrace(lambda *args: None)
            frame.f_trace = trace

        def while_the_loop_waits():
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGALRM)).start()

        @pytest.mark.timeout(100, method="signal", func_only=True)
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello", timeout=200)
            async with await connect(tcpserver):
                {alarm}()
                await anyio.sleep(200)
    """
    pytester.makeini(INI)
    pytester.makepyfile(RUNNERS[name].header() + textwrap.dedent(source))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * Failed: Timeout (>100.0s) from pytest-timeout.",
            "E * The server 127.0.0.1:* was at expect_bytes(b'Hello', timeout=200) (*",
        ]
    )


@pytest.mark.parametrize("name", ["anyio on asyncio", "anyio on trio"])
def test_pytest_timeout_ends_an_async_test_that_has_only_blocking_servers(pytester, name):
    """anyio's runner would wait for its body before we learn of the alarm."""
    pytest.importorskip("pytest_timeout")
    source = """
        pytestmark = pytest.mark.anyio

        @pytest.mark.timeout(1, method="signal", func_only=True)
        async def test_it(blocking_tcpserver):
            blocking_tcpserver.expect_connect()
            blocking_tcpserver.expect_bytes(b"Hello", timeout=60)
            async with await connect(blocking_tcpserver):
                await anyio.sleep(60)

        async def test_next(blocking_tcpserver_factory):
            server = blocking_tcpserver_factory()
            server.expect_connect()
            async with await connect(server):
                server.join()
    """
    pytester.makeini(INI)
    pytester.makepyfile(RUNNERS[name].header() + textwrap.dedent(source))
    result = pytester.runpytest_subprocess("-p", "no:randomly", timeout=50)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E * Failed: Timeout (>1.0s) from pytest-timeout.",
            "E * The server 127.0.0.1:* was at expect_bytes(b'Hello', timeout=60) (*",
        ]
    )


def test_the_error_is_what_pytest_and_the_test_expect():
    """A failure of pytest's, and an AssertionError, hence no bare BaseException."""
    error = Failed("Timed out\nmore", Failure(TimedOut(b"")))
    assert isinstance(error, pytest.fail.Exception)
    assert isinstance(error, ScriptMismatch)
    assert isinstance(error, AssertionError)
    assert str(error) == error.msg == "Timed out\nmore"
    assert error.pytrace


def test_the_error_can_be_pickled():
    """pytest-xdist and process pools send it to another process."""
    error = Failed("Timed out", Failure(TimedOut(b"x")))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is Failed
    assert str(again) == "Timed out"
    assert again.failure == error.failure


def test_a_run_without_certificates_leaves_none(monkeypatch):
    """There may be nothing to remove at its end."""
    monkeypatch.delitem(sys.modules, "pytest_tcpclient._certificates", raising=False)
    config = SimpleNamespace(stash=pytest.Stash())
    assert plugin.pytest_unconfigure(config) is None


# The picture of a conversation


PICTURE = """
    async def test_fails(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        async with await connect(tcpserver) as client:
            await client.send(b"Help!")
            await tcpserver.join()
"""


def printed(pytester, source=PICTURE, *arguments, subprocess=False):
    """What pytest prints of a file."""
    pytester.makeini(INI)
    path = pytester.makepyfile(ANYIO.header() + textwrap.dedent(source))
    run_pytest = pytester.runpytest_subprocess if subprocess else pytester.runpytest
    return run_pytest("-p", "no:randomly", path, *arguments).stdout


def test_the_picture_is_a_section_of_its_own(pytester):
    """Of a test that has failed, with the name of the server."""
    printed(pytester).fnmatch_lines(
        [
            "--* Conversation with 127.0.0.1:* --*",
            "           client                       server",
            "    0.00 s  │── connects ───────────────────▶│   expect_connect()",
            "    0.?? s  │── b'Help!' ───────────────────▶│ ✗ expect_bytes(b'Hello')",
        ],
        consecutive=True,
    )


def test_the_picture_in_a_terminal_without_unicode(pytester, monkeypatch):
    """It is drawn in ASCII."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    printed(pytester, subprocess=True).fnmatch_lines(
        ["    0.?? s  |-- b'Help!' ------------------->| x expect_bytes(b'Hello')"]
    )


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("utf-8", True), ("ascii", False), ("latin-1", False)]
)
def test_what_a_terminal_can_show(pytestconfig, monkeypatch, encoding, unicode):
    """Its encoding says whether the picture can be drawn with lines."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert plugin._look(pytestconfig)["unicode"] is unicode


@pytest.mark.parametrize("color", ["yes", "no"])
def test_the_picture_in_color(pytester, color):
    """As pytest's own option says."""
    output = printed(pytester, PICTURE, f"--color={color}").str()
    [line] = [line for line in output.splitlines() if "✗" in line]
    assert line.startswith("\x1b[31m") == (color == "yes")


def test_the_picture_is_hidden_with_the_captured_output(pytester):
    """--show-capture=no: nothing essential is in it."""
    printed(pytester, PICTURE, "--show-capture=no").no_fnmatch_line("*Conversation*")


def test_the_picture_is_not_in_the_xml(pytester):
    """Whoever reads that has the text."""
    printed(pytester, PICTURE, "--junit-xml=report.xml")
    xml = (pytester.path / "report.xml").read_text(encoding="utf-8")
    assert "Expected to read b'Hello' but actually read b'Help!'" in xml.replace("&#x27;", "'")
    assert "connects" not in xml


def test_the_picture_of_each_server_that_has_failed(pytester):
    """Or of all that were there, if the test itself has failed."""
    source = """
        async def test_{name}(tcpserver_factory):
            servers = [await tcpserver_factory(name=name) for name in ("one", "two", "three")]
            for server in servers[:2]:
                server.expect_connect()
                client = await connect(server)
                await client.aclose()
                await server.join()
            {last}
    """
    assert_own = source.format(name="own", last="assert False")
    output = printed(pytester, assert_own)
    output.fnmatch_lines(["--* Conversation with one --*", "--* Conversation with two --*"])
    output.no_fnmatch_line("*Conversation with three*")
    last = "servers[1].expect_bytes(b'x'); await servers[1].join()"
    output = printed(pytester, source.format(name="script", last=last))
    output.fnmatch_lines(["--* Conversation with two --*"])
    output.no_fnmatch_line("*Conversation with one*")


@pytest.mark.parametrize(
    "source",
    [
        """
        async def test_fails():
            async with pytest_tcpclient.open_tcp_server() as server:
                server.expect_connect()
                server.expect_bytes(b"Hello")
                async with await connect(server) as client:
                    await client.send(b"Help!")
                    await server.join()
        """,
        """
        def test_fails(blocking_tcpserver):
            blocking_tcpserver.expect_connect()
            blocking_tcpserver.expect_bytes(b"Hello")
            with socket.create_connection(blocking_tcpserver.address) as client:
                client.send(b"Help!")
                blocking_tcpserver.join()
        """,
        """
        async def test_fails(tcpserver):
            async with tcpserver.script() as script:
                script.expect_connect()
                script.expect_bytes(b"Hello")
                async with await connect(tcpserver) as client:
                    await client.send(b"Help!")
        """,
    ],
    ids=["without a fixture", "blocking", "script of its own"],
)
def test_the_picture_of_servers_of_all_kinds(pytester, source):
    """Whoever has made it."""
    source = "import pytest_tcpclient\n" + textwrap.dedent(source)
    printed(pytester, source).fnmatch_lines(
        [
            "--* Conversation with 127.0.0.1:* --*",
            "           client                       server",
            "    0.00 s  │── connects ───────────────────▶│   expect_connect()",
            "    0.?? s  │── b'Help!' ───────────────────▶│ ✗ expect_bytes(b'Hello')",
        ],
        consecutive=True,
    )


def test_a_failure_of_no_server_has_no_picture(pytester):
    """Whatever attributes an error has."""
    source = """
        def test_fails(blocking_tcpserver):
            error = ValueError()
            error.failure = "mine"
            raise error
    """
    printed(pytester, source).no_fnmatch_line("*Conversation*")


def test_a_test_that_passes_has_no_picture(pytester):
    """Nor has one that is skipped."""
    source = """
        async def test_passes(tcpserver):
            tcpserver.expect_connect()
            await (await connect(tcpserver)).aclose()

        async def test_is_skipped(tcpserver):
            tcpserver.expect_connect()
            await (await connect(tcpserver)).aclose()
            pytest.skip("not today")
    """
    printed(pytester, source, "-rA").no_fnmatch_line("*Conversation*")


def test_how_much_is_kept_of_a_conversation(pytester):
    """The setting tcpclient_transcript_limit; what was dropped is said."""
    source = """
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            for _ in range(5):
                tcpserver.expect_count(10)
            async with await connect(tcpserver) as client:
                for step in range(5):
                    await client.send(b"0123456789")
                    while len(tcpserver.connections[0]._engine.conversation.ahead) > 4 - step:
                        await anyio.sleep(0)
                await tcpserver.join()
                assert (len(tcpserver.transcript), tcpserver.transcript.dropped) == (2, 4)
                assert False
    """
    output = printed(pytester, source, "-o", "tcpclient_transcript_limit=25")
    output.fnmatch_lines(["E * assert False", "*… 4 more before", "*b'0123456789'*"])


def test_a_conversation_of_100_megabytes(pytester):
    """Its report fits a screen or two, and is there at once; its transcript is bounded."""
    source = """
        async def test_it(tcpserver):
            data = bytes(range(256)) * 256 * 1600
            tcpserver.expect_connect(timeout=60)
            tcpserver.expect_bytes(data[:-1] + b"x", timeout=60)
            for _ in range(1000):
                tcpserver.expect_bytes(b"x" * 1000)
            async with await connect(tcpserver) as client:
                await client.send(data)
                try:
                    await tcpserver.join()
                finally:
                    kept = sum(len(event.data) for event in tcpserver.transcript)
                    assert kept <= 1024 * 1024 < 100_000_000 < len(data)
    """
    lines = printed(pytester, source).str().splitlines()
    assert sum(map(len, lines)) < 10_000
    assert len(lines) < 130  # Some 100; what pytest prints above them differs.
    text = "\n".join(lines)
    assert "E               Received: from byte 104,857,591: f7 f8 f9 fa fb fc fd fe ff" in text
    assert "more before" in text
    assert "990 steps more not reached" in text
