"""The picture of a conversation, to the letter."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest
from helpers import SERVER, connect, disconnect, hang_up, read, send
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._failure import Differs, Failure, ScriptView, TimedOut, Times
from pytest_tcpclient._matchers import Mismatch
from pytest_tcpclient._report.picture import ROWS, picture
from pytest_tcpclient._steps import Place, SendReset, Skipped, Step
from pytest_tcpclient._transcript import Event, Transcript, What

WRONG = Differs(Mismatch(b"a", b"b"), b"b")


def transcript_of(*events: tuple[float, What] | tuple[float, What, bytes]) -> Transcript:
    """A transcript of one connection."""
    transcript = Transcript()
    for time, what, *data in events:
        transcript.add(time, 1, what, *data)
    return transcript


def failed(
    step: Step, at: float, *done: tuple[float | None, Step | Skipped], connection: int = 1
) -> Failure:
    view = ScriptView(tuple(each for _, each in done))
    times = Times(tuple(time for time, _ in done), at, 0.0)
    return Failure(WRONG, step, view, connection, SERVER, times)


def lines(text: str) -> str:
    return dedent(text).strip("\n")


def shown(transcript: Transcript, failure: Failure | None = None, **look: bool) -> str:
    return dedent(picture(transcript, failure, **look))


def test_a_conversation_without_a_failure() -> None:
    """An arrow for each thing that happened, in order."""
    transcript = transcript_of(
        (0.0, What.CONNECTED),
        (0.004, What.RECEIVED, b"Hello\r\n"),
        (0.25, What.SENT, b"Hi"),
        (1.5, What.SERVER_EOF),
        (1.5, What.CLIENT_EOF),
    )
    assert picture(transcript) == (
        "           client                       server\n"
        "    0.00 s  │── connects ───────────────────▶│\n"
        "    0.00 s  │── b'Hello\\r\\n' ───────────────▶│\n"
        "    0.25 s  │◀── b'Hi' ──────────────────────│\n"
        "    1.50 s  │◀── ends (FIN) ─────────────────│\n"
        "    1.50 s  │── ends (FIN) ─────────────────▶│"
    )


def test_a_conversation_that_did_not_take_place() -> None:
    """There is nothing to show."""
    assert picture(Transcript()) == ""


def test_the_steps_stand_at_the_side() -> None:
    """Each beside what it was for; one that nothing came for has a line of its own."""
    transcript = transcript_of(
        (0.0, What.CONNECTED),
        (0.1, What.RECEIVED, b"Hello, world!"),
        (0.2, What.SENT, b"Hi"),
        (1.5, What.SERVER_LEFT),
    )
    failure = failed(
        read(b"x"),
        1.2,
        (0.001, connect()),
        (0.1, read(b"Hello, ")),
        (0.1, Skipped(read(b"world!"))),
        (0.2, send(b"Hi")),
        (None, read(b"unknown")),
    )
    assert shown(transcript, failure) == lines("""
               client                       server
        0.00 s  │── connects ───────────────────▶│   expect_connect()
        0.10 s  │── b'Hello, world!' ───────────▶│   expect_bytes(b'Hello, ')
        0.10 s  │                                │   expect_bytes(b'world!')
        0.20 s  │◀── b'Hi' ──────────────────────│   send_bytes(b'Hi')
        1.20 s  │                                │ ✗ expect_bytes(b'x')
        1.50 s  │◀── RST: the test failed ───────│
    """)


def test_what_the_server_was_to_do() -> None:
    """An end and a reset that the script wants are its own."""
    transcript = transcript_of(
        (0.0, What.CONNECTED), (0.1, What.SERVER_EOF), (0.2, What.SERVER_RESET)
    )
    reset = SendReset("send_reset", Place("test_client.py", 3))
    failure = failed(hang_up(), 0.3, (0.0, connect()), (0.1, disconnect()), (0.2, reset))
    assert shown(transcript, failure) == lines("""
               client                       server
        0.00 s  │── connects ───────────────────▶│   expect_connect()
        0.10 s  │◀── ends (FIN) ─────────────────│   disconnect()
        0.20 s  │◀── aborts (RST) ───────────────│   send_reset()
        0.30 s  │                                │ ✗ expect_disconnect()
    """)


def test_times_that_are_equal() -> None:
    """Where the clock shows whole milliseconds each step still stands beside its own event."""
    transcript = transcript_of(
        (0.0, What.CONNECTED),
        (0.0, What.RECEIVED, b"a"),
        (0.0, What.SENT, b"b"),
        (0.0, What.SENT, b"c"),
        (0.0, What.CLIENT_RESET),
    )
    failure = failed(
        hang_up(),
        0.0,
        (0.0, connect()),
        (0.0, read(b"a")),
        (0.0, send(b"b")),
        (0.0, send(b"c")),
    )
    assert shown(transcript, failure) == lines("""
               client                       server
        0.00 s  │── connects ───────────────────▶│   expect_connect()
        0.00 s  │── b'a' ───────────────────────▶│   expect_bytes(b'a')
        0.00 s  │◀── b'b' ───────────────────────│   send_bytes(b'b')
        0.00 s  │◀── b'c' ───────────────────────│   send_bytes(b'c')
        0.00 s  │── aborts (RST) ───────────────▶│ ✗ expect_disconnect()
    """)


def test_several_connections() -> None:
    """Each arrow has the number of its connection; the steps are those of the one that failed."""
    transcript = Transcript()
    for connection in (1, 2):
        transcript.add(5.0, connection, What.CONNECTED)
    for connection in (2, 1):
        transcript.add(5.5, connection, What.RECEIVED, b"x")
    failure = failed(read(b"y"), 0.5, (0.0, connect()), connection=2)
    assert shown(transcript, failure) == lines("""
                client                       server
        0.00 s 1 │── connects ───────────────────▶│
        0.00 s 2 │── connects ───────────────────▶│   expect_connect()
        0.50 s 2 │── b'x' ───────────────────────▶│ ✗ expect_bytes(b'y')
        0.50 s 1 │── b'x' ───────────────────────▶│
    """)


def test_in_ascii() -> None:
    """A terminal without Unicode shows the same."""
    transcript = transcript_of((0.0, What.CONNECTED), (0.1, What.RECEIVED, b"Hello" * 100))
    drawn = picture(transcript, failed(read(b"x" * 50), 0.1), unicode=False)
    assert drawn.isascii()
    assert dedent(drawn) == lines("""
               client                       server
        0.00 s  |-- connects ------------------->|
        0.10 s  |-- b'HelloHell... 500 bytes --->| x expect_bytes(b'xxxxxxxxxxxxx...
    """)


def test_binary_data() -> None:
    """They are shown as numbers."""
    transcript = transcript_of(
        (0.0, What.RECEIVED, b"\0\0\0\1\xff"), (0.25, What.SENT, bytes(range(200, 256)))
    )
    assert shown(transcript) == lines("""
               client                       server
        0.00 s  │── 00 00 00 01 ff ─────────────▶│
        0.25 s  │◀── c8 c9 ca cb cc… 56 bytes ───│
    """)


def test_in_color() -> None:
    """What failed is red."""
    transcript = transcript_of((0.0, What.CONNECTED), (0.1, What.RECEIVED, b"b"))
    drawn = picture(transcript, failed(read(b"a"), 0.1), color=True).splitlines()
    assert [line.startswith("\x1b[31m") for line in drawn] == [False, False, True]
    assert [line.endswith("\x1b[0m") for line in drawn] == [False, False, True]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_width(width: int) -> None:
    """No line is longer than the terminal."""
    data = b"Hello" * 100
    transcript = transcript_of((0.0, What.CONNECTED), (0.1, What.RECEIVED, data))
    drawn = picture(transcript, failed(read(data), 0.1), width=width)
    assert max(map(len, drawn.splitlines())) == width


def test_a_long_conversation() -> None:
    """The last part is shown; what was left out is counted."""
    transcript = Transcript(most=100)
    for number in range(1_234):
        transcript.add(100.0 + number, 1, What.RECEIVED, b"%d" % number)
    drawn = picture(transcript, failed(read(b"x"), 1_300.0)).splitlines()
    assert len(drawn) == ROWS + 2
    assert drawn[1] == f"             … {1_234 - ROWS + 1:,} more before"
    assert drawn[2].startswith("1,195.00 s  │── b'1195' ─")
    assert drawn[-1].endswith("✗ expect_bytes(b'x')")


def test_a_failure_without_times() -> None:
    """Its steps are not shown: nobody knows where they belong."""
    transcript = transcript_of((0.0, What.CONNECTED))
    failure = failed(read(b"x"), 0.0)
    for other in (
        replace(failure, times=None),
        replace(failure, times=Times((), None, 1.0)),
        Failure(TimedOut(b""), times=Times((), 1.0, 1.0)),
    ):
        assert picture(transcript, other) == picture(transcript)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 10), st.integers(1, 3), st.sampled_from(list(What)), st.binary(max_size=99)
        ),
        max_size=60,
    ),
    st.integers(60, 200),
    st.booleans(),
    st.binary(min_size=1, max_size=99),
)
def test_whatever_happened(
    events: list[tuple[float, int, What, bytes]], width: int, unicode: bool, data: bytes
) -> None:
    """Every conversation can be drawn and printed, within the width."""
    transcript = Transcript(limit=1_000)
    for time, connection, what, said in sorted(events, key=lambda event: event[0]):
        transcript.add(time, connection, what, said)
    failure = failed(read(data), 5.0, (0.0, connect()), (1.0, read(data)), (2.0, send(data)))
    drawn = picture(transcript, failure, width=width, unicode=unicode)
    assert all(len(line) <= width for line in drawn.splitlines())
    assert unicode or drawn.isascii()
    assert str(transcript).isascii()
    assert repr(transcript)
    assert all(map(str, map(Event._make, transcript)))
