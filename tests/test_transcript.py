"""What crossed the wire, bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._transcript import KEPT, SHOWN, Event, Transcript, What


def received(time: float, data: bytes) -> Event:
    return Event(time, 1, What.RECEIVED, data, len(data))


def add(transcript: Transcript, event: Event) -> None:
    transcript.add(event.time, event.connection, event.what, event.data)


def test_events_stand_in_order() -> None:
    """A transcript has the events of all connections, the oldest first."""
    events = [
        Event(0.5, 1, What.CONNECTED),
        Event(0.6, 2, What.CONNECTED),
        Event(0.7, 1, What.RECEIVED, b"Hello", 5),
        Event(0.7, 1, What.SENT, b"World", 5),
    ]
    transcript = Transcript()
    for event in events:
        add(transcript, event)
    assert list(transcript) == events
    assert len(transcript) == 4
    assert transcript.dropped == 0


def test_an_event_that_is_told_of_late() -> None:
    """It stands where it belongs."""
    transcript = Transcript()
    for time in (0.1, 0.3, 0.3, 0.4):
        add(transcript, received(time, b"x"))
    for time in (0.3, 0.0, 0.5):
        transcript.insert(time, 2, What.RECEIVED, b"late")
    assert [(event.time, event.data) for event in transcript] == [
        *((0.0, b"late"), (0.1, b"x"), (0.3, b"x"), (0.3, b"x")),
        *((0.3, b"late"), (0.4, b"x"), (0.5, b"late")),
    ]
    assert transcript.start == 0.0


def test_an_event_that_is_told_of_late_to_a_full_transcript() -> None:
    """The oldest are dropped for it."""
    transcript = Transcript(most=3)
    for time in (0.1, 0.2, 0.4):
        add(transcript, received(time, b"x"))
    transcript.insert(0.3, 2, What.RECEIVED, b"late")
    transcript.insert(0.05, 2, What.RECEIVED, b"too late")
    assert [event.time for event in transcript] == [0.2, 0.3, 0.4]
    assert transcript.dropped == 2
    transcript = Transcript(limit=5)
    for time in (0.1, 0.3):
        add(transcript, received(time, b"xx"))
    transcript.insert(0.2, 2, What.RECEIVED, b"yy")
    assert [(event.time, event.data) for event in transcript] == [(0.2, b"yy"), (0.3, b"xx")]


def test_an_event_without_data() -> None:
    """An event that is not about bytes has none."""
    assert Event(0.5, 1, What.CLIENT_EOF).data == b""


def test_the_words_for_what_happened() -> None:
    """Every event says in words who did what."""
    assert {what.name: what.value for what in What} == {
        "CONNECTED": "client connected",
        "RECEIVED": "client sent",
        "CLIENT_EOF": "client finished sending",
        "CLIENT_RESET": "client reset the connection",
        "SENT": "server sent",
        "SERVER_EOF": "server finished sending",
        "SERVER_RESET": "server reset the connection",
        "SERVER_LEFT": "server reset the connection because the test was over",
    }


def test_an_empty_transcript() -> None:
    """Nothing has happened: there are no events."""
    transcript = Transcript()
    assert list(transcript) == []
    assert repr(transcript) == "<Transcript of 0 events>"


def test_when_it_began() -> None:
    """The time of the first event is known when that is not here any more."""
    transcript = Transcript(most=2)
    assert transcript.start is None
    for number in range(5):
        add(transcript, received(10.0 + number, b"x"))
        assert transcript.start == 10.0


def test_an_event_in_words() -> None:
    """Who did what; long data are shortened, with their size."""
    for event, text in (
        (Event(0.5, 1, What.CONNECTED), "connection 1: client connected"),
        (Event(0.5, 2, What.SENT, b"a\0b", 3), r"connection 2: server sent b'a\x00b'"),
        (
            Event(0.5, 1, What.RECEIVED, b"a" * KEPT, 5_000),
            f"connection 1: client sent {b'a' * SHOWN!r}... (5,000 bytes)",
        ),
    ):
        assert str(event) == text


def test_a_transcript_in_words() -> None:
    """A line for each event, with the time since the first one."""
    transcript = Transcript(most=2)
    assert str(transcript) == repr(transcript)
    add(transcript, Event(10.0, 1, What.CONNECTED))
    add(transcript, received(10.25, b"Hello"))
    assert str(transcript) == (
        "    0.00 s  connection 1: client connected\n    0.25 s  connection 1: client sent b'Hello'"
    )
    for _ in range(1_000):
        add(transcript, Event(11.0, 1, What.CLIENT_EOF))
    assert str(transcript) == (
        "... 1,000 more before\n"
        "    1.00 s  connection 1: client finished sending\n"
        "    1.00 s  connection 1: client finished sending"
    )
    assert repr(transcript) == "<Transcript of 2 events, 1,000 before them dropped>"


def test_it_tells_how_many_events_it_has() -> None:
    """The repr does not print what may be a megabyte."""
    transcript = Transcript()
    add(transcript, received(1, b"x" * 1000))
    add(transcript, received(2, b"y"))
    assert repr(transcript) == "<Transcript of 2 events>"


def test_data_up_to_the_limit_is_kept() -> None:
    """Exactly as many bytes as the limit says are kept."""
    transcript = Transcript(limit=6)
    add(transcript, received(1, b"abc"))
    add(transcript, received(2, b"def"))
    assert [event.data for event in transcript] == [b"abc", b"def"]
    assert transcript.dropped == 0


def test_the_oldest_data_is_dropped() -> None:
    """With one byte more than the limit the oldest events go, and are counted."""
    transcript = Transcript(limit=6)
    add(transcript, Event(0, 1, What.CONNECTED))
    for time, data in enumerate([b"abc", b"def", b"g"]):
        add(transcript, received(time, data))
    assert [event.data for event in transcript] == [b"def", b"g"]
    assert transcript.dropped == 2


def test_the_oldest_events_are_dropped() -> None:
    """Events without data do not grow in number for ever either."""
    transcript = Transcript(most=3)
    for time in range(5):
        add(transcript, Event(time, 1, What.CONNECTED))
    assert [event.time for event in transcript] == [2, 3, 4]
    assert transcript.dropped == 2


def test_the_default_limits() -> None:
    """A transcript keeps 1 MiB of data, and 10,000 events."""
    transcript = Transcript()
    for time in range(256):
        add(transcript, received(time, bytes(4096)))
    assert (len(transcript), transcript.dropped) == (256, 0)
    add(transcript, received(256, b"x"))
    assert (len(transcript), transcript.dropped) == (256, 1)
    for time in range(257, 10_001):
        add(transcript, Event(time, 1, What.CONNECTED))
    assert (len(transcript), transcript.dropped) == (10_000, 1)
    add(transcript, Event(10_001, 1, What.CONNECTED))
    assert (len(transcript), transcript.dropped) == (10_000, 2)


def test_the_beginning_of_a_long_piece_is_kept() -> None:
    """And how long it was."""
    data = bytes(range(256)) * 17
    transcript = Transcript()
    add(transcript, received(1, data[:KEPT]))
    add(transcript, received(2, data))
    short, long = transcript
    assert (short.data, short.size) == (data[:KEPT], 4096)
    assert (long.data, long.size) == (data[:KEPT], 4352)


def test_the_last_event_is_kept_in_any_case() -> None:
    """However little room there is."""
    transcript = Transcript(limit=2)
    add(transcript, received(1, b"abc"))
    assert [event.data for event in transcript] == [b"abc"]
    add(transcript, received(2, b"def"))
    assert [event.data for event in transcript] == [b"def"]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8)), st.integers(8, 20), st.integers(1, 5))
def test_it_keeps_the_longest_tail_that_fits(data: list[bytes], limit: int, most: int) -> None:
    """What is kept is the longest end of what happened that is within both limits."""
    events = [received(time, piece) for time, piece in enumerate(data)]
    transcript = Transcript(limit, most)
    for event in events:
        add(transcript, event)
    kept = list(transcript)
    assert kept == events[len(events) - len(kept) :]
    assert transcript.dropped == len(events) - len(kept)
    assert len(kept) <= most
    assert sum(len(event.data) for event in kept) <= limit
    if len(kept) < min(most, len(events)):
        one_more = events[len(events) - len(kept) - 1 :]
        assert sum(len(event.data) for event in one_more) > limit
