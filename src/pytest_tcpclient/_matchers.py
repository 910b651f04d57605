"""Matchers decide about the bytes received so far. No I/O.

Rules:

1. A matcher has no state. What it has judged already is told to it again as
   ``taken``, so that a large expectation is compared piece by piece, in place.
2. A matcher returns the difference, not a boolean: the report cannot disagree with
   the decision.
3. A matcher names what it wanted (``noun``, ``expected``, ``parts``). Sentences are made in
   ``_report``.
4. The verdict depends on the bytes alone, never on how they were cut: what a matcher says of
   a buffer other than "not yet" it says of every longer one. So where there are several, in
   ``any_of()``, one is asked only when those before it have said no.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

from ._checked import checked_bytes, checked_size
from ._contents import ANY, Late, compare, given_content, literal
from ._errors import ScriptError
from ._framings import (
    LIMIT,
    LINE_LIMIT,
    Buffer,
    Checked,
    Incomplete,
    OwnFraming,
    TooLong,
    VarintPrefixed,
    checked_framing,
    find,
)

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.


class Matched(NamedTuple):
    """Satisfied. ``size`` bytes of the buffer belong to it; ``value`` is what it got."""

    size: int
    value: object


class NeedData(NamedTuple):
    """Neither yet. The first ``taken`` bytes of the buffer need not be seen again."""

    taken: int = 0


#: What a matcher says as long as more bytes could decide it.
NEED_DATA = NeedData()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Cannot be satisfied any more: ``actual`` came where ``expected`` should have."""

    expected: object
    actual: object


