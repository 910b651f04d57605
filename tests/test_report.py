"""The text of a failure, to the letter."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import Literal, NamedTuple

import pytest
from helpers import (
    FILE,
    SERVER,
    connect,
    disconnect,
    end,
    frame,
    framed,
    hang_up,
    read,
    send,
    start_tls,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient import line
from pytest_tcpclient._failure import (
    Blocked,
    Broken,
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
    Problem,
    Raised,
    ScriptView,
    SendStalled,
    Standing,
    TimedOut,
    Times,
    TlsFailed,
    Unread,
    Unwanted,
    WasReset,
    among,
)
from pytest_tcpclient._framings import Delimited, Incomplete, LengthPrefixed
from pytest_tcpclient._matchers import Frame, Mismatch, Oversized
from pytest_tcpclient._report import aside, render, standing
from pytest_tcpclient._report.data import comparison, first_difference, quoted
from pytest_tcpclient._steps import (
    Expect,
    ExpectNoConnection,
    ExpectNothing,
    ExpectReset,
    Place,
    Send,
    Skipped,
    Step,
    Undecided,
)

NOTHING = ScriptView()


def failed(
    problem: Problem,
    step: Step | None = None,
    script: ScriptView = NOTHING,
    connection: int | None = 1,
) -> Failure:
    return Failure(problem, step, script, connection, SERVER)


def differs(expected: bytes, actual: bytes, received: bytes | None = None) -> Differs:
    return Differs(Mismatch(expected, actual), actual if received is None else received)


def lines_of(text: str) -> list[str]:
    return text.split("\n")


class Case(NamedTuple):
    """A failure and its text; with the hint of 0.7 in its first line, if that is another."""

    failure: Failure
    text: str
    in_line: str = ""


def reply() -> bytes:
    return b"x"


CASES = {
    "too little arrived in time": Case(
        failed(
            TimedOut(b"Hello"),
            read(b"Hello, world!", 12),
            ScriptView(done=(connect(11),), ahead=(send(b"Hi", 13), hang_up(14))),
        ),
        """\
        Timed out waiting for b'Hello, world!'

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_connect()                test_client.py:11
        > failed       expect_bytes(b'Hello, world!')  test_client.py:12
          not reached  send_bytes(b'Hi')               test_client.py:13
          not reached  expect_disconnect()             test_client.py:14

        Expected: b'Hello, world!'
        Received: b'Hello'
        """,
    ),
    "nothing arrived in time": Case(
        failed(TimedOut(b""), read(b"Hello", timeout=2.0)),
        """\
        Timed out waiting for b'Hello'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello', timeout=2)  test_client.py:1

        Expected: b'Hello'
        Received: nothing
        """,
    ),
    "wrong bytes": Case(
        failed(
            differs(b"Bonjour", b"Goodbye"), read(b"Bonjour", 5), ScriptView(done=(connect(4),))
        ),
        """\
        Expected to read b'Bonjour' but actually read b'Goodbye'

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_connect()          test_client.py:4
        > failed       expect_bytes(b'Bonjour')  test_client.py:5

        Expected: b'Bonjour'
        Received: b'Goodbye'
                    ^ first difference, at byte 0
        """,
    ),
    "wrong bytes, and more": Case(
        failed(differs(b"Hello", b"Help ", b"Help me!"), read(b"Hello")),
        """\
        Expected to read b'Hello' but actually read b'Help '

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello')  test_client.py:1

        Expected: b'Hello'
        Received: b'Help '
                       ^ first difference, at byte 3
        In all: b'Help me!'
        """,
    ),
    "client closed too early": Case(
        failed(Ended(b"Hel", None, reset=False), read(b"Hello, world")),
        """\
        Expected to read b'Hello, world' but only read b'Hel' before the connection was closed.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello, world')  test_client.py:1

        Expected: b'Hello, world'
        Received: b'Hel'
        """,
    ),
    "client aborted too early": Case(
        failed(Ended(b"", None, reset=True), read(b"Hello")),
        """\
        Expected to read b'Hello' but only read b'' before the connection was reset.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello')  test_client.py:1

        Expected: b'Hello'
        Received: nothing
        """,
    ),
    "no connection in time": Case(
        failed(TimedOut(b""), connect(3), ScriptView(ahead=(read(b"Hello", 4),))),
        """\
        Timed out waiting for client to connect.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_connect()        test_client.py:3
          not reached  expect_bytes(b'Hello')  test_client.py:4
        """,
    ),
    "step without connection": Case(
        failed(
            NoConnect(),
            read(b"Hello, world", 7),
            ScriptView(ahead=(hang_up(8),)),
            connection=None,
        ),
        """\
        Missing `expect_connect()` before `expect_bytes(b'Hello, world')`

        Script of 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello, world')  test_client.py:7
          not reached  expect_disconnect()            test_client.py:8
        """,
    ),
    "one connection too many, at a disconnect": Case(
        failed(ExtraConnection(2, hang_up(2), scripted=True), hang_up(2)),
        """\
        While waiting for client to disconnect a second connection was attempted.
        Each connection needs an `expect_connect()` of its own.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:2

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "one connection too many, at bytes": Case(
        failed(ExtraConnection(3, read(b"Hello"), scripted=True), read(b"Hello")),
        """\
        While waiting for b'Hello' a third connection was attempted.
        Each connection needs an `expect_connect()` of its own.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello')  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "one connection too many, at a frame": Case(
        failed(ExtraConnection(4, frame(b"Hello"), scripted=True), frame(b"Hello")),
        """\
        While waiting for frame b'Hello' a 4th connection was attempted.
        Each connection needs an `expect_connect()` of its own.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Hello')  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "one connection too many, at a send": Case(
        failed(ExtraConnection(2, send(b"Hello"), scripted=True), send(b"Hello")),
        """\
        While sending b'Hello' a second connection was attempted.
        Each connection needs an `expect_connect()` of its own.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       send_bytes(b'Hello')  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "a connection that is not expected": Case(
        failed(ExtraConnection(2, None, scripted=True), connection=2),
        """\
        Connection 2 was not expected.
        Each connection needs an `expect_connect()` of its own.

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "one connection too many, at a disconnect of the server": Case(
        failed(ExtraConnection(2, disconnect(), scripted=True), disconnect()),
        """\
        Connection 2 was not expected.
        Each connection needs an `expect_connect()` of its own.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "a connection without a script": Case(
        replace(
            failed(ExtraConnection(1, None, scripted=False), connection=1),
            unclaimed=((1, b"Hello"), (2, b"")),
            more_unclaimed=1_000,
        ),
        """\
        A client connected, but there is no `expect_connect()` for it.

        Received: b'Hello' on connection 1 to 127.0.0.1:5000
        Received: nothing so far on connection 2 to 127.0.0.1:5000
        ... and 1,000 more

        If this is on purpose: @pytest.mark.tcpserver(check_extra_connections=False).
        """,
    ),
    "client does not close": Case(
        failed(TimedOut(b""), hang_up()),
        """\
        Timed out waiting for client to disconnect.
        Remember to close the client's stream.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
        """\
        Timed out waiting for client to disconnect. Remember to call `writer.close()`.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
    ),
    "bytes instead of a close": Case(
        failed(NotADisconnect(b"Hello"), hang_up()),
        """\
        Received unexpected data while waiting for client to disconnect. Data is b'Hello'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        Received: b'Hello'
        """,
    ),
    "reset instead of a close": Case(
        failed(WasReset(), hang_up()),
        """\
        Connection was reset.
        Did the client abort it, instead of closing it?

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
        """\
        Connection was reset. Did client close writer prematurely?

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
    ),
    "reset instead of a close, after something was sent": Case(
        failed(WasReset(), hang_up(2), ScriptView(done=(send(b"x"),))),
        """\
        Connection was reset.
        Did the client close its stream before it had read everything?

        Script of connection 1 to 127.0.0.1:5000:
          done         send_bytes(b'x')     test_client.py:1
        > failed       expect_disconnect()  test_client.py:2
        """,
        """\
        Connection was reset. Did client close writer prematurely?

        Script of connection 1 to 127.0.0.1:5000:
          done         send_bytes(b'x')     test_client.py:1
        > failed       expect_disconnect()  test_client.py:2
        """,
    ),
    "RST of a client that may have left something unread": Case(
        failed(WasReset(unread=1_024), hang_up()),
        """\
        Connection was reset.
        The client closed without reading everything, or aborted: it had been sent 1,024 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
        """\
        Connection was reset. Did client close writer prematurely?
        The client closed without reading everything, or aborted: it had been sent 1,024 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
    ),
    "RST instead of bytes of a client that may have left something unread": Case(
        failed(Ended(b"", None, reset=True, unread=1), read(b"Hello")),
        """\
        Expected to read b'Hello' but only read b'' before the connection was reset.
        The client closed without reading everything, or aborted: it had been sent 1 byte.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello')  test_client.py:1

        Expected: b'Hello'
        Received: nothing
        """,
    ),
    "unread": Case(
        failed(Unread(b"Hola!", 5), hang_up()),
        """\
        There is data sent by server that was not read by client: unread_bytes=b'Hola!'.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
    ),
    "unread, and not all of it known": Case(
        failed(Unread(b"Hola!", 1_005), hang_up()),
        """\
        There is data sent by server that was not read by client: """
        """unread_bytes=b'Hola!'... (1,005 bytes).

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
    ),
    "half closed": Case(
        failed(NotClosed(collected=False), hang_up()),
        """\
        Timed out waiting for client to disconnect.
        Remember to close the client's stream.
        The client has finished sending only, with `write_eof()`.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
        """\
        Timed out waiting for client to disconnect. Remember to call `writer.close()`.
        The client has finished sending only, with `write_eof()`.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
    ),
    "closed by the garbage collector": Case(
        failed(NotClosed(collected=True), hang_up()),
        """\
        Timed out waiting for client to disconnect.
        Remember to close the client's stream.
        The writer was closed by the garbage collector, not by the client.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
        """\
        Timed out waiting for client to disconnect. Remember to call `writer.close()`.
        The writer was closed by the garbage collector, not by the client.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
    ),
    "not waited": Case(
        failed(NotWaited(), hang_up()),
        """\
        Timed out waiting for client to call `await writer.wait_closed()`.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1

        If this is on purpose: @pytest.mark.tcpserver(check_streams=False).
        """,
    ),
    "nobody there": Case(
        failed(NobodyThere(), hang_up(), connection=None),
        """\
        Client is not connected.
        Did you forget to connect the client?

        Script of 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
        """\
        Client is not connected. Did you forget to call `asyncio.open_connection`?

        Script of 127.0.0.1:5000:
        > failed       expect_disconnect()  test_client.py:1
        """,
    ),
    "the client blocks the event loop": Case(
        failed(Blocked(), read(b"Hello")),
        """\
        The client blocks the event loop in which the server runs, and waits for it.
        Call it in a thread (`await anyio.to_thread.run_sync(...)`), or use `blocking_tcpserver`.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello')  test_client.py:1
        """,
    ),
    "no frame in time": Case(
        failed(TimedOut(b"\0\0\0\x0eGood"), frame(b"Goodbye, world")),
        r"""
        Timed out waiting for frame b'Goodbye, world'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Goodbye, world')  test_client.py:1

        Expected: frame b'Goodbye, world'
        Received: b'\x00\x00\x00\x0eGood'
        """,
    ),
    "wrong frame": Case(
        failed(
            differs(b"Bonjour", b"Goodbye, world", framed(b"Goodbye, world") + b"!"),
            frame(b"Bonjour"),
        ),
        """\
        Expected to get frame b'Bonjour' but actually got frame b'Goodbye, world'

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Expected: b'Bonjour'
        Received: b'Goodbye, world'
                    ^ first difference, at byte 0
        """,
    ),
    "closed instead of a frame": Case(
        failed(Ended(b"", None, reset=False), frame(b"Bonjour")),
        """\
        Expected to get frame b'Bonjour' but actually got frame b''

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Expected: frame b'Bonjour'
        Received: nothing
        """,
    ),
    "closed instead of an empty frame": Case(
        failed(Ended(b"", None, reset=False), frame(b"")),
        """\
        Expected to get frame b'' but the connection was closed.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'')  test_client.py:1

        Expected: frame b''
        Received: nothing
        """,
    ),
    "reset instead of a frame": Case(
        failed(Ended(b"", None, reset=True), frame(b"Bonjour")),
        """\
        Expected to get frame b'Bonjour' but the connection was reset.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Expected: frame b'Bonjour'
        Received: nothing
        """,
    ),
    "frame cut short": Case(
        failed(
            Ended(framed(b"Bonjour")[:7], Incomplete(3, 7, "payload"), reset=False),
            frame(b"Bonjour"),
        ),
        r"""
        Expected to get frame b'Bonjour' but the connection was closed after 3 of its 7 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Expected: frame b'Bonjour'
        Received: b'\x00\x00\x00\x07Bon'
        """,
    ),
    "long frame cut short by a reset": Case(
        failed(
            Ended(b"\0\x0fB@Bon", Incomplete(1_234, 1_000_000, "payload"), reset=True),
            frame(b"Bonjour"),
        ),
        r"""
        Expected to get frame b'Bonjour' but the connection was reset after 1,234 of its """
        r"""1,000,000 bytes.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Expected: frame b'Bonjour'
        Received: b'\x00\x0fB@Bon'
        """,
    ),
    "prefix cut short": Case(
        failed(Ended(b"\0\0", Incomplete(2, 4, "length prefix"), reset=False), frame(b"Bonjour")),
        r"""
        Expected to get frame b'Bonjour' but the connection was closed after 2 of the 4 bytes """
        r"""of its length prefix.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Expected: frame b'Bonjour'
        Received: b'\x00\x00'
        """,
    ),
    "frame over its limit": Case(
        failed(
            Differs(Oversized(67_108_864, 0x47455420, b"GET "), b"GET / HTTP"), frame(b"Bonjour")
        ),
        """\
        Expected to get frame b'Bonjour' but its length prefix b'GET ' says 1,195,725,856 bytes; """
        """the limit is 67,108,864.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_frame(b'Bonjour')  test_client.py:1

        Received: b'GET / HTTP'
        """,
    ),
    "client does not read": Case(
        failed(SendStalled(2_621_440, 50_000_000), send(bytes(50_000_000))),
        "Timed out sending to the client: 2,621,440 of 50,000,000 bytes were accepted.\n\n"
        "Script of connection 1 to 127.0.0.1:5000:\n"
        "> failed       send_bytes(b'" + r"\x00" * 80 + "'... (50,000,000 bytes))  "
        "test_client.py:1\n",
    ),
    "sending to a client that is gone": Case(
        failed(NotSent(b"Hello"), send(b"Hello")),
        """\
        Client closed the connection before b'Hello' could be sent.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       send_bytes(b'Hello')  test_client.py:1
        """,
    ),
    "bytes left in the script": Case(
        failed(LeftBytes(b"x"), None, ScriptView(done=(read(b"Hello", 4),))),
        """\
        Client sent b'x' after the script was done.

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_bytes(b'Hello')  test_client.py:4

        If this is on purpose: @pytest.mark.tcpserver(check_unexpected=False).
        """,
    ),
    "bytes left at the end": Case(
        failed(LeftBytes(b"x"), end(), ScriptView(done=(read(b"Hello", 4),))),
        """\
        Client sent b'x' after the script was done.

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_bytes(b'Hello')  test_client.py:4
        > failed       end of the test

        If this is on purpose: @pytest.mark.tcpserver(check_unexpected=False).
        """,
    ),
    "left open": Case(
        failed(LeftOpen(), end(), ScriptView(done=(connect(3),)), connection=2),
        """\
        Client left connection 2 open.

        Script of connection 2 to 127.0.0.1:5000:
          done         expect_connect()  test_client.py:3
        > failed       end of the test

        If this is on purpose: @pytest.mark.tcpserver(check_left_open=False).
        """,
    ),
    "closed instead of a reset": Case(
        failed(NotReset(), ExpectReset("expect_reset", Place(FILE, 4), (), limit=1.0)),
        """\
        Expected the client to reset the connection, but it closed it.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_reset()  test_client.py:4
        """,
    ),
    "not silent": Case(
        failed(
            NotSilent(b"Hello"),
            ExpectNothing("expect_nothing", Place(FILE, 4), (0.5,), limit=0.5),
            ScriptView(done=(connect(3),)),
        ),
        """\
        Expected silence, but client sent b'Hello'.

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_connect()     test_client.py:3
        > failed       expect_nothing(0.5)  test_client.py:4

        Received: b'Hello'
        """,
    ),
    "cut off": Case(
        failed(CutOff(), hang_up(4), ScriptView(done=(connect(3),))),
        """\
        Client closed the connection without a close_notify of TLS.
        If it need not send one: expect_disconnect(clean=False).

        Script of connection 1 to 127.0.0.1:5000:
          done         expect_connect()     test_client.py:3
        > failed       expect_disconnect()  test_client.py:4
        """,
    ),
    "handshake failed": Case(
        failed(HandshakeFailed("closed"), connect(3)),
        """\
        TLS handshake failed: the client closed the connection.
        Perhaps it refused the certificate: not every client tells the server why.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_connect()  test_client.py:3
        """,
    ),
    "handshake passed": Case(
        failed(HandshakePassed(), start_tls(3)),
        """\
        Expected the TLS handshake to fail, but it succeeded.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       start_tls()  test_client.py:3
        """,
    ),
    "not encrypted": Case(
        failed(NotEncrypted(b"RCPT"), start_tls(3)),
        """\
        Client sent b'RCPT' before the TLS handshake.
        A client must send nothing between its request for TLS and the handshake.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       start_tls()  test_client.py:3
        """,
    ),
    "tls failed": Case(
        failed(TlsFailed("wrong version number"), read(b"Hello", 3)),
        """\
        TLS failed after the handshake: wrong version number.

        Script of connection 1 to 127.0.0.1:5000:
        > failed       expect_bytes(b'Hello')  test_client.py:3
        """,
    ),
    "a function raised": Case(
        failed(
            Raised(KeyError("x")),
            Undecided("send_bytes", Place(FILE, 4), (reply,), limit=1.0, build=Send),
            ScriptView(done=(Skipped(connect(3)),)),
        ),
        """\
        `send_bytes(reply)` raised KeyError: 'x'

        Script of connection 1 to 127.0.0.1:5000:
          skipped      expect_connect()   test_client.py:3
        > failed       send_bytes(reply)  test_client.py:4
        """,
    ),
    "no connection wanted": Case(
        failed(
            Unwanted(2),
            ExpectNoConnection("expect_no_connection", Place(FILE, 4), (0.5,), limit=0.5),
            connection=None,
        ),
        """\
        Expected no connection, but the client opened connection 2.

        Script of 127.0.0.1:5000:
        > failed       expect_no_connection(0.5)  test_client.py:4
        """,
    ),
    "broken": Case(
        failed(Broken("The server cannot accept connections: it broke"), connection=None),
        """\
        The server cannot accept connections: it broke
        """,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_text_of_a_failure(case: Case) -> None:
    """The whole text; the sentence ends before the hint, which is the second line."""
    assert render(case.failure) == dedent(case.text).strip("\n")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_text_of_a_failure_for_streams(case: Case) -> None:
    """The hint of 0.7 is in the first line, for the failures that have one; else all is equal."""
    text = dedent(case.in_line or case.text).strip("\n")
    assert render(case.failure, hint_in_line=True) == text


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        (HandshakeFailed("timed out"), "timed out waiting for the client"),
        (HandshakeFailed("reset"), "the client reset the connection"),
        (
            HandshakeFailed("tlsv1 alert unknown ca"),
            "the client refused the certificate: unknown ca",
        ),
        (
            HandshakeFailed("sslv3 alert certificate expired"),
            "the client refused the certificate: certificate expired",
        ),
        (
            HandshakeFailed("ssl/tls alert bad certificate"),
            "the client refused the certificate: bad certificate",
        ),
        (
            HandshakeFailed("unsupported protocol"),
            "client and server have no version of TLS in common",
        ),
        (HandshakeFailed("no shared cipher"), "client and server have no cipher in common"),
        (HandshakeFailed("plain text", received=b"GET"), "the client spoke plain text: b'GET'"),
        (
            HandshakeFailed("certificate verify failed", "self-signed certificate"),
            "the client's certificate was refused: self-signed certificate",
        ),
        (HandshakeFailed("tlsv1 alert internal error"), "tlsv1 alert internal error"),
    ],
)
def test_why_a_handshake_failed(problem: HandshakeFailed, cause: str) -> None:
    """In the words of the cause, or in those of OpenSSL if it is a rare one."""
    assert render(Failure(problem)).splitlines()[0] == f"TLS handshake failed: {cause}."


