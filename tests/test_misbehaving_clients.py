"""Every way in which a client can misbehave, as a user meets it, under every runner.

Each test is FAILED once, in its call phase, with the right first line, and in time: within three
seconds, on a machine that has nothing else to do.
"""

from __future__ import annotations

import re

import pytest
from runs import DEFAULTS, EVERY_RUNNER, INI, run

pytestmark = pytest.mark.parametrize("runner", EVERY_RUNNER)

SCRIPT = """
    import struct, time

    @fixture
    async def script(tcpserver):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(b"Welcome")
        tcpserver.expect_bytes(b"Bye")
        tcpserver.expect_disconnect()
        return tcpserver
"""

CLIENTS = """
    async def test_is_silent(script):
        async with await connect(script) as stream:
            await stream.receive()

    async def test_never_connects(script):
        await anyio.sleep(100)

    async def test_sends_a_part(script):
        async with await connect(script) as stream:
            await stream.send(b"Hel")
            await stream.receive()

    async def test_closes_early(script):
        async with await connect(script) as stream:
            await stream.send(b"Hel")
        await anyio.sleep(100)

    async def test_half_closes(script):
        async with await connect(script) as stream:
            await stream.send(b"Hello")
            await stream.send_eof()
            await stream.receive()
            await anyio.sleep(100)

    async def test_resets(script):
        with socket.create_connection(script.address) as client:
            client.send(b"Hello")
            await anyio.to_thread.run_sync(client.recv, 100)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.sleep(100)

    async def test_never_reads(tcpserver):
        tcpserver.expect_connect()
        tcpserver.send_bytes(b"x" * 50_000_000)
        async with await connect(tcpserver):
            await anyio.sleep(100)

    async def test_closes_while_the_server_sends(tcpserver):
        tcpserver.expect_connect()
        tcpserver.send_bytes(b"x" * 50_000_000)
        async with await connect(tcpserver) as stream:
            await stream.receive()
        await anyio.sleep(100)

    async def test_says_more(script):
        async with await connect(script) as stream:
            await stream.send(b"Hello, world")
            await stream.receive()
            await anyio.sleep(100)

    async def test_says_more_at_the_end(script):
        async with await connect(script) as stream:
            await stream.send(b"Hello")
            await stream.receive()
            await stream.send(b"Bye!")
            await stream.receive()

    async def test_never_closes(script):
        async with await connect(script) as stream:
            await stream.send(b"Hello")
            await stream.receive()
            await stream.send(b"Bye")
            await anyio.sleep(100)

    async def test_opens_another_connection(script):
        async with await connect(script) as stream:
            await stream.send(b"Hello")
            await stream.receive()
            async with await connect(script) as another:
                await another.send(b"Bye")
                await another.receive()

    async def test_connects_1000_times(tcpserver):
        tcpserver.expect_connect()
        for _ in range(1000):
            with socket.create_connection(tcpserver.address):
                await anyio.sleep(0)
        await anyio.sleep(100)

    async def test_sends_garbage(script):
        async with await connect(script) as stream:
            await stream.send(b"x" * 100_000_000)
            await anyio.sleep(100)

    async def test_sends_garbage_at_the_end(tcpserver):
        tcpserver.expect_connect()
        async with await connect(tcpserver) as stream:
            await stream.send(b"x" * 100_000_000)
            await anyio.sleep(100)

    async def test_sits_in_a_shielded_scope(script):
        async with await connect(script) as stream:
            await stream.send(b"HELLO")
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
            await anyio.sleep(100)

    async def test_catches_every_exception_and_connects_again(script):
        while True:
            try:
                with socket.create_connection(script.address, timeout=5) as client:
                    client.send(b"HELLO")
                    await anyio.to_thread.run_sync(client.recv, 1)
            except Exception:
                pass

    async def test_connects_again_in_a_thread_until_it_is_refused(script):
        def client():
            while True:
                try:
                    with socket.create_connection(script.address, timeout=5) as client:
                        client.send(b"HELLO")
                        client.recv(1)
                except ConnectionRefusedError:
                    return
                except ConnectionError:
                    pass

        await anyio.to_thread.run_sync(client)
"""

WRONG = "Expected to read b'Hello' but actually read b'HELLO'"

LINES = {
    "is_silent": "Timed out waiting for b'Hello'",
    "never_connects": "Timed out waiting for client to connect.",
    "sends_a_part": "Timed out waiting for b'Hello'",
    "closes_early": (
        "Expected to read b'Hello' but only read b'Hel' before the connection was closed."
    ),
    "half_closes": "Expected to read b'Bye' but only read b'' before the connection was closed.",
    "resets": "Expected to read b'Bye' but only read b'' before the connection was reset.",
    "never_reads": "Timed out sending to the client: NUMBER of 50,000,000 bytes were accepted.",
    "closes_while_the_server_sends": "Connection was reset.",
    "says_more": "Expected to read b'Bye' but actually read b', w'",
    "says_more_at_the_end": (
        "Received unexpected data while waiting for client to disconnect. Data is b'!'."
    ),
    "never_closes": "Timed out waiting for client to disconnect.",
    "opens_another_connection": "While waiting for b'Bye' a second connection was attempted.",
    "connects_1000_times": "Connection 2 was not expected.",
    "sends_garbage": "Expected to read b'Hello' but actually read b'xxxxx'",
    "sends_garbage_at_the_end": (
        f"Client sent b'{'x' * 80}'... (NUMBER bytes) after the script was done."
    ),
    "sits_in_a_shielded_scope": WRONG,
    "catches_every_exception_and_connects_again": WRONG,
    "connects_again_in_a_thread_until_it_is_refused": WRONG,
}

#: Under pytest-asyncio they stand in the first line.
HINTS = {
    "closes_while_the_server_sends": " Did client close writer prematurely?",
    "never_closes": " Remember to call `writer.close()`.",
}


#: Seconds. Some of them keep a processor busy for one, and others may want it, too.
IN_TIME = 10


def test_every_client_is_ended_in_time(pytester, runner):
    """And the server says what was wrong."""
    # Once for each library as it is for those who have set nothing; that takes long.
    plain = runner.mark == "anyio" and not runner.uvloop
    ini = DEFAULTS if plain else INI
    result = run(pytester, runner, SCRIPT + CLIENTS, "-W", "error", ini=ini)
    assert result.passed == []
    hints = HINTS if runner.mark == "asyncio" else {}
    # How much a kernel takes for a client that does not read it is not for us to say.
    number = re.compile(r"\d[\d,]*(?= bytes\)| of 50)")
    assert {
        name: (each.when, each.outcome, number.sub("NUMBER", each.line))
        for name, each in result.others.items()
    } == {
        f"test_{name}": ("call", "failed", f"Failed: {line}{hints.get(name, '')}")
        for name, line in LINES.items()
    }
    late = {name: each.seconds for name, each in result.others.items() if each.seconds >= IN_TIME}
    assert late == {}
