"""How a test ends whose client departs from the script, under every runner.

Always FAILED, once, in its call phase, with the server's reason in the first line and the
traceback at the line of the test where it was.
"""

from __future__ import annotations

import textwrap

import pytest
from runs import EVERY_RUNNER, INI, run

pytestmark = pytest.mark.parametrize("runner", EVERY_RUNNER)

MISMATCH = "Failed: Expected to read b'Bonjour' but actually read b'Goodbye'"

CLIENTS = """
    @fixture
    async def script(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        tcpserver.send_bytes(b"Salut")
        tcpserver.expect_disconnect()
        yield tcpserver

    async def client(server):
        async with await connect(server) as stream:
            await stream.send(b"Goodbye")
            await stream.receive()

    async def test_waits_for_a_reply(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            await stream.receive()  # here

    async def test_waits_for_something_else(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            await anyio.sleep(100)  # here

    async def test_helper_of_the_test(script):
        await client(script)

    async def test_reconnects_for_ever(script):
        # (anyio's connect_tcp() may leave a socket behind when it is cancelled.)
        while True:
            try:
                with socket.create_connection(script.address) as stream:
                    stream.send(b"Goodbye")
                    await anyio.sleep(0.001)
            except Exception:
                await anyio.sleep(0.001)

    async def test_joins_in_a_group(script):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client, script)
            await script.join()  # here

    async def test_joins_in_a_child(script):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(script.join)
            await client(script)

    async def test_client_in_a_group(script):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client, script)

    async def test_inside_of_a_timeout(script):
        with anyio.fail_after(30):
            await client(script)

    async def test_client_in_a_thread(script):
        def client():
            with socket.create_connection(script.address) as connection:
                connection.sendall(b"Goodbye")
                assert connection.recv(1) != b""
        await anyio.to_thread.run_sync(client)

    async def test_shielded(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.6)
            await anyio.sleep(100)

    async def test_raises_something_of_its_own(script):
        try:
            await client(script)
        except Exception:
            raise ValueError("lost")

    async def test_raises_before_the_server_knows(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            raise ValueError("mine")

    async def test_fails_by_pytest_fail(script):
        try:
            await client(script)
        except Exception:
            pytest.fail("lost")

    async def test_ends_without_a_word(script):
        try:
            await client(script)
        except Exception:
            pass

    async def test_ends_at_once(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")

    async def test_swallows_the_first_cancellation(script):
        async with await connect(script) as stream:
            await stream.send(b"Goodbye")
            try:
                await anyio.sleep(100)
            except BaseException:
                pass
            await anyio.sleep(100)

    async def test_never_looks_at_it(script):
        stream = await connect(script)
        await stream.send(b"Goodbye")
        try:
            await anyio.sleep(100)
        finally:
            await stream.aclose()
"""


def test_every_client_that_sends_the_wrong_bytes_is_told_so(pytester, runner):
    """Whatever it does then."""
    result = run(pytester, runner, CLIENTS, "-W", "error", "-k", "test_")
    assert result.passed == []
    assert {name: each[:3] for name, each in result.others.items()} == dict.fromkeys(
        [
            "test_waits_for_a_reply",
            "test_waits_for_something_else",
            "test_helper_of_the_test",
            "test_reconnects_for_ever",
            "test_joins_in_a_group",
            "test_joins_in_a_child",
            "test_client_in_a_group",
            "test_inside_of_a_timeout",
            "test_client_in_a_thread",
            "test_shielded",
            "test_raises_something_of_its_own",
            "test_raises_before_the_server_knows",
            "test_fails_by_pytest_fail",
            "test_ends_without_a_word",
            "test_ends_at_once",
            "test_swallows_the_first_cancellation",
            "test_never_looks_at_it",
        ],
        ("call", "failed", MISMATCH),
    )
    for name in (
        "test_waits_for_a_reply",
        "test_waits_for_something_else",
        "test_joins_in_a_group",
    ):
        assert result.others[name].at.endswith("# here"), name
    assert result.others["test_never_looks_at_it"].at == "await anyio.sleep(100)"
    assert result.others["test_helper_of_the_test"].at == "await stream.receive()"
    assert result.others["test_client_in_a_thread"].at == 'assert connection.recv(1) != b""'
    assert result.others["test_raises_something_of_its_own"].at == 'raise ValueError("lost")'
    text = result.others["test_raises_something_of_its_own"].text
    assert text.count("Then the client raised ValueError: lost\n") == 1
    for name, cancelled in (("test_waits_for_something_else", 1), ("test_waits_for_a_reply", 0)):
        text = result.others[name].text
        assert text.count("Then the client waited, and was cancelled after 0.2 s.") == cancelled
    for each in result.others.values():
        assert "site-packages" not in each.text
        assert "pytest_tcpclient" not in each.text
        assert "ExceptionGroup" not in each.text


