"""The table that the benchmarks print, and how the two sides of a row take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :ivar ours: what was measured, in ``unit``.
    :ivar other: the same of the other side; ``None`` if the number stands for itself.
    :ivar target: the most that the ratio (or, without another side, ``ours``) should be.
    """

    what: str
    backend: str
    unit: str
    ours: float
    other: float | None = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.other is None else self.ours / self.other

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        value = self.ours if self.ratio is None else self.ratio
        return "ok" if value <= self.target else "MISSED"

    def cells(self) -> list[str]:
        return [
            self.what,
            self.backend,
            self.unit,
            _number(self.ours),
            _number(self.other),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            "" if self.target is None else f"<= {self.target:g}",
            self.verdict,
        ]


HEADINGS = ["what", "backend", "unit", "ours", "other", "ratio", "target", ""]


#: The columns that are set to the right.
NUMBERS = (3, 4, 5)


def render(rows: Iterable[Row]) -> str:
    """The table: names to the left, numbers to the right."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def least(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The least that each side took, the sides taking turns."""
    taken = [[side() for side in sides] for _ in range(rounds)]
    return [min(times) for times in zip(*taken, strict=True)]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
