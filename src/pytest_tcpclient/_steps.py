"""The steps of a script, as data.

An *expectation* says what the client must do, an *action* what the server does.
Steps have no behaviour: ``_conversation`` judges expectations, ``_engine`` performs
actions, ``_report`` puts both into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._matchers import Matcher


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
    """A step that may take ``limit`` seconds in all, from the moment it is current."""

    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class ExpectConnect(Limited):
    """The client connects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect(Limited):
    """What the client sends next satisfies the matcher."""

    matcher: Matcher


@dataclass(frozen=True, slots=True)
class ExpectDisconnect(Limited):
    """The client closes the connection, and sends nothing more before that."""


@dataclass(frozen=True, slots=True)
class ExpectEnd(Limited):
    """Declared by the server itself when the test is over: nothing may be left."""

    unexpected: bool = True
    left_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Limited):
    """The server sends bytes. The limit counts from the last progress."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Disconnect(Step):
    """The server finishes sending. It goes on receiving until the client closes."""


Action = Send | Disconnect

#: The same for ``isinstance()``, which takes a tuple faster than a union.
ACTIONS = (Send, Disconnect)
