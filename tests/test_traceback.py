"""Tracebacks that end at the line of the user's code."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_tcpclient._traceback import (
    Spot,
    is_users,
    shown,
    spot_in,
    spots_of_call,
    spots_of_error,
    spots_of_task,
    traceback_of,
)

HERE = __file__


@types.coroutine
def suspend() -> Generator[None, None, None]:
    yield


def of_library(name: str) -> dict[str, Any]:
    """Functions as they would stand in a library: one that awaits, one that calls."""
    namespace: dict[str, Any] = {"__name__": name}
    exec("async def awaits(inner):\n    await inner\ndef calls(inner):\n    inner()\n", namespace)
    return namespace


def line_of(function: Callable[..., Any], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


def names(spots: list[Spot]) -> list[tuple[str, int]]:
    return [(spot.frame.f_code.co_name, spot.line) for spot in spots]


# Whose frames they are


@pytest.mark.parametrize(
    "name",
    "_pytest.python anyio anyio._core._tasks asyncio.tasks concurrent.futures._base "
    "exceptiongroup outcome pluggy._callers pytest pytest_asyncio.plugin pytest_tcpclient._server "
    "pytest_trio.plugin sniffio trio._core._run uvloop.loop".split(),
)
def test_the_machinery_is_not_the_users(name: str) -> None:
    """The frames of event loops, pytest and this plugin are not of the test."""
    coroutine = of_library(name)["awaits"](None)
    assert not is_users(coroutine.cr_frame)
    coroutine.close()


@pytest.mark.parametrize("name", ["test_client", "tests.anyio", "trio_client", "", "httpx._client"])
def test_everything_else_is_the_users(name: str) -> None:
    """Tests and clients of any name are the user's, whatever their names begin with."""
    coroutine = of_library(name)["awaits"](None)
    assert is_users(coroutine.cr_frame)
    coroutine.close()


def test_a_module_without_a_name_is_the_users() -> None:
    """Code that was executed without a module is taken for the user's."""
    namespace: dict[str, Any] = {}
    code = compile("import sys\nframe = sys._getframe()", "nowhere.py", "exec")
    exec(code, {"__builtins__": __builtins__}, namespace)
    assert is_users(namespace["frame"])


# Where a task waits


async def waits_inside() -> None:
    await suspend()


async def waits() -> None:
    await waits_inside()


def started(coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    coroutine.send(None)
    return coroutine


def test_a_task_waits_where_it_awaits() -> None:
    """From the outside in, down to the generator at which it is suspended."""
    body = started(waits())
    assert names(spots_of_task(body)) == [
        ("waits", line_of(waits, 1)),
        ("waits_inside", line_of(waits_inside, 1)),
        ("suspend", line_of(suspend, 2)),
    ]
    body.close()


def test_the_machinery_is_left_out_of_a_task() -> None:
    """A library between the test and its client is not shown, what it calls is."""
    body = started(of_library("anyio.x")["awaits"](waits_inside()))
    assert names(spots_of_task(body)) == [
        ("waits_inside", line_of(waits_inside, 1)),
        ("suspend", line_of(suspend, 2)),
    ]
    body.close()


def test_a_task_inside_an_async_with() -> None:
    """It is the line in the block, and not that of the ``async with``."""

    class Client:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *_: object) -> None:
            pass

    async def body() -> None:
        async with Client():
            await suspend()

    task = started(body())
    assert names(spots_of_task(task))[0] == ("body", line_of(body, 2))
    task.close()


def test_a_task_that_waits_for_something_without_frames() -> None:
    """An awaitable that is not written in Python ends the walk."""

    class Opaque:
        def __await__(self) -> Any:
            return iter([None])

    async def body() -> None:
        await Opaque()

    task = started(body())
    assert names(spots_of_task(task)) == [("body", line_of(body, 1))]
    task.close()


def test_a_task_that_is_not_started_waits_at_its_first_line() -> None:
    """Before its first step there is nothing that it awaits."""
    body = waits()
    assert names(spots_of_task(body)) == [("waits", line_of(waits, 0))]
    body.close()


def test_a_task_that_is_over_waits_nowhere() -> None:
    """A body that has ended has no line."""
    body = waits()
    body.close()
    assert spots_of_task(body) == []


