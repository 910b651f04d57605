"""Many connections: whose they are, when they are refused, and when there shall be none."""

from __future__ import annotations

import os
import socket
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from clients import connect, failure_of, receive_all, receive_exactly, without_times

from pytest_tcpclient import ScriptError, ScriptMismatch, line

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=10)]


# first=


async def test_connections_that_come_in_any_order(tcpserver):
    """Each is told by what it says first, which is still to be expected."""
    alice = tcpserver.expect_connect(first=b"ALICE")
    alice.expect_bytes(b"ALICE")
    alice.send_bytes(b"Hello, Alice")
    bob = tcpserver.expect_connect(first=line(b"BOB"))
    bob.expect_line(b"BOB")
    bob.send_bytes(b"Hello, Bob")
    async with await connect(tcpserver) as second, await connect(tcpserver) as first:
        await second.send(b"BO")
        await second.send(b"B\n")
        assert await receive_exactly(second, 10) == b"Hello, Bob"
        await first.send(b"ALICE")
        assert await receive_exactly(first, 12) == b"Hello, Alice"
        await tcpserver.join()
    assert alice.client_address != bob.client_address


async def test_a_connection_that_is_claimed_while_it_is_looked_at(tcpserver):
    """What it has said is not lost, and it is listened to by one only."""
    tcpserver.expect_connect(first=b"ALICE").expect_bytes(b"ALICE")
    async with await connect(tcpserver) as client:
        await client.send(b"BOB")
        with anyio.fail_after(5):
            while not (tcpserver._reception.oldest and tcpserver._reception.oldest.received):
                await anyio.lowlevel.checkpoint()
        bob = tcpserver.expect_connect()
        bob.expect_bytes(b"BOB!")
        await client.send(b"!")
        async with await connect(tcpserver) as other:
            await other.send(b"ALICE")
            await tcpserver.join()


async def test_a_connection_that_ends_while_it_is_looked_at(tcpserver):
    """It goes to whoever takes any."""
    tcpserver.expect_connect(first=b"ALICE").expect_bytes(b"ALICE")
    other = tcpserver.expect_connect()
    other.expect_bytes(b"AL")
    other.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"AL")
    async with await connect(tcpserver) as client:
        await client.send(b"ALICE")
        await tcpserver.join()


@pytest.mark.tcpserver(timeout=0.2)
async def test_nobody_says_what_was_to_be_said_first(tcpserver):
    """The connection that came is named."""
    tcpserver.expect_connect(first=b"ALICE")
    async with await connect(tcpserver) as client:
        await client.send(b"BOB")
        line_ = await failure_of(tcpserver)
    assert line_ == "Connection 1 was not expected."


async def test_a_connection_nobody_wants_is_looked_at_and_let_go(tcpserver_factory):
    """At the end of the test it is aborted like any other."""
    server = await tcpserver_factory(check_extra_connections=False)
    server.expect_connect(first=b"ALICE", optional=True, timeout=0.05)
    async with await connect(server) as client:
        await client.send(b"BOB")
        await server.join()


class Broken:
    """A matcher of the test's own that has a fault."""

    def match(self, buffer):
        """Fail."""
        raise ZeroDivisionError("my own fault")


async def test_what_a_matcher_of_first_raises_fails_the_test(tcpserver):
    """With its own error, like that of every other function of a script."""
    tcpserver.expect_connect(first=Broken())
    async with await connect(tcpserver) as client:
        await client.send(b"x")
        with pytest.raises(ZeroDivisionError, match=r"^my own fault") as caught:
            await tcpserver.join()
    [note] = caught.value.__notes__
    assert " at expect_connect(first=<Broken>) (" in note


async def test_a_factory_stops_while_a_connection_is_looked_at(tcpserver_factory):
    """It is let go like any other, and that is no failure."""
    server = await tcpserver_factory(check_extra_connections=False)
    server.expect_connect(first=b"ALICE", optional=True, timeout=0.05)
    async with await connect(server) as client:
        await client.send(b"BOB")
        await server.join()
        await tcpserver_factory.stop()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
    assert server.failure is None


@pytest.mark.parametrize("first", [b"", "ALICE", 5])
async def test_what_first_can_be(tcpserver, first):
    """Bytes or a matcher."""
    with pytest.raises((TypeError, ValueError), match=r"^first must "):
        tcpserver.expect_connect(first=first)


