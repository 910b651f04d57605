"""Matchers decide about the bytes received so far."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from helpers import every_cut, framed
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._contents import ANY, Predicate
from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._framings import (
    LIMIT,
    Delimited,
    FixedSize,
    Incomplete,
    LengthPrefixed,
    Netstring,
    OwnFraming,
    VarintPrefixed,
)
from pytest_tcpclient._matchers import (
    NEED_DATA,
    AnyOf,
    Count,
    Exactly,
    Frame,
    InAnyOrder,
    Line,
    Malformed,
    Matched,
    Mismatch,
    NamedMatcher,
    NeedData,
    Outcome,
    Oversized,
    OwnMatcher,
    Until,
    any_of,
    count,
    exactly,
    frame,
    in_any_order,
    judge_early,
    line,
    named,
    until,
)


def judge(matcher: NamedMatcher, pieces: list[bytes]) -> tuple[Outcome, bytes, bytes]:
    """The verdict about these pieces, all that had arrived then, and what is left of it."""
    buffer = bytearray()
    taken = 0
    outcome: Outcome = NeedData()
    for piece in pieces:
        buffer += piece
        if isinstance(outcome, NeedData):
            outcome = matcher.match(buffer, taken)
            if isinstance(outcome, NeedData):
                del buffer[: outcome.taken]
                taken += outcome.taken
    received = matcher.so_far(buffer, taken)
    if isinstance(outcome, Matched):
        del buffer[: outcome.size]
    return outcome, received, bytes(buffer)


# Exactly


@pytest.mark.parametrize(
    ("data", "rest"), [(b"Hello", b""), (b"Hello, world", b", world"), (b"HelloHello", b"Hello")]
)
def test_exact_bytes_match(data: bytes, rest: bytes) -> None:
    """The bytes match however they are cut, and what follows is left for the next step."""
    for pieces in every_cut(data):
        outcome, _, left = judge(Exactly(b"Hello"), pieces)
        assert isinstance(outcome, Matched)
        assert outcome.value == b"Hello"
        assert left == rest


@pytest.mark.parametrize("data", [b"", b"H", b"Hell"])
def test_exact_bytes_are_waited_for(data: bytes) -> None:
    """The beginning of the bytes is no verdict, and need not be kept."""
    for pieces in every_cut(data):
        outcome, received, left = judge(Exactly(b"Hello"), pieces)
        assert isinstance(outcome, NeedData)
        assert received == data
        assert left == b""


@pytest.mark.parametrize("data", [b"X", b"Xello", b"Help", b"HellO", b"Helpless", b"HellO, all"])
def test_exact_bytes_differ(data: bytes) -> None:
    """What was read is shown up to the length of what was expected."""
    for pieces in every_cut(data):
        outcome, received, _ = judge(Exactly(b"Hello"), pieces)
        assert isinstance(outcome, Mismatch)
        assert outcome.expected == b"Hello"
        assert isinstance(outcome.actual, bytes)
        assert data[:5].startswith(outcome.actual)
        assert received == data


def test_exact_bytes_are_wrong_from_the_first_wrong_byte_on() -> None:
    """The rest is not waited for."""
    assert Exactly(b"Hello").match(bytearray(b"He!"), 0) == Mismatch(b"Hello", b"He!")


def test_taken_bytes_are_part_of_what_was_read() -> None:
    """The bytes that were judged and removed before are shown as well."""
    matcher = Exactly(b"Hello")
    assert matcher.match(bytearray(b"p me"), 3) == Mismatch(b"Hello", b"Help ")
    assert matcher.so_far(bytearray(b"p me"), 3) == b"Help me"


def test_exact_bytes_are_not_named() -> None:
    """Plain bytes have no noun, and nothing is known of what is missing."""
    matcher = Exactly(b"Hello")
    assert matcher.noun == ""
    assert matcher.expected == b"Hello"
    assert matcher.missing(bytearray(b"He"), 0) is None


def naive(expected: bytes, data: bytes, taken: int) -> Outcome:
    """What ``Exactly`` must say of this data, of which some was removed from the buffer."""
    for index, byte in enumerate(expected):
        if index == len(data):
            return NeedData(len(data) - taken)
        if data[index] != byte:
            return Mismatch(expected, data[: len(expected)])
    return Matched(len(expected) - taken, expected)


@settings(deadline=None)
@given(st.data())
def test_exact_bytes_agree_with_a_naive_comparison(data: st.DataObject) -> None:
    """Whatever was taken before, the verdict is that of comparing byte by byte."""
    two = st.binary(max_size=6).map(lambda some: bytes(byte % 2 for byte in some))
    expected = data.draw(two.filter(bool), label="expected")
    right = data.draw(st.integers(0, len(expected)), label="right")
    received = expected[:right] + data.draw(two, label="and then")
    common = 0
    while common < min(len(expected), len(received)) and expected[common] == received[common]:
        common += 1
    taken = data.draw(st.integers(0, min(common, len(expected) - 1)), label="taken")
    buffer = bytearray(received[taken:])
    matcher = Exactly(expected)
    assert matcher.match(buffer, taken) == naive(expected, received, taken)
    assert matcher.so_far(buffer, taken) == received
    assert buffer == received[taken:]


# Frame


@pytest.mark.parametrize("payload", [b"", b"x", b"Hello"])
@pytest.mark.parametrize("rest", [b"", b"\0\0\0\1y"])
def test_a_frame_matches(payload: bytes, rest: bytes) -> None:
    """A frame matches however it is cut, and what follows is left for the next step."""
    for pieces in every_cut(framed(payload) + rest):
        outcome, _, left = judge(Frame(payload, LengthPrefixed()), pieces)
        assert outcome == Matched(4 + len(payload), payload)
        assert left == rest


@pytest.mark.parametrize("actual", [b"", b"Hellp", b"Hello, world", b"Hell"])
def test_a_frame_differs(actual: bytes) -> None:
    """Of a wrong frame the whole payload is shown, however it was cut."""
    for pieces in every_cut(framed(actual)):
        outcome, received, _ = judge(Frame(b"Hello", LengthPrefixed()), pieces)
        assert outcome == Mismatch(b"Hello", actual)
        assert received == framed(actual)


def test_a_frame_is_judged_when_it_is_complete() -> None:
    """A frame that is wrong from its first byte on is waited for, and nothing is removed."""
    wire = framed(b"Wrong!")
    matcher = Frame(b"Hello", LengthPrefixed())
    for size in range(len(wire)):
        assert matcher.match(bytearray(wire[:size]), 0) == NeedData(0)
        assert matcher.so_far(bytearray(wire[:size]), 0) == wire[:size]
    assert matcher.match(bytearray(wire), 0) == Mismatch(b"Hello", b"Wrong!")


def test_a_frame_over_its_limit_is_not_waited_for() -> None:
    """The prefix of a frame that is too long is verdict enough."""
    for pieces in every_cut(b"GET / HTTP"):
        outcome, received, _ = judge(Frame(b"Hello", LengthPrefixed(limit=1000)), pieces)
        assert outcome == Oversized(1000, 0x47455420, b"GET ")
        assert received == b"GET / HTTP"


def test_what_is_missing_of_a_frame() -> None:
    """It is known how far a frame has come, once it has begun and until it is complete."""
    matcher = Frame(b"abc", LengthPrefixed(limit=10))
    wire = framed(b"abc")
    assert [matcher.missing(bytearray(wire[:size]), 0) for size in range(len(wire))] == [
        None,
        Incomplete(1, 4, "length prefix"),
        Incomplete(2, 4, "length prefix"),
        Incomplete(3, 4, "length prefix"),
        Incomplete(0, 3, "payload"),
        Incomplete(1, 3, "payload"),
        Incomplete(2, 3, "payload"),
    ]


def test_a_frame_is_named() -> None:
    """The report calls it a frame, and shows its payload."""
    matcher = Frame(b"abc", LengthPrefixed())
    assert matcher.noun == "frame"
    assert matcher.expected == b"abc"


class Pairs:
    """A framing of the test's own: pairs of digits, decoded as numbers."""

    def __repr__(self) -> str:
        return "Pairs()"

    def encode(self, payload: int) -> bytes:
        return b"%02d" % payload

    def decode(self, buffer: bytes) -> tuple[int, int] | None:
        return (int(buffer[:2]), 2) if len(buffer) >= 2 else None


