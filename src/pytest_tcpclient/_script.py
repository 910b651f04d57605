"""The vocabulary of a script, written once for everything that takes steps.

A declaration is an ordinary call. It checks its arguments, notes the line of the
test that made it, and returns a handle at once; the server plays the step later.

Wherever bytes or a payload are given, a function may stand (:class:`Late`): then the step is
made of what it returns, when it has become the current one.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, AnyStr, TypeVar, overload

from ._checked import checked_bytes, checked_flag, checked_seconds, checked_size
from ._contents import ANY, Late, given, given_content
from ._framings import LINE_LIMIT, Checked, Framing, OwnFraming, checked_framing
from ._handle import Handle
from ._matchers import Count, Exactly, Frame, Line, Matcher, NamedMatcher, Until, named, spoken
from ._rule import Rule
from ._steps import (
    Declaration,
    Disconnect,
    Expect,
    ExpectDisconnect,
    ExpectEof,
    ExpectNothing,
    ExpectReset,
    Place,
    Run,
    Send,
    SendReset,
    StartTls,
    Step,
    StopReading,
    Undecided,
    Wait,
)
from ._tls_setting import TLS, SSLContext, checked_tls

T = TypeVar("T")
P = TypeVar("P")

#: Bytes, or a function that gives them when it is time. If it takes an argument, that is what
#: the last expectation of the connection received (``None`` if there was none).
Data = bytes | Callable[[], bytes] | Callable[[Any], bytes]

#: What a background rule may answer.
Reply = bytes | Matcher | None

_PACKAGE = __name__.partition(".")[0]


def place_of_caller() -> Place:
    """The line of the test: the nearest one that is outside of this package."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        assert frame.f_back is not None
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


