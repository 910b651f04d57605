"""What a server does to a connection that is not sending bytes."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from ipaddress import ip_address

import anyio
from anyio.abc import SocketAttribute, SocketStream

_LINGER_ZERO = struct.pack("ii", 1, 0)


async def reset_stream(stream: SocketStream) -> None:
    """Abort the connection: a client that waits for anything is woken at once.

    With a linger time of zero, ``close()`` drops what was not sent and sends RST (POSIX,
    SO_LINGER). On asyncio anyio before 4.16 would send a FIN before that, but for a transport
    that is closing already.
    """
    # OSError: it is closed already. AttributeError: uvloop has let go of it already.
    with suppress(OSError, AttributeError):
        raw_socket = stream.extra(SocketAttribute.raw_socket)
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        transport = getattr(stream, "_transport", None)
        if transport is not None:
            transport.abort()
    await close_stream(stream)


def pause_reading(stream: SocketStream) -> None:
    """Read nothing until somebody wants to receive something.

    asyncio reads by itself. anyio stops that only after it has had to wait for something.
    """
    transport = getattr(stream, "_transport", None)
    if transport is not None and not transport.is_closing():
        transport.pause_reading()


def raise_if_broken(stream: SocketStream) -> None:
    """Say that the connection is lost, where asyncio knows it and anyio does not say so.

    asyncio writes in the background. When that fails its transport closes itself, and what was
    to be sent is dropped without a word.

    :raises BrokenResourceError: if it is lost.
    """
    transport = getattr(stream, "_transport", None)
    if transport is not None and transport.is_closing():
        raise anyio.BrokenResourceError


async def close_stream(stream: SocketStream) -> None:
    """Close the socket, whatever state the connection is in, and even when cancelled."""
    with anyio.CancelScope(shield=True):
        await stream.aclose()


def unread_by_client(stream: SocketStream) -> int | None:
    """How many bytes the kernel holds that the client has not read.

    Linux shows the sockets of its network namespace in ``/proc/net``, the client's as well,
    if it is on this machine (proc(5): ``rx_queue``). ``None`` where that is not so, and when
    the connection is over.
    """
    # LookupError and AttributeError: the socket is closed, and the event loop has let go of it.
    with suppress(OSError, LookupError, AttributeError, anyio.ClosedResourceError):
        if stream.extra(SocketAttribute.family) not in (socket.AF_INET, socket.AF_INET6):
            return _unread_on_unix_socket(stream.extra(SocketAttribute.raw_socket))
        server = stream.extra(SocketAttribute.local_address)
        client = stream.extra(SocketAttribute.remote_address)
        ends = [_as_in_proc(*client), _as_in_proc(*server)]
        table = "/proc/net/tcp6" if ":" in str(server[0]) else "/proc/net/tcp"
        with open(table, encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                if fields[1:3] == ends:
                    return int(fields[4].partition(":")[2], 16)
    return None


def _unread_on_unix_socket(raw_socket: socket.socket) -> int:
    """What was sent on a unix socket is the sender's until it is read (Linux, unix_outq_len).

    It is counted with what the kernel needs to keep it: only zero is exact.
    """
    from fcntl import ioctl
    from termios import TIOCOUTQ

    return int.from_bytes(ioctl(raw_socket, TIOCOUTQ, bytes(4)), sys.byteorder)


def _as_in_proc(host: object, port: object) -> str:
    """An address as Linux writes it: words of four bytes, each as a number of this machine."""
    packed = ip_address(str(host)).packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{port:04X}"
