"""Sees a client that waits for its server where that cannot come: in the server's own thread.

A call that blocks in an async test blocks the event loop, and that of the server is the same
one. Whatever the server is to answer, it will be able to only when the call is over. So one
that finds nothing in the kernel waits in vain. That is certain, and is told at once: unless its
own timeout is so short that it may be meant, then the error of that gets a note.

There are three hooks, in which most clients that are written in Python come to wait:

- ``recv`` and ``recv_into`` of ``socket.socket``;
- ``do_handshake`` of ``ssl.SSLSocket``: with TLS the server has to answer before anything else.

Law: nothing is told of what cannot be seen. That is the case for a client that is written in C,
that waits for one of several sockets, or for another thread or process.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from ._errors import ScriptError, ScriptMismatch, add_note
from ._hooks import Hooks
from ._location import Location, leads_to

#: Milliseconds in which a kernel delivers what was sent, however busy it is.
_DELIVERY = 100

_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)

#: What is added to the error of a client whose patience has a limit.
WAITED_IN_VAIN = (
    "The client waited for the server {} in the thread of the event loop in which that runs, so "
    "that nothing could come: use `blocking_tcpserver`, or call the client in a thread "
    "(`await anyio.to_thread.run_sync(...)`)."
)


class LoopWatcher:
    """Sees the clients of one server that block its event loop.

    :param name: of the server.
    :param where: it listens.
    :param thread: of its event loop.
    :param limit: seconds for which a client may wait in vain.
    :param blocked: called by a client that would wait longer: gives the error for it.
    """

    def __init__(
        self,
        name: str,
        where: set[Location],
        thread: int,
        limit: float,
        blocked: Callable[[], BaseException],
    ) -> None:
        self.name = name
        self.thread = thread
        self.limit = limit
        self.blocked = blocked
        self._where = where
        # A process that was forked has the same threads, and another event loop.
        self._process = os.getpid()

    def start(self) -> None:
        """Observe from now on."""
        _HOOKS.add(self)

    def stop(self) -> None:
        """Observe no more, and leave no trace."""
        _HOOKS.remove(self)

    def serves(self, client: socket.socket) -> bool:
        """Whether a socket is connected to the server."""
        try:
            there = client.getpeername()
        except OSError:
            return False  # It is not connected to anybody.
        return leads_to(there, self._where) and self._process == os.getpid()


def _server_of(client: socket.socket, watchers: list[LoopWatcher]) -> LoopWatcher | None:
    """The server in the caller's own thread to which a socket is connected."""
    here = threading.get_ident()
    # The last one first: a script is played at the address of its server.
    for each in reversed(watchers):
        if each.thread == here and each.serves(client):
            return each
    return None


def _has_come(client: socket.socket) -> bool:
    """Whether there is something to receive: data, or the end."""
    if not hasattr(select, "poll"):  # On Windows.
        return bool(select.select([client], [], [], _DELIVERY / 1000)[0])
    poll = select.poll()
    poll.register(client, select.POLLIN)
    return bool(poll.poll(_DELIVERY))


# The hooks


def _recv(original: Callable[..., Any], watchers: list[LoopWatcher]) -> Callable[..., Any]:
    def recv(client: socket.socket, bufsize: int, flags: int = 0, /) -> Any:
        __tracebackhide__ = True
        if client.gettimeout() != 0 and bufsize and not flags & _DONT_WAIT:
            server = _server_of(client, watchers)
            if server is not None:
                return _wait(server, client, original, bufsize, flags)
        return original(client, bufsize, flags)

    return recv


def _recv_into(original: Callable[..., Any], watchers: list[LoopWatcher]) -> Callable[..., Any]:
    def recv_into(client: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> Any:
        __tracebackhide__ = True
        if client.gettimeout() != 0 and not flags & _DONT_WAIT:
            server = _server_of(client, watchers)
            if server is not None:
                return _wait(server, client, original, buffer, nbytes, flags)
        return original(client, buffer, nbytes, flags)

    return recv_into


def _do_handshake(original: Callable[..., Any], watchers: list[LoopWatcher]) -> Callable[..., Any]:
    def do_handshake(client: ssl.SSLSocket, block: bool = False) -> Any:
        __tracebackhide__ = True
        if client.gettimeout() != 0:
            server = _server_of(client, watchers)
            if server is not None:
                try:
                    return _wait(server, client, original, block)
                except (ScriptMismatch, ScriptError):
                    client.close()  # The ssl module leaves it open after such an error.
                    raise
        return original(client, block)

    return do_handshake


def _wait(
    server: LoopWatcher, client: socket.socket, original: Callable[..., Any], *args: Any
) -> Any:
    """Wait for the server, as far as that makes sense."""
    __tracebackhide__ = True
    patience = client.gettimeout()
    if (patience is None or patience > server.limit) and not _has_come(client):
        raise server.blocked()
    try:
        return original(client, *args)
    except TimeoutError as error:
        add_note(error, WAITED_IN_VAIN.format(server.name))
        raise


_HOOKS: Hooks[LoopWatcher] = Hooks(
    (socket.socket, "recv", _recv),
    (socket.socket, "recv_into", _recv_into),
    (ssl.SSLSocket, "do_handshake", _do_handshake),
)
