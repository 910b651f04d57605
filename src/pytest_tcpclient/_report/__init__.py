"""The text of a failure. Every sentence of the package is made in here.

The first line says what happened, in words that stay the same. Below it stands what a person
needs next: the script with the line of the test that declared each step, what was expected
and what came, a hint where the cause is a known one, and the switch, if it was a check.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._failure import (
    Differs,
    Ended,
    ExtraConnection,
    Failure,
    LeftBytes,
    LeftOpen,
    NotADisconnect,
    NotClosed,
    NotSilent,
    NotWaited,
    SendStalled,
    Standing,
    TimedOut,
    Unread,
    WasReset,
)
from .._framings import Delimited
from .._matchers import Frame, InAnyOrder, Line, Mismatch, NamedMatcher
from .._steps import Expect, ExpectConnect, Limited, Place
from .data import comparison, quoted
from .hints import hint
from .message import headline as headline
from .message import wanted
from .objects import difference
from .picture import picture as picture
from .script import argument, listing, place, seconds
from .script import call as call

#: What has a limit that has passed.
_TOO_LATE = (TimedOut, SendStalled, LeftOpen, NotClosed, NotWaited)

#: What is wrong with bytes that came, whatever came after them.
_BYTES = (Differs, NotADisconnect, NotSilent, LeftBytes)

#: Seconds: what has waited so much longer than its limit was held up by something.
BLOCKED = 0.25

_CHECKS = {
    LeftBytes: "check_unexpected",
    LeftOpen: "check_left_open",
    ExtraConnection: "check_extra_connections",
    Unread: "check_streams",
    NotClosed: "check_streams",
    NotWaited: "check_streams",
}


def render(failure: Failure, *, hint_in_line: bool = False, then: Sequence[str] = ()) -> str:
    """The whole text.

    :param hint_in_line: put the hint of 0.7 in the first line, where there is one.
    :param then: what the client did afterwards, a line each: ``raised OSError``.
    """
    sentence, hint_for_streams, remedy = headline(failure)
    first = [sentence]
    if hint_in_line and hint_for_streams:
        first = [f"{sentence} {hint_for_streams}"]
    elif known := remedy or hint(failure):
        first.append(known)
    first += _circumstances(failure)
    sections = [
        first,
        listing(failure),
        [*_bytes(failure), *_waited(failure)],
        _switch(failure),
        [*_next(failure), *(f"Then the client {what}" for what in then)],
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def aside(failure: Failure) -> str:
    """A failure that did not win, in one line, as a note on the error that did."""
    step = failure.step
    assert step is not None
    return (
        f"The connection ended when the server {failure.server} was at {call(step)} "
        f"({place(step.place)})."
    )


def origin(failure: Failure) -> str:
    """Where in the script an error of the test's own was raised, as a note on it."""
    step = failure.step
    where = "" if step is None else f" at {call(step)} ({place(step.place)})"
    return f"Raised by the script of the server {failure.server}{where}."


def standing(where: Standing) -> str:
    """Where a script stood, in one line, as a note on an error that is not ours."""
    received = f", with {quoted(where.received)} received" if where.received else ""
    step = where.step
    return f"The server {where.server} was at {call(step)} ({place(step.place)}){received}."


def _circumstances(failure: Failure) -> list[str]:
    """What else is known of the end of the connection."""
    match failure.problem:
        case WasReset(unread) | Ended(unread=unread) if unread:
            size = f"{unread:,} {'byte' if unread == 1 else 'bytes'}"
            closed = "The client closed without reading everything, or aborted"
            return [f"{closed}: it had been sent {size}."]
        case NotClosed(collected):
            if collected:
                return ["The writer was closed by the garbage collector, not by the client."]
            return ["The client has finished sending only, with `write_eof()`."]
        case ExtraConnection(scripted=True) if not _is_choosy(failure):
            return ["Each connection needs an `expect_connect()` of its own."]
        case TimedOut(at=Place() as at, function=function):
            return [f"It is at {place(at)}, in {function}()."]
    return []