PAIRS = OwnFraming(Pairs())


@pytest.mark.parametrize(
    ("matcher", "wire", "outcome"),
    [
        (Frame(ANY, LengthPrefixed()), framed(b"Hello"), Matched(9, b"Hello")),
        (Frame(ANY, Netstring()), b"2:ab,", Matched(5, b"ab")),
        (Frame(bytes.isdigit, Netstring()), b"2:ab,", Mismatch(bytes.isdigit, b"ab")),
        (Frame(Predicate(bytes.isdigit), Netstring()), b"2:12,", Matched(5, b"12")),
        (
            Frame(Predicate(bytes.isdigit), Netstring()),
            b"2:ab,",
            Mismatch(Predicate(bytes.isdigit), b"ab"),
        ),
        (Frame(42, PAIRS), b"42", Matched(2, 42)),
        (Frame(42, PAIRS), b"43", Mismatch(42, 43)),
        (Frame(ANY, PAIRS), b"43", Matched(2, 43)),
        (Frame(Predicate((5).__lt__), PAIRS), b"43", Matched(2, 43)),
        (
            Frame(ANY, PAIRS),
            b"xy",
            Malformed("invalid literal for int() with base 10: b'xy'"),
        ),
        (Frame(ANY, Delimited(limit=2)), b"abc", Oversized(2)),
        (
            Frame(ANY, LengthPrefixed(includes_prefix=True)),
            b"\0\0\0\0",
            Malformed(
                r"its length prefix b'\x00\x00\x00\x00' says 0, which is less than its own 4 bytes"
            ),
        ),
    ],
)
def test_what_a_frame_says(matcher: Frame, wire: bytes, outcome: Outcome) -> None:
    """Of payloads of any kind, and of what is none."""
    for pieces in every_cut(wire):
        assert judge(matcher, pieces)[0] == outcome


