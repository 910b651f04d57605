"""pytest's face of the package: options, markers, fixtures, hooks.

Thin on purpose, and quick to load: a run that does not use the fixtures imports neither
the engine nor anyio.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from ._checked import checked_seconds
from ._options import CHECKS, Options
from ._runners import (
    SUPERVISOR,
    WATCH,
    Runner,
    async_fixtures_of,
    asyncio_fixtures,
    claimants_of,
    fail_for_clash,
    get_factory,
    get_server,
    has_dependents,
    hosted_blocking_factory,
    hosted_factory,
    is_of_unittest,
    keep_runner,
    rules_for,
    runner_of,
    test_function,
)
from ._surroundings import BACKENDS, Surroundings, current, enter, leave
from ._transcript import LIMIT, Transcript

if TYPE_CHECKING:
    from ._blocking import BlockingTcpServer, BlockingTcpServerFactory
    from ._factory import TcpServerFactory
    from ._server import TcpServer
    from ._supervisor import Supervisor
    from ._watch import Watch

_FIXTURES = ("tcpserver", "tcpserver_factory")
_BLOCKING_FIXTURES = ("blocking_tcpserver", "blocking_tcpserver_factory")

_MARKER = (
    "tcpserver(host, port, path, tls, timeout, framing, newline, name, strict, check_pending, "
    "check_unexpected, check_extra_connections, check_left_open, check_streams): options of the "
    "test's servers, as keyword arguments (pytest-tcpclient)."
)

_CLAIMED = "of a test that several plugins claim"

_CHECKS_HELP = {
    "check_pending": "When a test is over, wait for the steps that are not done",
    "check_unexpected": "Fail a test if the client sends bytes that no step expects",
    "check_extra_connections": "Fail a test if the client opens more connections than expected",
    "check_left_open": "Fail a test if the client leaves a connection open at its end",
    "check_streams": "Fail a test if the client leaves asyncio streams unread or does not await "
    "wait_closed()",
    "strict": "All of these checks at once",
}

# pytest before 8.4 does not know numbers; then they are strings, and converted here.
_NUMBER: Any = "float" if pytest.version_tuple >= (8, 4) else None

_SETTINGS: pytest.StashKey[tuple[Options, float, float]] = pytest.StashKey()
_SURROUNDINGS: pytest.StashKey[Surroundings] = pytest.StashKey()

#: Who watches a sync test that is run step by step.
_STEPPED: pytest.StashKey[Watch] = pytest.StashKey()


# Options and markers


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tcpclient", "scripted TCP servers (pytest-tcpclient)")
    group.addoption(
        "--tcpclient-timeout-factor",
        metavar="FACTOR",
        default="1",
        help="multiply every timeout of a server by this, on a slow machine (default: 1)",
    )
    parser.addini(
        "tcpclient_timeout",
        "Seconds that an expectation may take if nothing else is said (default: 1)",
        type=_NUMBER,
        default=1.0,
    )
    parser.addini(
        "tcpclient_grace",
        "Seconds that a test may go on after its server has failed (default: 0.5)",
        type=_NUMBER,
        default=0.5,
    )
    parser.addini(
        "tcpclient_transcript_limit",
        "Bytes that are kept of what went to and fro, the last ones (default: 1048576)",
        default=str(LIMIT),
    )
    parser.addini(
        "tcpclient_blocking_backend",
        "What runs the servers of blocking_tcpserver: asyncio or trio (default: asyncio)",
        default="asyncio",
    )
    for name, text in _CHECKS_HELP.items():
        default = "under pytest-asyncio" if name == "check_streams" else "true"
        parser.addini(
            f"tcpclient_{name}", f"{text} (default: {default})", type="bool", default=None
        )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    settings = {
        name: value
        for name in ("timeout", "strict", *CHECKS)
        if (value := _ini(config, f"tcpclient_{name}")) is not None
    }
    options = Options().but(settings)
    grace = _ini(config, "tcpclient_grace")
    factor = _seconds("--tcpclient-timeout-factor", config.getoption("tcpclient_timeout_factor"))
    config.stash[_SETTINGS] = (options, grace, factor)
    rules = functools.partial(rules_for, None, grace=grace, factor=factor)
    backend = config.getini("tcpclient_blocking_backend")
    if backend not in BACKENDS:
        raise pytest.UsageError(
            f"tcpclient_blocking_backend must be asyncio or trio, not {backend!r}"
        )
    surroundings = Surroundings(options, rules, backend=backend, lasting=True)
    surroundings.transcript_limit = _size(config, "tcpclient_transcript_limit")
    config.stash[_SURROUNDINGS] = surroundings
    enter(surroundings)
    if config.pluginmanager.has_plugin("asyncio"):
        config.pluginmanager.register(asyncio_fixtures(), "tcpclient_asyncio")


def pytest_unconfigure(config: pytest.Config) -> None:
    surroundings = config.stash.get(_SURROUNDINGS, None)
    if surroundings is not None:  # Otherwise a setting was wrong.
        leave(surroundings)
        if surroundings.bridges is not None:
            surroundings.bridges.close()
    certificates = sys.modules.get(f"{__package__}._certificates")
    if certificates is not None:
        certificates.remove_files()


def _ini(config: pytest.Config, name: str) -> Any:
    try:
        value = config.getini(name)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise pytest.UsageError(f"{name}: {error}") from None
    return value if value is None or isinstance(value, bool) else _seconds(name, value)


def _size(config: pytest.Config, name: str) -> int:
    value = config.getini(name)
    if not re.fullmatch(r"[0-9_]+", value):
        raise pytest.UsageError(f"{name} must be a number of bytes, zero or more, not {value!r}")
    return int(value)


def _seconds(name: str, value: Any) -> float:
    try:
        return checked_seconds(name, float(value))
    except ValueError:
        raise pytest.UsageError(f"{name} must be a number, zero or more, not {value!r}") from None


# Fixtures


@pytest.fixture
def tcpserver(request: pytest.FixtureRequest) -> TcpServer:
    """A TCP server that follows a script and fails the test if the client does not.

    Declare what the client must do and what the server answers (``expect_connect()``,
    ``expect_bytes(...)``, ``send_bytes(...)``, ``expect_disconnect()``, ...), connect the
    client to ``tcpserver.port`` on localhost, and ``await tcpserver.join()``.
    """
    return get_server(request, _supervised(request, "tcpserver"))


@pytest.fixture
def tcpserver_factory(request: pytest.FixtureRequest) -> TcpServerFactory:
    """Makes scripted TCP servers: ``server = await tcpserver_factory(timeout=2)``.

    ``await tcpserver_factory.stop()`` ends them and checks them; so does the end of the test.
    """
    return get_factory(request, _supervised(request, "tcpserver_factory"))


@pytest.fixture
def blocking_tcpserver(
    _tcpclient_blocking_factory: BlockingTcpServerFactory,
) -> BlockingTcpServer:
    """A TCP server for sync tests, which follows a script like ``tcpserver``.

    It has the same words, and nothing of it is awaited: ``blocking_tcpserver.join()``.
    """
    return _tcpclient_blocking_factory()


@pytest.fixture
def blocking_tcpserver_factory(
    _tcpclient_blocking_factory: BlockingTcpServerFactory,
) -> BlockingTcpServerFactory:
    """Makes scripted TCP servers for sync tests: ``blocking_tcpserver_factory(timeout=2)``.

    ``blocking_tcpserver_factory.stop()`` ends them and checks them; so does the end of the test.
    """
    return _tcpclient_blocking_factory


@pytest.fixture
def _tcpclient_blocking_factory(
    request: pytest.FixtureRequest,
) -> Iterator[BlockingTcpServerFactory]:
    """One for both of them."""
    keep_runner(request)
    watch = _watch_for(request.node)
    watch.supervisor.deferred = has_dependents(request, _BLOCKING_FIXTURES)
    with hosted_blocking_factory(request) as factory:
        yield factory


@pytest.fixture
async def _tcpclient_anyio_runner() -> AsyncIterator[None]:
    """For anyio's plugin, which keeps its runner for it, and runs its end after the body's."""
    yield  # noqa: PT022 - or nothing would be run at its end


@pytest.fixture
async def _tcpclient_factory(request: pytest.FixtureRequest) -> AsyncIterator[TcpServerFactory]:
    """For anyio's plugin and pytest-trio."""
    async with hosted_factory(request) as factory:
        yield factory


