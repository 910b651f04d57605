"""Sees a client that waits for its server where that cannot come: in the server's own thread.

A call that blocks in an async test blocks the event loop, and that of the server is the same
one. Whatever the server is to answer, it will be able to only when the call is over. So one
that finds nothing in the kernel waits in vain. That need not be waited for, and is told at once:
unless its own timeout is so short that it may be meant, then the error of that gets a note.

There are three hooks, in which most clients that are written in Python come to wait:

- ``recv`` and ``recv_into`` of ``socket.socket``;
- ``do_handshake`` of ``ssl.SSLSocket``: with TLS the server has to answer before anything else.

Law: nothing is told of what cannot be seen. That is the case for a client that is written in C,
that waits in another call or for one of several sockets, for another thread or process.
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
from ._event_loop import EventLoop
from ._hooks import Hooks, Make
from ._location import Location, leads_to

#: Seconds: a client whose timeout is no longer is left to wait for it.
MEANT = 3.0

#: Milliseconds in which what was sent has come. (On loopback it has when ``send()`` returns, but
#: for a kernel that has very much to do.)
_DELIVERY = 100

#: With these a call does not wait.
_AT_ONCE = sum(getattr(socket, name, 0) for name in ("MSG_DONTWAIT", "MSG_OOB", "MSG_ERRQUEUE"))

#: How long an operating system waits for a socket of its own accord, where it can be asked.
_RCVTIMEO: int | None = getattr(socket, "SO_RCVTIMEO", None)

#: What is added to the error of a client whose patience has a limit.
WAITED_IN_VAIN = (
    "The client waited for the server {} in the thread of the event loop in which that runs, and "
    "which could do nothing meanwhile: use `blocking_tcpserver`, or call the client in a thread "
    "(`await anyio.to_thread.run_sync(...)`)."
)


class LoopWatcher:
    """Sees the clients of one server that block its event loop.

    :param name: of the server.
    :param where: it listens.
    :param loop: its event loop.
    :param limit: seconds: a client with a longer timeout than this, or none, is not let wait.
    :param on_blocked: called with the socket of such a client: gives the error for it.
    """

    def __init__(
        self,
        name: str,
        where: set[Location],
        loop: EventLoop,
        limit: float,
        on_blocked: Callable[[socket.socket], BaseException],
    ) -> None:
        self.name = name
        self.limit = max(limit, MEANT)
        self.on_blocked = on_blocked
        self._where = where
        self._loop = loop
        # A process that was forked has the same threads, and another event loop.
        self._process = os.getpid()

    def start(self) -> None:
        """Observe from now on."""
        _HOOKS.add(self)

    def stop(self) -> None:
        """Observe no more, and leave no trace."""
        _HOOKS.remove(self)

    def is_blocked_by(self, client: socket.socket) -> bool:
        """Whether a call that waits for this socket here waits for the server in vain."""
        return (
            self._loop.thread == threading.get_ident()
            and self._process == os.getpid()
            and self._serves(client)
            and not self._loop.has_moved()
        )

    def _serves(self, client: socket.socket) -> bool:
        """Whether a socket is connected to the server."""
        if client.type != socket.SOCK_STREAM:
            return False
        try:
            here, there = name_of(client), socket.socket.getpeername(client)
        except OSError:
            return False  # It is not connected to anybody.
        return leads_to(there, self._where, here[0] if isinstance(here, tuple) else "")


def name_of(client: socket.socket) -> Any:
    """The address of a socket. (A subclass may have an idea of its own.)"""
    return socket.socket.getsockname(client)


def _server_of(client: socket.socket, watchers: list[LoopWatcher]) -> LoopWatcher | None:
    """The server in the caller's own thread to which a socket is connected."""
    # The last one first: a script is played at the address of its server.
    return next((each for each in reversed(watchers) if each.is_blocked_by(client)), None)


def _has_come(client: socket.socket) -> bool:
    """Whether there is something to receive: data, or the end."""
    if not hasattr(select, "poll"):  # On Windows.
        return bool(select.select([client], [], [], _DELIVERY / 1000)[0])
    poll = select.poll()
    poll.register(client, select.POLLIN)
    return bool(poll.poll(_DELIVERY))


def _may_wait(client: socket.socket, patience: float | None) -> bool:
    """Whether its calls wait at all for longer than its timeout says.

    Somebody else may have the same connection, and have set that.
    """
    if patience is not None:
        return True
    if _RCVTIMEO is not None and any(client.getsockopt(socket.SOL_SOCKET, _RCVTIMEO, 16)):
        return False
    return os.name == "nt" or os.get_blocking(client.fileno())


# The hooks


def _receiving(wants: Callable[..., bool]) -> Make[LoopWatcher]:
    """What makes the hook for a method that receives.

    :param wants: whether a call with these arguments waits. (What is wrong with them the
        method says itself.)
    """

    def make(original: Callable[..., Any], watchers: list[LoopWatcher]) -> Callable[..., Any]:
        def receive(client: socket.socket, *args: Any, **options: Any) -> Any:
            __tracebackhide__ = True
            if client.gettimeout() == 0:
                return original(client, *args, **options)
            server = _server_of(client, watchers)
            if server is None or not wants(*args, **options):
                return original(client, *args, **options)
            return _wait(server, client, original, *args, **options)

        return receive

    return make


def _wants(bufsize: Any = None, flags: Any = 0, /, *rest: Any, **options: Any) -> bool:
    """Whether ``recv()`` waits. (It has no names for its arguments.)"""
    right = isinstance(bufsize, int) and isinstance(flags, int) and not (rest or options)
    return right and bufsize > 0 and not flags & _AT_ONCE


def _wants_into(
    buffer: Any = None, nbytes: Any = 0, flags: Any = 0, *rest: Any, **options: Any
) -> bool:
    """Whether ``recv_into()`` does."""
    try:
        with memoryview(buffer) as view:
            size = 0 if view.readonly else view.nbytes
    except TypeError:
        return False
    right = isinstance(nbytes, int) and 0 <= nbytes <= size
    return right and _wants(nbytes or size, flags, *rest, **options)


def _do_handshake(original: Callable[..., Any], watchers: list[LoopWatcher]) -> Callable[..., Any]:
    def do_handshake(client: ssl.SSLSocket, *args: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        if client.gettimeout() == 0 or client.version() is not None:  # It is done already.
            return original(client, *args, **options)
        server = _server_of(client, watchers)
        if server is None:
            return original(client, *args, **options)
        try:
            return _wait(server, client, original, *args, **options)
        except (ScriptMismatch, ScriptError):
            client.close()  # The ssl module leaves it open after such an error.
            raise

    return do_handshake


def _wait(
    server: LoopWatcher,
    client: socket.socket,
    original: Callable[..., Any],
    *args: Any,
    **options: Any,
) -> Any:
    """Wait for the server, as far as that makes sense."""
    __tracebackhide__ = True
    patience = client.gettimeout()
    if (
        (patience is None or patience > server.limit)
        and _may_wait(client, patience)
        and not _has_come(client)
    ):
        raise server.on_blocked(client)
    try:
        return original(client, *args, **options)
    except TimeoutError as error:
        add_note(error, WAITED_IN_VAIN.format(server.name))
        raise


_HOOKS: Hooks[LoopWatcher] = Hooks(
    (socket.socket, "recv", _receiving(_wants)),
    (socket.socket, "recv_into", _receiving(_wants_into)),
    (ssl.SSLSocket, "do_handshake", _do_handshake),
)