@pytest.mark.parametrize("check", [True, False])
async def test_what_a_connection_has_said_that_nobody_claimed(tcpserver_factory, check):
    """The failure shows it, with what it should have been."""
    server = await tcpserver_factory(timeout=0.1, check_extra_connections=check)
    server.expect_connect(first=line(b"ALICE"))
    async with await connect(server) as client:
        await client.send(b"BOB\n")
        with pytest.raises(ScriptMismatch) as caught:
            await server.join()
    text = str(caught.value)
    first = (
        "Connection 1 was not expected." if check else "Timed out waiting for client to connect."
    )
    assert text.startswith(first)
    assert (
        "Expected: a connection that begins with line(b'ALICE')\n"
        "Received: b'BOB\\n' on connection 1"
    ) in text
    assert "on purpose" not in text


async def test_a_connection_that_says_what_is_expected_on_another(tcpserver):
    """The hint knows what the other connections wait for."""
    tcpserver.expect_connect().expect_bytes(b"ALICE")
    tcpserver.expect_connect().expect_bytes(b"BOB\n")
    async with await connect(tcpserver) as client:
        await client.send(b"BOB\n")
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    _, hint, *_ = str(caught.value).split("\n")
    assert hint.startswith("That is expected on connection 2, by `expect_bytes(b'BOB\\n')` (")


# A pool


@pytest.mark.parametrize("size", [100])
async def test_a_pool(tcpserver, size):
    """Each connection has a script of its own, and all are there at once."""
    for number in range(size):
        connection = tcpserver.expect_connect()
        connection.expect_line()
        connection.send_line(lambda line, number=number: b"%d: %b" % (number, line))
        connection.expect_disconnect()

    async def client(number, ready, all_ready):
        async with await connect(tcpserver) as stream:
            ready.append(number)
            await all_ready.wait()
            await stream.send(b"hello\n")
            reply = await receive_exactly(stream, 9 if number < 10 else 10)
            assert reply == b"%d: hello\n" % number

    ready: list[int] = []
    all_ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for number in range(size):
            tasks.start_soon(client, number, ready, all_ready)
            while len(ready) <= number:  # So that the n-th is the n-th.
                await anyio.lowlevel.checkpoint()
        all_ready.set()
    await tcpserver.join()


@pytest.fixture
def many_descriptors():
    """As many as both ends of a thousand connections need."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2_500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} descriptors are needed, and {hard} can be had")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def descriptors(factory):
    """How many this process has open when it has no server."""
    server = await factory()
    server.expect_connect()
    async with await connect(server):  # uvloop keeps one in reserve from the first on.
        await server.join()
    await factory.stop()
    return len(os.listdir("/dev/fd"))


async def ask_on_a_thousand(server):
    """Connect so many times, and ask on all of them when all are there, the last one first."""
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await connect(server)) for _ in range(1_000)]
        for number, stream in reversed(list(enumerate(streams))):
            await stream.send(b"%d\n" % number)
        return [await receive_exactly(stream, 3) for stream in streams]


def answer_on_a_thousand(server, *, wrong=None):
    """A script for each connection."""
    for number in range(1_000):
        connection = server.expect_connect()
        connection.expect_line(b"%d" % (-1 if number == wrong else number))
        connection.send_line(b"%02d" % (number % 100))
        connection.expect_disconnect()


async def all_are_closed(before):
    """Wait until no more descriptors are open than there were."""
    with anyio.fail_after(10):
        while len(os.listdir("/dev/fd")) > before:
            await anyio.lowlevel.checkpoint()


async def test_a_thousand_connections_at_once(tcpserver_factory, many_descriptors):
    """Each has a script of its own, and nothing is left of any of them."""
    before = await descriptors(tcpserver_factory)
    server = await tcpserver_factory()
    answer_on_a_thousand(server)
    answers = await ask_on_a_thousand(server)
    assert answers == [b"%02d\n" % (number % 100) for number in range(1_000)]
    await server.join()
    assert len({connection.client_address for connection in server.connections}) == 1_000
    await tcpserver_factory.stop()
    await all_are_closed(before)


@pytest.mark.usefixtures("long_grace")  # A client sees the reset when it is done with the others.
async def test_a_wrong_one_of_a_thousand(tcpserver_factory, many_descriptors):
    """The others are reset, and nothing is left of them, either."""
    before = await descriptors(tcpserver_factory)
    server = await tcpserver_factory()
    answer_on_a_thousand(server, wrong=700)
    with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
        await ask_on_a_thousand(server)
    assert await failure_of(server) == "Expected to get line b'-1' but actually got line b'700'"
    await tcpserver_factory.stop()
    await all_are_closed(before)


# One too many


async def test_a_second_connection_when_the_first_has_been_closed(tcpserver):
    """That the first one has been closed is seen first, however late both are seen."""
    connection = tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    tcpserver.wait(0.1)  # uvloop does not accept it at once.
    with socket.create_connection(tcpserver.address) as first:
        await connection.wait()
        first.close()  # From here on the event loop does not run.
        with socket.create_connection(tcpserver.address):
            assert await failure_of(tcpserver) == "Connection 2 was not expected."


# No connection


async def test_nobody_connects_for_a_while(tcpserver):
    """And then somebody does."""
    quiet = tcpserver.expect_no_connection(0.2)
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    await quiet.wait()
    async with await connect(tcpserver):
        pass
    await tcpserver.join()


async def test_somebody_connects_too_soon(tcpserver):
    """Although that connection would be expected later."""
    tcpserver.expect_connect()
    tcpserver.send_reset()
    tcpserver.expect_no_connection(5)
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
    # anyio's client would see the reset, too.
    with socket.create_connection(tcpserver.address), pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    text = str(caught.value).splitlines()
    assert text[0] == "Expected no connection, but the client opened connection 2."
    assert text[2] == f"Script of {tcpserver.name}:"
    assert [line.rpartition("  ")[0].rstrip() for line in map(without_times, text[3:])] == [
        "  done         expect_connect()",
        "  done         send_reset()",
        "> failed       expect_no_connection(5)",
        "  not reached  expect_connect()",
    ]


# Refusing


async def refused(server):
    """Whether a client is refused on all the addresses of the server."""

    def attempt():
        for host in ("127.0.0.1", "::1"):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, server.port), timeout=5)

    await anyio.to_thread.run_sync(attempt)
    return True


async def test_drop_and_refuse_and_accept_again(tcpserver):
    """A script that reads from top to bottom, on one port."""
    tcpserver.expect_connect()
    tcpserver.send_reset()
    stopped = tcpserver.stop_listening()
    tcpserver.wait(0.2)
    tcpserver.resume_listening()
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello again")
    tcpserver.disconnect()
    tcpserver.expect_disconnect()

    async with await connect(tcpserver) as client:
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
    await stopped.wait()
    assert await refused(tcpserver)
    with anyio.fail_after(5):
        while True:
            try:
                client = await connect(tcpserver)
                break
            except OSError:
                await anyio.sleep(0.01)
    async with client:
        assert await receive_all(client) == b"Hello again"
    await tcpserver.join()


async def test_connections_that_are_there_go_on(tcpserver):
    """Only new ones are refused; the port stays the server's until the end."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        await tcpserver.join()
        tcpserver.stop_listening()
        tcpserver.stop_listening()
        await tcpserver.join()
        assert await refused(tcpserver)
        tcpserver.expect_bytes(b"more")
        await client.send(b"more")
        await tcpserver.join()


