"""What a server that no fixture has made needs to know of whoever runs it. No I/O.

``open_tcp_server()`` is called by anybody, anywhere, and asks nobody: so the pytest that is
running is noted here, in the one list of its kind. (A test of tests runs one inside another.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._options import Options
from ._transcript import LIMIT

#: What can run a blocking server.
BACKENDS = ("asyncio", "trio")


class Surroundings:
    """A run of pytest, or none.

    :ivar options: what its ini file says.
    :ivar backend: what runs blocking servers, where nothing else is said.
    :ivar transcript_limit: how many bytes of a conversation are kept.
    :ivar lasting: whether their event loops last for the whole run.
    :ivar bridges: the ways into these; made when the first one is.
    :ivar rules: gives the ``Rules`` of a test that nothing is known of; ``None``: the plain ones.
    :ivar open: every ``TcpServer`` that is there, and that no fixture of ours has made.
    """

    def __init__(
        self,
        options: Options | None = None,
        rules: Callable[[], Any] | None = None,
        *,
        backend: str = "asyncio",
        lasting: bool = False,
    ) -> None:
        self.options = options or Options()
        self.rules = rules
        self.backend = backend
        self.lasting = lasting
        self.bridges: Any = None
        self.transcript_limit = LIMIT
        self.open: list[Any] = []


_RUNNING = [Surroundings()]


def current() -> Surroundings:
    """What the caller runs in."""
    return _RUNNING[-1]


def enter(surroundings: Surroundings) -> None:
    """A run of pytest begins."""
    _RUNNING.append(surroundings)


def leave(surroundings: Surroundings) -> None:
    """It is over."""
    _RUNNING.remove(surroundings)
