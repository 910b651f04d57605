"""What is seen in pytest: the time of a test, of a failing test, and of loading the plugin."""

from __future__ import annotations

import atexit
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from table import Row, least

SUITE = Path(__file__).parent / "suite"

#: What is loaded in every run: nothing else that happens to be installed is measured.
PLUGINS = ("-p", "anyio.pytest_plugin", "-p", "no:cacheprovider", "--tb=no", "-q")
OURS = ("-p", "pytest_tcpclient.plugin")

_UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS")

_IMPORT = """
import pytest, time
began = time.perf_counter()
import pytest_tcpclient.plugin
print(time.perf_counter() - began)
"""

_RUN = """
import pytest, sys, time
began = time.process_time()
pytest.main(sys.argv[1:])
print(time.process_time() - began)
"""


def suite(backend: str, quick: bool) -> Iterator[Row]:
    """A passing test with ``tcpserver`` against tests without the plugin; a failing test."""
    rounds, count = (2, 50) if quick else (9, 200)
    runs = [
        partial(_passing, "with_tcpserver.py", backend, count, *OURS),
        partial(_passing, "with_body.py", backend, count),
        partial(_passing, "with_fixture.py", backend, count),
    ]
    ours, body, fixture = (seconds * 1e3 for seconds in least(rounds, *runs))
    yield Row("a test (other: by hand in its body)", backend, "ms", ours, body, 1.1)
    yield Row("a test (other: with a fixture by hand)", backend, "ms", ours, fixture, 1.0)
    blocking = ("-o", f"tcpclient_blocking_backend={backend}")
    runs = [
        partial(_passing, "with_blocking_tcpserver.py", backend, count, *OURS, *blocking),
        partial(_passing, "with_socketserver.py", backend, count),
        partial(_passing, "with_portal.py", backend, count),
    ]
    ours, threads, portal = (seconds * 1e3 for seconds in least(rounds, *runs))
    yield Row("a sync test (other: with socketserver)", backend, "ms", ours, threads, 2.0)
    yield Row("a sync test (other: by hand on anyio)", backend, "ms", ours, portal)
    for name in ("waits", "joins"):
        ended = _failing(name, backend, 5 if quick else 20)
        what = f"mismatch to the end of a test that {name}"
        yield Row(what, backend, "ms", ended * 1e3, target=20.0)


def loading(backend: str, quick: bool) -> Iterator[Row]:
    """What a run pays that does not use the plugin."""
    if backend != "asyncio":
        return
    rounds = 5 if quick else 25
    [imported] = least(rounds, lambda: _python(_IMPORT))
    yield Row("loading the plugin", "", "ms", imported * 1e3, target=5.0)
    test = str(SUITE / "without_server.py")
    ours, other = least(
        rounds,
        partial(_python, _RUN, *PLUGINS, *OURS, test),
        partial(_python, _RUN, *PLUGINS, test),
    )
    yield Row("a run of 100 tests without a server", "", "ms", ours * 1e3, other * 1e3)
    yield Row("  its difference", "", "ms", (ours - other) * 1e3, target=5.0)


def _passing(file: str, backend: str, count: int, *options: str) -> float:
    """Seconds of a test that passes: setup, call and teardown, without pytest around them."""
    passed = _pytest(file, backend, count, *options)["passed"]
    assert len(passed) == count, f"{file}: {len(passed)} of {count} passed"
    return sum(passed) / count


def _failing(name: str, backend: str, count: int) -> float:
    """Seconds from what the client did wrong to the end of the test."""
    ended = _pytest("failing.py", backend, count, *OURS, "-k", name)["ended"]
    assert len(ended) == count, f"{len(ended)} of {count} failed"
    return statistics.median(ended)


def _pytest(file: str, backend: str, count: int, *options: str) -> dict[str, list[float]]:
    """Run a file of the suite in a process of its own. Return what its conftest noted."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        command = [sys.executable, "-m", "pytest", *PLUGINS, *options, str(SUITE / file)]
        arguments = [f"--backend={backend}", f"--count={count}", f"--result={result}"]
        _run([*command, *arguments], check=False)
        times: dict[str, list[float]] = json.loads(result.read_text())
        return times


def _python(code: str, *arguments: str) -> float:
    """Run code in a process of its own. Return the number in the last line it prints."""
    return float(_run([sys.executable, "-c", code, *arguments], check=True).split()[-1])


def _run(command: list[str], *, check: bool) -> str:
    done = subprocess.run(
        command, cwd=SUITE, env=_environment(), check=check, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


@cache
def _environment() -> dict[str, str]:
    """Only the plugins that are named, and bytecode kept as in a user's environment."""
    kept = tempfile.TemporaryDirectory()
    atexit.register(kept.cleanup)
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return {
        **environment,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPYCACHEPREFIX": kept.name,
    }
