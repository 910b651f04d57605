"""Where sockets listen, and which addresses lead there. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Host and port, or the path of a unix socket.
Location = tuple[str, int] | str

#: Where a socket listens that does so on all addresses of the machine.
_EVERYWHERE = {4: "0.0.0.0", 6: "::"}

_LOCALHOST = ("127.0.0.1", "::1")


def locations(names: Iterable[Any]) -> set[Location]:
    """Where sockets listen, by what ``getsockname()`` says of them."""
    return {name[:2] if isinstance(name, tuple) else name for name in names}


def leads_to(address: Any, where: set[Location], here: str = "") -> bool:
    """Whether an address, as ``connect()`` takes it, leads to one of the locations.

    A socket that listens on all addresses of the machine is found at those that are known to be
    of this one. Names are not resolved, except for ``localhost``.

    :param here: another address of this machine than its loopback ones.
    """
    if isinstance(address, str):
        return address in where
    if not (isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str)):
        return False
    host, port = address[:2]
    if host == "localhost":
        return any((each, port) in where for each in _LOCALHOST)
    # An IPv6 socket that is connected to an IPv4 one calls the addresses so.
    host, here = host.removeprefix("::ffff:"), here.removeprefix("::ffff:")
    local = host in (here, "::1") or host.startswith("127.")
    everywhere = _EVERYWHERE[6 if ":" in host else 4]
    return (host, port) in where or (local and (everywhere, port) in where)
