"""Accepts connections, and gives each to whom it belongs.

What a connection says first is looked at only while somebody waits for a certain beginning
(``expect_connect(first=)``); otherwise one that nobody claims is kept unread.

Law: nothing but cancellation leaves a background task.
"""

from __future__ import annotations

import socket
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.abc import SocketListener, SocketStream

from ._conversation import NOT_ERRORS
from ._host import Host
from ._listening import BACKLOG, UnixListener, aside, hold, listener_of
from ._location import Location, locations
from ._matchers import NamedMatcher
from ._pairing import Pairing
from ._performer import GONE
from ._tls import TlsError, TlsStream
from ._tls_setting import SSLContext
from ._transport import reset_stream

#: Of so many connections that nobody has claimed a failure knows what they have said.
HEARD = 5

Expected = TypeVar("Expected")


class Arrival(Generic[Expected]):
    """A connection that was accepted.

    :ivar number: from 1, in the order in which they were accepted.
    :ivar since: when that was.
    :ivar connected_at: the same, on the clock of the event loop.
    :ivar heard_at: when it has said something, on the same clock.
    :ivar received: what it has said before somebody claimed it.
    :ivar refused: what it has said instead of a TLS handshake.
    :ivar owner: who has claimed it.
    """

    def __init__(self, number: int, stream: SocketStream, host: Host) -> None:
        self.number = number
        self.stream = stream
        self.since = host.now()
        self.connected_at = self.heard_at = host.time()
        self.received = self.refused = b""
        self.owner: Expected | None = None
        #: How many pieces of what it says are to be received.
        self._wanted = 0.0
        self._receiving = False
        self._looking: anyio.CancelScope | None = None


class Desk(Protocol[Expected]):
    """Who is told of connections."""

    @abstractmethod
    def admit(self, arrival: Arrival[Expected]) -> bool:
        """There is a connection. Return whether it is to be kept: otherwise it is reset."""

    @abstractmethod
    def hand_over(self, expected: Expected, arrival: Arrival[Expected]) -> None:
        """It belongs to this one."""

    @abstractmethod
    def keep(self, arrival: Arrival[Expected]) -> None:
        """Nobody has claimed it so far."""

    @abstractmethod
    def cannot_choose(self, error: BaseException) -> None:
        """A matcher of the test's own has raised this, asked about what came first."""

    @abstractmethod
    async def cannot_accept(self, reason: object) -> None:
        """No more connections can be accepted."""


