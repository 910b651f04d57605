"""A server: where it listens, its script, its connections.

Law: nothing but cancellation leaves a background task. The verdict is raised by the code
that the test calls: ``join()``, a handle, or the end of the test.
"""

from __future__ import annotations

import itertools
import logging
import socket
import ssl
import traceback
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from types import CodeType, CoroutineType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, overload

import anyio

from . import _certificates
from ._address import Address
from ._asyncio_streams import StreamsWatcher
from ._block import Block
from ._blocked_loop import LoopWatcher, name_of
from ._conversation import Conversation
from ._engine import LOG, REST, Engine
from ._errors import ScriptError
from ._event_loop import current_asyncio_task
from ._failure import (
    MARKER,
    Blocked,
    Broken,
    ExtraConnection,
    Failure,
    NobodyThere,
    NoConnect,
    Problem,
    ScriptView,
    Standing,
    among,
)
from ._framings import Checked, LengthPrefixed
from ._handle import Handle
from ._host import Host
from ._interlude import Interlude
from ._listening import listen_at
from ._location import Location
from ._options import Options
from ._reception import HEARD, Arrival, Reception
from ._report import headline
from ._rule import Rule
from ._script import Script
from ._server_script import ServerScript
from ._steps import (
    ExpectConnect,
    ExpectDisconnect,
    ExpectEnd,
    ExpectNoConnection,
    Place,
    ResumeListening,
    StartTls,
    Step,
    StopListening,
    Wait,
)
from ._surroundings import current
from ._transcript import Transcript, What

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Settings

#: How messages are delimited if nothing else is said, as in 0.7.
_DEFAULT_FRAMING = LengthPrefixed()


#: Of so many other connections a failure knows what they wait for.
OTHERS_SHOWN = 20


#: A failure that is about no connection is shown with the steps of so many.
ALONGSIDE = 3


class Referee(Protocol):
    """Who is told of failures, and knows what it means to raise one."""

    @abstractmethod
    def report(self, server: TcpServer, failure: Failure) -> None:
        """The server has failed."""

    @abstractmethod
    def settle(self, failure: Failure) -> BaseException:
        """The error for this failure, which is settled by being raised."""

    @abstractmethod
    def mismatch(self, failure: Failure) -> BaseException:
        """What a client is told of this failure. The test fails at its end all the same."""

    @abstractmethod
    def take_in(self, guest: TcpServer) -> None:
        """There is another server, which belongs to a part of the test."""

    @abstractmethod
    async def conclude_part(
        self, guest: TcpServer, raised: BaseException | None
    ) -> BaseException | None:
        """That part is over, and has raised this: return what it ends with."""


