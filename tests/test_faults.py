"""Transport faults as steps, seen from the client's side."""

from __future__ import annotations

import select
import socket
import struct
from contextlib import suppress

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import SocketAttribute
from clients import connect, failure_of, receive_all, receive_exactly, reset

from pytest_tcpclient import ScriptError
from pytest_tcpclient._transcript import What
from pytest_tcpclient._transport import reset_stream, unread_by_client

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=0.2)]

patient = pytest.mark.tcpserver(timeout=10)


def receive_everything(connection):
    """What a blocking client receives until EOF."""
    return b"".join(iter(lambda: connection.recv(100), b""))


def in_thread(server):
    """A blocking client, connected."""
    client = socket.create_connection(server.address)
    client.settimeout(10)
    return client


# send_reset


@patient
async def test_the_server_aborts_the_connection(tcpserver):
    """The client gets a reset, and no EOF."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_reset()
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
        await tcpserver.join()
    assert [event.what for event in tcpserver.transcript] == [
        What.CONNECTED,
        What.RECEIVED,
        What.SERVER_RESET,
    ]


@patient
@pytest.mark.parametrize("read_first", [True, False])
async def test_a_client_in_a_thread_gets_econnreset(tcpserver, read_first):
    """What arrived before the reset can still be read."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"World")
    tcpserver.send_reset()

    def client():
        with in_thread(tcpserver) as connection:
            connection.sendall(b"Hello")
            if read_first:
                assert connection.recv(5) == b"World"
            with pytest.raises(ConnectionResetError):
                receive_everything(connection)

    await anyio.to_thread.run_sync(client)
    await tcpserver.join()


@patient
async def test_a_reset_as_soon_as_the_client_has_connected(tcpserver):
    """It need not have sent anything."""
    tcpserver.expect_connect()
    tcpserver.send_reset()

    def client():
        with in_thread(tcpserver) as connection, pytest.raises(ConnectionResetError):
            connection.recv(1)

    await anyio.to_thread.run_sync(client)
    await tcpserver.join()


@patient
@pytest.mark.parametrize(
    "declare",
    [
        lambda script: script.send_bytes(b"x"),
        lambda script: script.expect_disconnect(),
        lambda script: script.disconnect(),
        lambda script: script.wait(1),
    ],
)
async def test_nothing_can_follow_a_reset(tcpserver, declare):
    """There is no connection any more."""
    tcpserver.expect_connect()
    tcpserver.send_reset()
    with pytest.raises(ScriptError, match=r"^\w+\(\) cannot follow send_reset\(\) on one conn"):
        declare(tcpserver.connections[0])
    with in_thread(tcpserver):
        await tcpserver.join()


@patient
async def test_a_client_that_reconnects_after_a_reset(tcpserver):
    """The script reads from top to bottom."""
    tcpserver.expect_connect()
    tcpserver.send_reset()
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello")
    tcpserver.disconnect()
    attempts = 0
    received = b""
    while not received:
        attempts += 1
        with suppress(anyio.BrokenResourceError):
            async with await connect(tcpserver) as client:
                received = await receive_all(client)
    assert (attempts, received) == (2, b"Hello")
    await tcpserver.join()


# Half-close


@patient
async def test_the_server_finishes_sending_first(tcpserver):
    """The client gets EOF, and goes on."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello")
    tcpserver.send_eof()
    tcpserver.expect_line(b"World")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        assert await receive_all(client) == b"Hello"
        await client.send(b"World\n")
    await tcpserver.join()


@patient
async def test_the_client_finishes_sending_first(tcpserver):
    """The server goes on."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    eof = tcpserver.expect_eof()
    tcpserver.send_bytes(b"World")
    tcpserver.disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        await client.send_eof()
        await eof.wait()
        assert await receive_all(client) == b"World"
    await tcpserver.join()


async def test_the_client_does_not_finish_sending(tcpserver):
    """It is waited for."""
    tcpserver.expect_connect()
    tcpserver.expect_eof()
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == "Timed out waiting for client to finish sending."


@patient
async def test_the_client_says_more_instead_of_finishing(tcpserver):
    """All that has come is shown."""
    tcpserver.expect_connect()
    tcpserver.expect_eof()
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        assert await failure_of(tcpserver) == (
            "Received unexpected data while waiting for client to finish sending. Data is b'Hello'."
        )


