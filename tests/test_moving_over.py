"""Tests as users of 0.7 have them, under pytest-asyncio: they run as they were written."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import threading
from asyncio import open_connection

import pytest

from pytest_tcpclient.framing import read_frame, write_frame

pytest.importorskip("pytest_asyncio")

#: What comes true comes true in time, on a slow machine, too. What does not has a limit of its own.
pytestmark = [pytest.mark.asyncio, pytest.mark.tcpserver(timeout=10)]

NOT_CLOSED = "Timed out waiting for client to disconnect. Remember to call `writer.close()`."
NOT_WAITED = "Timed out waiting for client to call `await writer.wait_closed()`."
WAS_RESET = "Connection was reset. Did client close writer prematurely?"
SWITCH = "If this is on purpose: @pytest.mark.tcpserver(check_streams=False)."


def unread(data: bytes) -> str:
    return f"There is data sent by server that was not read by client: unread_bytes={data!r}."


@pytest.fixture(scope="module", autouse=True)
def _no_other_loop():
    """pytest-asyncio 1.1 makes a loop where none was ever set, and never closes it."""
    asyncio.set_event_loop(None)


async def failed(server) -> None:
    """Wait until it has, without ``join()``."""
    while server.failure is None:  # noqa: ASYNC110 # There is no event for it.
        await asyncio.sleep(0.001)


async def failing(server) -> str:
    """The first line of what ``join()`` raises."""
    with pytest.raises(pytest.fail.Exception) as caught:
        await server.join()
    return str(caught.value).partition("\n")[0]


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


# expect_connect


async def test_the_client_connects(tcpserver):
    """Both may say nothing at all."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    await tcpserver.join()


async def test_the_client_does_not_connect(tcpserver):
    """It is waited for, and the test fails at its join()."""
    tcpserver.expect_connect(timeout=0.05)
    assert await failing(tcpserver) == "Timed out waiting for client to connect."


async def test_a_step_without_a_connection(tcpserver):
    """The sentence names the step."""
    tcpserver.expect_bytes(b"Hello, world!")
    line = "Missing `expect_connect()` before `expect_bytes(b'Hello, world!')`"
    assert await failing(tcpserver) == line


async def test_a_disconnect_without_a_connection(tcpserver):
    """The hint of 0.7 stands in the first line."""
    tcpserver.expect_disconnect()
    line = "Client is not connected. Did you forget to call `asyncio.open_connection`?"
    assert await failing(tcpserver) == line


async def test_a_second_connection(tcpserver):
    """The client connects once more than it should."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    _, another = await asyncio.open_connection(None, tcpserver.service_port)
    line = "While waiting for client to disconnect a second connection was attempted."
    assert await failing(tcpserver) == line
    writer.close()
    another.close()


async def test_one_client_after_the_other(tcpserver):
    """Each connection of a server is seen by itself."""
    for i in range(3):
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"%d" % i)
        tcpserver.send_bytes(b"Hola!")
        tcpserver.expect_disconnect()
        reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
        writer.write(b"%d" % i)
        assert await reader.readexactly(5) == b"Hola!"
        await close(writer)
        await tcpserver.join()


# expect_bytes and expect_frame


async def test_the_client_sends_nothing(tcpserver):
    """The limit is the step's own."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, world!", timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await failing(tcpserver) == "Timed out waiting for b'Hello, world!'"
    await close(writer)


async def test_the_client_sends_something_else(tcpserver):
    """As many bytes as were expected are shown."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Bonjour")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Goodbye, world!")
    assert await failing(tcpserver) == "Expected to read b'Bonjour' but actually read b'Goodbye'"
    await close(writer)


async def test_the_client_closes_too_early(tcpserver):
    """It had nothing to read."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, world!")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Hello")
    await close(writer)
    line = "Expected to read b'Hello, world!' but only read b'Hello' before the connection was "
    assert await failing(tcpserver) == f"{line}closed."


@pytest.mark.parametrize("sent", [b"", b"Hel"])
async def test_the_client_closes_instead_with_data_unread(tcpserver, sent):
    """A receive that sees the end says what was not read."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_bytes(b"Hello")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(sent)
    await close(writer)
    assert await failing(tcpserver) == unread(b"Hola!")


async def test_something_else_wins_over_data_unread(tcpserver):
    """What the client sent is judged before how it ended."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Bonjour")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Goodbye")
    await close(writer)
    assert await failing(tcpserver) == "Expected to read b'Bonjour' but actually read b'Goodbye'"


