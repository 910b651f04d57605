"""The first line of a failure, and the hint that goes with it."""

from __future__ import annotations

import re
from typing import NamedTuple

from .._contents import ANY, Predicate
from .._failure import (
    Blocked,
    CutOff,
    Differs,
    Ended,
    ExtraConnection,
    Failure,
    HandshakeFailed,
    HandshakePassed,
    LeftBytes,
    LeftOpen,
    NobodyThere,
    NoConnect,
    NotADisconnect,
    NotClosed,
    NotEncrypted,
    NotReset,
    NotSent,
    NotSilent,
    NotWaited,
    Raised,
    ScriptView,
    SendStalled,
    TimedOut,
    TlsFailed,
    Unread,
    Unwanted,
    WasReset,
)
from .._matchers import Difference, Exactly, Frame, Malformed, NamedMatcher, Oversized
from .._steps import (
    Expect,
    ExpectConnect,
    ExpectDisconnect,
    ExpectEof,
    ExpectReset,
    Run,
    Send,
    Skipped,
    Step,
)
from .data import quoted
from .script import argument, call
from .tls import handshake_failed, hint_for


class Headline(NamedTuple):
    """What happened, and a remedy: as 0.7 worded it, and for clients of any kind."""

    sentence: str
    hint_for_streams: str = ""
    hint: str = ""


_ORDINALS = {2: "second", 3: "third"}
_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}


def headline(failure: Failure) -> Headline:
    """The sentence for a failure: people search their logs for these, so they stay."""
    step = failure.step
    match failure.problem:
        case TimedOut() as problem:
            return _timed_out(step, problem)
        case NotClosed():
            return _timed_out(step, TimedOut(b""))
        case NotWaited():
            return Headline("Timed out waiting for client to call `await writer.wait_closed()`.")
        case Unread(data, size):
            return Headline(
                "There is data sent by server that was not read by client: "
                f"unread_bytes={quoted(data, size)}."
            )
        case Differs(difference):
            assert isinstance(step, Expect)
            return Headline(_differs(step.matcher, difference))
        case Ended() as ended:
            assert isinstance(step, Expect)
            return Headline(_ended(step.matcher, ended))
        case NotADisconnect(received):
            assert step is not None
            return Headline(
                f"Received unexpected data while waiting for {_awaited(step)}. "
                f"Data is {quoted(received)}."
            )
        case NotSilent(received):
            return Headline(f"Expected silence, but client sent {quoted(received)}.")
        case NotReset():
            return Headline("Expected the client to reset the connection, but it closed it.")
        case WasReset(unread):
            return Headline(
                "Connection was reset.",
                "Did client close writer prematurely?",
                "" if unread else _why_reset(failure.script),
            )
        case CutOff():
            return Headline(
                "Client closed the connection without a close_notify of TLS.",
                hint="If it need not send one: expect_disconnect(clean=False).",
            )
        case HandshakeFailed() as failed:
            return Headline(handshake_failed(failed), hint=hint_for(failed))
        case HandshakePassed(timed_out):
            how = "the client neither went on nor refused" if timed_out else "it succeeded"
            return Headline(f"Expected the TLS handshake to fail, but {how}.")
        case NotEncrypted(received):
            return Headline(
                f"Client sent {quoted(received)} before the TLS handshake.",
                hint="A client must send nothing between its request for TLS and the handshake.",
            )
        case TlsFailed(reason):
            return Headline(f"TLS failed after the handshake: {reason}.")
        case SendStalled(accepted, total):
            return Headline(
                f"Timed out sending to the client: {accepted:,} of {total:,} bytes were accepted."
            )
        case NotSent(None):
            assert step is not None
            return Headline(f"Client closed the connection before `{call(step)}`.")
        case NotSent(data):
            assert data is not None
            return Headline(f"Client closed the connection before {quoted(data)} could be sent.")
        case ExtraConnection(number, waiting, scripted):
            return Headline(_extra_connection(number, waiting, scripted))
        case Unwanted(number):
            return Headline(f"Expected no connection, but the client opened connection {number}.")
        case LeftBytes(received):
            return Headline(f"Client sent {quoted(received)} after the script was done.")
        case LeftOpen():
            return Headline(f"Client left connection {failure.connection} open.")
        case NoConnect():
            assert step is not None
            return Headline(f"Missing `expect_connect()` before `{call(step)}`")
        case NobodyThere():
            return Headline(
                "Client is not connected.",
                "Did you forget to call `asyncio.open_connection`?",
                "Did you forget to connect the client?",
            )
        case Blocked():
            return Headline(
                "The client blocks the event loop in which the server runs, and waits for it.",
                hint="Call it in a thread (`await anyio.to_thread.run_sync(...)`), or use "
                "`blocking_tcpserver`.",
            )
        case Raised(error):
            assert step is not None
            return Headline(f"`{call(step)}` raised {type(error).__name__}: {error}")
        case _ as broken:
            return Headline(broken.reason)


