"""Test TCP clients against a scripted server, on asyncio and trio.

The names of this module are loaded when they are first used (PEP 562): pytest imports the
package in every run, and most runs of a suite need nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._errors import ScriptError, ScriptMismatch
    from ._factory import TcpServerFactory
    from ._failure import Failure
    from ._script import Handle, Script
    from ._server import Connection, TcpServer
    from ._transcript import Transcript

__all__ = [
    "Connection",
    "Failure",
    "Handle",
    "Script",
    "ScriptError",
    "ScriptMismatch",
    "TcpServer",
    "TcpServerFactory",
    "Transcript",
]

_HOMES = {
    "Connection": "_server",
    "Failure": "_failure",
    "Handle": "_script",
    "Script": "_script",
    "ScriptError": "_errors",
    "ScriptMismatch": "_errors",
    "TcpServer": "_server",
    "TcpServerFactory": "_factory",
    "Transcript": "_transcript",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
