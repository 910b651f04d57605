"""The same server for sync code: its event loop runs in a thread of its own.

Nothing of a server is written again in here. A declaration is taken by the async server, in the
thread of its event loop, while the caller waits; the line of the test is noted before that.

Law: whoever waits in the caller's thread can be interrupted (Ctrl-C, pytest-timeout), and then
nothing waits on in the event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from anyio import CancelScope, to_thread
from anyio.from_thread import BlockingPortal, BlockingPortalProvider

from ._address import Address
from ._errors import ScriptError, ScriptMismatch
from ._factory import TcpServerFactory
from ._framings import Checked
from ._handle import Handle
from ._host import current_asyncio_task, is_cancellation
from ._opening import open_tcp_server
from ._rule import Rule
from ._script import Script
from ._server import Connection, TcpServer
from ._server_script import ServerScript
from ._steps import ExpectConnect, Step
from ._supervisor import Supervisor
from ._surroundings import BACKENDS, current
from ._traceback import spots_of_error, traceback_of
from ._transcript import Transcript

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Unpack

    from ._host import Host
    from ._options import Settings

T = TypeVar("T")

_OWN_THREAD = (
    "{} in the thread of the server's event loop, which would wait for itself: functions of a "
    "script are called there"
)


class Bridge:
    """The way into the event loop of blocking servers, from other threads."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._hosts: WeakSet[Host] = WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread, self._soon, self._trio = portal.call(_this_loop)

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Call a function in the thread of the event loop, and wait for it.

        Much quicker than ``portal.call()``, which makes a task and a future for it, and this
        is done for each declaration.
        """
        __tracebackhide__ = True
        if threading.get_ident() == self._thread:
            return function(*args)
        outcome: list[T] = []
        errors: list[BaseException] = []
        done = threading.Lock()
        done.acquire()

        def act() -> None:
            __tracebackhide__ = True
            try:
                outcome.append(function(*args))
            except BaseException as error:
                errors.append(error)
            done.release()

        self._soon(act)
        done.acquire()
        if errors:
            raise errors.pop()  # An error whose traceback refers to it is not freed.
        return outcome[0]

    def run(self, what: str, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """Run a coroutine function in the event loop, and wait for it.

        :param what: what the caller has called.
        """
        __tracebackhide__ = True
        if threading.get_ident() == self._thread:
            raise ScriptError(_OWN_THREAD.format(what))
        outcome: list[T] = []
        errors: list[BaseException] = []
        scopes: list[CancelScope] = []
        done = threading.Lock()
        done.acquire()

        async def act() -> None:
            try:
                with CancelScope() as scope:
                    scopes.append(scope)
                    outcome.append(await function(*args))
            except BaseException as error:
                errors.append(error)
                if is_cancellation(error):
                    raise  # The event loop is at its end.
            finally:
                done.release()

        self._soon(partial(self._start, act))
        try:
            done.acquire()
        except BaseException:
            self._soon(partial(_cancel, scopes))
            raise
        if errors:
            error = errors.pop()
            if isinstance(error, ScriptMismatch | ScriptError | OSError):
                # What has carried it from one thread to the other is of no interest.
                error = error.with_traceback(traceback_of(spots_of_error(error)))
            try:
                raise error
            finally:
                del error  # An error whose traceback refers to it is not freed.
        return outcome[0]

    def _start(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task in the event loop, from inside."""
        if self._trio is None:
            task = asyncio.get_running_loop().create_task(function())
            self._tasks.add(task)  # asyncio keeps only a weak reference to it.
            task.add_done_callback(self._tasks.discard)
        else:
            self._trio.lowlevel.spawn_system_task(function)

    def add(self, host: Host) -> None:
        """Stop this clock as well, when clocks are to be stopped."""
        self._hosts.add(host)

    def stop_clocks(self) -> None:
        """Somebody sits at a debugger: that time does not count."""
        for host in list(self._hosts):
            self.call(host.stop_clock)

    def start_clocks(self) -> None:
        """They go on."""
        for host in list(self._hosts):
            self.call(host.start_clock)