class Played(Script):
    """A script that is played in an event loop.

    A step is made where it is declared, and taken where it is played: for blocking servers these
    are two threads.
    """

    def _declare(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        self._check_running(step.word)
        self._check_here()
        handle = self._make(step)
        self._take(handle)
        return handle

    def _make(self, step: Step) -> Handle[Any]:
        """What the declaration of a step returns; in any thread."""
        __tracebackhide__ = True
        if isinstance(step, StartTls):
            _certificates.server_context(step.tls)  # Now, if that cannot be.
        return self._handle_for(step)

    @abstractmethod
    def _check_running(self, word: str) -> None:
        """Say so if no steps are taken any more; in any thread."""

    @abstractmethod
    def _check_here(self) -> None:
        """Say so if the caller runs in another event loop."""

    @abstractmethod
    def _handle_for(self, step: Step) -> Handle[Any]:
        """The handle of a step, which need not be taken yet."""

    @property
    @abstractmethod
    def _in_touch(self) -> bool:
        """Whether a client has connected."""

    @abstractmethod
    def _take(self, handle: Handle[Any]) -> None:
        """Take a step into the script, and play on."""


class Connection(Played, Handle["Connection"]):
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

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """What the ``ssl`` module knows of an encrypted connection, ``None`` of another one.

        It has ``version()``, ``selected_alpn_protocol()``, ``getpeercert()``, and more.
        """
        return self._engine.tls.ssl_object if self._engine.tls is not None else None

    def __repr__(self) -> str:
        return f"<Connection {self.number} of {self._server!r}>"

    @overload
    def wait(self) -> CoroutineType[Any, Any, Connection]: ...

    @overload
    def wait(self, seconds: float) -> Handle[None]: ...

    def wait(self, seconds: float | None = None) -> Any:
        """``await connection.wait()``: wait until the client has connected.

        With ``seconds`` it is a step, as for every script: see :meth:`Script.wait`.
        """
        __tracebackhide__ = True
        return Handle.wait(self) if seconds is None else Script.wait(self, seconds)

    async def join(self) -> None:
        """Wait until every step that has been declared for this connection so far is done.

        :raises ScriptMismatch: as :meth:`TcpServer.join` does, if the server has failed.
        """
        __tracebackhide__ = True
        last = self._engine.conversation.last
        if last is not None or self._server.failure is not None:
            await self._server._join([last] if last is not None else [])

    @property
    def client_address(self) -> tuple[str, int]:
        """Host and port from which the client has connected.

        :raises ScriptError: if it has not, or the server listens on a unix socket.
        """
        __tracebackhide__ = True
        self._server._on_port("client_address")
        address = self._engine.client_address
        if address is None:
            raise ScriptError(f"nobody has connected to {self!r} yet")
        return address

    def _complete(self, received: object) -> None:
        super()._complete(self)

    def _check_running(self, word: str) -> None:
        __tracebackhide__ = True
        self._server._check_running(word)

    def _check_here(self) -> None:
        __tracebackhide__ = True
        self._server._check_here()

    def _handle_for(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        self._engine.conversation.declare(step)
        return Handle(step, self)

    @property
    def _in_touch(self) -> bool:
        return self._server._in_touch

    def _take(self, handle: Handle[Any]) -> None:
        self._server._add(self._engine, handle)

    async def _reach(self, handle: Handle[Any]) -> None:
        __tracebackhide__ = True
        await self._server._reach(handle)

    def _limit(self, timeout: float | None) -> float:
        return self._server._limit(timeout)

    def _add_rule(self, rule: Rule) -> None:
        __tracebackhide__ = True
        self._check_running("whenever")
        self._check_here()
        self._engine.add_rule(rule)

    @property
    def _framing(self) -> Checked:
        return self._server._framing

    @property
    def _newline(self) -> bytes:
        return self._server._newline


#: Steps that are about no connection. (So is a pause, if it is declared on the server.)
OF_THE_SERVER = (ExpectNoConnection, StopListening, ResumeListening)


_ELSEWHERE = (
    "the server runs in another event loop than the test: a fixture of a wider scope "
    "needs the loop of its tests (loop_scope= of pytest-asyncio, anyio_backend of the same scope)"
)


_NOT_RUNNING = (
    "a client waits for the server {} in the thread of its event loop, which is not running: for "
    "sync tests and fixtures there are `blocking_tcpserver` and `open_blocking_tcp_server()`"
)

_BETWEEN_SCRIPTS = (
    "a client waits for the server {}, which plays scripts and is between two of them: connect "
    "inside of `async with server.script()`"
)


class _Busy(NamedTuple):
    """What a server was at when a connection came that nobody expected."""

    connection: Connection | None = None
    step: Step | None = None


class TcpServer(Address, Played, ServerScript[Connection]):
    """A server in the process of the test. It follows a script and talks to the client.

    Made by the ``tcpserver`` and ``tcpserver_factory`` fixtures. Steps declared on the
    server run in the order in which they are declared; each is about the connection of the
    last :meth:`expect_connect` above it.

    :ivar connections: what :meth:`expect_connect` has returned so far.
    :ivar transcript: what happened so far on the connections.
    """

    def __init__(
        self,
        host: Host,
        options: Options,
        factor: float,
        referee: Referee,
        lender: TcpServer | None = None,
    ) -> None:
        __tracebackhide__ = True
        tls = options.tls
        self._context = None if tls is None else _certificates.server_context(tls)
        self._lender = lender
        if lender is None:
            sockets, endpoint = listen_at(options.host, options.port, options.path)
            self._reception: Reception[Connection] = Reception(
                host, sockets, self, self._context, endpoint.path
            )
        else:
            endpoint, self._reception = lender._endpoint, lender._reception
        Address.__init__(self, endpoint, tls)
        self.name = options.name or str(endpoint)
        self.connections: list[Connection] = []
        #: The one that was declared last, which need not be among them yet.
        self._latest: Connection | None = None
        self._numbers = itertools.count(1)
        self._taken_numbers: set[int] = set()
        self.transcript = Transcript(current().transcript_limit)
        self.failure: Failure | None = None
        #: What has taken its options, or could have.
        self.switch = MARKER
        #: The functions in which it was opened, if no fixture of ours did that.
        self.opened_by: set[CodeType] = set()
        self.stopped = False
        #: Why it takes no steps, if it does not.
        self._retired = ""
        #: Whether it plays scripts, and whether one of them is played now.
        self._plays_scripts = False
        self._lent = False
        #: How many tasks wait for the server: these learn of a failure at once.
        self.joining = 0
        self.task_host = host
        self._options = options
        self._factor = factor
        self.referee = referee
        self._settled = False
        self._busy_then: dict[int, _Busy] = {}
        self._watcher: StreamsWatcher | None = None
        self._loop_watcher = LoopWatcher(
            self.name, self.where, host.loop, self._limit(None), self._fail_blocked
        )
        self._overdue = -1
        self._engines: list[Engine] = []
        self._interlude: Interlude | None = None
        self._declared: Handle[Any] | None = None
        self._declared_for: Engine | None = None
        self._orphans: list[Handle[Any]] = []
        self._rules: list[Rule] = []
        self._changed: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<TcpServer {self.name}>"

    # The script

    def _withdraw(self, connection: Connection) -> None:
        """The step is over: if it was skipped, the next client is not for it."""
        if connection.skipped:
            self._reception.withdraw(connection)

    async def join(self) -> None:
        """Wait until every step that has been declared so far is done.

        It may be called any number of times.

        :raises ScriptMismatch: if the server has failed, or fails now. The failure is then
            settled: a test that catches it has dealt with it, and the next ``join()`` returns.
        """
        __tracebackhide__ = True
        self._check_orphans()
        await self._join(self._lasts())

    async def _join(self, lasts: list[Handle[Any]]) -> None:
        """Wait until these steps are over; raise what has failed, once."""
        __tracebackhide__ = True
        if self._settled:
            return
        await self._play(lasts)
        if self.failure is not None:
            raise self._settle(self.failure)

    def _handle_for(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        if isinstance(step, ExpectConnect):
            self._latest = self._connection_for(step)
            return self._latest
        if self._latest is None or isinstance(step, OF_THE_SERVER) or type(step) is Wait:
            return Handle(step, self)
        return self._latest._handle_for(step)

    def _connection_for(self, step: ExpectConnect) -> Connection:
        """The connection that begins with this step."""
        conversation = Conversation(
            next(self._numbers),
            self.name,
            self._limit(None) if self._options.check_unexpected else None,
        )
        conversation.encrypted = self._context is not None
        engine = Engine(
            conversation,
            self.task_host,
            self.transcript,
            on_failure=self._fail,
            # What a step waits for in vain may have been said on another connection.
            before_time_out=self._turn_away,
        )
        return Connection(self, engine, step, None)

    @property
    def _in_touch(self) -> bool:
        return bool(self._reception.count)

    def _take(self, handle: Handle[Any]) -> None:
        step, about = handle._step, handle._script
        if isinstance(handle, Connection):
            self._expect_connection(handle)
        elif isinstance(about, Connection):
            self._append(about._engine, handle)
        elif isinstance(step, OF_THE_SERVER) or type(step) is Wait:
            self._intermit(handle)
        else:
            # Reported by join(): the test may go on to connect.
            self._orphans.append(handle)

    def _expect_connection(self, connection: Connection) -> None:
        """Take a step with which a connection begins."""
        step, engine = connection._step, connection._engine
        assert isinstance(step, ExpectConnect)
        self.connections.append(connection)
        self._engines.append(engine)
        self.task_host.watch(engine)
        for rule in self._rules:
            engine.add_rule(rule)
        self._append(engine, connection)
        connection._when_over.append(partial(self._withdraw, connection))
        self._reception.expect(connection, step.first)

    def _intermit(self, handle: Handle[Any]) -> None:
        """Take a step that is about no connection."""
        if self._interlude is None:
            self._interlude = Interlude(
                self.name,
                self.task_host,
                self.transcript,
                on_failure=self._fail,
                before_time_out=self._turn_away,
                reception=self._reception,
            )
            self._engines.append(self._interlude)
            self.task_host.watch(self._interlude)
        self._append(self._interlude, handle)

    def _append(self, engine: Engine, handle: Handle[Any]) -> None:
        """Take a step that runs after all that have been declared on the server so far."""
        if self._declared_for is not engine:
            before = self._declared
            if isinstance(handle._step, ExpectConnect) and handle._step.first is not None:
                # Those that are told by what they say may come in any order.
                while isinstance(before, Connection):
                    before = before._after
            handle._after = before
        self._add(engine, handle)
        self._declared, self._declared_for = handle, engine

    def _add(self, engine: Engine, handle: Handle[Any]) -> None:
        """Take a step into the script of one connection, and play on."""
        if self.failure is None:  # Otherwise its script is over.
            is_next = engine.conversation.add(handle)
            after = handle._after
            if after is not None and not after._over:
                after._when_over.append(engine.release)
            if is_next:
                engine.go_on()

    def _limit(self, timeout: float | None) -> float:
        return (self._options.timeout if timeout is None else timeout) * self._factor

    def _add_rule(self, rule: Rule) -> None:
        __tracebackhide__ = True
        self._check_running("whenever")
        self._check_here()
        self._rules.append(rule)
        for connection in self.connections:
            connection._engine.add_rule(rule)

    @property
    def _framing(self) -> Checked:
        return self._options.framing or _DEFAULT_FRAMING

    @property
    def _newline(self) -> bytes:
        return self._options.newline

    # Servers of a wider scope

    @property
    def plays(self) -> bool:
        """Whether it takes steps."""
        return not (self.stopped or self._retired or self._plays_scripts)

    def retire(self, why: str) -> None:
        """Take no steps any more, and drop those that are not done."""
        self._retired = why
        self._settled = True
        self._orphans.clear()
        for engine in self._engines:
            engine.conversation.abandon()

    @property
    def unfinished(self) -> bool:
        """Whether there are steps that are not done."""
        return bool(self._orphans or self._lasts())

    def script(self, **options: Unpack[Settings]) -> AbstractAsyncContextManager[TcpServer]:
        """A script of its own, for servers of a wider scope: one for each test.

        ``async with server.script() as script:``. The script has all that a server has, and
        listens where this one does. It begins empty: what has connected before is reset. It ends
        with ``join()`` and the checks of the end of a test, and then all its connections are
        closed. A server that plays scripts takes no steps itself.

        :param options: of this script, if they are others: ``timeout``, ``framing``, ``newline``,
            ``name`` and the checks.
        :raises ScriptError: at the beginning, if the server has steps of its own, or another
            script of it is played.
        :raises ScriptMismatch: at the end, if the script has failed and that was not raised yet.
        """
        __tracebackhide__ = True
        fixed = _FIXED.intersection(options)
        if fixed:
            raise TypeError(f"script() of a server that has its {min(fixed)} already")
        return _Performance(self, self._options.but(options))

    def _check_running(self, word: str) -> None:
        __tracebackhide__ = True
        self._check_there(word)
        if self._plays_scripts:
            raise ScriptError(
                f"{word}() on a server that plays scripts: write it on the script, which is what "
                "the block of `server.script()` begins with"
            )

    def _check_there(self, word: str) -> None:
        __tracebackhide__ = True
        if self.stopped:
            raise ScriptError(f"{word}() on a server that is stopped")
        if self._retired:
            raise ScriptError(f"{word}() on a server {self._retired}")
        if self._settled and self.failure is not None:
            # Before the test was told it may go on to declare: what it ends with is the failure.
            said = headline(self.failure).sentence
            raise ScriptError(f"{word}() on a server that has failed already: {said}")

    def _check_here(self) -> None:
        __tracebackhide__ = True
        if self.task_host.loop.is_elsewhere():
            raise ScriptError(_ELSEWHERE)

    # Waiting

    async def _reach(self, handle: Handle[Any]) -> None:
        __tracebackhide__ = True
        await self._until(handle)
        if not handle._over:
            if self.failure is None:
                raise ScriptError(f"{handle._step.word}() on a server that is stopped")
            raise self._settle(self.failure)

    def _settle(self, failure: Failure) -> BaseException:
        """The error for a failure that the test is told of: what it does then is its affair."""
        self._settled = True
        for engine in self._engines:
            engine.drain()
        return self.referee.settle(failure)

    def _lasts(self) -> list[Handle[Any]]:
        """The last step of each connection that is not done with its steps."""
        lasts = (engine.conversation.last for engine in self._engines)
        return [last for last in lasts if last is not None]

    async def _play(self, lasts: list[Handle[Any]]) -> None:
        """Wait until these steps are over, or the server has failed."""
        __tracebackhide__ = True
        for last in lasts:
            await self._until(last)
        await self._turn_away()

    async def _until(self, handle: Handle[Any]) -> None:
        """Wait until a step is done, or nothing will come of it any more."""
        __tracebackhide__ = True
        if not self.task_host.loop.is_here():
            raise ScriptError(_ELSEWHERE)
        self.joining += 1
        try:
            handle._when_over.append(self._wake)
            await self._turn_away()
            while not (handle._over or self.failure or self.stopped):
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
        return self._reception.count + sum(engine.received for engine in self._engines)

    def standing(self) -> list[Standing]:
        """Where the scripts of its connections stand, of those that are not done."""
        each = (engine.conversation.standing() for engine in self._engines)
        return [standing for standing in each if standing is not None]

    async def settle(self) -> None:
        """Let everything that has arrived already be received, judged, and reported."""
        await self.task_host.settle(self.progress)
        while any(engine.concluding for engine in self._engines):
            await self.task_host.pause(REST)

    # Connections

    def start(self) -> None:
        """Begin to accept connections. (Those made since it was bound are not lost.)

        In the event loop, which may be another one than that in which it was made.
        """
        self.task_host.start()
        self._watch_streams()
        self._loop_watcher.start()
        self._reception.open()
        self.task_host.watch(self)

    async def take_over(self) -> None:
        """Begin to accept connections where another server has done so far."""
        self._watch_streams()
        self._loop_watcher.start()
        await self._reception.lend(self)
        self.task_host.watch(self)

    def _watch_streams(self) -> None:
        port = self._endpoint.port  # A client of a unix socket has no address to be told by.
        if port and self._options.check_streams and current_asyncio_task() is not None:
            self._watcher = StreamsWatcher(port)
            self._watcher.start()

    def _fail_blocked(self, client: socket.socket) -> BaseException:
        """A client blocks the event loop, and waits for this server. Return the error for it."""
        if not self.task_host.loop.is_here():
            return ScriptError(_NOT_RUNNING.format(self.name))
        if self._plays_scripts:
            return ScriptError(_BETWEEN_SCRIPTS.format(self.name))
        if self._retired:
            return ScriptError(f"a client waits for the server {self.name} {self._retired}")
        failure = self.failure
        if failure is None:
            connection = self._connection_of(client)
            if connection is None:
                self._fail(self._failure(Blocked()))
            else:
                connection._engine.fail_blocked()
            failure = self.failure
            assert failure is not None
        elif self._settled:
            # That one the test has dealt with.
            failure = self._in_context(self._failure(Blocked()))
            self.referee.report(self, failure)
        return self.referee.mismatch(failure)

    def _connection_of(self, client: socket.socket) -> Connection | None:
        """The connection that a client has, or gets when the server can accept it."""
        there = [each for each in self.connections if each._engine.conversation.connected]
        waiting = [each for each in self.connections if not (each in there or each._over)][:1]
        if self._endpoint.path:  # Its clients have no names.
            candidates = there + waiting
            return candidates[0] if len(candidates) == 1 else None
        host, port = name_of(client)[:2]
        here = host.removeprefix("::ffff:"), port
        named = [each for each in there if each._engine.client_address == here]
        return next(iter(named + waiting), None)

    def admit(self, arrival: Arrival[Connection]) -> bool:
        """There is a connection. Return whether it is to be kept."""
        interlude = self._interlude
        if (
            self.failure is None
            and interlude is not None
            and isinstance(interlude.conversation.current, ExpectNoConnection)
        ):
            interlude.conversation.meet_nobody_wanted(arrival.number)
            interlude.go_on()
        return self.failure is None and not self._plays_scripts

    def hand_over(self, expected: Connection, arrival: Arrival[Connection]) -> None:
        """A connection belongs to this ``expect_connect()``."""
        self._taken_numbers.add(expected.number)
        self._busy_then.pop(arrival.number, None)
        client = self._watcher.client_of(arrival.stream) if self._watcher is not None else None
        expected._engine.attach(arrival.stream, client, arrival.received)

    def keep(self, arrival: Arrival[Connection]) -> None:
        """Nobody has claimed a connection so far."""
        self.task_host.start_soon(self._note_busy, arrival)
        self._wake()

    async def _note_busy(self, arrival: Arrival[Connection]) -> None:
        """Note what the server was at when a connection came.

        That is seen earlier than what has arrived before it on other connections.
        """
        await self.task_host.settle(lambda: 0)
        if arrival.owner is None:
            self._busy_then[arrival.number] = self._busy()

    def cannot_choose(self, error: BaseException) -> None:
        """A matcher of the test's own has raised this, asked about what came first."""
        waiting = (each for each in self.connections if "first" in each._step.options)
        engine = next(each._engine for each in waiting if not each._over)
        engine.conversation.raise_(error)
        engine.go_on()

    async def cannot_accept(self, reason: object) -> None:
        """No more connections can be accepted."""
        await self._turn_away()  # Perhaps there are too many that nobody expects.
        self._fail(self._failure(Broken(f"The server cannot accept connections: {reason}")))

    def look_at(self, now: float) -> float:
        """Deal with a connection that nobody has claimed in time."""
        oldest = self._reception.oldest
        if oldest is None or self.failure or not self._options.check_extra_connections:
            return float("inf")
        due = oldest.since + self._limit(None)
        if due <= now and oldest.number != self._overdue:
            self._overdue = oldest.number
            self.task_host.start_soon(self._turn_away)
        return due if due > now else float("inf")

    async def _turn_away(self) -> None:
        """Fail if there is a connection that nobody expects."""
        if (
            self._reception.oldest is None
            or self.failure is not None
            or not self._options.check_extra_connections
        ):
            return
        # What has arrived on the connections that are expected is looked at first.
        await self.settle()
        self._reception.overhear()
        await self.task_host.pause(REST)
        await self.settle()
        oldest = self._reception.oldest
        if self.failure is not None or oldest is None:
            return
        during, waiting = self._busy_then.get(oldest.number, _Busy())
        if during is None:
            during, waiting = self._busy()
        if during is None:
            number = next(self._free_numbers())
            problem = ExtraConnection(number, None, bool(self.connections))
            self._fail(self._failure(problem, connection=number))
        else:
            conversation = during._engine.conversation
            conversation.meet_another(next(self._free_numbers()), waiting)
            assert conversation.failure is not None
            self._fail(conversation.failure)

    def _busy(self) -> _Busy:
        """The first connection that is busy with a step, and the step."""
        for connection in self.connections:
            step = connection._engine.conversation.current
            if step is not None:
                return _Busy(connection, step)
        return _Busy()

    def _check_orphans(self) -> None:
        """Fail if a step stands before any ``expect_connect()``."""
        if not self._orphans or self.failure is not None:
            return
        step = self._orphans[0]._step
        nobody = isinstance(step, ExpectDisconnect) and not self._reception.count
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
            self.failure = self._in_context(failure)
            if LOG.isEnabledFor(logging.DEBUG):
                LOG.debug("%s: failed: %s", self.name, headline(self.failure).sentence)
            self.referee.report(self, self.failure)
        self._wake()

    def _in_context(self, failure: Failure) -> Failure:
        """A failure of one connection, with what else a reader has to know."""
        view, times = failure.script, failure.times
        unclaimed = tuple(self._overheard())
        if failure.connection:
            along = [self._interlude.conversation] if self._interlude else []
        else:
            along = [each._engine.conversation for each in self.connections[-ALONGSIDE:]]
        for each in along:
            if times and (others := each.times()):
                view, times = among(view, times, each.view(), others)
        times = times and times.since(self.transcript.start)
        return replace(
            failure,
            script=view,
            times=times,
            end=self._end_of(failure),
            elsewhere=self._elsewhere(failure),
            unclaimed=unclaimed,
            more_unclaimed=len(self._reception.unclaimed) - len(unclaimed),
            switch=self.switch,
            transcript=self.transcript,
        )

    def _free_numbers(self) -> Iterator[int]:
        """The numbers for connections that nobody expects: those that no other one has.

        With ``first=`` any of them may be the first that is accepted.
        """
        return (number for number in itertools.count(1) if number not in self._taken_numbers)

    def _overheard(self) -> Iterator[tuple[int, bytes]]:
        """What was said on the first connections that nobody expects, which is noted now."""
        arrivals = self._reception.unclaimed[:HEARD]
        for number, each in zip(self._free_numbers(), arrivals, strict=False):
            said = each.received or each.refused
            self.transcript.insert(each.connected_at, number, What.CONNECTED)
            if said:
                self.transcript.insert(each.heard_at, number, What.RECEIVED, said)
            yield number, said

    def _end_of(self, failure: Failure) -> Literal["", "closed", "reset"]:
        """How the client has ended the connection that has failed."""
        for connection in self.connections:
            if connection.number == failure.connection:
                return connection._engine.conversation.end
        return ""

    def _elsewhere(self, failure: Failure) -> tuple[tuple[int, Step], ...]:
        """What other connections wait for than the one that has failed."""
        others = [each for each in self.connections if each.number != failure.connection]
        return tuple(
            (each.number, step)
            for each in others[:OTHERS_SHOWN]
            for step in each._engine.conversation.ahead
        )

    # The end

    async def finish(self) -> None:
        """Make the checks of the end of a test. What is wrong becomes the failure."""
        with self.task_host.unattended():
            await self._check_end()

    async def _check_end(self) -> None:
        if self._options.check_pending:
            self._check_orphans()
            await self._play(self._lasts())
        if not (self._options.check_pending and self.connections):
            await self.settle()  # Somebody may just have connected.
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
        handle = Handle[Any](step, connection)
        self._add(connection._engine, handle)
        return handle

    async def refuse(self) -> None:
        """Refuse connections from now on. The address is kept for the next script."""
        await self._reception.hold()

    @property
    def where(self) -> set[Location]:
        """Where it listens, whether that is refused just now or not."""
        return self._reception.where

    async def stop_accepting(self) -> None:
        """Accept no connection any more, and let go of the address."""
        await self._reception.close()

    async def reset(self) -> bool:
        """Abort what the client has not closed, so that it wakes up.

        :return: whether there was anything to abort.
        """
        dismissed = await self._reception.dismiss()
        aborted = [await engine.reset() for engine in self._engines]
        return dismissed or any(aborted)

    async def close(self) -> None:
        """Let go of everything. Steps cannot be declared any more."""
        self.stopped = True
        if self._watcher is not None:
            self._watcher.stop()
        self._loop_watcher.stop()
        self._wake()
        with anyio.CancelScope(shield=True):
            if self._lender is None:
                await self._reception.leave()
                self._endpoint.remove()
            elif not self._lender.stopped:
                await self._reception.lend(self._lender)
            if await self.reset():
                # The transports of an asyncio client that was not closed close themselves
                # now: the loop that they need for that may be closed in a moment.
                await self.task_host.settle(lambda: 0)


#: What a server is made with.
_FIXED = frozenset(("host", "port", "path", "tls", "check_streams"))


class _Performance(Block[TcpServer]):
    """One of the scripts that a server plays one after the other."""

    def __init__(self, server: TcpServer, options: Options) -> None:
        super().__init__(current())
        self._whole = server
        self._options = options

    async def _begin(self) -> TcpServer:
        __tracebackhide__ = True
        whole = self._whole
        whole._check_there("script")
        whole._check_here()
        if whole._lent:
            raise ScriptError("script() of a server while another script of it is played")
        if whole._engines or whole._orphans:
            raise ScriptError("script() of a server that has steps of its own")
        whole._plays_scripts = whole._lent = True
        script = TcpServer(whole.task_host, self._options, whole._factor, whole.referee, whole)
        script.switch = "script"
        whole.referee.take_in(script)
        try:
            await script.take_over()
        except BaseException:
            await self._end(script)
            raise
        return script

    async def _conclude(self, raised: BaseException | None) -> BaseException | None:
        return await self._server.referee.conclude_part(self._server, raised)

    async def _close(self) -> None:
        await self._end(self._server)

    async def _end(self, script: TcpServer) -> None:
        await script.close()
        self._whole._lent = False
