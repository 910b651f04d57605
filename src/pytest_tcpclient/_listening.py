"""Binds the sockets on which a server listens, without resolving any name."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.

#: The connections that a kernel completes before the server accepts them.
BACKLOG = 1024

#: Lets two sockets have one address, even if one of them listens.
_SHARE = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)

#: How often a port whose twin on ::1 is taken is exchanged for another one. On a busy
#: machine about one port in a thousand is.
TRIES = 20


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


def hold(listener: socket.socket) -> socket.socket:
    """A socket that keeps the address of a listening one when that is closed.

    It does not listen, so that whoever connects is refused, until ``listen()`` is called. A
    port that is bound by nobody would be lost to the next one who asks for any port.
    """
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
