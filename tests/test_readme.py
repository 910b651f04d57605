"""The README, the examples and what they print are one and the same."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()
EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/**/test_*.py"))


def blocks(kind: str) -> dict[str, str]:
    """The literal blocks of the README that follow a comment ``.. kind: name``."""
    pattern = rf"^\.\. {kind}: (\S+)\n\n\.\. code-block:: \w+\n\n((?:    .*\n|\n)+)"
    return {
        name: re.sub("^    ", "", text, flags=re.MULTILINE).strip("\n") + "\n"
        for name, text in re.findall(pattern, README, re.MULTILINE)
    }


#: Where one of these is set, pytest prints more.
_CI = ("CI", "BUILD_NUMBER")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A pytest of its own, at the root of the project, without plugins that we do not need."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name not in _CI}
        | {"COLUMNS": "80", "NO_COLOR": "1"},
        check=False,
    )


def essential(output: str) -> str:
    """What a run prints, without what differs from one run or one machine to the next."""
    lines = [
        line.rstrip()
        for line in output.splitlines()
        if not re.match(r"(platform|rootdir:|configfile:|plugins:|asyncio:|Using ) ?", line)
    ]
    text = "\n".join(lines) + "\n"
    text = re.sub(r"\d+\.\d\d s\b", "0.00 s", text)
    # On a busy machine the event loop is late at times, which the report says.
    text = text.replace(", not counting while the event loop is blocked", "")
    text = re.sub(r"-+ (Conversation with \S+) -+", r"- \1 -", text)
    text = re.sub(r"(?m)^port = \d+", "port = PORT", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"=+ (\d+ \w+) in \d+\.\d+s =+", r"= \1 =", text)


def has_the_runner_of(path: str) -> bool:
    """Whether the plugin that an example is for is installed."""
    marks = re.findall(r"@pytest\.mark\.(asyncio|trio)", (ROOT / path).read_text())
    return all(importlib.util.find_spec(f"pytest_{mark}") is not None for mark in marks)


def need_the_runner_of(path: str) -> None:
    """Skip the test if there is nothing to run the example."""
    pytest.importorskip("pytest_asyncio")  # Its settings are in pyproject.toml.
    if not has_the_runner_of(path):
        pytest.skip("its plugin is not installed")


@pytest.mark.parametrize("path", EXAMPLES)
def test_every_example_is_in_the_readme(path):
    """As it is in its file."""
    assert blocks("example")[path] == (ROOT / path).read_text()


def test_the_readme_has_no_other_examples():
    """Each of them is a file that is run."""
    assert sorted(blocks("example")) == EXAMPLES
    assert set(blocks("output")) <= set(EXAMPLES)


def test_the_examples_pass():
    """With warnings as errors."""
    pytest.importorskip("pytest_asyncio")  # Its settings are in pyproject.toml.
    paths = [path for path in EXAMPLES if "failing" not in path and has_the_runner_of(path)]
    result = run(*paths, "-W", "error")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", sorted(blocks("output")))
def test_the_output_in_the_readme_is_what_is_printed(path):
    """But for versions, ports and times."""
    need_the_runner_of(path)
    assert essential(run(path).stdout) == essential(blocks("output")[path])


def test_the_failing_example_takes_about_a_second():
    """Its timeout, and what a busy machine adds to it."""
    path = "examples/failing/test_silent_client.py"
    need_the_runner_of(path)
    output = run(path).stdout
    [seconds] = re.findall(r"1 failed in (\d+\.\d+)s", output)
    assert 1 <= float(seconds) < 10


def test_the_readme_is_valid():
    """No warning of docutils, which renders it for PyPI."""
    core = pytest.importorskip("docutils.core")
    core.publish_doctree(
        README,
        settings_overrides={"report_level": 1, "halt_level": 1, "warning_stream": False},
    )
