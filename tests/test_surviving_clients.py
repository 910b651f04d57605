"""Each fault, and clients that must survive it: right ones pass, wrong ones are found out.

There are three ways to survive: to try again, to report what happened, and to give up in time.
"""

from __future__ import annotations

import re
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from clients import failure_of, receive_all, receive_exactly, reset

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=0.3)]

#: More than the send and receive buffers of a connection hold.
MUCH = b"x" * 20_000_000


class CutShortError(Exception):
    """The server has closed the connection in the middle of an answer."""


#: What a client can survive.
FAULTS = (anyio.BrokenResourceError, OSError, CutShortError)  # TimeoutError is an OSError.


# The clients: each asks for a colour. An answer ends with a newline.


async def ask(address, patience=20.0):
    """Ask once. Whatever goes wrong is raised."""
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"colour?\n")
        with anyio.fail_after(patience):
            data = b""
            async for piece in stream:
                data += piece
                if data.endswith(b"\n"):
                    return data
    raise CutShortError(data)


async def retry(address, patience=20.0):
    """Ask again until there is an answer."""
    while True:
        with suppress(*FAULTS):
            return await ask(address, patience)
        await anyio.sleep(0.01)


async def retry_twice(address):
    """Ask again, but not for long."""
    for _ in range(2):
        with suppress(*FAULTS):
            return await ask(address)
    return await ask(address)


async def report(address, patience=20.0):
    """Ask once, and say what went wrong."""
    try:
        return await ask(address, patience)
    except FAULTS as error:
        return type(error).__name__


async def report_soon(address):
    """The same, but without patience. (Only where the server says nothing that could be late.)"""
    return await report(address, 0.1)


async def retry_soon(address):
    """Wait for a short time only, and ask again."""
    with suppress(TimeoutError):
        return await ask(address, 0.1)
    return await retry(address)


async def believe(address):
    """Take what comes first for the answer."""
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"colour?\n")
        return await stream.receive()


async def forget(address):
    """Give up in time, and leave the connection open until the server closes it."""
    stream = await anyio.connect_tcp(*address)
    await stream.send(b"colour?\n")
    with anyio.move_on_after(0.05):
        await stream.receive()
    try:
        await stream.receive()
    finally:
        await stream.aclose()


async def finish(address):
    """Finish sending before the answer."""
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"colour?\n")
        await stream.send_eof()
        return await receive_all(stream)


async def thank(address):
    """Go on when the server has finished sending."""
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"colour?\n")
        answer = await receive_all(stream)
        await stream.send(b"thanks\n")
        return answer


async def chat(address):
    """Go on when the answer is complete."""
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"colour?\n")
        answer = await receive_exactly(stream, 5)
        await stream.send(b"thanks\n")
        return answer


async def abort(address):
    """Abort the connection when there is no answer in time."""
    stream = await anyio.connect_tcp(*address)
    await stream.send(b"colour?\n")
    with anyio.move_on_after(0.3):  # On a busy machine the server is late: it must have read.
        await stream.receive()
    await reset(stream)
    return "aborted"


async def upload(address, patience=20.0):
    """Send much, however slowly it is read."""
    began = anyio.current_time()
    async with await anyio.connect_tcp(*address) as stream:
        await stream.send(b"colour?\n")
        await receive_exactly(stream, 5)
        with anyio.fail_after(patience):
            await stream.send(MUCH)
            took = anyio.current_time() - began
        assert await receive_exactly(stream, 7) == b"thanks\n"
        return took > 0.4


async def upload_in_a_hurry(address):
    """Give up where the server does not read."""
    return await upload(address, 0.05)


# The faults


def _asked(server):
    server.expect_connect()
    server.expect_line(b"colour?")


def _answered(server):
    _asked(server)
    server.send_line(b"blue")
    server.expect_disconnect()


def resets(server):
    """A reset instead of an answer; then an answer."""
    _asked(server)
    server.send_reset()
    _answered(server)


def resets_and_is_done(server):
    """A reset, and that is all."""
    _asked(server)
    server.send_reset()


def is_away(server):
    """A reset, connections refused for a while, and an answer."""
    _asked(server)
    server.stop_listening()
    server.send_reset()
    server.wait(0.2)
    server.resume_listening()
    _answered(server)


def breaks_off(server):
    """The half of an answer, and the end; then a whole one."""
    _asked(server)
    server.send_bytes(b"bl")
    server.disconnect()
    _answered(server)


def breaks_off_and_is_done(server):
    """The half of an answer, and the end."""
    _asked(server)
    server.send_bytes(b"bl")
    server.disconnect()


def finishes_first(server):
    """The server has finished, and still listens."""
    _asked(server)
    server.send_line(b"blue")
    server.send_eof()
    server.expect_line(b"thanks")
    server.expect_disconnect()


def waits_for_the_end(server):
    """The answer comes when the client has finished sending."""
    _asked(server)
    server.expect_eof()
    server.send_line(b"blue")
    server.disconnect()


def wants_a_reset(server):
    """Half of an answer, for which nobody should wait for ever."""
    _asked(server)
    server.send_bytes(b"bl")
    server.expect_reset()


