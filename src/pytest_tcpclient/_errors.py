"""The exception classes. This module imports nothing of the package."""

from __future__ import annotations


class ScriptMismatch(AssertionError):
    """The client departed from the script.

    ``str(error)`` is the whole explanation; its first line says what happened.
    ``error.failure`` is the :class:`~pytest_tcpclient.Failure` that was explained.
    Inside pytest the exception is a ``pytest.fail.Exception`` as well, so that
    ``pytest.raises(pytest.fail.Exception)`` catches it.
    """

    __module__ = "pytest_tcpclient"  # As users know it. Tracebacks print it.

    def __init__(self, message: str, failure: object = None) -> None:
        super().__init__(message)
        self.failure = failure

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from `args`, which would lose the failure.
        return type(self), (str(self), self.failure)


class ScriptError(RuntimeError):
    """The script cannot be played as it is written: the test is at fault, not the client.

    Raised at the line that made the mistake: a step declared on a stopped server, a
    ``send_bytes()`` after a ``disconnect()``, ``handle.received`` before its time.
    """

    __module__ = "pytest_tcpclient"


def add_note(error: BaseException, text: str) -> None:
    """Add a note (PEP 678), once. Python 3.10 does not print it, but pytest does."""
    notes = error.__dict__.setdefault("__notes__", [])
    if text not in notes:
        notes.append(text)
