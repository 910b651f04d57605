"""Bytes as a reader can take them in."""

from __future__ import annotations

#: Data of up to this many bytes stands in full.
IN_FULL = 200

#: Of longer data, so many bytes are shown.
SHORTENED = 80

#: Of two values that differ, so many bytes are shown before and after the difference.
BEFORE, AFTER = 24, 40


def quoted(data: bytes, size: int | None = None) -> str:
    """Data as a literal, in full or shortened with its size.

    :param size: if the data are only the beginning of so much.
    """
    if size is None:
        size = len(data)
    if size <= IN_FULL and size == len(data):
        return repr(data)
    return f"{data[:SHORTENED]!r}... ({size:,} bytes)"


def comparison(expected: bytes, received: bytes, label: str = "Expected:") -> list[str]:
    """Two values, one above the other, with a mark at the first byte that differs."""
    offset = first_difference(expected, received)
    start, stop = 0, None
    if max(len(expected), len(received)) > IN_FULL:
        start, stop = max(0, offset - BEFORE), offset + AFTER
    margin = f"from byte {start:,}: " if start else ""
    common = _escaped(expected[start:offset])
    lead = " " * len(f"Expected: {margin}b'{common}")
    return [
        f"{label:9} {margin}{_literal(expected, start, stop)}",
        f"Received: {margin}{_literal(received, start, stop)}",
        f"{lead}^ first difference, at byte {offset:,}",
    ]


def first_difference(one: bytes, other: bytes) -> int:
    """The offset of the first byte that differs: the shorter one's end, if none does."""
    size = min(len(one), len(other))
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _literal(data: bytes, start: int, stop: int | None) -> str:
    literal = f"b'{_escaped(data[start:stop])}'"
    shortened = stop is not None and (start or len(data) > stop)
    return f"{literal}... ({len(data):,} bytes)" if shortened else literal


def _escaped(data: bytes) -> str:
    """As in a literal in single quotes. (``repr`` chooses its quotes by what is quoted.)"""
    return repr(b'"' + data)[3:-1]
