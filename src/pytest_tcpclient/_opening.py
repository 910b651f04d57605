"""Servers without a fixture: ``open_tcp_server()``.

Nothing of it lives in the task of the caller: around the ``yield`` of a fixture, setup and
teardown can be different tasks. The body is never cancelled; a failure resets the connections,
and is raised by ``join()``, by a handle, or at the end of the block.
"""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from traceback import walk_stack
from typing import TYPE_CHECKING

from ._block import Block
from ._server import TcpServer
from ._supervisor import Supervisor
from ._surroundings import Surroundings, current
from ._verdict import Rules

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options, Settings


def open_tcp_server(**options: Unpack[Settings]) -> AbstractAsyncContextManager[TcpServer]:
    """A server without a fixture: ``async with open_tcp_server(timeout=2) as server:``.

    In fixtures of any scope, in the body of a test, outside of pytest. The options are those of
    ``tcpserver_factory``. At the end of the block the server is checked as at the end of a test,
    and what has failed is raised. What the block itself has raised goes first, unless it followed
    from the failure. Under pytest a server that is there when a test begins is watched with it: if
    it fails, that test fails.

    :raises ScriptMismatch: at the end, if the server has failed and that was not raised yet.
    :raises TypeError: for an option that there is not, or a value of the wrong type.
    :raises ValueError: for a value out of bounds.
    :raises OSError: at the beginning, if the address is not to be had.
    """
    __tracebackhide__ = True
    surroundings = current()
    return _OpenServer(surroundings, surroundings.options.but(options))


class _OpenServer(Block[TcpServer]):
    def __init__(self, surroundings: Surroundings, options: Options) -> None:
        super().__init__(surroundings)
        self._options = options

    async def _begin(self) -> TcpServer:
        __tracebackhide__ = True
        rules = self._surroundings.rules
        self._supervisor = Supervisor(rules() if rules is not None else Rules(), self._options)
        try:
            server = await self._supervisor.open_server(self._options)
        except BaseException:
            await self._supervisor.close()
            raise
        server.switch = "open_tcp_server"
        server.opened_by = {frame.f_code for frame, _ in walk_stack(sys._getframe())}
        return server

    async def _conclude(self, raised: BaseException | None) -> BaseException | None:
        return await self._supervisor.conclude(raised)

    async def _close(self) -> None:
        await self._supervisor.close()