# Lines, data up to a delimiter, so many bytes


@pytest.mark.parametrize(
    ("matcher", "data", "size", "value"),
    [
        (Line(ANY, b"\n"), b"Hello\n", 6, b"Hello"),
        (Line(ANY, b"\n"), b"\n", 1, b""),
        (Line(b"", b"\n"), b"\n", 1, b""),
        (Line(b"Hello", b"\r\n"), b"Hello\r\n", 7, b"Hello"),
        (Line(b"a\nb", b"\r\n"), b"a\nb\r\n", 5, b"a\nb"),
        (Line(Predicate(bytes.isupper), b"\n"), b"QUIT\n", 5, b"QUIT"),
        (Line(ANY, b"\n", 3), b"abc\n", 4, b"abc"),
        (Until(b"\r\n\r\n"), b"GET /\r\nHost: x\r\n\r\n", 18, b"GET /\r\nHost: x\r\n\r\n"),
        (Until(b";", b"ab;"), b"ab;", 3, b"ab;"),
        (Until(b";", ANY, 3), b"abc;", 4, b"abc;"),
        (Until(b";;", ANY), b";;", 2, b";;"),
        (Count(3), b"a\nb", 3, b"a\nb"),
        (Count(3, b"abc"), b"abc", 3, b"abc"),
        (Count(2, Predicate(bytes.isdigit)), b"12", 2, b"12"),
    ],
)
def test_what_matches(matcher: NamedMatcher, data: bytes, size: int, value: object) -> None:
    """However it is cut, and what follows is left for the next step."""
    for rest in (b"", b"x", b"\n;", data):
        for pieces in every_cut(data + rest):
            outcome, received, left = judge(matcher, pieces)
            assert outcome == Matched(size, value)
            assert received == data + rest
            assert left == rest


