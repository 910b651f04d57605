"""Where sockets listen, and which addresses lead there. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Host and port, or the path of a unix socket.
Location = tuple[str, int] | str

#: Where a socket listens that does so on all addresses of the machine.
_EVERYWHERE = ("0.0.0.0", "::")

_LOCALHOST = ("127.0.0.1", "::1")


def locations(names: Iterable[Any]) -> set[Location]:
    """Where sockets listen, by what ``getsockname()`` says of them."""
    return {name[:2] if isinstance(name, tuple) else name for name in names}


def leads_to(address: Any, where: set[Location]) -> bool:
    """Whether an address, as ``connect()`` takes it, leads to one of the locations.

    (Names are not resolved, except for ``localhost``.)
    """
    if not isinstance(address, tuple):
        return isinstance(address, str) and address in where
    # An IPv6 socket that is connected to an IPv4 one calls the addresses so.
    host, port = str(address[0]).removeprefix("::ffff:"), address[1]
    hosts = _LOCALHOST if host == "localhost" else (host,)
    return any((each, port) in where for each in (*hosts, *_EVERYWHERE))
