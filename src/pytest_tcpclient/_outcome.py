"""The error of a failed script, as pytest wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ._errors import ScriptMismatch

if TYPE_CHECKING:
    from _pytest.outcomes import Failed as PytestFailed
else:
    PytestFailed = pytest.fail.Exception


class Failed(ScriptMismatch, PytestFailed):
    """What ``join()`` raises inside pytest.

    A ``pytest.fail.Exception``, so that pytest prints it as a failure and no more, and a
    :class:`ScriptMismatch`, hence an ``Exception``: pytest's own is a bare
    ``BaseException``, which kills anyio's asyncio runner when a task group raises it.
    """

    # pytest prints the class as the traceback module does: "Failed: ...", as for its own.
    __module__ = "builtins"

    def __init__(self, message: str, failure: object = None) -> None:
        PytestFailed.__init__(self, message)
        self.failure = failure

    def __reduce__(self) -> tuple[object, ...]:
        return _failed, (str(self), self.failure)


class Ended(PytestFailed):
    """What a client gets that has swallowed a :class:`Failed`: it is no ``Exception``.

    The test ends with a :class:`Failed` all the same.
    """

    def __init__(self, message: str, failure: object = None) -> None:
        super().__init__(message)
        self.failure = failure


def _failed(message: str, failure: object) -> Failed:
    """For pickle, which would look for the class where it says that it is."""
    return Failed(message, failure)