def _cancel(scopes: list[CancelScope]) -> None:
    for scope in scopes:
        scope.cancel()


async def _this_loop() -> tuple[int, Callable[[Callable[[], object]], object], Any]:
    """The thread in which it runs, how to have something called in it, and trio, if that is it."""
    thread = threading.get_ident()
    if current_asyncio_task() is not None:
        # In a context of its own: the caller may be in a run of trio, which a context says.
        soon = asyncio.get_running_loop().call_soon_threadsafe
        return thread, partial(soon, context=copy_context()), None
    trio = sys.modules["trio"]
    return thread, trio.lowlevel.current_trio_token().run_sync_soon, trio


class Bridges:
    """The event loops of blocking servers, each in a thread, shared by all that need it.

    :param backend: ``"asyncio"`` or ``"trio"``, where nothing else is said.
    :param lasting: whether they go on when nobody needs them, until :meth:`close`.
    """

    def __init__(self, backend: str = "asyncio", *, lasting: bool = False) -> None:
        self.backend = backend
        self._lasting = lasting
        self._lock = threading.Lock()
        self._providers: dict[str, BlockingPortalProvider] = {}
        self._bridges: dict[str, Bridge] = {}
        self._users: dict[str, int] = {}

    def enter(self, backend: str) -> Bridge:
        """Somebody needs one."""
        with self._lock:
            if backend not in self._bridges:
                self._providers[backend] = provider = BlockingPortalProvider(backend)
                self._bridges[backend] = Bridge(provider.__enter__())
                self._users[backend] = 0
            self._users[backend] += 1
            return self._bridges[backend]

    def leave(self, backend: str) -> None:
        """Somebody does not need it any more."""
        with self._lock:
            self._users[backend] -= 1
            if not self._users[backend] and not self._lasting:
                self._end(backend)

    def close(self) -> None:
        """End them all."""
        with self._lock:
            for backend in list(self._bridges):
                self._end(backend)

    def stop_clocks(self) -> None:
        """Somebody sits at a debugger."""
        for bridge in list(self._bridges.values()):
            bridge.stop_clocks()

    def start_clocks(self) -> None:
        """The debugger goes on."""
        for bridge in list(self._bridges.values()):
            bridge.start_clocks()

    def _end(self, backend: str) -> None:
        del self._bridges[backend], self._users[backend]
        self._providers.pop(backend).__exit__(None, None, None)


def bridges() -> Bridges:
    """Those of the run of pytest, or of the process."""
    surroundings = current()
    if surroundings.bridges is None:
        surroundings.bridges = Bridges(surroundings.backend, lasting=surroundings.lasting)
    found: Bridges = surroundings.bridges
    return found


class _Distant(Script):
    """A script that is played in another thread."""

    def __init__(self, bridge: Bridge, script: TcpServer | Connection) -> None:
        self._bridge = bridge
        self._script = script

    def _add_rule(self, rule: Rule) -> None:
        __tracebackhide__ = True
        self._bridge.call(self._script._add_rule, rule)

    def _limit(self, timeout: float | None) -> float:
        return self._script._limit(timeout)

    @property
    def _framing(self) -> Checked:
        return self._script._framing

    @property
    def _newline(self) -> bytes:
        return self._script._newline