@dataclass(frozen=True, slots=True)
class Oversized:
    """Cannot be judged: longer than its limit.

    ``size`` is the length that a message says it has, in these bytes: ``prefix``.
    """

    limit: int
    size: int | None = None
    prefix: bytes = b""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Cannot be judged: it is not what its framing reads. ``reason`` says why not."""

    reason: str


Difference = Mismatch | Oversized | Malformed
Outcome = Matched | NeedData | Difference


class Matcher(Protocol):
    """Decides about the bytes received so far. Any object with this method will do.

    A matcher has no state: it is asked again with all the bytes whenever more have arrived.
    Its ``repr`` says in messages what it wanted.
    """

    @abstractmethod
    def match(self, buffer: bytes, /) -> Outcome:
        """Judge what has arrived, one byte or more.

        :return: ``Matched(size, value)`` if the first ``size`` bytes (1 or more) are what was
            wanted; the rest is left for the next step, and ``value`` is what the handle has
            received. ``NEED_DATA`` as long as more bytes could decide it.
            ``Mismatch(expected, actual)`` if no more bytes could change it: what is shown is
            ``actual``.
        """


class NamedMatcher(Matcher, Protocol):
    """A matcher of this package, which names what it wanted."""

    @property
    @abstractmethod
    def noun(self) -> str:
        """What kind of thing is wanted, ``""`` if the thing says so itself."""

    @property
    @abstractmethod
    def some(self) -> str:
        """Whichever thing of that kind: ``a line``."""

    @property
    @abstractmethod
    def expected(self) -> object:
        """The thing that is wanted, ``ANY`` for any of its kind."""

    @property
    @abstractmethod
    def parts(self) -> tuple[NamedMatcher, ...]:
        """The things that are wanted, where these are several."""

    @property
    @abstractmethod
    def joined(self) -> str:
        """How they are put together: ``any of {}``."""

    @abstractmethod
    def match(self, buffer: Buffer, taken: int = 0, /) -> Outcome:
        """Judge the buffer, after ``taken`` bytes that were judged and removed before."""

    @abstractmethod
    def so_far(self, buffer: Buffer, taken: int, /) -> bytes:
        """All that has arrived for this expectation, the taken bytes included."""

    @abstractmethod
    def missing(self, buffer: Buffer, taken: int, /) -> Incomplete | None:
        """How far the current message has come, where that is known."""

    @abstractmethod
    def wire(self) -> bytes | None:
        """The bytes that must come, if only these will do."""

    @abstractmethod
    def bound(self, framing: Checked, newline: bytes) -> NamedMatcher:
        """The same for a script with these defaults."""


class _Whole:
    """A matcher that keeps all bytes until it has a verdict."""

    __slots__ = ()

    @property
    def noun(self) -> str:
        return ""

    @property
    def some(self) -> str:
        return f"a {self.noun}"

    @property
    def joined(self) -> str:
        return ""

    @property
    def parts(self) -> tuple[NamedMatcher, ...]:
        return ()

    def so_far(self, buffer: Buffer, taken: int) -> bytes:
        return bytes(buffer)

    def missing(self, buffer: Buffer, taken: int) -> Incomplete | None:
        return None

    def wire(self) -> bytes | None:
        return None

    def bound(self, framing: Checked, newline: bytes) -> Any:
        return self


@dataclass(frozen=True, slots=True, repr=False)
class Exactly(_Whole):
    """Exactly these bytes come next. Wrong from the first wrong byte on."""

    expected: bytes

    def __repr__(self) -> str:
        return repr(self.expected)

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        expected = self.expected
        rest = len(expected) - taken
        have = len(buffer)
        piece = buffer if have <= rest else memoryview(buffer)[:rest]
        if not expected.startswith(piece, taken):
            return Mismatch(expected, expected[:taken] + bytes(piece))
        return Matched(rest, expected) if have >= rest else NeedData(have)

    def so_far(self, buffer: Buffer, taken: int) -> bytes:
        # What was taken matched: it need not have been kept.
        return self.expected[:taken] + bytes(buffer)

    def wire(self) -> bytes | None:
        return self.expected


@dataclass(frozen=True, slots=True, repr=False)
class Frame(_Whole):
    """One message with this payload comes next. Judged when it is complete.

    Without a ``framing`` it is that of its script.
    """

    expected: Any = ANY
    framing: Checked | None = None

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        self.wire()  # What its framing cannot encode never comes.

    def __repr__(self) -> str:
        return _call("frame", self.expected, framing=self.framing)

    @property
    def noun(self) -> str:
        return "frame"

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        assert self.framing is not None
        try:
            found = self.framing.decode(buffer)
        except TooLong as error:
            return Oversized(error.limit, error.size, error.prefix)
        except ValueError as error:
            return Malformed(str(error))
        if found is None:
            return NEED_DATA
        return _judged(self.expected, *found)

    def missing(self, buffer: Buffer, taken: int) -> Incomplete | None:
        assert self.framing is not None
        return self.framing.missing(buffer) if buffer else None

    def wire(self) -> bytes | None:
        # A varint can be written in several ways, and so can what a framing of the test's own
        # encodes.
        known = not isinstance(self.framing, OwnFraming | VarintPrefixed | None)
        if not (known and isinstance(self.expected, bytes)):
            return None
        assert self.framing is not None
        return self.framing.encode(self.expected)

    def bound(self, framing: Checked, newline: bytes) -> Frame:
        return self if self.framing else replace(self, framing=framing)


@dataclass(frozen=True, slots=True, repr=False)
class Line(_Whole):
    """One line comes next; its content is what stands before the newline."""

    expected: Any = ANY
    newline: bytes | None = None
    limit: int = LINE_LIMIT

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        if self.newline and isinstance(self.expected, bytes) and self.newline in self.expected:
            raise ValueError(
                f"line must not contain the newline {self.newline!r}: it stands before that"
            )

    def __repr__(self) -> str:
        return _call("line", self.expected, newline=self.newline, limit=_set(self.limit))

    @property
    def noun(self) -> str:
        return "line"

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        assert self.newline is not None
        try:
            end = find(buffer, self.newline, self.limit)
        except TooLong:
            return Oversized(self.limit)
        if end < 0:
            return NEED_DATA
        return _judged(self.expected, bytes(buffer[:end]), end + len(self.newline))

    def wire(self) -> bytes | None:
        assert self.newline is not None
        return self.expected + self.newline if isinstance(self.expected, bytes) else None

    def bound(self, framing: Checked, newline: bytes) -> Line:
        return self if self.newline else replace(self, newline=newline)


@dataclass(frozen=True, slots=True, repr=False)
class Until(_Whole):
    """Everything up to a delimiter comes next; the content ends with the delimiter."""

    delimiter: bytes
    expected: Any = ANY
    limit: int = LINE_LIMIT

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        if not isinstance(self.expected, bytes):
            return
        if self.expected.partition(self.delimiter)[1:] != (self.delimiter, b""):
            raise ValueError(
                f"content must end with the delimiter {self.delimiter!r}, and not contain it before"
            )

    def __repr__(self) -> str:
        return _call("until", self.delimiter, self.expected, limit=_set(self.limit))

    @property
    def noun(self) -> str:
        return f"data up to {self.delimiter!r}"

    @property
    def some(self) -> str:
        return self.noun

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        try:
            end = find(buffer, self.delimiter, self.limit)
        except TooLong:
            return Oversized(self.limit)
        if end < 0:
            return NEED_DATA
        end += len(self.delimiter)
        return _judged(self.expected, bytes(buffer[:end]), end)

    def wire(self) -> bytes | None:
        return self.expected if isinstance(self.expected, bytes) else None


@dataclass(frozen=True, slots=True, repr=False)
class Count(_Whole):
    """So many bytes come next, whatever they are."""

    size: int
    expected: Any = ANY

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        if isinstance(self.expected, bytes) and len(self.expected) != self.size:
            raise ValueError(
                f"content must have n = {self.size:,} bytes, not {len(self.expected):,}"
            )

    def __repr__(self) -> str:
        return _call("count", self.size, self.expected)

    @property
    def noun(self) -> str:
        return f"{self.size:,} byte{'' if self.size == 1 else 's'}"

    @property
    def some(self) -> str:
        return self.noun

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        if len(buffer) < self.size:
            return NEED_DATA
        return _judged(self.expected, bytes(buffer[: self.size]), self.size)

    def wire(self) -> bytes | None:
        return self.expected if isinstance(self.expected, bytes) else None


@dataclass(frozen=True, slots=True, repr=False)
class _Several(_Whole):
    """A matcher that is made of others."""

    matchers: tuple[NamedMatcher, ...]

    @property
    def parts(self) -> tuple[NamedMatcher, ...]:
        return self.matchers

    @property
    def expected(self) -> object:
        return ANY

    def bound(self, framing: Checked, newline: bytes) -> Any:
        return replace(self, matchers=tuple(each.bound(framing, newline) for each in self.parts))


@dataclass(frozen=True, slots=True, repr=False)
class AnyOf(_Several):
    """The first of several matchers that does not say no."""

    def __repr__(self) -> str:
        return _call("any_of", *self.matchers)

    @property
    def joined(self) -> str:
        return "any of {}"

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        closest: Difference | None = None
        for part in self.matchers:
            outcome = judge_early(part, buffer)
            if isinstance(outcome, Matched | NeedData):
                return outcome
            closest = _closest(closest, outcome)
        assert closest is not None
        return closest


@dataclass(frozen=True, slots=True, repr=False)
class InAnyOrder(_Several):
    """Each of several matchers once."""

    def __repr__(self) -> str:
        return _call("in_any_order", *self.matchers)

    @property
    def joined(self) -> str:
        return "{} in any order"

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        return self._match(buffer, {})

    def unmatched(self, buffer: Buffer) -> tuple[NamedMatcher, ...]:
        """The parts that have not come."""
        values: dict[int, object] = {}
        self._match(buffer, values)
        return tuple(part for index, part in enumerate(self.matchers) if index not in values)

    def _match(self, buffer: Buffer, values: dict[int, object]) -> Outcome:
        """Judge the buffer. What has come is entered in the values, by the number of its part."""
        size = 0
        while len(values) < len(self.matchers):
            rest = bytes(buffer[size:]) if size else buffer
            closest: Difference | None = None
            for index, part in enumerate(self.matchers):
                if index in values:
                    continue
                outcome = judge_early(part, rest)
                if isinstance(outcome, Matched):
                    values[index] = outcome.value
                    size += outcome.size
                    break
                if isinstance(outcome, NeedData):
                    return NEED_DATA
                closest = _closest(closest, outcome)
            else:
                assert closest is not None
                return closest
        return Matched(size, tuple(values[index] for index in range(len(values))))


@dataclass(frozen=True, slots=True, repr=False)
class OwnMatcher(_Whole):
    """A matcher of the test's own, whose answers are checked."""

    expected: Matcher

    def __repr__(self) -> str:
        return literal(self.expected)

    def match(self, buffer: Buffer, taken: int = 0) -> Outcome:
        if not buffer:
            return NEED_DATA
        # No more than the limit: whether it is too long must not depend on a cut.
        given = bytes(buffer[:LIMIT])
        outcome: object = self.expected.match(given)
        if isinstance(outcome, NeedData):
            return NEED_DATA if len(buffer) <= LIMIT else Oversized(LIMIT)
        if isinstance(outcome, Matched):
            if not 0 < outcome.size <= len(given):
                raise ScriptError(
                    f"match() of {self!r} was given {len(given):,} bytes, and says that "
                    f"{outcome.size:,} of them belong to it"
                )
        elif not isinstance(outcome, Mismatch):
            raise ScriptError(
                f"match() of {self!r} must return Matched(size, value), NEED_DATA or "
                f"Mismatch(expected, actual), not {outcome!r}"
            )
        return outcome


