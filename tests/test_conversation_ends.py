"""How a connection ends, and what is said of it, under every way in which bytes can be cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers import EOF, RESET, Recorder, converse, every_cut, play, read, run, send

from pytest_tcpclient import in_any_order
from pytest_tcpclient._conversation import HANG_UP, IDLE, RECEIVE
from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._failure import (
    Ended,
    Failure,
    NotADisconnect,
    NotReset,
    Problem,
    TimedOut,
    WasReset,
)
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._report import render
from pytest_tcpclient._steps import Step

Declare = Callable[[Recorder], object]


def steps_of(declare: Declare) -> list[Step]:
    script = Recorder()
    declare(script)
    return script.steps


def eof(script: Recorder, *, optional: bool = False) -> None:
    script.expect_eof(optional=optional)


def reset(script: Recorder, *, optional: bool = False) -> None:
    script.expect_reset(optional=optional)


def clean(script: Recorder, *, optional: bool = False) -> None:
    script.expect_disconnect(optional=optional)


def unclean(script: Recorder, *, optional: bool = False) -> None:
    script.expect_disconnect(clean=False, optional=optional)


ENDS: list[tuple[Callable[..., None], bytes, str, Problem | None]] = [
    (eof, b"", EOF, None),
    (eof, b"", RESET, WasReset()),
    (eof, b"ab", EOF, NotADisconnect(b"ab")),
    (reset, b"", RESET, None),
    (reset, b"", EOF, NotReset()),
    (reset, b"ab", RESET, NotADisconnect(b"ab")),
    (clean, b"", EOF, None),
    (clean, b"", RESET, WasReset()),
    (unclean, b"", EOF, None),
    (unclean, b"", RESET, None),
    (unclean, b"ab", RESET, NotADisconnect(b"ab")),
]


@pytest.mark.parametrize(("declare", "data", "ending", "problem"), ENDS)
def test_how_a_connection_ends(
    declare: Callable[..., None], data: bytes, ending: str, problem: Problem | None
) -> None:
    """It is what the step says, or a failure, however the bytes are cut."""
    for pieces in every_cut(b"x" + data):
        played = play([read(b"x"), *steps_of(declare)], pieces, ending)
        assert (played.failure and played.failure.problem) == problem
        assert played.done == [True, problem is None]


@pytest.mark.parametrize(("declare", "data", "ending", "problem"), ENDS)
def test_how_a_connection_may_end(
    declare: Callable[..., None], data: bytes, ending: str, problem: Problem | None
) -> None:
    """What would have been a failure is skipped, if the step was optional."""
    for pieces in every_cut(b"x" + data):
        steps = [read(b"x"), *steps_of(lambda s: declare(s, optional=True))]
        played = play([*steps, *([read(data)] if data else [])], pieces, ending)
        assert played.failure is None
        assert played.skipped[1] is (problem is not None)


@pytest.mark.parametrize("declare", [eof, reset, clean, unclean])
def test_a_connection_that_does_not_end(declare: Declare) -> None:
    """It is waited for, and then it is a failure."""
    steps = steps_of(declare)
    played = play(steps, [])
    assert played.signal is RECEIVE
    played.conversation.time_out()
    assert played.conversation.failure is not None
    assert played.conversation.failure.problem == TimedOut(b"")


def test_the_client_may_read_on_after_it_has_finished_sending() -> None:
    """So the server may send; it does not close by itself."""
    steps = [*steps_of(eof), send(b"x")]
    played = play(steps, [], EOF)
    assert played.done == [True, True]
    assert HANG_UP not in played.performed


def test_a_wait() -> None:
    """The client is listened to, and what it sends is for the next step."""
    steps = [*steps_of(lambda s: s.wait(5)), read(b"ab")]
    conversation, handles = converse(*steps)
    assert conversation.next_action() is IDLE
    assert conversation.limit == 5
    conversation.receive_data(b"ab")
    assert conversation.next_action() is IDLE
    assert not conversation.full
    conversation.time_out()
    assert run(conversation) is IDLE
    assert [handle.done for handle in handles] == [True, True]


def test_a_server_that_does_not_read() -> None:
    """Nothing is received until the time has passed."""
    conversation, _ = converse(*steps_of(lambda s: s.stop_reading(5)), read(b"ab"))
    assert conversation.next_action() is IDLE
    assert (conversation.deaf, conversation.full) == (True, True)
    conversation.time_out()
    assert (conversation.deaf, conversation.full) == (False, False)
    assert conversation.next_action() is RECEIVE


@pytest.mark.parametrize(
    ("declare", "word"),
    [
        (lambda s: s.expect_bytes(b"a"), "expect_bytes"),
        (lambda s: s.send_bytes(b"a"), "send_bytes"),
        (lambda s: s.send_bytes(lambda: b"a"), "send_bytes"),
        (lambda s: s.expect_disconnect(), "expect_disconnect"),
        (lambda s: s.send_reset(), "send_reset"),
    ],
)
def test_nothing_follows_a_reset_of_the_server(declare: Declare, word: str) -> None:
    """It is refused where it is declared."""
    conversation, _ = converse(*steps_of(lambda s: s.send_reset()))
    with pytest.raises(ScriptError) as caught:
        conversation.declare(steps_of(declare)[0])
    assert str(caught.value) == f"{word}() cannot follow send_reset() on one connection"


def test_what_may_follow_the_end_of_sending() -> None:
    """Expectations, waiting, a reset; nothing that is sent."""
    conversation, _ = converse(*steps_of(lambda s: s.send_eof()))
    with pytest.raises(ScriptError) as caught:
        conversation.declare(send(b"x"))
    assert str(caught.value) == "send_bytes() cannot follow send_eof() on one connection"
    for step in steps_of(lambda s: (s.expect_line(), s.wait(1), s.send_reset())):
        conversation.declare(step)


def test_what_a_function_of_the_test_has_sent() -> None:
    """It counts for what a client may have left unread, as what the server has sent does."""
    conversation, _ = converse(send(b"abc"), read(b"x"))
    run(conversation)
    conversation.give(10)
    conversation.receive_reset()
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == Ended(b"", None, True, 13)


@pytest.mark.parametrize("refused", [False, True])
def test_what_was_sent_when_the_script_was_dropped(refused: bool) -> None:
    """It counts as well, as far as the client has taken it."""
    conversation, _ = converse(send(b"abc"))
    conversation.next_action()
    conversation.accept(2)
    conversation.abandon()
    if refused:
        conversation.refuse()
    else:
        conversation.perform()
    conversation.add(Handle(read(b"x"), Recorder()))
    conversation.receive_reset()
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == Ended(b"", None, True, 2 if refused else 3)


def test_a_send_that_the_end_of_the_client_has_overtaken() -> None:
    """If the client can be seen, what it left unread is for the next expectation to judge."""
    conversation, (sending, _) = converse(send(b"abc"), read(b"x"))
    conversation.next_action()
    conversation.receive_eof()
    conversation.refuse(overtaken=True)
    assert sending.done
    run(conversation)
    assert conversation.failure is not None
    assert conversation.failure.problem == Ended(b"", None, False)


def test_the_text_of_an_end_that_is_no_reset() -> None:
    """The client has closed the connection instead."""
    failure = Failure(NotReset(), None, connection=1, server="127.0.0.1:5000")
    assert render(failure) == "Expected the client to reset the connection, but it closed it."


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (eof, "Timed out waiting for client to finish sending."),
        (reset, "Timed out waiting for client to reset the connection."),
    ],
)
def test_the_text_of_an_end_that_does_not_come(declare: Declare, sentence: str) -> None:
    """It says which end was waited for."""
    played = play(steps_of(declare), [])
    played.conversation.time_out()
    assert played.conversation.failure is not None
    assert render(played.conversation.failure).split("\n")[0] == sentence


def test_the_text_of_bytes_instead_of_an_end() -> None:
    """It says which end was waited for, and what came."""
    played = play(steps_of(eof), [b"ab"])
    assert played.failure is not None
    assert render(played.failure).split("\n")[0] == (
        "Received unexpected data while waiting for client to finish sending. Data is b'ab'."
    )


@pytest.mark.parametrize("end", ["expect_disconnect", "expect_eof", "expect_reset"])
@pytest.mark.parametrize(
    "declare",
    [
        lambda s, **options: s.expect_bytes(b"a", **options),
        lambda s, **options: s.expect_bytes(lambda: b"a", **options),
        lambda s, **options: s.expect_line(**options),
        lambda s, **options: s.expect_frame(**options),
        lambda s, **options: s.expect_until(b"a", **options),
        lambda s, **options: s.expect_count(1, **options),
    ],
)
def test_no_data_follow_the_end_of_the_client(end: str, declare: Callable[..., None]) -> None:
    """It is refused where it is declared; if one of them need not come true, it may be."""
    [step] = steps_of(declare)
    conversation, _ = converse(*steps_of(lambda s: getattr(s, end)()))
    with pytest.raises(ScriptError) as caught:
        conversation.declare(step)
    assert str(caught.value) == (
        f"{step.word}() cannot follow {end}() on one connection: the next one begins with an "
        "expect_connect()"
    )
    [optional] = steps_of(lambda s: declare(s, optional=True))
    conversation.declare(optional)
    conversation, _ = converse(*steps_of(lambda s: getattr(s, end)(optional=True)))
    conversation.declare(step)


def test_what_may_follow_the_end_of_the_client() -> None:
    """Silence, an answer, another end, and what may want no data at all."""
    conversation, _ = converse(*steps_of(lambda s: s.expect_eof()))
    for step in steps_of(
        lambda s: (
            s.expect_nothing(0.1),
            s.send_bytes(b"x"),
            s.expect(in_any_order(b"x")),
            s.expect_disconnect(),
        )
    ):
        conversation.declare(step)
