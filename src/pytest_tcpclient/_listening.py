"""Binds the sockets on which a server listens, without resolving any name, and accepts."""

from __future__ import annotations

import errno
import ipaddress
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass

import anyio
import anyio.lowlevel
from anyio.abc import SocketListener, SocketStream, UNIXSocketStream

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.

#: The connections that a kernel completes before the server accepts them.
BACKLOG = 1024

#: Lets two sockets have one address, even if one of them listens.
_SHARE = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)

#: How often a port whose twin on ::1 is taken is exchanged for another one. On a busy
#: machine about one port in a thousand is.
TRIES = 20


@dataclass(frozen=True)
class Endpoint:
    """Where sockets listen: on a port, or on a path.

    :ivar directory: what was made for the path, and goes with it.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    directory: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def remove(self) -> None:
        """Leave no file."""
        if self.path:
            with suppress(OSError):  # The test may have removed it.
                os.unlink(self.path)
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def listen_at(
    host: str | None, port: int, path: str | bool | None = None
) -> tuple[list[socket.socket], Endpoint]:
    """Bind and listen, on a port or on a path.

    :param path: where; ``True`` for one in a new directory, which is removed with it.
    :raises OSError: if the address is not to be had.
    """
    if path is not None:
        return _listen_on_path(path)
    sockets = listen(host, port)
    return sockets, Endpoint(*sockets[0].getsockname()[:2])


def listen(host: str | None, port: int) -> list[socket.socket]:
    """Bind and listen, on the same port for each address of the host.

    :param host: an IP address; ``None`` or ``"localhost"`` for 127.0.0.1 and, where it
        exists, ::1, so that nobody else holds the twin of the port.
    :param port: 0 for a free one.
    :raises OSError: if the address is not to be had.
    """
    if host is not None and host != "localhost":
        return [_listening(host, port)]
    tries = TRIES
    while True:
        first = _listening("127.0.0.1", port)
        try:
            return [first, _listening("::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]  # There is no ::1 on this machine.
            first.close()
            tries -= 1
            if port or not tries:
                raise


def hold(listener: socket.socket, path: str = "") -> socket.socket:
    """A socket that keeps the address of a listening one when that is closed.

    It does not listen, so that whoever connects is refused, until ``listen()`` is called. A
    port that is bound by nobody would be lost to the next one who asks for any port.

    :param path: where the listener is, if it is a unix socket.
    """
    if path:
        return _hold_path(path)
    version = listener.family
    holder = socket.socket(version)
    holder.setblocking(False)
    for each in (listener, holder):
        # The one for each other, the other for the connections that are there.
        each.setsockopt(socket.SOL_SOCKET, _SHARE, 1)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if version == socket.AF_INET6:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    holder.bind(listener.getsockname())
    return holder


def _listen_on_path(path: str | bool) -> tuple[list[socket.socket], Endpoint]:
    directory = ""
    if not isinstance(path, str):
        directory = tempfile.mkdtemp(prefix="pytest-tcpclient-")
        path = os.path.join(directory, "socket")
    endpoint = Endpoint(path=os.path.abspath(path), directory=directory)
    listener = _unix_socket(endpoint.path)
    try:
        listener.bind(endpoint.path)
    except OSError as error:
        listener.close()
        number = error.errno or errno.ENAMETOOLONG  # That one is Python's own, without a number.
        reason = error.strerror or str(error)
        if number == errno.EADDRINUSE:
            reason += " (remove what is there, or let path=True find a path)"
        raise OSError(number, f"cannot listen on {endpoint.path}: {reason}") from None
    listener.listen(BACKLOG)
    return [listener], endpoint


def aside(path: str) -> str:
    """The name that a unix socket has for ever which was put at a path when another was there."""
    return path[:-1] + ("-" if path.endswith("~") else "~")


def _hold_path(path: str) -> socket.socket:
    # There is always something at the path, and a client is refused rather than told that
    # nothing is there. A name of the same length is short enough for a socket, too.
    holder = _unix_socket(path)
    holder.bind(aside(path))
    os.replace(aside(path), path)
    return holder


def _unix_socket(path: str) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, f"cannot listen on {path}: no unix sockets here")
    unix_socket = socket.socket(socket.AF_UNIX)
    unix_socket.setblocking(False)
    return unix_socket


def _listening(host: str, port: int) -> socket.socket:
    version = ipaddress.ip_address(host).version
    listener = None
    try:
        listener = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET)
        listener.setblocking(False)
        # A fixed port can be bound again although old connections of it linger. (On
        # Windows the option would let two servers share the port.)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        if version == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {reason}") from None
    return listener


async def listener_of(raw_socket: socket.socket) -> SocketListener | UnixListener:
    """What accepts the connections of a listening socket, which is closed with it."""
    if hasattr(socket, "AF_UNIX") and raw_socket.family == socket.AF_UNIX:
        return UnixListener(raw_socket)
    return await SocketListener.from_socket(raw_socket)


class UnixListener:
    """Accepts the connections of a unix socket.

    ``SocketListener.from_socket()`` takes any socket for one of TCP before anyio 4.14.
    """

    def __init__(self, raw_socket: socket.socket) -> None:
        self._raw_socket = raw_socket

    async def accept(self) -> SocketStream:
        """Accept a connection.

        :raises anyio.ClosedResourceError: if the listener is closed, or is then.
        """
        while True:
            await anyio.lowlevel.checkpoint()
            if self._raw_socket.fileno() == -1:
                raise anyio.ClosedResourceError
            try:
                accepted, _ = self._raw_socket.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._raw_socket)
            else:
                accepted.setblocking(False)
                return await UNIXSocketStream.from_socket(accepted)

    async def aclose(self) -> None:
        """Accept no more."""
        anyio.notify_closing(self._raw_socket)
        self._raw_socket.close()
