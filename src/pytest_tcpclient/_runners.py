"""Hosts servers inside whatever runs the test.

Who runs a test decides who must run our async fixture. Where two plugins claim a test (in
its auto mode pytest-asyncio runs even those that are marked ``anyio``), its fixtures and the
test itself would land in two event loops and wait for each other for ever.

anyio and pytest-trio run plain async generator fixtures. pytest-asyncio, in its strict
mode, runs only those made with its own decorator, in the loop of the scope that they name.
So there is a hidden fixture for each of these, and the public fixtures choose among them.
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import pytest

if TYPE_CHECKING:
    from ._blocking import BlockingTcpServerFactory
    from ._factory import TcpServerFactory
    from ._server import TcpServer
    from ._supervisor import Supervisor
    from ._verdict import Rules
    from ._watch import Watch

LoopScope = Literal["function", "class", "module", "package", "session"]
LOOP_SCOPES: tuple[LoopScope, ...] = ("function", "class", "module", "package", "session")

SUPERVISOR: pytest.StashKey[Supervisor] = pytest.StashKey()

#: Who watches the blocking servers of a test.
WATCH: pytest.StashKey[Watch] = pytest.StashKey()

_HOW_TO_RUN = (
    "mark it with @pytest.mark.anyio, @pytest.mark.asyncio (pytest-asyncio) or "
    "@pytest.mark.trio (pytest-trio)"
)


class Runner(enum.Enum):
    """What runs a test.

    :ivar mark: with which a test is left to it. (Its plugin has the same name.)
    """

    ASYNCIO = "pytest-asyncio"
    TRIO = "pytest-trio"
    ANYIO = "anyio"

    @property
    def mark(self) -> str:
        return self.value.removeprefix("pytest-")


def runner_of(item: pytest.Item, fixture: str) -> Runner:
    """What runs this test, which asks for ``fixture``.

    :raises pytest.fail.Exception: if nothing does. The sentence says what to do.
    """
    function, _ = test_function(item)
    if not inspect.iscoroutinefunction(function):
        pytest.fail(
            f"`{fixture}` serves async tests only, and {item.name} is not one: take "
            f"`blocking_{fixture}`, or write it as `async def`, and {_HOW_TO_RUN}.",
            pytrace=False,
        )
    claimants = claimants_of(item)
    if not claimants:
        missing = [runner for runner in Runner if item.get_closest_marker(runner.mark)]
        why = f"nothing runs {item.name}: {_HOW_TO_RUN}."
        if missing:
            why = (
                f"{item.name} is marked for {missing[0].value}, which is not installed, or "
                f"switched off (`-p no:{missing[0].mark}`)."
            )
        pytest.fail(f"`{fixture}`: {why}", pytrace=False)
    if len(claimants) > 1:
        fail_for_clash(item, fixture, claimants)
    return claimants[0]


def fail_for_clash(item: pytest.Item, what: str, claimants: list[Runner]) -> NoReturn:
    """Say that several plugins claim a test.

    :param what: how it came by its server.
    """
    names = " and ".join(runner.value for runner in claimants)
    pytest.fail(
        f"`{what}`: {item.name} is claimed by {names}, which would run its fixtures in one event "
        "loop and the test in another: leave it to one of them. (In its auto mode a plugin claims "
        "every async test.)",
        pytrace=False,
    )


def claimants_of(item: pytest.Item) -> list[Runner]:
    """What runs this async test; more than one if they do not know of each other."""
    plugins = item.config.pluginmanager
    claimants = [
        runner
        for runner in (Runner.ASYNCIO, Runner.TRIO)
        if item.get_closest_marker(runner.mark) and plugins.has_plugin(runner.mark)
    ]
    if "anyio_backend" in getattr(item, "fixturenames", ()):
        claimants.append(Runner.ANYIO)
    return claimants


def async_fixtures_of(item: pytest.Item) -> dict[CodeType, str]:
    """The functions that something has to run before a test, and their scopes."""
    definitions = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    functions = {inspect.unwrap(found[-1].func): found[-1].scope for found in definitions}
    return {
        function.__code__: scope
        for function, scope in functions.items()
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    }


def test_function(item: pytest.Item) -> tuple[Any, tuple[object, str]]:
    """The function that is the body of a test, and the attribute that holds it.

    What Hypothesis makes of a test is a plain function, which calls the body for each example.
    """
    holder: tuple[Any, str] = (item, "obj")
    function: Any = getattr(item, "obj", None)
    if hasattr(function, "hypothesis"):
        holder = (function.hypothesis, "inner_test")
        function = function.hypothesis.inner_test
        # anyio leaves its own there when a test is run on a second backend.
        function = getattr(function, "_anyio_original_func", function)
    elif inspect.iscoroutinefunction(function) and is_of_unittest(function):
        holder = (function.__self__, function.__name__)  # Where unittest looks for it.
    return function, holder


def is_of_unittest(function: Any) -> bool:
    """Whether the body of a test is a method of a ``unittest.TestCase``."""
    unittest = sys.modules.get("unittest")
    return unittest is not None and isinstance(
        getattr(function, "__self__", None), unittest.TestCase
    )


def get_factory(request: pytest.FixtureRequest, runner: Runner) -> TcpServerFactory:
    """The factory, set up by the test's runner. (Under pytest-trio, a placeholder for it.)"""
    name = "_tcpclient_factory"
    if runner is Runner.ASYNCIO:
        name = _asyncio_fixture_name(_loop_scope(request))
    factory: TcpServerFactory = request.getfixturevalue(name)
    return factory