async def test_frames(tcpserver):
    """The helpers of 0.7 and the frames of the script understand each other."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Hello")
    tcpserver.send_frame(b"Hola")
    tcpserver.expect_frame(b"")
    tcpserver.send_frame(b"")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    write_frame(writer, b"Hello")
    assert await read_frame(reader) == b"Hola"
    write_frame(writer, b"")
    assert await read_frame(reader) == b""
    await close(writer)
    await tcpserver.join()


async def test_another_frame(tcpserver):
    """Whole payloads are compared."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Bonjour")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    write_frame(writer, b"Goodbye, world")
    line = "Expected to get frame b'Bonjour' but actually got frame b'Goodbye, world'"
    assert await failing(tcpserver) == line
    await close(writer)


async def test_no_frame(tcpserver):
    """Neither does one come nor does the client close."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Goodbye, world", timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await failing(tcpserver) == "Timed out waiting for frame b'Goodbye, world'"
    await close(writer)


async def test_a_close_instead_of_a_frame(tcpserver):
    """It had nothing to read."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Bonjour")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    line = "Expected to get frame b'Bonjour' but actually got frame b''"
    assert await failing(tcpserver) == line


async def test_a_close_instead_of_a_frame_with_a_frame_unread(tcpserver):
    """What was not read is shown as it was sent."""
    tcpserver.expect_connect()
    tcpserver.send_frame(b"Hola!")
    tcpserver.expect_frame(b"Bonjour")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    assert await failing(tcpserver) == unread(b"\0\0\0\x05Hola!")


# expect_disconnect


async def test_the_client_never_closes(tcpserver):
    """The hint of 0.7 stands in the first line."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await failing(tcpserver) == NOT_CLOSED
    await close(writer)


async def test_the_client_finishes_sending_and_does_not_close(tcpserver):
    """An EOF is not a close: the client could still read."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write_eof()
    with pytest.raises(pytest.fail.Exception) as caught:
        await tcpserver.join()
    lines = str(caught.value).splitlines()
    assert lines[0] == NOT_CLOSED
    assert lines[1] == "The client has finished sending only, with `write_eof()`."
    assert lines[-1] == SWITCH
    await close(writer)


async def test_the_client_finishes_sending_and_closes_later(tcpserver):
    """The close is seen, although nothing crosses the wire then."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=5)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write_eof()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(tcpserver.join(), 0.05)
    await close(writer)
    await tcpserver.join()


async def test_the_client_finishes_sending_and_closes_its_transport(tcpserver):
    """Even that is seen, when the time is over."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=1)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write_eof()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(tcpserver.join(), 0.05)
    writer.transport.close()
    await tcpserver.join()


async def test_the_client_sends_instead(tcpserver):
    """Bytes are no disconnect."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Hello")
    line = "Received unexpected data while waiting for client to disconnect. Data is b'Hello'."
    assert await failing(tcpserver) == line
    await close(writer)


async def test_the_client_does_not_wait_for_the_close(tcpserver):
    """The limit of the step is the limit of this, too."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.close()
    with pytest.raises(pytest.fail.Exception) as caught:
        await tcpserver.join()
    assert str(caught.value).splitlines()[0] == NOT_WAITED
    assert str(caught.value).splitlines()[-1] == SWITCH


async def test_a_coroutine_of_the_wait_is_not_enough(tcpserver):
    """``writer.wait_closed()`` has to be awaited."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.close()
    forgotten = writer.wait_closed()
    assert await failing(tcpserver) == NOT_WAITED
    await forgotten


async def test_the_client_waits_too_late(tcpserver):
    """By then it has failed."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=0.05)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.close()
    await asyncio.wait_for(failed(tcpserver), 30)
    await writer.wait_closed()
    assert await failing(tcpserver) == NOT_WAITED