@patient
async def test_the_client_resets_instead_of_finishing(tcpserver):
    """A reset is no EOF."""
    tcpserver.expect_connect()
    tcpserver.expect_eof()
    client = await connect(tcpserver)
    await tcpserver.connections[0].wait()
    await reset(client)
    assert await failure_of(tcpserver) == "Connection was reset."


@patient
async def test_nothing_can_be_sent_after_send_eof(tcpserver):
    """The sentence names the word that was used."""
    tcpserver.expect_connect()
    tcpserver.send_eof()
    with pytest.raises(ScriptError) as caught:
        tcpserver.send_bytes(b"x")
    assert str(caught.value) == "send_bytes() cannot follow send_eof() on one connection"
    async with await connect(tcpserver) as client:
        assert await receive_all(client) == b""


@patient
async def test_a_close_in_the_middle_of_a_message(tcpserver):
    """The client gets everything sent before, and then EOF."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"\0\0\0\5Hel")
    tcpserver.disconnect()

    def client():
        with in_thread(tcpserver) as connection:
            return receive_everything(connection)

    assert await anyio.to_thread.run_sync(client) == b"\0\0\0\5Hel"
    await tcpserver.join()


@patient
@pytest.mark.parametrize("word", ["send_eof", "disconnect", "send_reset"])
async def test_when_the_step_is_done_the_client_can_know(tcpserver, word):
    """A pool looks at a connection before it uses it once more: nothing is still under way."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hello")
    getattr(tcpserver, word)()
    async with await connect(tcpserver) as client:
        descriptor = client.extra(SocketAttribute.raw_socket).fileno()
        assert await receive_exactly(client, 5) == b"Hello"
        await tcpserver.connections[0].join()
        readable, _, _ = select.select([descriptor], [], [], 0)
    assert readable == [descriptor]


@patient
async def test_segments_for_a_client_that_has_closed(tcpserver):
    """The first that is late has nobody to go to, and the second learns it."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"one", b"two", b"three", interval=0.1)
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        assert await receive_exactly(client, 3) == b"one"
    assert await failure_of(tcpserver) == "Connection was reset."


@patient
async def test_segments_for_a_client_that_has_finished_sending(tcpserver):
    """It may still read."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"one", b"two", b"three", interval=0.1)
    tcpserver.disconnect()
    async with await connect(tcpserver) as client:
        await client.send_eof()
        assert await receive_all(client) == b"onetwothree"
    await tcpserver.join()


@patient
@pytest.mark.parametrize("word", ["send_eof", "disconnect"])
async def test_a_client_that_closed_before_the_answer(tcpserver, word):
    """When it was to finish sending it could be known that the answer had nobody to go to."""
    tcpserver.expect_connect()
    tcpserver.expect_eof()
    tcpserver.send_bytes(b"Hello")
    getattr(tcpserver, word)()
    async with await connect(tcpserver):
        pass
    assert await failure_of(tcpserver) == "Connection was reset."


# What the client may do to the connection


@patient
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_may_end_the_connection_as_it_likes(tcpserver, how):
    """A reset is allowed, and so is a clean close."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"not read")
    tcpserver.expect_disconnect(clean=False)
    connection = in_thread(tcpserver)
    await anyio.to_thread.run_sync(connection.recv, 100, socket.MSG_PEEK if how == "reset" else 0)
    connection.close()
    await tcpserver.join()


@patient
async def test_a_client_that_is_to_reset_the_connection(tcpserver):
    """It does, because it does not read what it was sent."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"not read")
    tcpserver.expect_reset()
    connection = in_thread(tcpserver)
    await anyio.to_thread.run_sync(connection.recv, 100, socket.MSG_PEEK)
    connection.close()
    await tcpserver.join()


@patient
async def test_a_client_that_closes_and_should_reset(tcpserver):
    """They are not the same."""
    tcpserver.expect_connect()
    tcpserver.expect_reset()
    async with await connect(tcpserver):
        pass
    assert await failure_of(tcpserver) == (
        "Expected the client to reset the connection, but it closed it."
    )


async def test_a_client_that_does_not_reset(tcpserver):
    """It is waited for."""
    tcpserver.expect_connect()
    tcpserver.expect_reset()
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == (
            "Timed out waiting for client to reset the connection."
        )