async def test_to_resume_what_was_not_stopped_changes_nothing(tcpserver):
    """It listens as before."""
    tcpserver.resume_listening()
    tcpserver.expect_connect()
    async with await connect(tcpserver):
        await tcpserver.join()


async def test_the_steps_of_the_server_itself_are_shown(tcpserver):
    """With those of the connection that failed, in the order of the test."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    tcpserver.stop_listening()
    listening = tcpserver.resume_listening()
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.wait(5)
    tcpserver.expect_disconnect()
    await (await connect(tcpserver)).aclose()
    await listening.wait()
    async with await connect(tcpserver) as client:
        await client.send(b"Help!")
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    listed = without_times(str(caught.value)).split("\n\n")[1].splitlines()
    assert [line.rpartition("  ")[0].rstrip() for line in listed[1:]] == [
        "  done         stop_listening()",
        "  done         resume_listening()",
        "  done         expect_connect()",
        "> failed       expect_bytes(b'Hello')",
        "  not reached  wait(5)",
        "  not reached  expect_disconnect()",
    ]


async def test_a_pause_before_anything_else(tcpserver):
    """No connection is needed for it."""
    pause = tcpserver.wait(0.1)
    tcpserver.expect_connect()
    async with await connect(tcpserver):
        await tcpserver.join()
    assert pause.done


async def test_steps_of_a_stopped_server(tcpserver_factory):
    """As for every other step."""
    server = await tcpserver_factory()
    await tcpserver_factory.stop()
    for declare in (
        server.stop_listening,
        server.resume_listening,
        lambda: server.wait(1),
        lambda: server.expect_no_connection(1),
    ):
        with pytest.raises(ScriptError, match=r"^\w+\(\) on a server that is stopped$"):
            declare()


# URLs


@pytest.mark.parametrize(("host", "url"), [(None, "127.0.0.1"), ("::1", "[::1]")])
async def test_the_address_as_a_url(tcpserver_factory, host, url):
    """As most libraries take it."""
    server = await tcpserver_factory(host=host)
    assert server.url("http") == f"http://{url}:{server.port}"
    with pytest.raises(TypeError, match=r"^scheme must be a str, not int$"):
        server.url(3)
    with pytest.raises(ValueError, match=r"^scheme must not be empty$"):
        server.url("")
