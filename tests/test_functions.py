"""What a function of the script raises ends the test with its own error, under every runner."""

from __future__ import annotations

import pytest
from runs import EVERY_RUNNER, run

pytestmark = pytest.mark.parametrize("runner", EVERY_RUNNER)

SOURCE = """
    def broken(line):
        return line["x"]  # in the function

    async def plays(stream):
        assert await stream.receive() == b"Bonjour"  # in the function

    async def test_the_client_waits_for_a_reply(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_line()
        tcpserver.send_bytes(broken)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello\\n")
            await stream.receive()  # here

    async def test_the_client_waits_for_something_else(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_line()
        tcpserver.send_bytes(broken)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello\\n")
            await anyio.sleep(100)  # here

    async def test_join(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_line()
        tcpserver.send_bytes(broken)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello\\n")
            await tcpserver.join()  # here

    async def test_join_in_a_group(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_line()
        tcpserver.send_bytes(broken)
        async with await connect(tcpserver) as stream, anyio.create_task_group() as tasks:
            await stream.send(b"Hello\\n")
            tasks.start_soon(tcpserver.join)
            await anyio.sleep(100)

    async def test_only_the_end_of_the_test_knows(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_line()
        tcpserver.send_bytes(broken)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello\\n")

    async def test_a_function_that_plays_the_server(tcpserver):
        tcpserver.expect_connect()
        tcpserver.run(plays)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello")
            await stream.receive()  # here

    async def test_a_function_that_skips(tcpserver):
        tcpserver.expect_connect()
        tcpserver.send_bytes(lambda: pytest.skip("not today"))
        async with await connect(tcpserver) as stream:
            await stream.receive()

    async def test_a_function_that_fails_by_pytest_fail(tcpserver):
        tcpserver.expect_connect()
        tcpserver.send_bytes(lambda: pytest.fail("my own reason"))
        async with await connect(tcpserver) as stream:
            await stream.receive()

    async def test_caught(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_line()
        tcpserver.send_bytes(broken)
        async with await connect(tcpserver) as stream:
            await stream.send(b"Hello\\n")
            with pytest.raises(TypeError):
                await tcpserver.join()
"""


def test_an_error_of_a_function_is_the_error_of_the_test(pytester, runner):
    """Once, in the call phase; the traceback ends in the function."""
    result = run(pytester, runner, SOURCE, "-W", "error")
    assert result.passed == ["test_caught"]
    others = result.others
    assert {each.when for each in others.values()} == {"call"}
    assert others.pop("test_a_function_that_skips").outcome == "skipped"
    assert others.pop("test_a_function_that_fails_by_pytest_fail").line == "Failed: my own reason"
    plays = others.pop("test_a_function_that_plays_the_server")
    assert plays.line == "AssertionError: assert b'Hello' == b'Bonjour'"
    assert plays.at.endswith("# in the function")
    assert len(others) == 5
    for name, each in others.items():
        assert each.line == "TypeError: byte indices must be integers or slices, not str", name
        assert each.at == 'return line["x"]  # in the function', name
        assert each.text.count("Raised by the script of the server 127.0.0.1:") == 1, name
    for each in (plays, *others.values()):
        assert "site-packages" not in each.text
        assert "pytest_tcpclient" not in each.text.replace("pytest_tcpclient._run.Stream", "")
        assert "ExceptionGroup" not in each.text
        assert "During handling of the above" not in each.text
    for name in ("test_the_client_waits_for_a_reply", "test_join"):
        assert "# here\n" in others[name].text
