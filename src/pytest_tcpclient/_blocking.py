"""The same server for sync code: its event loop runs in a thread of its own.

Nothing of a server is written again in here. A declaration is checked in the thread of the caller,
where the line of the test is noted, and taken by the async server in that of its event loop.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from ._address import Address
from ._bridge import Bridge, Bridges, bridges
from ._factory import TcpServerFactory
from ._framings import Checked
from ._handle import Handle
from ._opening import open_tcp_server
from ._rule import Rule
from ._script import Script
from ._server import OF_THE_SERVER, Connection, TcpServer
from ._server_script import ServerScript
from ._steps import ExpectConnect, Step
from ._surroundings import BACKENDS
from ._transcript import Transcript

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Unpack

    from ._options import Settings


class _Distant(Script):
    """A script that is played in another thread."""

    def __init__(
        self, bridge: Bridge, script: TcpServer | Connection, declaring: threading.RLock
    ) -> None:
        self._bridge = bridge
        self._script = script
        #: Steps are taken in the order in which they are made, whatever thread declares them.
        self._declaring = declaring

    def _declare(self, step: Step) -> Any:
        __tracebackhide__ = True
        return self._hand_over(step)._of(self._bridge)

    def _hand_over(self, step: Step) -> Handle[Any]:
        """Give a step to the script. Return its handle there."""
        __tracebackhide__ = True
        with self._declaring:
            self._script._check_running(step.word)
            handle = self._script._make(step)
            self._bridge.post(self._script._take, handle)
        if isinstance(step, OF_THE_SERVER):
            # These are about what comes from now on.
            self._bridge.call(self._bridge.catch_up)
        elif self._script._in_touch:  # Otherwise it is early enough when a client connects.
            self._bridge.wake()
        return handle

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

    def __init__(self, bridge: Bridge, connection: Connection, declaring: threading.RLock) -> None:
        super().__init__(bridge, connection, declaring)
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


class BlockingTcpServer(Address, _Distant, ServerScript[BlockingConnection]):
    """A server for sync code: all of :class:`TcpServer`, and nothing of it is awaited.

    Made by the ``blocking_tcpserver`` and ``blocking_tcpserver_factory`` fixtures, and by
    :func:`open_blocking_tcp_server`. It may be used in any thread but the one of its own event
    loop, in which the functions of a script are called.

    :ivar connections: what :meth:`expect_connect` has returned so far.
    """

    def __init__(self, bridge: Bridge, server: TcpServer) -> None:
        Address.__init__(self, server._endpoint, server._tls)
        _Distant.__init__(self, bridge, server, threading.RLock())
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
        if not isinstance(step, ExpectConnect):
            return super()._declare(step)
        with self._declaring:
            connection = self._hand_over(step)
            assert isinstance(connection, Connection)
            self.connections.append(BlockingConnection(self._bridge, connection, self._declaring))
            return self.connections[-1]


class BlockingTcpServerFactory:
    """Makes any number of blocking servers: the ``blocking_tcpserver_factory`` fixture."""

    def __init__(self, bridge: Bridge, factory: TcpServerFactory) -> None:
        self._bridge = bridge
        self._factory = factory
        self._making = threading.Lock()

    def __call__(self, **options: Unpack[Settings]) -> BlockingTcpServer:
        """Make a server that is listening: see :meth:`TcpServerFactory.__call__`."""
        __tracebackhide__ = True
        with self._making:  # In one thread after the other.
            server = self._factory._make(options, self._bridge.loop)
        self._bridge.call(server.start)
        return BlockingTcpServer(self._bridge, server)

    def stop(self) -> None:
        """End all servers made so far, and check them as at the end of a test.

        :raises ScriptMismatch: for the first failure that is not settled yet.
        """
        __tracebackhide__ = True
        self._bridge.run("stop()", self._factory.stop)


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
        if self._bridges is not None:
            server.switch = "open_blocking_tcp_server"
        return BlockingTcpServer(bridge, server)

    async def __aenter__(self) -> NoReturn:
        """Say what is meant: Python only says that it cannot be.

        :raises TypeError: always.
        """
        __tracebackhide__ = True
        raise TypeError("this block is for `with`; for async code there is open_tcp_server()")

    async def __aexit__(self, *error: object) -> None:
        """Never called: ``async with`` looks for it first."""

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
