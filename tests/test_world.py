"""pytest's world: other plugins, and the options with which people run their tests."""

from __future__ import annotations

import importlib.util
import sys
import textwrap

import pytest
from runs import EVERY_RUNNER, INI, RUNNERS, run

HELLO = """
    async def hello(tcpserver, said=b"Hello"):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        tcpserver.expect_disconnect()
        async with await connect(tcpserver) as stream:
            await stream.send(said)
            assert await stream.receive() == b"Welcome"
        await tcpserver.join()
"""

WRONG = "E * Failed: Expected to read b'Hello' but actually read b'HELLO'"


@pytest.fixture
def tests(pytester):
    """Makes test files for one runner, and runs them in a process of their own."""

    def run_tests(runner, source, *arguments, files=1, timeout=100):
        pytester.makeini(INI)
        text = runner.header() + textwrap.dedent(HELLO) + textwrap.dedent(source)
        for number in range(files):
            pytester.makepyfile(**{f"test_{number}": text})
        return pytester.runpytest_subprocess(*arguments, timeout=timeout)

    return run_tests


TWO_CLASSES = """
    class TestOne:
        @pytest.mark.parametrize("number", range(5))
        async def test_right(self, tcpserver, number):
            await hello(tcpserver)

        async def test_wrong(self, tcpserver):
            await hello(tcpserver, b"HELLO")

    class TestTwo(TestOne):
        pass
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_several_processes(tests, runner):
    """pytest-xdist: a failure travels from a worker with its text."""
    pytest.importorskip("xdist")
    result = tests(runner, TWO_CLASSES, "-n", "2", "--dist", "loadscope", "-W", "error", files=2)
    result.assert_outcomes(passed=20, failed=4)
    result.stdout.fnmatch_lines([">   *assert await stream.receive() == b*", WRONG])
    result.stdout.no_fnmatch_line("*_pickle*")


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_runs_again(tests, runner):
    """pytest-rerunfailures: each run is supervised anew, and its failure is its own."""
    pytest.importorskip("pytest_rerunfailures")
    source = """
        said = [b"Hello", b"HELLO"]

        async def test_flaky(tcpserver):
            await hello(tcpserver, said.pop())

        async def test_wrong(tcpserver):
            await hello(tcpserver, b"HELLO")
    """
    result = tests(runner, source, "--reruns", "2", "-W", "error", "-p", "no:randomly")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1, "rerun": 3}
    result.stdout.fnmatch_lines([WRONG])


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_many_times_in_any_order(tests, runner):
    """pytest-repeat and pytest-randomly."""
    pytest.importorskip("pytest_repeat")
    pytest.importorskip("pytest_randomly")
    result = tests(runner, TWO_CLASSES, "-W", "error", "--count", "3", "-p", "randomly")
    result.assert_outcomes(passed=30, failed=6)


def test_only_the_failed_ones_again(tests, pytester):
    """-x and --lf."""
    runner = RUNNERS["anyio on asyncio"]
    options = ("-p", "no:randomly", "-p", "no:xdist")
    tests(runner, TWO_CLASSES, "-x", *options).assert_outcomes(passed=5, failed=1)
    result = pytester.runpytest_subprocess("--lf", *options, timeout=100)
    result.assert_outcomes(failed=1, deselected=11)
    result.stdout.fnmatch_lines([WRONG])


WITH_A_PROMPT = """
    async def test_wrong(tcpserver):
        await hello(tcpserver, b"HELLO")