class Script(ABC):
    """Everything that a connection can be told to expect and to do.

    Said to a server, a step is about the connection of the last ``expect_connect()``
    above that line. ``timeout`` is in seconds, from the moment at which the step
    becomes the current one; ``None`` is the server's own. A step that is ``optional`` does
    not fail: if the client does something else, or nothing until the timeout, the script goes
    on with the next step, and with all that has been received.

    What is expected (``payload``, ``line``, ``content``) can be ``ANY``, bytes, a compiled
    pattern that must match all of it, a predicate (a function that is called with what came
    and returns ``True`` or ``False``), or any other object, which is compared with ``==``. A
    function without arguments is called when the step becomes current, and gives what is
    expected.
    """

    @abstractmethod
    def _declare(self, step: Step) -> Handle[Any]:
        """Take one step into the script."""

    @abstractmethod
    def _limit(self, timeout: float | None) -> float:
        """The limit of a step: its own timeout or the server's, times the factor."""

    @abstractmethod
    def _add_rule(self, rule: Rule) -> None:
        """Apply a rule on the connections that this script is about."""

    @property
    @abstractmethod
    def _framing(self) -> Checked:
        """How messages are delimited if nothing else is said."""

    @property
    @abstractmethod
    def _newline(self) -> bytes:
        """What ends a line if nothing else is said."""

    # What the client must do

    def expect_bytes(
        self, data: Data, timeout: float | None = None, *, optional: bool = False
    ) -> Handle[bytes]:
        """Expect that exactly these bytes come next.

        They may arrive in any number of pieces. The test fails at the first byte that
        differs.

        :param data: one byte or more, or a function that gives them.
        :param timeout: seconds, zero or more, for all of it.
        """
        __tracebackhide__ = True
        data = given(data, partial(checked_bytes, "data"))
        return self._expect(Exactly, "expect_bytes", (data,), timeout=timeout, optional=optional)

    @overload
    def expect_frame(
        self,
        payload: re.Pattern[AnyStr],
        timeout: float | None = None,
        *,
        framing: Framing[AnyStr] | None = None,
        optional: bool = False,
    ) -> Handle[re.Match[AnyStr]]: ...

    @overload
    def expect_frame(
        self, payload: bytes, timeout: float | None = None, *, optional: bool = False
    ) -> Handle[bytes]: ...

    @overload
    def expect_frame(
        self,
        payload: object = ANY,
        timeout: float | None = None,
        *,
        framing: Framing[P],
        optional: bool = False,
    ) -> Handle[P]: ...

    @overload
    def expect_frame(
        self, payload: object = ANY, timeout: float | None = None, *, optional: bool = False
    ) -> Handle[Any]: ...

    def expect_frame(
        self,
        payload: object = ANY,
        timeout: float | None = None,
        *,
        framing: Framing[Any] | None = None,
        optional: bool = False,
    ) -> Handle[Any]:
        """Expect that one message comes next, with this payload.

        It is judged when it is complete.

        :param payload: what is expected, as the framing decodes it. It may be empty.
        :param timeout: seconds, zero or more, for all of it.
        :param framing: how the message is delimited; by default as the server's ``framing``
            says: a 4-byte big-endian length, and that many bytes of payload.
        """
        __tracebackhide__ = True
        own, options = self._own_framing(framing)
        payload = given_content("payload", payload, raw=not isinstance(own, OwnFraming))
        build = partial(Frame, framing=own)
        return self._expect(
            build, "expect_frame", (payload,), timeout=timeout, optional=optional, options=options
        )

    @overload
    def expect_line(  # type: ignore[overload-overlap] # A pattern is an object, too.
        self,
        line: re.Pattern[bytes],
        timeout: float | None = None,
        *,
        newline: bytes | None = None,
        limit: int = LINE_LIMIT,
        optional: bool = False,
    ) -> Handle[re.Match[bytes]]: ...

    @overload
    def expect_line(
        self,
        line: object = ANY,
        timeout: float | None = None,
        *,
        newline: bytes | None = None,
        limit: int = LINE_LIMIT,
        optional: bool = False,
    ) -> Handle[bytes]: ...

    def expect_line(
        self,
        line: object = ANY,
        timeout: float | None = None,
        *,
        newline: bytes | None = None,
        limit: int = LINE_LIMIT,
        optional: bool = False,
    ) -> Handle[Any]:
        r"""Expect that one line comes next.

        It is judged when it is complete.

        :param line: what is expected, without the newline.
        :param timeout: seconds, zero or more, for all of it.
        :param newline: what ends the line; by default the server's ``newline``, ``b"\n"`` if
            that is not set.
        :param limit: the longest line that is received, in bytes.
        """
        __tracebackhide__ = True
        line = given_content("line", line, raw=True)
        newline, options = self._own_newline(newline)
        limit = _set(options, "limit", checked_size("limit", limit), LINE_LIMIT)
        build = partial(Line, newline=newline, limit=limit)
        return self._expect(
            build, "expect_line", (line,), timeout=timeout, optional=optional, options=options
        )

    @overload
    def expect_until(  # type: ignore[overload-overlap] # A pattern is an object, too.
        self,
        delimiter: Data,
        content: re.Pattern[bytes],
        timeout: float | None = None,
        *,
        limit: int = LINE_LIMIT,
        optional: bool = False,
    ) -> Handle[re.Match[bytes]]: ...

    @overload
    def expect_until(
        self,
        delimiter: Data,
        content: object = ANY,
        timeout: float | None = None,
        *,
        limit: int = LINE_LIMIT,
        optional: bool = False,
    ) -> Handle[bytes]: ...

    def expect_until(
        self,
        delimiter: Data,
        content: object = ANY,
        timeout: float | None = None,
        *,
        limit: int = LINE_LIMIT,
        optional: bool = False,
    ) -> Handle[Any]:
        """Expect everything up to a delimiter, and the delimiter.

        It is judged when it is complete.

        :param delimiter: one byte or more, or a function that gives them.
        :param content: what is expected, with the delimiter.
        :param timeout: seconds, zero or more, for all of it.
        :param limit: how many bytes may stand before the delimiter.
        """
        __tracebackhide__ = True
        delimiter = given(delimiter, partial(checked_bytes, "delimiter"))
        content = given_content("content", content, raw=True)
        options: dict[str, object] = {}
        limit = _set(options, "limit", checked_size("limit", limit), LINE_LIMIT)
        build = partial(Until, limit=limit)
        arguments = (delimiter, content)
        return self._expect(
            build, "expect_until", arguments, timeout=timeout, optional=optional, options=options
        )

    @overload
    def expect_count(  # type: ignore[overload-overlap] # A pattern is an object, too.
        self,
        n: int | Callable[[], int] | Callable[[Any], int],
        content: re.Pattern[bytes],
        timeout: float | None = None,
        *,
        optional: bool = False,
    ) -> Handle[re.Match[bytes]]: ...

    @overload
    def expect_count(
        self,
        n: int | Callable[[], int] | Callable[[Any], int],
        content: object = ANY,
        timeout: float | None = None,
        *,
        optional: bool = False,
    ) -> Handle[bytes]: ...

    def expect_count(
        self,
        n: int | Callable[[], int] | Callable[[Any], int],
        content: object = ANY,
        timeout: float | None = None,
        *,
        optional: bool = False,
    ) -> Handle[Any]:
        """Expect so many bytes.

        They are judged when all are there.

        :param n: 1 or more, or a function that gives the number: of what was received before,
            for instance. That may be 0: then it comes true at once.
        :param content: what is expected.
        :param timeout: seconds, zero or more, for all of it.
        """
        __tracebackhide__ = True
        n = given(n, partial(checked_size, "n", least=0 if callable(n) else 1))
        content = given_content("content", content, raw=True)
        return self._expect(Count, "expect_count", (n, content), timeout=timeout, optional=optional)

    def expect(
        self, matcher: bytes | Matcher, timeout: float | None = None, *, optional: bool = False
    ) -> Handle[Any]:
        """Expect what a matcher says.

        :param matcher: :func:`any_of`, :func:`in_any_order`, another one of this package
            (:func:`line`, :func:`frame`, ...), or any object with a method ``match()``: see
            :class:`Matcher`. What the handle receives is the ``value`` of its ``Matched``.
        :param timeout: seconds, zero or more, for all of it.
        """
        __tracebackhide__ = True
        wanted = named("matcher", matcher)
        bound = wanted.bound(self._framing, self._newline)
        return self._expect(
            lambda _: bound, "expect", (wanted,), timeout=timeout, optional=optional
        )

    def expect_nothing(self, seconds: float) -> Handle[None]:
        """Expect that the client sends nothing for so long.

        It may close the connection: then it is silent, too, and the script goes on at once.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._declare(
            ExpectNothing("expect_nothing", place_of_caller(), (seconds,), {}, seconds)
        )

    def expect_disconnect(
        self, timeout: float | None = None, *, clean: bool = True, optional: bool = False
    ) -> Handle[None]:
        """Expect that the client closes the connection, and sends nothing before that.

        An encrypted connection is closed with a close_notify of TLS.

        :param timeout: seconds, zero or more.
        :param clean: ``False`` if the client may reset the connection as well, and close an
            encrypted one without a close_notify.
        """
        __tracebackhide__ = True
        limit, options = self._timing(timeout, optional)
        if not checked_flag("clean", clean):
            options["clean"] = False
        declaration = ("expect_disconnect", place_of_caller(), (), options, limit, optional)
        return self._declare(ExpectDisconnect(*declaration, clean=clean))

    def expect_eof(self, timeout: float | None = None, *, optional: bool = False) -> Handle[None]:
        """Expect that the client finishes sending, and sends nothing before that.

        It may go on reading, so that the server may go on sending. Whether it does cannot be
        seen: a client that closes the connection sends the same (a FIN, RFC 9293).

        :param timeout: seconds, zero or more.
        """
        __tracebackhide__ = True
        limit, options = self._timing(timeout, optional)
        return self._declare(
            ExpectEof("expect_eof", place_of_caller(), (), options, limit, optional)
        )

    def expect_reset(self, timeout: float | None = None, *, optional: bool = False) -> Handle[None]:
        """Expect that the client aborts the connection, and sends nothing before that.

        A client does so on purpose, or because it closes without having read everything.

        :param timeout: seconds, zero or more.
        """
        __tracebackhide__ = True
        limit, options = self._timing(timeout, optional)
        return self._declare(
            ExpectReset("expect_reset", place_of_caller(), (), options, limit, optional)
        )

    # What the server does

    def send_bytes(
        self, *segments: Data, interval: float | None = None, chunk_size: int | None = None
    ) -> Handle[None]:
        """Send these bytes.

        It takes as long as the client needs to read them. The server's timeout counts
        only while the client accepts nothing.

        :param segments: one byte or more each, or a function that gives them. If there are
            several, each reaches the client as a segment of its own: it is sent when the
            client has read the one before, or after 50 ms.
        :param interval: seconds between two segments, zero or more, instead of that.
        :param chunk_size: cut the segments into pieces of so many bytes, 1 or more, each a
            segment of its own.
        """
        __tracebackhide__ = True
        if not segments:
            raise TypeError("send_bytes() needs the bytes to send")
        # (A comprehension would be a line of its own in a traceback, before Python 3.12.)
        arguments = tuple(map(partial(given, check=partial(checked_bytes, "data")), segments))
        options: dict[str, object] = {}
        if interval is not None:
            options["interval"] = interval = checked_seconds("interval", interval)
        if chunk_size is not None:
            options["chunk_size"] = chunk_size = checked_size("chunk_size", chunk_size)

        def send(declaration: Declaration, *data: bytes) -> Send:
            pieces = data if chunk_size is None else tuple(_chunks(data, chunk_size))
            if len(pieces) == 1:
                return Send(*declaration, data=pieces[0])
            return Send(*declaration, data=b"".join(pieces), segments=pieces, interval=interval)

        return self._note(send, "send_bytes", arguments, options, acts=True)

    def send_frame(self, payload: Any, *, framing: Framing[Any] | None = None) -> Handle[None]:
        """Send one message.

        :param payload: what the framing encodes; it may be empty. A function is called when
            the step has become the current one, and gives it.
        :param framing: how the message is delimited; by default as the server's ``framing``
            says: a 4-byte big-endian length, and the payload.
        """
        __tracebackhide__ = True
        own, options = self._own_framing(framing)
        if not isinstance(own, OwnFraming):
            payload = given(payload, partial(checked_bytes, "payload", empty=True))
        else:
            payload = given(payload, lambda value: value)

        def send(declaration: Declaration, payload: Any) -> Send:
            __tracebackhide__ = True
            return Send(*declaration, data=own.encode(payload))

        return self._note(send, "send_frame", (payload,), options, acts=True)

    def send_line(self, line: Data, *, newline: bytes | None = None) -> Handle[None]:
        r"""Send one line: these bytes, and a newline.

        :param line: without the newline; it may be empty. Or a function that gives it.
        :param newline: what ends the line; by default the server's ``newline``, ``b"\n"`` if
            that is not set.
        """
        __tracebackhide__ = True
        own, options = self._own_newline(newline)

        def checked(line: object) -> bytes:
            __tracebackhide__ = True
            data = checked_bytes("line", line, empty=True)
            if own in data:
                raise ValueError(f"line must not contain the newline {own!r}: it is added")
            return data

        def send(declaration: Declaration, line: bytes) -> Send:
            return Send(*declaration, data=line + own)

        return self._note(send, "send_line", (given(line, checked),), options, acts=True)

    def disconnect(self) -> Handle[None]:
        """Close the connection politely: everything sent before arrives, then EOF.

        The server goes on receiving, so that what the client still sends is not answered
        with a reset. Expectations may follow; :meth:`send_bytes` may not.
        """
        __tracebackhide__ = True
        return self._declare(Disconnect("disconnect", place_of_caller()))

    def send_eof(self) -> Handle[None]:
        """Finish sending: the client gets EOF, and may go on sending.

        On the wire it is what :meth:`disconnect` does, too. This word is for scripts in which
        the client is to notice, and goes on.
        """
        __tracebackhide__ = True
        return self._declare(Disconnect("send_eof", place_of_caller()))

    def send_reset(self) -> Handle[None]:
        """Abort the connection: the client gets ``ECONNRESET``, and not EOF.

        What was sent just before may not arrive. Nothing may follow on this connection. Unix
        sockets know no reset: there the client gets EOF, and ``EPIPE`` when it sends.
        """
        __tracebackhide__ = True
        return self._declare(SendReset("send_reset", place_of_caller()))

    def wait(self, seconds: float) -> Handle[None]:
        """Do nothing for so long. What the client sends meanwhile is for the next steps.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._declare(Wait("wait", place_of_caller(), (seconds,), {}, seconds))

    def stop_reading(self, seconds: float) -> Handle[None]:
        """Receive nothing for so long, so that a client that sends much has to wait.

        The kernel takes what fits into its buffers all the same: on Linux commonly some 4 MB,
        of which nearly all is the client's own buffer; with SO_SNDBUF set to 64 KiB it is a
        quarter of a megabyte.

        :param seconds: zero or more; not multiplied by ``--tcpclient-timeout-factor``.
        """
        __tracebackhide__ = True
        seconds = checked_seconds("seconds", seconds)
        return self._declare(
            StopReading("stop_reading", place_of_caller(), (seconds,), {}, seconds)
        )

    def start_tls(
        self,
        tls: bool | TLS | SSLContext = True,
        timeout: float | None = None,
        *,
        handshake_fails: bool = False,
    ) -> Handle[None]:
        """Go on encrypted: from here on the client and the server speak TLS.

        The next thing that the client sends has to be its part of the TLS handshake. Plain text
        that comes before it fails the test, however early it was sent: a server that took it for
        a part of the encrypted session could be given commands by anybody.

        :param tls: ``True``, a :class:`TLS`, or an ``ssl.SSLContext`` of a server.
        :param timeout: seconds, zero or more, for the handshake.
        :param handshake_fails: ``True`` if the client must refuse: because of the certificate,
            for instance. The connection is closed then.
        """
        __tracebackhide__ = True
        checked = checked_tls("tls", tls)
        if checked is None:
            raise TypeError("tls must be True, a TLS(...) or an ssl.SSLContext")
        limit, options = self._timing(timeout, False)
        if checked_flag("handshake_fails", handshake_fails):
            options["handshake_fails"] = True
        declaration = ("start_tls", place_of_caller(), () if tls is True else (tls,), options)
        return self._declare(StartTls(*declaration, limit, tls=checked, fails=handshake_fails))

    # The ways out

    def whenever(
        self,
        matcher: bytes | Matcher,
        reply: Reply | Callable[[], Reply] | Callable[[Any], Reply] = None,
    ) -> Rule:
        """Answer something whenever it comes, in the background: a heartbeat, a prelude.

        It is tried only between two things that are expected, and only if the current
        expectation cannot come true with what is there: an expectation that matches wins.
        Said to a server, it is about all its connections; to a connection, about that one.

        :param matcher: bytes, or a matcher as for :meth:`expect`.
        :param reply: what is sent: bytes, a message (``frame(payload)``) or a line
            (``line(b"...")``), a function that gives one of these (of what the matcher received,
            if it takes an argument), or ``None`` for no answer.
        :return: the rule, to see how often it has applied, and to stop it.
        """
        __tracebackhide__ = True
        wanted = named("matcher", matcher)

        def checked(reply: object) -> bytes | None:
            __tracebackhide__ = True
            if isinstance(reply, Frame | Line):
                return spoken(reply.bound(self._framing, self._newline))
            return None if reply is None else checked_bytes("reply", reply)

        answer = given(reply, checked)
        shown = (wanted,) if reply is None else (wanted, answer if callable(reply) else reply)
        declaration: Declaration = (
            *("whenever", place_of_caller(), shown, {}),
            *(self._limit(None), False),
        )
        rule = Rule(declaration, wanted.bound(self._framing, self._newline), answer)
        self._add_rule(rule)
        return rule

    @overload
    def run(
        self, function: Callable[[Any], Awaitable[T]], timeout: float | None = None
    ) -> Handle[T]: ...

    @overload
    def run(self, function: Callable[[Any], T], timeout: float | None = None) -> Handle[T]: ...

    def run(self, function: Callable[[Any], Any], timeout: float | None = None) -> Handle[Any]:
        """Let a function play the server for a while: for what no other step can say.

        It is called with the stream of the connection, which has ``receive(max_bytes)``,
        ``send(data)`` and ``send_eof()``: coroutines for an async function (as anyio's byte
        streams have them), blocking calls for a plain one, which runs in a thread of its own.
        ``receive()`` raises ``anyio.EndOfStream`` when the client has finished sending. What
        the function does not receive is left for the next step.

        The handle receives what the function returns; what it raises fails the test.

        :param timeout: seconds, zero or more, for all of it.
        """
        __tracebackhide__ = True
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"function must be a function of the stream, not {function!r}")
        limit, options = self._timing(timeout, False)
        place = place_of_caller()
        return self._declare(Run("run", place, (function,), options, limit, function=function))

    # How a declaration becomes a step

    def _expect(
        self,
        matcher: Callable[..., NamedMatcher],
        word: str,
        arguments: tuple[Any, ...],
        *,
        timeout: float | None,
        optional: bool,
        options: dict[str, object] | None = None,
    ) -> Handle[Any]:
        """Take a step that is about bytes: ``matcher(*arguments)`` says which."""
        __tracebackhide__ = True
        limit, timing = self._timing(timeout, optional)

        def expect(declaration: Declaration, *arguments: Any) -> Expect:
            __tracebackhide__ = True
            return Expect(*declaration, matcher=matcher(*arguments))

        options = {**timing, **(options or {})}
        return self._note(expect, word, arguments, options, limit=limit, optional=optional)

    def _note(
        self,
        build: Callable[..., Step],
        word: str,
        arguments: tuple[Any, ...],
        options: dict[str, object],
        *,
        limit: float | None = None,
        optional: bool = False,
        acts: bool = False,
    ) -> Handle[Any]:
        """Take a step: now, or when its arguments are known."""
        __tracebackhide__ = True
        limit = self._limit(None) if limit is None else limit
        declaration = (word, place_of_caller(), arguments, options, limit, optional)
        if any(isinstance(argument, Late) for argument in arguments):
            return self._declare(Undecided(*declaration, build=build, acts=acts))
        return self._declare(build(declaration, *arguments))

    def _timing(self, timeout: float | None, optional: bool) -> tuple[float, dict[str, object]]:
        """The limit of a step, and what the test wrote of when it must come true."""
        __tracebackhide__ = True
        options: dict[str, object] = {}
        if timeout is not None:
            options["timeout"] = timeout = checked_seconds("timeout", timeout)
        if checked_flag("optional", optional):
            options["optional"] = True
        return self._limit(timeout), options

    def _own_framing(self, framing: object) -> tuple[Checked, dict[str, object]]:
        __tracebackhide__ = True
        if framing is None:
            return self._framing, {}
        checked = checked_framing("framing", framing)
        return checked, {"framing": checked}

    def _own_newline(self, newline: object) -> tuple[bytes, dict[str, object]]:
        __tracebackhide__ = True
        if newline is None:
            return self._newline, {}
        checked = checked_bytes("newline", newline)
        return checked, {"newline": checked}


def decided(step: Undecided, received: object) -> Step:
    """The step that an undecided one turns out to be.

    :param received: what the last expectation of its connection received.
    """
    arguments = [
        argument.value(received) if isinstance(argument, Late) else argument
        for argument in step.arguments
    ]
    declaration = (
        *(step.word, step.place, step.arguments, step.options),
        *(step.limit, step.optional),
    )
    return step.build(declaration, *arguments)


def _set(options: dict[str, object], name: str, value: Any, default: object) -> Any:
    """Note an option if the test has set it, and return it."""
    if value != default:
        options[name] = value
    return value


def _chunks(segments: tuple[bytes, ...], size: int) -> list[bytes]:
    return [each[at : at + size] for each in segments for at in range(0, len(each), size)]
