"""The text of a failure of each word, to the letter."""

# ruff: noqa: E501 - the lines of a failure are as long as they are

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
from helpers import EOF, RESET, Recorder, converse, play, run
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Client, clients

from pytest_tcpclient import (
    ANY,
    NEED_DATA,
    Matched,
    Mismatch,
    any_of,
    count,
    in_any_order,
    line,
)
from pytest_tcpclient._failure import ExtraConnection, TimedOut, Times
from pytest_tcpclient._matchers import Outcome
from pytest_tcpclient._report import origin, picture, render
from pytest_tcpclient._steps import Place
from pytest_tcpclient._transcript import Transcript, What
from pytest_tcpclient.framing import (
    Delimited,
    FixedSize,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
)

TIMEOUT = "timeout"


class JsonLines:
    """A framing as a test may write it. It has no repr of its own."""

    def encode(self, payload: Any) -> bytes:
        return json.dumps(payload).encode() + b"\n"

    def decode(self, buffer: bytes) -> tuple[Any, int] | None:
        text, newline, _ = buffer.partition(b"\n")
        return (json.loads(text), len(text) + 1) if newline else None


class Triplets:
    """A matcher as a test may write it."""

    def __repr__(self) -> str:
        return "three equal bytes"

    def match(self, buffer: bytes) -> Outcome:
        if len(buffer) < 3:
            return NEED_DATA
        if len({*buffer[:3]}) > 1:
            return Mismatch("three equal bytes", buffer[:3])
        return Matched(3, buffer[:3])


