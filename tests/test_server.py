"""What a script can say, with real clients on real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading

import anyio
import pytest
from clients import connect, every_split, receive_all, receive_exactly, reset

from pytest_tcpclient import Connection, ScriptError, ScriptMismatch
from pytest_tcpclient._failure import Failure, WasReset
from pytest_tcpclient._transcript import What

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024


async def test_a_script_is_played_from_top_to_bottom(tcpserver):
    """A request, a reply, a second round, and the end."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"one")
    tcpserver.send_bytes(b"ONE")
    tcpserver.expect_bytes(b"two")
    tcpserver.send_bytes(b"TWO")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"one")
        assert await receive_exactly(client, 3) == b"ONE"
        await client.send(b"two")
        assert await receive_exactly(client, 3) == b"TWO"
    await tcpserver.join()


@pytest.mark.parametrize("pieces", every_split(b"Hello"), ids=repr)
async def test_bytes_may_arrive_in_any_pieces(tcpserver, pieces):
    """How a client cuts what it sends makes no difference."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"!")
    async with await connect(tcpserver) as client:
        for piece in pieces:
            await client.send(piece)
            await anyio.lowlevel.checkpoint()
        assert await client.receive() == b"!"


@pytest.mark.parametrize("pieces", every_split(b"\0\0\0\5Hello"), ids=repr)
async def test_frames_may_arrive_in_any_pieces(tcpserver, pieces):
    """A frame is a length and a payload, cut anywhere."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(b"Hello")
    tcpserver.send_frame(b"")
    async with await connect(tcpserver) as client:
        for piece in pieces:
            await client.send(piece)
            await anyio.lowlevel.checkpoint()
        assert await receive_exactly(client, 4) == b"\0\0\0\0"


async def test_several_messages_may_arrive_in_one_piece(tcpserver):
    """A client that does not wait for replies (pipelining) is served all the same."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"a")
    tcpserver.send_bytes(b"A")
    tcpserver.expect_frame(b"b")
    tcpserver.send_frame(b"B")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"a" + b"\0\0\0\1b")
        assert await receive_exactly(client, 6) == b"A\0\0\0\1B"
    await tcpserver.join()


async def test_large_data_is_received_and_sent(tcpserver):
    """Many megabytes in one step, in both directions."""
    data = bytes(range(256)) * (16 * MEGABYTE // 256)
    tcpserver.expect_connect()
    received = tcpserver.expect_bytes(data)
    tcpserver.send_bytes(data)
    tcpserver.disconnect()
    async with await connect(tcpserver) as client:
        await client.send(data)
        assert await receive_all(client) == data
    await tcpserver.join()
    assert received.received == data


async def test_the_client_may_talk_while_the_server_sends(tcpserver):
    """What it says is received then, and judged when the server is done."""
    data = b"x" * (16 * MEGABYTE)
    connection = tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await connection.wait()
        sent = tcpserver.send_bytes(data)
        received = tcpserver.expect_bytes(b"Hello")
        await client.send(b"Hello")
        with anyio.fail_after(30):
            while What.RECEIVED not in [event.what for event in tcpserver.transcript]:
                await anyio.lowlevel.checkpoint()
        assert not sent.done
        assert not received.done
        assert await receive_exactly(client, len(data)) == data
        await tcpserver.join()
    assert received.received == b"Hello"


async def test_what_is_declared_at_the_moment_of_a_reset_is_not_sent(tcpserver):
    """The action was to begin in the next turn of the event loop, and there is no stream."""
    connection = tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await connection.wait()
        sent = tcpserver.send_bytes(b"Hello")
        await tcpserver.reset()
        # On asyncio with anyio before 4.16 a FIN goes before the RST.
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await client.receive()
        assert not sent.done
    assert What.SENT not in [event.what for event in tcpserver.transcript]
    tcpserver.failure = Failure(WasReset())  # So that nothing is waited for at the end.
    tcpserver._settled = True


async def test_disconnecting_from_a_client_that_is_gone(tcpserver):
    """What was aborted need not be closed, on any event loop."""
    connection = tcpserver.expect_connect()
    client = await connect(tcpserver)
    await connection.wait()
    await reset(client)
    await tcpserver.settle()
    tcpserver.disconnect()
    await tcpserver.join()


async def test_a_large_frame_is_received(tcpserver):
    """A payload of many pieces is one message."""
    payload = b"x" * (3 * MEGABYTE)
    tcpserver.expect_connect()
    frame = tcpserver.expect_frame(payload)
    async with await connect(tcpserver) as client:
        await client.send(len(payload).to_bytes(4, "big") + payload)
        await tcpserver.join()
    assert frame.received == payload


async def test_steps_may_be_declared_while_the_client_acts(tcpserver):
    """A script may be written as the conversation goes on."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await tcpserver.join()
        tcpserver.send_bytes(b"Welcome")
        assert await receive_exactly(client, 7) == b"Welcome"
        await client.send(b"Thanks")
        tcpserver.expect_bytes(b"Thanks")
        await tcpserver.join()
        tcpserver.send_bytes(b"Bye")
        tcpserver.disconnect()
        assert await receive_all(client) == b"Bye"
        tcpserver.expect_disconnect()
    await tcpserver.join()