BODIES = """
    async def test_own_error_before_any_failure(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour", timeout=10)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Bon")
            assert 1 == 2

    async def test_own_error_with_the_client_open(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour", timeout=10)
        client = socket.create_connection(tcpserver.address)
        left_open.append(client)
        client.send(b"Bon")
        assert 1 == 2

    async def test_own_timeout(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour", timeout=10)
        async with await connect(tcpserver) as stream:
            with anyio.fail_after(0.1):
                await stream.receive()

    async def test_connection_error_of_an_early_close(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        async with await connect(tcpserver) as stream:
            await stream.send(b"Bon")
        raise ConnectionError("closed")

    async def test_script_not_done_at_the_end(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")  # here
        stream = await connect(tcpserver)
        async with stream:
            pass

    async def test_declared_in_a_helper(tcpserver):
        def declare():
            tcpserver.expect_connect()
        declare()  # here

    async def test_left_open(tcpserver):
        tcpserver.expect_connect()
        left_open.append(socket.create_connection(tcpserver.address))  # here

    left_open = []

    async def test_says_more(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        async with await connect(tcpserver) as stream:
            await stream.send(b"Bonjour, world")

    async def test_one_connection_too_many(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_disconnect()
        async with await connect(tcpserver):
            pass
        await tcpserver.join()
        async with await connect(tcpserver):
            pass

    async def test_step_without_connection(tcpserver):
        tcpserver.expect_bytes(b"Bonjour")

    async def test_two_servers_both_fail(tcpserver_factory):
        one = await tcpserver_factory(name="one")
        two = await tcpserver_factory(name="two", timeout=0.1)
        one.expect_connect()
        two.expect_connect()
        await anyio.sleep(100)

    async def test_other_server_fails_during_join(tcpserver_factory):
        one = await tcpserver_factory(timeout=10)
        two = await tcpserver_factory(timeout=0.1)
        one.expect_connect()
        two.expect_connect()
        await one.join()  # here

    async def test_caught_and_another_fails(tcpserver_factory):
        one = await tcpserver_factory(timeout=0.1)
        one.expect_connect()
        with pytest.raises(pytest.fail.Exception, match="^Timed out waiting for client to conn"):
            await one.join()
        two = await tcpserver_factory(timeout=0.1)
        two.expect_connect()
        two.expect_bytes(b"Bonjour")
        async with await connect(two) as stream:
            await stream.receive()

    async def test_caught_and_own_error(tcpserver):
        tcpserver.expect_connect(timeout=0)
        with pytest.raises(ScriptMismatch):
            await tcpserver.join()
        await anyio.sleep(0.3)
        assert 1 == 2

    async def test_caught_is_settled(tcpserver):
        tcpserver.expect_connect(timeout=0)
        with pytest.raises(pytest.fail.Exception):
            await tcpserver.join()
        await anyio.sleep(0.6)
        await tcpserver.join()

    async def test_skipped(tcpserver):
        tcpserver.expect_connect()
        pytest.skip("not today")

    async def test_skipped_in_a_task(tcpserver):
        async def skip():
            pytest.skip("not today")

        tcpserver.expect_connect()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(skip)
            await anyio.sleep(100)

    async def test_expected_to_fail(tcpserver):
        tcpserver.expect_connect()
        pytest.xfail("known")

    @pytest.mark.xfail(strict=True)
    async def test_marked_as_expected_to_fail(tcpserver):
        tcpserver.expect_connect(timeout=0)

    @pytest.mark.tcpserver(timeout=0.1)
    async def test_time_of_the_marker(tcpserver, tcpserver_factory):
        tcpserver.expect_connect()
        other = await tcpserver_factory()
        other.expect_connect(timeout=0.2)
        with pytest.raises(ScriptMismatch):
            await tcpserver.join()
        assert other.failure is None

    @pytest.mark.tcpserver(strict=False)
    async def test_checks_switched_off(tcpserver):
        tcpserver.expect_connect()
        async with await connect(tcpserver), await connect(tcpserver) as stream:
            await stream.send(b"x")

    cleaned = []

    async def test_cleans_up(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        async with await connect(tcpserver) as stream:
            await stream.send(b"Goodbye")
            try:
                await anyio.sleep(100)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.05)
                cleaned.append(True)

    async def test_has_cleaned_up():
        assert cleaned == [True]

    async def test_closes_what_was_left_open():
        for client in left_open:
            client.close()

    class TestInAClass:
        async def test_passes(self, tcpserver):
            tcpserver.expect_connect()
            async with await connect(tcpserver):
                await tcpserver.join()

        async def test_fails(self, tcpserver):
            tcpserver.expect_connect(timeout=0)
            await tcpserver.join()  # here
"""


