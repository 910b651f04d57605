"""Every way in which data can be cut, for ``pytest.mark.parametrize``. No I/O."""

from __future__ import annotations

from itertools import combinations, pairwise

from ._checked import checked_bytes

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.

#: Data of so many bytes has 32,768 cuts.
MOST = 16


def splits(data: bytes) -> list[tuple[bytes, ...]]:
    """Data in two pieces, cut at every place, and in pieces of one byte.

    :param data: one byte or more; a single byte has only itself.
    :return: of ``n`` bytes, ``n`` ways: the pieces of each are for
        ``send_bytes(*pieces)``.
    """
    data = checked_bytes("data", data)
    in_two = [_cut(data, (at,)) for at in range(1, len(data))]
    single = _cut(data, tuple(range(1, len(data))))
    return in_two if single in in_two else [*in_two, single]


def cuts(data: bytes) -> list[tuple[bytes, ...]]:
    """Data cut in every way: whole first, in pieces of one byte last.

    :param data: 1 to 16 bytes.
    :return: of ``n`` bytes, ``2 ** (n - 1)`` ways.
    """
    data = checked_bytes("data", data)
    if len(data) > MOST:
        raise ValueError(
            f"data of {len(data):,} bytes has 2 ** {len(data) - 1:,} cuts; the most is {MOST} "
            "bytes. splits() gives as many ways as there are bytes"
        )
    places = range(1, len(data))
    return [_cut(data, at) for count in range(len(data)) for at in combinations(places, count)]


def _cut(data: bytes, places: tuple[int, ...]) -> tuple[bytes, ...]:
    return tuple(data[start:stop] for start, stop in pairwise((0, *places, len(data))))