@patient
@pytest.mark.parametrize("word", ["expect_eof", "expect_reset", "expect_disconnect"])
@pytest.mark.parametrize("ending", ["more", "close", "reset"])
async def test_an_end_that_is_optional(tcpserver, word, ending):
    """If it does not come, or another one does, the script goes on."""
    tcpserver.expect_connect()
    end = getattr(tcpserver, word)(timeout=0.3, optional=True)
    connection = in_thread(tcpserver)
    if ending == "more":
        connection.send(b"more")
        tcpserver.expect_bytes(b"more")
    elif ending == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if ending != "more":
        connection.close()
    await tcpserver.join()
    comes_true = {"expect_eof": "close", "expect_reset": "reset", "expect_disconnect": "close"}
    assert end.done is (comes_true[word] == ending)
    assert end.skipped is not end.done
    connection.close()


# Time


@patient
async def test_the_server_does_nothing_for_a_while(tcpserver):
    """What the client sends meanwhile is for the next step; no limit runs."""
    connection = tcpserver.expect_connect()
    pause = connection.wait(0.3)
    tcpserver.expect_bytes(b"Hello", timeout=0.05)
    tcpserver.send_bytes(b"World")
    began = anyio.current_time()
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        assert await receive_exactly(client, 5) == b"World"
        assert anyio.current_time() - began > 0.25
        await tcpserver.join()
    assert pause.done


@patient
async def test_a_client_that_closes_while_the_server_waits(tcpserver):
    """It is seen by the next step."""
    tcpserver.expect_connect()
    tcpserver.wait(0.1)
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver):
        pass
    assert await failure_of(tcpserver) == (
        "Expected to read b'Hello' but only read b'' before the connection was closed."
    )


@patient
async def test_a_client_that_sends_much_has_to_wait(tcpserver):
    """Nothing is received for so long; then all of it."""
    size = 20_000_000
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"go")
    tcpserver.send_bytes(b"!")
    pause = tcpserver.stop_reading(0.5)
    rest = tcpserver.expect_count(size)

    def client():
        with in_thread(tcpserver) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            connection.sendall(b"go")
            connection.recv(1)
            connection.sendall(b"x" * size)
            return pause.done

    assert await anyio.to_thread.run_sync(client)
    await tcpserver.join()
    assert len(rest.received) == size


@patient
async def test_reading_stops_while_the_server_is_receiving_already(tcpserver):
    """Declared when the client has connected and nothing is expected."""
    connection = tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await connection.wait()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        pause = tcpserver.stop_reading(0.2)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        await client.send(b"Hello")
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert What.RECEIVED not in [event.what for event in tcpserver.transcript]
        tcpserver.expect_bytes(b"Hello")
        await tcpserver.join()
    assert pause.done


@patient
async def test_a_silence_before_the_reply(tcpserver):
    """A client with a timeout of its own gives up, and may be expected to."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"ping")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"ping")
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await client.receive()
    await tcpserver.join()


# Connections


@patient
async def test_a_connection_can_be_joined_by_itself(tcpserver):
    """What is to happen on others is not waited for."""
    one = tcpserver.expect_connect()
    two = tcpserver.expect_connect()
    one.expect_bytes(b"one")
    two.expect_bytes(b"two")
    async with await connect(tcpserver) as first, await connect(tcpserver) as second:
        await first.send(b"one")
        await one.join()
        await one.join()
        await second.send(b"two")
        await two.join()
        addresses = [each.client_address for each in tcpserver.connections]
        assert len(set(addresses)) == 2
        assert addresses[0][0] == "127.0.0.1"


async def test_a_connection_that_is_joined_raises_the_failure(tcpserver):
    """Of its server, whichever connection it is about; once."""
    one = tcpserver.expect_connect()
    two = tcpserver.expect_connect(timeout=0.05)
    with pytest.raises(pytest.fail.Exception, match=r"^Timed out waiting for client to connect"):
        await two.join()
    await one.join()
    with pytest.raises(ScriptError, match=r"^nobody has connected to <Connection 1 of <TcpServer"):
        _ = one.client_address


@patient
async def test_to_close_what_the_client_has_aborted_is_no_failure(tcpserver):
    """There is nothing left to do."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"not read")
    tcpserver.expect_reset()
    tcpserver.disconnect()
    connection = in_thread(tcpserver)
    await anyio.to_thread.run_sync(connection.recv, 100, socket.MSG_PEEK)
    connection.close()
    await tcpserver.join()


@patient
async def test_a_socket_that_the_event_loop_has_closed_already(tcpserver):
    """Each loop has its own error for that, and none of them matters."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await tcpserver.join()
        stream = tcpserver.connections[0]._engine._stream
        await reset_stream(stream)
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
        assert unread_by_client(stream) is None
        await reset_stream(stream)
    tcpserver.connections[0]._engine._stream = None