def test_every_body_ends_as_it_should(pytester, runner):
    """Its own errors stand, its own wishes are respected, and the checks are made."""
    result = run(pytester, runner, BODIES, "-W", "error")
    assert result.passed == [
        "test_caught_is_settled",
        "test_checks_switched_off",
        "test_has_cleaned_up",
        "test_closes_what_was_left_open",
        "TestInAClass::test_passes",
    ]
    others = {name: (each.outcome, each.line) for name, each in result.others.items()}
    own = ("failed", "assert 1 == 2")
    if runner.mark == "trio":  # pytest-trio wraps what a test raises.
        assert others.pop("test_own_error_before_any_failure")[0] == "failed"
        assert others.pop("test_own_error_with_the_client_open")[0] == "failed"
        assert others.pop("test_own_timeout")[0] == "failed"
        assert others.pop("test_caught_and_own_error")[0] == "failed"
    else:
        assert others.pop("test_own_error_before_any_failure") == own
        assert others.pop("test_own_error_with_the_client_open") == own
        assert others.pop("test_own_timeout") == ("failed", "TimeoutError")
        assert others.pop("test_caught_and_own_error") == own
    closed = "before the connection was closed."
    second = "Failed: Connection 2 was not expected."
    no_connection = "Failed: Timed out waiting for client to connect."
    assert {name: line for name, (outcome, line) in others.items() if outcome == "failed"} == {
        "test_connection_error_of_an_early_close": (
            f"Failed: Expected to read b'Bonjour' but only read b'Bon' {closed}"
        ),
        "test_script_not_done_at_the_end": (
            f"Failed: Expected to read b'Bonjour' but only read b'' {closed}"
        ),
        "test_declared_in_a_helper": no_connection,
        "test_left_open": "Failed: Client left connection 1 open.",
        "test_says_more": "Failed: Client sent b', world' after the script was done.",
        "test_one_connection_too_many": second,
        "test_step_without_connection": (
            "Failed: Missing `expect_connect()` before `expect_bytes(b'Bonjour')`"
        ),
        "test_two_servers_both_fail": no_connection,
        "test_other_server_fails_during_join": no_connection,
        "test_caught_and_another_fails": "Failed: Timed out waiting for b'Bonjour'",
        "test_time_of_the_marker": no_connection,
        "test_cleans_up": MISMATCH,
        "TestInAClass::test_fails": no_connection,
    }
    assert [name for name, (outcome, _) in others.items() if outcome == "skipped"] == [
        "test_skipped",
        "test_skipped_in_a_task",
        "test_expected_to_fail",
        "test_marked_as_expected_to_fail",
    ]
    for name in (
        "test_script_not_done_at_the_end",
        "test_declared_in_a_helper",
        "test_left_open",
        "test_other_server_fails_during_join",
        "TestInAClass::test_fails",
    ):
        assert result.others[name].at.endswith("# here"), name
    assert all(each.when == "call" for each in result.others.values())


def test_an_error_of_the_test_itself_is_told_where_the_script_stood(pytester, runner):
    """As a note on it, and a line about the connection that ended while it unwound."""
    result = run(pytester, runner, BODIES, "-k", "own_error_ or own_timeout or closes_what")
    for name in ("test_own_error_before_any_failure", "test_own_timeout"):
        text = result.others[name].text
        assert text.count("The connection ended when the server 127.0.0.1:") == 1
        assert text.count(" was at expect_bytes(b'Bonjour', timeout=10) (") == 1
    text = result.others["test_own_error_with_the_client_open"].text
    assert text.count("The server 127.0.0.1:") == 1
    assert text.count(" was at expect_bytes(b'Bonjour', timeout=10) (") == 1
    assert text.count("), with b'Bon' received.") == 1