async def test_the_client_waits_in_time(tcpserver):
    """The test goes on at once."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=60)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.close()
    joining = asyncio.ensure_future(tcpserver.join())
    await asyncio.sleep(0.02)
    await writer.wait_closed()
    await asyncio.wait_for(joining, 5)


@pytest.mark.usefixtures("long_grace")
async def test_a_close_with_much_to_send_does_not_hang(tcpserver):
    """On Python 3.12 and later wait_closed() comes back when all has been sent."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    try:
        writer.write(b"x" * 20_000_000)
        assert await failing(tcpserver) == "Expected to read b'Hello' but actually read b'xxxxx'"
    finally:
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), 5)


@pytest.mark.tcpserver(check_streams=False)
async def test_the_check_is_switched_off(tcpserver):
    """Then the wire is all that counts, and asyncio's classes are left alone."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await reader.read(1) == b"H"
    writer.close()
    await tcpserver.join()


# Data that the client has not read


async def test_data_unread(tcpserver):
    """The client closes although something has been sent to it."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    with pytest.raises(pytest.fail.Exception) as caught:
        await tcpserver.join()
    assert str(caught.value).splitlines()[0] == unread(b"Hola!")
    assert str(caught.value).splitlines()[-1] == SWITCH


async def test_data_unread_of_many_sends(tcpserver):
    """It makes no difference that the client closes while the server is sending."""
    tcpserver.expect_connect()
    for i in range(10):
        tcpserver.send_bytes(b"%d" % i)
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    assert await failing(tcpserver) == unread(b"0123456789")


async def test_data_unread_in_the_reader(tcpserver):
    """What has come to the reader and was left in there counts."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    sent = tcpserver.send_bytes(b"Adios!")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await reader.readexactly(3) == b"Hol"
    await sent.wait()
    await close(writer)
    assert await failing(tcpserver) == unread(b"a!Adios!")


async def test_data_unread_and_nobody_waits(tcpserver):
    """It is known at once: there is no waiting for the wait_closed()."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect(timeout=60)
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.close()
    assert await failing(tcpserver) == unread(b"Hola!")


@pytest.mark.parametrize(
    "read",
    [
        lambda reader: reader.readexactly(6),
        lambda reader: reader.readline(),
        lambda reader: reader.readuntil(b"\n"),
        lambda reader: reader.read(100),
        lambda reader: reader.__anext__(),
    ],
    ids=["readexactly", "readline", "readuntil", "read", "async for"],
)
async def test_however_the_client_reads(tcpserver, read):
    """Only what is left counts."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!\n")
    sent = tcpserver.send_bytes(b"x")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    data = await read(reader)
    await sent.wait()
    if data == b"Hola!\n":
        assert await reader.read(1) == b"x"
    await close(writer)
    await tcpserver.join()


async def test_a_partial_read_takes_what_there_was(tcpserver):
    """readexactly() that comes to the end has read it all."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.disconnect()
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await reader.readexactly(100)
    assert caught.value.partial == b"Hola!"
    await close(writer)
    await tcpserver.join()


async def test_the_client_reads_to_the_end(tcpserver):
    """``await reader.read()`` ends with the server's disconnect()."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"Hola!")
    tcpserver.send_frame(b"Adios!")
    tcpserver.disconnect()
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Hello")
    assert await reader.read() == b"Hola!\0\0\0\x06Adios!"
    await close(writer)
    await tcpserver.join()


async def test_much_data_unread(tcpserver):
    """Long data is shortened, and said how long it is."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"abcdefgh" * 4096)
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await reader.readexactly(3) == b"abc"
    await close(writer)
    line = await failing(tcpserver)
    assert "unread_bytes=b'defghabc" in line
    assert line.endswith("... (32,765 bytes).")


async def test_a_close_with_data_in_the_script_for_later(tcpserver):
    """Only what was sent can be unread."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"Hola!")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    line = "Expected to read b'Hello' but only read b'' before the connection was closed."
    assert await failing(tcpserver) == line


# Sending to a client that has gone


async def test_the_server_sends_more_after_the_client_has_gone(tcpserver):
    """The second one fails: the client's answer to the first was a reset."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"Hola!")
    tcpserver.send_bytes(b"Adios!")
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Hello")
    await close(writer)
    assert await failing(tcpserver) == WAS_RESET


async def test_the_server_is_told_to_send_more_after_the_client_has_gone(tcpserver):
    """So it is when the test says so only then."""
    tcpserver.expect_connect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await tcpserver.join()
    await close(writer)
    tcpserver.send_bytes(b"Hola!")
    tcpserver.send_bytes(b"Adios!")
    assert await failing(tcpserver) == WAS_RESET


