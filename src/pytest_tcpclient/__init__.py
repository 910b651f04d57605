"""Test TCP clients against a scripted server, on asyncio and trio.

The names of this module are loaded when they are first used (PEP 562): pytest imports the
package in every run, and most runs of a suite need nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._blocking import (
        BlockingConnection,
        BlockingTcpServer,
        BlockingTcpServerFactory,
        open_blocking_tcp_server,
    )
    from ._contents import ANY
    from ._cuts import cuts, splits
    from ._errors import ScriptError, ScriptMismatch
    from ._factory import TcpServerFactory
    from ._failure import Failure
    from ._framings import Framing
    from ._handle import Handle
    from ._matchers import (
        NEED_DATA,
        Matched,
        Matcher,
        Mismatch,
        any_of,
        count,
        exactly,
        frame,
        in_any_order,
        line,
        until,
    )
    from ._opening import open_tcp_server
    from ._rule import Rule
    from ._script import Script
    from ._server import Connection, TcpServer
    from ._tls_setting import TLS
    from ._transcript import Transcript

__all__ = [
    "ANY",
    "NEED_DATA",
    "TLS",
    "BlockingConnection",
    "BlockingTcpServer",
    "BlockingTcpServerFactory",
    "Connection",
    "Failure",
    "Framing",
    "Handle",
    "Matched",
    "Matcher",
    "Mismatch",
    "Rule",
    "Script",
    "ScriptError",
    "ScriptMismatch",
    "TcpServer",
    "TcpServerFactory",
    "Transcript",
    "any_of",
    "count",
    "cuts",
    "exactly",
    "frame",
    "in_any_order",
    "line",
    "open_blocking_tcp_server",
    "open_tcp_server",
    "splits",
    "until",
]

_HOMES = {
    "ANY": "_contents",
    "BlockingConnection": "_blocking",
    "BlockingTcpServer": "_blocking",
    "BlockingTcpServerFactory": "_blocking",
    "Connection": "_server",
    "Failure": "_failure",
    "Framing": "_framings",
    "Handle": "_handle",
    "Matched": "_matchers",
    "Matcher": "_matchers",
    "Mismatch": "_matchers",
    "NEED_DATA": "_matchers",
    "Rule": "_rule",
    "Script": "_script",
    "ScriptError": "_errors",
    "ScriptMismatch": "_errors",
    "TLS": "_tls_setting",
    "TcpServer": "_server",
    "TcpServerFactory": "_factory",
    "Transcript": "_transcript",
    "any_of": "_matchers",
    "count": "_matchers",
    "cuts": "_cuts",
    "exactly": "_matchers",
    "frame": "_matchers",
    "in_any_order": "_matchers",
    "line": "_matchers",
    "open_blocking_tcp_server": "_blocking",
    "open_tcp_server": "_opening",
    "splits": "_cuts",
    "until": "_matchers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
