"""Every word of a script, on real sockets: what it does, and the first line when it fails."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from clients import connect, every_split, failure_of, receive_all, receive_exactly

from pytest_tcpclient import (
    ANY,
    NEED_DATA,
    Matched,
    Mismatch,
    ScriptError,
    ScriptMismatch,
    any_of,
    count,
    frame,
    in_any_order,
    line,
    splits,
)
from pytest_tcpclient._traceback import shown
from pytest_tcpclient._transcript import What
from pytest_tcpclient.framing import (
    Delimited,
    FixedSize,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
)

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=0.2)]

patient = pytest.mark.tcpserver(timeout=10)


async def send_pieces(client, pieces):
    """Send each piece by itself, as far as a client can see to that."""
    for piece in pieces:
        await client.send(piece)
        await anyio.lowlevel.checkpoint()


# Lines, counts, and what ends with a delimiter


@patient
@pytest.mark.parametrize("pieces", every_split(b"HELO me\r\nQUIT\r\n"), ids=repr)
async def test_lines_may_arrive_in_any_pieces(tcpserver, pieces):
    """Each is received without its newline."""
    tcpserver.expect_connect()
    hello = tcpserver.expect_line(re.compile(rb"HELO (\w+)"), newline=b"\r\n")
    quit_ = tcpserver.expect_line(b"QUIT", newline=b"\r\n")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        await send_pieces(client, pieces)
    await tcpserver.join()
    assert hello.received[1] == b"me"
    assert quit_.received == b"QUIT"


@pytest.mark.tcpserver(timeout=10, newline=b"\r\n")
async def test_the_newline_of_a_server(tcpserver):
    """Set once, it is what ends every line; a step may have its own."""
    tcpserver.expect_connect()
    lines = [tcpserver.expect_line(), tcpserver.expect_line(newline=b"\n")]
    tcpserver.send_line(b"one")
    tcpserver.send_line(b"", newline=b"\0")
    tcpserver.disconnect()
    async with await connect(tcpserver) as client:
        await client.send(b"a\nb\r\nc\n")
        assert await receive_all(client) == b"one\r\n\0"
    await tcpserver.join()
    assert [each.received for each in lines] == [b"a\nb", b"c"]


@patient
@pytest.mark.parametrize("pieces", every_split(b"GET / HTTP/1.1\r\n\r\nbody!"), ids=repr)
async def test_delimited_and_counted_data_may_arrive_in_any_pieces(tcpserver, pieces):
    """The delimiter belongs to what is received."""
    tcpserver.expect_connect()
    head = tcpserver.expect_until(b"\r\n\r\n", lambda head: head.startswith(b"GET "))
    body = tcpserver.expect_count(lambda head: len(head) - 14, re.compile(b"b(.)dy"))
    tcpserver.expect_bytes(b"!")
    async with await connect(tcpserver) as client:
        await send_pieces(client, pieces)
        await tcpserver.join()
    assert head.received == b"GET / HTTP/1.1\r\n\r\n"
    assert body.received.groups() == (b"o",)


@pytest.mark.parametrize(
    ("declare", "sent", "first_line"),
    [
        (
            lambda s: s.expect_line(),
            b"HEL",
            "Timed out waiting for a line; received b'HEL'.",
        ),
        (
            lambda s: s.expect_line(b"HELO"),
            b"",
            "Timed out waiting for line b'HELO'; received nothing.",
        ),
        (
            lambda s: s.expect_until(b"\r\n\r\n"),
            b"GET /\r\n",
            r"Timed out waiting for data up to b'\r\n\r\n'; received b'GET /\r\n'.",
        ),
        (
            lambda s: s.expect_count(4),
            b"abc",
            "Timed out waiting for 4 bytes; received b'abc'.",
        ),
        (
            lambda s: s.expect_frame(),
            b"\0\0\0\3ab",
            r"Timed out waiting for a frame; received b'\x00\x00\x00\x03ab'.",
        ),
        (
            lambda s: s.expect(any_of(b"YES", b"NO")),
            b"Y",
            "Timed out waiting for any of b'YES', b'NO'; received b'Y'.",
        ),
        (
            lambda s: s.expect(in_any_order(b"one", b"two")),
            b"two",
            "Timed out waiting for b'one', b'two' in any order; received b'two'.",
        ),
        (
            lambda s: s.run(silent),
            b"",
            "Timed out waiting for `run(silent)` to return.",
        ),
    ],
)
async def test_too_little_comes(tcpserver, declare, sent, first_line):
    """What had come is in the first line."""
    tcpserver.expect_connect()
    declare(tcpserver)
    async with await connect(tcpserver) as client:
        if sent:
            await client.send(sent)
        assert await failure_of(tcpserver) == first_line


async def listens(stream):
    await stream.receive()  # async


def listens_in_a_thread(stream):
    stream.receive()  # in a thread


@pytest.mark.parametrize(
    ("function", "where", "limit"),
    [
        (listens, "listens()", 0.05),
        (listens_in_a_thread, "listens_in_a_thread()", 0.5),  # Threads may take time to begin.
    ],
)
async def test_where_a_function_is_that_does_not_return(tcpserver, function, where, limit):
    """The line at which it waits is the second one of the text."""
    tcpserver.expect_connect()
    tcpserver.run(function, timeout=limit)
    async with await connect(tcpserver):
        with pytest.raises(ScriptMismatch) as caught:
            await tcpserver.join()
    line = function.__code__.co_firstlineno + 1
    assert str(caught.value).splitlines()[1] == f"It is at {shown(__file__)}:{line}, in {where}."


async def silent(stream):
    """Play a server that waits for something that will not come."""
    await anyio.sleep(100)


def is_ping(received):
    """Decide about a content, by a name that is shown."""
    return received == b"PING"


@pytest.mark.parametrize(
    ("declare", "sent", "first_line"),
    [
        (
            lambda s: s.expect_line(b"HELO"),
            b"EHLO\nmore",
            "Expected to get line b'HELO' but actually got line b'EHLO'",
        ),
        (
            lambda s: s.expect_line(re.compile(rb"HELO (\w+)")),
            b"HELO\n",
            r"Expected to get a line matching b'HELO (\\w+)' but actually got line b'HELO'",
        ),
        (
            lambda s: s.expect_line(is_ping),
            b"PONG\n",
            "Expected to get a line satisfying is_ping but actually got line b'PONG'",
        ),
        (
            lambda s: s.expect_line(limit=4),
            b"12345",
            "Expected to get a line but it is longer than the limit of 4 bytes.",
        ),
        (
            lambda s: s.expect_until(b";", b"a;"),
            b"b;",
            "Expected to get b'a;' but actually got b'b;'",
        ),
        (
            lambda s: s.expect_count(2, b"ab"),
            b"ba",
            "Expected to get b'ab' but actually got b'ba'",
        ),
        (
            lambda s: s.expect_frame(re.compile(b"a+")),
            b"\0\0\0\1b",
            "Expected to get a frame matching b'a+' but actually got frame b'b'",
        ),
        (
            lambda s: s.expect(any_of(b"YES", b"NO")),
            b"NEVER",
            "Expected to get any of b'YES', b'NO' but actually got b'NE'",
        ),
        (
            lambda s: s.expect(in_any_order(b"one", b"two")),
            b"twothree",
            "Expected to get b'one', b'two' in any order but actually got b'thr'",
        ),
        (
            lambda s: s.expect(Even()),
            b"5",
            "Expected to get an even digit but actually got 5",
        ),
        (
            lambda s: s.expect_nothing(10),
            b"Hello",
            "Expected silence, but client sent b'Hello'.",
        ),
        (
            lambda s: s.expect_frame(framing=Netstring()),
            b"x",
            "Expected to get a frame but it is malformed: it does not begin with a length in "
            "decimal digits",
        ),
        (
            lambda s: s.expect_frame(b"abc", framing=Netstring()),
            b"3:abc;",
            "Expected to get frame b'abc' but it is malformed: b',' must follow its payload, not "
            "b';'",
        ),
        (
            lambda s: s.expect_frame(framing=LengthPrefixed(2, "little", limit=255)),
            b"\0\1",
            r"Expected to get a frame but its length prefix b'\x00\x01' says 256 bytes; the limit "
            "is 255.",
        ),
        (
            lambda s: s.expect_frame(framing=Delimited(b";", limit=2)),
            b"abc",
            "Expected to get a frame but it is longer than the limit of 2 bytes.",
        ),
    ],
)
@patient
async def test_something_else_comes(tcpserver, declare, sent, first_line):
    """Nothing is waited for that could not change the verdict."""
    tcpserver.expect_connect()
    declare(tcpserver)
    async with await connect(tcpserver) as client:
        await client.send(sent)
        assert await failure_of(tcpserver) == first_line


@pytest.mark.parametrize(
    ("declare", "sent", "first_line"),
    [
        (
            lambda s: s.expect_line(b"HELO"),
            b"HEL",
            "Expected to get line b'HELO' but the connection was closed after b'HEL'.",
        ),
        (
            lambda s: s.expect_line(),
            b"",
            "Expected to get a line but the connection was closed.",
        ),
        (
            lambda s: s.expect_count(10),
            b"abc",
            "Expected to get 10 bytes but the connection was closed after b'abc'.",
        ),
        (
            lambda s: s.expect_until(b";"),
            b"abc",
            "Expected to get data up to b';' but the connection was closed after b'abc'.",
        ),
        (
            lambda s: s.expect_frame(),
            b"",
            "Expected to get a frame but the connection was closed.",
        ),
        (
            lambda s: s.expect_frame(framing=VarintPrefixed()),
            b"\5ab",
            "Expected to get a frame but the connection was closed after 2 of its 5 bytes.",
        ),
        (
            lambda s: s.expect_frame(framing=FixedSize(3)),
            b"ab",
            "Expected to get a frame but the connection was closed after 2 of its 3 bytes.",
        ),
        (
            lambda s: s.expect_frame(framing=Netstring()),
            b"5",
            "Expected to get a frame but the connection was closed after b'5'.",
        ),
        (
            lambda s: s.expect(any_of(b"YES", b"NO")),
            b"Y",
            "Expected to get any of b'YES', b'NO' but the connection was closed after b'Y'.",
        ),
    ],
)
@patient
async def test_the_client_closes_in_the_middle(tcpserver, declare, sent, first_line):
    """How far it had come is in the first line."""
    tcpserver.expect_connect()
    declare(tcpserver)
    async with await connect(tcpserver) as client:
        if sent:
            await client.send(sent)
    assert await failure_of(tcpserver) == first_line


# Framings


class Letters:
    """A framing of the test's own: one letter, of which lower and upper case are the same."""

    def encode(self, payload):
        """Be loud."""
        return payload.upper().encode()

    def decode(self, buffer):
        """Take one byte."""
        letter = buffer[:1].decode()
        if not letter.isalpha():
            raise ValueError(f"{letter!r} is no letter")
        return letter.lower(), 1