def test_every_problem_has_its_text() -> None:
    """No class of problem is missing in the table above."""
    assert {type(case.failure.problem) for case in CASES.values()} == set(Problem.__args__)


@pytest.mark.parametrize("hint_in_line", [True, False])
def test_what_the_client_did_then(hint_in_line: bool) -> None:
    """What followed from the failure is one line each, at the end."""
    failure = failed(LeftBytes(b"x"))
    then = ["raised ConnectionResetError: [Errno 104] Connection reset by peer", "waited."]
    assert render(failure, hint_in_line=hint_in_line, then=then) == (
        "Client sent b'x' after the script was done.\n"
        "\n"
        "If this is on purpose: @pytest.mark.tcpserver(check_unexpected=False).\n"
        "\n"
        "Then the client raised ConnectionResetError: [Errno 104] Connection reset by peer\n"
        "Then the client waited."
    )


@pytest.mark.parametrize("end", ["closed", "reset"])
def test_how_the_client_ended_the_connection_then(end: Literal["closed", "reset"]) -> None:
    """It is said where the end is not what was wrong."""
    said = f"Then the client {end} the connection."
    for problem, step, lines in (
        (differs(b"a", b"b"), read(b"a"), [said]),
        (NotADisconnect(b"b"), hang_up(), [said]),
        (LeftBytes(b"b"), None, [said]),
        (Ended(b"", None, reset=False), read(b"a"), []),
        (WasReset(), hang_up(), []),
    ):
        failure = replace(failed(problem, step), end=end)
        assert [line for line in lines_of(render(failure)) if "Then" in line] == lines


