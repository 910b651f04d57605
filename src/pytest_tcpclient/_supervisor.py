"""One run of one test: its servers, their first failure, and the end of the test.

What happens when a server has failed, in order:

1. At once its script is dropped, and it stops reading.
2. 10 ms later, unless the test has come to a ``join()`` of it or is over, all connections
   of the test's servers are reset, so that a client that waits for a reply wakes up.
3. When the grace is over, new connections are refused and the body of the test is
   cancelled: on asyncio with one plain ``task.cancel()``, so that its clean-up can await,
   and with a cancel scope half a second later; on trio with the cancel scope.

Whatever the body raises then, the test ends with the server's failure. A failure that
``join()`` raised is *settled*: what the test does with it is its own affair.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import anyio

from ._errors import ScriptMismatch
from ._failure import Failure
from ._host import Host
from ._options import Options
from ._report import aside, render, standing
from ._server import TcpServer
from ._traceback import Spot, spot_in, spots_of_error, spots_of_task, traceback_of

#: Seconds for a failing test to come to its ``join()`` by itself.
UNDISTURBED = 0.01

#: Seconds for the clean-up of a body that was cancelled politely.
CLEAN_UP = 0.5

#: What a client raises when its connection ends. (Not OSError: a timeout of its own is one.)
_CONNECTION_ERRORS = (ConnectionError, EOFError, anyio.EndOfStream, anyio.BrokenResourceError)


@dataclass(frozen=True)
class Rules:
    """What the supervisor needs to know of whoever runs the test.

    :ivar error: makes the error for a failure.
    :ivar passing: exceptions that end a test by the wish of its author: skip, Ctrl-C.
    :ivar hint_in_line: whether the first line of a failure holds the hint, as in 0.7.
    :ivar grace: seconds that the body may go on after a failure.
    :ivar factor: every timeout is multiplied by this.
    """

    error: Callable[[str, Failure], ScriptMismatch] = ScriptMismatch
    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, GeneratorExit)
    hint_in_line: bool = False
    grace: float = 0.5
    factor: float = 1.0


class Supervisor:
    """Watches the servers of one run of one test."""

    def __init__(self, rules: Rules, options: Options) -> None:
        self.options = options
        self.servers: list[TcpServer] = []
        #: Whether the test has asked for the ``tcpserver`` fixture.
        self.has_default = False
        #: Whether the checks wait for the fixtures that use a server.
        self.deferred = False
        #: Whether the body ran to its end: otherwise there is nothing to check.
        self.completed = False
        self._rules = rules
        self._host: Host | None = None
        self._failures: list[Failure] = []
        self._settled: set[int] = set()
        self._body: Coroutine[Any, Any, Any] | None = None
        self._frame: FrameType | None = None
        self._stuck: list[Spot] | None = None
        self._over = False
        self._verdict: ScriptMismatch | None = None
        self._scope: anyio.CancelScope | None = None
        self._task: asyncio.Task[Any] | None = None

    # Servers

    async def open_server(self, options: Options) -> TcpServer:
        """A server that is listening, hosted in the event loop of the caller."""
        if self._host is None:
            self._host = Host()
            await self._host.start()
        server = TcpServer(self._host, options, self._rules.factor, self)
        self.servers.append(server)
        await server.start()
        return server

    async def close(self) -> None:
        """Nothing of the servers lasts."""
        if self._host is not None:
            await self._host.stop()
        for server in self.servers:
            await server.close()

    async def finish(self) -> None:
        """Make the checks of the end of the test, of all servers.

        :raises ScriptMismatch: for the first failure that is not settled.
        """
        __tracebackhide__ = True
        await self._check()
        if self.failure is not None:
            raise self.settle(self.failure)

    async def _check(self) -> None:
        for server in self.servers:
            if self.failure is None and not server.stopped:
                await server.finish()

    def report(self, server: TcpServer, failure: Failure) -> None:
        """A server has failed."""
        self._failures.append(failure)
        if self._host is not None:
            self._host.start_soon(self._end, server, failure)

    def settle(self, failure: Failure) -> ScriptMismatch:
        """The error for a failure, which is settled by being raised."""
        self._settled.add(id(failure))
        return self._error(failure)

    @property
    def failure(self) -> Failure | None:
        """The first failure that is not settled."""
        for failure in self._failures:
            if id(failure) not in self._settled:
                return failure
        return None

    # The body of the test

    async def watch(self, body: Coroutine[Any, Any, Any]) -> None:
        """Run the body of the test, and end it when a server fails.

        :raises BaseException: what the test ends with.
        """
        __tracebackhide__ = True
        host = self._host
        if host is not None and not host.is_here():
            body.close()
            raise RuntimeError(_TWO_LOOPS)
        self._body, self._frame = body, getattr(body, "cr_frame", None)
        raised: BaseException | None = None
        if self.failure is not None:
            self._stuck = spots_of_task(body)
            body.close()
        else:
            raised = await self._run(body)
        self._over = True
        self.completed = raised is None and self._stuck is None
        if self.completed and not self.deferred:
            await self._check()
        elif self.completed or isinstance(raised, Exception):
            # Perhaps what the client has sent is wrong already.
            for server in self.servers:
                await server.settle()
        verdict = self.verdict(raised)
        if verdict is not None:
            try:
                raise verdict
            finally:
                del verdict, raised  # An error whose traceback refers to it is not freed.

    def interrupt(self) -> None:
        """End the body, which its runner has left where it was.

        pytest-timeout and Ctrl-C raise in the middle of the event loop. The body never learns
        of that, and anyio's runner tears down in the task in which the body still waits.
        """
        if self._scope is not None and self._host is not None and not self._over:
            self._host.interrupt(self._scope.cancel)

    async def _run(self, body: Coroutine[Any, Any, Any]) -> BaseException | None:
        """Run the body in a scope of its own. Return what it raised of itself."""
        self._task = _current_asyncio_task()
        cancelling = _cancel_count(self._task)
        raised: BaseException | None = None
        with anyio.CancelScope() as self._scope:
            try:
                await body
            except BaseException as error:
                if not _is_cancellation(error):
                    raised = error
                elif self._stuck is None:
                    raise  # Somebody else's.
            finally:
                self._over = True
        while _cancel_count(self._task) > cancelling:
            assert self._task is not None
            self._task.uncancel()
        return raised

    async def _end(self, server: TcpServer, failure: Failure) -> None:
        """See to it that the body of the test ends, now that a server has failed."""
        host = self._host
        assert host is not None
        await host.pause(UNDISTURBED)
        if self._is_over(server, failure):
            return
        for each in self.servers:
            await each.reset()
        await host.pause(self._rules.grace)
        if self._is_over(server, failure):
            return
        for each in self.servers:
            await each.refuse()
        if self._body is None or self._scope is None:
            return  # In a fixture: only the reset wakes a client there.
        self._stuck = spots_of_task(self._body)
        if self._task is not None:
            self._task.cancel()
            await host.pause(CLEAN_UP)
            if self._over:
                return
        self._scope.cancel()

    def _is_over(self, server: TcpServer, failure: Failure) -> bool:
        return self._over or bool(server.joining) or id(failure) in self._settled

    # The verdict

    def verdict(self, raised: BaseException | None) -> BaseException | None:
        """What the test ends with, given what its body or a fixture has raised."""
        if isinstance(raised, self._rules.passing):
            return raised
        if self._verdict is not None and self._verdict in _leaves(raised):
            return self._verdict  # It has been given already, and a runner wrapped it.
        own, others = self._sorted(raised)
        for other in others:
            if isinstance(other, self._rules.passing):
                return other
        first = self.failure
        if own is not None:
            assert isinstance(own.failure, Failure)
            if first is None or self._failures.index(first) > self._failures.index(own.failure):
                first = own.failure
            spots = spots_of_error(own)
            if raised is not own and not any(spot.frame is self._frame for spot in spots):
                # Raised in another task: the test itself was where it waited for that.
                spots = spots_of_error(raised) + spots
        elif first is None:
            return raised
        elif raised is None:
            spots = self._where(first)
        elif first.only_the_end and not _is_connection_error(raised):
            # The client closed because the test was failing already, not the other way.
            _note(raised, aside(first))
            self._settled.add(id(first))
            return raised
        else:
            spots = next(filter(None, map(spots_of_error, (raised, *others))), [])
        self._settled.update(id(failure) for failure in self._failures)
        error = self._error(first, others)
        error.__suppress_context__ = True
        self._verdict = error.with_traceback(traceback_of(spots))
        return self._verdict

    def explain(self, raised: BaseException) -> None:
        """Note on an error of the test's own where the scripts of its servers stood."""
        if isinstance(raised, (ScriptMismatch, *self._rules.passing)):
            return
        for server in self.servers:
            where = standing(server.standing())
            if where and where not in getattr(raised, "__notes__", ()):
                _note(raised, where)

    def _error(self, failure: Failure, others: list[BaseException] | None = None) -> ScriptMismatch:
        then = [
            "".join(traceback.format_exception_only(type(other), other)).strip()
            for other in others or ()
        ]
        text = render(failure, hint_in_line=self._rules.hint_in_line, then=then)
        return self._rules.error(text, failure)

    def _sorted(
        self, raised: BaseException | None
    ) -> tuple[ScriptMismatch | None, list[BaseException]]:
        """The error of ours that was raised, and those that are not cancellations."""
        own = None
        others = []
        for leaf in _leaves(raised):
            if isinstance(leaf, ScriptMismatch) and leaf.failure in self._failures:
                own = own or leaf
            elif not _is_cancellation(leaf):
                others.append(leaf)
        return own, others

    def _where(self, failure: Failure) -> list[Spot]:
        """The line of the test at which it was, or which declared what did not come true."""
        if self._stuck is not None:
            return self._stuck
        if self._frame is None:
            return []
        if failure.step is None:
            return [spot_in(self._frame, "", 0)]
        return [spot_in(self._frame, failure.step.place.file, failure.step.place.line)]