class Reception(Generic[Expected]):
    """The listening sockets of a server, and the connections that nobody has claimed."""

    def __init__(
        self,
        host: Host,
        sockets: list[socket.socket],
        desk: Desk[Expected],
        context: SSLContext | None = None,
        path: str = "",
    ) -> None:
        #: How many connections were accepted.
        self.count = 0
        self._host = host
        self._sockets = sockets
        self._desk = desk
        self._context = context
        self._path = path
        #: Where its sockets listen, or would.
        self.where: set[Location]
        if path:
            self.where = {path, aside(path)}
        else:
            self.where = locations(each.getsockname() for each in sockets)
        #: What accepts the connections of each of the sockets, as soon as that has begun.
        self._listeners: dict[socket.socket, SocketListener | UnixListener | None] = {}
        self._pairing: Pairing[Expected, Arrival[Expected]] = Pairing()

    @property
    def oldest(self) -> Arrival[Expected] | None:
        """The first connection that nobody has claimed."""
        return self._pairing.oldest

    @property
    def unclaimed(self) -> list[Arrival[Expected]]:
        """The connections that nobody has claimed, the oldest first."""
        return self._pairing.unclaimed

    def overhear(self) -> None:
        """See what the first of those say, although nobody waits for it: for the report."""
        for arrival in self.unclaimed[:HEARD]:
            if not (arrival.received or arrival.refused):
                self._listen_to(arrival, 1)

    def open(self) -> None:
        """Begin to accept connections. (Those made since it was bound are not lost.)"""
        for raw_socket in self._sockets:
            self._listeners[raw_socket] = None
            self._host.start_soon(self._serve, raw_socket)

    async def hold(self) -> None:
        """Refuse connections, and keep the port."""
        if self._listeners:
            self._sockets = [hold(each, self._path) for each in self._sockets]
        await self.close()

    async def resume(self) -> None:
        """Accept connections again, on the same port."""
        if not self._listeners:
            for raw_socket in self._sockets:
                raw_socket.listen(BACKLOG)
            self.open()

    async def lend(self, desk: Desk[Expected]) -> None:
        """Tell somebody else of connections from now on, of new ones only."""
        await self.resume()
        await self._host.settle(lambda: self.count)  # Who has connected already is not new.
        await self.dismiss()
        self._pairing = Pairing()
        self.count = 0
        self._desk = desk

    async def close(self) -> None:
        """Accept no connection any more."""
        listeners, self._listeners = self._listeners, {}
        with anyio.CancelScope(shield=True):  # Nobody else knows of them any more.
            for raw_socket, listener in listeners.items():
                if listener is None:
                    raw_socket.close()
                else:
                    await listener.aclose()

    async def dismiss(self) -> bool:
        """Abort the connections that nobody has claimed. Return whether there were any."""
        arrivals = self._pairing.unclaimed
        self._pairing.clear()
        for arrival in arrivals:
            await reset_stream(arrival.stream)
        return bool(arrivals)

    async def leave(self) -> None:
        """Let go of the sockets, whether they listen or are held."""
        await self.close()
        for raw_socket in self._sockets:
            raw_socket.close()

    def expect(self, expected: Expected, first: NamedMatcher | None = None) -> None:
        """Somebody waits for a connection."""
        self._offer(self._pairing.expect, expected, first)
        self._look()

    def withdraw(self, expected: Expected) -> None:
        """Somebody waits no more."""
        self._offer(self._pairing.withdraw, expected)

    async def _serve(self, raw_socket: socket.socket) -> None:
        if raw_socket in self._listeners:  # Otherwise it was closed before this began.
            self._listeners[raw_socket] = listener = await listener_of(raw_socket)
            await self._accept(listener)

    async def _accept(self, listener: SocketListener | UnixListener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:
                return
            except (OSError, anyio.BrokenResourceError) as error:
                await self._desk.cannot_accept(error.__cause__ or error)  # trio's is wrapped.
                return
            self.count += 1
            self._host.catch_up()
            if self._context is not None:
                stream = TlsStream(stream, self._context)
            arrival: Arrival[Expected] = Arrival(self.count, stream, self._host)
            if not self._desk.admit(arrival):
                # It would never be served. A client that reconnects for ever learns it, too.
                await reset_stream(stream)
                continue
            self._offer(self._pairing.accept, arrival)
            if arrival.owner is None:
                self._desk.keep(arrival)
                self._look()
                if isinstance(stream, TlsStream):
                    # The client waits for it before its test goes on to declare anything.
                    self._host.start_soon(stream.shake_hands_early)

    def _offer(
        self, change: Callable[..., list[tuple[Arrival[Expected], Expected]]], *arguments: object
    ) -> None:
        """Change the pairing, and hand over what has found somebody by that."""
        try:
            pairs = change(*arguments)
        except NOT_ERRORS:
            raise
        except BaseException as error:
            self._desk.cannot_choose(error)
            return
        for arrival, expected in pairs:
            arrival.owner = expected
            if arrival._looking is None:
                self._desk.hand_over(expected, arrival)
            else:
                arrival._looking.cancel()  # One receiver after the other.

    def _look(self) -> None:
        """See what the connections say first that nobody has claimed, if it matters."""
        if not self._pairing.curious:
            return
        for arrival in self._pairing.unclaimed:
            self._listen_to(arrival, float("inf"))

    def _listen_to(self, arrival: Arrival[Expected], pieces: float) -> None:
        """Receive so much of what a connection says. (One receives for all who want it.)"""
        if arrival._wanted < pieces:
            arrival._wanted = pieces
            if not arrival._receiving:
                arrival._receiving = True
                self._host.start_soon(self._receive, arrival)

    async def _receive(self, arrival: Arrival[Expected]) -> None:
        """Receive what a connection says, until somebody claims it."""
        if arrival.owner is not None:
            return
        data = b"more"
        with anyio.CancelScope() as arrival._looking:
            while data and arrival.owner is None and arrival._wanted:
                try:
                    data = await arrival.stream.receive()
                except TlsError as error:
                    data = b""
                    arrival.refused = error.received
                except (anyio.EndOfStream, *GONE):
                    data = b""
                arrival._wanted -= 1
                arrival.received += data
                arrival.heard_at = self._host.time()
                self._offer(partial(self._pairing.receive, ended=not data), arrival, data)
        arrival._looking = None
        arrival._receiving = not data  # Who has finished has nothing more to say.
        if arrival.owner is not None:
            self._desk.hand_over(arrival.owner, arrival)