def wanted(matcher: NamedMatcher) -> str:
    """What a matcher wanted: ``b'Hello'``, ``a line``, ``frame b'Hello'``."""
    noun, expected = matcher.noun, matcher.expected
    if matcher.parts:
        parts = [f"({wanted(part)})" if part.parts else wanted(part) for part in matcher.parts]
        return matcher.joined.format(", ".join(parts))
    if not noun:
        return argument(expected)
    if expected is ANY:
        return matcher.some
    if isinstance(expected, re.Pattern):
        return f"{matcher.some} matching {expected.pattern!r}"
    if isinstance(expected, Predicate):
        return f"{matcher.some} satisfying {expected!r}"
    if matcher.some == noun:  # Which says no more than the bytes themselves.
        return argument(expected)
    return f"{noun} {argument(expected)}"


def _why_reset(script: ScriptView) -> str:
    """The usual reason: a client closes before it has read all that it was sent."""
    done = [each.step if isinstance(each, Skipped) else each for each in script.done]
    if script.done_before or any(isinstance(step, Send | Run) for step in done):
        return "Did the client close its stream before it had read everything?"
    return "Did the client abort it, instead of closing it?"


def _timed_out(step: Step | None, problem: TimedOut) -> Headline:
    if isinstance(step, ExpectDisconnect):
        return Headline(
            f"Timed out waiting for {_awaited(step)}.",
            "Remember to call `writer.close()`.",
            "Remember to close the client's stream.",
        )
    if isinstance(step, ExpectEof):
        return Headline(
            f"Timed out waiting for {_awaited(step)}.",
            hint="A client does so with `send_eof()` or `write_eof()`, or by closing.",
        )
    assert step is not None
    if isinstance(step, Run):
        return Headline(f"Timed out waiting for `{call(step)}` to return.")
    if isinstance(step, Expect):
        received = f"; received {quoted(problem.received) if problem.received else 'nothing'}."
        end = "" if _as_in_0_7(step.matcher) else received
        return Headline(f"Timed out waiting for {wanted(step.matcher)}{end}")
    return Headline(f"Timed out waiting for {_awaited(step)}.")


def _awaited(step: Step) -> str:
    """What a step waits for."""
    if isinstance(step, ExpectConnect):
        return "client to connect"
    if isinstance(step, ExpectDisconnect):
        return "client to disconnect"
    if isinstance(step, ExpectEof):
        return "client to finish sending"
    if isinstance(step, ExpectReset):
        return "client to reset the connection"
    assert isinstance(step, Expect)
    return wanted(step.matcher)


def _as_in_0_7(matcher: NamedMatcher) -> bool:
    """Whether 0.7 had this expectation already, and so its sentences stay as they were."""
    if isinstance(matcher, Frame):
        return isinstance(matcher.expected, bytes)
    return isinstance(matcher, Exactly)


def _differs(matcher: NamedMatcher, difference: Difference) -> str:
    expected = f"Expected {_verb(matcher)} {wanted(matcher)}"
    if isinstance(difference, Malformed):
        return f"{expected} but it is malformed: {difference.reason}"
    if isinstance(difference, Oversized):
        limit = f"{difference.limit:,}"
        if difference.size is None:
            unit = "byte" if difference.limit == 1 else "bytes"
            return f"{expected} but it is longer than the limit of {limit} {unit}."
        return (
            f"{expected} but its length prefix {difference.prefix!r} says "
            f"{difference.size:,} bytes; the limit is {limit}."
        )
    past = "actually read" if isinstance(matcher, Exactly) else "actually got"
    kind = f"{matcher.noun} " if matcher.noun and matcher.some != matcher.noun else ""
    return f"{expected} but {past} {kind}{argument(difference.actual)}"


def _verb(matcher: NamedMatcher) -> str:
    return "to read" if isinstance(matcher, Exactly) else "to get"


def _ended(matcher: NamedMatcher, ended: Ended) -> str:
    expected = f"Expected {_verb(matcher)} {wanted(matcher)}"
    how = "was reset" if ended.reset else "was closed"
    if isinstance(matcher, Exactly):
        return f"{expected} but only read {quoted(ended.received)} before the connection {how}."
    missing = ended.missing
    if missing is not None:
        reached = f"{missing.have:,} of its {missing.need:,} bytes"
        if missing.part != "payload":
            reached = f"{missing.have} of the {missing.need} bytes of its {missing.part}"
        return f"{expected} but the connection {how} after {reached}."
    if ended.received:
        return f"{expected} but the connection {how} after {quoted(ended.received)}."
    if _as_in_0_7(matcher) and matcher.expected and not ended.reset:
        return f"{expected} but actually got {matcher.noun} b''"
    return f"{expected} but the connection {how}."


def _extra_connection(number: int, waiting: Step | None, scripted: bool) -> str:
    if not scripted:
        return "A client connected, but there is no `expect_connect()` for it."
    if isinstance(waiting, Expect | ExpectDisconnect | ExpectEof | ExpectReset):
        return f"While waiting for {_awaited(waiting)} a {_nth(number)} connection was attempted."
    if isinstance(waiting, Send):
        sending = argument(waiting.arguments[0])
        return f"While sending {sending} a {_nth(number)} connection was attempted."
    return f"Connection {number} was not expected."


def _nth(number: int) -> str:
    teen = number // 10 % 10 == 1
    suffix = "th" if teen else _SUFFIXES.get(number % 10, "th")
    return _ORDINALS.get(number, f"{number}{suffix}")