@pytest.mark.parametrize(
    ("matcher", "data"),
    [
        (Line(re.compile(rb"USER (\w+)"), b"\r\n"), b"USER ann\r\n"),
        (Until(b";", re.compile(rb"USER (\w+);")), b"USER ann;"),
        (Count(8, re.compile(rb"USER (\w+)")), b"USER ann"),
        (Frame(re.compile(rb"USER (\w+)"), Netstring()), b"8:USER ann,"),
    ],
)
def test_a_pattern_matches(matcher: NamedMatcher, data: bytes) -> None:
    """All of the content, and the value is the match."""
    for pieces in every_cut(data):
        outcome, _, _ = judge(matcher, pieces)
        assert isinstance(outcome, Matched)
        assert isinstance(outcome.value, re.Match)
        assert outcome.value[1] == b"ann"
    wrong = data.replace(b"ann", b"a n")
    assert judge(matcher, [wrong])[0] == Mismatch(
        matcher.expected, b"USER a n;" if data.endswith(b";") else b"USER a n"
    )


@pytest.mark.parametrize(
    ("matcher", "data", "outcome"),
    [
        (Line(b"Hello", b"\n"), b"Help\n", Mismatch(b"Hello", b"Help")),
        (Line(b"Hello", b"\n"), b"Hello\r\n", Mismatch(b"Hello", b"Hello\r")),
        (Line(ANY, b"\n", 3), b"abcd", Oversized(3)),
        (Line(b"abcd", b"\n", 3), b"abcd", Oversized(3)),
        (Until(b";", b"ab;"), b"abc;", Mismatch(b"ab;", b"abc;")),
        (Until(b";;", ANY, 3), b"abcd;", Oversized(3)),
        (Count(3, b"abc"), b"abd", Mismatch(b"abc", b"abd")),
    ],
)
def test_what_differs(matcher: NamedMatcher, data: bytes, outcome: Outcome) -> None:
    """It is known when it is complete, or too long, and not before."""
    for rest in (b"", b"x", b"\n;"):
        for pieces in every_cut(data + rest):
            assert judge(matcher, pieces)[0] == outcome
    for size in range(len(data)):
        assert matcher.match(bytearray(data[:size])) == NEED_DATA
        assert matcher.so_far(bytearray(data[:size]), 0) == data[:size]
        if not isinstance(matcher, Frame):
            assert matcher.missing(bytearray(data[:size]), 0) is None


# One of several, each of several


@pytest.mark.parametrize(
    ("matcher", "data", "outcome"),
    [
        (any_of(b"QUIT", b"EXIT"), b"QUIT", Matched(4, b"QUIT")),
        (any_of(b"QUIT", b"EXIT"), b"EXIT", Matched(4, b"EXIT")),
        (any_of(b"QUIT", b"QUIT now"), b"QUIT now", Matched(4, b"QUIT")),
        (any_of(b"QUIT now", b"QUIT"), b"QUIT now", Matched(8, b"QUIT now")),
        (any_of(b"QUIT now", b"QUIT"), b"QUIT nos", Matched(4, b"QUIT")),
        (any_of(b"QUIT now", b"QUIT"), b"QUIT n", NEED_DATA),
        (any_of(b"QUIT", b"EXIT"), b"EX", NEED_DATA),
        (any_of(b"QUIT", b"EXIT"), b"EXPAND", Mismatch(b"EXIT", b"EXPA")),
        (any_of(b"EXIT", b"QUIT"), b"EXPAND", Mismatch(b"EXIT", b"EXPA")),
        (any_of(line(b"ab", b"\n"), b"ac"), b"ac", Matched(2, b"ac")),
        (any_of(count(3, b"abc"), b"abd"), b"abd", Matched(3, b"abd")),
        (any_of(until(b";", b"ab;"), b"ac"), b"ac", Matched(2, b"ac")),
        (any_of(frame(b"ab", Netstring()), b"2:ac"), b"2:ac", Matched(4, b"2:ac")),
        (any_of(frame(b"ab", FixedSize(2)), b"b"), b"b", Matched(1, b"b")),
        (any_of(frame(b"ab", VarintPrefixed()), b"\2ac"), b"\2ac", Matched(3, b"\2ac")),
        (any_of(frame(42, Pairs()), b"41"), b"41", Matched(2, b"41")),
        (any_of(any_of(b"a", b"b"), b"c"), b"c", Matched(1, b"c")),
        (in_any_order(b"a", b"b"), b"ab", Matched(2, (b"a", b"b"))),
        (in_any_order(b"a", b"b"), b"ba", Matched(2, (b"a", b"b"))),
        (in_any_order(b"a"), b"a", Matched(1, (b"a",))),
        (in_any_order(b"a", b"b", b"ab"), b"abab", Matched(4, (b"a", b"b", b"ab"))),
        (in_any_order(b"ab", b"a", b"b"), b"bab", NEED_DATA),
        (in_any_order(b"a", b"b"), b"bb", Mismatch(b"a", b"b")),
        (in_any_order(b"a", b"b"), b"c", Mismatch(b"a", b"c")),
        (
            in_any_order(line(ANY, b"\n"), count(2)),
            b"ab\n12",
            Matched(5, (b"ab", b"12")),
        ),
        (in_any_order(any_of(b"a", b"x"), b"b"), b"bx", Matched(2, (b"x", b"b"))),
        (any_of(in_any_order(b"a", b"b"), b"cd"), b"cd", Matched(2, b"cd")),
        (
            any_of(line(ANY, b"\n", 2), count(4)),
            b"abc\n",
            Matched(4, b"abc\n"),
        ),
    ],
)
def test_several(matcher: NamedMatcher, data: bytes, outcome: Outcome) -> None:
    """They are tried in order, and one only when those before it have said no."""
    assert matcher.match(data) == outcome
    assert matcher.match(bytearray(data)) == outcome
    said = [matcher.match(data[:size]) for size in range(len(data) + 1)]
    first = next((index for index, each in enumerate(said) if each != NEED_DATA), None)
    if first is not None:
        assert {type(each) for each in said[first:]} == {type(outcome)}


