"""What a known cause looks like, in the bytes that came.

Rules:

1. A hint is a sentence about this client, and true: where the bytes leave it open, there is none.
2. One failure, one hint: the first of ``HINTS`` that has something to say, so the most certain
   ones stand first.
3. What the first line says already is not said again.

A new hint is a function here, and its name in ``HINTS``.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from .._failure import (
    Differs,
    Ended,
    Failure,
    HandshakeFailed,
    LeftBytes,
    NotADisconnect,
    NotEncrypted,
    NotSilent,
    TimedOut,
)
from .._framings import Delimited, LengthPrefixed
from .._matchers import Exactly, Frame, Line, Mismatch, NamedMatcher, Until
from .._steps import Expect, ExpectConnect, Skipped, StartTls, Step
from .data import first_difference
from .script import call, place

#: Longer data are not looked into.
LOOKED_AT = 64 * 1024

#: What was not complete when the waiting was over.
Waiting = TimedOut | Ended

#: Fewer bytes than this are too little to say what they are.
TELLING = 3


@dataclass(frozen=True, slots=True)
class Case:
    """What a hint can know.

    :ivar matcher: of the step that failed, if it is about bytes.
    :ivar wire: the bytes that had to come, if only these would do.
    :ivar received: all that came for the step.
    :ivar content: expected and actual content, if they are bytes and were complete.
    """

    failure: Failure
    matcher: NamedMatcher | None
    wire: bytes | None
    received: bytes
    content: tuple[bytes, bytes] | None

    @property
    def contradicts(self) -> bool:
        """Whether what came is no beginning of what had to come."""
        return self.wire is None or not self.wire.startswith(self.received)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """What was expected and what came: the contents, and all of it."""
        if self.content is not None:
            yield self.content
        if self.wire is not None:
            yield self.wire, self.received


def hint(failure: Failure) -> str:
    """What is known to look like this, in a sentence; ``""`` if nothing is."""
    case = _case(failure)
    if case is None:
        return ""
    return next(filter(None, (each(case) for each in HINTS)), "")


def _case(failure: Failure) -> Case | None:
    received = _received(failure)
    matcher = _matcher(failure.step)
    wire = matcher.wire() if matcher is not None else None
    content = None
    if isinstance(failure.problem, Differs) and not isinstance(matcher, Exactly):
        match failure.problem.difference:
            case Mismatch(bytes() as expected, bytes() as actual):
                content = expected, actual
    sizes = [len(each) for each in (received, wire or b"", *(content or ()))]
    if not received or max(sizes) > LOOKED_AT:
        return None
    return Case(failure, matcher, wire, received, content)


def _received(failure: Failure) -> bytes:
    """All that came, which is wrong."""
    step = failure.step
    if isinstance(step, ExpectConnect) and "first" in step.options and failure.unclaimed:
        # A connection that does not begin as one was to begin.
        return next((data for _, data in failure.unclaimed if data), b"")
    match failure.problem:
        case (
            TimedOut(received)
            | Ended(received)
            | Differs(received=received)
            | NotADisconnect(received)
            | NotSilent(received)
            | LeftBytes(received)
            | NotEncrypted(received)
            | HandshakeFailed(received=received)
        ):
            return received
    return b""


def _matcher(step: Step | None) -> NamedMatcher | None:
    """What a step looks for, if it is about bytes."""
    if isinstance(step, ExpectConnect):
        first = step.options.get("first")
        return first if isinstance(first, Exactly) else None
    return step.matcher if isinstance(step, Expect) else None


# Another protocol

#: A record of TLS (RFC 8446, 5.1) with the first bytes of a ClientHello in it (4).
_CLIENT_HELLO = re.compile(rb"\x16\x03[\x00-\x04]..\x01", re.DOTALL)

_METHOD = rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE|PRI) "
_HTTP = re.compile(_METHOD + rb"\S+ HTTP/[12]\.[01]\r?\n")


def speaks_tls(case: Case) -> str:
    """A client that begins with TLS, where the script wants no TLS."""
    if not _CLIENT_HELLO.match(case.received) or (case.wire or b"").startswith(b"\x16\x03"):
        return ""
    problem = case.failure.problem
    if isinstance(problem, HandshakeFailed | NotEncrypted):
        return ""
    later = next((step for step in case.failure.script.ahead if isinstance(step, StartTls)), None)
    if later is not None:
        return f"The client began with TLS before the script came to {_named(later)}."
    return (
        "That is the ClientHello of a TLS handshake: the client speaks TLS, the server does not. "
        "(Its option is tls=True.)"
    )


def speaks_plain_text(case: Case) -> str:
    """A client that does not begin with TLS, where the script wants it."""
    problem = case.failure.problem
    if isinstance(problem, HandshakeFailed) and problem.reason == "plain text":
        return "The client does not use TLS, the server does (its option tls)."
    return ""


def speaks_http(case: Case) -> str:
    """A client of HTTP, where the script is of another protocol."""
    if not _HTTP.match(case.received) or _said(case.failure.script.done):
        return ""
    binary = isinstance(case.matcher, Frame)
    wanted = case.wire
    if not binary and (wanted is None or re.match(_METHOD, wanted) or b"HTTP/" in wanted):
        return ""
    return "That is an HTTP request: is this the port that this client is meant for?"


# Steps that these bytes are for


def ahead(case: Case) -> str:
    """What a later step expects."""
    for step in case.failure.script.ahead:
        if _is_for(case, step) and not _sent_before(case):
            return f"The client is ahead of the script: that is for {_named(step)}."
    return ""


def repeated(case: Case) -> str:
    """What an earlier step has got already."""
    step = _sent_before(case)
    if step is None or any(_is_for(case, each) for each in case.failure.script.ahead):
        return ""
    return f"The client has sent that before, for {_named(step)}."


def of_another_connection(case: Case) -> str:
    """What is expected on another connection of the server."""
    for number, step in case.failure.elsewhere:
        if _is_for(case, step):
            return (
                f"That is expected on connection {number}, by {_named(step)}. Connections that "
                "come in any order are told apart by expect_connect(first=...)."
            )
    return ""


def _sent_before(case: Case) -> Step | None:
    steps = [each for each in case.failure.script.done if not isinstance(each, Skipped)]
    return next((step for step in reversed(steps) if _is_for(case, step)), None)


def _is_for(case: Case, step: Step) -> bool:
    """Whether these bytes are what a step expects, and so cannot be for the one that failed."""
    wire = _wire(step)
    if (
        wire is None
        or not case.contradicts
        or len(wire) < TELLING
        or not case.received.startswith(wire)
    ):
        return False
    if case.wire is not None and first_difference(case.wire, case.received) >= len(wire):
        return False
    # Where nothing says that it ends there, it may be the beginning of something else.
    framed = isinstance(step, Expect) and isinstance(step.matcher, Frame)
    whole = framed or wire.endswith((b"\n", b"\r", b"\0"))
    return whole or wire == case.received


def _wire(step: Step) -> bytes | None:
    """The bytes that a step expects, if only these will do."""
    return step.matcher.wire() if isinstance(step, Expect) else None


def _said(steps: Iterable[Step | Skipped]) -> bool:
    """Whether the client has said something before."""
    return any(isinstance(step, Expect) for step in steps)


def _named(step: Step) -> str:
    return f"`{call(step)}` ({place(step.place)})"


# Lengths


def length_prefix(case: Case) -> str:
    """A length that is written in another way, or counts something else."""
    framing = case.matcher.framing if isinstance(case.matcher, Frame) else None
    if not isinstance(framing, LengthPrefixed):
        return ""
    assert case.matcher is not None
    payload = case.matcher.expected
    received = case.received
    if isinstance(payload, bytes) and payload:
        wrong_length = first_difference(framing.encode(payload), received) < framing.size
        if len(payload) >= TELLING and received.startswith(payload) and wrong_length:
            return "The client has sent the payload without a length before it."
        for other in _other_prefixes(framing):
            if received.startswith(_encoded(other, payload)):
                return _other_prefix(framing, other)
    elif not isinstance(case.failure.problem, Differs) or case.content is None:
        # Nothing is known of the payload, but that it is all that came. (A few bytes too few
        # may be anything: the end of a line, for one.)
        for other in _other_prefixes(framing):
            counts = other.includes_prefix == framing.includes_prefix or framing.size >= 4
            if other.size == framing.size and counts and _fits(other, received):
                return _other_prefix(framing, other)
    return ""


def _other_prefixes(framing: LengthPrefixed) -> Iterator[LengthPrefixed]:
    """The other ways to write a length, those that differ in one point only first."""
    sizes = [framing.size, *(size for size in (4, 2, 1, 8, 3) if size != framing.size)]
    orders: tuple[Literal["big", "little"], ...] = ("big", "little")
    if framing.byteorder == "little":
        orders = orders[::-1]
    counts = [framing.includes_prefix, not framing.includes_prefix]
    for size, order, count in product(sizes, orders, counts):
        other = replace(framing, size=size, byteorder=order, includes_prefix=count)
        if other != framing and not (size == 1 and order != framing.byteorder):
            yield other


def _encoded(framing: LengthPrefixed, payload: bytes) -> bytes:
    try:
        return framing.encode(payload)
    except ValueError:  # It is too long for a length of this size.
        return payload


def _fits(framing: LengthPrefixed, received: bytes) -> bool:
    """Whether this is one whole message, of more than nothing."""
    try:
        decoded = framing.decode(received)
    except ValueError:
        return False
    return decoded is not None and decoded[0] != b"" and decoded[1] == len(received)


def _other_prefix(framing: LengthPrefixed, other: LengthPrefixed) -> str:
    if replace(other, byteorder=framing.byteorder) == framing:
        return (
            f"The client writes the length in the other byte order: {other.byteorder!r}, where "
            f"the framing has {framing.byteorder!r}."
        )
    if replace(other, includes_prefix=framing.includes_prefix) == framing:
        client, script = "counts", "does not"
        if framing.includes_prefix:
            client, script = "does not count", "does"
        return (
            f"The client {client} the {_bytes(framing.size)} of the length itself, the framing "
            f"{script} (includes_prefix)."
        )
    if replace(other, size=framing.size) == framing:
        return f"The client writes the length in {_bytes(other.size)}, not in {framing.size}."
    return f"The client's messages are those of {other!r}; the framing is {framing!r}."


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"


# Text

_ENCODINGS = {
    "UTF-16 (little-endian, with a byte order mark)": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "UTF-16 (big-endian, with a byte order mark)": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "UTF-16 (little-endian)": (b"", "utf-16-le"),
    "UTF-16 (big-endian)": (b"", "utf-16-be"),
    "UTF-8 with a byte order mark": (codecs.BOM_UTF8, "utf-8"),
    "Latin-1, not in UTF-8": (b"", "latin-1"),
}

#: What ends a line, or a string.
_TERMINATORS = (b"\r\n", b"\n", b"\r", b"\0")

#: The first one is what becomes of ``\r\n`` in a file that is opened for text on Windows.
_ENDINGS = re.compile(rb"\r\r\n|\r\n|\r|\n")


def encoding(case: Case) -> str:
    """The same text in another encoding."""
    for expected, actual in case.pairs():
        text = _text(expected)
        if text is None or expected.startswith(actual):
            continue
        for name, (mark, codec) in _ENCODINGS.items():
            try:
                encoded = mark + text.encode(codec)
            except UnicodeEncodeError:
                continue
            if encoded != expected and len(text) > 1 and actual.startswith(encoded):
                return f"The client has sent this text in {name}."
    return ""


def as_literal(case: Case) -> str:
    """``str()`` of bytes, which Python makes a literal of."""
    for expected, actual in case.pairs():
        if actual.startswith(repr(expected).encode()) and not expected.startswith(b"b"):
            return "The client has sent the `repr()` of these bytes, as `str(data)` gives it."
    return ""


def line_ending(case: Case) -> str:
    """Lines that end in another way."""
    wanted = _newline(case.matcher)
    for expected, actual in case.pairs():
        if (
            not expected.startswith(actual)
            and _text(actual) is not None
            and _one_ending(actual).startswith(_one_ending(expected))
        ):
            pairs = zip(_ENDINGS.findall(expected), _ENDINGS.findall(actual), strict=False)
            for want, got in pairs:
                if want != got:
                    return _other_ending(got, want)
    if wanted is not None and _text(case.received) and isinstance(case.failure.problem, Waiting):
        got = b"\n" if b"\r" in wanted else b"\r"
        if wanted not in case.received and case.received.endswith(_ENDINGS.sub(got, wanted)):
            return _other_ending(got, _ENDINGS.findall(wanted)[0])
    return ""


def missing_terminator(case: Case) -> str:
    """All but what ends it."""
    wire = case.wire
    if wire is None:
        return ""
    end = _terminator(case, wire)
    body = wire[: len(wire) - len(end)]
    if not end or not body:
        return ""
    following = [_wire(step) for step in case.failure.script.ahead[:1]]
    bodies = [body, *(body + each for each in following if each)]
    if case.received in bodies and (case.received == body or case.contradicts):
        return f"All of it has come, but for the {end!r} that ends it."
    return ""


def doubled_terminator(case: Case) -> str:
    """Something that ends twice."""
    if case.content is not None:
        expected, actual = case.content
        for end in _TERMINATORS:
            if actual == expected + end and not isinstance(case.matcher, Line):
                return f"The client has put {end!r} at its end, which the script does not expect."
    done = [each for each in case.failure.script.done if isinstance(each, Expect)]
    wire = _wire(done[-1]) if done else None
    if wire is None or not case.contradicts:
        return ""
    end = _ending(wire)
    rest = case.received.removeprefix(end)
    as_expected = case.wire is not None and rest.startswith(case.wire)
    if rest != case.received and (not rest or as_expected):
        return f"The client has ended what came before with {end!r} twice."
    return ""


def letter_case(case: Case) -> str:
    """The same letters, capital or small."""
    for expected, received in case.pairs():
        # More may come behind exact bytes.
        actual = received[: len(expected)] if isinstance(case.matcher, Exactly) else received
        if (
            _text(expected) is not None
            and _text(actual) is not None
            and expected != actual
            and expected.lower() == actual.lower()
        ):
            return "The two differ in upper and lower case only."
    return ""


def white_space(case: Case) -> str:
    """The same words, with other spaces between them."""
    for expected, actual in case.pairs():
        squeezed = b"".join(expected.split())
        if (
            squeezed
            and _text(expected) is not None
            and _text(actual) is not None
            and not expected.startswith(actual)
            and squeezed == b"".join(actual.split())
        ):
            return "The two differ in white space only."
    return ""


def _text(data: bytes) -> str | None:
    """Data as text, if that is what it is."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if re.fullmatch(r"[^\x00-\x08\x0e-\x1f\x7f]+", text) else None


