"""What the tests of the lower, I/O-free half share: steps, scripts, and every way to cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from re import Match
from typing import Any

from pytest_tcpclient._conversation import CONCLUDE, Conversation, Signal
from pytest_tcpclient._failure import Failure, Raised
from pytest_tcpclient._framings import Checked, LengthPrefixed
from pytest_tcpclient._handle import Handle
from pytest_tcpclient._matchers import Exactly, Frame
from pytest_tcpclient._rule import Rule
from pytest_tcpclient._script import Script
from pytest_tcpclient._steps import (
    Disconnect,
    Expect,
    ExpectConnect,
    ExpectDisconnect,
    ExpectEnd,
    Place,
    Send,
    StartTls,
    Step,
)
from pytest_tcpclient._tls_setting import TLS

FILE = "test_client.py"
SERVER = "127.0.0.1:5000"

#: What can happen besides bytes.
EOF = "eof"
RESET = "reset"


class Recorder(Script):
    """A script that notes its steps, and plays none."""

    def __init__(self, timeout: float = 1.0, factor: float = 1.0) -> None:
        self.steps: list[Step] = []
        self.rules: list[Rule] = []
        self.reached: list[Handle[Any]] = []
        self.timeout = timeout
        self.factor = factor

    def _declare(self, step: Step) -> Handle[Any]:
        self.steps.append(step)
        return Handle(step, self)

    async def _reach(self, handle: Handle[Any]) -> None:
        self.reached.append(handle)
        handle._complete(b"received")

    def _limit(self, timeout: float | None) -> float:
        return (self.timeout if timeout is None else timeout) * self.factor

    def _add_rule(self, rule: Rule) -> None:
        self.rules.append(rule)

    @property
    def _framing(self) -> Checked:
        return LengthPrefixed()

    @property
    def _newline(self) -> bytes:
        return b"\n"


# Steps, as the lines of a test


def connect(line: int = 1) -> ExpectConnect:
    return ExpectConnect("expect_connect", Place(FILE, line), limit=1.0)


def read(data: bytes, line: int = 1, **options: object) -> Expect:
    place = Place(FILE, line)
    return Expect("expect_bytes", place, (data,), options, limit=1.0, matcher=Exactly(data))


def frame(payload: bytes, line: int = 1, limit: int = 64 * 1024 * 1024) -> Expect:
    matcher = Frame(payload, LengthPrefixed(limit=limit))
    return Expect("expect_frame", Place(FILE, line), (payload,), limit=1.0, matcher=matcher)


def hang_up(line: int = 1) -> ExpectDisconnect:
    return ExpectDisconnect("expect_disconnect", Place(FILE, line), limit=1.0)


def send(data: bytes, line: int = 1) -> Send:
    return Send("send_bytes", Place(FILE, line), (data,), limit=1.0, data=data)


def start_tls(line: int = 1, *, fails: bool = False) -> StartTls:
    return StartTls("start_tls", Place(FILE, line), limit=1.0, tls=TLS(), fails=fails)


def disconnect(line: int = 1) -> Disconnect:
    return Disconnect("disconnect", Place(FILE, line))


def end(*, unexpected: bool = True, left_open: bool = True) -> ExpectEnd:
    return ExpectEnd(
        "end of the test", Place("", 0), limit=1.0, unexpected=unexpected, left_open=left_open
    )


def framed(payload: bytes) -> bytes:
    """A message as it stands on the wire."""
    return len(payload).to_bytes(4, "big") + payload


# Every way in which bytes can arrive


def cut(data: bytes, offsets: Sequence[int]) -> list[bytes]:
    """The data, cut at these offsets. (A network delivers no empty pieces.)"""
    at = [0, *sorted(offsets), len(data)]
    pieces = [data[start:stop] for start, stop in pairwise(at)]
    return [piece for piece in pieces if piece]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in every two pieces."""
    yield cut(data, [])
    yield cut(data, range(1, len(data)))
    for offset in range(1, len(data)):
        yield cut(data, [offset])


# A driver without a network


@dataclass
class Played:
    """What came of a script. Two of them are equal if no client could tell them apart."""

    failure: Failure | None
    performed: list[Step | Signal]
    done: list[bool]
    skipped: list[bool]
    received: list[object]
    counts: list[int]
    signal: Signal
    conversation: Conversation = field(compare=False)


def comparable(value: object) -> object:
    """What was received or raised, such that two of them are equal if they say the same."""
    if isinstance(value, Match):
        return "match", value.re, value.span(), value.string
    if isinstance(value, BaseException):
        return type(value), str(value)
    return tuple(map(comparable, value)) if isinstance(value, tuple) else value


def verdict(played: Played) -> list[object]:
    """All that could tell one play from another, with errors and matches made comparable."""
    failure = played.failure
    raised = failure.problem.error if failure and isinstance(failure.problem, Raised) else None
    return [
        failure if raised is None else (comparable(raised), failure and failure.step),
        *(played.performed, played.done, played.skipped, played.received, played.counts),
        *(played.signal, played.conversation.limit, played.conversation.standing()),
    ]


def converse(
    *steps: Step, patience: float | None = None, possible: bool = True
) -> tuple[Conversation, list[Handle[Any]]]:
    """A conversation with this script, and the handles of its steps.

    :param possible: ``False`` if some of the steps may be such as nobody could declare.
    """
    conversation = Conversation(1, SERVER, patience)
    handles: list[Handle[Any]] = [Handle(step, Recorder()) for step in steps]
    for handle in handles:
        if possible:
            conversation.declare(handle._step)
        conversation.add(handle)
    return conversation, handles


def run(conversation: Conversation, performed: list[Any] | None = None) -> Signal:
    """Perform what there is to do, until the client has to do something."""
    action = conversation.next_action()
    while not isinstance(action, Signal):
        if performed is not None:
            performed.append(action)
        conversation.perform()
        action = conversation.next_action()
    return action


def play(
    steps: Sequence[Step],
    pieces: Sequence[bytes],
    ending: str | None = None,
    rules: Sequence[Rule] = (),
) -> Played:
    """Play a script against a client that sends these pieces, and then perhaps ends."""
    conversation, handles = converse(*steps, patience=1.0, possible=False)
    for rule in rules:
        conversation.add_rule(rule)
    performed: list[Step | Signal] = []
    conversation.connect()
    run(conversation, performed)
    for piece in pieces:
        conversation.receive_data(piece)
        run(conversation, performed)
    if ending == EOF:
        conversation.receive_eof()
    elif ending == RESET:
        conversation.receive_reset()
    signal = run(conversation, performed)
    if signal is CONCLUDE:
        conversation.conclude()
        signal = run(conversation, performed)
    return Played(
        conversation.failure,
        performed,
        [handle.done for handle in handles],
        [handle.skipped for handle in handles],
        [comparable(handle.received) if handle.done else None for handle in handles],
        [rule.count for rule in rules],
        signal,
        conversation,
    )