@pytest.fixture
def _tcpclient_server(_tcpclient_factory: TcpServerFactory) -> TcpServer:
    """For pytest-trio, which resolves placeholders only where they are arguments."""
    return _tcpclient_factory.default


def _supervised(request: pytest.FixtureRequest, fixture: str) -> Runner:
    """See to it that the test has a supervisor. Return what runs the test."""
    item = request.node
    runner = runner_of(item, fixture)
    if SUPERVISOR not in item.stash:
        supervisor = _supervisor_for(item, runner)
        supervisor.deferred = has_dependents(request, _FIXTURES)
    if fixture == "tcpserver":
        item.stash[SUPERVISOR].has_default = True
    return runner


def _supervisor_for(item: pytest.Item, runner: Runner | None) -> Supervisor:
    item.stash[SUPERVISOR] = supervisor = _supervisor(item, runner)
    return supervisor


def _watch_for(item: pytest.Item, backend: str | None = None) -> Watch:
    from ._bridge import bridges
    from ._watch import Watch

    found = bridges()
    watch = Watch(found.enter(backend or found.backend), _supervisor(item, None))
    item.stash[WATCH] = watch
    return watch


def _supervisor(item: pytest.Item, runner: Runner | None) -> Supervisor:
    from ._supervisor import Supervisor

    options, grace, factor = item.config.stash[_SETTINGS]
    for marker in reversed(list(item.iter_markers("tcpserver"))):
        options = _with_marker(options, marker)
    return Supervisor(rules_for(runner, grace=grace, factor=factor), options)


