"""Tracebacks that end at the line of the user's code, and show nothing else. No I/O."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

#: Whose frames no reader of a test needs.
_MACHINERY = frozenset(
    (
        "_pytest anyio asyncio concurrent contextlib exceptiongroup outcome pluggy pytest "
        "pytest_asyncio pytest_tcpclient pytest_trio sniffio socket ssl trio uvloop"
    ).split()
)


class Spot(NamedTuple):
    """A line that was being executed, and the frame in which it was."""

    frame: FrameType
    lasti: int
    line: int


def is_users(frame: FrameType) -> bool:
    """Whether a frame is of the test, its fixtures, or the client."""
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] not in _MACHINERY


def spots_of_task(body: Coroutine[Any, Any, Any]) -> list[Spot]:
    """Where a suspended coroutine waits, from the outside in.

    The traceback of a cancellation would not do: inside an ``async with`` it points at the
    line of the ``with`` when the block's clean-up has run.
    """
    spots = []
    awaited: Any = body
    while awaited is not None:
        for prefix, inner in (("cr", "await"), ("gi", "yieldfrom")):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if frame is not None:
                spots.append(Spot(frame, frame.f_lasti, frame.f_lineno))
                awaited = getattr(awaited, f"{prefix}_{inner}")
                break
        else:
            break
    return [spot for spot in spots if is_users(spot.frame)]


def spots_of_call(frame: FrameType | None, caller: CodeType) -> list[Spot]:
    """Where a function of the test is that code of ours has called in another thread.

    :param frame: the innermost one of that thread.
    """
    spots: list[Spot] = []
    while frame is not None and frame.f_code is not caller:
        if is_users(frame):
            spots.insert(0, Spot(frame, frame.f_lasti, frame.f_lineno))
        else:
            spots.clear()  # It has called something that is not the test's.
        frame = frame.f_back
    return spots if frame is not None else []


def spots_of_error(error: BaseException) -> list[Spot]:
    """Where an error was raised, from the outside in."""
    return [
        Spot(traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
        for traceback in _entries(error.__traceback__)
        if is_users(traceback.tb_frame)
    ]


def spot_in(frame: FrameType, file: str, line: int) -> Spot:
    """A line of a frame that has ended.

    It is the given one, if that is in its function, else the last that was executed.
    """
    code = frame.f_code
    if code.co_filename != file or line not in (at for _, _, at in code.co_lines()):
        line = frame.f_lineno
    return Spot(frame, _offset_of(code, line), line)


def spot_of(code: CodeType, file: str, line: int) -> Spot:
    """A line of a function whose frame is not known: it has ended, or ran in another thread.

    It is the given one, if that is in the function, else its first. The frame is one that has
    executed nothing but this line.
    """
    if code.co_filename != file or line not in (at for _, _, at in code.co_lines()):
        line = code.co_firstlineno
    source = "\n" * (line - code.co_firstlineno) + "frame = frame()"
    stand_in = compile(source, code.co_filename, "exec")
    stand_in = stand_in.replace(co_name=code.co_name, co_firstlineno=code.co_firstlineno)
    names: dict[str, Any] = {"__name__": code.co_name, "frame": sys._getframe}
    exec(stand_in, names)
    frame = names.pop("frame")
    return Spot(frame, _offset_of(stand_in, line), line)


def traceback_of(spots: list[Spot]) -> TracebackType | None:
    """A traceback of these lines."""
    traceback = None
    for spot in reversed(spots):
        traceback = TracebackType(traceback, spot.frame, spot.lasti, spot.line)
    return traceback


def shown(file: str) -> str:
    """A path as it is shown: relative to where the tests run, if it is below that."""
    try:
        relative = os.path.relpath(file)
    except ValueError:  # On another drive of Windows.
        return file
    return file if relative.split(os.sep)[0] == os.pardir else relative


def _offset_of(code: CodeType, line: int) -> int:
    """The instruction that stands for most of a line: its columns are what is marked."""
    # Python 3.10 knows of no columns.
    lines = ((at, at, 0, 0) for start, end, at in code.co_lines() for _ in range(start, end, 2))
    positions = getattr(code, "co_positions", lambda: lines)()
    widths = {
        index * 2: (end or 0) - (start or 0)
        for index, (first, last, start, end) in enumerate(positions)
        if first == last == line
    }
    return max(widths, key=widths.__getitem__, default=0)


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