# What a test writes


def exactly(data: bytes) -> NamedMatcher:
    """Exactly these bytes, one or more. Where a matcher is wanted, the bytes alone will do.

    :param data: one byte or more.
    """
    __tracebackhide__ = True
    return Exactly(checked_bytes("data", data))


def frame(payload: object = ANY, framing: object = None) -> NamedMatcher:
    """One message.

    :param payload: as for :meth:`Script.expect_frame`, but for functions without arguments.
    :param framing: how it is delimited; by default as the server's messages are.
    """
    __tracebackhide__ = True
    checked = None if framing is None else checked_framing("framing", framing)
    # What a framing of the test's own, or of the server's, gives can be anything.
    raw = checked is not None and not isinstance(checked, OwnFraming)
    return Frame(_content("payload", payload, raw=raw), checked)


def line(line: object = ANY, newline: bytes | None = None, limit: int = LINE_LIMIT) -> NamedMatcher:
    """One line; its content is what stands before the newline.

    :param line: as for :meth:`Script.expect_line`, but for functions without arguments.
    :param newline: what ends it; by default what ends the server's lines.
    :param limit: the longest line, in bytes.
    """
    __tracebackhide__ = True
    if newline is not None:
        newline = checked_bytes("newline", newline)
    return Line(_content("line", line), newline, checked_size("limit", limit))