def _supervisor_of_others(item: pytest.Item, body: object) -> Supervisor | None:
    """Who watches the servers that no fixture of ours has made, if there are any."""
    runners = claimants_of(item) if inspect.iscoroutinefunction(body) else []
    if len(runners) > 1:
        _check_clash(item, runners)
    # pytest-trio sets up its fixtures only when it runs the test.
    if runners == [Runner.TRIO] or (len(runners) == 1 and current().open):
        return _supervisor_for(item, runners[0])
    return None


def _check_clash(item: pytest.Item, claimants: list[Runner]) -> None:
    """Fail if an async fixture of the test has opened a server: that is in another event loop."""
    fixtures = async_fixtures_of(item)
    servers = [each for each in current().open if each.opened_by & fixtures.keys()]
    for server in servers:
        if any(fixtures.get(code) == "function" for code in server.opened_by):
            server.retire(_CLAIMED)  # Or its end would say what the client has not done.
    if servers:
        fail_for_clash(item, "open_tcp_server()", claimants)


def _watch_of_others(item: pytest.Item) -> Watch | None:
    """The same for blocking ones. (If there are some of each backend, for the first of these.)"""
    surroundings = current()
    if surroundings.bridges is None or WATCH in item.stash:
        return None
    for server in surroundings.open:
        backend = surroundings.bridges.backend_of(server.task_host)
        if backend is not None:
            return _watch_for(item, backend)
    return None


def _with_marker(options: Options, marker: pytest.Mark) -> Options:
    problem: object = "it takes keyword arguments only"
    if not marker.args:
        try:
            return options.but(marker.kwargs)
        except (TypeError, ValueError) as error:
            problem = error
    pytest.fail(f"@pytest.mark.tcpserver: {problem}", pytrace=False)


# Hooks: each phase of a test ends with the server's failure, if there is one


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    try:
        return (yield)
    except BaseException as raised:
        _raise_verdict(item, raised)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    supervisor = item.stash.get(SUPERVISOR, None)
    watch = item.stash.get(WATCH, None)
    body, holder = test_function(item)
    watched = body
    if is_of_unittest(body):
        watched = _watched_when_set_up(body, item)
    elif f"{__package__}._opening" in sys.modules:
        supervisor = supervisor or _supervisor_of_others(item, body)
        watch = watch or _watch_of_others(item)
    if supervisor is not None:
        watched = _watched(watched, supervisor)
    if watch is not None:
        if _is_stepped_through(item, watched):
            item.stash[_STEPPED] = watch
        else:
            watched = _watched_from_outside(watched, watch)
    if watched is body:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        # Restored afterwards: pytest-trio, for one, would leave its own there.
        patch.setattr(item, "obj", item.obj)  # type: ignore[attr-defined]
        patch.setattr(*holder, watched)
        try:
            return (yield)
        except BaseException as raised:
            _raise_verdict(item, raised)


def _is_stepped_through(item: pytest.Item, body: object) -> bool:
    """Whether pytest runs just this for ``--trace``: no example of Hypothesis, no async body."""
    is_traced = bool(item.config.getoption("trace", False))  # There is none with -p no:debugging.
    is_all = body is item.obj  # type: ignore[attr-defined]
    return is_traced and is_all and not inspect.iscoroutinefunction(body)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Around what pytest has made of the body for ``--trace``, which opens in what that calls."""
    __tracebackhide__ = True
    watch = pyfuncitem.stash.get(_STEPPED, None)
    if watch is None:
        return (yield)
    del pyfuncitem.stash[_STEPPED]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfuncitem, "obj", _watched_from_outside(pyfuncitem.obj, watch))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo is not None and f"{__package__}._supervisor" in sys.modules:
        report.sections += _pictures(item, call.excinfo.value)
    return report


def _pictures(item: pytest.Item, error: BaseException) -> Iterator[tuple[str, str]]:
    """The conversation that has failed, to look at; or all of them, if it was none of these."""
    from ._failure import Failure
    from ._report import picture

    servers = [server for each in _supervisors(item) for server in each.servers]
    failures = [server.failure for server in servers if server.failure is not None]
    failure = getattr(error, "failure", None)
    if isinstance(failure, Failure):
        failures = [failure]
    shown: list[tuple[str, Transcript | None, Failure | None]]
    shown = [(each.server, each.transcript, each) for each in failures]
    if not failures:
        shown = [(server.name, server.transcript, None) for server in servers]
    for name, transcript, failed in shown:
        drawn = picture(transcript, failed, **_look(item.config)) if transcript is not None else ""
        if drawn:
            yield f"Conversation with {name}", drawn


def _supervisors(item: pytest.Item) -> list[Supervisor]:
    """Those of the test's async servers and of its blocking ones, where there are some."""
    supervisor, watch = item.stash.get(SUPERVISOR, None), item.stash.get(WATCH, None)
    found = [supervisor, watch.supervisor if watch is not None else None]
    return [each for each in found if each is not None]