def test_several_wait_for_the_first_byte() -> None:
    """Nothing is said of nothing."""
    for matcher in (any_of(b"a", b"b"), in_any_order(b"a", b"b"), any_of(count(1))):
        assert matcher.match(b"") == NEED_DATA


def test_the_difference_that_tells_most() -> None:
    """Of several, the one that shows most of what came; of equal ones the first."""
    assert any_of(b"ax", b"aay", b"b").match(b"aab") == Mismatch(b"aay", b"aab")
    assert any_of(count(1, b"x"), count(1, b"y")).match(b"z") == Mismatch(b"x", b"z")
    assert any_of(line(ANY, b"\n", 1), b"b").match(b"aa") == Mismatch(b"b", b"a")
    assert any_of(line(ANY, b"\n", 1), line(ANY, b";", 2)).match(b"aaaa") == Oversized(1)
    number = any_of(frame(42, Pairs()), b"x").match(b"41")
    assert number == Mismatch(b"x", b"4")


@pytest.mark.parametrize(
    ("part", "buffer", "outcome"),
    [
        (Line(b"ab", b"\n"), b"ac", Mismatch(b"ab", b"ac")),
        (Line(b"ab", b"\n"), b"ab", NEED_DATA),
        (Line(b"ab", b"\n"), b"abc", Mismatch(b"ab", b"abc")),
        (Line(ANY, b"\n"), b"ac", NEED_DATA),
        (Until(b";", b"ab;"), b"b", Mismatch(b"ab;", b"b")),
        (Until(b";", ANY), b"b", NEED_DATA),
        (Count(2, b"ab"), b"b", Mismatch(b"ab", b"b")),
        (Count(2, ANY), b"b", NEED_DATA),
        (Frame(b"ab", LengthPrefixed(1)), b"\3", Mismatch(b"ab", b"\3")),
        (Frame(b"ab", VarintPrefixed()), b"\3", NEED_DATA),
        (Frame(42, PAIRS), b"3", NEED_DATA),
        (Frame(ANY, LengthPrefixed(1)), b"\3", NEED_DATA),
        (Exactly(b"ab"), b"a", NEED_DATA),
        (Exactly(b"ab"), b"b", Mismatch(b"ab", b"b")),
        (Exactly(b"ab"), b"", NEED_DATA),
    ],
)
def test_judging_early(part: NamedMatcher, buffer: bytes, outcome: Outcome) -> None:
    """Where others wait for their turn, it is known at the first wrong byte that it is wrong."""
    judged = judge_early(part, buffer)
    assert type(judged) is type(outcome)
    if not isinstance(outcome, NeedData):
        assert judged == outcome