def until(delimiter: bytes, content: object = ANY, limit: int = LINE_LIMIT) -> NamedMatcher:
    """Everything up to a delimiter; the content ends with the delimiter.

    :param delimiter: one byte or more.
    :param content: as for :meth:`Script.expect_until`, but for functions without arguments.
    :param limit: how many bytes may stand before the delimiter.
    """
    __tracebackhide__ = True
    delimiter = checked_bytes("delimiter", delimiter)
    return Until(delimiter, _content("content", content), checked_size("limit", limit))


def count(n: int, content: object = ANY) -> NamedMatcher:
    """So many bytes.

    :param n: 1 or more.
    :param content: as for :meth:`Script.expect_count`, but for functions without arguments.
    """
    __tracebackhide__ = True
    return Count(checked_size("n", n), _content("content", content))


def any_of(*alternatives: bytes | Matcher) -> NamedMatcher:
    """One of several things: the first that can be said to be there.

    They are tried in this order, and one only when those before it cannot come any more.
    So let ``b"QUIT now"`` stand after ``b"QUIT"`` only if it is never meant: ``b"QUIT"``
    comes true as soon as it is there, and does not wait for more.

    :param alternatives: one or more: bytes, matchers, or both.
    """
    __tracebackhide__ = True
    return AnyOf(_parts("any_of", alternatives))


