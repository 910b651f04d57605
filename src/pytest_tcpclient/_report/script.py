"""Steps and scripts, as the test wrote them."""

from __future__ import annotations

import inspect
from itertools import zip_longest
from typing import NamedTuple

from .._contents import ANY, name_of
from .._failure import Failure
from .._steps import ExpectEnd, Place, Skipped, Step
from .._traceback import shown
from .data import quoted
from .objects import brief

#: Longer calls are not lined up with the others.
ALIGNED = 60


class _Row(NamedTuple):
    """What became of a step."""

    state: str
    step: Step
    when: str = ""
    mark: str = ""


def call(step: Step) -> str:
    """A step as a call: ``expect_bytes(b'Hello', timeout=2)``."""
    if isinstance(step, ExpectEnd):
        return step.word
    given = [value for value in step.arguments if value is not ANY]
    arguments = [argument(value) for value in given]
    arguments += [f"{name}={argument(value)}" for name, value in step.options.items()]
    return f"{step.word}({', '.join(arguments)})"


def argument(value: object) -> str:
    """An argument of a step, much as the test wrote it."""
    if isinstance(value, bytes):
        return quoted(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # As a person writes it: 2 rather than 2.0.
    return name_of(value) if inspect.isroutine(value) else brief(value)


def place(where: Place) -> str:
    """File and line, as editors and terminals know how to open them."""
    return f"{shown(where.file)}:{where.line}"


def listing(failure: Failure) -> list[str]:
    """The steps around the one that failed, each with the line that declared it."""
    script, times = failure.script, failure.times
    rows = [
        _Row("skipped", each.step, _when(at))
        if isinstance(each, Skipped)
        else _Row("done", each, _when(at))
        for each, at in zip_longest(script.done, times.done if times else ())
    ]
    if failure.step is not None:
        rows.append(_Row("failed", failure.step, _when(times.failed if times else None), ">"))
    rows += [_Row("not reached", step) for step in script.ahead]
    if not rows:
        return []
    calls = [call(row.step) for row in rows]
    width = max((len(text) for text in calls if len(text) <= ALIGNED), default=0)
    longest = max(len(row.when) for row in rows)
    lines = [_title(failure)]
    if script.done_before:
        lines.append(f"    ... {_steps(script.done_before)} done before")
    for row, text in zip(rows, calls, strict=True):
        when = f"  {row.when:>{longest}}" if longest else ""
        where = "" if isinstance(row.step, ExpectEnd) else place(row.step.place)
        lines.append(f"{row.mark:1} {row.state:11}{when}  {text:{width}}  {where}".rstrip())
    if script.ahead_after:
        lines.append(f"    ... {_steps(script.ahead_after)} more not reached")
    return lines


def seconds(time: float) -> str:
    """A time as it is read: ``0.05 s``."""
    return f"{max(time, 0.0):,.2f} s"


def _when(time: float | None) -> str:
    return "" if time is None else seconds(time)


def _title(failure: Failure) -> str:
    if failure.connection is None:
        return f"Script of {failure.server}:"
    return f"Script of connection {failure.connection} to {failure.server}:"


def _steps(count: int) -> str:
    return f"{count:,} step" if count == 1 else f"{count:,} steps"
