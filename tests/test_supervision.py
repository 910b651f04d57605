"""How a test ends whose client departs from the script, under every runner.

Always FAILED, once, in its call phase, with the server's reason in the first line and the
traceback at the line of the test where it was.
"""

from __future__ import annotations

import pytest
from runs import EVERY_RUNNER, Result, run

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
        while True:
            try:
                await client(script)
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
        with anyio.fail_after(5):
            await client(script)

    async def test_client_in_a_thread(script):
        def client():
            with socket.create_connection(script.address) as connection:
                connection.sendall(b"Goodbye")
                connection.recv(1)
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
    assert result.others["test_client_in_a_thread"].at == "connection.recv(1)"
    assert result.others["test_raises_something_of_its_own"].at == 'raise ValueError("lost")'
    text = result.others["test_raises_something_of_its_own"].text
    assert text.count("Then the client raised ValueError: lost\n") == 1
    for each in result.others.values():
        assert "site-packages" not in each.text
        assert "pytest_tcpclient" not in each.text
        assert "ExceptionGroup" not in each.text