async def test_the_client_may_connect_and_send_first(tcpserver):
    """What came before its declaration is kept."""
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello")
        await tcpserver.join()


async def test_join_may_be_called_any_number_of_times(tcpserver):
    """It waits for what has been declared so far, and no more."""
    await tcpserver.join()
    tcpserver.expect_connect()
    async with await connect(tcpserver):
        await tcpserver.join()
        await tcpserver.join()
    tcpserver.expect_disconnect()
    await tcpserver.join()


async def test_join_may_be_called_by_several_tasks(tcpserver):
    """All of them are woken."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"x")
    async with await connect(tcpserver) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(tcpserver.join)
        tasks.start_soon(tcpserver.join)
        await anyio.lowlevel.checkpoint()
        await client.send(b"x")


async def test_disconnect_comes_after_everything_sent(tcpserver):
    """The client receives all, then EOF, although it has sent what nobody has read."""
    data = b"x" * MEGABYTE
    tcpserver.expect_connect()
    tcpserver.send_bytes(data)
    tcpserver.disconnect()
    tcpserver.expect_bytes(b"y" * 1000)
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"y" * 1000)
        assert await receive_all(client) == data
    await tcpserver.join()


async def test_a_client_may_finish_sending_and_go_on_reading(tcpserver):
    """Half-closed by the client, the connection is closed by expect_disconnect()."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"question")
    tcpserver.send_bytes(b"answer")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"question")
        await client.send_eof()
        assert await receive_all(client) == b"answer"
        await tcpserver.join()


async def test_a_client_may_reconnect(tcpserver):
    """Each expect_connect() is the next connection; the script is one sequence."""
    connections = []
    for number in b"12":
        connections.append(tcpserver.expect_connect())
        tcpserver.expect_bytes(b"Hello")
        tcpserver.send_bytes(bytes([number]))
        tcpserver.expect_disconnect()
    for number in b"12":
        async with await connect(tcpserver) as client:
            await client.send(b"Hello")
            assert await client.receive() == bytes([number])
    await tcpserver.join()
    assert tcpserver.connections == connections
    assert [connection.number for connection in connections] == [1, 2]


