"""The exception classes."""

from __future__ import annotations

import pickle

import pytest
from helpers import SERVER, read

from pytest_tcpclient._errors import ScriptError, ScriptMismatch
from pytest_tcpclient._failure import Failure, TimedOut

FAILURE = Failure(TimedOut(b"Hel"), read(b"Hello"), connection=1, server=SERVER)


class Special(ScriptMismatch):
    """As the error of a runner could be."""


def test_a_mismatch_is_an_assertion_error() -> None:
    """A client that departed from the script is a failed assertion, with its text."""
    error = ScriptMismatch("Timed out\n\nScript:", FAILURE)
    assert isinstance(error, AssertionError)
    assert str(error) == "Timed out\n\nScript:"
    assert error.failure is FAILURE


def test_a_mismatch_without_a_failure() -> None:
    """The failure need not be given."""
    error = ScriptMismatch("Timed out")
    assert error.failure is None
    assert repr(error) == "ScriptMismatch('Timed out')"


@pytest.mark.parametrize("kind", [ScriptMismatch, Special])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_mismatch_can_be_pickled(kind: type[ScriptMismatch], protocol: int) -> None:
    """pytest-xdist can send it, with all its facts, and with its own class."""
    error = kind("Timed out", FAILURE)
    loaded = pickle.loads(pickle.dumps(error, protocol))
    assert type(loaded) is kind
    assert str(loaded) == "Timed out"
    assert loaded.failure == FAILURE
    assert loaded.failure is not FAILURE


def test_a_script_error_is_not_a_mismatch() -> None:
    """An error in the test itself is no failed assertion."""
    error = ScriptError("Missing")
    assert isinstance(error, RuntimeError)
    assert not isinstance(error, AssertionError)
    assert str(error) == "Missing"