def test_what_was_said_by_connections_that_nobody_claimed() -> None:
    """It is not what this one wants; so to switch the check off would be no remedy."""
    step = replace(connect(), options={"first": line(b"ALICE")})
    failure = replace(
        failed(ExtraConnection(2, step, scripted=True), step), unclaimed=((2, b"BOB"), (3, b""))
    )
    assert lines_of(render(failure)) == [
        "Connection 2 was not expected.",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "> failed       expect_connect(first=line(b'ALICE'))  test_client.py:1",
        "",
        "Expected: a connection that begins with line(b'ALICE')",
        "Received: b'BOB' on connection 2",
        "Received: nothing so far on connection 3",
    ]
    assert lines_of(render(replace(failed(TimedOut(b""), step)))) == [
        "Timed out waiting for client to connect.",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "> failed       expect_connect(first=line(b'ALICE'))  test_client.py:1",
    ]


# Notes on errors of others


@pytest.mark.parametrize(
    ("problem", "step", "call"),
    [
        (Ended(b"Hel", None, False), read(b"Hello", 7), "expect_bytes(b'Hello')"),
        (WasReset(), hang_up(7), "expect_disconnect()"),
        (NotSent(b"Hello"), send(b"Hello", 7), "send_bytes(b'Hello')"),
    ],
)
def test_a_failure_that_did_not_win(problem: Problem, step: Step, call: str) -> None:
    """It is one line: where the server was when the connection ended."""
    assert aside(failed(problem, step)) == (
        f"The connection ended when the server 127.0.0.1:5000 was at {call} (test_client.py:7)."
    )


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (
            Standing(SERVER, read(b"Hello", 7), b"Hel"),
            (
                "The server 127.0.0.1:5000 was at expect_bytes(b'Hello') (test_client.py:7), "
                "with b'Hel' received."
            ),
        ),
        (
            Standing("redis", hang_up(9), b""),
            "The server redis was at expect_disconnect() (test_client.py:9).",
        ),
        (
            Standing("redis", frame(b"x" * 300, 10), b"y" * 300),
            (
                f"The server redis was at expect_frame(b'{'x' * 80}'... (300 bytes)) "
                f"(test_client.py:10), with b'{'y' * 80}'... (300 bytes) received."
            ),
        ),
    ],
)
def test_where_a_script_stood(where: Standing, text: str) -> None:
    """One line: the step that was waited for, and what had come for it."""
    assert standing(where) == text


