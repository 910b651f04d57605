"""A server: where it listens, its script, its connections.

Law: nothing but cancellation leaves a background task. The verdict is raised by the code
that the test calls: ``join()``, a handle, or the end of the test.
"""

from __future__ import annotations

import traceback
from abc import abstractmethod
from typing import Any, NamedTuple, Protocol

import anyio
from anyio.abc import SocketListener, SocketStream

from ._conversation import Conversation
from ._engine import REST, Engine
from ._errors import ScriptError
from ._failure import (
    Broken,
    ExtraConnection,
    Failure,
    NobodyThere,
    NoConnect,
    Problem,
    ScriptView,
    Standing,
)
from ._host import Host
from ._listening import listen
from ._options import Options
from ._pairing import Pairing
from ._script import Handle, Script, place_of_caller
from ._steps import ExpectConnect, ExpectDisconnect, ExpectEnd, Place, Step
from ._transcript import Transcript
from ._transport import reset_stream


class Referee(Protocol):
    """Who is told of failures, and knows what it means to raise one."""

    @abstractmethod
    def report(self, server: TcpServer, failure: Failure) -> None:
        """The server has failed."""

    @abstractmethod
    def settle(self, failure: Failure) -> Exception:
        """The error for this failure, which is settled by being raised."""


class Connection(Script, Handle["Connection"]):
    r"""One connection of a client, and the part of the script that is about it.

    Returned by :meth:`TcpServer.expect_connect`, before the client has connected. Steps
    declared on it run in order, after those declared before them for this connection, and
    hold up nothing else.

    :ivar number: its number, from 1, in the order of the ``expect_connect()``\ s.
    """

    def __init__(
        self, server: TcpServer, engine: Engine, step: Step, after: Handle[Any] | None
    ) -> None:
        Handle.__init__(self, step, self, after)
        self.number = engine.conversation.number
        self._server = server
        self._engine = engine

    def __repr__(self) -> str:
        return f"<Connection {self.number} of {self._server!r}>"

    def _complete(self, received: object) -> None:
        super()._complete(self)

    def _declare(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        return self._server._add(self, Handle(step, self))

    async def _reach(self, handle: Handle[Any]) -> None:
        __tracebackhide__ = True
        await self._server._reach(handle)

    def _limit(self, timeout: float | None) -> float:
        return self._server._limit(timeout)


class _Unclaimed(NamedTuple):
    """A connection that no ``expect_connect()`` has claimed, kept unread.

    ``during`` is the connection that was busy with the step ``waiting`` when it came.
    """

    number: int
    stream: SocketStream
    since: float
    during: Connection | None
    waiting: Step | None


class TcpServer(Script):
    """A server in the process of the test. It follows a script and talks to the client.

    Made by the ``tcpserver`` and ``tcpserver_factory`` fixtures. Steps declared on the
    server run in the order in which they are declared; each is about the connection of the
    last :meth:`expect_connect` above it.

    :ivar host: the IP address on which it listens; by default 127.0.0.1, and ::1 as well.
    :ivar port: the port, the same on all its addresses.
    :ivar connections: what :meth:`expect_connect` has returned so far.
    :ivar transcript: what happened so far on the connections.
    """

    def __init__(self, host: Host, options: Options, factor: float, referee: Referee) -> None:
        self._sockets = listen(options.host, options.port)
        self.host: str
        self.port: int
        self.host, self.port = self._sockets[0].getsockname()[:2]
        self.name = options.name or f"{self.host}:{self.port}"
        self.connections: list[Connection] = []
        self.transcript = Transcript()
        self.failure: Failure | None = None
        self.stopped = False
        #: How many tasks wait for the server: these learn of a failure at once.
        self.joining = 0
        self._task_host = host
        self._options = options
        self._factor = factor
        self._referee = referee
        self._settled = False
        self._listeners: list[SocketListener] = []
        self._pairing: Pairing[Connection, _Unclaimed] = Pairing()
        self._accepted_count = 0
        self._overdue = -1
        self._declared: Handle[Any] | None = None
        self._orphans: list[Handle[Any]] = []
        self._changed: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<TcpServer {self.name}>"

    @property
    def service_port(self) -> int:
        """The port, under the name that it had in 0.7."""
        return self.port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as the ``connect`` functions of most libraries take them."""
        return self.host, self.port

    # The script

    def expect_connect(self, timeout: float | None = None) -> Connection:
        """Expect that the client connects.

        The n-th connection that is accepted belongs to the n-th ``expect_connect()``. The
        client may connect before the declaration.

        :param timeout: seconds, zero or more.
        :return: the connection, for steps that are about this one.
        """
        __tracebackhide__ = True
        self._check_running("expect_connect")
        limit, options = self._timing(timeout)
        step = ExpectConnect("expect_connect", place_of_caller(), (), options, limit)
        conversation = Conversation(
            len(self.connections) + 1,
            self.name,
            self._limit(None) if self._options.check_unexpected else None,
        )
        engine = Engine(
            conversation,
            self._task_host,
            self.transcript,
            on_failure=self._fail,
            # What a step waits for in vain may have been said on another connection.
            before_time_out=self._turn_away,
        )
        connection = Connection(self, engine, step, self._declared)
        self.connections.append(connection)
        self._task_host.watch(engine)
        self._declared = self._add(connection, connection)
        unclaimed = self._pairing.expect(connection)
        if unclaimed is not None:
            engine.attach(unclaimed.stream)
        return connection

    async def join(self) -> None:
        """Wait until every step that has been declared so far is done.

        It may be called any number of times.

        :raises ScriptMismatch: if the server has failed, or fails now. The failure is then
            settled: a test that catches it has dealt with it, and the next ``join()`` returns.
        """
        __tracebackhide__ = True
        if self._settled:
            return
        await self._play()
        if self.failure is not None:
            self._settled = True
            raise self._referee.settle(self.failure)

    def _declare(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        self._check_running(step.word)
        if not self.connections:
            # Reported by join(): the test may go on to connect.
            self._orphans.append(Handle(step, self))
            return self._orphans[-1]
        connection = self.connections[-1]
        after = self._declared
        same = after is None or after is connection or after._script is connection
        handle: Handle[Any] = Handle(step, connection, None if same else after)
        self._declared = self._add(connection, handle)
        return handle

    def _add(self, connection: Connection, handle: Handle[Any]) -> Handle[Any]:
        """Take a step into the script of one connection, and play on."""
        __tracebackhide__ = True
        self._check_running(handle._step.word)
        if self.failure is None:  # Otherwise its script is over.
            engine = connection._engine
            is_next = engine.conversation.add(handle)
            after = handle._after
            if after is not None and not after.done:
                after._when_done.append(engine.release)
            if is_next:
                engine.go_on()
        return handle

    def _limit(self, timeout: float | None) -> float:
        return (self._options.timeout if timeout is None else timeout) * self._factor

    def _check_running(self, word: str) -> None:
        __tracebackhide__ = True
        if self.stopped:
            raise ScriptError(f"{word}() on a server that is stopped")

    # Waiting

    async def _reach(self, handle: Handle[Any]) -> None:
        __tracebackhide__ = True
        await self._until(handle)
        if not handle.done:
            if self.failure is None:
                raise ScriptError(f"{handle._step.word}() on a server that is stopped")
            self._settled = True
            raise self._referee.settle(self.failure)

    async def _play(self) -> None:
        """Wait until the steps declared so far are done, or the server has failed."""
        if self._orphans and self.failure is None:
            self._miss_connect(self._orphans[0]._step)
        lasts = [connection._engine.conversation.last for connection in self.connections]
        for last in lasts:
            if last is not None:
                await self._until(last)
        await self._turn_away()

    async def _until(self, handle: Handle[Any]) -> None:
        """Wait until a step is done, or nothing will come of it any more."""
        self.joining += 1
        try:
            handle._when_done.append(self._wake)
            await self._turn_away()
            while not (handle.done or self.failure or self.stopped):
                if self._changed is None:
                    self._changed = anyio.Event()
                await self._changed.wait()
                await self._turn_away()
        finally:
            self.joining -= 1

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def progress(self) -> int:
        """A number that grows with everything that arrives."""
        return self._accepted_count + sum(each._engine.received for each in self.connections)

    def standing(self) -> list[Standing]:
        """Where the scripts of its connections stand, of those that are not done."""
        each = (connection._engine.conversation.standing() for connection in self.connections)
        return [standing for standing in each if standing is not None]

    async def settle(self) -> None:
        """Let everything that has arrived already be received, judged, and reported."""
        await self._task_host.settle(self.progress)
        while any(connection._engine.concluding for connection in self.connections):
            await self._task_host.pause(REST)

    # Connections

    async def start(self) -> None:
        """Begin to accept connections. (Those made since it was bound are not lost.)"""
        for raw_socket in self._sockets:
            listener = await SocketListener.from_socket(raw_socket)
            self._listeners.append(listener)
            self._task_host.start_soon(self._accept, listener)
        self._task_host.watch(self)

    async def _accept(self, listener: SocketListener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:
                return
            except (OSError, anyio.BrokenResourceError) as error:
                reason = error.__cause__ or error  # On trio anyio wraps it.
                # Perhaps there are too many that nobody expects.
                await self._turn_away()
                problem = Broken(f"The server cannot accept connections: {reason}")
                self._fail(self._failure(problem))
                return
            self._accepted_count += 1
            if self.failure is not None:
                # It would never be served. A client that reconnects for ever learns it, too.
                await reset_stream(stream)
                continue
            unclaimed = _Unclaimed(
                self._accepted_count, stream, self._task_host.now(), *self._busy()
            )
            connection = self._pairing.accept(unclaimed)
            if connection is not None:
                connection._engine.attach(stream)
            else:
                self._wake()

    def look_at(self, now: float) -> float:
        """Deal with a connection that nobody has claimed in time."""
        unclaimed = self._pairing.unclaimed
        if not unclaimed or self.failure or not self._options.check_extra_connections:
            return float("inf")
        number = unclaimed[0].number
        due = unclaimed[0].since + self._limit(None)
        if due <= now and number != self._overdue:
            self._overdue = number
            self._task_host.start_soon(self._turn_away)
        return due if due > now else float("inf")

    async def _turn_away(self) -> None:
        """Fail if there is a connection that nobody expects."""
        if not self._pairing.unclaimed or not self._options.check_extra_connections:
            return
        # What has arrived on the connections that are expected is looked at first.
        await self.settle()
        if self.failure is not None or not self._pairing.unclaimed:
            return
        number, _, _, during, waiting = self._pairing.unclaimed[0]
        if during is None:
            during, waiting = self._busy()
        if during is None:
            problem = ExtraConnection(number, None, bool(self.connections))
            self._fail(self._failure(problem, connection=number))
        else:
            conversation = during._engine.conversation
            conversation.meet_another(number, waiting)
            assert conversation.failure is not None
            self._fail(conversation.failure)

    def _busy(self) -> tuple[Connection, Step] | tuple[None, None]:
        """The first connection that is busy with a step, and the step."""
        for connection in self.connections:
            step = connection._engine.conversation.current
            if step is not None:
                return connection, step
        return None, None

    def _miss_connect(self, step: Step) -> None:
        """Fail, because a step stands before any ``expect_connect()``."""
        nobody = isinstance(step, ExpectDisconnect) and not self._accepted_count
        view = ScriptView(ahead=tuple(handle._step for handle in self._orphans[1:]))
        problem = NobodyThere() if nobody else NoConnect()
        self._fail(Failure(problem, step, view, server=self.name))

    def crash(self, error: BaseException) -> None:
        """The server itself has failed."""
        where = "".join(traceback.format_exception(error))
        self._fail(self._failure(Broken(f"pytest-tcpclient has failed: {error!r}\n\n{where}")))

    def _failure(self, problem: Problem, connection: int | None = None) -> Failure:
        return Failure(problem, connection=connection, server=self.name)

    def _fail(self, failure: Failure) -> None:
        if self.failure is None:
            self.failure = failure
            self._referee.report(self, failure)
        self._wake()

    # The end

    async def finish(self) -> None:
        """Make the checks of the end of a test. What is wrong becomes the failure."""
        options = self._options
        if options.check_pending:
            await self._play()
        else:
            await self.settle()
        await self._turn_away()
        if self.failure is None:
            for last in [self._end(connection) for connection in self.connections]:
                if last is not None:
                    await self._until(last)
        await self._turn_away()

    def _end(self, connection: Connection) -> Handle[Any] | None:
        """Declare that this is the end of the script of a connection."""
        conversation = connection._engine.conversation
        if not conversation.connected:
            return None
        unfinished = conversation.abandon()
        step = ExpectEnd(
            "end of the test",
            Place("", 0),
            limit=self._limit(None),
            unexpected=self._options.check_unexpected and not unfinished,
            left_open=self._options.check_left_open,
        )
        return self._add(connection, Handle(step, connection))

    async def refuse(self) -> None:
        """Accept no connection any more."""
        for listener in self._listeners:
            await listener.aclose()

    async def reset(self) -> bool:
        """Abort what the client has not closed, so that it wakes up.

        :return: whether there was anything to abort.
        """
        unclaimed = list(self._pairing.unclaimed)
        self._pairing.unclaimed.clear()
        for each in unclaimed:
            await reset_stream(each.stream)
        aborted = [await connection._engine.reset() for connection in self.connections]
        return bool(unclaimed) or any(aborted)

    async def close(self) -> None:
        """Let go of everything. Steps cannot be declared any more."""
        self.stopped = True
        self._wake()
        with anyio.CancelScope(shield=True):
            await self.refuse()
            if await self.reset():
                # The transports of an asyncio client that was not closed close themselves
                # now: the loop that they need for that may be closed in a moment.
                await self._task_host.settle(lambda: 0)
