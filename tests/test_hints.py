"""What the hints say, and what they must not say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from helpers import EOF, RESET, Recorder, connect, play, read
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient import any_of, line
from pytest_tcpclient._failure import (
    Differs,
    Ended,
    ExtraConnection,
    Failure,
    HandshakeFailed,
    LeftBytes,
    LeftOpen,
    NotADisconnect,
    NotSilent,
    ScriptView,
    TimedOut,
)
from pytest_tcpclient._matchers import Exactly, Mismatch, NamedMatcher
from pytest_tcpclient._report import render
from pytest_tcpclient._report.hints import LOOKED_AT, hint
from pytest_tcpclient.framing import Delimited, LengthPrefixed, Netstring

TIMEOUT = "timeout"

#: The first bytes of a ClientHello, as the ssl module writes it.
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + b"random"

GET = b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n"

TLS = (
    "That is the ClientHello of a TLS handshake: the client speaks TLS, the server does not. "
    "(Its option is tls=True.)"
)
HTTP = "That is an HTTP request: is this the port that this client is meant for?"
CASE = "The two differ in upper and lower case only."
SPACE = "The two differ in white space only."
NO_LENGTH = "The client has sent the payload without a length before it."
COUNTS = (
    "The client counts the 4 bytes of the length itself, the framing does not (includes_prefix)."
)
COUNTS_NOT = (
    "The client does not count the 4 bytes of the length itself, the framing does "
    "(includes_prefix)."
)
LITTLE = (
    "The client writes the length in the other byte order: 'little', where the framing has 'big'."
)
BIG = "The client writes the length in the other byte order: 'big', where the framing has 'little'."
LITERAL = "The client has sent the `repr()` of these bytes, as `str(data)` gives it."

COUNTED = LengthPrefixed(includes_prefix=True)
INTEL = LengthPrefixed(byteorder="little")
SHORT = LengthPrefixed(size=2)


def ends(got: bytes, wanted: bytes) -> str:
    return f"The client ends a line with {got!r}, where the script wants {wanted!r}."


def lacks(end: bytes) -> str:
    return f"All of it has come, but for the {end!r} that ends it."


def sent_in(encoding: str) -> str:
    return f"The client has sent this text in {encoding}."


def twice(end: bytes) -> str:
    return f"The client has ended what came before with {end!r} twice."


def is_upper(content: bytes) -> bool:
    return content.isupper()


class Client(NamedTuple):
    """A script, what a client sends, how it ends, and what is to be said of it."""

    declare: Callable[[Recorder], object]
    data: bytes
    ending: str | None = None
    hint: str = ""


CLIENTS = {
    # Another protocol
    "TLS to a raw server": Client(lambda s: s.expect_bytes(b"EHLO"), CLIENT_HELLO, hint=TLS),
    "TLS instead of a line": Client(lambda s: s.expect_line(), CLIENT_HELLO, TIMEOUT, TLS),
    "TLS instead of a frame": Client(lambda s: s.expect_frame(b"Hello"), CLIENT_HELLO, hint=TLS),
    "TLS instead of a close": Client(lambda s: s.expect_disconnect(), CLIENT_HELLO, hint=TLS),
    "TLS before STARTTLS": Client(
        lambda s: (s.expect_line(b"STARTTLS"), s.start_tls()),
        CLIENT_HELLO,
        TIMEOUT,
        "The client began with TLS before the script came to `start_tls()` (HERE).",
    ),
    "another record of TLS": Client(lambda s: s.expect_bytes(b"EHLO"), b"\x16\x03\x01\x02\0\x02"),
    "an alert of TLS": Client(lambda s: s.expect_bytes(b"EHLO"), b"\x15\x03\x01\0\x02\x02\x30"),
    "a test that itself expects TLS": Client(
        lambda s: s.expect_bytes(b"\x16\x03\x03"), CLIENT_HELLO
    ),
    "HTTP to a raw server": Client(lambda s: s.expect_bytes(b"EHLO"), GET, hint=HTTP),
    "HTTP instead of a line": Client(lambda s: s.expect_line(b"EHLO"), GET, hint=HTTP),
    "HTTP instead of a frame": Client(lambda s: s.expect_frame(), GET, hint=HTTP),
    "HTTP/2 to a raw server": Client(
        lambda s: s.expect_line(b"EHLO"), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", hint=HTTP
    ),
    "HTTP to a server that wants HTTP": Client(
        lambda s: s.expect_line(b"GET / HTTP/1.1", newline=b"\r\n"), GET
    ),
    "HTTP to one that looks at the method only": Client(lambda s: s.expect_bytes(b"PUT /"), GET),
    "HTTP to one that wants a header": Client(lambda s: s.expect_bytes(b"HTTP/1.1 200"), GET),
    "HTTP to one that may want HTTP": Client(
        lambda s: s.expect_until(b"\r\n\r\n", re.compile(b"GET / .*")), GET
    ),
    "HTTP later on": Client(
        lambda s: (s.expect_bytes(b"hi"), s.expect_bytes(b"there")), b"hi" + GET
    ),
    "something that begins like HTTP": Client(lambda s: s.expect_bytes(b"EHLO"), b"GET /\r\n"),
    # Steps
    "a later step, after one that was left out": Client(
        lambda s: (s.expect_line(b"USER bob"), s.expect_line(b"PASS sesame")),
        b"PASS sesame\n",
        hint="The client is ahead of the script: that is for `expect_line(b'PASS sesame')` (HERE).",
    ),
    "a later step, in a silence": Client(
        lambda s: (s.expect_nothing(1), s.send_bytes(b"go"), s.expect_bytes(b"going")),
        b"going",
        hint="The client is ahead of the script: that is for `expect_bytes(b'going')` (HERE).",
    ),
    "a later frame": Client(
        lambda s: (s.expect_frame(b"one"), s.expect_frame(b"two")),
        b"\0\0\0\3two\0\0\0\3one",
        hint="The client is ahead of the script: that is for `expect_frame(b'two')` (HERE).",
    ),
    "a later step, and more that may belong to it": Client(
        lambda s: (s.expect_bytes(b"USER"), s.expect_bytes(b"PASS")), b"PASSAGE"
    ),
    "too little of a later step": Client(
        lambda s: (s.expect_bytes(b"USER"), s.expect_bytes(b"PASS")), b"PAS"
    ),
    "a later step of two bytes": Client(
        lambda s: (s.expect_bytes(b"USER"), s.expect_bytes(b"OK")), b"OK"
    ),
    "a later step, and the wrong bytes come after it": Client(
        lambda s: (s.expect_bytes(b"OKAY"), s.expect_bytes(b"OKA")), b"OKA", TIMEOUT
    ),
    "an earlier step": Client(
        lambda s: (s.expect_line(b"PING"), s.expect_line(b"QUIT")),
        b"PING\nPING\n",
        hint="The client has sent that before, for `expect_line(b'PING')` (HERE).",
    ),
    "an earlier step, instead of a close": Client(
        lambda s: (s.expect_bytes(b"PING"), s.send_bytes(b"PONG"), s.expect_disconnect()),
        b"PINGPING",
        hint="The client has sent that before, for `expect_bytes(b'PING')` (HERE).",
    ),
    "an earlier step, and so a later one": Client(
        lambda s: (s.expect_line(b"PING"), s.expect_line(b"PONG"), s.expect_line(b"PING")),
        b"PING\nPING\n",
    ),
    "an earlier step is how the current one begins": Client(
        lambda s: (s.expect_bytes(b"GET\n"), s.expect_bytes(b"GET\nA")), b"GET\nGET\nB"
    ),
    "an earlier step that was no expectation": Client(
        lambda s: (s.send_bytes(b"PING"), s.expect_bytes(b"PONG")), b"PING"
    ),
    "an earlier step that was skipped": Client(
        lambda s: (s.expect_line(b"PING", optional=True), s.expect_line(b"QUIT")), b"PINT\n"
    ),
    # Lengths
    "a length in the other byte order": Client(
        lambda s: s.expect_frame(b"Hello"), b"\5\0\0\0Hello", hint=LITTLE
    ),
    "in the other byte order, with more behind it": Client(
        lambda s: s.expect_frame(b"Hello"), b"\5\0\0\0Hello\5\0\0\0Hello", hint=LITTLE
    ),
    "in the other byte order, whatever the payload": Client(
        lambda s: s.expect_frame(), b"\5\0\0\0Hello", hint=LITTLE
    ),
    "in the other byte order, and the client waits": Client(
        lambda s: s.expect_frame(framing=LengthPrefixed(size=2)),
        b"\5\0Hello",
        TIMEOUT,
        LITTLE,
    ),
    "in the byte order of networks": Client(
        lambda s: s.expect_frame(b"Hello", framing=INTEL), b"\0\0\0\5Hello", hint=BIG
    ),
    "a length that counts itself": Client(
        lambda s: s.expect_frame(b"Hello"), b"\0\0\0\x09Hello", TIMEOUT, COUNTS
    ),
    "a length that counts itself, and another frame": Client(
        lambda s: s.expect_frame(b"Hello"), b"\0\0\0\x09Hello\0\0\0\x09World", hint=COUNTS
    ),
    "a length that counts itself, whatever the payload": Client(
        lambda s: s.expect_frame(), b"\0\0\0\x09Hello", EOF, COUNTS
    ),
    "a length that does not count itself": Client(
        lambda s: s.expect_frame(b"Hello", framing=COUNTED), b"\0\0\0\5Hello", hint=COUNTS_NOT
    ),
    "a length that cannot count itself": Client(
        lambda s: s.expect_frame(framing=COUNTED), b"\0\0\0\3Bob", hint=COUNTS_NOT
    ),
    "a short length": Client(
        lambda s: s.expect_frame(b"Hello", framing=SHORT),
        b"\5Hello",
        TIMEOUT,
        "The client writes the length in 1 byte, not in 2.",
    ),
    "a long length": Client(
        lambda s: s.expect_frame(b"Hello", framing=SHORT),
        b"\0\0\0\5Hello",
        hint="The client writes the length in 4 bytes, not in 2.",
    ),
    "a length that differs in two points": Client(
        lambda s: s.expect_frame(b"Hello", framing=SHORT),
        b"\5\0\0\0Hello",
        TIMEOUT,
        hint="The client's messages are those of LengthPrefixed(byteorder='little'); the framing "
        "is LengthPrefixed(size=2).",
    ),
    "no length": Client(lambda s: s.expect_frame(b"Hello"), b"Hello", hint=NO_LENGTH),
    "no length, and a payload that says nothing": Client(lambda s: s.expect_frame(b"H"), b"HHHH"),
    "a payload that looks like its length": Client(
        lambda s: s.expect_frame(b"\0\0\0\5\1"), b"\0\0\0\5\1", TIMEOUT
    ),
    "a frame of a payload that is too long for other lengths": Client(
        lambda s: s.expect_frame(b"x" * 300), b"\0\0\1\x2cyyy", TIMEOUT
    ),
    "another payload": Client(lambda s: s.expect_frame(b"Hello"), b"\0\0\0\5World"),
    "a frame that is cut short": Client(lambda s: s.expect_frame(), b"\0\0\0\x09Hell", EOF),
    "a short frame that lacks two bytes": Client(
        lambda s: s.expect_frame(framing=SHORT), b"\0\7HELLO", EOF
    ),
    "a wrong payload of any kind": Client(
        lambda s: s.expect_frame(is_upper), b"\0\0\0\5hello", None
    ),
    "no payload": Client(lambda s: s.expect_frame(b""), b"\0\0\0\5hello"),
    "another kind of frames": Client(
        lambda s: s.expect_frame(b"Hi", framing=Netstring()), b"2:Ho,"
    ),
    # Encodings
    "UTF-16": Client(
        lambda s: s.expect_bytes(b"Hello"),
        "Hello".encode("utf-16-le"),
        hint=sent_in("UTF-16 (little-endian)"),
    ),
    "UTF-16 of a line": Client(
        lambda s: s.expect_line(b"Hello"),
        "Hello\n".encode("utf-16-be"),
        hint=sent_in("UTF-16 (big-endian)"),
    ),
    "UTF-16 with a mark": Client(
        lambda s: s.expect_frame(b"Hello"),
        b"\0\0\0\x0c\xff\xfe" + "Hello".encode("utf-16-le"),
        hint=sent_in("UTF-16 (little-endian, with a byte order mark)"),
    ),
    "UTF-16 with the other mark": Client(
        lambda s: s.expect_bytes(b"Hello"),
        b"\xfe\xff" + "Hello".encode("utf-16-be"),
        hint=sent_in("UTF-16 (big-endian, with a byte order mark)"),
    ),
    "UTF-8 with a mark": Client(
        lambda s: s.expect_bytes(b"Hello"),
        "Hello".encode("utf-8-sig"),
        hint=sent_in("UTF-8 with a byte order mark"),
    ),
    "Latin-1": Client(
        lambda s: s.expect_bytes("Zoë".encode()),
        "Zoë".encode("latin-1"),
        hint=sent_in("Latin-1, not in UTF-8"),
    ),
    "too little of UTF-16": Client(lambda s: s.expect_bytes(b"Hello"), b"H\0e\0"),
    "a letter and a zero": Client(lambda s: s.expect_bytes(b"H"), b"\0H"),
    "another text in UTF-16": Client(
        lambda s: s.expect_bytes(b"Hello"), "World".encode("utf-16-le")
    ),
    "a text that is not of Latin-1": Client(lambda s: s.expect_bytes("€5".encode()), b"\x805"),
    "binary data": Client(lambda s: s.expect_bytes(b"\x80\0"), b"\xfe\xff"),
    "str() of bytes": Client(lambda s: s.expect_bytes(b"Hello"), b"b'Hello'", hint=LITERAL),
    "str() of bytes in a frame": Client(
        lambda s: s.expect_frame(b"Hello"), b"\0\0\0\x08b'Hello'", hint=LITERAL
    ),
    "a literal that is expected": Client(lambda s: s.expect_bytes(b"b'x'"), b"b'y'"),
    # Line endings
    "no carriage return": Client(
        lambda s: s.expect_bytes(b"HELLO\r\n"), b"HELLO\n", hint=ends(b"\n", b"\r\n")
    ),
    "no carriage return in the second line": Client(
        lambda s: s.expect_bytes(b"A\r\nB\r\n"), b"A\r\nB\nC\n", hint=ends(b"\n", b"\r\n")
    ),
    "a carriage return": Client(
        lambda s: s.expect_line(b"HELLO"), b"HELLO\r\n", hint=ends(b"\r\n", b"\n")
    ),
    "a carriage return in a message": Client(
        lambda s: s.expect_frame(b"HELLO", framing=Delimited()),
        b"HELLO\r\n",
        hint=ends(b"\r\n", b"\n"),
    ),
    "a line feed only": Client(
        lambda s: s.expect_line(b"HELLO", newline=b"\r\n"),
        b"HELLO\n",
        TIMEOUT,
        ends(b"\n", b"\r\n"),
    ),
    "a line feed only, whatever the line": Client(
        lambda s: s.expect_line(newline=b"\r\n"), b"HELLO\n", EOF, ends(b"\n", b"\r\n")
    ),
    "a carriage return only": Client(
        lambda s: s.expect_line(), b"HELLO\r", TIMEOUT, ends(b"\r", b"\n")
    ),
    "a carriage return twice": Client(
        lambda s: s.expect_bytes(b"HELLO\r\n"), b"HELLO\r\r\n", hint=ends(b"\r\r\n", b"\r\n")
    ),
    "line feeds after a head": Client(
        lambda s: s.expect_until(b"\r\n\r\n"), b"A: 1\nB: 2\n\n", TIMEOUT, ends(b"\n", b"\r\n")
    ),
    "one line of a head": Client(lambda s: s.expect_until(b"\r\n\r\n"), b"A: 1\n", TIMEOUT),
    "half a line": Client(lambda s: s.expect_line(newline=b"\r\n"), b"HEL", TIMEOUT),
    "a carriage return that waits for its line feed": Client(
        lambda s: s.expect_line(newline=b"\r\n"), b"HEL\r", TIMEOUT
    ),
    "line feeds in what is no text": Client(
        lambda s: s.expect_line(newline=b"\r\n"), b"\0\1\2\n", TIMEOUT
    ),
    "data that ends with what is no line ending": Client(
        lambda s: s.expect_until(b";"), b"HELLO\n", TIMEOUT
    ),
    "another line": Client(lambda s: s.expect_bytes(b"A\r\nB"), b"A\nC"),
    # Terminators
    "no newline": Client(lambda s: s.expect_bytes(b"HELLO\r\n"), b"HELLO", TIMEOUT, lacks(b"\r\n")),
    "no newline before the end": Client(
        lambda s: s.expect_line(b"HELLO"), b"HELLO", EOF, lacks(b"\n")
    ),
    "no delimiter": Client(
        lambda s: s.expect_frame(b"HELLO", framing=Delimited(b"\0")), b"HELLO", RESET, lacks(b"\0")
    ),
    "no end of data": Client(
        lambda s: s.expect_until(b";;", b"HELLO;;"), b"HELLO", TIMEOUT, lacks(b";;")
    ),
    "no newline before the next line": Client(
        lambda s: (s.expect_bytes(b"A\n"), s.expect_bytes(b"B\n")), b"AB\n", hint=lacks(b"\n")
    ),
    "nothing but a newline is wanted": Client(lambda s: s.expect_bytes(b"\n"), b"x"),
    "half of it": Client(lambda s: s.expect_bytes(b"HELLO\r\n"), b"HEL", TIMEOUT),
    "half of its end": Client(lambda s: s.expect_bytes(b"HELLO\r\n"), b"HELLO\r", TIMEOUT),
    "half of what has no end": Client(lambda s: s.expect_bytes(b"HELLO"), b"HELL", TIMEOUT),
    "a newline in a frame": Client(
        lambda s: s.expect_frame(b"HELLO"),
        b"\0\0\0\6HELLO\n",
        hint="The client has put b'\\n' at its end, which the script does not expect.",
    ),
    "an empty line": Client(
        lambda s: (s.expect_bytes(b"A\n"), s.expect_bytes(b"B\n")), b"A\n\nB\n", hint=twice(b"\n")
    ),
    "an empty line instead of a close": Client(
        lambda s: (s.expect_line(b"A", newline=b"\r\n"), s.expect_disconnect()),
        b"A\r\n\r\n",
        hint=twice(b"\r\n"),
    ),
    "an empty line after an answer": Client(
        lambda s: (s.expect_line(b"A"), s.send_bytes(b"OK"), s.expect_line(b"B")),
        b"A\n\nB\n",
        hint=twice(b"\n"),
    ),
    "an empty line, and something else": Client(
        lambda s: (s.expect_bytes(b"A\n"), s.expect_bytes(b"B\n")), b"A\n\nC\n"
    ),
    "an empty line after what has no end": Client(
        lambda s: (s.expect_bytes(b"A"), s.expect_bytes(b"B\n")), b"A\nB\n", hint=SPACE
    ),
    "an empty line after any line": Client(
        lambda s: (s.expect_line(), s.expect_line(b"B")), b"A\n\nB\n", hint=SPACE
    ),
    # Letters and spaces
    "small letters": Client(lambda s: s.expect_bytes(b"QUIT\r\n"), b"quit\r\n", hint=CASE),
    "a small letter in a line": Client(lambda s: s.expect_line(b"HELLO"), b"HELLo\n", hint=CASE),
    "small letters, closest of several": Client(
        lambda s: s.expect(any_of(b"EHLO", line(b"HELO"))), b"EHLo", hint=CASE
    ),
    "other letters": Client(lambda s: s.expect_line(b"HELLO"), b"HELP!\n"),
    "small letters, and more": Client(lambda s: s.expect_bytes(b"QUIT"), b"quit now", hint=CASE),
    "letters in what is no text": Client(lambda s: s.expect_bytes(b"A\0B"), b"A\0b"),
    "no space": Client(lambda s: s.expect_line(b'{"a": 1}'), b'{"a":1}\n', hint=SPACE),
    "two spaces": Client(lambda s: s.expect_bytes(b"A B\n"), b"A  B\n", hint=SPACE),
    "a tabulator": Client(lambda s: s.expect_frame(b"A B"), b"\0\0\0\3A\tB", hint=SPACE),
    "a space before": Client(lambda s: s.expect_bytes(b"A"), b" A", hint=SPACE),
    "spaces only": Client(lambda s: s.expect_bytes(b"  \n"), b" \t\n"),
    "spaces in what is no text": Client(lambda s: s.expect_bytes(b"A\0 B"), b"A\0B "),
    "other words": Client(lambda s: s.expect_bytes(b"A B"), b"AC"),
    # Nothing
    "nothing at all": Client(lambda s: s.expect_bytes(b"HELLO\n"), b"", TIMEOUT),
    "too little": Client(lambda s: s.expect_bytes(b"HELLO"), b"HE", EOF),
    "something": Client(lambda s: s.expect_line(is_upper), b"hello\n"),
}


def failure_of(client: Client) -> Failure:
    script = Recorder()
    client.declare(script)
    ending = None if client.ending == TIMEOUT else client.ending
    played = play(script.steps, [client.data] if client.data else [], ending)
    if client.ending == TIMEOUT:
        played.conversation.time_out()
    assert played.conversation.failure is not None
    return played.conversation.failure


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_the_hint(client: Client) -> None:
    """It is said where it is true, and nothing is said where it may not be."""
    failure = failure_of(client)
    said = hint(failure)
    assert re.sub(r"[^ (]*test_hints\.py:[0-9]+", "HERE", said) == client.hint
    lines = render(failure).split("\n")
    assert (lines[1] == said) if said else (lines[1] == "")


def test_plain_text_on_a_server_of_tls() -> None:
    """The first line says what came; the hint, whose setting it is."""
    failure = Failure(HandshakeFailed("plain text", received=b"HELLO\r\n"), connect())
    assert render(failure).split("\n")[:2] == [
        r"TLS handshake failed: the client spoke plain text: b'HELLO\r\n'.",
        "The client does not use TLS, the server does (its option tls).",
    ]


def test_plain_text_while_another_connection_waits() -> None:
    """What nobody has claimed is not looked at, unless somebody wanted a certain beginning."""
    problem = HandshakeFailed("plain text", received=b"HELLO\r\n")
    failure = Failure(problem, connect(), unclaimed=((2, b""), (3, CLIENT_HELLO)))
    assert hint(failure) == "The client does not use TLS, the server does (its option tls)."


def test_another_failure_of_a_handshake() -> None:
    """What came is not told from plain text."""
    assert hint(Failure(HandshakeFailed("timed out", received=CLIENT_HELLO), connect())) == ""


def test_bytes_of_another_connection() -> None:
    """They are what another connection waits for; the hint says how to tell them apart."""
    step = read(b"HELLO from B\n", 12)
    failure = failure_of(Client(lambda s: s.expect_bytes(b"HELLO from A\n"), b"HELLO from B\n"))
    failure = replace(failure, elsewhere=((2, connect(11)), (2, step)))
    assert hint(failure) == (
        r"That is expected on connection 2, by `expect_bytes(b'HELLO from B\n')` "
        "(test_client.py:12). Connections that come in any order are told apart by "
        "expect_connect(first=...)."
    )
    assert hint(replace(failure, elsewhere=((2, read(b"HELLO from C\n", 12)),))) == ""


@pytest.mark.parametrize(
    ("first", "heard", "said"),
    [
        (Exactly(b"ALICE\r\n"), (b"", b"ALICE\n"), ends(b"\n", b"\r\n")),
        (Exactly(b"ALICE"), (CLIENT_HELLO,), TLS),
        (line(b"ALICE"), (CLIENT_HELLO,), TLS),
        (line(b"ALICE"), (b"alice\n",), ""),
        (Exactly(b"ALICE"), (b"",), ""),
        (Exactly(b"ALICE"), (), ""),
    ],
)
def test_a_connection_that_does_not_begin_as_it_should(
    first: NamedMatcher, heard: tuple[bytes, ...], said: str
) -> None:
    """What it has said is looked at like what a step has received."""
    step = replace(connect(), options={"first": first})
    unclaimed = tuple((number, data) for number, data in enumerate(heard, 1))
    for problem in (TimedOut(b""), ExtraConnection(1, step, scripted=True)):
        assert hint(Failure(problem, step, unclaimed=unclaimed)) == said


def test_a_failure_that_is_not_about_bytes() -> None:
    """There is nothing to look at."""
    assert hint(Failure(LeftOpen(), read(b"x"))) == ""


def test_long_data_are_not_looked_into() -> None:
    """A hint takes no time to speak of."""
    short, long = b"a" * (LOOKED_AT - 1), b"a" * LOOKED_AT
    for data, said in ((short, CASE), (long, "")):
        problem = Differs(Mismatch(data + b"b", data + b"B"), data + b"B")
        assert hint(Failure(problem, read(data + b"b"))) == said


@settings(deadline=None)
@given(
    st.sampled_from([TimedOut, NotADisconnect, NotSilent, LeftBytes]),
    st.binary(max_size=20) | st.text(max_size=20).map(str.encode),
    st.binary(min_size=1, max_size=20),
    st.binary(min_size=1, max_size=20),
)
def test_nothing_raises(problem: type[TimedOut], data: bytes, one: bytes, other: bytes) -> None:
    """Whatever the bytes are."""
    script = ScriptView(done=(read(other, 1),), ahead=(read(one, 2),))
    for step in (read(one, 3), read(other, 3)):
        assert render(Failure(problem(data), step, script))
    assert render(Failure(Ended(data, None, reset=True), read(one, 3), script))
    assert render(Failure(Differs(Mismatch(one, data), data), read(one, 3), script))