# Long data


def test_data_of_200_bytes_stands_in_full() -> None:
    """Up to 200 bytes nothing is shortened."""
    assert quoted(b"x" * 200) == repr(b"x" * 200)


def test_longer_data_is_shortened_with_its_size() -> None:
    """Of 201 bytes the first 80 are shown."""
    assert quoted(b"x" * 201) == f"b'{'x' * 80}'... (201 bytes)"
    assert quoted(b"xyz", 4) == "b'xyz'... (4 bytes)"
    assert quoted(bytes(1_000_000)) == "b'" + r"\x00" * 80 + "'... (1,000,000 bytes)"


def test_long_data_is_shortened_everywhere() -> None:
    """In the first line, in the script, and below."""
    expected, received = b"x" * 1000, b"x" * 999
    short_expected = f"b'{'x' * 80}'... (1,000 bytes)"
    short_received = f"b'{'x' * 80}'... (999 bytes)"
    assert lines_of(render(failed(Ended(received, None, False), read(expected)))) == [
        (
            f"Expected to read {short_expected} but only read {short_received} "
            "before the connection was closed."
        ),
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        f"> failed       expect_bytes({short_expected})  test_client.py:1",
        "",
        f"Expected: {short_expected}",
        f"Received: {short_received}",
    ]


def test_a_difference_in_long_data() -> None:
    """Only what is around the difference is compared, the rest is sizes."""
    expected = b"x" * 500 + b"y" + b"x" * 499
    received = b"x" * 1000
    more = received + b"!"
    text = render(failed(differs(expected, received, more), read(expected)))
    short = f"b'{'x' * 80}'... (1,000 bytes)"
    assert lines_of(text) == [
        f"Expected to read {short} but actually read {short}",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        f"> failed       expect_bytes({short})  test_client.py:1",
        "",
        f"Expected: from byte 476: b'{'x' * 24}y{'x' * 39}'... (1,000 bytes)",
        f"Received: from byte 476: b'{'x' * 64}'... (1,000 bytes)",
        " " * (27 + 24) + "^ first difference, at byte 500",
        f"In all: b'{'x' * 80}'... (1,001 bytes)",
    ]


