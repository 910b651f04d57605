"""The vocabulary of a whole server, written once for async and for blocking ones. No I/O."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from ._checked import checked_flag, checked_seconds
from ._errors import ScriptError
from ._handle import Handle
from ._matchers import Matcher, named
from ._script import Script, place_of_caller
from ._steps import ExpectConnect, ExpectNoConnection, ResumeListening, StopListening, Wait

C = TypeVar("C")


class ServerScript(Script, Generic[C]):
    """Everything that a server can be told, besides what it can be told of a connection."""

    @property
    @abstractmethod
    def _speaks_tls(self) -> bool:
        """Whether a connection begins with a TLS handshake."""

    def expect_connect(
        self,
        timeout: float | None = None,
        *,
        first: bytes | Matcher | None = None,
        optional: bool = False,
        handshake_fails: bool = False,
    ) -> C:
        """Expect that the client connects. If the server speaks TLS, the handshake is a part.

        The n-th connection that is accepted belongs to the n-th ``expect_connect()``. The
        client may connect before the declaration.

        :param timeout: seconds, zero or more.
        :param first: to tell connections apart that come in any order: bytes, or a matcher as
            for :meth:`expect`, that the first bytes of the connection must satisfy. They are
            still to be expected. A connection is offered to those that wait in the order in
            which they were declared, so that one that says nothing is for nobody while
            another ``first`` might still want it.
        :param optional: the client need not connect: if it has not when the timeout has
            passed, the steps that are about this connection are skipped.
        :param handshake_fails: ``True`` if the TLS handshake must fail: because the client
            refuses the certificate, for instance. The connection is closed then.
        :return: the connection, for steps that are about this one.
        """
        __tracebackhide__ = True
        limit, options = self._timing(timeout, optional)
        beginning = None if first is None else named("first", first)
        if beginning is not None:
            options["first"] = beginning
            beginning = beginning.bound(self._framing, self._newline)
        if checked_flag("handshake_fails", handshake_fails):
            if not self._speaks_tls:
                raise ScriptError("handshake_fails=True for a server without the option tls")
            options["handshake_fails"] = True
        declaration = ("expect_connect", place_of_caller(), (), options, limit, optional)
        step = ExpectConnect(*declaration, fails=handshake_fails, first=beginning)
        return self._declare(step)  # type: ignore[return-value]  # The connection is its handle.

    def expect_no_connection(self, seconds: float) -> Handle[None]:
        """Expect that the client does not connect for so long.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._declare(
            ExpectNoConnection("expect_no_connection", place_of_caller(), (seconds,), {}, seconds)
        )

    def stop_listening(self) -> Handle[None]:
        """Refuse connections (``ECONNREFUSED``), from when the steps before have been done.

        Those that are there go on, and the port is kept.
        """
        __tracebackhide__ = True
        return self._declare(StopListening("stop_listening", place_of_caller()))

    def resume_listening(self) -> Handle[None]:
        """Accept connections again, on the same port."""
        __tracebackhide__ = True
        return self._declare(ResumeListening("resume_listening", place_of_caller()))

    def wait(self, seconds: float) -> Handle[None]:
        """Pause between two steps, whatever they are about.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._declare(Wait("wait", place_of_caller(), (seconds,), {}, seconds))
