"""What crossed the wire, bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tcpclient._transcript import Event, Transcript, What


def received(time: float, data: bytes) -> Event:
    return Event(time, 1, What.RECEIVED, data)


def test_events_stand_in_order() -> None:
    """A transcript has the events of all connections, the oldest first."""
    events = [
        Event(0.5, 1, What.CONNECTED),
        Event(0.6, 2, What.CONNECTED),
        Event(0.7, 1, What.RECEIVED, b"Hello"),
        Event(0.7, 1, What.SENT, b"World"),
    ]
    transcript = Transcript()
    for event in events:
        transcript.add(event)
    assert list(transcript) == events
    assert len(transcript) == 4
    assert transcript.dropped == 0


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
    }


def test_an_empty_transcript() -> None:
    """Nothing has happened: there are no events."""
    transcript = Transcript()
    assert list(transcript) == []
    assert repr(transcript) == "<Transcript of 0 events>"


def test_it_tells_how_many_events_it_has() -> None:
    """The repr does not print what may be a megabyte."""
    transcript = Transcript()
    transcript.add(received(1, b"x" * 1000))
    transcript.add(received(2, b"y"))
    assert repr(transcript) == "<Transcript of 2 events>"


def test_data_up_to_the_limit_is_kept() -> None:
    """Exactly as many bytes as the limit says are kept."""
    transcript = Transcript(limit=6)
    transcript.add(received(1, b"abc"))
    transcript.add(received(2, b"def"))
    assert [event.data for event in transcript] == [b"abc", b"def"]
    assert transcript.dropped == 0


def test_the_oldest_data_is_dropped() -> None:
    """With one byte more than the limit the oldest events go, and are counted."""
    transcript = Transcript(limit=6)
    transcript.add(Event(0, 1, What.CONNECTED))
    for time, data in enumerate([b"abc", b"def", b"g"]):
        transcript.add(received(time, data))
    assert [event.data for event in transcript] == [b"def", b"g"]
    assert transcript.dropped == 2


def test_the_oldest_events_are_dropped() -> None:
    """Events without data do not grow in number for ever either."""
    transcript = Transcript(most=3)
    for time in range(5):
        transcript.add(Event(time, 1, What.CONNECTED))
    assert [event.time for event in transcript] == [2, 3, 4]
    assert transcript.dropped == 2


def test_the_default_limits() -> None:
    """A transcript keeps 1 MiB of data, and 10,000 events."""
    transcript = Transcript()
    transcript.add(received(0, bytes(1024 * 1024)))
    assert len(transcript) == 1
    transcript.add(received(1, b"x"))
    assert [event.data for event in transcript] == [b"x"]
    for time in range(2, 10_001):
        transcript.add(Event(time, 1, What.CONNECTED))
    assert (len(transcript), transcript.dropped) == (10_000, 1)
    transcript.add(Event(10_001, 1, What.CONNECTED))
    assert (len(transcript), transcript.dropped) == (10_000, 2)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8)), st.integers(8, 20), st.integers(1, 5))
def test_it_keeps_the_longest_tail_that_fits(data: list[bytes], limit: int, most: int) -> None:
    """What is kept is the longest end of what happened that is within both limits."""
    events = [received(time, piece) for time, piece in enumerate(data)]
    transcript = Transcript(limit, most)
    for event in events:
        transcript.add(event)
    kept = list(transcript)
    assert kept == events[len(events) - len(kept) :]
    assert transcript.dropped == len(events) - len(kept)
    assert len(kept) <= most
    assert sum(len(event.data) for event in kept) <= limit
    if len(kept) < min(most, len(events)):
        one_more = events[len(events) - len(kept) - 1 :]
        assert sum(len(event.data) for event in one_more) > limit