# A matcher of the test's own


class Own:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def __repr__(self) -> str:
        return "Own()"

    def match(self, buffer: bytes) -> Any:
        self.asked.append(buffer)
        return self.answer


@pytest.mark.parametrize(
    "answer", [NEED_DATA, Matched(1, "x"), Matched(3, None), Mismatch("x", b"abc")]
)
def test_a_matcher_of_the_test(answer: Outcome) -> None:
    """It is asked with bytes, as soon as there is something, and its answer is the verdict."""
    own = Own(answer)
    matcher = OwnMatcher(own)
    assert matcher.match(b"") == NEED_DATA
    assert own.asked == []
    assert matcher.match(bytearray(b"abc")) == answer
    assert own.asked == [b"abc"]
    assert type(own.asked[0]) is bytes


@pytest.mark.parametrize("taken", [1, 5])
def test_what_a_matcher_of_the_test_need_not_see_again(taken: int) -> None:
    """It sees all the bytes again, whatever it says: it has no state."""
    assert OwnMatcher(Own(NeedData(taken))).match(b"abc") == NeedData(0)


@pytest.mark.parametrize("answer", [None, True, b"abc", Oversized(5), (1, "x"), Matched])
def test_a_matcher_that_gives_no_verdict(answer: object) -> None:
    """The test is at fault, and not the client."""
    with pytest.raises(ScriptError) as caught:
        OwnMatcher(Own(answer)).match(b"abc")
    assert str(caught.value) == (
        "match() of Own() must return Matched(size, value), NEED_DATA or "
        f"Mismatch(expected, actual), not {answer!r}"
    )


@pytest.mark.parametrize("size", [0, -1, 4, 1000])
def test_a_matcher_that_takes_more_than_there_is(size: int) -> None:
    """The test is at fault, and not the client."""
    with pytest.raises(ScriptError) as caught:
        OwnMatcher(Own(Matched(size, None))).match(b"abc")
    assert str(caught.value) == (
        f"match() of Own() was given 3 bytes, and says that {size:,} of them belong to it"
    )


def test_how_much_a_matcher_of_the_test_gets() -> None:
    """Up to 64 MiB: then what it wants is too long, wherever it was cut."""
    own = Own(NEED_DATA)
    assert OwnMatcher(own).match(bytes(LIMIT)) == NEED_DATA
    assert OwnMatcher(own).match(bytes(LIMIT + 1)) == Oversized(LIMIT)
    assert list(map(len, own.asked)) == [LIMIT, LIMIT]


# What a matcher is called


OWN = Own(NEED_DATA)


@pytest.mark.parametrize(
    ("matcher", "text", "noun", "some"),
    [
        (exactly(b"ab"), "b'ab'", "", "a "),
        (frame(), "frame()", "frame", "a frame"),
        (frame(b""), "frame(b'')", "frame", "a frame"),
        (frame({"id": ANY}), "frame({'id': ANY})", "frame", "a frame"),
        (
            frame(b"ab", Netstring(5)),
            "frame(b'ab', framing=Netstring(limit=5))",
            "frame",
            "a frame",
        ),
        (line(), "line()", "line", "a line"),
        (line(b"ab", b"\r\n"), r"line(b'ab', newline=b'\r\n')", "line", "a line"),
        (line(bytes.isdigit), "line(isdigit)", "line", "a line"),
        (line(limit=5), "line(limit=5)", "line", "a line"),
        (
            line(re.compile(rb"a+")),
            "line(re.compile(b'a+'))",
            "line",
            "a line",
        ),
        (until(b";"), "until(b';')", "data up to b';'", "data up to b';'"),
        (until(b";", b"a;"), "until(b';', b'a;')", "data up to b';'", "data up to b';'"),
        (until(b";", limit=5), "until(b';', limit=5)", "data up to b';'", "data up to b';'"),
        (count(1), "count(1)", "1 byte", "1 byte"),
        (count(1000), "count(1000)", "1,000 bytes", "1,000 bytes"),
        (count(2, b"ab"), "count(2, b'ab')", "2 bytes", "2 bytes"),
        (any_of(b"a", line()), "any_of(b'a', line())", "", "a "),
        (in_any_order(b"a", line()), "in_any_order(b'a', line())", "", "a "),
        (named("matcher", OWN), "Own()", "", "a "),
    ],
)
def test_what_a_matcher_is_called(matcher: NamedMatcher, text: str, noun: str, some: str) -> None:
    """As it is written, without what need not be; the report calls it by its noun."""
    assert (repr(matcher), matcher.noun, matcher.some) == (text, noun, some)