def test_where_a_call_is_in_another_thread() -> None:
    """The user's lines, up to where it has called something that is not the user's."""
    seen: list[list[tuple[str, int]]] = []

    def caller(inner: Callable[[], None]) -> None:
        inner()

    def look() -> None:
        frame = sys._getframe()
        seen.append(names(spots_of_call(frame, caller.__code__)))
        seen.append(names(spots_of_call(frame, look.__code__)))
        seen.append(names(spots_of_call(frame, suspend.__code__)))

    def user() -> None:
        of_library("anyio")["calls"](look)

    caller(look)
    assert seen == [[("look", line_of(look, 2))], [], []]
    seen.clear()
    caller(user)
    assert seen == [[("user", line_of(user, 1))], [], []]
    assert spots_of_call(None, caller.__code__) == []


# Where an error was raised


def fails() -> None:
    raise ValueError("no")


def calls_library() -> None:
    of_library("asyncio.events")["calls"](fails)


def error_of(function: Callable[[], None]) -> BaseException:
    try:
        function()
    except ValueError as error:
        return error
    raise AssertionError("it did not raise")


def test_an_error_was_raised_where_its_traceback_says() -> None:
    """From the outside in, without the machinery in between."""
    error = error_of(calls_library)
    assert names(spots_of_error(error)) == [
        ("error_of", line_of(error_of, 2)),
        ("calls_library", line_of(calls_library, 1)),
        ("fails", line_of(fails, 1)),
    ]


def test_an_error_that_was_not_raised() -> None:
    """It has no lines."""
    assert spots_of_error(ValueError("no")) == []


# A line of a frame that has ended


def declares() -> types.FrameType:
    first = 1
    second = 2
    third = (
        first
        + second
    )  # fmt: skip
    if third == 0:
        raise ValueError("never")
    return sys._getframe()


def test_a_line_of_its_function() -> None:
    """The line that was asked for, at the instruction that stands for most of it."""
    frame = declares()
    spot = spot_in(frame, HERE, line_of(declares, 2))
    assert spot.frame is frame
    assert spot.line == line_of(declares, 2)
    lines = {
        start: line for start, stop, line in frame.f_code.co_lines() for start in range(start, stop)
    }
    assert lines[spot.lasti] == line_of(declares, 2)


def test_the_columns_of_a_line() -> None:
    """What Python marks in the line is its widest instruction: the whole call."""
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 marks nothing")
    frame = declares()
    spot = spot_in(frame, HERE, line_of(declares, 8))
    positions = list(frame.f_code.co_positions())
    line, last_line, start, stop = positions[spot.lasti // 2]
    assert line == last_line == line_of(declares, 8)
    source = Path(HERE).read_text(encoding="utf-8").splitlines()[spot.line - 1]
    assert source[start:stop] == 'raise ValueError("never")'


@pytest.mark.parametrize(("file", "line"), [("other.py", 2), (HERE, 1), (HERE, 10**6)])
def test_a_line_of_another_function(file: str, line: int) -> None:
    """A line that is not in the function is replaced by the last one that was executed."""
    frame = declares()
    spot = spot_in(frame, file, line)
    assert (spot.frame, spot.line) == (frame, line_of(declares, 9))


def test_a_line_without_an_instruction_of_its_own() -> None:
    """If all that is in the line goes on in another one there is nothing to mark."""
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 marks nothing")
    namespace: dict[str, Any] = {}
    source = "import sys\ndef f(): return sys._getframe(\n)\n"
    exec(compile(source, "f.py", "exec"), namespace)
    frame = namespace["f"]()
    lines = {line for _, _, line in frame.f_code.co_lines()}
    spot = spot_in(frame, "f.py", 2)
    assert 2 in lines
    assert spot.line == 2


# A traceback of lines


def test_a_traceback_of_lines() -> None:
    """It leads through these lines, in this order, and nowhere else."""
    error = error_of(calls_library)
    spots = spots_of_error(error)
    trimmed = ValueError("no").with_traceback(traceback_of(spots))
    assert spots_of_error(trimmed) == spots
    entries = []
    entry = trimmed.__traceback__
    while entry is not None:
        entries.append((entry.tb_frame, entry.tb_lasti, entry.tb_lineno))
        entry = entry.tb_next
    assert entries == [tuple(spot) for spot in spots]


def test_a_traceback_of_no_lines() -> None:
    """There is none."""
    assert traceback_of([]) is None


# Paths


def test_a_path_below_the_directory_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown relative to where the tests run."""
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / "tests" / "test_client.py")) == os.path.join(
        "tests", "test_client.py"
    )


def test_a_path_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown in full."""
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    elsewhere = str(tmp_path / "test_client.py")
    assert shown(elsewhere) == elsewhere


@pytest.mark.parametrize("file", ["test_client.py", "<stdin>", ""])
def test_a_path_that_is_not_absolute(file: str) -> None:
    """It is shown as it is."""
    assert shown(file) == file