_TWO_LOOPS = (
    "The fixtures of this test run in another event loop than the test itself: two plugins "
    "claim it. Mark it for one of anyio, asyncio (pytest-asyncio) and trio (pytest-trio); in "
    "the auto mode of pytest-asyncio every async test is marked asyncio."
)


def _note(error: BaseException, text: str) -> None:
    """Add a note (PEP 678). Python 3.10 does not print it, but newer pytests do."""
    if hasattr(error, "add_note"):
        error.add_note(text)
    else:
        notes = getattr(error, "__notes__", [])
        error.__notes__ = [*notes, text]  # type: ignore[attr-defined]


def _leaves(raised: BaseException | None) -> Iterator[BaseException]:
    """The exceptions themselves, out of the groups around them."""
    if raised is None:
        return
    inner = getattr(raised, "exceptions", None)
    if isinstance(inner, tuple):
        for each in inner:
            yield from _leaves(each)
    else:
        yield raised


def _is_cancellation(error: BaseException) -> bool:
    trio = sys.modules.get("trio")
    return isinstance(error, asyncio.CancelledError) or (
        trio is not None and isinstance(error, trio.Cancelled)
    )


def _is_connection_error(raised: BaseException) -> bool:
    """Whether an exception says that a connection ended, or was raised because of that."""
    trio = sys.modules.get("trio")
    kinds = (*_CONNECTION_ERRORS, *([trio.BrokenResourceError] if trio else []))
    error: BaseException | None = raised
    while error is not None:
        if any(isinstance(leaf, kinds) for leaf in _leaves(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _current_asyncio_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _cancel_count(task: asyncio.Task[Any] | None) -> int:
    """How many cancellations of the task are under way (Python 3.11 and later)."""
    return getattr(task, "cancelling", int)()