def test_the_parts_of_several() -> None:
    """The report puts them together."""
    for matcher, joined in (
        (any_of(b"a", b"b"), "any of {}"),
        (in_any_order(b"a", b"b"), "{} in any order"),
    ):
        assert matcher.joined == joined
        assert matcher.parts == (Exactly(b"a"), Exactly(b"b"))
        assert matcher.expected is ANY
        assert matcher.wire() is None
    assert exactly(b"a").parts == ()
    assert exactly(b"a").joined == ""


# What depends on the script


def test_the_defaults_of_a_script() -> None:
    """A line or a frame has its own newline or framing, or the script's, also as a part."""
    netstring = Netstring()
    for matcher, bound in (
        (frame(b"a"), Frame(b"a", netstring)),
        (frame(b"a", FixedSize(1)), Frame(b"a", FixedSize(1))),
        (line(b"a"), Line(b"a", b"\r\n")),
        (line(b"a", b";"), Line(b"a", b";")),
        (line(b"a", limit=5), Line(b"a", b"\r\n", 5)),
        (any_of(line(), frame()), AnyOf((Line(ANY, b"\r\n"), Frame(ANY, netstring)))),
        (
            in_any_order(line(), any_of(frame())),
            InAnyOrder((Line(ANY, b"\r\n"), AnyOf((Frame(ANY, netstring),)))),
        ),
        (until(b";"), Until(b";")),
        (count(1), Count(1)),
        (exactly(b"a"), Exactly(b"a")),
        (named("matcher", OWN), OwnMatcher(OWN)),
    ):
        assert matcher.bound(netstring, b"\r\n") == bound


def test_the_bytes_that_must_come() -> None:
    """They are known where only these bytes will do."""
    for matcher, wire in (
        (Frame(b"ab", LengthPrefixed(1)), b"\2ab"),
        (Frame(b"ab", Netstring()), b"2:ab,"),
        (Frame(b"ab", Delimited()), b"ab\n"),
        (Frame(b"ab", FixedSize(2)), b"ab"),
        (Frame(b"ab", VarintPrefixed()), None),
        (Frame(b"ab", PAIRS), None),
        (Frame(b"ab"), None),
        (Frame(ANY, Netstring()), None),
        (Line(b"ab", b"\r\n"), b"ab\r\n"),
        (Line(ANY, b"\r\n"), None),
        (Until(b";", b"ab;"), b"ab;"),
        (Until(b";"), None),
        (Count(2, b"ab"), b"ab"),
        (Count(2), None),
        (Exactly(b"ab"), b"ab"),
        (OwnMatcher(OWN), None),
    ):
        assert matcher.wire() == wire


# What a test gives


def test_what_is_given_as_a_matcher() -> None:
    """Bytes of any kind, a matcher of the package, or an object with a method match()."""
    ours = line()
    assert named("matcher", ours) is ours
    for data in (b"ab", bytearray(b"ab"), memoryview(b"ab")):
        assert named("matcher", data) == Exactly(b"ab")
    assert named("matcher", OWN) == OwnMatcher(OWN)
    assert any_of(b"a", OWN).parts == (Exactly(b"a"), OwnMatcher(OWN))
    assert exactly(bytearray(b"a")) == Exactly(b"a")


