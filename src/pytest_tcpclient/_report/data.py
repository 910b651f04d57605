"""Bytes as a reader can take them in."""

from __future__ import annotations

from contextlib import suppress

#: Data of up to this many bytes stands in full.
IN_FULL = 200

#: Of longer data, so many bytes are shown.
SHORTENED = 80

#: Of two values that differ, so many bytes are shown before and after the difference.
BEFORE, AFTER = 24, 40

#: Of values that are no text, so many are shown as numbers.
DUMPED = 16

_LEGIBLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\r\n\t")


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
    around = slice(max(0, offset - BEFORE), offset + AFTER)
    if expected and received and (is_binary(expected[around]) or is_binary(received[around])):
        return _dumped(expected, received, offset, label)
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


def is_binary(data: bytes) -> bool:
    """Whether escapes would be most of what is read: more than a third of the bytes."""
    text = sum(byte in _LEGIBLE for byte in data)
    if text == len(data):
        return False
    with suppress(UnicodeDecodeError):
        return 3 * sum(
            not (each.isprintable() or each in "\r\n\t") for each in data.decode()
        ) > len(data)
    return 3 * (len(data) - text) > len(data)


def _dumped(expected: bytes, received: bytes, offset: int, label: str) -> list[str]:
    """The bytes around the first difference, as numbers and as text."""
    start = max(0, offset - DUMPED // 2)
    if max(len(expected), len(received)) <= DUMPED:
        start = 0
    margin = f"from byte {start:,}: " if start else ""
    rows = [each[start : start + DUMPED] for each in (expected, received)]
    width = 3 * max(map(len, rows)) - 1
    lines = []
    for word, whole, row in zip((label, "Received:"), (expected, received), rows, strict=True):
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        size = f" ({len(whole):,} bytes)" if start or len(whole) > DUMPED else ""
        lines.append(f"{word:9} {margin}{row.hex(' '):{width}}  |{text}|{size}")
    lead = " " * (len("Expected: ") + len(margin) + 3 * (offset - start))
    return [*lines, f"{lead}^^ first difference, at byte {offset:,}"]


def _literal(data: bytes, start: int, stop: int | None) -> str:
    literal = f"b'{_escaped(data[start:stop])}'"
    shortened = stop is not None and (start or len(data) > stop)
    return f"{literal}... ({len(data):,} bytes)" if shortened else literal


def _escaped(data: bytes) -> str:
    """As in a literal in single quotes. (``repr`` chooses its quotes by what is quoted.)"""
    return repr(b'"' + data)[3:-1]