class Even:
    """Says itself what is equal to it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and int(other) % 2 == 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Even()"


def is_number(content: bytes) -> bool:
    return content.isdigit()


def nothing_to_say(received: bytes) -> bytes:
    raise LookupError(f"nothing to say to {received!r}")


def forgetful(content: bytes) -> Any:
    content.isdigit()


def play_server(stream: Any) -> None:
    raise AssertionError("not called")


class Word(NamedTuple):
    """A script, a client, and the text of its failure."""

    declare: Callable[[Recorder], object]
    data: bytes
    ending: str | None
    text: str


WORDS = {
    "no line in time": Word(
        lambda s: s.expect_line(),
        b"HEL",
        TIMEOUT,
        """
        Timed out waiting for a line; received b'HEL'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line()  HERE

        Expected: a line, ended by b'\\n'
        Received: b'HEL'
        """,
    ),
    "no line of these bytes in time": Word(
        lambda s: s.expect_line(b"HELLO", timeout=2),
        b"HEL",
        TIMEOUT,
        """
        Timed out waiting for line b'HELLO'; received b'HEL'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(b'HELLO', timeout=2)  HERE

        Expected: line b'HELLO', ended by b'\\n'
        Received: b'HEL'
        """,
    ),
    "no line that a pattern matches in time": Word(
        lambda s: s.expect_line(re.compile(rb"USER \w+")),
        b"",
        TIMEOUT,
        r"""
        Timed out waiting for a line matching b'USER \\w+'; received nothing.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(re.compile(b'USER \\w+'))  HERE

        Expected: a line matching b'USER \\w+', ended by b'\n'
        Received: nothing
        """,
    ),
    "closed in the middle of a line": Word(
        lambda s: s.expect_line(b"HELLO"),
        b"HEL",
        EOF,
        """
        Expected to get line b'HELLO' but the connection was closed after b'HEL'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(b'HELLO')  HERE

        Expected: line b'HELLO', ended by b'\\n'
        Received: b'HEL'
        """,
    ),
    "closed instead of a line": Word(
        lambda s: s.expect_line(),
        b"",
        EOF,
        """
        Expected to get a line but the connection was closed.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line()  HERE

        Expected: a line, ended by b'\\n'
        Received: nothing
        """,
    ),
    "a wrong line": Word(
        lambda s: s.expect_line(b"HELLO"),
        b"HELP\nmore",
        None,
        """
        Expected to get line b'HELLO' but actually got line b'HELP'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(b'HELLO')  HERE

        Expected: b'HELLO'
        Received: b'HELP'
                       ^ first difference, at byte 3
        """,
    ),
    "a line that ends otherwise": Word(
        lambda s: s.expect_line(b"HELLO"),
        b"HELLO\r\n",
        None,
        r"""
        Expected to get line b'HELLO' but actually got line b'HELLO\r'
        The client ends a line with b'\r\n', where the script wants b'\n'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(b'HELLO')  HERE

        Expected: b'HELLO'
        Received: b'HELLO\r'
                         ^ first difference, at byte 5
        """,
    ),
    "a line that a pattern does not match": Word(
        lambda s: s.expect_line(re.compile(rb"USER \w+")),
        b"QUIT\n",
        None,
        r"""
        Expected to get a line matching b'USER \\w+' but actually got line b'QUIT'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(re.compile(b'USER \\w+'))  HERE

        Received: b'QUIT\n'
        """,
    ),
    "a line that a predicate refuses": Word(
        lambda s: s.expect_line(is_number),
        b"QUIT\n",
        None,
        r"""
        Expected to get a line satisfying is_number but actually got line b'QUIT'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(is_number)  HERE

        Received: b'QUIT\n'
        """,
    ),
    "a line that a lambda refuses": Word(
        lambda s: s.expect_line(lambda line: line == b"x", newline=b"\r\n"),
        b"QUIT\r\n",
        None,
        r"""
        Expected to get a line satisfying <lambda> but actually got line b'QUIT'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(<lambda>, newline=b'\r\n')  HERE

        Received: b'QUIT\r\n'
        """,
    ),
    "a line that an object is not equal to": Word(
        lambda s: s.expect_line(Even()),
        b"1\n",
        None,
        r"""
        Expected to get line Even() but actually got line b'1'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(Even())  HERE

        Received: b'1\n'
        """,
    ),
    "a line over its limit": Word(
        lambda s: s.expect_line(limit=3),
        b"QUIT\r\n",
        None,
        r"""
        Expected to get a line but it is longer than the limit of 3 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(limit=3)  HERE

        Received: b'QUIT\r\n'
        """,
    ),
    "no delimiter in time": Word(
        lambda s: s.expect_until(b"\r\n\r\n"),
        b"GET / HTTP",
        TIMEOUT,
        r"""
        Timed out waiting for data up to b'\r\n\r\n'; received b'GET / HTTP'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_until(b'\r\n\r\n')  HERE

        Expected: data up to b'\r\n\r\n'
        Received: b'GET / HTTP'
        """,
    ),
    "other data up to a delimiter": Word(
        lambda s: s.expect_until(b";", b"ab;"),
        b"ac;",
        None,
        """
        Expected to get b'ab;' but actually got b'ac;'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_until(b';', b'ab;')  HERE

        Expected: b'ab;'
        Received: b'ac;'
                     ^ first difference, at byte 1
        """,
    ),
    "reset before a delimiter": Word(
        lambda s: s.expect_until(b";", is_number),
        b"ac",
        RESET,
        """
        Expected to get data up to b';' satisfying is_number but the connection was reset after b'ac'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_until(b';', is_number)  HERE

        Expected: data up to b';' satisfying is_number
        Received: b'ac'
        """,
    ),
    "no delimiter within the limit": Word(
        lambda s: s.expect_until(b";", limit=1),
        b"ac",
        RESET,
        """
        Expected to get data up to b';' but it is longer than the limit of 1 byte.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_until(b';', limit=1)  HERE

        Received: b'ac'
        """,
    ),
    "too few bytes in time": Word(
        lambda s: s.expect_count(3),
        b"ac",
        TIMEOUT,
        """
        Timed out waiting for 3 bytes; received b'ac'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_count(3)  HERE

        Expected: 3 bytes
        Received: b'ac'
        """,
    ),
    "closed after too few bytes": Word(
        lambda s: s.expect_count(1),
        b"",
        EOF,
        """
        Expected to get 1 byte but the connection was closed.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_count(1)  HERE

        Expected: 1 byte
        Received: nothing
        """,
    ),
    "other bytes than these": Word(
        lambda s: s.expect_count(3, b"abc"),
        b"abd",
        None,
        """
        Expected to get b'abc' but actually got b'abd'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_count(3, b'abc')  HERE

        Expected: b'abc'
        Received: b'abd'
                      ^ first difference, at byte 2
        """,
    ),
    "bytes that a predicate refuses": Word(
        lambda s: s.expect_count(3, is_number),
        b"abd",
        None,
        """
        Expected to get 3 bytes satisfying is_number but actually got b'abd'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_count(3, is_number)  HERE

        Received: b'abd'
        """,
    ),
    "none of several in time": Word(
        lambda s: s.expect(any_of(b"QUIT", line(b"EXIT"))),
        b"E",
        TIMEOUT,
        """
        Timed out waiting for any of b'QUIT', line b'EXIT'; received b'E'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(any_of(b'QUIT', line(b'EXIT')))  HERE

        Expected: any of b'QUIT', line b'EXIT'
        Received: b'E'
        """,
    ),
    "none of several": Word(
        lambda s: s.expect(any_of(b"QUIT", line(b"EXIT"))),
        b"EXPAND",
        None,
        """
        Expected to get any of b'QUIT', line b'EXIT' but actually got b'EXPAND'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(any_of(b'QUIT', line(b'EXIT')))  HERE

        Closest:  b'EXIT'
        Received: b'EXPAND'
                      ^ first difference, at byte 2
        """,
    ),
    "closed before any of several": Word(
        lambda s: s.expect(any_of(b"QUIT", line(b"EXIT"))),
        b"E",
        EOF,
        """
        Expected to get any of b'QUIT', line b'EXIT' but the connection was closed after b'E'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(any_of(b'QUIT', line(b'EXIT')))  HERE

        Expected: any of b'QUIT', line b'EXIT'
        Received: b'E'
        """,
    ),
    "not all of several in time": Word(
        lambda s: s.expect(in_any_order(b"A", line(b"B"), count(3))),
        b"B\n",
        TIMEOUT,
        r"""
        Timed out waiting for b'A', line b'B', 3 bytes in any order; received b'B\n'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(in_any_order(b'A', line(b'B'), count(3)))  HERE

        Expected: b'A', line b'B', 3 bytes in any order
        Received: b'B\n'
        Missing:  b'A', 3 bytes
        """,
    ),
    "something else than all of several": Word(
        lambda s: s.expect(in_any_order(b"A", line(b"B"), b"CD")),
        b"B\nX",
        None,
        r"""
        Expected to get b'A', line b'B', b'CD' in any order but actually got b'X'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(in_any_order(b'A', line(b'B'), b'CD'))  HERE

        Closest:  b'A'
        Received: b'X'
                    ^ first difference, at byte 0
        In all: b'B\nX'
        Missing:  b'A', b'CD'
        """,
    ),
    "closed before all of several": Word(
        lambda s: s.expect(in_any_order(b"A", line(b"B"), b"CD")),
        b"B\n",
        EOF,
        r"""
        Expected to get b'A', line b'B', b'CD' in any order but the connection was closed after b'B\n'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(in_any_order(b'A', line(b'B'), b'CD'))  HERE

        Expected: b'A', line b'B', b'CD' in any order
        Received: b'B\n'
        Missing:  b'A', b'CD'
        """,
    ),
    "several of several": Word(
        lambda s: s.expect(any_of(in_any_order(b"A", b"B"), b"CD")),
        b"X",
        None,
        """
        Expected to get any of (b'A', b'B' in any order), b'CD' but actually got b'X'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(any_of(in_any_order(b'A', b'B'), b'CD'))  HERE

        Closest:  b'A'
        Received: b'X'
                    ^ first difference, at byte 0
        """,
    ),
    "a matcher of the test waits": Word(
        lambda s: s.expect(Triplets()),
        b"ab",
        TIMEOUT,
        """
        Timed out waiting for three equal bytes; received b'ab'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(three equal bytes)  HERE

        Expected: three equal bytes
        Received: b'ab'
        """,
    ),
    "a matcher of the test says no": Word(
        lambda s: s.expect(Triplets()),
        b"abc",
        None,
        """
        Expected to get three equal bytes but actually got b'abc'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(three equal bytes)  HERE

        Received: b'abc'
        """,
    ),
    "closed before a matcher of the test could say": Word(
        lambda s: s.expect(Triplets()),
        b"ab",
        EOF,
        """
        Expected to get three equal bytes but the connection was closed after b'ab'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect(three equal bytes)  HERE

        Expected: three equal bytes
        Received: b'ab'
        """,
    ),
    "an object does not come in time": Word(
        lambda s: s.expect_frame({"id": ANY}, framing=JsonLines()),
        b'{"id',
        TIMEOUT,
        """
        Timed out waiting for frame {'id': ANY}; received b'{"id'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame({'id': ANY}, framing=<JsonLines>)  HERE

        Expected: frame {'id': ANY}
        Received: b'{"id'
        """,
    ),
    "another object": Word(
        lambda s: s.expect_frame({"id": ANY, "ok": True}, framing=JsonLines()),
        b'{"id": 1, "ok": false}\n',
        None,
        r"""
        Expected to get frame {'id': ANY, 'ok': True} but actually got frame {'id': 1, 'ok': False}

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame({'id': ANY, 'ok': True}, framing=<JsonLines>)  HERE

        First difference at ['ok']:
        Expected: True
        Received: False
        In all: b'{"id": 1, "ok": false}\n'
        """,
    ),
    "a malformed object": Word(
        lambda s: s.expect_frame(framing=JsonLines()),
        b"{id}\n",
        None,
        r"""
        Expected to get a frame but it is malformed: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(framing=<JsonLines>)  HERE

        Received: b'{id}\n'
        """,
    ),
    "closed in the middle of an object": Word(
        lambda s: s.expect_frame({"id": ANY}, framing=JsonLines()),
        b'{"id',
        EOF,
        """
        Expected to get frame {'id': ANY} but the connection was closed after b'{"id'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame({'id': ANY}, framing=<JsonLines>)  HERE

        Expected: frame {'id': ANY}
        Received: b'{"id'
        """,
    ),
    "closed instead of any frame": Word(
        lambda s: s.expect_frame(),
        b"",
        EOF,
        """
        Expected to get a frame but the connection was closed.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame()  HERE

        Expected: a frame
        Received: nothing
        """,
    ),
    "a prefix of any frame cut short": Word(
        lambda s: s.expect_frame(),
        b"\x00\x00",
        EOF,
        r"""
        Expected to get a frame but the connection was closed after 2 of the 4 bytes of its length prefix.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame()  HERE

        Expected: a frame
        Received: b'\x00\x00'
        """,
    ),
    "a frame that a pattern does not match": Word(
        lambda s: s.expect_frame(re.compile(b"x+")),
        b"\x00\x00\x00\x03abc",
        None,
        r"""
        Expected to get a frame matching b'x+' but actually got frame b'abc'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(re.compile(b'x+'))  HERE

        Received: b'\x00\x00\x00\x03abc'
        """,
    ),
    "a malformed netstring": Word(
        lambda s: s.expect_frame(b"abc", framing=Netstring()),
        b"hello",
        None,
        """
        Expected to get frame b'abc' but it is malformed: it does not begin with a length in decimal digits

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=Netstring())  HERE

        Received: b'hello'
        """,
    ),
    "a netstring that ends otherwise": Word(
        lambda s: s.expect_frame(b"abc", framing=Netstring()),
        b"3:abc\n",
        None,
        r"""
        Expected to get frame b'abc' but it is malformed: b',' must follow its payload, not b'\n'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=Netstring())  HERE

        Received: b'3:abc\n'
        """,
    ),
    "a netstring over its limit": Word(
        lambda s: s.expect_frame(b"abc", framing=Netstring(10)),
        b"12:abcdefghijkl,",
        None,
        """
        Expected to get frame b'abc' but its length prefix b'12' says 12 bytes; the limit is 10.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=Netstring(limit=10))  HERE

        Received: b'12:abcdefghijkl,'
        """,
    ),
    "a delimited frame over its limit": Word(
        lambda s: s.expect_frame(b"abc", framing=Delimited(limit=3)),
        b"3000:abc\n",
        None,
        r"""
        Expected to get frame b'abc' but it is longer than the limit of 3 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=Delimited(limit=3))  HERE

        Received: b'3000:abc\n'
        """,
    ),
    "a malformed varint": Word(
        lambda s: s.expect_frame(b"abc", framing=VarintPrefixed()),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        None,
        r"""
        Expected to get frame b'abc' but it is malformed: its length is a varint of more than 10 bytes

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=VarintPrefixed())  HERE

        Received: b'\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'
        """,
    ),
    "a varint frame cut short": Word(
        lambda s: s.expect_frame(b"abc", framing=VarintPrefixed()),
        b"\x03ab",
        EOF,
        r"""
        Expected to get frame b'abc' but the connection was closed after 2 of its 3 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=VarintPrefixed())  HERE

        Expected: frame b'abc'
        Received: b'\x03ab'
        """,
    ),
    "a frame of a fixed size cut short": Word(
        lambda s: s.expect_frame(b"abc", framing=FixedSize(3)),
        b"ab",
        EOF,
        """
        Expected to get frame b'abc' but the connection was closed after 2 of its 3 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=FixedSize(size=3))  HERE

        Expected: frame b'abc'
        Received: b'ab'
        """,
    ),
    "a prefix that counts itself and is too small": Word(
        lambda s: s.expect_frame(b"abc", framing=LengthPrefixed(2, includes_prefix=True)),
        b"\x00\x01ab",
        None,
        r"""
        Expected to get frame b'abc' but it is malformed: its length prefix b'\x00\x01' says 1, which is less than its own 2 bytes

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'abc', framing=LengthPrefixed(size=2, includes_prefix=True))  HERE

        Received: b'\x00\x01ab'
        """,
    ),
    "silence broken": Word(
        lambda s: s.expect_nothing(0.5),
        b"ab",
        None,
        """
        Expected silence, but client sent b'ab'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_nothing(0.5)  HERE

        Received: b'ab'
        """,
    ),
    "a function without a client": Word(
        lambda s: (s.expect_disconnect(), s.run(play_server)),
        b"",
        EOF,
        """
        Client closed the connection before `run(play_server)`.

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_disconnect()  HERE
        > failed       run(play_server)  HERE
        """,
    ),
    "skipped and late": Word(
        lambda s: (s.expect_bytes(b"a", optional=True), s.expect_bytes(lambda: b"HELLO")),
        b"HELP",
        None,
        """
        Expected to read b'HELLO' but actually read b'HELP'

        Script of connection 1 to 127.0.0.1:5000:
          skipped      expect_bytes(b'a', optional=True)  HERE
        > failed       expect_bytes(<lambda>)  HERE

        Expected: b'HELLO'
        Received: b'HELP'
                       ^ first difference, at byte 3
        """,
    ),
    "an answer that raises": Word(
        lambda s: (s.expect_bytes(b"a"), s.send_bytes(nothing_to_say)),
        b"a",
        None,
        """
        `send_bytes(nothing_to_say)` raised LookupError: nothing to say to b'a'

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_bytes(b'a')  HERE
        > failed       send_bytes(nothing_to_say)  HERE
        """,
    ),
    "a predicate that raises": Word(
        lambda s: s.expect_line(nothing_to_say),
        b"a\n",
        None,
        """
        `expect_line(nothing_to_say)` raised LookupError: nothing to say to b'a'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(nothing_to_say)  HERE
        """,
    ),
    "a predicate that gives no answer": Word(
        lambda s: s.expect_line(forgetful),
        b"a\n",
        None,
        """
        `expect_line(forgetful)` raised ScriptError: the predicate forgetful must return True or False, not None. (To compute what is expected, give a function without arguments.)

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_line(forgetful)  HERE
        """,
    ),
    "all that a server can do": Word(
        lambda s: (
            s.expect_bytes(b"x"),
            s.send_frame({"a": 1}, framing=JsonLines()),
            s.send_line(b"x", newline=b"\r\n"),
            s.send_bytes(b"a", b"b", interval=1, chunk_size=2),
            s.run(play_server),
            s.expect_nothing(1.5),
        ),
        b"a",
        None,
        r"""
        Expected to read b'x' but actually read b'a'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'x')  HERE
          not reached  send_frame({'a': 1}, framing=<JsonLines>)  HERE
          not reached  send_line(b'x', newline=b'\r\n')  HERE
          not reached  send_bytes(b'a', b'b', interval=1, chunk_size=2)  HERE
          not reached  run(play_server)  HERE
          not reached  expect_nothing(1.5)  HERE

        Expected: b'x'
        Received: b'a'
                    ^ first difference, at byte 0
        """,
    ),
    "a rule that raises": Word(
        lambda s: s.whenever(line(b"PING"), nothing_to_say),
        b"PING\n",
        None,
        """
        `whenever(line(b'PING'), nothing_to_say)` raised LookupError: nothing to say to b'PING'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       whenever(line(b'PING'), nothing_to_say)  HERE
        """,
    ),
    "a rule before": Word(
        lambda s: (s.whenever(b"PING"), s.whenever(b"ping", b"pong"), s.expect_bytes(b"x")),
        b"PINGpingy",
        None,
        """
        Expected to read b'x' but actually read b'y'

        Script of connection 1 to 127.0.0.1:5000:
          done         whenever(b'ping', b'pong')  HERE
        > failed       expect_bytes(b'x')  HERE

        Expected: b'x'
        Received: b'y'
                    ^ first difference, at byte 0
        """,
    ),
}


def told(declare: Callable[[Recorder], object], data: bytes, ending: str | None) -> str:
    """The text of the failure, without the numbers of the lines of this file."""
    script = Recorder()
    declare(script)
    played = play(
        script.steps, [data] if data else [], None if ending == TIMEOUT else ending, script.rules
    )
    if ending == TIMEOUT:
        played.conversation.time_out()
    failure = played.conversation.failure
    assert failure is not None
    return re.sub(r" +[^ ]*test_report_words\.py:[0-9]+", "  HERE", render(failure))


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_the_text_of_a_failure(word: Word) -> None:
    """The cause is in the first line; below it stands what is needed to find it."""
    assert told(word.declare, word.data, word.ending) == dedent(word.text).strip("\n")


def test_a_matcher_that_raises_when_it_is_asked_again() -> None:
    """What is missing is not said then."""

    class Moody:
        asked = 0

        def match(self, buffer: bytes) -> Outcome:
            self.asked += 1
            if self.asked > 1:
                raise ValueError
            return Mismatch(b"A", buffer)

    script = Recorder()
    script.expect(in_any_order(Moody()))
    failure = play(script.steps, [b"B"]).failure
    assert failure is not None
    for problem in (TimedOut(b"B"), ExtraConnection(2, failure.step, scripted=True)):
        assert "Missing" not in render(replace(failure, problem=problem))


def test_a_function_that_does_not_return_in_time() -> None:
    """What it has not received is not blamed."""
    script = Recorder()
    script.run(play_server, timeout=2)
    conversation, _ = converse(*script.steps)
    conversation.receive_data(b"ab")
    conversation.next_action()
    conversation.time_out(Place("test_client.py", 7), "play_server")
    assert conversation.failure is not None
    assert render(conversation.failure).split("\n")[:5] == [
        "Timed out waiting for `run(play_server, timeout=2)` to return.",
        "It is at test_client.py:7, in play_server().",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        f"> failed       run(play_server, timeout=2)  {here(script)}",
    ]


def here(script: Recorder) -> str:
    """The line of the only step of a script."""
    listed = re.findall(r"[^ ]*test_report_words\.py:[0-9]+", origin_of(script))
    return listed[0].lstrip("(")


def origin_of(script: Recorder) -> str:
    conversation, _ = converse(*script.steps)
    conversation.raise_(LookupError())
    assert conversation.failure is not None
    return origin(conversation.failure)


def test_where_an_error_of_the_script_was_raised() -> None:
    """A note on it says so: by a step, or by a rule."""
    script = Recorder()
    script.send_bytes(nothing_to_say)
    assert re.sub(r"[^ (]*:[0-9]+\)", "HERE)", origin_of(script)) == (
        "Raised by the script of the server 127.0.0.1:5000 at send_bytes(nothing_to_say) (HERE)."
    )
    script = Recorder()
    script.whenever(b"PING", nothing_to_say)
    conversation, _ = converse()
    conversation.add_rule(script.rules[0])
    conversation.receive_data(b"PING")
    run(conversation)
    assert conversation.failure is not None
    assert re.sub(r"[^ (]*:[0-9]+\)", "HERE)", origin(conversation.failure)) == (
        "Raised by the script of the server 127.0.0.1:5000 at whenever(b'PING', nothing_to_say) "
        "(HERE)."
    )


class Secretive:
    """An object that does not say what it is."""

    def __repr__(self) -> str:
        raise LookupError("my own fault")


def test_an_object_whose_repr_raises() -> None:
    """The failure is told all the same."""
    assert told(
        lambda s: s.expect_frame({"a": Secretive()}, framing=JsonLines()), b"1\n", None
    ) == (
        "Expected to get frame <dict, whose repr() raised LookupError> but actually got frame 1\n"
        "\n"
        "Script of connection 1 to 127.0.0.1:5000:\n"
        "> failed       expect_frame(<dict, whose repr() raised LookupError>, "
        "framing=<JsonLines>)  HERE\n"
        "\n"
        "Received: b'1\\n'"
    )


@settings(deadline=None)
@given(clients(optional=True, rules=True), st.booleans())
def test_every_failure_can_be_told(client: Client, late: bool) -> None:
    """Whatever the script, the bytes and the end are: in text, in a line, and as a picture."""
    played = play(client.steps, [client.data] if client.data else [], client.ending)
    if late and played.failure is None:
        played.conversation.time_out()
    failure = played.conversation.failure
    if failure is None:
        return
    failure = replace(failure, times=Times((0.5,) * len(failure.script.done), 1.0, 0.5))
    for in_line in (True, False):
        first, *_ = render(failure, hint_in_line=in_line).split("\n")
        assert first
    transcript = Transcript()
    transcript.add(0.5, 1, What.RECEIVED, client.data)
    assert picture(transcript, failure)
    assert origin(failure)