def _next(failure: Failure) -> list[str]:
    """How the client ended the connection, if that is not what was wrong."""
    if failure.end and isinstance(failure.problem, _BYTES):
        return [f"Then the client {failure.end} the connection."]
    return []


def _bytes(failure: Failure) -> list[str]:
    """What was expected and what came, of a step that is about bytes."""
    return [*_compared(failure), *_missing(failure)]


def _missing(failure: Failure) -> list[str]:
    """Which of several things have not come."""
    step = failure.step
    if not (isinstance(step, Expect) and isinstance(step.matcher, InAnyOrder)):
        return []
    match failure.problem:
        case TimedOut(received) | Ended(received) | Differs(received=received):
            try:
                parts = step.matcher.unmatched(received)
            except Exception:  # A matcher of the test's own may do anything.
                return []
            return [f"Missing:  {', '.join(map(wanted, parts))}"]
    return []


def _compared(failure: Failure) -> list[str]:
    step = failure.step
    if step is not None and _is_choosy(failure):
        first = argument(step.options["first"])
        heard = _overheard(failure)
        return [f"Expected: a connection that begins with {first}", *heard] if heard else []
    match failure.problem:
        case ExtraConnection():
            return _overheard(failure, f" to {failure.server}")
        case Differs(Mismatch(bytes() as expected, bytes() as actual), received):
            several = isinstance(step, Expect) and step.matcher.parts
            lines = comparison(expected, actual, "Closest:" if several else "Expected:")
            if isinstance(step, Expect) and not step.matcher.noun and len(received) > len(actual):
                lines.append(f"In all: {quoted(received)}")
            return lines
        case Differs(Mismatch(expected, actual), received) if lines := difference(expected, actual):
            return [*lines, f"In all: {quoted(received)}"]
        case TimedOut(received) | Ended(received) if isinstance(step, Expect):
            expected_text = f"Expected: {wanted(step.matcher)}{_terminator(step.matcher)}"
            return [expected_text, f"Received: {quoted(received) if received else 'nothing'}"]
        case NotADisconnect(received) | NotSilent(received) | Differs(received=received):
            return [f"Received: {quoted(received)}"]
    return []


def _is_choosy(failure: Failure) -> bool:
    """Whether a connection was wanted that begins in a certain way."""
    return isinstance(failure.step, ExpectConnect) and "first" in failure.step.options


def _overheard(failure: Failure, to: str = "") -> list[str]:
    """What was said on connections that nobody has expected."""
    said = [
        (number, quoted(data) if data else "nothing so far") for number, data in failure.unclaimed
    ]
    lines = [f"Received: {data} on connection {number}{to}" for number, data in said]
    return [*lines, f"... and {failure.more_unclaimed:,} more"] if failure.more_unclaimed else lines


def _waited(failure: Failure) -> list[str]:
    """How long the step has waited, if that was too long."""
    if failure.times is None or not isinstance(failure.problem, _TOO_LATE):
        return []
    assert isinstance(failure.step, Limited)
    waited, limit = failure.times.waited, failure.step.limit
    progress = " for progress" if isinstance(failure.problem, SendStalled) else ""
    line = f"Waited:   {seconds(waited)}{progress}; the limit is {limit:,g} s"
    if waited - limit < BLOCKED:
        return [f"{line}."]
    return [f"{line}, not counting while the event loop is blocked."]


def _terminator(matcher: NamedMatcher) -> str:
    """What has to come at the end of a line or a message, where that is not seen in it."""
    end = matcher.newline if isinstance(matcher, Line) else None
    if isinstance(matcher, Frame) and isinstance(matcher.framing, Delimited):
        end = matcher.framing.delimiter
    return f", ended by {end!r}" if end else ""


def _switch(failure: Failure) -> list[str]:
    """How to allow what a check found."""
    check = _CHECKS.get(type(failure.problem))
    if check is None or _is_choosy(failure):
        return []
    return [f"If this is on purpose: {failure.switch}({check}=False)."]