# Comparisons


@pytest.mark.parametrize(
    ("expected", "received", "lines"),
    [
        pytest.param(
            b"Hello", b"Jello",
            [
                "Expected: b'Hello'",
                "Received: b'Jello'",
                "            ^ first difference, at byte 0",
            ],
            id="at the start",
        ),
        pytest.param(
            b"Hello", b"Heflo",
            [
                "Expected: b'Hello'",
                "Received: b'Heflo'",
                "              ^ first difference, at byte 2",
            ],
            id="in the middle",
        ),
        pytest.param(
            b"Hello", b"Hell",
            [
                "Expected: b'Hello'",
                "Received: b'Hell'",
                "                ^ first difference, at byte 4",
            ],
            id="too short",
        ),
        pytest.param(
            b"Hello", b"Hello!",
            [
                "Expected: b'Hello'",
                "Received: b'Hello!'",
                "                 ^ first difference, at byte 5",
            ],
            id="too long",
        ),
        pytest.param(
            b"Hello", b"",
            [
                "Expected: b'Hello'",
                "Received: b''",
                "            ^ first difference, at byte 0",
            ],
            id="nothing received",
        ),
        pytest.param(
            b"", b"Hello",
            [
                "Expected: b''",
                "Received: b'Hello'",
                "            ^ first difference, at byte 0",
            ],
            id="nothing expected",
        ),
        pytest.param(
            b"\0\0\0\5Hello", b"\0\0\0\7Goodbye",
            [
                "Expected: 00 00 00 05 48 65 6c 6c 6f        |....Hello|",
                "Received: 00 00 00 07 47 6f 6f 64 62 79 65  |....Goodbye|",
                "                   ^^ first difference, at byte 3",
            ],
            id="binary",
        ),
        pytest.param(
            bytes(range(100, 200)), bytes(range(100, 150)),
            [
                "Expected: from byte 42: 8e 8f 90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d  "
                "|................| (100 bytes)",
                "Received: from byte 42: 8e 8f 90 91 92 93 94 95                          "
                "|........| (50 bytes)",
                "                                                ^^ first difference, at byte 50",
            ],
            id="long binary",
        ),
        pytest.param(
            bytes(20), bytes(19) + b"a",
            [
                "Expected: from byte 11: 00 00 00 00 00 00 00 00 00  |.........| (20 bytes)",
                "Received: from byte 11: 00 00 00 00 00 00 00 00 61  |........a| (20 bytes)",
                "                                                ^^ first difference, at byte 19",
            ],
            id="the end of long binary",
        ),
        pytest.param(
            "Привет".encode(), "Привёт".encode(),
            [
                f"Expected: {'Привет'.encode()!r}",
                f"Received: {'Привёт'.encode()!r}",
                "                                            ^ first difference, at byte 8",
            ],
            id="text of other letters",
        ),
        pytest.param(
            b"a\0\r\nb", b"a\0\r\nc",
            [
                r"Expected: b'a\x00\r\nb'",
                r"Received: b'a\x00\r\nc'",
                "                     ^ first difference, at byte 4",
            ],
            id="behind escapes",
        ),
        pytest.param(
            b"it's", b"it'S",
            [
                r"Expected: b'it\'s'",
                r"Received: b'it\'S'",
                "                ^ first difference, at byte 3",
            ],
            id="behind a single quote",
        ),
        pytest.param(
            b"'\"\\a", b"'\"\\b",
            [
                r"""Expected: b'\'"\\a'""",
                r"""Received: b'\'"\\b'""",
                "                 ^ first difference, at byte 3",
            ],
            id="behind both quotes and a backslash",
        ),
        pytest.param(
            b"a" * 200, b"a" * 199 + b"b",
            [
                f"Expected: b'{'a' * 200}'",
                f"Received: b'{'a' * 199}b'",
                " " * (12 + 199) + "^ first difference, at byte 199",
            ],
            id="200 bytes stand in full",
        ),
        pytest.param(
            b"a" * 300, b"b" * 300,
            [
                f"Expected: b'{'a' * 40}'... (300 bytes)",
                f"Received: b'{'b' * 40}'... (300 bytes)",
                " " * 12 + "^ first difference, at byte 0",
            ],
            id="at the start of long data",
        ),
        pytest.param(
            b"a" * 300, b"a" * 24 + b"b" * 276,
            [
                f"Expected: b'{'a' * 64}'... (300 bytes)",
                f"Received: b'{'a' * 24}{'b' * 40}'... (300 bytes)",
                " " * (12 + 24) + "^ first difference, at byte 24",
            ],
            id="near the start of long data",
        ),
        pytest.param(
            b"a" * 3000, b"a" * 1500 + b"b" * 1500,
            [
                f"Expected: from byte 1,476: b'{'a' * 64}'... (3,000 bytes)",
                f"Received: from byte 1,476: b'{'a' * 24}{'b' * 40}'... (3,000 bytes)",
                " " * (29 + 24) + "^ first difference, at byte 1,500",
            ],
            id="in the middle of long data",
        ),
        pytest.param(
            b"a" * 300, b"a" * 299 + b"b",
            [
                f"Expected: from byte 275: b'{'a' * 25}'... (300 bytes)",
                f"Received: from byte 275: b'{'a' * 24}b'... (300 bytes)",
                " " * (27 + 24) + "^ first difference, at byte 299",
            ],
            id="at the end of long data",
        ),
        pytest.param(
            b"a" * 300, b"a" * 5,
            [
                f"Expected: b'{'a' * 45}'... (300 bytes)",
                "Received: b'aaaaa'",
                " " * (12 + 5) + "^ first difference, at byte 5",
            ],
            id="too little of long data",
        ),
        pytest.param(
            b"a" * 100, b"a" * 300,
            [
                f"Expected: from byte 76: b'{'a' * 24}'... (100 bytes)",
                f"Received: from byte 76: b'{'a' * 64}'... (300 bytes)",
                " " * (26 + 24) + "^ first difference, at byte 100",
            ],
            id="too much of it",
        ),
    ],
)  # fmt: skip
def test_a_comparison(expected: bytes, received: bytes, lines: list[str]) -> None:
    """The two stand one above the other, and the mark below the first byte that differs."""
    assert comparison(expected, received) == lines


