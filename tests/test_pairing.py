"""Which connection belongs to which ``expect_connect()``."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._matchers import any_of, exactly, line
from pytest_tcpclient._pairing import Pairing


def test_a_connection_goes_to_the_expectation_that_waits() -> None:
    """A connection that comes second gets the expectation that came first."""
    pairing: Pairing[str, int] = Pairing()
    assert pairing.expect("first") == []
    assert pairing.accept(1) == [(1, "first")]
    assert pairing.unclaimed == []
    assert pairing.oldest is None


def test_an_expectation_gets_the_connection_that_is_there() -> None:
    """A connection that comes first is kept until it is expected."""
    pairing: Pairing[str, int] = Pairing()
    assert pairing.accept(1) == []
    assert pairing.accept(2) == []
    assert pairing.unclaimed == [1, 2]
    assert pairing.oldest == 1
    assert pairing.expect("first") == [(1, "first")]
    assert pairing.oldest == 2
    pairing.clear()
    assert pairing.oldest is None
    assert pairing.expect("second") == []


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=50))
def test_the_nth_belongs_to_the_nth(order: list[bool]) -> None:
    """In whatever order they come, the n-th connection belongs to the n-th expectation."""
    pairing: Pairing[str, int] = Pairing()
    expected = accepted = 0
    pairs: list[tuple[int, str]] = []
    for is_connection in order:
        if is_connection:
            accepted += 1
            pairs += pairing.accept(accepted)
        else:
            expected += 1
            pairs += pairing.expect(f"expectation {expected}")
        paired = min(expected, accepted)
        assert pairs == [(n, f"expectation {n}") for n in range(1, paired + 1)]
        assert pairing.unclaimed == list(range(paired + 1, accepted + 1))


# What a connection says first


def curious(*expected: tuple[str, bytes | None]) -> Pairing[str, int]:
    pairing: Pairing[str, int] = Pairing()
    for name, first in expected:
        assert pairing.expect(name, None if first is None else exactly(first)) == []
    return pairing


def test_the_first_bytes_tell_connections_apart() -> None:
    """As soon as they are there, in however many pieces."""
    pairing = curious(("alice", b"ALICE"), ("bob", b"BOB"))
    assert pairing.curious
    assert pairing.accept(1) == []
    assert pairing.receive(1, b"B") == []
    assert pairing.receive(1, b"OB and more") == [(1, "bob")]
    assert pairing.accept(2) == []
    assert pairing.receive(2, b"ALICE") == [(2, "alice")]
    assert not pairing.curious


def test_one_is_asked_when_those_before_it_have_said_no() -> None:
    """Those that take any connection, too."""
    pairing = curious(("alice", b"ALICE"), ("any", None))
    assert pairing.accept(1) == []
    assert pairing.receive(1, b"AL") == []
    assert pairing.receive(1, b"BERT") == [(1, "any")]


def test_what_one_has_found_another_need_not_wait_for() -> None:
    """A connection that was kept for the sake of it is offered to the next one."""
    pairing = curious(("alice", b"ALICE"), ("any", None))
    assert pairing.accept(1) == []
    assert pairing.accept(2) == []
    assert pairing.receive(2, b"ALICE") == [(2, "alice"), (1, "any")]


def test_one_that_does_not_wait_any_more_keeps_nothing_from_others() -> None:
    """It was optional, perhaps."""
    pairing = curious(("alice", b"ALICE"), ("any", None))
    assert pairing.accept(1) == []
    assert pairing.withdraw("alice") == [(1, "any")]
    assert not pairing.curious
    assert pairing.withdraw("nobody") == []


def test_a_connection_that_has_ended_says_nothing_more() -> None:
    """It is nobody's who waits for a certain beginning, unless that is there."""
    pairing = curious(("alice", b"ALICE"), ("any", None))
    assert pairing.accept(1) == []
    assert pairing.receive(1, b"AL") == []
    assert pairing.receive(1, b"", ended=True) == [(1, "any")]


def test_a_connection_nobody_wants() -> None:
    """It stays unclaimed, until somebody comes for it."""
    pairing = curious(("alice", b"ALICE"))
    assert pairing.accept(1) == []
    assert pairing.receive(1, b"BOB") == []
    assert pairing.unclaimed == [1]
    assert pairing.expect("bob", exactly(b"B")) == [(1, "bob")]


def test_a_connection_that_was_forgotten_says_something() -> None:
    """It is nobody's any more."""
    pairing = curious(("alice", b"ALICE"))
    assert pairing.accept(1) == []
    pairing.clear()
    assert pairing.receive(1, b"ALICE") == []


def test_any_matcher_will_do() -> None:
    """A line, or one of several things."""
    pairing: Pairing[str, int] = Pairing()
    assert pairing.expect("hello", any_of(line(b"HELO", b"\n"), line(b"EHLO", b"\n"))) == []
    assert pairing.accept(1) == []
    assert pairing.receive(1, b"EHLO") == []
    assert pairing.receive(1, b"\n") == [(1, "hello")]
