"""Makes servers for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import ScriptError
from ._event_loop import EventLoop
from ._server import TcpServer
from ._supervisor import Supervisor

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Settings


class TcpServerFactory:
    """Makes any number of servers for one test: the ``tcpserver_factory`` fixture."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._default: TcpServer | None = None

    @property
    def default(self) -> TcpServer:
        """The server of the ``tcpserver`` fixture, if the test has it.

        :raises ScriptError: if it was asked for when the factory had been set up already.
        """
        if self._default is None:
            raise ScriptError(
                "`tcpserver` cannot be added to a `tcpserver_factory` that is there already: "
                "name `tcpserver` among the arguments of the test"
            )
        return self._default

    @default.setter
    def default(self, server: TcpServer) -> None:
        self._default = server

    async def __call__(self, **options: Unpack[Settings]) -> TcpServer:
        r"""Make a server that is listening.

        :param host: where to listen: an IP address; by default 127.0.0.1 and ::1.
        :param port: 1 to 65535; by default a free one.
        :param path: the path of a unix socket on which it listens instead; ``True`` for one in a
            new directory, which is removed at the end.
        :param tls: ``True`` if it speaks TLS, with a throw-away certificate for localhost; or a
            :class:`TLS`, which says more, or an ``ssl.SSLContext``.
        :param timeout: seconds that a step may take if it does not say so itself.
        :param framing: how the messages of ``expect_frame()`` and ``send_frame()`` are
            delimited; by default a 4-byte big-endian length stands before each.
        :param newline: what ends the lines of ``expect_line()`` and ``send_line()``, one byte
            or more; by default ``b"\n"``.
        :param name: what the server is called in a failure, instead of its address.
        :param strict: ``False`` switches off all the checks of the end of a test; or one of
            them: ``check_pending``, ``check_unexpected``, ``check_extra_connections``,
            ``check_left_open``, ``check_streams``.
        :raises TypeError: for an option that there is not, or a value of the wrong type.
        :raises ValueError: for a value out of bounds.
        :raises OSError: if the address is not to be had.
        """
        __tracebackhide__ = True
        return await self._supervisor.open_server(self._supervisor.options.but(options))

    def _make(self, options: Settings, loop: EventLoop) -> TcpServer:
        """The same server, for blocking code: its event loop is in another thread."""
        __tracebackhide__ = True
        return self._supervisor.make_server(self._supervisor.options.but(options), loop)

    async def stop(self) -> None:
        """End all servers made so far, and check them as at the end of a test.

        :raises ScriptMismatch: for the first failure that is not settled yet.
        """
        __tracebackhide__ = True
        try:
            await self._supervisor.finish()
        finally:
            for server in self._supervisor.servers:
                await server.close()
