"""A server: where it listens, its script, its connections.

Law: nothing but cancellation leaves a background task. The verdict is raised by the code
that the test calls: ``join()``, a handle, or the end of the test.
"""

from __future__ import annotations

import ssl
import traceback
from abc import abstractmethod
from dataclasses import replace
from functools import partial
from types import CoroutineType
from typing import Any, Literal, NamedTuple, Protocol, overload

import anyio

from . import _certificates
from ._asyncio_streams import StreamsWatcher
from ._checked import checked_flag, checked_seconds
from ._conversation import Conversation
from ._engine import LOG, REST, Engine
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
    among,
)
from ._framings import Checked, LengthPrefixed
from ._handle import Handle
from ._host import Host, current_asyncio_task
from ._interlude import Interlude
from ._listening import listen
from ._matchers import Matcher, named
from ._options import Options
from ._reception import Arrival, Reception
from ._report import headline, picture
from ._rule import Rule
from ._script import Script, place_of_caller
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
from ._tls_setting import TLS
from ._transcript import Transcript

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

        :raises ScriptError: if it has not.
        """
        __tracebackhide__ = True
        address = self._engine.client_address
        if address is None:
            raise ScriptError(f"nobody has connected to {self!r} yet")
        return address

    def _complete(self, received: object) -> None:
        super()._complete(self)

    def _declare(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        return self._server._add(self._engine, Handle(step, self))

    async def _reach(self, handle: Handle[Any]) -> None:
        __tracebackhide__ = True
        await self._server._reach(handle)

    def _limit(self, timeout: float | None) -> float:
        return self._server._limit(timeout)

    def _add_rule(self, rule: Rule) -> None:
        __tracebackhide__ = True
        self._server._check_running("whenever")
        self._engine.add_rule(rule)

    @property
    def _framing(self) -> Checked:
        return self._server._framing

    @property
    def _newline(self) -> bytes:
        return self._server._newline


class _Busy(NamedTuple):
    """What a server was at when a connection came that nobody expected."""

    connection: Connection | None = None
    step: Step | None = None


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
        __tracebackhide__ = True
        tls = options.tls
        self._context = None if tls is None else _certificates.server_context(tls)
        sockets = listen(options.host, options.port)
        self.host: str
        self.port: int
        self.host, self.port = sockets[0].getsockname()[:2]
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
        self._reception: Reception[Connection] = Reception(host, sockets, self, self._context)
        self._busy_then: dict[int, _Busy] = {}
        self._watcher: StreamsWatcher | None = None
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

    @property
    def service_port(self) -> int:
        """The port, under the name that it had in 0.7."""
        return self.port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as the ``connect`` functions of most libraries take them."""
        return self.host, self.port

    def url(self, scheme: str) -> str:
        """The address as a URL: ``url("https")`` is ``"https://127.0.0.1:5000"``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    # TLS

    def client_ssl_context(self, *, client_cert: bool = True) -> ssl.SSLContext:
        """A context for the client, which trusts the throw-away certificates of the servers.

        :param client_cert: whether it has a certificate of the client, too, which it shows if
            it is asked to.
        :raises ScriptError: if the server has an ``ssl.SSLContext`` of the test's own.
        """
        __tracebackhide__ = True
        if self._context is not None and not isinstance(self._options.tls, TLS):
            raise ScriptError(
                "client_ssl_context() of a server with an ssl.SSLContext of your own: only you "
                "know what its client needs"
            )
        return _certificates.client_context(client_cert=checked_flag("client_cert", client_cert))

    @property
    def ca_file(self) -> str:
        """The path of a PEM file: the authority of the throw-away certificates."""
        return _certificates.ca_file()

    @property
    def client_cert_file(self) -> str:
        """The path of a PEM file: a certificate for a client, of the same authority."""
        return _certificates.client_cert_file()

    @property
    def client_key_file(self) -> str:
        """The path of a PEM file: the key of that certificate."""
        return _certificates.client_key_file()

    # The script

    def expect_connect(
        self,
        timeout: float | None = None,
        *,
        first: bytes | Matcher | None = None,
        optional: bool = False,
        handshake_fails: bool = False,
    ) -> Connection:
        """Expect that the client connects. If the server speaks TLS, the handshake is a part.

        The n-th connection that is accepted belongs to the n-th ``expect_connect()``. The
        client may connect before the declaration.

        :param timeout: seconds, zero or more.
        :param first: to tell connections apart that come in any order: bytes, or a matcher as
            for :meth:`expect`, that the first bytes of the connection must satisfy. They are
            still to be expected. A connection is offered to those that wait in the order in
            which they were declared, so that one that says nothing is for nobody while
            another ``first`` might still want it.
        :param optional: the client need not connect: if it has not when the timeout has
            passed, the steps that are about this connection are skipped.
        :param handshake_fails: ``True`` if the TLS handshake must fail: because the client
            refuses the certificate, for instance. The connection is closed then.
        :return: the connection, for steps that are about this one.
        """
        __tracebackhide__ = True
        self._check_running("expect_connect")
        limit, options = self._timing(timeout, optional)
        beginning = None if first is None else named("first", first)
        if beginning is not None:
            options["first"] = beginning
            beginning = beginning.bound(self._framing, self._newline)
        if checked_flag("handshake_fails", handshake_fails):
            if self._context is None:
                raise ScriptError("handshake_fails=True for a server without the option tls")
            options["handshake_fails"] = True
        declaration = ("expect_connect", place_of_caller(), (), options, limit, optional)
        step = ExpectConnect(*declaration, fails=handshake_fails)
        conversation = Conversation(
            len(self.connections) + 1,
            self.name,
            self._limit(None) if self._options.check_unexpected else None,
        )
        conversation.encrypted = self._context is not None
        engine = Engine(
            conversation,
            self._task_host,
            self.transcript,
            on_failure=self._fail,
            # What a step waits for in vain may have been said on another connection.
            before_time_out=self._turn_away,
        )
        connection = Connection(self, engine, step, None)
        self.connections.append(connection)
        self._engines.append(engine)
        self._task_host.watch(engine)
        for rule in self._rules:
            engine.add_rule(rule)
        self._append(engine, connection)
        connection._when_over.append(partial(self._withdraw, connection))
        self._reception.expect(connection, beginning)
        return connection

    def expect_no_connection(self, seconds: float) -> Handle[None]:
        """Expect that the client does not connect for so long.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._intermit(
            ExpectNoConnection("expect_no_connection", place_of_caller(), (seconds,), {}, seconds)
        )

    def stop_listening(self) -> Handle[None]:
        """Refuse connections (``ECONNREFUSED``), from when the steps before have been done.

        Those that are there go on, and the port is kept.
        """
        __tracebackhide__ = True
        return self._intermit(StopListening("stop_listening", place_of_caller()))

    def resume_listening(self) -> Handle[None]:
        """Accept connections again, on the same port."""
        __tracebackhide__ = True
        return self._intermit(ResumeListening("resume_listening", place_of_caller()))

    def wait(self, seconds: float) -> Handle[None]:
        """Pause between two steps, whatever they are about.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._intermit(Wait("wait", place_of_caller(), (seconds,), {}, seconds))

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

    def _declare(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        self._check_running(step.word)
        if not self.connections:
            # Reported by join(): the test may go on to connect.
            self._orphans.append(Handle(step, self))
            return self._orphans[-1]
        connection = self.connections[-1]
        return self._append(connection._engine, Handle(step, connection))

    def _intermit(self, step: Step) -> Handle[Any]:
        """Take a step that is about no connection."""
        __tracebackhide__ = True
        self._check_running(step.word)
        if self._interlude is None:
            self._interlude = Interlude(
                self.name,
                self._task_host,
                self.transcript,
                on_failure=self._fail,
                before_time_out=self._turn_away,
                reception=self._reception,
            )
            self._engines.append(self._interlude)
            self._task_host.watch(self._interlude)
        return self._append(self._interlude, Handle(step, self))

    def _append(self, engine: Engine, handle: Handle[Any]) -> Handle[Any]:
        """Take a step that runs after all that have been declared on the server so far."""
        __tracebackhide__ = True
        if self._declared_for is not engine:
            before = self._declared
            if isinstance(handle._step, ExpectConnect) and "first" in handle._step.options:
                # Those that are told by what they say may come in any order.
                while isinstance(before, Connection):
                    before = before._after
            handle._after = before
        self._add(engine, handle)
        self._declared, self._declared_for = handle, engine
        return handle

    def _add(self, engine: Engine, handle: Handle[Any]) -> Handle[Any]:
        """Take a step into the script of one connection, and play on."""
        __tracebackhide__ = True
        self._check_running(handle._step.word)
        if isinstance(handle._step, StartTls):
            _certificates.server_context(handle._step.tls)  # Now, if that cannot be.
        if self.failure is None:  # Otherwise its script is over.
            is_next = engine.conversation.add(handle)
            after = handle._after
            if after is not None and not after._over:
                after._when_over.append(engine.release)
            if is_next:
                engine.go_on()
        return handle

    def _limit(self, timeout: float | None) -> float:
        return (self._options.timeout if timeout is None else timeout) * self._factor

    def _add_rule(self, rule: Rule) -> None:
        __tracebackhide__ = True
        self._check_running("whenever")
        self._rules.append(rule)
        for connection in self.connections:
            connection._engine.add_rule(rule)

    @property
    def _framing(self) -> Checked:
        return self._options.framing or _DEFAULT_FRAMING

    @property
    def _newline(self) -> bytes:
        return self._options.newline

    def _check_running(self, word: str) -> None:
        __tracebackhide__ = True
        if self.stopped:
            raise ScriptError(f"{word}() on a server that is stopped")

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
        return self._referee.settle(failure)

    def _lasts(self) -> list[Handle[Any]]:
        """The last step of each connection that is not done with its steps."""
        lasts = (engine.conversation.last for engine in self._engines)
        return [last for last in lasts if last is not None]

    async def _play(self, lasts: list[Handle[Any]]) -> None:
        """Wait until these steps are over, or the server has failed."""
        for last in lasts:
            await self._until(last)
        await self._turn_away()

    async def _until(self, handle: Handle[Any]) -> None:
        """Wait until a step is done, or nothing will come of it any more."""
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

    def picture(self, **look: Any) -> str:
        """What happened so far, to look at; ``""`` if nothing has.

        :param look: what :func:`picture` takes.
        """
        return picture(self.transcript, self.failure, **look)

    def standing(self) -> list[Standing]:
        """Where the scripts of its connections stand, of those that are not done."""
        each = (engine.conversation.standing() for engine in self._engines)
        return [standing for standing in each if standing is not None]

    async def settle(self) -> None:
        """Let everything that has arrived already be received, judged, and reported."""
        await self._task_host.settle(self.progress)
        while any(engine.concluding for engine in self._engines):
            await self._task_host.pause(REST)

    # Connections

    async def start(self) -> None:
        """Begin to accept connections. (Those made since it was bound are not lost.)"""
        if self._options.check_streams and current_asyncio_task() is not None:
            self._watcher = StreamsWatcher(self.port)
            self._watcher.start()
        await self._reception.open()
        self._task_host.watch(self)

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
        return self.failure is None

    def hand_over(self, expected: Connection, arrival: Arrival[Connection]) -> None:
        """A connection belongs to this ``expect_connect()``."""
        self._busy_then.pop(arrival.number, None)
        client = self._watcher.client_of(arrival.stream) if self._watcher is not None else None
        expected._engine.attach(arrival.stream, client, arrival.received)

    def keep(self, arrival: Arrival[Connection]) -> None:
        """Nobody has claimed a connection so far."""
        self._busy_then[arrival.number] = self._busy()
        self._wake()

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
            self._task_host.start_soon(self._turn_away)
        return due if due > now else float("inf")

    async def _turn_away(self) -> None:
        """Fail if there is a connection that nobody expects."""
        if self._reception.oldest is None or not self._options.check_extra_connections:
            return
        # What has arrived on the connections that are expected is looked at first.
        await self.settle()
        oldest = self._reception.oldest
        if self.failure is not None or oldest is None:
            return
        during, waiting = self._busy_then.get(oldest.number, _Busy())
        if during is None:
            during, waiting = self._busy()
        if during is None:
            problem = ExtraConnection(oldest.number, None, bool(self.connections))
            self._fail(self._failure(problem, connection=oldest.number))
        else:
            conversation = during._engine.conversation
            conversation.meet_another(oldest.number, waiting)
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
            LOG.debug("%s: failed: %s", self.name, headline(self.failure).sentence)
            self._referee.report(self, self.failure)
        self._wake()

    def _in_context(self, failure: Failure) -> Failure:
        """A failure of one connection, with what else a reader has to know."""
        view, times = failure.script, failure.times
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
            unclaimed=self._reception.heard(),
        )

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
        if self._options.check_pending:
            self._check_orphans()
            await self._play(self._lasts())
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
        return self._add(connection._engine, Handle(step, connection))

    async def refuse(self) -> None:
        """Accept no connection any more."""
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
        self._wake()
        with anyio.CancelScope(shield=True):
            await self._reception.leave()
            if await self.reset():
                # The transports of an asyncio client that was not closed close themselves
                # now: the loop that they need for that may be closed in a moment.
                await self._task_host.settle(lambda: 0)
