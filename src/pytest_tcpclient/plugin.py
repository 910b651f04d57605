"""pytest's face of the package: options, markers, fixtures, hooks.

Thin on purpose, and quick to load: a run that does not use the fixtures imports neither
the engine nor anyio.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from ._checked import checked_seconds
from ._options import CHECKS, Options
from ._runners import (
    SUPERVISOR,
    Runner,
    asyncio_fixtures,
    get_factory,
    get_server,
    has_dependents,
    hosted_factory,
    rules_for,
    runner_of,
    test_function,
)
from ._transcript import LIMIT

if TYPE_CHECKING:
    from ._factory import TcpServerFactory
    from ._server import TcpServer
    from ._supervisor import Supervisor

_FIXTURES = ("tcpserver", "tcpserver_factory")

_MARKER = (
    "tcpserver(host, port, tls, timeout, framing, newline, name, strict, check_pending, "
    "check_unexpected, check_extra_connections, check_left_open, check_streams): options of the "
    "test's servers, as keyword arguments (pytest-tcpclient)."
)

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

_TRANSCRIPT_LIMIT: pytest.StashKey[int] = pytest.StashKey()
_SETTINGS: pytest.StashKey[tuple[Options, float, float]] = pytest.StashKey()


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
    config.stash[_SETTINGS] = (
        Options().but(settings),
        _ini(config, "tcpclient_grace"),
        _seconds("--tcpclient-timeout-factor", config.getoption("tcpclient_timeout_factor")),
    )
    config.stash[_TRANSCRIPT_LIMIT] = _size(config, "tcpclient_transcript_limit")
    if config.pluginmanager.has_plugin("asyncio"):
        config.pluginmanager.register(asyncio_fixtures(), "tcpclient_asyncio")


def pytest_unconfigure() -> None:
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
        from ._supervisor import Supervisor

        options, grace, factor = item.config.stash[_SETTINGS]
        for marker in reversed(list(item.iter_markers("tcpserver"))):
            options = _with_marker(options, marker)
        rules = rules_for(runner, grace=grace, factor=factor)
        item.stash[SUPERVISOR] = supervisor = Supervisor(rules, options)
        supervisor.deferred = has_dependents(request, _FIXTURES)
        supervisor.transcript_limit = item.config.stash[_TRANSCRIPT_LIMIT]
    if fixture == "tcpserver":
        item.stash[SUPERVISOR].has_default = True
    return runner


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
    if supervisor is None:
        return (yield)
    body, holder = test_function(item)
    with pytest.MonkeyPatch.context() as patch:
        # Restored afterwards: pytest-trio, for one, would leave its own there.
        patch.setattr(item, "obj", item.obj)  # type: ignore[attr-defined]
        patch.setattr(*holder, _watched(body, supervisor))
        try:
            return (yield)
        except BaseException as raised:
            _raise_verdict(item, raised)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    supervisor = item.stash.get(SUPERVISOR, None)
    if supervisor is not None and report.failed:
        report.sections += supervisor.pictures(**_look(item.config))
    return report


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
        _raise_verdict(item, raised)
    finally:
        # Another run of the same item (pytest-rerunfailures) has a supervisor of its own.
        if SUPERVISOR in item.stash:
            del item.stash[SUPERVISOR]


def _watched(body: Any, supervisor: Supervisor) -> Any:
    """The test function, run by its runner as before, but under the supervisor's eyes."""

    @functools.wraps(body)
    async def watched(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        await supervisor.watch(body(*args, **kwargs))

    return watched


def _raise_verdict(item: pytest.Item, raised: BaseException) -> NoReturn:
    """Raise what the phase ends with, outside of whatever the runner has wrapped it in."""
    __tracebackhide__ = True
    supervisor = item.stash.get(SUPERVISOR, None)
    if supervisor is None:
        raise raised
    supervisor.interrupt()
    verdict = supervisor.verdict(raised)
    assert verdict is not None
    context = verdict.__context__
    try:
        raise verdict
    finally:
        verdict.__context__ = context  # Not what a runner has wrapped it in.
        del verdict, raised  # An error whose traceback refers to it is not freed.