"""


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_a_debugger_opens_at_the_line_of_the_test(tests, pytester, runner):
    """--pdb."""
    tests(runner, WITH_A_PROMPT, "--collect-only")
    result = pytester.run(
        *(sys.executable, "-m", "pytest", "--pdb", "-p", "no:randomly", "-p", "no:xdist"),
        stdin=b"p 'said', said\nc\n",
        timeout=100,
    )
    result.stdout.fnmatch_lines(
        [
            "*Expected to read b'Hello' but actually read b'HELLO'",
            "> *test_0.py(*)hello()",
            "-> assert await stream.receive() == b*",
            "*('said', b'HELLO')",
        ]
    )
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_clocks_stand_at_a_prompt(tests, pytester, runner):
    """breakpoint() in a test whose timeouts are 0.3 s."""
    source = """
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Hello")
            async with await connect(tcpserver) as stream:
                breakpoint()
                await anyio.sleep(0.1)
                await stream.send(b"Hello")
                await tcpserver.join()
    """
    tests(runner, source, "--collect-only")
    result = pytester.run(
        *(sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:xdist"),
        stdin=b"import time; time.sleep(1)\nc\n",
        timeout=100,
    )
    result.stdout.fnmatch_lines(["(Pdb)*"])
    result.assert_outcomes(passed=1)


STEPS = """
    import pytest

    @pytest.fixture
    def server(blocking_tcpserver):
        return blocking_tcpserver

    def test_fails(server):
        server.expect_connect(timeout=0)

    class TestInAClass:
        @pytest.mark.parametrize("number", [1])
        def test_fails(self, server, number):
            server.expect_connect(timeout=0)
"""


@pytest.mark.parametrize("command", ["continue", "next"])
def test_every_step_of_a_sync_test_from_its_first_line(pytester, command):
    """--trace opens in the test, not in what watches it; and its end is waited for."""
    pytester.makeini(INI)
    pytester.makepyfile(textwrap.dedent(STEPS))
    result = pytester.run(
        *(sys.executable, "-m", "pytest", "--trace", "-p", "no:randomly", "-p", "no:xdist"),
        # At the end of a test some Pythons stop once, some twice.
        stdin=f"{command}\n".encode() * 6,
        timeout=100,
    )
    stops = [line for line in result.outlines if line.startswith("-> ")]
    assert stops[0] == "-> server.expect_connect(timeout=0)"
    assert command == "next" or stops == stops[:1] * 2
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E * Failed: Timed out waiting for client to connect."])


def test_a_debugger_of_the_users_own_gets_the_test_itself(pytester):
    """Of ``--trace`` and ``--pdbcls``."""
    pytester.makeini(INI)
    pytester.makepyfile(textwrap.dedent(STEPS))
    pytester.makepyfile(
        debugger="""
            import pdb

            class Debugger(pdb.Pdb):
                def runcall(self, function):
                    print("called:", function.func.__qualname__)
                    function()
        """
    )
    pytester.syspathinsert()
    result = pytester.runpytest("--trace", "--pdbcls=debugger:Debugger", "-p", "no:randomly")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*called: test_fails", "*called: TestInAClass.test_fails"])


HYPOTHESIS = """
    from hypothesis import HealthCheck, given, settings, strategies as st

    no_health_check = settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )

    @given(st.binary(min_size=1))
    @no_health_check
    async def test_right(tcpserver_factory, data):
        server = await tcpserver_factory()
        server.expect_connect()
        server.expect_bytes(data)
        server.send_bytes(data)
        server.expect_disconnect()
        async with await connect(server) as stream:
            await stream.send(data)
            assert await stream.receive() == data[:65536]
        await server.join()

    @given(st.binary(min_size=1))
    @no_health_check
    async def test_wrong(tcpserver_factory, data):
        server = await tcpserver_factory()
        await hello(server, data[:1] + b"ello" if data[0] < 7 else b"Hello")

    @given(st.sampled_from([b"Hello", b"HELLO"]))
    @no_health_check
    async def test_fixture(tcpserver, data):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.expect_disconnect()
        async with await connect(tcpserver) as stream:
            await stream.send(data)
        await tcpserver.join()

    @given(st.booleans())
    @no_health_check
    async def test_caught(tcpserver, data):
        tcpserver.expect_connect(timeout=0)
        with pytest.raises(ScriptMismatch):
            await tcpserver.join()

    async def test_afterwards(tcpserver):
        await hello(tcpserver)