def test_the_difference_of_two_that_are_long() -> None:
    """Whether they are text is seen from what is shown: that takes no time."""
    long = bytes(30_000_000)
    [expected, *_] = comparison(long + b"Hello, world, and all", long + b"Hello, World")
    assert expected.startswith(
        "Expected: from byte 29,999,999: 00 48 65 6c 6c 6f 2c 20 77 6f 72 6c"
    )
    text = b"Hello, world. " * 20
    [expected, *_] = comparison(bytes(99) + text + b"a", bytes(99) + text + b"b")
    assert expected.endswith("o, world. Hello, world. a'... (380 bytes)")


@settings(deadline=None)
@given(st.binary(max_size=30), st.binary(max_size=30), st.binary(max_size=30))
def test_the_first_difference(common: bytes, one: bytes, other: bytes) -> None:
    """It is where comparing byte by byte finds it."""
    one, other = common + one, common + other
    naive = 0
    while naive < min(len(one), len(other)) and one[naive] == other[naive]:
        naive += 1
    assert first_difference(one, other) == naive


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_the_mark_stands_below_the_difference(common: bytes, one: bytes, other: bytes) -> None:
    """Whatever the bytes are, the two lines are equal up to the mark."""
    expected, received = common + one, common + other
    if expected == received:
        return
    above, below, mark = comparison(expected, received)
    assert mark.endswith(f"first difference, at byte {first_difference(expected, received):,}")
    at = mark.index("^")
    assert above[10:at] == below[10:at]
    assert above[at:] != below[at:]


