"""asyncio's stream classes are observed while a server watches, and as they were afterwards."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter

import anyio
import pytest
from anyio.abc import SocketAttribute
from runs import INI

from pytest_tcpclient import ScriptMismatch
from pytest_tcpclient._asyncio_streams import _HOOKS, ClientStreams, StreamsWatcher, _key
from pytest_tcpclient._conversation import Streams

pytestmark = pytest.mark.anyio

OBSERVED = (
    (StreamReaderProtocol, "connection_made"),
    (StreamWriter, "close"),
    (StreamWriter, "wait_closed"),
)


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {}), id="asyncio"),
        pytest.param(
            ("asyncio", {"use_uvloop": True}),
            id="uvloop",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
            ),
        ),
    ]
)
def anyio_backend(request):
    """The loops that have these streams."""
    return request.param


def classes() -> list[object]:
    return [vars(owner)[name] for owner, name in OBSERVED]


ORIGINALS = classes()


@pytest.fixture(autouse=True)
def _no_trace():
    """Every test of this module begins and ends with asyncio as it is."""
    assert classes() == ORIGINALS
    yield
    assert classes() == ORIGINALS


@pytest.fixture
async def listener():
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        yield listener


class Pair:
    """A client of asyncio, and both of its ends."""

    def __init__(self, port, watcher):
        self.port = port
        self.watcher = watcher

    async def connect(self, listener, *, accept_first=False):
        connecting = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", self.port))
        if not accept_first:
            self.reader, self.writer = await connecting
        [socket_listener] = listener.listeners
        self.stream = await socket_listener.accept()
        self.client = self.watcher.client_of(self.stream)
        self.reader, self.writer = await connecting
        return self


@pytest.fixture
async def pair(listener):
    """A watched client."""
    port = listener.extra(SocketAttribute.local_port)
    watcher = StreamsWatcher(port)
    watcher.start()
    pair = Pair(port, watcher)
    await pair.connect(listener)
    yield pair
    watcher.stop()
    pair.writer.close()
    await pair.stream.aclose()
    await asyncio.sleep(0)


def test_trio_has_no_such_streams():
    """Nothing is observed where a server does not run on asyncio."""

    async def main():
        from pytest_tcpclient._options import Options
        from pytest_tcpclient._supervisor import Supervisor
        from pytest_tcpclient._verdict import Rules

        supervisor = Supervisor(Rules(), Options(check_streams=True))
        await supervisor.open_server(supervisor.options)
        assert classes() == ORIGINALS
        await supervisor.close()

    anyio.run(main, backend="trio")


@pytest.mark.tcpserver(check_streams=False)
async def test_nothing_is_observed_without_the_check(tcpserver):
    """A server that does not check streams leaves asyncio alone."""
    assert classes() == ORIGINALS


@pytest.mark.tcpserver(check_streams=True, timeout=10)
async def test_the_hooks_look_like_what_they_observe(tcpserver):
    """Whoever inspects asyncio finds the same names and signatures."""
    for (owner, name), original, hook in zip(OBSERVED, ORIGINALS, classes(), strict=True):
        assert hook is not original
        assert hook.__qualname__ == f"{owner.__name__}.{name}"
        assert inspect.signature(hook) == inspect.signature(original)
        assert inspect.iscoroutinefunction(hook) is inspect.iscoroutinefunction(original)


@pytest.mark.tcpserver(check_streams=True, timeout=10)
async def test_the_last_server_takes_the_hooks_with_it(tcpserver_factory):
    """Any number of servers share them."""
    servers = [await tcpserver_factory() for _ in range(3)]
    hooks = classes()
    for server in servers[:2]:
        await server.close()
        assert classes() == hooks
    await servers[2].close()
    assert classes() == ORIGINALS


@pytest.mark.parametrize("accept_first", [True, False])
async def test_a_client_is_known_by_its_addresses(listener, pair, accept_first):
    """It makes no difference which of its ends is seen first."""
    other = await Pair(pair.port, pair.watcher).connect(listener, accept_first=accept_first)
    await other.stream.send(b"Hola!")
    assert await other.reader.readexactly(3) == b"Hol"
    assert other.client.look() == Streams(closed=False, fed=5, buffered=b"a!")
    assert pair.client.look() == Streams(closed=False, fed=0)
    assert not other.client.gone
    other.writer.close()
    assert other.client.gone
    await other.stream.aclose()


async def test_what_a_client_does_is_told(pair):
    """Each call is told once it has been made."""
    told = []
    pair.client.on_change = lambda: told.append(pair.client.look())
    pair.writer.close()
    assert told == [Streams(closed=True, waited=False, fed=0)]
    await pair.writer.wait_closed()
    assert told[1:] == [Streams(closed=True, waited=True, fed=0)]


async def test_what_a_client_does_with_its_transport_is_seen(pair):
    """Nothing need be awaited then."""
    pair.writer.transport.abort()
    assert pair.client.look() == Streams(closed=True, waited=True, fed=0)
    assert pair.client.gone


async def test_what_is_left_in_a_reader_that_nobody_holds_any_more(pair):
    """A client that has closed often lets go of it."""
    await pair.stream.send(b"Hola!")
    await pair.reader.readexactly(1)
    pair.writer.close()
    await pair.writer.wait_closed()
    del pair.reader
    _, pair.writer = await asyncio.open_connection("127.0.0.1", pair.port)
    assert pair.client.look() == Streams(closed=True, waited=True, fed=5, buffered=b"ola!")


@pytest.mark.skipif(not hasattr(StreamWriter, "__del__"), reason="Python 3.11 and later")
async def test_a_writer_that_nobody_holds_any_more(pair):
    """The garbage collector closes it, which is not the client's doing."""
    transport = pair.writer.transport
    with pytest.warns(ResourceWarning, match="unclosed"):
        pair.writer = transport
    seen = pair.client.look()
    assert (seen.closed, seen.collected) == (False, True)