BESIDE_JOIN = """
    async def raise_beside_join(tcpserver, error):
        "In a client that has closed its connection, and ends when join() has seen that."
        seen = anyio.Event()

        async def client():
            with anyio.CancelScope(shield=True):
                await (await connect(tcpserver)).aclose()
                await seen.wait()
            raise error

        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Bonjour")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client)
            try:
                await tcpserver.join()
            finally:
                seen.set()

    async def test_own_error(tcpserver):
        await raise_beside_join(tcpserver, KeyError("of the client"))

    async def test_lost_connection(tcpserver):
        await raise_beside_join(tcpserver, ConnectionResetError("of the client"))
"""


def test_an_error_of_the_client_wins_over_a_join_that_saw_it_close(pytester, runner):
    """Whichever of them the event loop lets raise first, unless its connection is all it lost."""
    result = run(pytester, runner, BESIDE_JOIN)
    closed = (
        "Failed: Expected to read b'Bonjour' but only read b'' before the connection was closed."
    )
    text = result.others["test_own_error"].text
    assert text.count("KeyError: 'of the client'") == 1
    assert text.count("The connection ended when the server 127.0.0.1:") == 1
    assert closed not in text
    assert result.others["test_lost_connection"].line == closed


def test_a_failure_that_a_cancellation_has_replaced(pytester, runner):
    """It was raised by join(), and is that of the test all the same."""
    source = """
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_bytes(b"Bonjour")
            async with await connect(tcpserver) as stream:
                await stream.send(b"Goodbye")
                try:
                    await anyio.sleep(60)  # here
                finally:
                    try:
                        with anyio.CancelScope(shield=True):
                            await tcpserver.join()
                    finally:
                        await anyio.sleep(1)
    """
    result = run(pytester, runner, source)
    failed = result.others["test_it"]
    assert (failed.when, failed.line) == ("call", MISMATCH)
    assert failed.at.endswith("# here")


FIXTURES = """
    @fixture
    async def client(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello")
            assert await stream.receive() == b"Welcome"
            yield stream
            await stream.send(b"Bye")

    async def test_closes_in_teardown(client, tcpserver):
        tcpserver.expect_bytes(b"Bye")
        tcpserver.expect_disconnect()

    async def test_says_something_else_in_teardown(client, tcpserver):
        tcpserver.expect_bytes(b"BYE")

    async def test_fails_in_its_body(client, tcpserver):
        tcpserver.expect_bytes(b"Good")
        await client.send(b"Goo")
        await tcpserver.join()  # here

    async def test_is_wrong_already_at_the_end_of_the_body(client, tcpserver):
        tcpserver.expect_bytes(b"Good")
        await client.send(b"Bad")

    @fixture
    async def wrong_client(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        async with await connect(tcpserver) as stream:
            await stream.send(b"HELLO")
            await stream.receive()  # here
            yield stream

    async def test_setup_waits_for_a_reply(wrong_client):
        pass

    @fixture
    async def wrong_client_that_does_not_mind(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        async with await connect(tcpserver) as stream:
            await stream.send(b"HELLO")
            try:
                await stream.receive()
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                pass
        return None

    async def test_is_not_run(wrong_client_that_does_not_mind):
        raise AssertionError

    @fixture
    async def slow_and_wrong_client(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        stream = await connect(tcpserver)
        await stream.send(b"HELLO")
        await anyio.sleep(0.3)  # Longer than the grace.
        yield stream
        await stream.aclose()

    async def test_is_not_run_either(slow_and_wrong_client):
        raise AssertionError

    @fixture
    async def slow_to_close(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        stream = await connect(tcpserver)
        yield stream
        await anyio.sleep(0.8)  # Longer than the grace and the time for a clean-up.
        await stream.aclose()

    async def test_wakes_up(slow_to_close):
        await slow_to_close.send(b"HELLO")
        await slow_to_close.receive()  # here

    async def test_is_cancelled(slow_to_close):
        await slow_to_close.send(b"HELLO")
        await anyio.sleep(100)  # here
"""