# Scripts


def test_a_long_script_is_folded() -> None:
    """What was left out before and after is counted."""
    steps = [read(b"%d" % line, line) for line in range(100)]
    view = ScriptView(tuple(steps[5:15]), tuple(steps[16:26]), done_before=1_234, ahead_after=74)
    text = render(failed(TimedOut(b"1"), steps[15], view))
    assert lines_of(text) == [
        "Timed out waiting for b'15'",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "    ... 1,234 steps done before",
        *(f"  done         expect_bytes(b'{n}')   test_client.py:{n}" for n in range(5, 10)),
        *(f"  done         expect_bytes(b'{n}')  test_client.py:{n}" for n in range(10, 15)),
        "> failed       expect_bytes(b'15')  test_client.py:15",
        *(f"  not reached  expect_bytes(b'{n}')  test_client.py:{n}" for n in range(16, 26)),
        "    ... 74 steps more not reached",
        "",
        "Expected: b'15'",
        "Received: b'1'",
    ]


def test_a_single_step_that_is_left_out() -> None:
    """One step is not called steps."""
    view = ScriptView((connect(1),), (hang_up(3),), done_before=1, ahead_after=1)
    assert lines_of(render(failed(SendStalled(0, 1), send(b"x", 2), view))) == [
        "Timed out sending to the client: 0 of 1 bytes were accepted.",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "    ... 1 step done before",
        "  done         expect_connect()     test_client.py:1",
        "> failed       send_bytes(b'x')     test_client.py:2",
        "  not reached  expect_disconnect()  test_client.py:3",
        "    ... 1 step more not reached",
    ]


def test_a_long_step_does_not_push_the_others_aside() -> None:
    """Steps of more than 60 characters do not count for the alignment."""
    long = read(b"x" * 100, 2)
    view = ScriptView((connect(1),), (hang_up(3),))
    assert lines_of(render(failed(SendStalled(0, 1), long, view)))[3:] == [
        "  done         expect_connect()     test_client.py:1",
        f"> failed       expect_bytes(b'{'x' * 100}')  test_client.py:2",
        "  not reached  expect_disconnect()  test_client.py:3",
    ]


def test_long_steps_only() -> None:
    """There is nothing to line up."""
    view = ScriptView((read(b"y" * 70, 1),))
    assert lines_of(render(failed(SendStalled(0, 1), read(b"x" * 100, 2), view)))[3:] == [
        f"  done         expect_bytes(b'{'y' * 70}')  test_client.py:1",
        f"> failed       expect_bytes(b'{'x' * 100}')  test_client.py:2",
    ]


@pytest.mark.parametrize("size", [43, 44])
def test_steps_of_about_sixty_characters(size: int) -> None:
    """A step of 60 characters counts for the alignment, one of 61 does not."""
    view = ScriptView((connect(1),))
    done, long = lines_of(render(failed(SendStalled(0, 1), read(b"x" * size, 2), view)))[3:]
    width = 60 if size == 43 else len("expect_connect()")
    assert done == f"  done         {'expect_connect()':{width}}  test_client.py:1"
    assert long == f"> failed       expect_bytes(b'{'x' * size}')  test_client.py:2"


