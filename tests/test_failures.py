"""Each way in which a client can depart from its script: the first line, exactly."""

from __future__ import annotations

import socket
import time
from contextlib import AsyncExitStack, suppress

import anyio
import pytest
from clients import connect, every_split, failure_of, needs_true_resets, receive_all, reset

from pytest_tcpclient import ScriptMismatch
from pytest_tcpclient._failure import (
    Differs,
    Ended,
    ExtraConnection,
    LeftBytes,
    LeftOpen,
    NotSent,
    SendStalled,
    TimedOut,
    WasReset,
)
from pytest_tcpclient._transcript import What

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=0.2)]

MEGABYTE = 1024 * 1024


async def test_nobody_connects(tcpserver):
    """The first step has a limit, too."""
    tcpserver.expect_connect()
    assert await failure_of(tcpserver) == "Timed out waiting for client to connect."


async def test_the_client_says_nothing(tcpserver):
    """The limit runs from the moment at which the step is current."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, world!")
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == "Timed out waiting for b'Hello, world!'"
    assert tcpserver.failure.problem == TimedOut(b"")


async def test_the_client_says_too_little(tcpserver):
    """What had come is kept."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, world!")
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        assert await failure_of(tcpserver) == "Timed out waiting for b'Hello, world!'"
    assert tcpserver.failure.problem == TimedOut(b"Hello")


@pytest.mark.parametrize("pieces", every_split(b"Goodbye"), ids=repr)
async def test_the_client_says_something_else(tcpserver, pieces):
    """Known at the first wrong byte; as many bytes are shown as were expected."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Good day")
    async with await connect(tcpserver) as client:
        for piece in [*pieces, b", world"]:
            await client.send(piece)
        assert await failure_of(tcpserver) == (
            "Expected to read b'Good day' but actually read b'Goodbye,'"
        )
    problem = tcpserver.failure.problem
    assert isinstance(problem, Differs)
    assert problem.received == b"Goodbye, world"


async def test_a_wrong_byte_is_not_waited_for(tcpserver_factory):
    """Nothing waits for the rest of a wrong answer."""
    server = await tcpserver_factory(timeout=60)
    server.expect_connect()
    server.expect_bytes(b"Hello, world!")
    async with await connect(server) as client:
        await client.send(b"Hi")
        assert await failure_of(server) == (
            "Expected to read b'Hello, world!' but actually read b'Hi'"
        )


async def test_what_arrives_after_the_first_wrong_byte_is_shown(tcpserver, monkeypatch):
    """On a busy machine, too, where a short pause may last long."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Good day!")
    with socket.create_connection(tcpserver.address) as client:

        async def pause(seconds):
            monkeypatch.undo()
            client.send(b", world")

        monkeypatch.setattr(tcpserver.task_host, "pause", pause)
        client.send(b"Goodbye")
        assert await failure_of(tcpserver) == (
            "Expected to read b'Good day!' but actually read b'Goodbye, '"
        )


@pytest.mark.parametrize("sent", [b"", b"Hel"])
async def test_the_client_closes_early(tcpserver, sent):
    """In the middle of what was expected."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, world")
    async with await connect(tcpserver) as client:
        if sent:
            await client.send(sent)
    assert await failure_of(tcpserver) == (
        f"Expected to read b'Hello, world' but only read {sent!r} before the connection was closed."
    )
    assert tcpserver.failure.problem == Ended(sent, None, reset=False)


async def test_the_client_resets_early(tcpserver):
    """Aborting is not closing."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    client = await connect(tcpserver)
    await tcpserver.connections[0].wait()
    await reset(client)
    # anyio before 4.16 sends a FIN before the RST, and the FIN may be all that is seen.
    assert await failure_of(tcpserver) in (
        "Expected to read b'Hello' but only read b'' before the connection was reset.",
        "Expected to read b'Hello' but only read b'' before the connection was closed.",
    )


async def test_no_frame_comes(tcpserver):
    """In time."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Goodbye, world")
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == "Timed out waiting for frame b'Goodbye, world'"


async def test_a_wrong_frame_comes(tcpserver):
    """Payloads are compared whole."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Bonjour")
    async with await connect(tcpserver) as client:
        await client.send(b"\0\0\0\x0eGoodbye, world")
        assert await failure_of(tcpserver) == (
            "Expected to get frame b'Bonjour' but actually got frame b'Goodbye, world'"
        )


