"""Sees what an asyncio client in this process did with its streams.

asyncio's stream classes are observed, never replaced. There are four hooks, and no more are
needed:

- ``StreamReaderProtocol.connection_made``: whether a new connection is one to our server;
- ``StreamWriter.close`` and ``wait_closed``: what the client calls at the end;
- ``feed_data``, on the readers of our own connections only: how much has reached them.

What the client has not read is what was sent, but for what was fed to its reader and is not
in there any more: however it reads, and computed when it is asked for.

Law: nothing is told of what cannot be seen. That is the case for a connection to somebody
else, a client that uses transports and protocols, threads or processes of its own, and a
subclass that has its own idea of what a reader is fed.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio.abc import SocketAttribute, SocketStream

from ._conversation import Streams
from ._hooks import Hooks

#: What closes a writer that nobody holds any more (Python 3.11 and later).
_COLLECTOR: object = getattr(getattr(StreamWriter, "__del__", None), "__code__", None)

_Key = tuple[str, int, str, int]


class ClientStreams:
    """The reader and the writer of one connection, as far as they can be seen.

    :ivar on_change: called when the client has closed its writer, or waits for that.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] | None = None
        self._protocol: StreamReaderProtocol | None = None
        self._transport: asyncio.Transport | None = None
        self._weak_reader: Callable[[], StreamReader | None] = lambda: None
        # Held from the client's close() on: who has read nothing often lets go of it then.
        self._reader: StreamReader | None = None
        self._countable = False
        self._fed = 0
        self._closed = False
        self._collected = False
        self._waited = False

    @property
    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        return self._closed or (self._transport is not None and self._transport.is_closing())

    def look(self) -> Streams | None:
        """What can be seen now; ``None`` if nothing can."""
        protocol, transport = self._protocol, self._transport
        if protocol is None or transport is None:
            return None
        # TLS may have been put between the two.
        transport = getattr(protocol, "_transport", None) or transport
        lost = getattr(protocol, "_connection_lost", True)
        if not lost and transport.get_protocol() is not protocol:
            return None  # Another protocol has taken over.
        reader = self._reader or self._weak_reader()
        buffer = getattr(reader, "_buffer", None)
        countable = self._countable and isinstance(buffer, bytearray)
        return Streams(
            closed=self._closed or (not self._collected and transport.is_closing()),
            collected=self._collected,
            waited=self._waited or not self._closed,
            fed=self._fed if countable else None,
            buffered=bytes(buffer) if countable and buffer else b"",
        )

    # What the hooks tell

    def connected(self, protocol: StreamReaderProtocol, transport: asyncio.Transport) -> None:
        """The client has connected."""
        self._protocol, self._transport = protocol, transport
        reader = getattr(protocol, "_stream_reader", None)
        if (
            isinstance(reader, StreamReader)
            and type(protocol).data_received is StreamReaderProtocol.data_received
            and type(reader).feed_data is StreamReader.feed_data
            and "feed_data" not in vars(reader)
        ):
            self._countable = True
            self._weak_reader = weakref.ref(reader)
            reader.feed_data = self._feed  # type: ignore[method-assign, assignment]

    def closes(self, collected: bool) -> None:
        """The client has called ``writer.close()``, or the garbage collector has."""
        self._reader = self._weak_reader()
        if collected:
            self._collected = not self._closed
        else:
            self._closed = True
        self._changed()

    def waits(self) -> None:
        """The client awaits ``writer.wait_closed()``."""
        self._waited = True
        self._changed()

    def forget(self) -> None:
        """Leave the reader as it was."""
        reader = self._reader or self._weak_reader()
        if reader is not None:
            vars(reader).pop("feed_data", None)
        self.on_change = self._protocol = self._transport = self._reader = None

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _feed(self, data: bytes) -> None:
        """Stands in for ``feed_data`` of one reader."""
        self._fed += len(data)
        reader = self._weak_reader()
        assert reader is not None  # It has just called this.
        StreamReader.feed_data(reader, data)


