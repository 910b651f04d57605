"""Every way in which data can be cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._cuts import cuts, splits


@pytest.mark.parametrize(
    ("data", "ways"),
    [
        (b"a", [(b"a",)]),
        (b"ab", [(b"a", b"b")]),
        (b"abc", [(b"a", b"bc"), (b"ab", b"c"), (b"a", b"b", b"c")]),
        (
            b"abcd",
            [(b"a", b"bcd"), (b"ab", b"cd"), (b"abc", b"d"), (b"a", b"b", b"c", b"d")],
        ),
    ],
)
def test_splits(data: bytes, ways: list[tuple[bytes, ...]]) -> None:
    """In two pieces at every place, then in pieces of one byte; none of them twice."""
    assert splits(data) == ways


@pytest.mark.parametrize(
    ("data", "ways"),
    [
        (b"a", [(b"a",)]),
        (b"ab", [(b"ab",), (b"a", b"b")]),
        (b"abc", [(b"abc",), (b"a", b"bc"), (b"ab", b"c"), (b"a", b"b", b"c")]),
    ],
)
def test_cuts(data: bytes, ways: list[tuple[bytes, ...]]) -> None:
    """Whole first, then in two pieces, in three, ..."""
    assert cuts(data) == ways


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=1, max_size=9))
def test_every_way_is_there_once(data: bytes) -> None:
    """Put together, the pieces are the data, and none is empty."""
    for ways, number in ((cuts(data), 2 ** (len(data) - 1)), (splits(data), None)):
        assert {b"".join(pieces) for pieces in ways} == {data}
        assert all(all(pieces) for pieces in ways)
        shapes = {tuple(map(len, pieces)) for pieces in ways}
        assert len(shapes) == len(ways) == (number or len(ways))
    assert {*splits(data)} <= {*cuts(data)}
    assert len(splits(data)) == {1: 1, 2: 1}.get(len(data), len(data))


@pytest.mark.parametrize("function", [cuts, splits])
@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("ab", TypeError, "data must be bytes, not str: write b'ab' or encode it"),
        (b"", ValueError, "data must not be empty"),
        (5, TypeError, "data must be bytes, not int"),
    ],
)
def test_what_cannot_be_cut(
    function: Callable[[Any], object], data: Any, error: type[Exception], message: str
) -> None:
    """It must be one byte or more."""
    with pytest.raises(error) as caught:
        function(data)
    assert str(caught.value) == message


def test_how_much_can_be_cut_in_every_way() -> None:
    """Sixteen bytes have 32,768 cuts; of more there are too many."""
    assert len(cuts(bytes(16))) == 32768
    with pytest.raises(ValueError, match="cuts") as caught:
        cuts(bytes(17))
    assert str(caught.value) == (
        "data of 17 bytes has 2 ** 16 cuts; the most is 16 bytes. splits() gives as many ways as "
        "there are bytes"
    )
    assert len(splits(bytes(1000))) == 1000
