"""What a test may give where something the client sends is to be compared. No I/O.

A *content* is ``ANY``, bytes, a compiled pattern (it must match all of it), a predicate (a
function of what came that returns ``True`` or ``False``), or any other object, which is
compared with ``==``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ._checked import checked_bytes
from ._errors import ScriptError

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.


class _Any:
    """Equal to everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANY"

    def __reduce__(self) -> str:
        return "ANY"


#: Whatever comes. Equal to everything, so that it may stand inside of other objects, too:
#: ``expect_frame({"id": ANY, "method": "ping"})``.
ANY: Any = _Any()


class Predicate(NamedTuple):
    """A function that decides about what came."""

    function: Callable[[Any], bool]

    def __repr__(self) -> str:
        return name_of(self.function)

    def accepts(self, actual: object) -> bool:
        """Ask the function.

        :raises ScriptError: if it answers with anything but ``True`` and ``False``: a
            ``return`` that was forgotten would let everything pass, or nothing.
        """
        answer: object = self.function(actual)
        if not isinstance(answer, bool):
            raise ScriptError(
                f"the predicate {self!r} must return True or False, not {answer!r}. (To compute "
                "what is expected, give a function without arguments.)"
            )
        return answer


class Late(NamedTuple):
    """A function that gives a value when its step has become the current one.

    ``takes_received`` says whether it is called with what the last expectation received;
    ``check`` is what any value that stands here has to pass.
    """

    function: Callable[..., Any]
    takes_received: bool
    check: Callable[[Any], Any]

    def __repr__(self) -> str:
        return name_of(self.function)

    def value(self, received: object) -> Any:
        """Call it."""
        return self.check(self.function(received) if self.takes_received else self.function())


def given(value: Any, check: Callable[[Any], Any]) -> Any:
    """A value that a test gave: checked, or :class:`Late` if it is a function that gives it.

    :raises TypeError: if the function takes more than one argument, or is async.
    """
    __tracebackhide__ = True
    if not _is_function(value):
        return check(value)
    count = _required(value)
    if count > 1:
        raise TypeError(
            f"{name_of(value)}() must take no argument, or one: what the last expectation "
            f"received. It takes {count}"
        )
    return Late(value, count == 1, check)


def given_content(name: str, value: Any, *, raw: bool) -> Any:
    """A content, checked. A function without arguments gives one later.

    :param raw: whether it is compared with bytes, and cannot be text, a number or ``None``.
    """
    __tracebackhide__ = True
    check = functools.partial(_checked_content, name, raw=raw)
    if not _is_function(value):
        return check(value)
    count = _required(value)
    if count > 1:
        raise TypeError(
            f"{name_of(value)}() must take one argument, what came, to say whether that is right; "
            f"or none, to give what is expected. It takes {count}"
        )
    return Predicate(value) if count else Late(value, False, check)


def compare(content: Any, actual: Any) -> tuple[bool, Any]:
    """Whether something that came is what was wanted, and what a handle then has of it."""
    if type(content) is bytes:
        return content == actual, actual
    if isinstance(content, Predicate):
        return content.accepts(actual), actual
    if isinstance(content, re.Pattern):
        # A framing of the test's own may give what no pattern can match.
        match = content.fullmatch(actual) if isinstance(actual, str | bytes) else None
        return match is not None, match
    return bool(content == actual), actual


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called, as a script shows it."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return getattr(function, "__name__", None) or repr(function)


def literal(value: object) -> str:
    """An object as a script shows it. Where it is in memory nobody need know."""
    name = type(value).__name__
    if type(value).__repr__ is object.__repr__:
        return f"<{name}>"
    try:
        return repr(value)
    except Exception as error:  # The text of a failure is not lost because of it.
        return f"<{name}, whose repr() raised {type(error).__name__}>"


def _checked_content(name: str, value: Any, *, raw: bool) -> Any:
    __tracebackhide__ = True
    if isinstance(value, re.Pattern):
        if raw and isinstance(value.pattern, str):
            raise TypeError(f"{name} must be a pattern of bytes: write rb{value.pattern!r}")
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if raw and (value is None or isinstance(value, str | int | float)):
        return checked_bytes(name, value, empty=True)  # Which says what is wrong.
    return value


def _is_function(value: Any) -> bool:
    """Whether a value is to be called, rather than compared.

    An object that says itself what is equal to it is compared, even if it could be called.
    """
    if isinstance(value, type) or not callable(value):
        return False
    return inspect.isroutine(value) or getattr(type(value), "__eq__", None) is object.__eq__


def _required(function: Callable[..., Any]) -> int:
    """How many arguments a function must be given: one, if it takes whatever it is given."""
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{name_of(function)}() must be a plain function, not an async one")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return 1  # A builtin function that does not say: most take one.
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = sum(each.default is each.empty and each.kind in kinds for each in parameters)
    return required or int(any(each.kind is each.VAR_POSITIONAL for each in parameters))