async def test_a_writer_that_is_closed_twice(pair):
    """What has been closed by the client stays so."""
    pair.client.closes(collected=False)
    pair.client.closes(collected=True)
    seen = pair.client.look()
    assert (seen.closed, seen.collected) == (True, False)
    pair.writer.close()


async def test_nothing_of_it_lasts(pair):
    """The readers that are still there are as they were, and go on reading."""
    assert "feed_data" in vars(pair.reader)
    pair.watcher.stop()
    assert "feed_data" not in vars(pair.reader)
    assert pair.client.look() is None
    assert not pair.client.gone
    await pair.stream.send(b"Hola!")
    assert await pair.reader.readexactly(5) == b"Hola!"
    pair.watcher.stop()  # Twice is as good as once.


async def test_a_connection_to_another_port(pair, listener):
    """Nothing of it is touched."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as other:
        port = other.extra(SocketAttribute.local_port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert "feed_data" not in vars(reader)
        assert pair.watcher.find(writer) is None
        writer.close()
        await writer.wait_closed()


async def test_a_reader_with_a_hook_of_its_own(pair, listener):
    """Somebody else's hook is left alone; then it is not known what came."""
    reader = StreamReader()
    reader.feed_data = reader.feed_data
    protocol = StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, "127.0.0.1", pair.port)
    [socket_listener] = listener.listeners
    stream = await socket_listener.accept()
    assert pair.watcher.client_of(stream).look() == Streams(closed=False, fed=None)
    transport.close()
    await stream.aclose()


async def test_a_protocol_that_has_been_replaced(pair):
    """What another protocol does cannot be seen."""
    pair.writer.transport.set_protocol(asyncio.Protocol())
    assert pair.client.look() is None


async def test_a_client_without_streams(pair, listener):
    """There is nothing to be seen."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", pair.port)
    [socket_listener] = listener.listeners
    stream = await socket_listener.accept()
    client = pair.watcher.client_of(stream)
    assert client.look() is None
    assert not client.gone
    transport.close()
    await stream.aclose()


async def test_a_stream_that_has_no_addresses_any_more(pair):
    """It belongs to nobody."""

    class Gone:
        def extra(self, attribute):
            raise OSError

    assert pair.watcher.client_of(Gone()) is None


@pytest.mark.parametrize(
    ("client", "server", "key"),
    [
        (("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 1, "127.0.0.1", 2)),
        (("::1", 1, 0, 0), ("::1", 2, 0, 0), ("::1", 1, "::1", 2)),
        (
            ("::ffff:127.0.0.1", 1, 0, 0),
            ("::ffff:127.0.0.1", 2, 0, 0),
            ("127.0.0.1", 1, "127.0.0.1", 2),
        ),
        ("", "/tmp/socket", None),
        (None, ("127.0.0.1", 2), None),
        ((), ("127.0.0.1", 2), None),
        (("127.0.0.1", 1), None, None),
    ],
)
def test_what_two_ends_have_in_common(client, server, key):
    """The addresses, however a socket's family writes them; a Unix socket's client has none."""
    assert _key(client, server) == key


# The hooks themselves


@pytest.mark.tcpserver(check_streams=True, timeout=10)
async def test_a_pytest_within_pytest(tcpserver, pytester):
    """In the same process it leaves the server outside of it alone."""
    if importlib.util.find_spec("pytest_asyncio") is None:
        pytest.skip("pytest-asyncio is not installed")
    hooks = classes()
    pytester.makeini(INI)
    pytester.makepyfile(
        """
        import asyncio, pytest

        @pytest.mark.asyncio
        @pytest.mark.tcpserver(timeout=10)
        async def test_it(tcpserver):
            tcpserver.expect_connect()
            tcpserver.expect_disconnect(timeout=0.05)
            _, writer = await asyncio.open_connection(None, tcpserver.service_port)
            writer.close()
            with pytest.raises(pytest.fail.Exception, match="wait_closed"):
                await tcpserver.join()
        """
    )
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    _, writer = await asyncio.open_connection("127.0.0.1", tcpserver.port)
    result = await asyncio.to_thread(pytester.runpytest, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert classes() == hooks
    writer.close()
    with pytest.raises(ScriptMismatch, match="There is data sent by server"):
        await tcpserver.join()


@pytest.mark.tcpserver(check_streams=True, timeout=10)
async def test_streams_are_judged_on_every_loop(tcpserver):
    """Of all that asyncio's loops have in common, this is made."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"Hola!")
    tcpserver.expect_disconnect()
    reader, writer = await asyncio.open_connection("127.0.0.1", tcpserver.port)
    writer.write(b"Hello")
    assert await reader.readexactly(5) == b"Hola!"
    writer.close()
    await writer.wait_closed()
    await tcpserver.connections[0].wait()
    _, writer = await asyncio.open_connection("127.0.0.1", tcpserver.port)
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ScriptMismatch) as caught:
        await tcpserver.join()
    line = "There is data sent by server that was not read by client: unread_bytes=b'Hola!'."
    assert str(caught.value).startswith(line)


def test_nothing_is_installed_when_it_is_imported():
    """Only a server that runs makes a difference."""
    assert _HOOKS.watchers == []
    assert ClientStreams().look() is None