NO_MATCHER = (
    "must be bytes or a matcher (line(), frame(), any_of(), ..., or an object with a method "
    "match()), not"
)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: named("matcher", Own),
            TypeError,
            "matcher must be an object, not a class: write Own()",
        ),
        (lambda: named("matcher", 5), TypeError, f"matcher {NO_MATCHER} 5"),
        (lambda: named("matcher", None), TypeError, f"matcher {NO_MATCHER} None"),
        (
            lambda: named("matcher", re.compile(rb"a")),
            TypeError,
            f"matcher {NO_MATCHER} re.compile(b'a')",
        ),
        (
            lambda: named("matcher", "ab"),
            TypeError,
            "matcher must be bytes, not str: write b'ab' or encode it",
        ),
        (lambda: named("matcher", b""), ValueError, "matcher must not be empty"),
        (any_of, TypeError, "any_of() needs at least one matcher"),
        (in_any_order, TypeError, "in_any_order() needs at least one matcher"),
        (lambda: any_of(b"a", 5), TypeError, f"a matcher {NO_MATCHER} 5"),
        pytest.param(
            lambda: in_any_order(line),
            TypeError,
            f"a matcher {NO_MATCHER} {line!r}",
            id="function",  # Its address is another one in each process.
        ),
        (lambda: exactly(b""), ValueError, "data must not be empty"),
        (
            lambda: exactly("a"),
            TypeError,
            "data must be bytes, not str: write b'a' or encode it",
        ),
        (lambda: line(b"ab", b""), ValueError, "newline must not be empty"),
        (lambda: line("ab"), TypeError, "line must be bytes, not str: write b'ab' or encode it"),
        (
            lambda: line(b"a\n", b"\n"),
            ValueError,
            r"line must not contain the newline b'\n': it stands before that",
        ),
        (
            lambda: line(b"a\n").bound(Netstring(), b"\n"),
            ValueError,
            r"line must not contain the newline b'\n': it stands before that",
        ),
        (
            lambda: line(limit=0),
            ValueError,
            "limit must be a number of bytes, 1 or more, not 0",
        ),
        (
            lambda: line(lambda: b"ab"),
            TypeError,
            "line must be known when a matcher is made: <lambda>() takes no argument, and so is "
            "no predicate",
        ),
        (lambda: until(b""), ValueError, "delimiter must not be empty"),
        (lambda: until(b";", None), TypeError, "content must be bytes, not NoneType"),
        (
            lambda: until(b";", b"ab"),
            ValueError,
            "content must end with the delimiter b';', and not contain it before",
        ),
        (
            lambda: until(b";", b"a;b;"),
            ValueError,
            "content must end with the delimiter b';', and not contain it before",
        ),
        (
            lambda: until(b"ab", b"a"),
            ValueError,
            "content must end with the delimiter b'ab', and not contain it before",
        ),
        (
            lambda: until(b"aa", b"aaa"),
            ValueError,
            "content must end with the delimiter b'aa', and not contain it before",
        ),
        (
            lambda: until(b";", limit="1"),
            TypeError,
            "limit must be a number of bytes, not '1'",
        ),
        (lambda: count(0), ValueError, "n must be a number of bytes, 1 or more, not 0"),
        (lambda: count(b"a"), TypeError, "n must be a number of bytes, not b'a'"),
        (lambda: count(3, b"ab"), ValueError, "content must have n = 3 bytes, not 2"),
        (
            lambda: frame("ab", Netstring()),
            TypeError,
            "payload must be bytes, not str: write b'ab' or encode it",
        ),
        (
            lambda: frame(b"ab", "line"),
            TypeError,
            "framing must have the methods encode() and decode(), not 'line'",
        ),
        (
            lambda: frame(b"abc", FixedSize(2)),
            ValueError,
            "payload must have 2 bytes, not 3",
        ),
        (
            lambda: frame(b"a\n", Delimited()),
            ValueError,
            r"payload must not contain the delimiter b'\n'",
        ),
        (
            lambda: frame(bytes(256)).bound(LengthPrefixed(1), b"\n"),
            ValueError,
            "a payload of 256 bytes is too long for a length of 1 byte",
        ),
    ],
)
def test_bad_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    """They are refused where the matcher is made, or becomes a step."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message