class BlockingConnection(_Distant):
    r"""One connection of a client to a blocking server.

    Returned by :meth:`BlockingTcpServer.expect_connect`, before the client has connected. It is
    the handle of that step as well.

    :ivar number: its number, from 1, in the order of the ``expect_connect()``\ s.
    """

    def __init__(self, bridge: Bridge, connection: Connection) -> None:
        super().__init__(bridge, connection)
        self.number = connection.number
        self._connection = connection

    def __repr__(self) -> str:
        return repr(self._connection)

    @property
    def done(self) -> bool:
        """Whether the client has connected."""
        return self._connection.done

    @property
    def skipped(self) -> bool:
        """Whether the ``expect_connect()`` was optional, and the script went on without it."""
        return self._connection.skipped

    def result(self) -> BlockingConnection:
        """Wait until the client has connected. See :meth:`Handle.result`."""
        __tracebackhide__ = True
        self._bridge.run("result()", Handle.wait, self._connection)
        return self

    def join(self) -> None:
        """Wait until every step that has been declared for this connection so far is done.

        :raises ScriptMismatch: as :meth:`BlockingTcpServer.join` does, if the server has failed.
        """
        __tracebackhide__ = True
        self._bridge.run("join()", self._connection.join)

    @property
    def client_address(self) -> tuple[str, int]:
        """Host and port from which the client has connected.

        :raises ScriptError: if it has not, or the server listens on a unix socket.
        """
        __tracebackhide__ = True
        return self._connection.client_address

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """What the ``ssl`` module knows of an encrypted connection, ``None`` of another one."""
        return self._connection.ssl_object

    def _declare(self, step: Step) -> Handle[Any]:
        __tracebackhide__ = True
        return self._bridge.call(self._connection._declare, step)._of(self._bridge)


class BlockingTcpServer(Address, _Distant, ServerScript[BlockingConnection]):
    """A server for sync code: all of :class:`TcpServer`, and nothing of it is awaited.

    Made by the ``blocking_tcpserver`` and ``blocking_tcpserver_factory`` fixtures, and by
    :func:`open_blocking_tcp_server`. It may be used in any thread but the one of its own event
    loop, in which the functions of a script are called.

    :ivar connections: what :meth:`expect_connect` has returned so far.
    """

    def __init__(self, bridge: Bridge, server: TcpServer) -> None:
        Address.__init__(self, server._endpoint, server._tls)
        _Distant.__init__(self, bridge, server)
        self.name = server.name
        self.connections: list[BlockingConnection] = []
        self._server = server
        bridge.add(server.task_host)

    def __repr__(self) -> str:
        return f"<BlockingTcpServer {self.name}>"

    @property
    def transcript(self) -> Transcript:
        """What happened so far on the connections, up to now."""
        return self._bridge.call(self._server.transcript.copy)

    def join(self) -> None:
        """Wait until every step that has been declared so far is done.

        It may be called any number of times.

        :raises ScriptMismatch: if the server has failed, or fails now. The failure is then
            settled: a test that catches it has dealt with it, and the next ``join()`` returns.
        """
        __tracebackhide__ = True
        self._bridge.run("join()", self._server.join)

    def script(self, **options: Unpack[Settings]) -> AbstractContextManager[BlockingTcpServer]:
        """A script of its own, for servers of a wider scope: see :meth:`TcpServer.script`."""
        __tracebackhide__ = True
        return _Block(self._server.script(**options), self._bridge)

    def _declare(self, step: Step) -> Any:
        __tracebackhide__ = True
        handle = self._bridge.call(self._server._declare, step)
        if not isinstance(step, ExpectConnect):
            return handle._of(self._bridge)
        assert isinstance(handle, Connection)
        self.connections.append(BlockingConnection(self._bridge, handle))
        return self.connections[-1]


class BlockingTcpServerFactory:
    """Makes any number of blocking servers: the ``blocking_tcpserver_factory`` fixture."""

    def __init__(self, bridge: Bridge, factory: TcpServerFactory) -> None:
        self._bridge = bridge
        self._factory = factory

    def __call__(self, **options: Unpack[Settings]) -> BlockingTcpServer:
        """Make a server that is listening: see :meth:`TcpServerFactory.__call__`."""
        __tracebackhide__ = True
        checked = self._factory._checked(options)
        server = self._bridge.run("blocking_tcpserver_factory()", self._factory._open, checked)
        return BlockingTcpServer(self._bridge, server)

    def stop(self) -> None:
        """End all servers made so far, and check them as at the end of a test.

        :raises ScriptMismatch: for the first failure that is not settled yet.
        """
        __tracebackhide__ = True
        self._bridge.run("stop()", self._factory.stop)