def get_server(request: pytest.FixtureRequest, runner: Runner) -> TcpServer:
    """The one server of the factory. (Under pytest-trio, a placeholder for it.)"""
    if runner is Runner.TRIO:
        server: TcpServer = request.getfixturevalue("_tcpclient_server")
        return server
    return get_factory(request, runner).default


@asynccontextmanager
async def hosted_factory(request: pytest.FixtureRequest) -> AsyncIterator[TcpServerFactory]:
    """The hidden fixtures: a factory, with one server if the test has ``tcpserver``."""
    from ._factory import TcpServerFactory

    supervisor = request.node.stash[SUPERVISOR]
    try:
        factory = TcpServerFactory(supervisor)
        # Among the arguments of the test, or asked for by getfixturevalue() just now.
        if "tcpserver" in request.fixturenames or supervisor.has_default:
            factory.default = await factory()
        yield factory
        if supervisor.deferred and supervisor.completed:
            await supervisor.finish()
    finally:
        await supervisor.close()


@contextmanager
def hosted_blocking_factory(request: pytest.FixtureRequest) -> Iterator[BlockingTcpServerFactory]:
    """The hidden fixture behind the blocking ones."""
    watch = request.node.stash[WATCH]
    supervisor = watch.supervisor
    try:
        yield watch.factory()
        if supervisor.deferred and supervisor.completed:
            watch.bridge.run("", supervisor.finish)
    finally:
        watch.bridge.run("", supervisor.close)


def keep_runner(request: pytest.FixtureRequest) -> None:
    """See to it that anyio's runner, if that runs an async test, outlives its body.

    Without an async fixture anyio ends it within the call of the test. If the alarm of
    pytest-timeout has torn the body out of its event loop, it waits for that body there (on trio
    for ever) before anybody can see to it.
    """
    from ._event_loop import is_in_event_loop

    body, _ = test_function(request.node)
    runs_it = inspect.iscoroutinefunction(body) and claimants_of(request.node) == [Runner.ANYIO]
    # Within an event loop (by getfixturevalue()) no other async fixture can be run.
    if runs_it and not is_in_event_loop():
        request.getfixturevalue("_tcpclient_anyio_runner")


def asyncio_fixtures() -> ModuleType:
    """A plugin with the fixtures that pytest-asyncio runs, one for each scope of a loop."""
    import pytest_asyncio

    plugin = ModuleType("pytest_tcpclient_asyncio")
    for scope in LOOP_SCOPES:
        name = _asyncio_fixture_name(scope)

        # A function for each: the decorator notes the scope on the function.
        @pytest_asyncio.fixture(loop_scope=scope, name=name)
        async def factory(request: pytest.FixtureRequest) -> AsyncIterator[TcpServerFactory]:
            async with hosted_factory(request) as hosted:
                yield hosted

        setattr(plugin, name, factory)
    return plugin


def has_dependents(request: pytest.FixtureRequest, faces: tuple[str, ...]) -> bool:
    """Whether a fixture that depends on one of ours has a teardown: it may close the client.

    :param faces: the names of our public fixtures.
    """
    dependents = set(faces)
    definitions = {
        name: found[-1]
        for name, found in request.node._fixtureinfo.name2fixturedefs.items()
        if name not in faces
    }
    size = 0
    while size < len(dependents):
        size = len(dependents)
        dependents |= {
            name for name, each in definitions.items() if dependents.intersection(each.argnames)
        }
    return any(_has_teardown(definitions[name]) for name in dependents.difference(faces))


def _has_teardown(definition: pytest.FixtureDef[object]) -> bool:
    function = definition.func
    return (
        inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
        or "request" in definition.argnames  # For addfinalizer().
    )


def rules_for(runner: Runner | None, grace: float, factor: float) -> Rules:
    """What the supervisor must know of pytest and of what runs the test."""
    from ._outcome import Ended, Failed
    from ._verdict import Rules

    return Rules(
        error=Failed,
        ending=Ended,
        passing=(
            pytest.skip.Exception,
            pytest.xfail.Exception,
            pytest.exit.Exception,
            KeyboardInterrupt,
            SystemExit,
            GeneratorExit,
        ),
        hint_in_line=runner is Runner.ASYNCIO,
        check_streams=runner is Runner.ASYNCIO,
        grace=grace,
        factor=factor,
    )


def _asyncio_fixture_name(scope: str) -> str:
    return f"_tcpclient_factory_in_{scope}_loop"


def _loop_scope(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker("asyncio")
    scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    return str(scope or request.config.getini("asyncio_default_test_loop_scope"))