"""


@pytest.mark.parametrize(
    "runner",
    # pytest-trio sets up its fixtures in its own way for each example, which fails by itself.
    [each for each in EVERY_RUNNER if each.id != "pytest-trio"],
)
def test_the_examples_of_hypothesis(pytester, runner):
    """Each is supervised; the fixtures are set up once."""
    pytest.importorskip("hypothesis")
    result = run(pytester, runner, textwrap.dedent(HELLO) + textwrap.dedent(HYPOTHESIS))
    assert result.passed == ["test_right", "test_afterwards"]
    assert {each.when for each in result.others.values()} == {"call"}
    # The smallest example that fails.
    text = result.others["test_wrong"].text
    assert "Failed: Expected to read b'Hello' but actually read b'\\x00ello'" in text
    assert "data=b'\\x00'," in text
    # A server of a fixture does not serve another example once it has failed.
    text = result.others["test_fixture"].text
    assert "Failed: Expected to read b'Hello' but actually read b'HELLO'" in text
    assert text.count("The script has failed in an earlier example.") == 1
    assert text.count("A fixture is set up once for all examples") == 1
    text = result.others["test_caught"].text
    assert "ScriptError: The script has failed in an earlier example." in text


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_tests_of_another_kind_beside_it(pytester, runner):
    """Plain functions and unittest's classes are run as ever."""
    plain = """
        import unittest

        class TestCase(unittest.TestCase):
            def test_right(self):
                self.assertEqual(1, 1)

            def test_wrong(self):
                self.assertEqual(1, 2)

        def test_plain():
            pass
    """
    pytester.makepyfile(test_plain=plain)
    source = textwrap.dedent(HELLO) + "async def test_it(tcpserver): await hello(tcpserver)"
    result = run(pytester, runner, source, "-W", "error")
    assert result.passed == ["TestCase::test_right", "test_plain", "test_it"]
    assert list(result.others) == ["TestCase::test_wrong"]


@pytest.mark.parametrize("runner", EVERY_RUNNER)
def test_each_plugin_alone(tests, runner):
    """The two plugins that do not run the test need not be there."""
    others = {"anyio", "asyncio", "trio"} - {runner.mark}
    without = [word for name in sorted(others) for word in ("-p", f"no:{name}")]
    # The settings of a plugin that is not there would be unknown ones.
    without += ["-W", "ignore:Unknown config option"]
    result = tests(runner, TWO_CLASSES, *without)
    result.assert_outcomes(passed=10, failed=2)
    result.stdout.fnmatch_lines([WRONG])


@pytest.mark.skipif(importlib.util.find_spec("pytest_asyncio") is None, reason="see above")
def test_without_pytest_asyncio_its_fixtures_are_not_made(pytester):
    """In this process, too."""
    runner = RUNNERS["anyio on asyncio"]
    options = ("-p", "no:asyncio", "-W", "ignore:Unknown config option")
    result = run(pytester, runner, "async def test_it(tcpserver): pass", *options)
    assert result.passed == ["test_it"]
    pytester.runpytest("-p", "no:asyncio", "--fixtures", "-v").stdout.no_fnmatch_line(
        "*_tcpclient_factory_in_*"
    )


@pytest.mark.parametrize(
    "runner",
    # anyio's plugin does not run a test that pytest has wrapped for --trace.
    [each for each in EVERY_RUNNER if not each.id.startswith("anyio")],
)
def test_every_step_from_the_first_line(tests, pytester, runner):
    """--trace."""
    tests(runner, "async def test_it(tcpserver): await hello(tcpserver)", "--collect-only")
    result = pytester.run(
        *(sys.executable, "-m", "pytest", "--trace", "-p", "no:randomly", "-p", "no:xdist"),
        stdin=b"c\n",
        timeout=100,
    )
    result.stdout.fnmatch_lines(["(Pdb)*"])
    result.assert_outcomes(passed=1)
