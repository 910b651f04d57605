"""The way into the event loops of blocking servers, each of which runs in a thread of its own.

Law: whoever waits in the caller's thread can be interrupted (Ctrl-C, pytest-timeout), and then
nothing waits on in the event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from anyio import CancelScope
from anyio.from_thread import BlockingPortal, BlockingPortalProvider

from ._errors import ScriptError, ScriptMismatch
from ._event_loop import EventLoop, is_cancellation
from ._host import Host
from ._surroundings import current
from ._traceback import spots_of_error, traceback_of

T = TypeVar("T")

_OWN_THREAD = (
    "{} in the thread of the server's event loop, which would wait for itself: functions of a "
    "script are called there"
)


class Bridge:
    """The way into the event loop of blocking servers, from other threads."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._hosts: WeakSet[Host] = WeakSet()
        #: Who is told of each failure that is raised in one of the other threads.
        self.on_raised: Callable[[ScriptMismatch], None] | None = None
        self.loop = portal.call(_this_loop)
        #: What is to be called in the event loop, in this order.
        self._posted: deque[Callable[[], object]] = deque()
        self._woken = False
        self._late: BaseException | None = None

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Have a function called in the thread of the event loop, and do not wait for it.

        It comes after all that was posted, called or run before, and before anything that a
        client does afterwards. (Not always on trio, which may see both at the same time.) That
        may be when a client connects, or the times of the steps are looked at: to wake the other
        thread costs as much as to declare a whole script. See :meth:`wake`. What it raises is
        raised by whoever calls or runs something next.
        """
        if threading.get_ident() == self.loop.thread:
            self.catch_up()
            function(*args)
        else:
            self._posted.append(partial(self._guard, function, *args))

    def wake(self) -> None:
        """Have it called now."""
        if not self._woken:
            self._woken = True
            self.loop.soon(self.catch_up)

    def _guard(self, function: Callable[..., object], *args: object) -> None:
        try:
            function(*args)
        except BaseException as error:
            self._late = error

    def catch_up(self) -> None:
        """Call what was posted. In the event loop."""
        self._woken = False  # First: what is posted from now on may come too late for this one.
        while self._posted:
            self._posted.popleft()()

    def _post_and_wake(self, function: Callable[[], object]) -> None:
        # Whether it was woken or not: a signal may have interrupted that half-way.
        self._posted.append(function)
        self.loop.soon(self.catch_up)

    def _raise_late(self) -> None:
        """Raise what something that was posted has raised."""
        __tracebackhide__ = True
        error, self._late = self._late, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # An error whose traceback refers to it is not freed.

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Call a function in the thread of the event loop, and wait for it.

        Much quicker than ``portal.call()``, which makes a task and a future for it.
        """
        __tracebackhide__ = True
        if threading.get_ident() == self.loop.thread:
            self.catch_up()
            return function(*args)
        outcome: list[T] = []
        errors: list[BaseException] = []
        done = threading.Lock()
        done.acquire()

        def act() -> None:
            __tracebackhide__ = True
            try:
                outcome.append(function(*args))
            except BaseException as error:
                errors.append(error)
            done.release()

        self._post_and_wake(act)
        done.acquire()
        self._raise_late()
        if errors:
            raise errors.pop()  # An error whose traceback refers to it is not freed.
        return outcome[0]

    def run(self, what: str, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """Run a coroutine function in the event loop, and wait for it.

        :param what: what the caller has called.
        """
        __tracebackhide__ = True
        if threading.get_ident() == self.loop.thread:
            raise ScriptError(_OWN_THREAD.format(what))
        outcome: list[T] = []
        errors: list[BaseException] = []
        scopes: list[CancelScope] = []
        given_up = threading.Event()
        done = threading.Lock()
        done.acquire()

        async def act() -> None:
            try:
                with CancelScope() as scope:
                    scopes.append(scope)
                    if given_up.is_set():
                        scope.cancel()
                    outcome.append(await function(*args))
            except BaseException as error:
                errors.append(error)
                if is_cancellation(error):
                    raise  # The event loop is at its end.
            finally:
                done.release()

        try:
            self._post_and_wake(partial(self.loop.spawn, act))
            done.acquire()
        except BaseException:
            given_up.set()  # It may not have begun.
            self.loop.soon(partial(_cancel, scopes))
            raise
        self._raise_late()
        if errors:
            error = errors.pop()
            if isinstance(error, ScriptMismatch | ScriptError | OSError):
                # What has carried it from one thread to the other is of no interest.
                error = error.with_traceback(traceback_of(spots_of_error(error)))
            if isinstance(error, ScriptMismatch) and self.on_raised is not None:
                self.on_raised(error)
            try:
                raise error
            finally:
                del error  # An error whose traceback refers to it is not freed.
        return outcome[0]

    def add(self, host: Host) -> None:
        """There is a server of this host: its clock is stopped when clocks are to be stopped."""
        self._hosts.add(host)
        host.catch_up = self.catch_up

    def has(self, host: Host) -> bool:
        """Whether a server of this host runs here."""
        return host in self._hosts

    def stop_clocks(self) -> None:
        """Somebody sits at a debugger: that time does not count."""
        for host in list(self._hosts):
            self.call(host.stop_clock)

    def start_clocks(self) -> None:
        """They go on."""
        for host in list(self._hosts):
            self.call(host.start_clock)


def _cancel(scopes: list[CancelScope]) -> None:
    for scope in scopes:
        scope.cancel()


async def _this_loop() -> EventLoop:
    return EventLoop()


class Bridges:
    """The event loops of blocking servers, each in a thread, shared by all that need it.

    :param backend: ``"asyncio"`` or ``"trio"``, where nothing else is said.
    :param lasting: whether they go on when nobody needs them, until :meth:`close`.
    """

    def __init__(self, backend: str = "asyncio", *, lasting: bool = False) -> None:
        self.backend = backend
        self._lasting = lasting
        self._lock = threading.Lock()
        self._providers: dict[str, BlockingPortalProvider] = {}
        self._bridges: dict[str, Bridge] = {}
        self._users: dict[str, int] = {}

    def enter(self, backend: str) -> Bridge:
        """Somebody needs one."""
        with self._lock:
            if backend not in self._bridges:
                self._providers[backend] = provider = BlockingPortalProvider(backend)
                self._bridges[backend] = Bridge(provider.__enter__())
                self._users[backend] = 0
            self._users[backend] += 1
            return self._bridges[backend]

    def leave(self, backend: str) -> None:
        """Somebody does not need it any more."""
        with self._lock:
            self._users[backend] -= 1
            if not self._users[backend] and not self._lasting:
                self._end(backend)

    def close(self) -> None:
        """End them all."""
        with self._lock:
            for backend in list(self._bridges):
                self._end(backend)

    def backend_of(self, host: Host) -> str | None:
        """Which of them it is that a host runs in, if it is one of these."""
        return next((name for name, each in self._bridges.items() if each.has(host)), None)

    def stop_clocks(self) -> None:
        """Somebody sits at a debugger."""
        for bridge in list(self._bridges.values()):
            bridge.stop_clocks()

    def start_clocks(self) -> None:
        """The debugger goes on."""
        for bridge in list(self._bridges.values()):
            bridge.start_clocks()

    def _end(self, backend: str) -> None:
        del self._bridges[backend], self._users[backend]
        self._providers.pop(backend).__exit__(None, None, None)


def bridges() -> Bridges:
    """Those of the run of pytest, or of the process."""
    surroundings = current()
    if surroundings.bridges is None:
        surroundings.bridges = Bridges(surroundings.backend, lasting=surroundings.lasting)
    found: Bridges = surroundings.bridges
    return found
