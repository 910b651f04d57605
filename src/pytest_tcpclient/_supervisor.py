"""One run of one test: its servers, their first failure, and the end of the test.

What happens when a server has failed, in order:

1. At once its script is dropped, and it stops reading.
2. 10 ms later, unless the test has come to a ``join()`` of it or is over, all connections
   of the test's servers are reset, so that a client that waits for a reply wakes up.
3. When the grace is over, the body of an async test is cancelled, in whatever event loop it is.
4. What still goes on, in a fixture or in a thread, is refused when it connects again; where the
   body of a test does that in a thread other than that of the servers, it is told the failure.

Whatever the body raises then, the test ends with the server's failure. A failure that
``join()`` raised is *settled*: what the test does with it is its own affair. But where
``join()`` was called in a task or a thread of its own, the body may wait for the client,
which waits for the server: so the connections of that server are reset all the same, when
the grace is over. Where the failure has ended a task of asyncio, and the body still waits where it
did, another grace later it is cancelled after all.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from types import CodeType, CoroutineType, FrameType
from typing import Any

import anyio

from ._body import CLEAN_UP, AsyncBody
from ._errors import ScriptError
from ._event_loop import EventLoop, current_asyncio_task
from ._failure import Failure
from ._host import Host
from ._options import Options
from ._refusal import Refusal
from ._report import render
from ._server import Referee, TcpServer
from ._steps import Place
from ._surroundings import current
from ._traceback import Spot, spot_in, spot_of
from ._verdict import Rules, Verdict, leaves

#: Seconds for a failing test to come to its ``join()`` by itself.
UNDISTURBED = 0.01


class Supervisor:
    """Watches the servers of one run of one test."""

    def __init__(self, rules: Rules, options: Options) -> None:
        self.options = options
        self.servers: list[TcpServer] = []
        #: Servers of a wider scope, which are somebody else's before and after the test.
        self.guests: list[TcpServer] = []
        #: Whether the test has asked for the ``tcpserver`` fixture.
        self.has_default = False
        #: Whether the checks wait for the fixtures that use a server.
        self.deferred = False
        #: Whether the body ran to its end: otherwise there is nothing to check.
        self.completed = False
        self._rules = rules
        self._host: Host | None = None
        self._verdict = Verdict(rules)
        self._body: AsyncBody | None = None
        self._frame: FrameType | None = None
        self._code: CodeType | None = None
        #: Whose the guests are otherwise.
        self._homes: list[tuple[TcpServer, Referee]] = []
        #: Whether there is a body, and whether that is over.
        self._watches = False
        self._over = False
        #: The tasks beside the body in which a failure was raised, and where the body was then.
        self._told: list[tuple[asyncio.Task[Any], Failure, int]] = []
        #: How many of the servers were there before the body was run for the first time; -1 if
        #: that is still to come.
        self._lasting = -1
        #: The thread of the body, if that is not the one of the event loop.
        self._thread = 0
        self._refusal: Refusal | None = None
        #: For what the body was cancelled, and the seconds that it was given.
        self._cancelled_for: list[Failure] = []
        self._patience = 0.0
        self._task: asyncio.Task[Any] | None = None

    # Servers

    async def open_server(self, options: Options) -> TcpServer:
        """A server that accepts connections, in the event loop of the caller."""
        __tracebackhide__ = True
        server = self.make_server(options, EventLoop())
        server.start()
        return server

    def make_server(self, options: Options, loop: EventLoop) -> TcpServer:
        """A server that listens, and accepts nobody yet; its loop may be in another thread."""
        __tracebackhide__ = True
        if self._host is None:
            self._verdict = Verdict(self._rules)
            self._host = Host(self._crash, loop)
        if options.check_streams is None:
            options = options.but({"check_streams": self._rules.check_streams})
        server = TcpServer(self._host, options, self._rules.factor, self)
        self.servers.append(server)
        return server

    async def close(self) -> None:
        """Nothing of the servers lasts."""
        if self._host is not None:
            with anyio.CancelScope(shield=True):
                # First: asyncio loses a connection that it accepts for a task that is cancelled
                # at that moment, and nobody would ever reset it (bpo-41317).
                for server in self.servers:
                    await server.stop_accepting()
                await self._host.stop()
            self._host = None
        # Under pytest-trio each example of Hypothesis sets up its fixtures anew.
        self._lasting = -1
        while self.servers:
            await self.servers.pop().close()

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
            if self.failure is None and server.plays:
                await server.finish()

    def report(self, server: TcpServer, failure: Failure) -> None:
        """A server has failed."""
        self._verdict.add(failure)
        server.task_host.start_soon(self._end, server, failure)

    def _crash(self, error: BaseException) -> None:
        """A background task has failed, which none of them should: nobody is to wait for it."""
        if not isinstance(error, Exception):
            # A signal handler may raise in the middle of anything: that of pytest-timeout does.
            self._verdict.add_foreign(error)
        for server in self.servers:
            server.crash(error)

    def settle(self, failure: Failure) -> BaseException:
        """The error for a failure, which is settled by being raised."""
        task = current_asyncio_task()
        if self._task is not None and task is not None and task is not self._task:
            self._told.append((task, failure, self._position))
        return self._verdict.settle(failure)

    def mismatch(self, failure: Failure) -> BaseException:
        """What a client is told of a failure, which is not settled by that."""
        return self._verdict.mismatch(failure)

    def reopen(self, failure: Failure) -> None:
        """It was raised where the test has not seen it."""
        self._verdict.reopen(failure)

    def _look_at_tasks(self) -> None:
        """A failure that has ended a task at which nobody looks, the test has not seen."""
        while self._told:
            task, failure, _ = self._told.pop()
            if _is_lost_in(task, failure):
                self.reopen(failure)

    def _is_lost_on_body(self, failure: Failure) -> bool:
        """Whether a failure has ended a task beside the body, which waits on as if it had not."""
        return any(
            told is failure and position == self._position and _is_lost_in(task, failure)
            for task, told, position in self._told
        )

    @property
    def _position(self) -> int:
        """At which instruction the body is, which changes when it goes on."""
        assert self._frame is not None
        return self._frame.f_lasti

    def take_in(self, guest: TcpServer) -> None:
        """A server of a wider scope takes part in the test."""
        guest.referee = self
        self.guests.append(guest)

    async def conclude_part(
        self, guest: TcpServer, raised: BaseException | None
    ) -> BaseException | None:
        """A part of the test is over, and has raised this. Return what it ends with."""
        if raised is None:
            await guest.finish()
            self._let_go(guest)
            failure = guest.failure
            if failure is None or not self._verdict.is_open(failure):
                return None
            return self.settle(failure)
        if isinstance(raised, Exception):
            await guest.settle()
        if self._watches and not self._over:
            return None  # It is for the end of the test.
        verdict = self.verdict(raised)
        self._let_go(guest)
        return verdict

    def _let_go(self, guest: TcpServer) -> None:
        if guest in self.guests:  # Otherwise the part has outlived the test.
            self.guests.remove(guest)

    @property
    def failure(self) -> Failure | None:
        """The first failure that is not settled."""
        return self._verdict.failure

    # The body of the test

    def _invite(self) -> None:
        """Take in the servers of a wider scope."""
        guests = [each for each in current().open if each.task_host.loop.is_here()]
        self._homes = [(each, each.referee) for each in guests]
        for guest in guests:
            self.take_in(guest)
            if guest.failure is not None and guest.plays:
                self._verdict.add(guest.failure)

    async def watch(self, body: CoroutineType[Any, Any, Any]) -> None:
        """Run the body of the test, and end it when a server fails.

        :raises BaseException: what the test ends with.
        """
        __tracebackhide__ = True
        watched = AsyncBody(body)
        trouble = await self.begin(body.cr_code, watched)
        if trouble is not None:
            body.close()
            raise trouble
        try:
            await self._watch(watched, body.cr_frame)
        finally:
            self.end()

    async def begin(
        self, code: CodeType | None, body: AsyncBody | None, thread: int = 0
    ) -> BaseException | None:
        """The body is about to be run.

        :param code: of its function, if it is known.
        :param body: what it is, if it is async.
        :param thread: in which it runs, if that is not the one of the event loop.
        :return: why it cannot be run.
        """
        trouble = await self._prepare()
        if trouble is None:
            self.enter(code, body, thread)
        return trouble

    def is_first(self) -> bool:
        """Whether no body was run before, in any thread: the servers that there are now last."""
        if self._lasting >= 0:
            return False
        self._lasting = len(self.servers)
        return True

    def enter(self, code: CodeType | None, body: AsyncBody | None, thread: int = 0) -> None:
        """The body is run now."""
        self._invite()
        self._body, self._thread = body, thread
        self._code, self._watches, self._over = code, True, False
        self._told.clear()
        self._cancelled_for.clear()

    def end(self) -> None:
        """The body is over. A guest that has not come through it is of no use to the next one."""
        self._over = True
        if self._refusal is not None:
            self._refusal.stop()
            self._refusal = None
        self.guests.clear()
        while self._homes:
            guest, home = self._homes.pop()
            guest.referee = home
            if guest.failure is not None:
                home.settle(guest.failure)  # It was the test's.
                guest.retire(_FAILED_EARLIER)
            elif not self.completed and guest.unfinished:
                guest.retire(_UNFINISHED)

    async def _watch(self, body: AsyncBody, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        self._frame, self._task = frame, current_asyncio_task()
        raised: BaseException | None = None
        if self.failure is not None:
            body.skip()
        else:
            raised = await body.run()
        if body.interrupted:
            return  # The verdict has been given without it.
        verdict = await self.conclude(raised)
        if verdict is not None:
            try:
                raise verdict
            finally:
                del verdict, raised  # An error whose traceback refers to it is not freed.

    async def conclude(self, raised: BaseException | None) -> BaseException | None:
        """What it ends with, now that the body has raised this or come to its end."""
        self._over = True
        if self._body is not None and self._body.ended:
            # A join() may have raised them meanwhile, and the cancellation have taken their place.
            for failure in self._cancelled_for:
                self.reopen(failure)
        self.completed = raised is None and (self._body is None or self._body.stuck is None)
        if self.completed:
            self._look_at_tasks()
        if self.completed and not self.deferred:
            await self._check()
        elif self.completed or isinstance(raised, Exception):
            # Perhaps what the client has sent is wrong already.
            for server in (*self.servers, *self.guests):
                await server.settle()
        return self.verdict(raised)

    async def _prepare(self) -> BaseException | None:
        """Make ready for a run of the body: Hypothesis runs it once for each example.

        :return: why it cannot be run.
        """
        if self._host is not None and not self._host.loop.is_here():
            return ScriptError(_TWO_LOOPS)
        if self.is_first():
            return None
        while len(self.servers) > self._lasting:  # They were of the example before.
            await self.servers.pop().close()
        if any(server.failure for server in self.servers):
            return self._verdict.give_again(_FAILED_BEFORE) or ScriptError(_FAILED_BEFORE)
        self._verdict = Verdict(self._rules)
        return None

    def interrupt(self) -> None:
        """End the body, which its runner has left where it was.

        pytest-timeout and Ctrl-C raise in the middle of the event loop. The body never learns
        of that, and anyio's runner tears down in the task in which the body still waits.
        """
        if self._body is not None and (self.servers or self.guests):
            self._body.interrupt()

    async def _end(self, server: TcpServer, failure: Failure) -> None:
        """See to it that the body of the test ends, now that a server has failed."""
        host = server.task_host
        await host.pause(UNDISTURBED)
        patience = 0.0
        if not self._is_over(server, failure):
            # While we wait, another example of Hypothesis may begin, with servers of its own.
            for each in (*self.servers, *self.guests):
                await each.reset()
            await host.pause(self._rules.grace)
            patience = self._rules.grace
            if self._over:
                return
        if self._is_over(server, failure):
            await self._wake_late(server, failure)
            if self._over or not self._is_lost_on_body(failure):
                return
            patience += 2 * self._rules.grace
            self.reopen(failure)
        if self._body is not None:
            self._cancelled_for.append(failure)
            self._patience = patience
            self._body.end(unless=partial(self._is_over, server, failure))
            # Refused already, a client that connects again at once might never wait any more,
            # and so would never learn that it is cancelled.
            await host.pause(CLEAN_UP + UNDISTURBED)
        if not self._is_over(server, failure):  # In a fixture, or a thread.
            # A guest that has nothing to do with it serves the next test, too.
            refused = [*self.servers, *(each for each in self.guests if each.failure is not None)]
            if self._thread:
                self._tell_why(failure)
                self._tell_at_connect(failure, refused)
            for each in refused:
                await each.refuse()

    async def _wake_late(self, server: TcpServer, failure: Failure) -> None:
        """See to it that a client does not wait for a server for ever that has failed."""
        await server.task_host.pause(self._rules.grace)
        # In the teardown of a fixture, too.
        if await server.reset() and not self._over:
            self._verdict.woken(failure)
        if self._told:
            await server.task_host.pause(self._rules.grace)

    def _tell_why(self, failure: Failure) -> None:
        """The body goes on, and cannot be ended. Say why it fails, if it ever comes to that.

        What pytest has captured is shown by pytest-timeout, which ends the whole process.
        """
        text = render(failure, hint_in_line=self._rules.hint_in_line)
        sys.stderr.write(f"\nThe test goes on, although its server has failed:\n{text}\n")

    def _tell_at_connect(self, failure: Failure, refused: list[TcpServer]) -> None:
        """End a test where its client connects again, unless it has caught the failure."""
        if self._refusal is not None:
            return  # Another server has failed before.

        def error(often: bool) -> BaseException | None:
            if not self._verdict.is_open(failure):
                return None
            return self._verdict.ending(failure) if often else self.mismatch(failure)

        where = set().union(*(each.where for each in refused))
        self._refusal = Refusal(self._thread, where, error)
        self._refusal.start()

    def _is_over(self, server: TcpServer, failure: Failure) -> bool:
        return self._over or bool(server.joining) or not self._verdict.is_open(failure)

    # The verdict

    def verdict(self, raised: BaseException | None) -> BaseException | None:
        """What the test ends with, given what its body or a fixture has raised."""
        if self._body is not None and self._body.cancelled:
            self._verdict.cancelled = self._patience
        verdict = self._verdict.give(raised, self._frame, self._where)
        if verdict is not None:
            servers = (*self.servers, *self.guests)
            standings = [each for server in servers for each in server.standing()]
            self._verdict.explain(verdict, standings)
        return verdict

    def has_caused(self, raised: BaseException) -> bool:
        """Whether the failure that the test has ended with is why its teardown has raised this."""
        return self._verdict.has_caused(raised)

    def _where(self, failure: Failure) -> list[Spot]:
        """The line of the test at which it was, or which declared what did not come true."""
        if self._body is not None and self._body.stuck:
            return self._body.stuck
        place = failure.step.place if failure.step else Place("", 0)
        if self._frame is not None:
            return [spot_in(self._frame, place.file, place.line)]
        if self._code is not None:
            return [spot_of(self._code, place.file, place.line)]
        return []  # The line of the block that ends.


_FAILED_BEFORE = (
    "The script has failed in an earlier example. A fixture is set up once for all examples of "
    "Hypothesis, which is what its health check `function_scoped_fixture` is about."
)

_FAILED_EARLIER = (
    "that has failed in an earlier test: give each test a script of its own, `server.script()`"
)

_UNFINISHED = (
    "whose script was not done when an earlier test failed: give each test a script of its own, "
    "`server.script()`"
)

_TWO_LOOPS = (
    "The fixtures of this test run in another event loop than the test itself: two plugins "
    "claim it. Mark it for one of anyio, asyncio (pytest-asyncio) and trio (pytest-trio); in "
    "the auto mode of pytest-asyncio every async test is marked asyncio."
)


def _is_lost_in(task: asyncio.Task[Any], failure: Failure) -> bool:
    """Whether a failure has ended a task, perhaps in a group, and nobody has asked for that yet.

    (asyncio itself would only log it, when the task is freed.)
    """
    if not getattr(task, "_log_traceback", False):
        return False
    # (To call exception() is to ask.)
    found = leaves(getattr(task, "_exception", None))
    return any(getattr(each, "failure", None) is failure for each in found)
