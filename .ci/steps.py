"""The steps of CI, a few at a time. Started by ``.ci/run``.

Each step has a directory of its own outside of the checkout, with a fresh virtual environment
and a log. Of a step that passes, its time and the summaries of its test runs are printed; of
one that fails the whole log, and then the others are ended.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import readme
import tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: The tests wait more than they compute: two cores carry several runs of them.
JOBS = 4

#: A step that takes longer than this hangs.
LIMIT = 1500

#: What takes long, and depends on pytest and its plugins rather than on Python. It is run by
#: the README's command and with the lowest versions of everything.
SLOW = (
    *("body", "gallery", "misbehaving_clients", "readme", "surviving_clients", "told_elsewhere"),
    "world",
)

#: The same; but the measured run has need of it.
SLOW_BUT_MEASURED = ("bodies", "plugin", "supervision")

#: The line with which pytest ends.
SUMMARY = re.compile(
    r"^(?:=+ )?\d+ (?:passed|failed|error|skipped|warning|deselected).* in [\d.]+s"
)

#: The cache would be shared by two runs. A test that hangs says where.
PYTEST = ("-m", "pytest", "-ra", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60")

#: In several processes; what these reach of the source is not measured.
SIDE_BY_SIDE = ("-n", "3")


class Failed(Exception):
    """A command of a step has failed."""


@dataclass
class Step:
    """One step: what it does, its directory, its log."""

    name: str
    title: str
    work: Callable[[Step], None]
    directory: Path = Path()
    seconds: float = 0.0
    data: list[Path] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _ended: bool = False

    @property
    def log(self) -> Path:
        """Where the output of its commands goes."""
        return self.directory / "log"

    def run(self, *command: object, cwd: Path = ROOT, **variables: object) -> None:
        """Run one command, its output into the log.

        :raises Failed: if it does not succeed.
        """
        words = [str(word) for word in command]
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                words,
                cwd=cwd,
                env=environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            if self._ended:
                self.end()
            try:
                status = self._process.wait(max(1.0, LIMIT - self._age()))
            except subprocess.TimeoutExpired:
                self.end()
                raise Failed(f"took longer than {LIMIT} seconds: {' '.join(words)}") from None
        if status:
            raise Failed(f"exit status {status}: {' '.join(words)}")

    def venv(self, python: Path, *requirements: object, name: str = "venv") -> Path:
        """A fresh virtual environment. Return its interpreter."""
        self.run(python, "-m", "venv", self.directory / name)
        interpreter = self.directory / name / "bin" / "python"
        if requirements:
            self.run(interpreter, "-m", "pip", "install", "-qq", *requirements)
            self.run(interpreter, "-m", "pip", "list")
        return interpreter

    def measured(self, python: Path, *arguments: object) -> None:
        """Run the test suite, and keep which lines of the source it reached."""
        self.data.append(self.directory / "coverage.data")
        self.run(python, "-m", "coverage", "run", *PYTEST, *arguments, COVERAGE_FILE=self.data[-1])

    def end(self) -> None:
        """End what is running, with all that it started; whatever comes next, too."""
        self._ended = True
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def summaries(self) -> list[str]:
        """The lines with which its test runs ended."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if SUMMARY.match(line)]

    def __call__(self) -> None:
        """Do it."""
        self.started = time.monotonic()
        self.directory.mkdir()
        self.log.touch()
        try:
            self.work(self)
        finally:
            self.seconds = self._age()

    def _age(self) -> float:
        return time.monotonic() - self.started


def environment(variables: Mapping[str, object]) -> dict[str, str]:
    """The environment of a command, without what would change the outcome."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PYTHON", "COVERAGE_", "VIRTUAL_ENV", "HYPOTHESIS_"))
    }
    return {**kept, **{name: str(value) for name, value in variables.items()}}


# The Pythons


def supported() -> list[str]:
    """The versions that the project's classifiers name, the oldest first."""
    found = [re.fullmatch(r".*:: (3\.\d+)", each) for each in PROJECT["classifiers"]]
    return sorted({match[1] for match in found if match}, key=lambda each: int(each[2:]))


