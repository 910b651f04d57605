"""What the blocks have in common in which there is a server: ``async with ... as server``."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import anyio

from ._event_loop import is_cancellation
from ._surroundings import Surroundings

T = TypeVar("T")


class Block(AbstractAsyncContextManager[T]):
    """A block that begins with a server, and ends with what has failed in it.

    The tests that begin meanwhile know of the server. What cancels the block passes through.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    @abstractmethod
    async def _begin(self) -> T:
        """The server."""

    @abstractmethod
    async def _conclude(self, raised: BaseException | None) -> BaseException | None:
        """What the block ends with, which has raised this."""

    @abstractmethod
    async def _close(self) -> None:
        """Let go of the server."""

    def __enter__(self) -> NoReturn:
        """Say what is meant: Python only says that it cannot be.

        :raises TypeError: always.
        """
        __tracebackhide__ = True
        raise TypeError(
            "this block is for `async with`; for sync code there is open_blocking_tcp_server()"
        )

    def __exit__(self, *error: object) -> None:
        """Never called: ``with`` looks for it first."""

    async def __aenter__(self) -> T:
        __tracebackhide__ = True
        self._server = await self._begin()
        self._surroundings.open.append(self._server)
        return self._server

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        __tracebackhide__ = True
        self._surroundings.open.remove(self._server)
        verdict = None
        try:
            if raised is None or not is_cancellation(raised):
                verdict = await self._conclude(raised)
        finally:
            with anyio.CancelScope(shield=True):
                await self._close()
        if verdict is not None and verdict is not raised:
            raise verdict