class Watch:
    """Watches the blocking servers of one run of one test."""

    def __init__(self, bridge: Bridge, supervisor: Supervisor) -> None:
        self.bridge = bridge
        self.supervisor = supervisor

    def factory(self) -> BlockingTcpServerFactory:
        """What makes servers for the test."""
        return BlockingTcpServerFactory(self.bridge, TcpServerFactory(self.supervisor))

    def run(self, body: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Run the body of a sync test.

        :raises BaseException: what the test ends with.
        """
        __tracebackhide__ = True
        raised: BaseException | None = None
        if self._begin(body):
            try:
                body(*args, **kwargs)
            except BaseException as error:
                raised = error
        verdict = self._end(raised)
        if verdict is not None:
            try:
                raise verdict
            finally:
                del verdict, raised  # An error whose traceback refers to it is not freed.

    async def run_async(
        self, body: Callable[..., Coroutine[Any, Any, object]], *args: object, **kwargs: object
    ) -> None:
        """Run the body of an async test, which has blocking servers as well.

        :raises BaseException: what the test ends with.
        """
        __tracebackhide__ = True
        raised: BaseException | None = None
        if self._begin(body):
            try:
                await body(*args, **kwargs)
            except BaseException as error:
                raised = error
        if raised is not None and is_cancellation(raised):
            self.bridge.call(self.supervisor.end)
            raise raised
        # The client may need the event loop to come to its end.
        verdict = await to_thread.run_sync(self._end, raised)
        if verdict is not None:
            try:
                raise verdict
            finally:
                del verdict, raised

    def verdict(self, raised: BaseException) -> BaseException:
        """What a phase of the test ends with that has raised this."""
        verdict = self.bridge.call(self.supervisor.verdict, raised)
        assert verdict is not None
        return verdict

    def _begin(self, body: Any) -> bool:
        """Return whether the body is to be run: not if a server has failed already."""
        __tracebackhide__ = True
        code = getattr(inspect.unwrap(body), "__code__", None)
        trouble = self.bridge.run("", self.supervisor.begin, code)
        if trouble is not None:
            raise trouble
        return self.supervisor.failure is None

    def _end(self, raised: BaseException | None) -> BaseException | None:
        return self.bridge.run("", self._conclude, raised)

    async def _conclude(self, raised: BaseException | None) -> BaseException | None:
        try:
            return await self.supervisor.conclude(raised)
        finally:
            self.supervisor.end()


def open_blocking_tcp_server(
    *, backend: str | None = None, **options: Unpack[Settings]
) -> AbstractContextManager[BlockingTcpServer]:
    """A blocking server without a fixture: ``with open_blocking_tcp_server() as server:``.

    In fixtures of any scope, in the body of a test, outside of pytest: see
    :func:`open_tcp_server` for what there is to say of it.

    :param backend: ``"asyncio"`` or ``"trio"``: what runs the server; by default asyncio, or what
        the ini file says.
    """
    __tracebackhide__ = True
    found = bridges()
    backend = found.backend if backend is None else checked_backend("backend", backend)
    return _Block(open_tcp_server(**options), backend=backend, bridges=found)


def checked_backend(name: str, value: object) -> str:
    """The name of one of the backends."""
    __tracebackhide__ = True
    if value not in BACKENDS:
        raise ValueError(f"{name} must be 'asyncio' or 'trio', not {value!r}")
    return str(value)


class _Block(AbstractContextManager[BlockingTcpServer]):
    """A block of an async server, for sync code."""

    def __init__(
        self,
        block: Any,
        bridge: Bridge | None = None,
        *,
        backend: str = "",
        bridges: Bridges | None = None,
    ) -> None:
        self._block = block
        self._bridge = bridge
        self._backend = backend
        self._bridges = bridges

    def __enter__(self) -> BlockingTcpServer:
        __tracebackhide__ = True
        bridge = self._bridge
        if bridge is None:
            assert self._bridges is not None
            bridge = self._bridges.enter(self._backend)
        self._entered = bridge
        try:
            server = bridge.run("with", self._block.__aenter__)
        except BaseException:
            self._leave()
            raise
        return BlockingTcpServer(bridge, server)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        try:
            self._entered.run("with", self._block.__aexit__, kind, raised, traceback)
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._bridges is not None:
            self._bridges.leave(self._backend)