async def test_the_server_sends_once_after_the_client_has_gone(tcpserver):
    """That cannot fail: it is the next expectation that sees it."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.write(b"Hello")
    await close(writer)
    assert await failing(tcpserver) == unread(b"Hola!")


async def test_the_server_sends_after_a_close_with_data_unread(tcpserver):
    """The client's close was a reset already, and the first send fails."""
    tcpserver.expect_connect()
    greeted = tcpserver.send_bytes(b"Hola!")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    writer.transport.pause_reading()
    await greeted.wait()
    await close(writer)
    await asyncio.sleep(0.01)
    tcpserver.send_bytes(b"Adios!")
    assert await failing(tcpserver) == WAS_RESET


async def test_the_server_sends_after_the_disconnect(tcpserver):
    """Both have closed by then."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    tcpserver.send_bytes(b"Hola!")
    _, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await close(writer)
    assert await failing(tcpserver) == WAS_RESET


async def test_the_client_goes_while_much_is_sent(tcpserver):
    """A send that cannot be finished is the reset line."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(bytes(50_000_000))
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    await reader.readexactly(100_000)
    await close(writer)
    assert await failing(tcpserver) == WAS_RESET


async def test_the_client_aborts(tcpserver):
    """A reset that leaves nothing unread is the reset line, and says no more than it knows."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await reader.readexactly(5) == b"Hola!"
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await close(writer)
    with pytest.raises(pytest.fail.Exception) as caught:
        await tcpserver.join()
    assert str(caught.value).splitlines()[:2] == [WAS_RESET, ""]


# Writers that nobody holds


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_a_writer_that_is_dropped(tcpserver):
    """The garbage collector's close is not the client's."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect(timeout=0.1)
    await asyncio.open_connection(None, tcpserver.service_port)
    assert await failing(tcpserver) == NOT_CLOSED


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_a_writer_that_is_dropped_before_it_has_written(tcpserver):
    """Nor does it end what the server waits for."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello", timeout=0.1)
    await asyncio.open_connection(None, tcpserver.service_port)
    assert await failing(tcpserver) == "Timed out waiting for b'Hello'"


# More than one server


async def test_two_servers(tcpserver_factory):
    """Each has its own clients, and its own verdict."""
    one = await tcpserver_factory()
    two = await tcpserver_factory()
    for server in (one, two):
        server.expect_connect()
        server.send_bytes(b"Hola!")
        server.expect_disconnect()
    reader_one, writer_one = await asyncio.open_connection(None, one.service_port)
    _, writer_two = await asyncio.open_connection(None, two.service_port)
    await reader_one.readexactly(5)
    await close(writer_one)
    await close(writer_two)
    await one.join()
    assert await failing(two) == unread(b"Hola!")
    await tcpserver_factory.stop()


async def test_stop_makes_the_verdict(tcpserver_factory):
    """A test without a join() learns of it from stop()."""
    server = await tcpserver_factory()
    server.expect_connect()
    server.expect_disconnect(timeout=0.05)
    _, writer = await asyncio.open_connection(None, server.service_port)
    writer.close()
    with pytest.raises(pytest.fail.Exception) as caught:
        await tcpserver_factory.stop()
    assert str(caught.value).partition("\n")[0] == NOT_WAITED


# What 0.7 broke


async def test_a_connection_to_somebody_else(tcpserver):
    """It is left alone: its reader has nothing of ours, and it need not wait for anything."""

    async def serve(reader, writer):
        writer.write(await reader.readexactly(2) + b"unread")
        writer.close()
        await writer.wait_closed()

    other = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        tcpserver.expect_connect()
        tcpserver.expect_disconnect()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=100)
        assert "feed_data" not in vars(reader)
        writer.write(b"Hi")
        assert await reader.readexactly(2) == b"Hi"
        _, ours = await asyncio.open_connection(None, tcpserver.service_port)
        await close(ours)
        await tcpserver.join()
        writer.close()
        await writer.wait_closed()


async def test_keyword_arguments_and_a_name_imported_before(tcpserver):
    """``limit`` is passed on, and it does not matter which name the function has."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"0123456789\n")
    tcpserver.expect_disconnect()
    reader, writer = await open_connection("localhost", tcpserver.service_port, limit=4)
    with pytest.raises(asyncio.LimitOverrunError):
        await reader.readuntil(b"\n")
    await close(writer)
    assert await failing(tcpserver) == unread(b"0123456789\n")


