"""The commands that README.rst tells people to run: CI runs these, so they cannot diverge.

A comment marks the code block that follows it::

    .. ci: tests

    .. code-block:: console

        $ python -m pip install -e ".[test]" && python -m pytest
        ... passed ...

In a ``console`` block the commands are the lines after ``$``; what else stands there is their
output. In any other block every line is a command. A command may go on after a backslash.

    python .ci/readme.py tests
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

README = Path(__file__).parents[1] / "README.rst"


def commands(text: str, name: str) -> list[str]:
    """The commands of the code block that is marked with ``.. ci: NAME``.

    :raises LookupError: if there is no such block, or more than one.
    """
    lines = text.splitlines()
    marker = re.compile(rf"\s*\.\. ci: {re.escape(name)}\s*")
    marks = [number for number, line in enumerate(lines) if marker.fullmatch(line)]
    if len(marks) != 1:
        raise LookupError(f"README.rst has {len(marks)} comments `.. ci: {name}`, not one")
    rest = lines[marks[0] + 1 :]
    while rest and not rest[0].strip():
        del rest[0]
    head = re.fullmatch(r"\s*\.\. code-block:: *(\w+) *", rest[0]) if rest else None
    if head is None:
        raise LookupError(f"after `.. ci: {name}` in README.rst there is no `.. code-block::`")
    shallow = _indent(rest[0])
    block = []
    for line in rest[1:]:
        if line.strip() and _indent(line) <= shallow:
            break
        if not re.fullmatch(r"\s+:[\w-]+:.*", line):  # An option of the directive.
            block.append(line)
    found = _commands(textwrap.dedent("\n".join(block)), console=head[1] == "console")
    if not found:
        raise LookupError(f"the block after `.. ci: {name}` in README.rst has no command")
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _commands(block: str, *, console: bool) -> list[str]:
    found: list[str] = []
    goes_on = False
    for line in block.splitlines():
        if goes_on:
            found[-1] += "\n" + line.strip()
        elif console and line.startswith("$ "):
            found.append(line[2:].strip())
        elif not console and line.strip():
            found.append(line.strip())
        else:
            continue
        goes_on = line.endswith("\\")
    return found


if __name__ == "__main__":
    print(*commands(README.read_text(encoding="utf-8"), sys.argv[1]), sep="\n")