def _one_ending(data: bytes) -> bytes:
    return _ENDINGS.sub(b"\n", data)


def _other_ending(got: bytes, wanted: bytes) -> str:
    return f"The client ends a line with {got!r}, where the script wants {wanted!r}."


def _newline(matcher: NamedMatcher | None) -> bytes | None:
    """What ends the lines of a matcher, if that is a line ending."""
    end = _end(matcher)
    return end if end is not None and re.fullmatch(rb"(\r\n)+|\r+|\n+", end) else None


def _end(matcher: NamedMatcher | None) -> bytes | None:
    """What a matcher looks for, to know where something ends."""
    match matcher:
        case Line(newline=end) | Until(end) | Frame(framing=Delimited(end)):
            return end
    return None


def _terminator(case: Case, wire: bytes) -> bytes:
    """What ends these bytes, if something does."""
    return _end(case.matcher) or _ending(wire)


def _ending(data: bytes) -> bytes:
    return next((end for end in _TERMINATORS if data.endswith(end)), b"")


#: The most certain ones first.
HINTS: tuple[Callable[[Case], str], ...] = (
    speaks_tls,
    speaks_plain_text,
    speaks_http,
    length_prefix,
    ahead,
    repeated,
    of_another_connection,
    encoding,
    as_literal,
    line_ending,
    missing_terminator,
    doubled_terminator,
    letter_case,
    white_space,
)
