"""The first line of a failure, and the hint that goes with it."""

from __future__ import annotations

from typing import NamedTuple

from .._failure import (
    Differs,
    Ended,
    ExtraConnection,
    Failure,
    LeftBytes,
    LeftOpen,
    NobodyThere,
    NoConnect,
    NotADisconnect,
    NotClosed,
    NotSent,
    NotWaited,
    SendStalled,
    TimedOut,
    Unread,
    WasReset,
)
from .._matchers import Matcher, Oversized
from .._steps import Expect, ExpectConnect, ExpectDisconnect, Send, Step
from .data import quoted
from .script import call


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
        case TimedOut() | NotClosed():
            return _timed_out(step)
        case NotWaited():
            return Headline("Timed out waiting for client to call `await writer.wait_closed()`.")
        case Unread(data, size):
            return Headline(
                "There is data sent by server that was not read by client: "
                f"unread_bytes={quoted(data, size)}."
            )
        case Differs(difference):
            assert isinstance(step, Expect)
            wanted = f"Expected {_verb(step.matcher)} {_wanted(step.matcher)}"
            if isinstance(difference, Oversized):
                return Headline(
                    f"{wanted} but its length prefix {difference.prefix!r} says "
                    f"{difference.size:,} bytes; the limit is {difference.limit:,}."
                )
            past = f"actually got {step.matcher.noun} " if step.matcher.noun else "actually read "
            return Headline(f"{wanted} but {past}{_value(difference.actual)}")
        case Ended() as ended:
            assert isinstance(step, Expect)
            return Headline(_ended(step.matcher, ended))
        case NotADisconnect(received):
            return Headline(
                "Received unexpected data while waiting for client to disconnect. "
                f"Data is {quoted(received)}."
            )
        case WasReset(unread):
            return Headline(
                "Connection was reset.",
                "Did client close writer prematurely?",
                "" if unread else "Did the client close its stream before it had read everything?",
            )
        case SendStalled(accepted, total):
            return Headline(
                f"Timed out sending to the client: {accepted:,} of {total:,} bytes were accepted."
            )
        case NotSent(data):
            return Headline(f"Client closed the connection before {quoted(data)} could be sent.")
        case ExtraConnection(number, waiting, scripted):
            return Headline(_extra_connection(number, waiting, scripted))
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
        case _ as broken:
            return Headline(broken.reason)


def _timed_out(step: Step | None) -> Headline:
    if isinstance(step, ExpectDisconnect):
        return Headline(
            f"Timed out waiting for {_awaited(step)}.",
            "Remember to call `writer.close()`.",
            "Remember to close the client's stream.",
        )
    assert step is not None
    stop = "." if isinstance(step, ExpectConnect) else ""
    return Headline(f"Timed out waiting for {_awaited(step)}{stop}")


def _awaited(step: Step) -> str:
    """What a step waits for."""
    if isinstance(step, ExpectConnect):
        return "client to connect"
    if isinstance(step, ExpectDisconnect):
        return "client to disconnect"
    assert isinstance(step, Expect)
    return _wanted(step.matcher)


def _wanted(matcher: Matcher) -> str:
    return f"{matcher.noun} {_value(matcher.expected)}".lstrip()


def _value(value: object) -> str:
    return quoted(value) if isinstance(value, bytes) else repr(value)


def _verb(matcher: Matcher) -> str:
    return "to get" if matcher.noun else "to read"


def _ended(matcher: Matcher, ended: Ended) -> str:
    wanted = f"Expected {_verb(matcher)} {_wanted(matcher)}"
    how = "was reset" if ended.reset else "was closed"
    if not matcher.noun:
        return f"{wanted} but only read {quoted(ended.received)} before the connection {how}."
    missing = ended.missing
    if missing is None:
        if ended.reset or not matcher.expected:
            return f"{wanted} but the connection {how}."
        return f"{wanted} but actually got {matcher.noun} b''"
    if missing.part == "payload":
        reached = f"{missing.have:,} of its {missing.need:,} bytes"
        return f"{wanted} but the connection {how} after {reached}."
    return (
        f"{wanted} but the connection {how} after {missing.have} of the {missing.need} bytes "
        f"of its {missing.part}."
    )


def _extra_connection(number: int, waiting: Step | None, scripted: bool) -> str:
    if not scripted:
        return "A client connected, but there is no `expect_connect()` for it."
    if isinstance(waiting, Expect | ExpectDisconnect):
        return f"While waiting for {_awaited(waiting)} a {_nth(number)} connection was attempted."
    if isinstance(waiting, Send):
        sending = _value(waiting.arguments[0])
        return f"While sending {sending} a {_nth(number)} connection was attempted."
    return f"Connection {number} was not expected."


def _nth(number: int) -> str:
    teen = number // 10 % 10 == 1
    suffix = "th" if teen else _SUFFIXES.get(number % 10, "th")
    return _ORDINALS.get(number, f"{number}{suffix}")