def _look(config: pytest.Config) -> dict[str, Any]:
    """What the terminal can show."""
    writer = config.get_terminal_writer()
    try:
        "│─▶✗…".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        unicode = False
    else:
        unicode = True
    return {"width": writer.fullwidth, "unicode": unicode, "color": writer.hasmarkup}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    try:
        return (yield)
    except BaseException as raised:
        # A client that says goodbye to a connection that was reset: the test has failed already.
        if not any(each.has_caused(raised) for each in _supervisors(item)):
            _raise_verdict(item, raised)
        return None
    finally:
        # Another run of the same item (pytest-rerunfailures) has a supervisor of its own.
        if SUPERVISOR in item.stash:
            del item.stash[SUPERVISOR]
        if WATCH in item.stash:
            del item.stash[WATCH]


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Generator[None, object, object]:
    done = yield
    if settings.method == "signal" and threading.current_thread() is threading.main_thread():
        from ._alarm import postpone

        postpone(lambda: bool(_supervisors(item) or current().open))
    return done


def pytest_enter_pdb(config: pytest.Config, pdb: Any) -> None:
    # While a prompt is shown, clocks stand; while the test goes on they go: it may wait for them.
    if not hasattr(pdb, "preloop"):
        _stop_clocks(config)  # It does not tell when it shows one.
        return
    before, after = pdb.preloop, pdb.postloop

    def preloop() -> None:
        _stop_clocks(config)
        before()

    def postloop() -> None:
        after()
        pytest_leave_pdb(config)

    pdb.preloop, pdb.postloop = preloop, postloop


def pytest_leave_pdb(config: pytest.Config) -> None:
    bridges = config.stash[_SURROUNDINGS].bridges
    if bridges is not None:
        bridges.start_clocks()


def _stop_clocks(config: pytest.Config) -> None:
    bridges = config.stash[_SURROUNDINGS].bridges
    if bridges is not None:
        bridges.stop_clocks()


def _watched(body: Any, supervisor: Supervisor) -> Any:
    """The test function, run by its runner as before, but under the supervisor's eyes."""

    @functools.wraps(body)
    async def watched(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        await supervisor.watch(body(*args, **kwargs))

    return watched


def _watched_from_outside(body: Any, watch: Watch) -> Any:
    """The test function, sync or async, which has servers in another thread."""

    @functools.wraps(body)
    def watched(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        watch.run(body, *args, **kwargs)

    @functools.wraps(body)
    async def watched_async(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        await watch.run_async(body, *args, **kwargs)

    return watched_async if inspect.iscoroutinefunction(body) else watched


def _watched_when_set_up(body: Any, item: pytest.Item) -> Any:
    """A test of unittest, which sets up its servers when it is run already."""

    @functools.wraps(body)
    def watched(*args: Any) -> None:
        __tracebackhide__ = True
        watch = _watch_of_others(item)
        (_watched_from_outside(body, watch) if watch is not None else body)(*args)

    @functools.wraps(body)
    async def watched_async(*args: Any) -> None:
        __tracebackhide__ = True
        watched, watch = body, _watch_of_others(item)
        if any(server.task_host.loop.is_here() for server in current().open):
            watched = _watched(watched, _supervisor_for(item, None))
        if watch is not None:
            watched = _watched_from_outside(watched, watch)
        await watched(*args)

    return watched_async if inspect.iscoroutinefunction(body) else watched


def _raise_verdict(item: pytest.Item, raised: BaseException) -> NoReturn:
    """Raise what the phase ends with, outside of whatever the runner has wrapped it in."""
    __tracebackhide__ = True
    supervisor = item.stash.get(SUPERVISOR, None)
    watch = item.stash.get(WATCH, None)
    if supervisor is None and watch is None:
        raise raised
    verdict: BaseException | None = raised
    if supervisor is not None:
        supervisor.interrupt()
        verdict = supervisor.verdict(raised)
    assert verdict is not None
    if watch is not None:
        watch.interrupt()
        verdict = watch.verdict(verdict)
    context = verdict.__context__
    try:
        raise verdict
    finally:
        verdict.__context__ = context  # Not what a runner has wrapped it in.
        del verdict, raised  # An error whose traceback refers to it is not freed.