def wants_an_end(server):
    """Half of an answer; the client may end it as it likes."""
    _asked(server)
    server.send_bytes(b"bl")
    server.expect_disconnect(clean=False)


def hesitates(server):
    """The answer comes late."""
    _asked(server)
    server.wait(0.3)
    server.send_line(b"blue")
    server.expect_line(b"thanks")
    server.expect_disconnect()


def does_not_read(server):
    """What the client sends has to wait."""
    _asked(server)
    server.send_line(b"blue")
    server.stop_reading(0.5)
    server.expect_count(len(MUCH))
    server.send_line(b"thanks")
    server.expect_disconnect()


def answers_slowly(server):
    """The answer in three pieces, a pause between them."""
    _asked(server)
    server.send_bytes(b"bl", b"u", b"e\n", interval=0.05)
    server.expect_disconnect()


def answers_byte_by_byte(server):
    """The answer, each byte of it a segment of its own."""
    _asked(server)
    server.send_bytes(b"blue\n", chunk_size=1)
    server.expect_disconnect()


def is_silent(server):
    """No answer."""
    _asked(server)
    server.expect_disconnect()


def is_silent_at_first(server):
    """No answer; then, on another connection, one."""
    is_silent(server)
    _answered(server)


def is_silent_for_ever(server):
    """No answer, and nothing is said about how that ends."""
    _asked(server)


RIGHT = [
    (resets, retry, b"blue\n"),
    (resets_and_is_done, report, "BrokenResourceError"),
    (is_away, retry, b"blue\n"),
    (breaks_off, retry, b"blue\n"),
    (breaks_off_and_is_done, report, "CutShortError"),
    (finishes_first, thank, b"blue\n"),
    (waits_for_the_end, finish, b"blue\n"),
    pytest.param(wants_a_reset, abort, "aborted"),
    pytest.param(wants_an_end, abort, "aborted"),
    (wants_an_end, report_soon, "TimeoutError"),
    (hesitates, chat, b"blue\n"),
    (does_not_read, upload, True),
    (answers_slowly, ask, b"blue\n"),
    (answers_byte_by_byte, ask, b"blue\n"),
    (is_silent, report_soon, "TimeoutError"),
    (is_silent_at_first, retry_soon, b"blue\n"),
]

NOT_BACK = "Timed out waiting for client to connect."
STAYS = "Timed out waiting for client to disconnect."

NOT_THANKED = "Expected to get line b'thanks' but the connection was closed."
HALF_SENT = (
    "Expected to get 20,000,000 bytes but the connection was closed "
    f"after b'{'x' * 80}'... (some bytes)."
)

WRONG = [
    (resets, report, NOT_BACK),
    (resets_and_is_done, retry_twice, "Connection 2 was not expected."),
    (is_away, retry_twice, NOT_BACK),
    (breaks_off, believe, NOT_BACK),
    (breaks_off, report, NOT_BACK),
    (breaks_off_and_is_done, retry_twice, "Connection 2 was not expected."),
    (finishes_first, ask, NOT_THANKED),
    (waits_for_the_end, ask, "Timed out waiting for client to finish sending."),
    (wants_a_reset, believe, "Expected the client to reset the connection, but it closed it."),
    (wants_a_reset, ask, "Timed out waiting for client to reset the connection."),
    (wants_an_end, ask, STAYS),
    (hesitates, report, NOT_THANKED),
    (does_not_read, upload_in_a_hurry, HALF_SENT),
    (answers_slowly, believe, "Connection was reset."),
    (answers_byte_by_byte, believe, "Connection was reset."),
    (is_silent, ask, STAYS),
    (is_silent, forget, STAYS),
    (is_silent_at_first, ask, STAYS),
    (is_silent_at_first, report_soon, NOT_BACK),
]


async def run(client, server, where):
    """What the client makes of it: in the event loop of the server, or in one of its own."""
    if where == "here":
        return await client(server.address)
    return await anyio.to_thread.run_sync(anyio.run, client, server.address)


def _name(value):
    return value.__name__ if callable(value) else ""


@pytest.mark.tcpserver(timeout=10)
@pytest.mark.parametrize("where", ["here", "in a thread"])
@pytest.mark.parametrize(("fault", "client", "outcome"), RIGHT, ids=_name)
async def test_a_client_that_survives(tcpserver, fault, client, outcome, where):
    """The script is done, and the client has got the better of it."""
    fault(tcpserver)
    assert await run(client, tcpserver, where) == outcome
    await tcpserver.join()


@pytest.mark.parametrize("where", ["here", "in a thread"])
@pytest.mark.parametrize(("fault", "client", "line"), WRONG, ids=_name)
async def test_a_client_that_does_not(tcpserver, fault, client, line, where):
    """The test fails with what the client did, whatever error of its own that ends with."""
    fault(tcpserver)
    with suppress(*FAULTS):
        await run(client, tcpserver, where)
    actual = await failure_of(tcpserver)
    # How much fits into the buffers of a connection is for the kernel to decide.
    assert re.sub(r"\([\d,]+ bytes\)", "(some bytes)", actual) == line