async def test_the_second_connection_waits_for_its_turn_in_the_script(tcpserver):
    """A step of the server is not played before those that stand above it."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"first")
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"second")
    async with await connect(tcpserver) as one, await connect(tcpserver) as two:
        with anyio.move_on_after(0.05):
            pytest.fail(f"too early: {await two.receive()!r}")
        await one.send(b"first")
        assert await receive_exactly(two, 6) == b"second"


async def test_a_connection_has_a_script_of_its_own(tcpserver):
    """What is declared on a connection holds up nothing else."""
    one = tcpserver.expect_connect()
    two = tcpserver.expect_connect()
    one.expect_bytes(b"one")
    two.expect_bytes(b"two")
    two.send_bytes(b"TWO")
    one.send_bytes(b"ONE")
    async with await connect(tcpserver) as first, await connect(tcpserver) as second:
        await second.send(b"two")
        assert await second.receive() == b"TWO"
        await first.send(b"one")
        assert await first.receive() == b"ONE"
        await tcpserver.join()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
async def test_all_names_of_the_loopback_reach_the_server(tcpserver, host):
    """Whatever a client takes "localhost" to be."""
    tcpserver.expect_connect()
    async with await anyio.connect_tcp(host, tcpserver.service_port):
        await tcpserver.join()


async def test_it_says_where_it_listens(tcpserver):
    """Host and port, in the forms that clients take."""
    assert tcpserver.host == "127.0.0.1"
    assert tcpserver.port == tcpserver.service_port
    assert tcpserver.address == ("127.0.0.1", tcpserver.port)
    assert repr(tcpserver) == f"<TcpServer 127.0.0.1:{tcpserver.port}>"
    tcpserver.expect_connect()
    with socket.create_connection(tcpserver.address):
        await tcpserver.join()


@pytest.mark.parametrize(
    ("host", "refused"), [("127.0.0.1", socket.AF_INET6), ("::1", socket.AF_INET)]
)
async def test_it_listens_where_it_is_told_and_nowhere_else(tcpserver_factory, host, refused):
    """An address is one address: the same port of the other is to be had."""
    other = {socket.AF_INET6: "::1", socket.AF_INET: "127.0.0.1"}[refused]
    server = await tcpserver_factory(host=host)
    assert server.host == host
    server.expect_connect()
    async with await anyio.connect_tcp(host, server.port):
        await server.join()
    with socket.socket(refused) as twin:
        while True:
            try:
                twin.bind((other, server.port))
                break
            except OSError:  # Another process has it: that is not so with every port.
                server = await tcpserver_factory(host=host)
                assert len(tcpserver_factory._supervisor.servers) < 20


async def test_a_port_can_be_chosen(tcpserver_factory, free_tcp_port_factory):
    """For clients that cannot be told another one."""
    for attempt in range(20):
        port = free_tcp_port_factory()
        try:
            server = await tcpserver_factory(port=port)
            break
        except OSError:  # Another process has taken it since: not each time.
            assert attempt < 19
    assert server.port == port
    with pytest.raises(OSError, match=f"^.*cannot listen on 127.0.0.1 port {port}: "):
        await tcpserver_factory(port=port)


async def test_servers_of_one_factory_are_independent(tcpserver_factory):
    """Each has its port and its script."""
    one = await tcpserver_factory(name="one")
    two = await tcpserver_factory(name="two", timeout=2)
    assert one.port != two.port
    assert repr(one) == "<TcpServer one>"
    for server in one, two:
        server.expect_connect()
        server.send_bytes(server.name.encode())
        server.expect_disconnect()
        async with await connect(server) as client:
            assert await client.receive() == server.name.encode()
    await tcpserver_factory.stop()


async def test_a_factory_may_make_servers_after_a_stop(tcpserver_factory):
    """What is stopped stays stopped; what is made later is new."""
    first = await tcpserver_factory()
    await tcpserver_factory.stop()
    with socket.socket() as client:
        assert client.connect_ex(first.address) != 0
    second = await tcpserver_factory()
    second.expect_connect()
    async with await connect(second):
        await second.join()
    await first.join()


@pytest.mark.parametrize(
    "declare",
    [
        lambda server: server.expect_connect(),
        lambda server: server.expect_bytes(b"x"),
        lambda server: server.send_frame(b"x"),
        lambda server: server.disconnect(),
    ],
)
async def test_nothing_can_be_declared_on_a_stopped_server(tcpserver_factory, declare):
    """It is an error at that line."""
    server = await tcpserver_factory()
    await tcpserver_factory.stop()
    with pytest.raises(ScriptError, match=r"^\w+\(\) on a server that is stopped$"):
        declare(server)


async def test_nothing_can_be_sent_after_disconnect(tcpserver):
    """The server has said that it would not; expectations may follow."""
    tcpserver.expect_connect()
    tcpserver.disconnect()
    with pytest.raises(
        ScriptError, match=r"^send_bytes\(\) cannot follow disconnect\(\) on one connection$"
    ):
        tcpserver.send_bytes(b"x")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        assert await receive_all(client) == b""


async def test_a_handle_says_whether_its_step_is_done_and_what_it_received(tcpserver):
    """The handle of a declaration is there to wait for that step alone."""
    connection = tcpserver.expect_connect()
    received = tcpserver.expect_bytes(b"Hello")
    frame = tcpserver.expect_frame(b"World")
    assert isinstance(connection, Connection)
    assert not received.done
    assert repr(received) == "<Handle of expect_bytes(), not done>"
    with pytest.raises(ScriptError, match=r"^expect_bytes\(\) has not received anything yet: "):
        _ = received.received
    async with await connect(tcpserver) as client:
        assert await connection.wait() is connection
        await client.send(b"Hello\0\0\0\5")
        assert await received.wait() == b"Hello"
        assert received.done
        assert not frame.done
        await client.send(b"World")
        assert await frame.wait() == b"World"
    assert repr(received) == "<Handle of expect_bytes(), done>"
    assert repr(connection) == f"<Connection 1 of {tcpserver!r}>"


async def test_a_handle_raises_the_failure_of_its_server(tcpserver):
    """Then as often as it is asked: its step will never come true."""
    tcpserver.expect_connect()
    expected = tcpserver.expect_bytes(b"Hello")
    never = tcpserver.send_bytes(b"World")
    async with await connect(tcpserver) as client:
        await client.send(b"Goodbye")
        for handle in expected, never, never:
            with pytest.raises(ScriptMismatch, match=r"^Expected to read b'Hello' but actually"):
                await handle.wait()
        await tcpserver.join()


async def test_a_handle_of_a_stopped_server_is_not_waited_for(tcpserver_factory):
    """Nothing will come of it any more."""
    server = await tcpserver_factory(check_pending=False)
    handle = server.expect_connect()

    async def stop():
        await anyio.lowlevel.checkpoint()
        await tcpserver_factory.stop()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop)
        with pytest.raises(ScriptError, match=r"^expect_connect\(\) on a server that is stopped$"):
            await handle.wait()


async def test_what_happens_is_logged_as_it_happens(tcpserver, caplog):
    """A line for each thing that crosses the wire, and each step that has come true."""
    caplog.set_level("DEBUG", logger="pytest_tcpclient")
    await tcpserver.wait(0).wait()
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello", optional=True, timeout=0)
    tcpserver.send_bytes(b"World")
    tcpserver.expect_bytes(b"Bye")
    async with await connect(tcpserver) as client:
        assert await client.receive() == b"World"
        await client.send(b"Buy")
        with pytest.raises(ScriptMismatch):
            await tcpserver.join()
    logged = [record.getMessage() for record in caplog.records if record.name == "pytest_tcpclient"]
    name = tcpserver.name
    assert [line.removeprefix(f"{name}: ") for line in logged][:8] == [
        "done wait(0)",
        "connection 1: client connected",
        "connection 1: done expect_connect()",
        "connection 1: skipped expect_bytes(b'Hello', timeout=0, optional=True)",
        "connection 1: server sent b'World'",
        "connection 1: done send_bytes(b'World')",
        "connection 1: client sent b'Buy'",
        "failed: Expected to read b'Bye' but actually read b'Buy'",
    ]


async def test_nothing_is_logged_that_nobody_wants(tcpserver, caplog):
    """It would cost time."""
    caplog.set_level("INFO", logger="pytest_tcpclient")
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        await tcpserver.join()
    assert [record for record in caplog.records if record.name == "pytest_tcpclient"] == []


async def test_the_transcript_has_what_happened_in_order(tcpserver):
    """Whatever crossed the wire is there afterwards."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"ping")
    tcpserver.send_bytes(b"pong")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"ping")
        assert await client.receive() == b"pong"
    await tcpserver.join()
    events = list(tcpserver.transcript)
    assert [(event.connection, event.what, event.data) for event in events[:4]] == [
        (1, What.CONNECTED, b""),
        (1, What.RECEIVED, b"ping"),
        (1, What.SENT, b"pong"),
        (1, What.CLIENT_EOF, b""),
    ]
    assert [event.time for event in events] == sorted(event.time for event in events)


