"""Rules that answer in the background, whatever the script is at. No I/O."""

from __future__ import annotations

from typing import Any

from ._contents import Late
from ._matchers import NamedMatcher
from ._steps import Declaration, Send


class Rule:
    """A background rule, made by :meth:`Script.whenever`.

    :ivar count: how often it has applied so far, on all the connections that it is about.
    """

    def __init__(self, declaration: Declaration, matcher: NamedMatcher, reply: Any) -> None:
        self.count = 0
        self._declaration = declaration
        self._matcher = matcher
        self._reply = reply
        self._stopped = False

    def __repr__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"<Rule {self._declaration[2][0]!r}, applied {times}>"

    def stop(self) -> None:
        """Apply no more: from now on such input is for the script again."""
        self._stopped = True

    def _answer(self, received: object) -> Send | None:
        """What is sent when it has applied."""
        reply = self._reply.value(received) if isinstance(self._reply, Late) else self._reply
        return None if reply is None else Send(*self._declaration, data=reply)
