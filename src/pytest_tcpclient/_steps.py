"""The steps of a script, as data.

An *expectation* says what the client must do, an *action* what the server does.
Steps have no behaviour: ``_conversation`` judges expectations, ``_engine`` performs
actions, ``_report`` puts both into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._matchers import NamedMatcher
    from ._tls_setting import TLS, SSLContext


#: How much is given to the event loop at once: what it accepts of that is progress.
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """The line of the test that declared a step."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a declaration noted: the word, what stood in its parentheses, and where."""

    word: str
    place: Place
    arguments: tuple[object, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limited(Step):
    """A step that may take ``limit`` seconds in all, from the moment it is current.

    If it is ``optional`` and does not come true, the script goes on without it.
    """

    limit: float = 0.0
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ExpectConnect(Limited):
    """The client connects, and the TLS handshake is done, or ``fails`` as it should.

    If there is a ``first``, what the connection says first has to satisfy it.
    """

    fails: bool = False
    first: NamedMatcher | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect(Limited):
    """What the client sends next satisfies the matcher."""

    matcher: NamedMatcher


@dataclass(frozen=True, slots=True)
class ExpectDisconnect(Limited):
    """The client closes the connection, and sends nothing more before that.

    If it need not be ``clean``, the client may reset it, or cut it off (TLS).
    """

    clean: bool = True


@dataclass(frozen=True, slots=True)
class ExpectEof(Limited):
    """The client finishes sending, and may go on reading."""


@dataclass(frozen=True, slots=True)
class ExpectReset(Limited):
    """The client aborts the connection."""


@dataclass(frozen=True, slots=True)
class ExpectNothing(Limited):
    """The client sends nothing until the limit has passed."""


@dataclass(frozen=True, slots=True)
class Wait(Limited):
    """The server does nothing until the limit has passed."""


@dataclass(frozen=True, slots=True)
class ExpectNoConnection(Wait):
    """Nobody connects until the limit has passed."""


@dataclass(frozen=True, slots=True)
class StopReading(Wait):
    """Nor does it receive anything, so that the client has to wait."""


@dataclass(frozen=True, slots=True)
class ExpectEnd(Limited):
    """Declared by the server itself when the test is over: nothing may be left."""

    unexpected: bool = True
    left_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Limited):
    """The server sends bytes. The limit counts from the last progress.

    If there are ``segments``, they are the data, and each reaches the client by itself:
    ``interval`` seconds after the one before, or as soon as the client has that.
    """

    data: bytes
    segments: tuple[bytes, ...] = ()
    interval: float | None = None

    @property
    def at_once(self) -> bool:
        """Whether it is given to the event loop whole."""
        return len(self.data) <= CHUNK and not self.segments


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Limited):
    """A function of the test plays the server, with the stream in its hands."""

    function: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Disconnect(Step):
    """The server finishes sending. It goes on receiving until the client closes."""


@dataclass(frozen=True, slots=True)
class SendReset(Step):
    """The server aborts the connection."""


@dataclass(frozen=True, slots=True)
class StopListening(Step):
    """From here on, connections are refused."""


@dataclass(frozen=True, slots=True)
class ResumeListening(Step):
    """From here on, they are accepted again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTls(Limited):
    """The connection goes on encrypted, once the handshake is done; or that ``fails``."""

    tls: TLS | SSLContext
    fails: bool = False


#: What a step has of its declaration, in the order in which a step takes it.
Declaration = tuple[str, Place, tuple[object, ...], Mapping[str, object], float, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided(Limited):
    """A step of which an argument is given by a function when the step is the current one.

    ``build(declaration, *arguments)`` makes the step, which is an action if it ``acts``.
    """

    build: Callable[..., Step]
    acts: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """An optional step that did not come true."""

    step: Step


Action = Send | Run | Disconnect | SendReset | StopListening | ResumeListening | StartTls

#: The same for ``isinstance()``, which takes a tuple faster than a union.
ACTIONS = (Send, Run, Disconnect, SendReset, StopListening, ResumeListening, StartTls)
