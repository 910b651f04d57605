"""Watches the blocking servers of one run of one test, from the thread of the test."""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from types import CodeType, FrameType
from typing import Any

from anyio import to_thread

from ._blocking import BlockingTcpServerFactory
from ._body import AsyncBody
from ._bridge import Bridge
from ._errors import ScriptMismatch
from ._factory import TcpServerFactory
from ._failure import Failure
from ._supervisor import Supervisor
from ._surroundings import current


class Watch:
    """Watches the blocking servers of one run of one test."""

    def __init__(self, bridge: Bridge, supervisor: Supervisor) -> None:
        self.bridge = bridge
        self.supervisor = supervisor
        self._body: AsyncBody | None = None
        self._thread = 0
        self._code: CodeType | None = None
        #: What was raised in other threads than that of the test, and the frames there.
        self._aside: list[tuple[ScriptMismatch, set[FrameType]]] = []

    def factory(self) -> BlockingTcpServerFactory:
        """What makes servers for the test."""
        return BlockingTcpServerFactory(self.bridge, TcpServerFactory(self.supervisor))

    def run(self, body: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Run the body of a sync test.

        :raises BaseException: what the test ends with.
        """
        __tracebackhide__ = True
        raised: BaseException | None = None
        if self._begin(body):
            try:
                body(*args, **kwargs)
            except BaseException as error:
                raised = error
        verdict = self._end(raised)
        if verdict is not None:
            try:
                raise verdict
            finally:
                del verdict, raised  # An error whose traceback refers to it is not freed.

    async def run_async(
        self, body: Callable[..., Coroutine[Any, Any, object]], *args: object, **kwargs: object
    ) -> None:
        """Run the body of an async test, which has blocking servers as well.

        :raises BaseException: what the test ends with.
        """
        __tracebackhide__ = True
        raised: BaseException | None = None
        watched = self._body = AsyncBody(body(*args, **kwargs))
        try:
            if self._begin(body, watched):
                raised = await watched.run()
        except BaseException:  # It cannot be run, or somebody else has cancelled it.
            self._give_up()
            raise
        finally:
            watched.close()
        if watched.interrupted:
            self._give_up()
            return  # The verdict has been given without it.
        # The client may need the event loop to come to its end.
        verdict = await to_thread.run_sync(self._end, raised)
        if verdict is not None:
            try:
                raise verdict
            finally:
                del verdict, raised

    def interrupt(self) -> None:
        """End the body: see :meth:`Supervisor.interrupt`."""
        if self._body is not None:
            self._body.interrupt()

    def verdict(self, raised: BaseException) -> BaseException:
        """What a phase of the test ends with that has raised this."""
        verdict = self.bridge.call(self.supervisor.verdict, raised)
        assert verdict is not None
        return verdict

    def _begin(self, function: Any, body: AsyncBody | None = None) -> bool:
        """Return whether the body is to be run: not if a server has failed already."""
        __tracebackhide__ = True
        self._thread = threading.get_ident()
        self._code = getattr(inspect.unwrap(function), "__code__", None)
        if not current().open and self.supervisor.is_first():
            # There is nothing to wait for.
            self.bridge.post(self.supervisor.enter, self._code, body, self._thread)
        else:
            begin = self.supervisor.begin
            trouble = self.bridge.run("", begin, self._code, body, self._thread)
            if trouble is not None:
                raise trouble
        self.bridge.on_raised = self._note
        return self.supervisor.failure is None

    def _note(self, error: ScriptMismatch) -> None:
        """A failure is raised, in some thread."""
        if threading.get_ident() != self._thread:
            stack = {frame for frame, _ in traceback.walk_stack(sys._getframe())}
            self._aside.append((error, stack | _frames(error)))

    def _give_up(self) -> None:
        self.bridge.on_raised = None
        self._aside.clear()
        self.bridge.call(self.supervisor.end)

    def _end(self, raised: BaseException | None) -> BaseException | None:
        self.bridge.on_raised = None
        # Where it was seen it has been raised again, outside of that thread.
        unseen = [error.failure for error, there in self._aside if _frames(error) <= there]
        self._aside.clear()
        return self.bridge.run("", self._conclude, raised, unseen if raised is None else [])

    async def _conclude(
        self, raised: BaseException | None, unseen: list[Failure]
    ) -> BaseException | None:
        for failure in unseen:
            self.supervisor.reopen(failure)
        try:
            return await self.supervisor.conclude(raised)
        finally:
            self.supervisor.end()


def _frames(error: BaseException) -> set[FrameType]:
    """Through what an exception has passed."""
    return {frame for frame, _ in traceback.walk_tb(error.__traceback__)}
