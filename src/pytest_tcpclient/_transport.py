"""What a server does to a connection that is not sending bytes."""

from __future__ import annotations

import socket
import struct

import anyio
from anyio.abc import SocketAttribute, SocketStream

_LINGER_ZERO = struct.pack("ii", 1, 0)


async def reset(stream: SocketStream) -> None:
    """Abort the connection: a client that waits for anything is woken at once.

    With a linger time of zero, ``close()`` drops what was not sent and sends RST (POSIX,
    SO_LINGER). On asyncio before anyio 4.16 a FIN goes out first, which wakes a reader too.
    """
    raw_socket = stream.extra(SocketAttribute.raw_socket)
    try:
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    except OSError:
        pass  # It is closed already, on one side or the other.
    await close(stream)


async def close(stream: SocketStream) -> None:
    """Close the socket, whatever state the connection is in, and even when cancelled."""
    with anyio.CancelScope(shield=True):
        await stream.aclose()
