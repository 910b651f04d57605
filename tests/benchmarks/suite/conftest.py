"""Repeats each test, and notes how long it took."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from time import perf_counter

import pytest

_TIMES = pytest.StashKey[dict[str, list[float]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", default="asyncio")
    parser.addoption("--count", type=int, default=100)
    parser.addoption("--result", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    config.stash[_TIMES] = times


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.fixturenames.append("number")
    metafunc.parametrize("number", range(metafunc.config.option.count))


@pytest.fixture(scope="session")
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.config.option.backend)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A failing test has noted when its client did something wrong."""
    try:
        return (yield)
    finally:
        for name, value in item.user_properties:
            if name == "mismatch":
                item.config.stash[_TIMES]["ended"].append(perf_counter() - float(str(value)))


class _Durations:
    """Adds up the phases of each test."""

    def __init__(self, passed: list[float]) -> None:
        self._passed = passed
        self._duration = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._duration += report.duration
        if report.when == "teardown":
            if report.passed:
                self._passed.append(self._duration)
            self._duration = 0.0


def pytest_sessionstart(session: pytest.Session) -> None:
    times = session.config.stash[_TIMES]
    session.config.pluginmanager.register(_Durations(times["passed"]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    result = session.config.option.result
    if result is not None:
        result.write_text(json.dumps(session.config.stash[_TIMES]))