def in_any_order(*matchers: bytes | Matcher) -> NamedMatcher:
    """Each of several things, once, in whichever order the client sends them.

    What the handle receives is a tuple, in the order of the arguments. At each place in the
    input they are tried in that order, and what has been found is not gone back on.

    :param matchers: one or more: bytes, matchers, or both.
    """
    __tracebackhide__ = True
    return InAnyOrder(_parts("in_any_order", matchers))


def named(name: str, matcher: object) -> NamedMatcher:
    """What a test gave as a matcher, as the rules use it: bytes, ours, or its own."""
    __tracebackhide__ = True
    if isinstance(matcher, _Whole):
        return matcher  # type: ignore[return-value]
    if isinstance(matcher, type):
        raise TypeError(f"{name} must be an object, not a class: write {matcher.__name__}()")
    if callable(getattr(matcher, "match", None)) and not hasattr(matcher, "fullmatch"):
        return OwnMatcher(matcher)  # type: ignore[arg-type]
    if isinstance(matcher, str | bytes | bytearray | memoryview):
        return Exactly(checked_bytes(name, matcher))
    raise TypeError(
        f"{name} must be bytes or a matcher (line(), frame(), any_of(), ..., or an object with a "
        f"method match()), not {matcher!r}"
    )


def spoken(message: Frame | Line) -> bytes:
    """The bytes on the wire of a message or a line, to send it."""
    __tracebackhide__ = True
    if isinstance(message, Frame):
        assert message.framing is not None
        return message.framing.encode(message.expected)
    assert message.newline is not None
    return checked_bytes("line", message.expected, empty=True) + message.newline


def _parts(word: str, matchers: tuple[object, ...]) -> tuple[NamedMatcher, ...]:
    __tracebackhide__ = True
    if not matchers:
        raise TypeError(f"{word}() needs at least one matcher")
    return tuple(map(partial(named, "a matcher"), matchers))


def _content(name: str, content: object, *, raw: bool = True) -> Any:
    __tracebackhide__ = True
    checked = given_content(name, content, raw=raw)
    if isinstance(checked, Late):
        raise TypeError(
            f"{name} must be known when a matcher is made: {checked!r}() takes no argument, and so "
            "is no predicate"
        )
    return checked


def _judged(content: Any, actual: Any, size: int) -> Outcome:
    """The verdict about a content that is complete."""
    same, value = compare(content, actual)
    return Matched(size, value) if same else Mismatch(content, actual)


def judge_early(part: NamedMatcher, buffer: Buffer) -> Outcome:
    """The verdict of one of several matchers: no as soon as it can be said.

    By itself a line is judged when it is complete, for the sake of the message; here others
    are waiting for their turn.
    """
    if not buffer:
        return NEED_DATA
    outcome = part.match(buffer)
    if isinstance(outcome, NeedData):
        wire = part.wire()
        if wire is not None and not wire.startswith(buffer):
            return Mismatch(part.expected, bytes(buffer))
        return NEED_DATA
    return outcome


def _closest(one: Difference | None, other: Difference) -> Difference:
    """Of two differences, the one that the client came nearer to; else that which tells more."""
    return other if one is None or _nearness(other) > _nearness(one) else one


def _nearness(difference: Difference) -> tuple[int, int]:
    match difference:
        case Mismatch(bytes() as expected, bytes() as actual):
            same = takewhile(lambda pair: pair[0] == pair[1], zip(expected, actual, strict=False))
            return len(list(same)), len(actual)
        case Mismatch(_, bytes() as actual):
            return 0, len(actual)
    return 0, 0


def _set(limit: int) -> int | None:
    """A limit, if the test has set it."""
    return None if limit == LINE_LIMIT else limit


def _call(word: str, *positional: object, **named: object) -> str:
    """A matcher as a test writes it, without what it need not write."""
    arguments = [literal(each) for each in positional if each is not ANY]
    arguments += [f"{name}={value!r}" for name, value in named.items() if value is not None]
    return f"{word}({', '.join(arguments)})"
