"""What a declaration returns."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any

import pytest
from helpers import FILE, Recorder, connect, hang_up, read, send

from pytest_tcpclient._errors import ScriptError
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._steps import Place, Send, Step, Undecided


def result_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing."""
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    return caught.value.value


def test_a_handle_before_its_step_is_done() -> None:
    """It says so, and has nothing received."""
    handle: Handle[bytes] = Handle(read(b"Hello"), Recorder())
    assert handle.done is False
    assert repr(handle) == "<Handle of expect_bytes(), not done>"
    with pytest.raises(ScriptError) as caught:
        _ = handle.received
    assert str(caught.value) == (
        "expect_bytes() has not received anything yet: pass a callable, which is called when it "
        "is time"
    )


def test_a_handle_after_its_step_is_done() -> None:
    """It has what was received."""
    handle: Handle[bytes] = Handle(read(b"Hello"), Recorder())
    handle._complete(b"Hello")
    assert handle.done is True
    assert handle.received == b"Hello"
    assert repr(handle) == "<Handle of expect_bytes(), done>"


@pytest.mark.parametrize("step", [hang_up(), send(b"Hello")])
def test_a_handle_of_a_step_that_receives_nothing(step: Step) -> None:
    """It has received None."""
    handle: Handle[None] = Handle(step, Recorder())
    handle._complete(None)
    assert handle.received is None


def test_waiting_for_a_handle() -> None:
    """The script is asked to come to this step, and what it received is returned."""
    script = Recorder()
    handle = script.expect_bytes(b"Hello")
    assert result_of(handle.wait()) == b"received"
    assert script.reached == [handle]


def test_a_handle_is_not_awaitable() -> None:
    """A declaration that is not awaited does not look like a forgotten await."""
    assert not inspect.isawaitable(Recorder().expect_bytes(b"Hello"))


def test_who_waits_for_a_handle_is_told_once() -> None:
    """Those that wait are told when the step is done, in order, and only once."""
    handle: Handle[bytes] = Handle(read(b"Hello"), Recorder())
    told: list[tuple[str, bool]] = []
    handle._when_over.append(lambda: told.append(("first", handle.done)))
    handle._when_over.append(lambda: told.append(("second", handle.done)))
    handle._complete(b"Hello")
    handle._complete(b"Hello")
    assert told == [("first", True), ("second", True)]


def test_a_handle_of_a_step_that_was_skipped() -> None:
    """It is not done, has nothing, and says why; who waits for it is told."""
    handle: Handle[bytes] = Handle(read(b"Hello"), Recorder())
    told: list[tuple[bool, bool]] = []
    handle._when_over.append(lambda: told.append((handle.done, handle.skipped)))
    assert handle.skipped is False
    handle._skip()
    assert told == [(False, True)]
    assert repr(handle) == "<Handle of expect_bytes(), skipped>"
    with pytest.raises(ScriptError) as caught:
        _ = handle.received
    assert str(caught.value) == "expect_bytes() was optional, and was skipped"


def test_waiting_for_a_step_that_is_skipped() -> None:
    """There is nothing to return."""

    class Skipping(Recorder):
        async def _reach(self, handle: Handle[Any]) -> None:
            handle._skip()

    handle = Skipping().expect_bytes(b"Hello", optional=True)
    with pytest.raises(ScriptError) as caught:
        handle.wait().send(None)
    assert str(caught.value) == "expect_bytes() was optional, and was skipped"


def test_a_step_that_is_done_is_not_skipped() -> None:
    """Even if it was optional."""
    handle: Handle[None] = Handle(connect(), Recorder())
    handle._complete(None)
    assert (handle.done, handle.skipped) == (True, False)


@pytest.mark.parametrize(
    "step",
    [send(b"x"), Undecided("send_bytes", Place(FILE, 1), (print,), limit=1.0, build=Send)],
)
def test_the_words_of_a_handle(step: Step) -> None:
    """It is called by the word of its step, decided or not."""
    assert repr(Handle(step, None)) == "<Handle of send_bytes(), not done>"