@pytest.fixture
def scripted(tcpserver):
    """A script declared where no event loop runs."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Welcome")
    return tcpserver


async def test_a_sync_fixture_may_declare_steps(scripted):
    """Declarations are ordinary calls."""
    async with await connect(scripted) as client:
        assert await receive_exactly(client, 7) == b"Welcome"


async def test_another_thread_may_declare_steps(tcpserver):
    """An action that it declares is begun by the next tick."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await tcpserver.join()
        thread = threading.Thread(target=tcpserver.send_bytes, args=(b"Hello",))
        thread.start()
        assert await receive_exactly(client, 5) == b"Hello"
        thread.join()


async def test_a_client_in_a_thread_is_served(tcpserver):
    """It need not be in the event loop, nor know of one."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"ping")
    tcpserver.send_bytes(b"pong")
    tcpserver.expect_disconnect()

    def client():
        with socket.create_connection(tcpserver.address) as connection:
            connection.sendall(b"ping")
            return connection.recv(100)

    assert await anyio.to_thread.run_sync(client) == b"pong"
    await tcpserver.join()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_other_connections_of_the_test_are_not_touched(tcpserver):
    """asyncio's own functions and classes are as they were."""
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.read())
        writer.close()

    other = await asyncio.start_server(serve, "127.0.0.1")
    async with other:
        address = other.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, limit=100)
        writer.write(b"Hello")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert seen == [b"Hello"]
