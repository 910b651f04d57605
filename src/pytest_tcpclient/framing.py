"""Framings: how one message is delimited on the wire. And helpers for asyncio streams.

A framing is an option of a server (``framing=``) and of a single ``expect_frame()`` or
``send_frame()``. Any object with ``encode(payload)`` and ``decode(buffer)`` is one: see
:class:`Framing`.
"""

from __future__ import annotations

import asyncio

from ._framings import (
    Delimited,
    FixedSize,
    Framing,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
)

_FRAMING = LengthPrefixed()

__all__ = [
    "Delimited",
    "FixedSize",
    "Framing",
    "LengthPrefixed",
    "Netstring",
    "VarintPrefixed",
    "read_frame",
    "write_frame",
]


def write_frame(writer: asyncio.StreamWriter, payload: bytes) -> None:
    """Write one message, with a 4-byte big-endian length before it.

    Like ``writer.write()``, it does not wait: ``await writer.drain()``.

    :param payload: may be empty; up to 4,294,967,295 bytes.
    """
    writer.write(_FRAMING.encode(payload))


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Read one message that has a 4-byte big-endian length before it; return its payload.

    :return: the payload; ``b""`` also if the connection ended before the message.
    :raises asyncio.IncompleteReadError: if it ended in the middle of the message.
    """
    try:
        prefix = await reader.readexactly(4)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    return await reader.readexactly(int.from_bytes(prefix, "big"))