def test_fixtures_that_hold_the_client_work(pytester, runner):
    """What fails in a fixture is pytest's ERROR, with the server's first line."""
    result = run(pytester, runner, FIXTURES, "-W", "error")
    # pytest-trio runs the fixtures in the call phase of the test.
    trio = runner.mark == "trio"
    expected = {
        "test_says_something_else_in_teardown": (
            "call" if trio else "teardown",
            "Failed: Expected to read b'BYE' but actually read b'Bye'",
        ),
        "test_fails_in_its_body": ("call", "Failed: Timed out waiting for b'Good'"),
        "test_is_wrong_already_at_the_end_of_the_body": (
            "call",
            "Failed: Expected to read b'Good' but actually read b'Bad'",
        ),
        "test_setup_waits_for_a_reply": (
            "call" if trio else "setup",
            "Failed: Expected to read b'Hello' but actually read b'HELLO'",
        ),
        "test_is_not_run": (
            "call",
            "Failed: Expected to read b'Hello' but actually read b'HELLO'",
        ),
    }
    for name in "test_is_not_run_either", "test_wakes_up", "test_is_cancelled":
        expected[name] = expected["test_is_not_run"]
    assert {name: (each.when, each.line) for name, each in result.others.items()} == expected
    passed = ["test_closes_in_teardown", "test_says_something_else_in_teardown"]
    assert result.passed == (passed[:1] if trio else passed)
    assert result.others["test_fails_in_its_body"].at.endswith("# here")
    assert result.others["test_setup_waits_for_a_reply"].at.endswith("# here")
    assert result.others["test_wakes_up"].at.endswith("# here")
    assert result.others["test_is_cancelled"].at.endswith("# here")


GOODBYES = """
    @fixture
    async def client(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        async with await connect(tcpserver) as stream:
            yield stream
            await stream.send(b"Bye")
            await stream.receive()
            await stream.receive()

    async def test_woken(client):
        await client.send(b"HELLO")
        await client.receive()

    async def test_joined(client, tcpserver):
        await client.send(b"HELLO")
        await tcpserver.join()
"""


def test_a_client_that_says_goodbye_to_a_reset_connection(pytester, runner):
    """The teardown of a test that has failed does not fail once more because of that."""
    result = run(pytester, runner, GOODBYES)
    mismatch = "Failed: Expected to read b'Hello' but actually read b'HELLO'"
    assert [(name, *each[:3]) for name, each in result.others.items()] == [
        (name, "call", "failed", mismatch) for name in ("test_woken", "test_joined")
    ]
    assert result.passed == []


def test_a_teardown_that_fails_by_itself(pytester, runner):
    """It is reported after a failure, too; and after none, so is a connection that was lost."""
    source = """
        @pytest.fixture
        def errors():
            found = []
            yield found
            for error in found:
                raise error

        async def test_another_error(tcpserver, errors):
            errors.append(KeyError("of the teardown"))
            tcpserver.expect_connect()

        async def test_handling_one(tcpserver, errors):
            errors.append(AssertionError("at last"))
            errors[0].__context__ = ConnectionResetError("on the way")
            tcpserver.expect_connect()

        async def test_wrapped(tcpserver, errors):
            errors.append(ValueError("of the library"))
            errors[0].__cause__ = ConnectionResetError("of the teardown")
            tcpserver.expect_connect()

        async def test_no_failure(tcpserver, errors):
            errors.append(ConnectionResetError("of the teardown"))
    """
    pytester.makeini(INI)
    pytester.makepyfile(runner.header() + textwrap.dedent(source))
    result = pytester.runpytest("-p", "no:randomly", "-p", "no:rerunfailures")
    result.assert_outcomes(failed=3, passed=1, errors=3)
    result.stdout.fnmatch_lines(["E * KeyError: 'of the teardown'"])
    result.stdout.fnmatch_lines(["E * AssertionError: at last"])
    result.stdout.no_fnmatch_line("E * ValueError: of the library")
    result.stdout.fnmatch_lines(["E * ConnectionResetError: of the teardown"])


MANY = """
    import gc, threading

    @pytest.mark.parametrize("number", range(80))
    async def test_many(tcpserver, number):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        tcpserver.expect_disconnect()
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello" if number % 4 else b"Goodbye")
            await stream.receive()
        await tcpserver.join()

    def open_sockets():
        gc.collect()
        return [each for each in gc.get_objects() if type(each) is socket.socket
                and each.fileno() != -1 and each.family in (socket.AF_INET, socket.AF_INET6)]

    before = open_sockets()

    async def test_nothing_is_left():
        assert [each for each in open_sockets() if each not in before] == []
        names = [thread.name for thread in threading.enumerate()]
        assert [name for name in names if "tcpclient" in name] == []
        if "asyncio" in str(anyio.get_current_task()):
            assert len(asyncio.all_tasks()) <= 2
"""


def test_nothing_lasts(pytester, runner):
    """After 80 tests of which 20 fail: no error, no warning, no socket, thread or task."""
    result = run(pytester, runner, MANY, "-W", "error")
    assert len(result.passed) == 61
    assert result.passed[-1] == "test_nothing_is_left"
    assert [each[:3] for each in result.others.values()] == [
        ("call", "failed", "Failed: Expected to read b'Hello' but actually read b'Goodb'")
    ] * 20
