"""Plays the steps of a server that are about no connection: a pause, a closed door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ._conversation import Conversation
from ._engine import Engine
from ._failure import Failure
from ._host import Host
from ._reception import Reception
from ._steps import Action, StopListening
from ._transcript import Transcript


class Interlude(Engine):
    """An engine without a connection. Its actions are about the listening sockets."""

    def __init__(
        self,
        server: str,
        host: Host,
        transcript: Transcript,
        *,
        on_failure: Callable[[Failure], None],
        before_time_out: Callable[[], Awaitable[None]],
        reception: Reception[Any],
    ) -> None:
        super().__init__(Conversation(0, server), host, transcript, on_failure, before_time_out)
        self._reception = reception

    async def _act_alone(self, action: Action) -> None:
        if isinstance(action, StopListening):
            # Whoever has connected before is not refused.
            await self._host.settle(lambda: self._reception.count)
            await self._reception.hold()
        else:
            await self._reception.resume()
        self._see_time(self._time())
        self.conversation.perform()
        self._acting = False
        self.go_on()
