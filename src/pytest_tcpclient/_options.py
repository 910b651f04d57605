"""What can be set for a server, by whom ever: factory, marker or ini. No I/O."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ._checked import checked_bytes, checked_flag, checked_seconds

if TYPE_CHECKING:
    from typing import TypedDict

    from ._framings import Checked, Framing
    from ._tls_setting import TLS, SSLContext

    class Settings(TypedDict, total=False):
        """The options of a server, as keyword arguments."""

        host: str | None
        port: int
        path: str | os.PathLike[str] | bool | None
        tls: bool | TLS | SSLContext | None
        timeout: float
        framing: Framing[Any]
        newline: bytes
        name: str | None
        strict: bool
        check_pending: bool
        check_unexpected: bool
        check_extra_connections: bool
        check_left_open: bool
        check_streams: bool


#: What is checked besides the script itself. Each can be switched off.
CHECKS = (
    "check_pending",
    "check_unexpected",
    "check_extra_connections",
    "check_left_open",
    "check_streams",
)


# Loaded by every run of pytest. (To make a dataclass takes four times as long.)
class Options(NamedTuple):
    """The settings of one server.

    :ivar host: where to listen: an IP address, or ``None`` or ``"localhost"`` for
        127.0.0.1 and ::1.
    :ivar port: 1 to 65535, or 0 for a free one.
    :ivar path: the path of a unix socket on which it listens instead, or ``True`` for one in a
        directory of its own, which is removed with it.
    :ivar tls: how it speaks TLS; ``None`` if it does not.
    :ivar timeout: seconds that an expectation may take if it does not say so itself.
    :ivar framing: how the messages of ``expect_frame()`` and ``send_frame()`` are delimited;
        ``None`` for a 4-byte big-endian length before each.
    :ivar newline: what ends the lines of ``expect_line()`` and ``send_line()``.
    :ivar name: what the server is called in a failure, instead of its address.
    :ivar check_pending: when the test is over, wait for the steps that are not done.
    :ivar check_unexpected: bytes that no step expects fail the test.
    :ivar check_extra_connections: so do connections that no step expects,
    :ivar check_left_open: and connections that the client has not closed at the end.
    :ivar check_streams: a client that disconnects has read everything from its asyncio streams
        and awaits ``wait_closed()``. ``None``: so it is under pytest-asyncio.
    """

    host: str | None = None
    port: int = 0
    path: str | bool | None = None
    tls: TLS | SSLContext | None = None
    timeout: float = 1.0
    framing: Checked | None = None
    newline: bytes = b"\n"
    name: str | None = None
    check_pending: bool = True
    check_unexpected: bool = True
    check_extra_connections: bool = True
    check_left_open: bool = True
    check_streams: bool | None = None

    def but(self, settings: Mapping[str, object] | Settings) -> Options:
        """These options with some of them set, ``strict=False`` for all the checks.

        :raises TypeError: for a name that is no option, or a value of the wrong type.
        :raises ValueError: for a value out of bounds.
        """
        __tracebackhide__ = True
        settings = dict(settings)
        unknown = [name for name in settings if name not in _CHECKED and name != "strict"]
        if unknown:
            raise TypeError(
                f"there is no option {unknown[0]!r}; there are {', '.join(_CHECKED)}, strict"
            )
        changes: dict[str, Any] = {}
        if "strict" in settings:
            strict = checked_flag("strict", settings.pop("strict"))
            changes = dict.fromkeys(CHECKS, strict)
            if strict:
                changes["check_streams"] = _DEFAULTS.check_streams  # One script, one verdict.
        for name, value in settings.items():
            changes[name] = _CHECKED[name](name, value)
        on_port = {"host", "port"}.intersection(changes)
        if changes.get("path") is not None:
            if on_port:
                raise ValueError(f"a server listens on a path or on a {min(on_port)}, not on both")
            changes |= {"host": _DEFAULTS.host, "port": _DEFAULTS.port}
        elif on_port:
            changes["path"] = _DEFAULTS.path
        return self._replace(**changes)


def _checked_host(name: str, value: object) -> str | None:
    __tracebackhide__ = True
    if value is None or value == "localhost":
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be an IP address, not {value!r}")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(
            f'{name} must be an IP address or "localhost" (no name is looked up), not {value!r}'
        ) from None


def _checked_framing(name: str, value: object) -> Checked:
    __tracebackhide__ = True
    from ._framings import checked_framing  # Most runs need none.

    return checked_framing(name, value)


def _checked_tls(name: str, value: object) -> TLS | SSLContext | None:
    __tracebackhide__ = True
    from ._tls_setting import checked_tls

    return checked_tls(name, value)


def _checked_port(name: str, value: object) -> int:
    __tracebackhide__ = True
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a port number, not {value!r}")
    if not 0 <= value <= 65535:
        raise ValueError(f"{name} must be a port number, 0 to 65535, not {value!r}")
    return value


def _checked_path(name: str, value: object) -> str | bool | None:
    __tracebackhide__ = True
    if value is None or value is True:
        return value
    try:
        path = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise TypeError(f"{name} must be a path, or True for a new one, not {value!r}")
    if not path or "\0" in path:
        raise ValueError(f"{name} must be the path of a file, not {value!r}")
    return path


def _checked_name(name: str, value: object) -> str | None:
    __tracebackhide__ = True
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {value!r}")
    return value


_CHECKED: dict[str, Callable[[str, Any], Any]] = {
    "host": _checked_host,
    "port": _checked_port,
    "path": _checked_path,
    "tls": _checked_tls,
    "timeout": checked_seconds,
    "framing": _checked_framing,
    "newline": checked_bytes,
    "name": _checked_name,
    **dict.fromkeys(CHECKS, checked_flag),
}
assert tuple(_CHECKED) == Options._fields

_DEFAULTS = Options()
