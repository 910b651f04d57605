"""Which connection belongs to which ``expect_connect()``."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._pairing import Pairing


def test_a_connection_goes_to_the_expectation_that_waits() -> None:
    """A connection that comes second gets the expectation that came first."""
    pairing: Pairing[str, int] = Pairing()
    assert pairing.expect("first") is None
    assert list(pairing.awaited) == ["first"]
    assert pairing.accept(1) == "first"
    assert not pairing.awaited
    assert not pairing.unclaimed


def test_an_expectation_gets_the_connection_that_is_there() -> None:
    """A connection that comes first is kept until it is expected."""
    pairing: Pairing[str, int] = Pairing()
    assert pairing.accept(1) is None
    assert list(pairing.unclaimed) == [1]
    assert pairing.expect("first") == 1
    assert not pairing.awaited
    assert not pairing.unclaimed


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=50))
def test_the_nth_belongs_to_the_nth(order: list[bool]) -> None:
    """In whatever order they come, the n-th connection belongs to the n-th expectation."""
    pairing: Pairing[str, int] = Pairing()
    expected = accepted = 0
    pairs: list[tuple[str, int]] = []
    for is_connection in order:
        if is_connection:
            accepted += 1
            expectation = pairing.accept(accepted)
            if expectation is not None:
                pairs.append((expectation, accepted))
        else:
            expected += 1
            connection = pairing.expect(f"expectation {expected}")
            if connection is not None:
                pairs.append((f"expectation {expected}", connection))
        paired = min(expected, accepted)
        assert pairs == [(f"expectation {n}", n) for n in range(1, paired + 1)]
        assert list(pairing.unclaimed) == list(range(paired + 1, accepted + 1))
        assert list(pairing.awaited) == [
            f"expectation {n}" for n in range(paired + 1, expected + 1)
        ]