class StreamsWatcher:
    """Sees the streams of the clients of one server, from :meth:`start` to :meth:`stop`.

    Made in the event loop of the server: only clients in the same loop can be judged.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        # Of each connection either the client's end is seen first, or the server's.
        self._connected: dict[_Key, ClientStreams] = {}
        self._accepted: dict[_Key, ClientStreams] = {}
        self._clients: dict[object, ClientStreams] = {}

    def start(self) -> None:
        """Observe from now on."""
        _HOOKS.add(self)

    def stop(self) -> None:
        """Observe no more, and leave no trace."""
        _HOOKS.remove(self)
        for client in self._clients.values():
            client.forget()
        self._clients.clear()

    def client_of(self, stream: SocketStream) -> ClientStreams | None:
        """What can be seen of the client of a connection that was accepted."""
        key = None
        with suppress(OSError):  # It was reset, and has no addresses any more.
            key = _key(
                stream.extra(SocketAttribute.remote_address),
                stream.extra(SocketAttribute.local_address),
            )
        if key is None:
            return None
        client = self._connected.pop(key, None)
        if client is None:
            client = self._accepted[key] = ClientStreams()
        return client

    def connected(self, protocol: StreamReaderProtocol, transport: asyncio.Transport) -> None:
        """Some client has connected somewhere."""
        key = _key(transport.get_extra_info("sockname"), transport.get_extra_info("peername"))
        if key is None or key[3] != self._port or asyncio._get_running_loop() is not self._loop:
            return
        client = self._accepted.pop(key, None)
        if client is None:
            client = self._connected[key] = ClientStreams()
        self._clients[protocol] = client
        client.connected(protocol, transport)

    def find(self, writer: StreamWriter) -> ClientStreams | None:
        """The client that has this writer, if it is one of ours."""
        return self._clients.get(getattr(writer, "_protocol", None))


def _key(client: Any, server: Any) -> _Key | None:
    """What both ends of a TCP connection have in common."""
    if not all(isinstance(each, tuple) and len(each) >= 2 for each in (client, server)):
        return None
    # An IPv6 socket that is connected to an IPv4 one calls the addresses so.
    near, far = (str(each[0]).removeprefix("::ffff:") for each in (client, server))
    return near, client[1], far, server[1]


# The hooks


def _connection_made(
    original: Callable[..., Any], watchers: list[StreamsWatcher]
) -> Callable[..., Any]:
    def connection_made(protocol: StreamReaderProtocol, transport: asyncio.Transport) -> Any:
        __tracebackhide__ = True
        result = original(protocol, transport)
        for watcher in watchers:
            watcher.connected(protocol, transport)
        return result

    return connection_made


def _close(original: Callable[..., Any], watchers: list[StreamsWatcher]) -> Callable[..., Any]:
    def close(writer: StreamWriter) -> Any:
        __tracebackhide__ = True
        collected = sys._getframe(1).f_code is _COLLECTOR
        result = original(writer)
        for client in _clients(writer, watchers):
            client.closes(collected)
        return result

    return close


def _wait_closed(
    original: Callable[..., Any], watchers: list[StreamsWatcher]
) -> Callable[..., Any]:
    async def wait_closed(writer: StreamWriter) -> Any:
        __tracebackhide__ = True
        for client in _clients(writer, watchers):
            client.waits()
        return await original(writer)

    return wait_closed


def _clients(writer: StreamWriter, watchers: list[StreamsWatcher]) -> list[ClientStreams]:
    found = (watcher.find(writer) for watcher in watchers)
    return [client for client in found if client is not None]


_HOOKS: Hooks[StreamsWatcher] = Hooks(
    (StreamReaderProtocol, "connection_made", _connection_made),
    (StreamWriter, "close", _close),
    (StreamWriter, "wait_closed", _wait_closed),
)
