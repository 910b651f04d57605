"""The first thing that went wrong, as data. ``_report`` turns it into text."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import merge
from typing import Literal

from ._framings import Incomplete
from ._matchers import Difference
from ._steps import Place, Skipped, Step
from ._transcript import Transcript


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The current step did not come true within its limit; ``received`` had come.

    ``at`` is the line at which a function of the test was then, and ``function`` its name.
    """

    received: bytes
    at: Place | None = None
    function: str = ""


@dataclass(frozen=True, slots=True)
class Differs:
    """The client sent something else.

    ``received`` is all that came, from the first byte of the expectation to the last that
    was there.
    """

    difference: Difference
    received: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection ended before the expectation came true.

    ``unread`` is how many bytes the server had sent, if it was reset and the client may not
    have read them all.
    """

    received: bytes
    missing: Incomplete | None
    reset: bool
    unread: int = 0


@dataclass(frozen=True, slots=True)
class NotADisconnect:
    """Bytes came instead of the end of the connection."""

    received: bytes


@dataclass(frozen=True, slots=True)
class NotSilent:
    """Bytes came when the client was to be silent."""

    received: bytes


@dataclass(frozen=True, slots=True)
class NotReset:
    """The client closed the connection, and did not abort it."""


@dataclass(frozen=True, slots=True)
class WasReset:
    """The client aborted the connection instead of closing it.

    ``unread`` is how many bytes the server had sent, if the client may not have read them all.
    """

    unread: int = 0


@dataclass(frozen=True, slots=True)
class Unread:
    """The client closed the connection, and ``size`` bytes were in it that it had not read.

    ``data`` are the first of them, as far as they are known.
    """

    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class CutOff:
    """The client closed the connection without telling TLS (no close_notify)."""


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """The TLS handshake failed.

    ``reason`` is OpenSSL's word for it, in lower case (``"tlsv1 alert unknown ca"``), or
    ``"closed"``, ``"reset"``, ``"timed out"``, ``"plain text"``: then ``received`` is what the
    client has sent instead. ``detail`` is what was wrong with the client's certificate.
    """

    reason: str
    detail: str = ""
    received: bytes = b""


@dataclass(frozen=True, slots=True)
class HandshakePassed:
    """The TLS handshake was to fail, and did not: the client went on, or (``timed_out``) waits."""

    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class NotEncrypted:
    """The client sent this where nothing but the TLS handshake could come."""

    received: bytes


@dataclass(frozen=True, slots=True)
class TlsFailed:
    """TLS failed after the handshake. ``reason`` is OpenSSL's word for it, in lower case."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotClosed:
    """The client's sending has ended, but it has not called ``writer.close()``.

    ``collected`` says that the garbage collector has done so.
    """

    collected: bool


@dataclass(frozen=True, slots=True)
class NotWaited:
    """The client closed its writer, and did not await ``writer.wait_closed()``."""


@dataclass(frozen=True, slots=True)
class SendStalled:
    """The client did not read: ``accepted`` of ``total`` bytes left the server."""

    accepted: int
    total: int


@dataclass(frozen=True, slots=True)
class NotSent:
    """The client had closed the connection when these bytes were to be sent.

    (Or, if there are none, when a function of the test was to be run.)
    """

    data: bytes | None


@dataclass(frozen=True, slots=True)
class ExtraConnection:
    """The client opened a connection that no ``expect_connect()`` is waiting for.

    ``waiting`` is the step at which another connection of the server was then;
    ``scripted`` says whether there is any ``expect_connect()`` at all.
    """

    number: int
    waiting: Step | None
    scripted: bool


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The client opened a connection when it was to open none."""

    number: int


@dataclass(frozen=True, slots=True)
class LeftBytes:
    """The client sent bytes that no step expected."""

    received: bytes


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """The client did not close the connection."""


@dataclass(frozen=True, slots=True)
class NoConnect:
    """A step was declared before any ``expect_connect()``."""


@dataclass(frozen=True, slots=True)
class NobodyThere:
    """``expect_disconnect()``, and no client ever connected."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The client waited for the server in the thread of its event loop, which that needs."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A function of the test has raised an error, with which the test is to end."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Broken:
    """The server itself could not go on."""

    reason: str