@pytest.mark.parametrize(
    ("sent", "end"),
    [
        (b"", "actually got frame b''"),
        (b"\0\0", "the connection was closed after 2 of the 4 bytes of its length prefix."),
        (b"\0\0\0\7", "the connection was closed after 0 of its 7 bytes."),
        (b"\0\0\0\7Bon", "the connection was closed after 3 of its 7 bytes."),
    ],
)
async def test_a_frame_is_cut_short(tcpserver, sent, end):
    """It is said where."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Bonjour")
    async with await connect(tcpserver) as client:
        if sent:
            await client.send(sent)
    assert await failure_of(tcpserver) == f"Expected to get frame b'Bonjour' but {end}"


async def test_an_empty_frame_is_not_the_end_of_the_connection(tcpserver):
    """0.7 could not tell them apart."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"")
    async with await connect(tcpserver):
        pass
    assert await failure_of(tcpserver) == (
        "Expected to get frame b'' but the connection was closed."
    )


async def test_text_where_a_frame_is_expected(tcpserver):
    """A length beyond all measure is not waited for."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Bonjour")
    async with await connect(tcpserver) as client:
        await client.send(b"Bonjour")
        assert await failure_of(tcpserver) == (
            "Expected to get frame b'Bonjour' but its length prefix b'Bonj' says "
            "1,114,599,018 bytes; the limit is 67,108,864."
        )


async def test_the_client_does_not_close(tcpserver):
    """The hint is a line of its own where the runner is not pytest-asyncio."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver):
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    assert str(caught.value).splitlines()[:3] == [
        "Timed out waiting for client to disconnect.",
        "Remember to close the client's stream.",
        "",
    ]


async def test_bytes_come_instead_of_a_close(tcpserver):
    """All that has come is shown."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"Hel")
        await client.send(b"lo")
        assert await failure_of(tcpserver) == (
            "Received unexpected data while waiting for client to disconnect. Data is b'Hello'."
        )


@needs_true_resets
async def test_a_reset_comes_instead_of_a_close(tcpserver):
    """0.7 took the one for the other."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"unread")
    tcpserver.expect_disconnect()
    client = await connect(tcpserver)
    await tcpserver.connections[0].wait()
    with anyio.fail_after(30):
        while What.SENT not in [event.what for event in tcpserver.transcript]:
            await anyio.lowlevel.checkpoint()
    await client.aclose()  # With unread data: the kernel makes it a reset.
    assert await failure_of(tcpserver) == "Connection was reset."
    assert tcpserver.failure.problem == WasReset(unread=6)


async def test_a_client_has_more_to_send_when_the_failure_is_known(tcpserver):
    """It can send all of it, and so come to its end: a close that waits for that does not hang."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"x")
    async with await connect(tcpserver) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, b"z" * (20 * MEGABYTE))
        line = await failure_of(tcpserver)
        assert line == "Expected to read b'x' but actually read b'z'"
        tasks.cancel_scope.deadline = anyio.current_time() + 5
    assert not tasks.cancel_scope.cancelled_caught


async def test_the_client_does_not_read(tcpserver):
    """The limit of a send counts from its last progress."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"x" * (50 * MEGABYTE))
    async with await connect(tcpserver):
        line = await failure_of(tcpserver)
    problem = tcpserver.failure.problem
    assert isinstance(problem, SendStalled)
    assert 0 < problem.accepted < problem.total == 50 * MEGABYTE
    assert line == (
        f"Timed out sending to the client: {problem.accepted:,} of 52,428,800 bytes were accepted."
    )


