"""Runs test files in a pytest of their own, under each of the runners."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

#: What a user has who has set nothing of ours.
DEFAULTS = """
[pytest]
filterwarnings = error
"""
if importlib.util.find_spec("pytest_asyncio") is not None:
    DEFAULTS += "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"

#: Tests of tests need not wait for long.
INI = DEFAULTS + "tcpclient_timeout = 0.3\ntcpclient_grace = 0.2\n"

HEADER = """
import anyio, asyncio, pytest, socket, sys
from pytest_tcpclient import ScriptMismatch

{fixtures}
pytestmark = pytest.mark.{mark}

def connect(server):
    return anyio.connect_tcp(server.host, server.port)

"""

BACKEND = """
@pytest.fixture
def anyio_backend():
    return {backend!r}, {options!r}
"""


#: Plugins that a developer may have: one shuffles the tests, one opens sockets of its own.
NOT_WANTED = ("randomly", "rerunfailures", "xdist", "cacheprovider")


class Runner(NamedTuple):
    """One way to run a test, and what the file must say for it."""

    mark: str
    needs: str | None = None
    backend: str = "asyncio"
    uvloop: bool = False
    fixture: str = "pytest.fixture"

    def header(self) -> str:
        """What stands above the tests of a file."""
        fixtures = f"fixture = {self.fixture}\n"
        if self.mark == "anyio":
            options = {"use_uvloop": True} if self.uvloop else {}
            fixtures += BACKEND.format(backend=self.backend, options=options)
        if self.mark == "asyncio":
            fixtures = "import pytest_asyncio\n" + fixtures
        return HEADER.format(mark=self.mark, fixtures=fixtures)


RUNNERS = {
    "anyio on asyncio": Runner("anyio"),
    "anyio on uvloop": Runner("anyio", needs="uvloop", uvloop=True),
    "anyio on trio": Runner("anyio", backend="trio"),
    "pytest-asyncio": Runner("asyncio", needs="pytest_asyncio", fixture="pytest_asyncio.fixture"),
    "pytest-trio": Runner("trio", needs="pytest_trio", backend="trio"),
}

EVERY_RUNNER = [
    pytest.param(
        runner,
        id=name,
        marks=pytest.mark.skipif(
            runner.needs is not None and importlib.util.find_spec(runner.needs) is None,
            reason=f"{runner.needs} is not installed",
        ),
    )
    for name, runner in RUNNERS.items()
]


class Result(NamedTuple):
    """How one phase of a test ended.

    ``line`` is the first line of the failure, ``at`` the line of the test at which the
    traceback ends, ``text`` all that pytest prints about it, ``seconds`` what it took.
    """

    when: str
    outcome: str
    line: str = ""
    at: str = ""
    text: str = ""
    seconds: float = 0.0


class Run(NamedTuple):
    """A whole run: what was not simply passed, by the name of the test."""

    passed: list[str]
    others: dict[str, Result]
    exit_code: int


def run(
    pytester: pytest.Pytester, runner: Runner, source: str, *arguments: str, ini: str = INI
) -> Run:
    """Run the tests of a source under one runner, in this process."""
    pytester.makeini(ini)
    path = pytester.makepyfile(runner.header() + textwrap.dedent(source))
    quiet = [word for name in NOT_WANTED for word in ("-p", f"no:{name}")]
    before = _event_loop()
    record = pytester.inline_run("--no-header", *quiet, *arguments)
    left = _event_loop()
    if left is not None and left is not before and not left.is_running():
        left.close()
        asyncio.set_event_loop(before)
    passed: list[str] = []
    others: dict[str, Result] = {}
    for report in record.getreports("pytest_runtest_logreport"):
        name = report.nodeid.partition("::")[2]
        if report.outcome == "passed":
            if report.when == "call":
                passed.append(name)
        else:
            assert name not in others, f"{name} ended twice: {others[name]}, {report}"
            others[name] = _result(report, path)
    assert record.ret is not None
    return Run(passed, others, int(record.ret))


def _event_loop() -> asyncio.AbstractEventLoop | None:
    """The one that is set: the oldest pytest-asyncio leaves one, and a later test is told of it."""
    if sys.version_info >= (3, 12):
        return None
    return getattr(asyncio.get_event_loop_policy()._local, "_loop", None)  # type: ignore[attr-defined]


def _result(report: pytest.TestReport, path: Path) -> Result:
    crash = getattr(report.longrepr, "reprcrash", None)
    line = at = ""
    if crash is not None:
        line = crash.message.partition("\n")[0]
        at = f"{crash.path}:{crash.lineno}"
        if Path(crash.path) == path:
            at = path.read_text().splitlines()[crash.lineno - 1].strip()
    text = str(report.longrepr)
    return Result(report.when, report.outcome, line, at, text, report.duration)


def without_slowness(text: str) -> str:
    """What ``python -X dev`` has printed, without what it says of a busy machine."""
    return re.sub(r"(?m)^Executing <.*> took [\d.]+ seconds\n", "", text)