Problem = (
    TimedOut
    | Differs
    | Ended
    | NotADisconnect
    | NotSilent
    | NotReset
    | WasReset
    | Unread
    | CutOff
    | HandshakeFailed
    | HandshakePassed
    | NotEncrypted
    | TlsFailed
    | NotClosed
    | NotWaited
    | SendStalled
    | NotSent
    | ExtraConnection
    | Unwanted
    | LeftBytes
    | LeftOpen
    | NoConnect
    | NobodyThere
    | Blocked
    | Raised
    | Broken
)


@dataclass(frozen=True, slots=True)
class ScriptView:
    """The part of a script that a reader of a failure needs.

    ``done`` are the last steps that came true, or were skipped, and ``ahead`` the next ones
    that were not reached; ``done_before`` and ``ahead_after`` count those left out.
    """

    done: tuple[Step | Skipped, ...] = ()
    ahead: tuple[Step, ...] = ()
    done_before: int = 0
    ahead_after: int = 0


@dataclass(frozen=True, slots=True)
class Times:
    """When it happened, in seconds.

    ``done`` belongs to the steps of a ``ScriptView`` that are done, ``failed`` to the one that
    failed, which had ``waited`` so long then. Both are counted from when the client of the
    server connected first; they are ``None`` where that is not known, or never was.
    """

    done: tuple[float | None, ...]
    failed: float | None
    waited: float

    def since(self, start: float | None) -> Times:
        """The same, counted from then."""
        done = tuple(None if at is None or start is None else at - start for at in self.done)
        failed = None if self.failed is None or start is None else self.failed - start
        return Times(done, failed, self.waited)


def among(
    view: ScriptView, times: Times, others: ScriptView, other_times: Times
) -> tuple[ScriptView, Times]:
    """The steps of two scripts that one test has declared as one, in their order.

    What is done goes by its time; what is not, by its line, if all of it is in one file.
    """
    done = list(
        merge(
            zip(times.done, view.done, strict=True),
            zip(other_times.done, others.done, strict=True),
            # Some clocks show whole milliseconds only.
            key=lambda each: (each[0] or 0.0, _line(each[1])),
        )
    )
    ahead = [*view.ahead, *others.ahead]
    if len({step.place.file for step in ahead}) == 1:
        ahead = list(merge(view.ahead, others.ahead, key=_line))
    return (
        ScriptView(
            tuple(step for _, step in done),
            tuple(ahead),
            view.done_before + others.done_before,
            view.ahead_after + others.ahead_after,
        ),
        Times(tuple(at for at, _ in done), times.failed, times.waited),
    )


def _line(step: Step | Skipped) -> int:
    return step.step.place.line if isinstance(step, Skipped) else step.place.line


#: What takes the options of a server that a fixture has made.
MARKER = "@pytest.mark.tcpserver"


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, at which step, on which connection.

    :ivar problem: one of the classes of this module.
    :ivar step: the step that failed; ``None`` if the failure is about no step.
    :ivar script: the steps around it.
    :ivar connection: the number of the connection, from 1: that of its ``expect_connect()``, or,
        if nobody expects it, the first that no other one has; ``None`` if it is about none.
    :ivar server: the name or the address of the server.
    :ivar times: when that was.
    :ivar end: how the client had ended the connection by then, if it had.
    :ivar elsewhere: what its other connections still wait for, with their numbers.
    :ivar unclaimed: what connections have said that belong to no ``expect_connect()``, with their
        numbers; of the first five.
    :ivar more_unclaimed: how many more there were of these.
    :ivar switch: what takes the options of the server, to switch a check off.
    :ivar transcript: what happened on the connections of the server.
    """

    problem: Problem
    step: Step | None = None
    script: ScriptView = ScriptView()
    connection: int | None = None
    server: str = ""
    times: Times | None = None
    end: Literal["", "closed", "reset"] = ""
    elsewhere: tuple[tuple[int, Step], ...] = ()
    unclaimed: tuple[tuple[int, bytes], ...] = ()
    more_unclaimed: int = 0
    switch: str = MARKER
    transcript: Transcript | None = field(default=None, compare=False, repr=False)

    @property
    def only_the_end(self) -> bool:
        """Whether all that is wrong is that the connection ended."""
        return isinstance(self.problem, Ended | NotReset | WasReset | Unread | CutOff | NotSent)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a script stood: its current step, and what had come for it."""

    server: str
    step: Step
    received: bytes