def test_the_timeout_of_a_step_is_shown_as_it_was_written() -> None:
    """Whole numbers of seconds have no fraction."""
    for timeout, shown in (
        (2.0, "2"),
        (0.25, "0.25"),
        (0.0, "0"),
        (1234567.0, "1234567"),
        (float("inf"), "inf"),
    ):
        text = render(failed(TimedOut(b""), read(b"x", timeout=timeout)))
        assert lines_of(text)[3] == (
            f"> failed       expect_bytes(b'x', timeout={shown})  test_client.py:1"
        )


def test_what_is_not_bytes_is_shown_by_its_repr() -> None:
    """A framing may decode any object."""
    matcher = Frame(5, LengthPrefixed())
    step = Expect("expect_frame", Place(FILE, 1), (5,), limit=1.0, matcher=matcher)
    assert lines_of(render(failed(TimedOut(b"4"), step))) == [
        "Timed out waiting for frame 5; received b'4'.",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "> failed       expect_frame(5)  test_client.py:1",
        "",
        "Expected: frame 5",
        "Received: b'4'",
    ]
    assert lines_of(render(failed(Differs(Mismatch(5, 4), b"4"), step))) == [
        "Expected to get frame 5 but actually got frame 4",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "> failed       expect_frame(5)  test_client.py:1",
        "",
        "Received: b'4'",
    ]


def test_what_ends_a_message_is_shown() -> None:
    """A client that leaves it out has sent all the rest."""
    matcher = Frame(b"Hello", Delimited(b"\0"))
    step = Expect("expect_frame", Place(FILE, 1), (b"Hello",), limit=1.0, matcher=matcher)
    assert lines_of(render(failed(TimedOut(b"Hello"), step)))[-2:] == [
        r"Expected: frame b'Hello', ended by b'\x00'",
        "Received: b'Hello'",
    ]


def test_when_it_happened() -> None:
    """Each step that was done, and the one that failed, has its time."""
    view = ScriptView((connect(1), Skipped(read(b"a", 2))), (hang_up(4),))
    times = Times((0.0, 0.256), 1_201.9, 1_201.644)
    assert lines_of(render(replace(failed(TimedOut(b""), read(b"b", 3), view), times=times))) == [
        "Timed out waiting for b'b'",
        "",
        "Script of connection 1 to 127.0.0.1:5000:",
        "  done             0.00 s  expect_connect()     test_client.py:1",
        "  skipped          0.26 s  expect_bytes(b'a')   test_client.py:2",
        "> failed       1,201.90 s  expect_bytes(b'b')   test_client.py:3",
        "  not reached              expect_disconnect()  test_client.py:4",
        "",
        "Expected: b'b'",
        "Received: nothing",
        "Waited:   1,201.64 s; the limit is 1 s, not counting while the event loop is blocked.",
    ]


@pytest.mark.parametrize(
    ("problem", "waited"),
    [
        (TimedOut(b""), "Waited:   1.02 s; the limit is 1 s."),
        (NotClosed(collected=False), "Waited:   1.02 s; the limit is 1 s."),
        (NotWaited(), "Waited:   1.02 s; the limit is 1 s."),
        (SendStalled(1, 2), "Waited:   1.02 s for progress; the limit is 1 s."),
        (WasReset(), ""),
    ],
)
def test_how_long_it_has_waited(problem: Problem, waited: str) -> None:
    """It is said where the waiting was too long."""
    failure = replace(failed(problem, hang_up()), times=Times((), 1.5, 1.02))
    assert [line for line in lines_of(render(failure)) if "Waited" in line] == [waited] * bool(
        waited
    )


def test_times_that_are_not_known() -> None:
    """Nobody ever connected: there is nothing to count from."""
    times = Times((None, 2.0), 3.0, 1.0)
    assert times.since(1.5) == Times((None, 0.5), 1.5, 1.0)
    assert times.since(None) == Times((None, None), None, 1.0)


def test_the_steps_of_two_scripts() -> None:
    """Those that were done by their time, the others by their line; or as they are."""
    one = ScriptView((connect(1), read(b"a", 2)), (hang_up(9),), 1, 2)
    other = ScriptView((Skipped(read(b"b", 1)), read(b"c", 8)), (read(b"d", 5),), 3, 4)
    times, other_times = Times((1.0, 4.0), 5.0, 1.0), Times((4.0, 4.0), 9.0, 2.0)
    assert among(one, times, other, other_times) == (
        ScriptView(
            (connect(1), Skipped(read(b"b", 1)), read(b"a", 2), read(b"c", 8)),
            (read(b"d", 5), hang_up(9)),
            4,
            6,
        ),
        Times((1.0, 4.0, 4.0, 4.0), 5.0, 1.0),
    )
    step = replace(read(b"d", 5), place=Place("conftest.py", 5))
    other = replace(other, ahead=(step,))
    assert among(one, times, other, other_times)[0].ahead == (hang_up(9), step)


@pytest.mark.parametrize(
    ("number", "nth"),
    [(2, "second"), (3, "third"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"),
     (21, "21st"), (22, "22nd"), (23, "23rd"), (101, "101st"), (111, "111th"), (112, "112th")],
)  # fmt: skip
def test_the_number_of_a_connection_too_many(number: int, nth: str) -> None:
    """As it is spoken."""
    text = render(failed(ExtraConnection(number, read(b"x"), scripted=True), read(b"x")))
    assert lines_of(text)[0] == f"While waiting for b'x' a {nth} connection was attempted."