async def test_a_slow_reader_is_waited_for(tcpserver_factory):
    """A send may take longer than its limit, as long as the client reads."""
    data = b"x" * (64 * MEGABYTE)
    # A kernel reopens a window that was closed only when half of what it buffers has been read.
    server = await tcpserver_factory(timeout=1)
    server.expect_connect()
    sent = server.send_bytes(data)
    server.disconnect()
    async with await connect(server) as client:
        size = 0
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            size += len(await client.receive(MEGABYTE // 4))
            await anyio.sleep(0.01)
        assert not sent.done
        assert size + len(await receive_all(client)) == len(data)
        await server.join()


async def test_the_client_is_gone_before_a_send(tcpserver):
    """Known to be closed, and reset when the server sent all the same."""
    tcpserver.expect_connect()
    async with await connect(tcpserver):
        await tcpserver.join()
    with anyio.fail_after(30):
        while What.CLIENT_EOF not in [event.what for event in tcpserver.transcript]:
            await anyio.lowlevel.checkpoint()
    for _ in range(20):
        tcpserver.send_bytes(b"Hello")
    line = await failure_of(tcpserver)
    assert line == "Client closed the connection before b'Hello' could be sent."
    assert tcpserver.failure.problem == NotSent(b"Hello")


async def test_the_client_closes_while_the_server_sends(tcpserver):
    """The server cannot know more than that the connection was reset."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"x" * (50 * MEGABYTE))
    async with await connect(tcpserver) as client:
        await client.receive()
    assert await failure_of(tcpserver) == "Connection was reset."


async def test_a_send_after_the_client_has_closed(tcpserver):
    """The server has answered the close with its own: there is nobody to send to."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    tcpserver.send_bytes(b"late")
    async with await connect(tcpserver):
        pass
    line = await failure_of(tcpserver)
    assert line == "Client closed the connection before b'late' could be sent."


async def test_one_connection_too_many(tcpserver):
    """The step at which the server was when it came is named."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver), await connect(tcpserver):
        assert await failure_of(tcpserver) == (
            "While waiting for client to disconnect a second connection was attempted."
        )
    assert isinstance(tcpserver.failure.problem, ExtraConnection)


async def test_two_connections_too_many(tcpserver):
    """The first of them is the failure."""
    tcpserver.expect_connect()
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    clients = [await connect(tcpserver) for _ in range(4)]
    assert await failure_of(tcpserver) == (
        "While waiting for b'Hello' a third connection was attempted."
    )
    for client in clients:
        await client.aclose()


async def test_a_connection_nobody_claims_fails_in_time(tcpserver):
    """Without join(), when the server's timeout has passed."""
    tcpserver.expect_connect()
    async with await connect(tcpserver), await connect(tcpserver):
        with anyio.fail_after(30):
            while tcpserver.failure is None:
                await anyio.lowlevel.checkpoint()
        assert await failure_of(tcpserver) == "Connection 2 was not expected."


async def test_a_step_waits_in_vain_while_the_client_talks_on_another_connection(tcpserver):
    """Without join(): the connection is the reason, not the time."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver), await connect(tcpserver) as client:
        await client.send(b"Hello")
        with anyio.fail_after(30):
            while tcpserver.failure is None:
                await anyio.lowlevel.checkpoint()
        assert await failure_of(tcpserver) == (
            "While waiting for b'Hello' a second connection was attempted."
        )


@pytest.mark.parametrize("said", [b"HELO again\n", b"x" * 1_000_000])
async def test_what_was_said_on_a_connection_that_nobody_expects(tcpserver, said):
    """It is a part of the failure, and of the conversation."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    async with await connect(tcpserver):
        pass
    await tcpserver.join()
    async with await connect(tcpserver) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(send_what_can_be_sent, client, said)
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    if len(said) < 100:
        assert (f"\nReceived: {said!r} on connection 2 to 127.0.0.1:{tcpserver.port}\n") in str(
            caught.value
        )
    else:
        assert "\nReceived: b'xxxxx" in str(caught.value)
    events = [(event.connection, event.what, event.data[:1]) for event in tcpserver.transcript]
    assert events[0] == (1, What.CONNECTED, b"")
    assert [each for each in events if each[0] == 2][:2] == [
        (2, What.CONNECTED, b""),
        (2, What.RECEIVED, said[:1]),
    ]
    # The first piece tells enough.
    assert sum(event.size for event in tcpserver.transcript if event.connection == 2) <= 65536


async def test_who_waits_for_it_too_while_a_connection_is_overheard(tcpserver):
    """Only one receives, and all learn of the same failure."""
    connection = tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    errors = []

    async def wait(join):
        with suppress(ScriptMismatch):
            await join()
        errors.append(tcpserver.failure.problem)

    async with await connect(tcpserver), await connect(tcpserver):
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for join in (tcpserver.join, connection.join, tcpserver.join):
                    tasks.start_soon(wait, join)
    assert [type(error) for error in errors] == [ExtraConnection] * 3


async def test_a_connection_that_is_overheard_does_not_disturb_other_servers(tcpserver_factory):
    """It goes on to be silent after the failure was told."""
    one, other = await tcpserver_factory(), await tcpserver_factory()
    one.expect_connect()
    one.expect_disconnect()
    other.expect_connect()
    other.expect_bytes(b"ok")
    async with await connect(one), await connect(one):
        await failure_of(one)
        async with await connect(other) as client:
            await client.send(b"ok")
            await other.join()


async def test_more_connections_than_anybody_wants_to_read_of(tcpserver):
    """The first five are enough."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(await connect(tcpserver))
        with anyio.fail_after(5):
            while tcpserver._reception.count < 8:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    lines = str(caught.value).splitlines()
    received = [line for line in lines if line.startswith("Received")]
    assert received == [
        f"Received: nothing so far on connection {number} to {tcpserver.name}"
        for number in range(2, 7)
    ]
    assert lines[lines.index(received[-1]) + 1] == "... and 2 more"


async def test_the_number_of_a_connection_that_nobody_expects(tcpserver):
    """It is none of those that are expected, in whatever order they come."""
    tcpserver.expect_connect(first=b"GET").expect_bytes(b"GET it")
    async with await connect(tcpserver) as extra, await connect(tcpserver) as client:
        await extra.send(b"PUT")
        await client.send(b"GET it")
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    lines = str(caught.value).splitlines()
    assert lines[0] == "Connection 2 was not expected."
    assert f"Received: b'PUT' on connection 2 to {tcpserver.name}" in lines
    said = {(event.connection, event.data) for event in tcpserver.transcript if event.data}
    assert said == {(2, b"PUT"), (1, b"GET it")}


async def send_what_can_be_sent(client, data):
    with suppress(anyio.BrokenResourceError):
        await client.send(data)


async def test_no_expect_connect_at_all(tcpserver):
    """A client connected all the same."""
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == (
            "A client connected, but there is no `expect_connect()` for it."
        )


async def test_what_the_expected_client_did_is_looked_at_first(tcpserver):
    """A mismatch goes before a connection too many."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client, await connect(tcpserver):
        await client.send(b"HELLO")
        assert await failure_of(tcpserver) == (
            "Expected to read b'Hello' but actually read b'HELLO'"
        )


async def test_a_step_before_any_expect_connect(tcpserver):
    """Reported by join(), not by the declaration."""
    tcpserver.expect_bytes(b"Hello, world")
    tcpserver.send_bytes(b"Hello, client")
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == (
            "Missing `expect_connect()` before `expect_bytes(b'Hello, world')`"
        )


async def test_expect_disconnect_and_nobody_there(tcpserver):
    """Without expect_connect(), and without a client."""
    tcpserver.expect_disconnect()
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    assert str(caught.value).splitlines()[:3] == [
        "Client is not connected.",
        "Did you forget to connect the client?",
        "",
    ]


async def test_bytes_that_no_step_expects_fail_in_time(tcpserver):
    """Without join(), when the server's timeout has passed."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await client.send(b"x")
        with anyio.fail_after(30):
            while tcpserver.failure is None:
                await anyio.lowlevel.checkpoint()
    assert tcpserver.failure.problem == LeftBytes(b"x")
    assert await failure_of(tcpserver) == "Client sent b'x' after the script was done."


@needs_true_resets
async def test_a_flood_of_unexpected_bytes_is_not_received_whole(tcpserver):
    """The client has to wait, as with any server that does not read."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        with anyio.move_on_after(30) as scope:
            with pytest.raises(anyio.BrokenResourceError):
                await client.send(b"x" * (100 * MEGABYTE))
        assert not scope.cancelled_caught
        problem = tcpserver.failure.problem
        assert isinstance(problem, LeftBytes)
        assert MEGABYTE <= len(problem.received) < 2 * MEGABYTE
        await failure_of(tcpserver)


async def test_a_flood_of_unexpected_bytes_may_be_expected_after_all(tcpserver):
    """Reading goes on when a step wants what the client had to wait with."""
    data = b"x" * (20 * MEGABYTE)
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, data)
        with anyio.fail_after(30):
            while tcpserver.connections[0]._engine.received < MEGABYTE:
                await anyio.lowlevel.checkpoint()
        tcpserver.expect_bytes(data)
        await tcpserver.join()


async def test_what_arrives_with_the_last_tick_is_in_time(tcpserver, monkeypatch):
    """After a limit has passed, what has arrived is read before anything is declared."""
    tcpserver.expect_connect()
    expected = tcpserver.expect_bytes(b"Hello")
    with socket.create_connection(tcpserver.address) as client:
        settle = tcpserver.task_host.settle
        settled = []
        judged = anyio.Event()

        async def settle_late(progress):
            monkeypatch.undo()
            settled.append(expected.done)
            client.send(b"Hello")
            await settle(progress)
            judged.set()

        monkeypatch.setattr(tcpserver.task_host, "settle", settle_late)
        assert await expected.wait() == b"Hello"
        assert settled == [False]
        await judged.wait()
        await tcpserver.settle()
        await tcpserver.join()


async def test_a_step_has_a_timeout_of_its_own(tcpserver):
    """In seconds; the second positional argument, as in 0.7."""
    began = time.monotonic()
    tcpserver.expect_connect(0.3)
    await failure_of(tcpserver)
    assert time.monotonic() - began >= 0.3


async def test_a_timeout_of_zero_wants_what_is_there_already(tcpserver):
    """What has arrived is read before anything is declared."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await tcpserver.join()
        await client.send(b"Hello")
        tcpserver.expect_bytes(b"Hello", 0)
        await tcpserver.join()
        tcpserver.expect_bytes(b"World", timeout=0)
        assert await failure_of(tcpserver) == "Timed out waiting for b'World'"


async def test_time_in_which_the_event_loop_was_blocked_does_not_count(tcpserver):
    """A test may block; a slow machine does."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        time.sleep(0.8)
        await anyio.sleep(0.06)
        time.sleep(0.8)
        await client.send(b"Hello")
        await tcpserver.join()


async def test_a_failure_is_raised_once_and_then_settled(tcpserver):
    """join() returns after that, and the test may go on."""
    tcpserver.expect_connect()
    await failure_of(tcpserver)
    await tcpserver.join()
    await tcpserver.join()


async def test_steps_that_are_declared_before_the_failure_is_told(tcpserver):
    """The test does not know of it yet, and is told by the next join()."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"HELLO")
        while tcpserver.failure is None:
            await anyio.lowlevel.checkpoint()
        late = tcpserver.expect_disconnect()
        assert await failure_of(tcpserver) == "Expected to read b'Hello' but actually read b'HELLO'"
    assert not late.done


async def test_join_raises_the_failure_of_its_own_server_only(tcpserver_factory):
    """Another server's script may be done although one has failed."""
    good = await tcpserver_factory()
    bad = await tcpserver_factory()
    good.expect_connect()
    bad.expect_connect()
    bad.expect_bytes(b"Hello")
    async with await connect(good), await connect(bad) as client:
        await client.send(b"HELLO")
        await good.join()
        assert await failure_of(bad) == "Expected to read b'Hello' but actually read b'HELLO'"
        await good.join()


@pytest.mark.parametrize(
    ("misbehave", "line", "check"),
    [
        (None, "Client left connection 1 open.", "check_left_open"),
        (b"x", "Client sent b'x' after the script was done.", "check_unexpected"),
    ],
)
async def test_stop_makes_the_checks_of_the_end(tcpserver_factory, misbehave, line, check):
    """The message names the switch."""
    server = await tcpserver_factory()
    server.expect_connect()
    async with await connect(server) as client:
        if misbehave:
            await client.send(misbehave)
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver_factory.stop()
    lines = str(caught.value).splitlines()
    assert lines[0] == line
    assert lines[-1] == f"If this is on purpose: @pytest.mark.tcpserver({check}=False)."
    assert isinstance(server.failure.problem, LeftOpen | LeftBytes)
    await tcpserver_factory.stop()


async def test_the_checks_can_be_switched_off(tcpserver_factory):
    """All of them, or one at a time."""
    server = await tcpserver_factory(strict=False)
    server.expect_connect()
    server.expect_bytes(b"Hello")
    async with await connect(server) as client, await connect(server):
        await client.send(b"Hel")
        await tcpserver_factory.stop()
    assert server.failure is None


async def test_a_script_that_is_not_done_is_waited_for_by_stop(tcpserver_factory):
    """check_pending."""
    server = await tcpserver_factory()
    server.expect_connect()
    with pytest.raises(ScriptMismatch, match=r"^Timed out waiting for client to connect\."):
        await tcpserver_factory.stop()