async def test_a_socket_of_its_own(tcpserver):
    """``sock=`` is as good as an address."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    raw_socket = socket.create_connection(("127.0.0.1", tcpserver.service_port))
    raw_socket.setblocking(False)
    _, writer = await asyncio.open_connection(sock=raw_socket)
    await close(writer)
    assert await failing(tcpserver) == unread(b"Hola!")


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_transport_that_is_closed(tcpserver, end):
    """It counts as closed, and there is nothing to wait for; what was not read is known."""
    for data in (b"", b"Hola!"):
        tcpserver.expect_connect()
        if data:
            tcpserver.send_bytes(data)
        tcpserver.expect_disconnect()
        _reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
        getattr(writer.transport, end)()
        if not data:
            await tcpserver.join()
    assert await failing(tcpserver) == unread(b"Hola!")


class Quiet(asyncio.Protocol):
    """Reads nothing in particular."""


class Buffered(asyncio.BufferedProtocol):
    """Reads into a buffer of its own."""

    def get_buffer(self, sizehint):
        return bytearray(100)


@pytest.mark.parametrize("protocol", [Quiet, Buffered])
async def test_protocols_are_not_judged(tcpserver, protocol):
    """Of a client without streams nothing is known but what crosses the wire."""
    tcpserver.expect_connect()
    sent = tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(protocol, "127.0.0.1", tcpserver.service_port)
    await sent.wait()
    await asyncio.sleep(0.01)
    transport.close()
    await tcpserver.join()


class Decompressing(asyncio.StreamReader):
    """Has its own idea of what it is fed."""

    def feed_data(self, data):
        super().feed_data(data * 2)


class Ordinary(asyncio.StreamReader):
    """Reads in a way of its own."""

    async def read_all_but_one(self, size):
        return await self.readexactly(size - 1)


async def connect_with(reader, port):
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, "127.0.0.1", port)
    return asyncio.StreamWriter(transport, protocol, reader, loop)


async def test_a_reader_of_another_class(tcpserver):
    """What a library derives from StreamReader is seen, too."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    reader = Ordinary()
    writer = await connect_with(reader, tcpserver.service_port)
    assert await reader.read_all_but_one(5) == b"Hola"
    await close(writer)
    assert await failing(tcpserver) == unread(b"!")


async def test_a_reader_that_is_fed_otherwise(tcpserver):
    """What it has not read cannot be told, and so is not; the rest can."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect(timeout=0.1)
    reader = Decompressing()
    writer = await connect_with(reader, tcpserver.service_port)
    assert await reader.readexactly(6) == b"Hola!H"
    writer.close()
    assert await failing(tcpserver) == NOT_WAITED


async def test_a_protocol_that_takes_over(tcpserver):
    """From there on nothing can be seen, and nothing is judged."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    reader, writer = await asyncio.open_connection(None, tcpserver.service_port)
    assert await reader.readexactly(5) == b"Hola!"
    writer.transport.set_protocol(Quiet())
    await tcpserver.send_bytes(b"Adios!").wait()
    await asyncio.sleep(0.01)
    tcpserver.expect_disconnect()
    writer.transport.close()
    await tcpserver.join()


async def test_a_client_in_a_thread(tcpserver):
    """Its streams belong to another event loop: they are not judged."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.expect_disconnect()

    async def client():
        _, writer = await asyncio.open_connection("127.0.0.1", tcpserver.service_port)
        writer.write(b"Hello")
        writer.close()

    thread = threading.Thread(target=lambda: asyncio.run(client()))
    thread.start()
    try:
        await tcpserver.join()
    finally:
        thread.join()


async def test_a_client_in_another_process(tcpserver):
    """It is not judged, either."""
    tcpserver.expect_connect(timeout=30)
    tcpserver.expect_bytes(b"Hello", timeout=30)
    tcpserver.expect_disconnect(timeout=30)
    code = (
        "import socket; "
        f"socket.create_connection(('127.0.0.1', {tcpserver.service_port})).sendall(b'Hello')"
    )
    process = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=True)
    assert process.returncode == 0
    await tcpserver.join()