@patient
@pytest.mark.parametrize(
    ("framing", "payloads"),
    [
        (LengthPrefixed(1), [b"", b"Hello"]),
        (LengthPrefixed(2, "little", includes_prefix=True), [b"Hello", b""]),
        (LengthPrefixed(8), [b"Hello", b"x" * 100_000]),
        (VarintPrefixed(), [b"", b"x" * 300]),
        (Netstring(), [b"", b"Hello, world!"]),
        (Delimited(b"--"), [b"", b"Hello-world"]),
        (FixedSize(5), [b"Hello", b"World"]),
        (Letters(), ["a", "z"]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_messages_of_every_framing(tcpserver_factory, framing, payloads):
    """What the server sends is what it would receive: an echo is all that a client needs."""
    server = await tcpserver_factory(framing=framing)
    server.expect_connect()
    for payload in payloads:
        server.send_frame(payload)
    received = [server.expect_frame(payload) for payload in payloads]
    server.send_frame(lambda last: last)
    server.disconnect()
    async with await connect(server) as client:
        size = sum(len(framing.encode(payload)) for payload in payloads)
        await client.send(await receive_exactly(client, size))
        assert await receive_all(client) == framing.encode(payloads[-1])
    await server.join()
    assert [each.received for each in received] == payloads


@pytest.mark.tcpserver(framing=Letters(), timeout=10)
async def test_payloads_that_are_no_bytes(tcpserver):
    """They are compared and shown as what they are; what is no message says why."""
    tcpserver.expect_connect()
    tcpserver.expect_frame("a")
    tcpserver.expect_frame(ANY)
    tcpserver.expect_frame(re.compile("[a-c]"))
    tcpserver.expect_frame("d")
    async with await connect(tcpserver) as client:
        await client.send(b"ABCE")
        assert await failure_of(tcpserver) == "Expected to get frame 'd' but actually got frame 'e'"


@pytest.mark.tcpserver(framing=Letters(), timeout=10)
async def test_a_message_of_an_own_framing_is_malformed(tcpserver):
    """Its ``ValueError`` says why."""
    tcpserver.expect_connect()
    tcpserver.expect_frame("a")
    async with await connect(tcpserver) as client:
        await client.send(b"1")
        assert await failure_of(tcpserver) == (
            "Expected to get frame 'a' but it is malformed: '1' is no letter"
        )


@pytest.mark.tcpserver(framing=Letters())
async def test_what_an_own_framing_cannot_encode(tcpserver):
    """Its error is raised at the line that sends."""
    with pytest.raises(AttributeError, match="'bytes' object has no attribute 'encode'"):
        tcpserver.send_frame(b"bytes")


# Matchers


class Even:
    """A matcher of the test's own: one digit, which is even."""

    def __repr__(self):
        """Say what is wanted."""
        return "an even digit"

    def match(self, buffer):
        """Take one byte."""
        digit = buffer[0] - ord("0")
        return Matched(1, digit) if digit in (0, 2, 4, 6, 8) else Mismatch(self, digit)


class Stuck:
    """A matcher that answers with what it was given."""

    def __init__(self, answer):
        """Keep the answer."""
        self.answer = answer

    def __repr__(self):
        """Be short."""
        return "Stuck"

    def match(self, buffer):
        """Answer."""
        return self.answer


@patient
async def test_matchers(tcpserver):
    """Of the package, and of the test's own, alone and together."""
    tcpserver.expect_connect()
    handles = [
        tcpserver.expect(any_of(line(b"PING"), b"Q", count(2))),
        tcpserver.expect(any_of(line(b"PING"), b"Q", count(2))),
        tcpserver.expect(any_of(line(b"PING"), b"Q", count(2))),
        tcpserver.expect(in_any_order(b"a", Even(), frame(b"x"))),
        tcpserver.expect(b"end"),
    ]
    async with await connect(tcpserver) as client:
        await client.send(b"abQPING\n\0\0\0\1x4aend")
        await tcpserver.join()
    assert [each.received for each in handles] == [b"ab", b"Q", b"PING", (b"a", 4, b"x"), b"end"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            True,
            "match() of Stuck must return Matched(size, value), NEED_DATA or Mismatch(expected, "
            "actual), not True",
        ),
        (
            Matched(2, None),
            "match() of Stuck was given 1 bytes, and says that 2 of them belong to it",
        ),
    ],
)
async def test_a_matcher_that_answers_nonsense(tcpserver, answer, error):
    """The script cannot be played; the client is not to blame."""
    tcpserver.expect_connect()
    tcpserver.expect(Stuck(answer))
    async with await connect(tcpserver) as client:
        await client.send(b"x")
        with pytest.raises(ScriptError) as caught:
            await tcpserver.join()
    assert str(caught.value) == error


async def test_a_matcher_that_waits_for_ever(tcpserver):
    """It is waited for as for anything else."""
    tcpserver.expect_connect()
    tcpserver.expect(Stuck(NEED_DATA))
    async with await connect(tcpserver) as client:
        await client.send(b"x")
        assert await failure_of(tcpserver) == "Timed out waiting for Stuck; received b'x'."


# Functions instead of bytes


@patient
async def test_a_reply_is_made_of_what_was_received(tcpserver):
    """When its step has become the current one; so is what needs no argument."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(lambda received: repr(received).encode())
    tcpserver.expect_line()
    tcpserver.send_bytes(bytes.upper)
    tcpserver.send_line(lambda received: b"<" + received + b">")
    seen = []
    tcpserver.expect_bytes(lambda received: b"not " + received)
    tcpserver.send_frame(lambda: b"%d" % len(seen))
    async with await connect(tcpserver) as client:
        assert await receive_exactly(client, 4) == b"None"
        await client.send(b"hello\n")
        assert await receive_exactly(client, 13) == b"HELLO<hello>\n"
        seen.append(1)
        await client.send(b"not hello")
        assert await receive_exactly(client, 5) == b"\0\0\0\x011"
    await tcpserver.join()


async def test_what_a_function_raises_fails_the_test(tcpserver):
    """With its own error, which says where it came from."""
    tcpserver.expect_connect()
    tcpserver.expect_line()
    tcpserver.send_bytes(lambda received: received.nonsense)
    async with await connect(tcpserver) as client:
        await client.send(b"hello\n")
        with pytest.raises(AttributeError) as caught:
            await tcpserver.join()
    [note] = caught.value.__notes__
    assert re.fullmatch(
        r"Raised by the script of the server 127\.0\.0\.1:\d+ at send_bytes\(<lambda>\) "
        r"\(.*test_words\.py:\d+\)\.",
        note,
    )
    await tcpserver.join()  # It is settled.


@pytest.mark.parametrize(
    ("declare", "error"),
    [
        (
            lambda s: s.send_bytes(lambda: "text"),
            "TypeError: data must be bytes, not str: write b'text' or encode it",
        ),
        (lambda s: s.expect_bytes(lambda: b""), "ValueError: data must not be empty"),
        (
            lambda s: s.expect_line(lambda line: None),
            "ScriptError: the predicate <lambda> must return True or False, not None. (To compute "
            "what is expected, give a function without arguments.)",
        ),
        (
            lambda s: s.whenever(b"x", lambda: 1),
            "TypeError: reply must be bytes, not int",
        ),
        (lambda s: s.run(lambda stream: 1 / 0), "ZeroDivisionError: division by zero"),
    ],
)
async def test_a_function_that_gives_nonsense(tcpserver, declare, error):
    """The error is the one that the value would have had."""
    tcpserver.expect_connect()
    declare(tcpserver)
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        # Some fail before the client has said anything, and reset its connection soon.
        with suppress(anyio.BrokenResourceError):
            await client.send(b"x\n")
        with pytest.raises((TypeError, ValueError, ScriptError, ZeroDivisionError)) as caught:
            await tcpserver.join()
    assert f"{type(caught.value).__name__}: {caught.value}" == error


async def test_a_function_that_declares(tcpserver):
    """It is called once, whatever it adds to the script."""

    def answer():
        calls.append(answer)
        tcpserver.whenever(b"PING\n", b"PONG\n")
        tcpserver.expect_line(b"BYE")
        return b"Hello\n"

    calls = []
    tcpserver.expect_connect()
    tcpserver.send_bytes(answer)
    async with await connect(tcpserver) as client:
        assert await receive_exactly(client, 6) == b"Hello\n"
        await client.send(b"PING\n")
        assert await receive_exactly(client, 5) == b"PONG\n"
        await client.send(b"BYE\n")
        await tcpserver.join()
    assert calls == [answer]


# Optional steps


@patient
@pytest.mark.parametrize(
    ("sent", "done"),
    [
        (b"START\nPING\nQUIT\n", [True, True]),
        (b"START\nQUIT\n", [True, False]),
        (b"PING\nQUIT\n", [False, True]),
        (b"QUIT\n", [False, False]),
    ],
)
async def test_what_is_optional_may_come_or_not(tcpserver, sent, done):
    """Whatever does not match is for the next step."""
    tcpserver.expect_connect()
    optional = [
        tcpserver.expect_bytes(b"START\n", optional=True),
        tcpserver.expect_line(b"PING", optional=True),
    ]
    tcpserver.expect_line(b"QUIT")
    tcpserver.expect_disconnect()
    async with await connect(tcpserver) as client:
        for pieces in sent:
            await client.send(bytes([pieces]))
    await tcpserver.join()
    assert [each.done for each in optional] == done
    assert [each.skipped for each in optional] == [not each for each in done]


async def test_an_optional_step_is_not_waited_for_longer_than_its_timeout(tcpserver_factory):
    """Then the script goes on, and so does whoever waits for it."""
    server = await tcpserver_factory(timeout=10)
    server.expect_connect()
    skipped = server.expect_line(timeout=0.05, optional=True)
    closed = server.expect_disconnect(timeout=0.05, optional=True)
    server.send_bytes(b"Hello")
    server.disconnect()
    async with await connect(server) as client:
        with pytest.raises(ScriptError, match=r"^expect_line\(\) was optional, and was skipped$"):
            await skipped.wait()
        await client.send(b"what was not expected")
        assert await receive_all(client) == b"Hello"
        server.expect_bytes(b"what was not expected")
        await server.join()
    assert skipped.skipped
    assert closed.skipped
    assert repr(skipped) == "<Handle of expect_line(), skipped>"


async def test_a_connection_may_be_optional(tcpserver_factory):
    """If it does not come, its steps are skipped, and the next one is for the next step."""
    server = await tcpserver_factory(timeout=10)
    first = server.expect_connect(timeout=0.05, optional=True)
    hello = first.expect_bytes(b"Hello")
    second = server.expect_connect()
    second.expect_bytes(b"World")
    with anyio.fail_after(5):
        while not first.skipped:
            await anyio.lowlevel.checkpoint()
    late = first.expect_bytes(b"late")
    async with await connect(server) as client:
        await client.send(b"World")
        await server.join()
    assert [first.skipped, hello.skipped, late.skipped, second.skipped] == [True] * 3 + [False]


@patient
async def test_an_optional_connection_that_comes_is_like_any_other(tcpserver):
    """Its steps are to be done."""
    connection = tcpserver.expect_connect(optional=True)
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"HELLO")
        assert await failure_of(tcpserver) == (
            "Expected to read b'Hello' but actually read b'HELLO'"
        )
    assert connection.done


# Silence


@patient
async def test_a_silent_client(tcpserver):
    """It may speak again afterwards."""
    tcpserver.expect_connect()
    silence = tcpserver.expect_nothing(0.1)
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await silence.wait()
        await client.send(b"Hello")
        await tcpserver.join()


@patient
async def test_a_client_that_closes_is_silent(tcpserver):
    """Nobody need wait for the rest of the time."""
    tcpserver.expect_connect()
    tcpserver.expect_nothing(60)
    tcpserver.expect_disconnect()
    async with await connect(tcpserver):
        pass
    with anyio.fail_after(5):
        await tcpserver.join()


# Background rules


@patient
async def test_a_heartbeat_is_answered_in_the_background(tcpserver):
    """Wherever the script is, on every connection; it is counted, and can be stopped."""
    rule = tcpserver.whenever(b"PING", b"PONG")
    swallowed = tcpserver.whenever(b"\0")
    for number in b"12":
        tcpserver.expect_connect()
        tcpserver.expect_bytes(b"Hello%c" % number)
        tcpserver.send_bytes(b"World")
        tcpserver.expect_disconnect()
    for number in b"12":
        async with await connect(tcpserver) as client:
            await client.send(b"PI")
            await client.send(b"NG\0")
            assert await receive_exactly(client, 4) == b"PONG"
            await client.send(b"PINGHello%cPING" % number)
            assert await receive_exactly(client, 13) == b"PONGWorldPONG"
    await tcpserver.join()
    assert rule.count == 6
    assert swallowed.count == 2
    assert repr(rule) == "<Rule b'PING', applied 6 times>"


@pytest.mark.tcpserver(framing=Letters(), newline=b"\r\n", timeout=10)
async def test_a_rule_may_answer_with_a_message_or_a_line(tcpserver):
    """Delimited as those of the server are."""
    tcpserver.whenever(frame("a"), frame("b"))
    tcpserver.whenever(frame("c"), lambda: line(b"see"))
    with pytest.raises(TypeError, match=r"^line must be bytes, not _Any$"):
        tcpserver.whenever(b"x", line())
    tcpserver.expect_connect()
    tcpserver.expect_frame("z")
    async with await connect(tcpserver) as client:
        await client.send(b"ACZ")
        assert await receive_exactly(client, 6) == b"Bsee\r\n"
        await tcpserver.join()


@patient
async def test_a_rule_that_is_stopped_applies_no_more(tcpserver):
    """What it would have answered is for the script again."""
    connection = tcpserver.expect_connect()
    rule = connection.whenever(line(re.compile(b"PING (.*)")), lambda match: match[1])
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"PING 5\n")
        assert await receive_exactly(client, 1) == b"5"
        rule.stop()
        await client.send(b"PING 6\n")
        assert await failure_of(tcpserver) == (
            "Expected to read b'Hello' but actually read b'PING '"
        )
    assert repr(rule) == "<Rule line(re.compile(b'PING (.*)')), applied once>"


@patient
async def test_a_rule_may_be_made_when_its_input_is_there(tcpserver):
    """It is looked at once more."""
    tcpserver.expect_connect()
    async with await connect(tcpserver) as client:
        await client.send(b"PING")
        while What.RECEIVED not in [event.what for event in tcpserver.transcript]:
            await anyio.lowlevel.checkpoint()
        tcpserver.whenever(b"PING", b"PONG")
        assert await receive_exactly(client, 4) == b"PONG"


async def test_the_time_of_an_expectation_runs_on(tcpserver_factory):
    """Heartbeats do not keep a client alive that does not do what it should."""
    server = await tcpserver_factory(timeout=0.3)
    rule = server.whenever(b"PING", b"PONG")
    server.expect_connect()
    server.expect_bytes(b"Hello")
    async with await connect(server) as client:
        with anyio.fail_after(5):
            # The last one may come when the server has just failed.
            while server.failure is None:
                with suppress(anyio.BrokenResourceError):
                    await client.send(b"PING")
                    await receive_exactly(client, 4)
                await anyio.sleep(0.05)
        assert await failure_of(server) == "Timed out waiting for b'Hello'"
    assert rule.count > 2


async def test_what_only_a_rule_could_want_is_wrong_in_the_end(tcpserver):
    """The failure says what came, not that nothing did."""
    tcpserver.whenever(b"PING", b"PONG")
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    async with await connect(tcpserver) as client:
        await client.send(b"PI")
        assert await failure_of(tcpserver) == "Expected to read b'Hello' but actually read b'PI'"


# Functions that play the server


@patient
async def test_a_function_plays_the_server(tcpserver):
    """It has the stream until it returns; what it leaves is for the next step."""

    async def echo(stream):
        assert repr(stream) == "<Stream, open>"
        await stream.send(b"Ready?")
        data = await stream.receive(3)
        await stream.send(data.upper())
        return data

    tcpserver.expect_connect()
    handle = tcpserver.run(echo)
    tcpserver.expect_bytes(b"def")
    async with await connect(tcpserver) as client:
        assert await receive_exactly(client, 6) == b"Ready?"
        await client.send(b"abcdef")
        assert await receive_exactly(client, 3) == b"ABC"
        await tcpserver.join()
    assert handle.received == b"abc"
    assert [(each.what, each.data) for each in tcpserver.transcript][:4] == [
        (What.CONNECTED, b""),
        (What.SENT, b"Ready?"),
        (What.RECEIVED, b"abcdef"),
        (What.SENT, b"ABC"),
    ]


class Echo:
    """An object that can be called like an async function."""

    async def __call__(self, stream):
        """Echo once."""
        await stream.send(await stream.receive())


@patient
async def test_an_object_plays_the_server(tcpserver):
    """If it can be called like a coroutine function, it is awaited."""
    tcpserver.expect_connect()
    tcpserver.run(Echo())
    async with await connect(tcpserver) as client:
        await client.send(b"Hello")
        assert await receive_exactly(client, 5) == b"Hello"
        await tcpserver.join()


@patient
async def test_a_plain_function_plays_the_server(tcpserver):
    """In a thread of its own, with a stream that blocks."""

    def echo(stream):
        assert repr(stream) == "<BlockingStream, open>"
        data = b""
        with suppress(anyio.EndOfStream):
            while True:
                data += stream.receive()
        stream.send(data)
        stream.send_eof()
        return len(data)

    tcpserver.expect_connect()
    handle = tcpserver.run(echo)
    async with await connect(tcpserver) as client:
        await client.send(b"x" * 1_000_000)
        await client.send_eof()
        assert await receive_all(client) == b"x" * 1_000_000
        await tcpserver.join()
    assert handle.received == 1_000_000


@patient
async def test_a_function_receives_more_than_is_kept(tcpserver):
    """The client has to wait, but no longer than the function does."""
    begin = anyio.Event()

    async def drain(stream):
        await begin.wait()
        size = 0
        while size < 5_000_000:
            size += len(await stream.receive())
        return size

    tcpserver.expect_connect()
    handle = tcpserver.run(drain)
    async with await connect(tcpserver) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, b"x" * 5_000_000)
        while tcpserver.connections[0]._engine.received < 1_000_000:
            await anyio.lowlevel.checkpoint()
        begin.set()
        assert await handle.wait() == 5_000_000


@patient
async def test_a_function_whose_client_resets(tcpserver):
    """It gets anyio's error, as from any stream."""
    caught = []

    async def play(stream):
        await stream.receive()
        try:
            await stream.receive()
        except (anyio.BrokenResourceError, anyio.EndOfStream) as error:
            caught.append(error)

    tcpserver.expect_connect()
    tcpserver.run(play)
    connection = socket.create_connection(tcpserver.address)
    connection.send(b"x")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    await tcpserver.join()
    assert len(caught) == 1


async def test_a_function_that_fails_to_return_is_cancelled(tcpserver):
    """At once with the failure, so that nothing of it is left."""
    ended = []

    async def play(stream):
        try:
            await stream.receive()
        finally:
            ended.append(repr(stream))

    tcpserver.expect_connect()
    tcpserver.run(play)
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == "Timed out waiting for `run(play)` to return."
        while not ended:
            await anyio.lowlevel.checkpoint()
    assert ended == ["<Stream, open>"]


async def test_a_plain_function_that_fails_to_return_is_left(tcpserver):
    """Its next call is an error; until then the thread is its own."""
    go_on = threading.Event()
    ended = threading.Event()
    caught = []

    def play(stream):
        go_on.wait(10)
        try:
            stream.receive()
        except BaseException as error:  # Which error, depends on anyio's backend.
            caught.append(error)
        ended.set()

    tcpserver.expect_connect()
    tcpserver.run(play)
    async with await connect(tcpserver):
        assert await failure_of(tcpserver) == "Timed out waiting for `run(play)` to return."
        go_on.set()
        await anyio.to_thread.run_sync(ended.wait, 10)
    assert len(caught) == 1


@pytest.mark.tcpserver(strict=False)
async def test_a_function_that_plays_until_the_test_is_over(tcpserver):
    """It is ended with the server."""
    tcpserver.expect_connect()
    tcpserver.run(silent, timeout=60)
    async with await connect(tcpserver):
        await tcpserver.connections[0].wait()


@patient
async def test_a_function_cannot_use_the_stream_afterwards(tcpserver):
    """It is closed when the function has returned."""
    streams = []

    async def play(stream):
        streams.append(stream)

    tcpserver.expect_connect()
    tcpserver.run(play)
    async with await connect(tcpserver):
        await tcpserver.join()
        assert repr(streams[0]) == "<Stream, closed>"
        with pytest.raises(anyio.ClosedResourceError):
            await streams[0].receive()
        with pytest.raises(anyio.ClosedResourceError):
            await streams[0].send(b"x")
        with pytest.raises(anyio.ClosedResourceError):
            await streams[0].send_eof()


@patient
async def test_a_function_for_a_client_that_has_gone(tcpserver):
    """Both sides have closed: it is not called."""
    tcpserver.expect_connect()
    tcpserver.expect_disconnect()
    tcpserver.run(silent)
    async with await connect(tcpserver):
        pass
    assert await failure_of(tcpserver) == "Client closed the connection before `run(silent)`."


# Segments


async def reads(client, size):
    """What each read of a client gets, until it has so many bytes."""
    got = []
    while sum(map(len, got)) < size:
        got.append(await client.receive())
    return got


@patient
@pytest.mark.parametrize("pieces", splits(b"Hello"), ids=repr)
async def test_segments_are_separate_reads(tcpserver, pieces):
    """For a client in the same event loop."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(*pieces)
    async with await connect(tcpserver) as client:
        assert await reads(client, 5) == list(pieces)
    await tcpserver.join()


@patient
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_segments_are_separate_reads_in_a_thread(tcpserver, host):
    """The next one is not sent before the client has read the one before."""

    def client():
        with socket.create_connection((host, tcpserver.port)) as connection:
            connection.settimeout(10)
            return [connection.recv(100) for _ in range(5)]

    tcpserver.expect_connect()
    tcpserver.send_bytes(b"He", lambda: b"llo!", b"World", chunk_size=3)
    assert await anyio.to_thread.run_sync(client) == [b"He", b"llo", b"!", b"Wor", b"ld"]
    await tcpserver.join()


@patient
async def test_a_client_that_does_not_read_gets_the_segments_all_the_same(tcpserver):
    """It is waited for, but not for ever."""
    tcpserver.expect_connect()
    sent = tcpserver.send_bytes(b"a", b"b")
    async with await connect(tcpserver) as client:
        if "asyncio" in str(type(client)):  # It reads ahead, unless it is told not to.
            client._transport.pause_reading()
        await sent.wait()
        if "asyncio" in str(type(client)):
            client._transport.resume_reading()
        assert await receive_exactly(client, 2) == b"ab"


async def test_an_interval_between_segments_is_not_limited(tcpserver_factory):
    """It is time that the test asked for."""
    server = await tcpserver_factory(timeout=0.1)
    server.expect_connect()
    server.send_bytes(b"a", b"b", interval=0.3)
    server.expect_disconnect(timeout=5)
    began = anyio.current_time()
    async with await connect(server) as client:
        with anyio.fail_after(5):
            assert await client.receive() == b"a"
            assert await client.receive() == b"b"
            assert anyio.current_time() - began > 0.25
    await server.join()


@patient
async def test_the_client_goes_between_two_segments(tcpserver):
    """The rest cannot be sent, and that is the failure."""
    tcpserver.expect_connect()
    tcpserver.send_bytes(b"a", *[b"b"] * 20)
    async with await connect(tcpserver) as client:
        assert await client.receive() == b"a"
    assert await failure_of(tcpserver) == "Connection was reset."


# Misuse


@pytest.mark.parametrize(
    ("declare", "error"),
    [
        (lambda s: s.send_bytes(), "TypeError: send_bytes() needs the bytes to send"),
        (
            lambda s: s.send_bytes(b"x", interval=-1),
            "ValueError: interval must be a number of seconds, zero or more, not -1",
        ),
        (
            lambda s: s.send_bytes(b"x", chunk_size=0),
            "ValueError: chunk_size must be a number of bytes, 1 or more, not 0",
        ),
        (
            lambda s: s.send_line(b"a\nb"),
            r"ValueError: line must not contain the newline b'\n': it is added",
        ),
        (
            lambda s: s.expect_line("HELO"),
            "TypeError: line must be bytes, not str: write b'HELO' or encode it",
        ),
        (
            lambda s: s.expect_line(re.compile("HELO")),
            "TypeError: line must be a pattern of bytes: write rb'HELO'",
        ),
        (
            lambda s: s.expect_count(2, b"abc"),
            "ValueError: content must have n = 2 bytes, not 3",
        ),
        (lambda s: s.expect_until(b""), "ValueError: delimiter must not be empty"),
        (
            lambda s: s.expect_nothing(-1),
            "ValueError: seconds must be a number of seconds, zero or more, not -1",
        ),
        (
            lambda s: s.run(b"x"),
            "TypeError: function must be a function of the stream, not b'x'",
        ),
        (
            lambda s: s.expect_frame(framing=LengthPrefixed),
            "TypeError: framing must be an object, not a class: write LengthPrefixed()",
        ),
        (
            lambda s: s.expect(5),
            "TypeError: matcher must be bytes or a matcher (line(), frame(), any_of(), ..., or an "
            "object with a method match()), not 5",
        ),
        (
            lambda s: s.expect_bytes(b"x", optional=1),
            "TypeError: optional must be True or False, not 1",
        ),
    ],
)
async def test_misuse_is_an_error_at_its_line(tcpserver, declare, error):
    """Before anything is played."""
    tcpserver.expect_connect()
    with pytest.raises((TypeError, ValueError)) as caught:
        declare(tcpserver)
    assert f"{type(caught.value).__name__}: {caught.value}" == error
    async with await connect(tcpserver):
        await tcpserver.join()


@patient
async def test_a_rule_on_a_stopped_server(tcpserver_factory):
    """As for every other declaration."""
    server = await tcpserver_factory()
    connection = server.expect_connect(optional=True, timeout=0)
    await tcpserver_factory.stop()
    for script in (server, connection):
        with pytest.raises(ScriptError, match=r"^whenever\(\) on a server that is stopped$"):
            script.whenever(b"PING", b"PONG")


@patient
async def test_a_failure_of_a_word_is_a_script_mismatch(tcpserver):
    """Whatever the word."""
    tcpserver.expect_connect()
    tcpserver.expect_line(b"x")
    async with await connect(tcpserver) as client:
        await client.send(b"y\n")
        with pytest.raises(ScriptMismatch):
            await tcpserver.join()
