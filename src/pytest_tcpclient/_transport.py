"""What a server does to a connection that is not sending bytes."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream

_LINGER_ZERO = struct.pack("ii", 1, 0)


async def reset_stream(stream: SocketStream) -> None:
    """Abort the connection: a client that waits for anything is woken at once.

    With a linger time of zero, ``close()`` drops what was not sent and sends RST (POSIX,
    SO_LINGER). On asyncio before anyio 4.16 a FIN goes out first, which wakes a reader too.
    """
    # OSError: it is closed already. AttributeError: uvloop has let go of it already.
    with suppress(OSError, AttributeError):
        raw_socket = stream.extra(SocketAttribute.raw_socket)
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    await close_stream(stream)


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
