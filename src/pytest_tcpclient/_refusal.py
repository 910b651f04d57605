"""Ends a sync test whose server has failed, at the line at which its client connects again.

The body of a sync test cannot be cancelled, and a client that connects again is only refused:
for as long as its patience lasts, and many wait longer before each attempt. So where it does
that in the thread of the test it is told the failure itself, which hardly any client takes for a
fault of the network. One that goes on all the same takes every ``Exception`` for one: so what it
is told then is none.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from ._hooks import Hooks
from ._location import Location, leads_to

#: How often a client is told in the usual way. (Twice: asyncio tries both addresses of a server
#: before it raises anything.)
OFTEN = 2


class Refusal:
    """Refuses the clients in one thread that connect to one of several servers.

    :param thread: that of the test.
    :param where: where the servers listen.
    :param error: makes the error that such a client gets; ``None`` if it gets none any more. It
        is given whether the client has been told often enough.
    """

    def __init__(
        self, thread: int, where: set[Location], error: Callable[[bool], BaseException | None]
    ) -> None:
        self._thread = thread
        self._where = where
        self._error = error
        self._told = 0

    def start(self) -> None:
        """Refuse from now on."""
        _HOOKS.add(self)

    def stop(self) -> None:
        """Refuse no more, and leave no trace."""
        _HOOKS.remove(self)

    def meet(self, client: socket.socket, address: Any) -> None:
        """A client connects to this address: raise its error, if it is to get one."""
        __tracebackhide__ = True
        if (
            threading.get_ident() == self._thread
            and client.type == socket.SOCK_STREAM
            and leads_to(address, self._where)
        ):
            error = self._error(self._told >= OFTEN)
            if error is not None:
                self._told += 1
                client.close()  # Most leave it open after such an error.
                raise error


def _connect(original: Callable[..., Any], refusals: list[Refusal]) -> Callable[..., Any]:
    def connect(client: socket.socket, address: Any, /) -> Any:
        __tracebackhide__ = True
        for refusal in list(refusals):  # Another thread may put an end to them.
            refusal.meet(client, address)
        return original(client, address)

    return connect


_HOOKS: Hooks[Refusal] = Hooks((socket.socket, "connect", _connect))
