"""Random scripts, and clients that do them, or part of them, or something like it.

All is made of few different bytes, and short, so that much of it is the beginning of something
else, and several things could be meant.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from helpers import EOF, FILE, RESET, connect, disconnect, end, read, send
from hypothesis import strategies as st

from pytest_tcpclient._contents import ANY, Late
from pytest_tcpclient._framings import (
    Checked,
    Delimited,
    FixedSize,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
    checked_framing,
)
from pytest_tcpclient._matchers import (
    NEED_DATA,
    AnyOf,
    Count,
    Exactly,
    Frame,
    InAnyOrder,
    Line,
    Matched,
    Mismatch,
    NamedMatcher,
    Outcome,
    OwnMatcher,
    Until,
    any_of,
    count,
    exactly,
    in_any_order,
    line,
    named,
    until,
)
from pytest_tcpclient._matchers import frame as framed_by
from pytest_tcpclient._rule import Rule
from pytest_tcpclient._steps import (
    Expect,
    ExpectDisconnect,
    ExpectEof,
    ExpectNothing,
    ExpectReset,
    Place,
    Run,
    Send,
    Step,
    Undecided,
)

PLACE = Place(FILE, 1)
ALPHABET = b"ab\2"


class Twins:
    """A framing: two equal bytes are a message, which is the first of them as a number."""

    def __repr__(self) -> str:
        return "Twins()"

    def encode(self, payload: int) -> bytes:
        return bytes([payload, payload])

    def decode(self, buffer: bytes) -> tuple[int, int] | None:
        if len(buffer) < 2:
            return None
        if buffer[0] != buffer[1]:
            raise ValueError("they are no twins")
        return buffer[0], 2


class Palindrome:
    """A matcher: three bytes that are the same from behind. It tells all that it has seen."""

    def __repr__(self) -> str:
        return "Palindrome()"

    def match(self, buffer: bytes) -> Outcome:
        if len(buffer) < 3:
            return NEED_DATA
        if buffer[0] != buffer[2]:
            return Mismatch("a palindrome", buffer)
        return Matched(3, buffer[:3].decode("latin-1"))


TWINS, PALINDROME = checked_framing("framing", Twins()), Palindrome()
FRAMINGS: list[Checked] = [
    LengthPrefixed(size=1, limit=2),
    LengthPrefixed(size=2, byteorder="little", includes_prefix=True, limit=3),
    VarintPrefixed(limit=2),
    Netstring(limit=12),
    Delimited(b"ab", limit=2),
    FixedSize(2),
]


def starts_with_a(content: bytes) -> bool:
    return content.startswith(b"a")


def refuses(content: bytes) -> bool:
    """A predicate that is at fault itself."""
    raise LookupError("nothing is right")


def some(least: int, most: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(ALPHABET), min_size=least, max_size=most).map(bytes)


PATTERNS = st.sampled_from([rb"a.?", rb"[ab]*", rb"(?s).*b", rb"\x02+"]).map(re.compile)
CONTENTS: st.SearchStrategy[Any] = st.one_of(
    st.just(ANY), PATTERNS, st.sampled_from([starts_with_a, starts_with_a, refuses])
)


@st.composite
def frames(draw: st.DrawFn) -> NamedMatcher:
    framing = draw(st.sampled_from([*FRAMINGS, TWINS]))
    if framing is TWINS:
        payload: Any = draw(st.just(ANY) | st.sampled_from(ALPHABET))
    elif isinstance(framing, FixedSize):
        payload = draw(some(2, 2) | CONTENTS)
    elif isinstance(framing, Delimited):
        payload = draw(some(0, 2).filter(lambda data: b"ab" not in data) | CONTENTS)
    else:
        payload = draw(some(0, 3) | CONTENTS)
    return framed_by(payload, framing)


LIMITS = st.sampled_from([1, 2, 3, 100])
DELIMITERS = st.sampled_from([b"b", b"ab", b"aa", b"\2", b"aba"])


@st.composite
def shapes(draw: st.DrawFn) -> NamedMatcher:
    """A line, data up to a delimiter, or so many bytes."""
    delimiter, limit = draw(DELIMITERS), draw(LIMITS)
    kind = draw(st.sampled_from("luc"))
    if kind == "l":
        content = draw(some(0, 3) | CONTENTS)
        if isinstance(content, bytes):
            content = content.partition(delimiter)[0]
        return line(content, delimiter, limit)
    content = draw(some(1, 4) | CONTENTS)
    if kind == "u":
        if isinstance(content, bytes):
            content = (content + delimiter).partition(delimiter)[0] + delimiter
        return until(delimiter, content, limit)
    return count(len(content) if isinstance(content, bytes) else draw(st.integers(1, 4)), content)


SINGLE: st.SearchStrategy[NamedMatcher] = st.one_of(
    some(1, 4).map(exactly),
    some(1, 4).map(exactly),
    shapes(),
    shapes(),
    frames(),
    st.just(named("matcher", PALINDROME)),
)
MATCHERS: st.SearchStrategy[NamedMatcher] = st.recursive(
    SINGLE,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: any_of(*parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: in_any_order(*parts)),
    ),
    max_leaves=4,
)


@st.composite
def right_bytes(draw: st.DrawFn, matcher: NamedMatcher) -> bytes:
    """What a client could send for a matcher. (Not if nothing satisfies it.)"""
    match matcher:
        case Exactly(data):
            return data
        case AnyOf(parts):
            return draw(right_bytes(draw(st.sampled_from(parts))))
        case InAnyOrder(parts):
            return b"".join(draw(right_bytes(part)) for part in draw(st.permutations(parts)))
        case Count(size, expected):
            return expected if isinstance(expected, bytes) else draw(some(size, size))
        case Line(expected, newline):
            content = expected if isinstance(expected, bytes) else draw(some(0, 3))
            return content + (newline or b"\n")
        case Until(delimiter, expected):
            return expected if isinstance(expected, bytes) else draw(some(0, 2)) + delimiter
        case Frame(expected, framing):
            assert framing is not None
            if framing is TWINS:
                return framing.encode(draw(st.sampled_from(ALPHABET)))
            data = expected if isinstance(expected, bytes) else draw(some(0, 2))
            if isinstance(framing, FixedSize):
                return framing.encode((data + b"ab")[:2])
            if isinstance(framing, Delimited) and not isinstance(expected, bytes):
                data = data.replace(b"b", b"a")
            return framing.encode(data)
        case OwnMatcher():
            return draw(st.sampled_from([b"aba", b"bbb", b"aab"]))
    raise AssertionError(matcher)


def late_send(received: object) -> bytes:
    """An answer that shows what has been received."""
    return repr(received).encode()


def fails(received: object) -> bytes:
    """A function that is at fault itself."""
    raise ValueError(f"no answer to {received!r}")


def expect(matcher: NamedMatcher, optional: bool) -> Expect:
    return Expect("expect", PLACE, (matcher,), {}, 1.0, optional, matcher=matcher)


def late_expect(data: bytes, optional: bool) -> Undecided:
    """Bytes that are known only when it is time."""

    def build(declaration: Any, data: bytes) -> Expect:
        return Expect(*declaration, matcher=Exactly(data))

    late = Late(lambda: data, False, bytes)
    return Undecided("expect_bytes", PLACE, (late,), {}, 1.0, optional, build=build)


def build_send(declaration: Any, data: bytes) -> Send:
    return Send(*declaration, data=data)


def answer(function: Any) -> Undecided:
    late = Late(function, True, bytes)
    return Undecided("send_bytes", PLACE, (late,), {}, 1.0, build=build_send, acts=True)


def endings(optional: bool) -> list[Step]:
    """All that a script can say of the end of a connection."""
    return [
        ExpectDisconnect("expect_disconnect", PLACE, limit=1.0, optional=optional),
        ExpectDisconnect("expect_disconnect", PLACE, limit=1.0, optional=optional, clean=False),
        ExpectEof("expect_eof", PLACE, limit=1.0, optional=optional),
        ExpectReset("expect_reset", PLACE, limit=1.0, optional=optional),
    ]


QUIET = ExpectNothing("expect_nothing", PLACE, (1.0,), {}, 1.0)
RUN = Run("run", PLACE, (print,), limit=1.0, function=print)
ACTING: st.SearchStrategy[Step] = st.one_of(
    some(1, 2).map(send),
    st.just(answer(late_send)),
    st.just(answer(late_send)),
    st.sampled_from([RUN, answer(fails)]),
)


class Client(NamedTuple):
    """What a script, its background rules, and a client are."""

    steps: list[Step]
    rules: list[tuple[NamedMatcher, Any]]
    data: bytes
    ending: str | None

    def fresh_rules(self) -> list[Rule]:
        return [
            Rule(("whenever", PLACE, (matcher, reply), {}, 1.0, False), matcher, reply)
            for matcher, reply in self.rules
        ]


REPLIES = st.one_of(
    st.none(),
    some(1, 2),
    st.just(Late(late_send, True, bytes)),
    st.sampled_from([Late(fails, True, bytes), Late(bytes, False, bytes)]),
)


@st.composite
def clients(draw: st.DrawFn, *, optional: bool = False, rules: bool = False) -> Client:
    """A script, with or without steps that are optional, and with or without rules."""
    optionally = st.booleans() if optional else st.just(False)
    steps: list[Step] = []
    data = b""
    background: list[tuple[NamedMatcher, Any]] = []
    if rules:
        background = draw(st.lists(st.tuples(MATCHERS, REPLIES), min_size=1, max_size=3))

    def prelude() -> bytes:
        """What only a background rule expects, now and then."""
        if not background or draw(st.integers(0, 2)):
            return b""
        return draw(right_bytes(draw(st.sampled_from(background))[0]))

    for _ in range(draw(st.integers(0, 4))):
        data += prelude()
        kind = draw(st.integers(0, 9))
        if kind < 6:
            matcher = draw(MATCHERS)
            step = expect(matcher, draw(optionally))
            steps.append(step)
            if not step.optional or draw(st.booleans()):
                data += draw(right_bytes(matcher))
        elif kind == 6:
            wanted = draw(some(1, 3))
            late = late_expect(wanted, draw(optionally))
            steps.append(late)
            if not late.optional or draw(st.booleans()):
                data += wanted
        elif kind < 9:
            steps.append(draw(ACTING))
        else:
            others = [QUIET, connect(), disconnect(), read(b"a"), *endings(False)]
            if optional:
                others += endings(True)
            chosen = draw(st.sampled_from(others))
            if chosen != disconnect() or disconnect() not in steps:
                steps.append(chosen)
    if disconnect() in steps:  # Nothing can be sent after that.
        at = steps.index(disconnect())
        steps[at + 1 :] = [
            step
            for step in steps[at + 1 :]
            if not (isinstance(step, Send | Run) or getattr(step, "acts", False))
        ]
    steps += draw(st.sampled_from([[], [], [end()], [end(unexpected=False)]]))
    data += prelude()
    if draw(st.booleans()):
        kept = draw(st.integers(0, len(data)))
        data = data[:kept] + draw(some(0, 2)) + data[kept + draw(st.integers(0, 2)) :]
    if draw(st.booleans()):
        data += draw(some(1, 2))
    return Client(steps, background, data, draw(st.sampled_from([None, EOF, RESET])))