def interpreters() -> dict[str, Path]:
    """Where each supported version is, as far as it is."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for version in supported():
        candidates = [*map(str, root.glob(f"versions/{version}.*/bin/python")), f"python{version}"]
        paths = (shutil.which(candidate) for candidate in candidates)
        works = (path for path in paths if path is not None and _is(version, path))
        python = next(works, None)
        if python is not None:
            found[version] = Path(python)
    return found


def _is(version: str, python: str) -> bool:
    """Whether a path is of that version. (A shim of pyenv may be of none.)"""
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


# The oldest versions of what is needed


def lowest(requirements: Iterable[str]) -> list[str]:
    """The requirements, at the lowest versions that they allow."""
    return [re.sub(r">=\s*([\d.]+)", r"==\1.*", each) for each in requirements]


def tools() -> list[str]:
    """What any run of the tests needs, of the ``test`` extra: no plugin that runs tests."""
    return [
        each
        for each in PROJECT["optional-dependencies"]["test"]
        if each.startswith(("coverage", "hypothesis"))
    ]


# The steps


def test_readme(step: Step, python: Path) -> None:
    """What README.rst says about running the tests and the examples, literally."""
    text = readme.README.read_text(encoding="utf-8")
    for name in ("tests", "examples"):
        programs = step.venv(python, name=name).parent
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        for command in readme.commands(text, name):
            step.run("bash", "-euo", "pipefail", "-c", command, PATH=path)


def lint(step: Step, python: Path) -> None:
    """Form, types, and the layers."""
    interpreter = step.venv(python, "-r", ROOT / ".ci/lint-requirements.txt", f"{ROOT}[test]")
    tool = interpreter.parent
    step.run(tool / "ruff", "format", "--no-cache", "--check", "--diff", ".")
    step.run(tool / "ruff", "check", "--no-cache", ".")
    step.run(tool / "mypy", "--cache-dir", step.directory / "mypy")
    step.run(tool / "pyright", "--pythonpath", interpreter)
    step.run(tool / "lint-imports", "--no-cache", "--no-logo")


def test_most(step: Step, python: Path, *, measured: bool) -> None:
    """The suite, but for what takes long, with the newest of everything."""
    interpreter = step.venv(python, "-e", f"{ROOT}[test]")
    left_out = SLOW if measured else (*SLOW, *SLOW_BUT_MEASURED)
    suite = [f"--ignore=tests/test_{name}.py" for name in left_out]
    if measured:
        step.measured(interpreter, *suite)
    else:
        step.run(interpreter, *PYTEST, *SIDE_BY_SIDE, *suite)


def test_lowest(step: Step, python: Path) -> None:
    """The suite, with the lowest versions of all that is needed."""
    extras = lowest(PROJECT["optional-dependencies"]["test"])
    needed = [each for each in lowest(PROJECT["dependencies"]) if not each.startswith("pytest")]
    # The oldest pytest-asyncio needs more than the oldest pytest.
    interpreter = step.venv(python, "-e", ROOT, "pytest==8.2.*", *needed, *extras)
    step.run(interpreter, *PYTEST, *SIDE_BY_SIDE)


def test_bare(step: Step, python: Path) -> None:
    """The servers themselves, with the lowest versions, and with nothing that is not needed."""
    needed = lowest([*PROJECT["dependencies"], *tools()])
    # Without pytest-asyncio, its settings in pyproject.toml are unknown ones.
    step.measured(
        step.venv(python, "-e", ROOT, *needed),
        *("-o", "addopts=-p pytester -p no:randomly --strict-markers"),
        *("-W", "ignore:Unknown config option"),
        *("tests", "examples/test_hello.py"),
    )


def protocols(step: Step, python: Path) -> None:
    """The scripts of tests/protocols, with the newest of all of the client libraries."""
    interpreter = step.venv(python, "-e", f"{ROOT}[test,protocols]")
    step.run(interpreter, *PYTEST, "tests/protocols")
    if any("skipped" in line for line in step.summaries()):
        raise Failed("a test was skipped: a client library is missing")


def dist(step: Step, python: Path) -> None:
    """What is published: its contents, its description, and whether it works by itself."""
    tool = step.venv(python, "build", "readme_renderer", name="tools")
    packed = step.directory / "dist"
    step.run(tool, "-m", "build", "--outdir", packed, ROOT)
    step.run(tool, ROOT / ".ci/contents.py", packed)
    step.run(
        tool, "-m", "readme_renderer", "-o", step.directory / "readme.html", ROOT / "README.rst"
    )
    elsewhere = step.directory / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(ROOT / "examples/test_hello.py", elsewhere)
    user = step.venv(python, *packed.glob("*.whl"), name="user")
    step.run(user, *PYTEST, "-W", "error", cwd=elsewhere)


def coverage(step: Step, python: Path, suites: list[Step]) -> None:
    """All of the suites together reach every line and every branch."""
    tool = step.venv(python, *(each for each in tools() if each.startswith("coverage")))
    data = step.directory / "coverage.data"
    files = [path for suite in suites for path in suite.data]
    step.run(tool, "-m", "coverage", "combine", "--keep", *files, COVERAGE_FILE=data)
    step.run(tool, "-m", "coverage", "report", "--fail-under=100", COVERAGE_FILE=data)


def plan(pythons: dict[str, Path]) -> tuple[list[Step], Step]:
    """The steps that can be done side by side, the long ones first, and the last one."""
    oldest, *middle = pythons
    newest = middle.pop() if middle else oldest
    measured = middle[-1] if middle else newest

    def step(name: str, title: str, work: Callable[[Step, Path], None], version: str) -> Step:
        return Step(name, f"{title} (Python {version})", lambda it: work(it, pythons[version]))

    def most(version: str) -> Step:
        work = functools.partial(test_most, measured=version == measured)
        return step(f"tests-{version}", "most of the tests", work, version)

    bare = step("bare", "the same without any optional plugin", test_bare, oldest)
    others = [version for version in (oldest, *middle) if version not in (newest, measured)]
    steps = [
        most(measured),
        step("readme", "the commands of README.rst", test_readme, newest),
        step("lowest", "the tests with the lowest versions", test_lowest, oldest),
        bare,
        *map(most, others),
        step("lint", "form, types and layers", lint, newest),
        step("protocols", "the scripts for real protocols", protocols, newest),
        step("dist", "wheel and sdist", dist, newest),
    ]
    suites = [steps[0], bare]
    last = step(
        "coverage", "every line and branch", lambda it, python: coverage(it, python, suites), newest
    )
    return steps, last


def do(steps: list[Step]) -> bool:
    """Do the steps side by side. Return whether all have passed."""
    with ThreadPoolExecutor(JOBS) as pool:
        running = {pool.submit(step): step for step in steps}
        try:
            for future in as_completed(running):
                problem = future.exception()
                tell(running[future], problem)
                if problem is not None:
                    return False
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for step in steps:
                step.end()
    return True


def tell(step: Step, problem: BaseException | None) -> None:
    """Print how a step has ended."""
    outcome = "ok" if problem is None else "FAILED"
    print(f"\n### {step.name}: {step.title} ... {outcome}, {step.seconds:.0f} s")
    if problem is None:
        print(*step.summaries(), sep="\n", end="\n" if step.summaries() else "")
    else:
        if step.log.exists():
            print(step.log.read_text(encoding="utf-8", errors="replace"))
        print(f"### {step.name} has failed: {problem}")


def main(chosen: list[str]) -> int:
    """Do all steps, or those whose names begin with one of the arguments."""
    pythons = interpreters()
    for version in supported():
        print(f"Python {version}: {pythons.get(version, 'NOT FOUND, so it is not tested')}")
    if not pythons:
        print("There is no Python to test with.")
        return 1
    steps, last = plan(pythons)
    if chosen:
        steps = [step for step in steps if step.name.startswith(tuple(chosen))]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tcpclient-ci-") as directory:
        for step in [*steps, last]:
            step.directory = Path(directory) / step.name
        passed = do(steps) and (bool(chosen) or do([last]))
        summaries = [line for step in steps for line in step.summaries()]
    print(f"\n### {'passed' if passed else 'FAILED'}, {time.monotonic() - started:.0f} s")
    if passed:
        print(*summaries, sep="\n")
    return not passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
