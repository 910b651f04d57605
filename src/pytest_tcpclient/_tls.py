"""A stream that speaks TLS to the client.

The ssl module does TLS in memory; here it is given what the client has sent, and what it
wants to say is sent. anyio's own stream of this kind cannot finish sending and go on receiving,
and it does not tell a connection that was cut from one that was reset.

Law: an error of TLS is a :class:`TlsError`, which has OpenSSL's word for the reason; an error
of the connection is anyio's, as of any other stream.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import SocketStream

from ._tls_setting import SSLContext

#: The first byte of a handshake (RFC 8446, 5.1: ContentType). Text does not begin with it.
_HANDSHAKE = 0x16

#: The most that is in one record (RFC 8446, 5.1), so that more is never decrypted at once.
_RECORD = 16 * 1024

_GONE = (BrokenResourceError, ClosedResourceError, OSError)


class TlsError(Exception):
    """TLS has failed.

    :ivar reason: why, in OpenSSL's words, in lower case: ``tlsv1 alert unknown ca``.
    :ivar detail: what is wrong with the client's certificate.
    :ivar received: what the client has sent instead of a handshake.
    """

    def __init__(self, reason: str, detail: str = "", received: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.received = received


class CutOff(EndOfStream):
    """The connection has ended, and the client had not said that it would (close_notify)."""


class TlsStream(SocketStream):
    """TLS on top of a stream of a server.

    One task at a time receives; another one may send meanwhile.
    """

    def __init__(self, stream: SocketStream, context: SSLContext) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl_object: ssl.SSLObject = context.wrap_bio(self._incoming, self._outgoing, True)
        self._handshaking = anyio.Lock()
        self._sending = anyio.Lock(fast_acquire=True)
        #: Whether the handshake is done.
        self.ready = False
        self._begun = False
        self._finished = False
        self._failed: tuple[str, str, bytes] | None = None
        self._decrypted: list[bytes] = []

    @property
    def _raw_socket(self) -> Any:
        return self._stream._raw_socket

    @property
    def _transport(self) -> Any:
        """Of asyncio: it knows when it is broken (``_transport.raise_if_broken``)."""
        return getattr(self._stream, "_transport", None)

    # The handshake

    async def handshake(self) -> None:
        """Do the handshake, unless that has been done. Any number of tasks may wait for it.

        :raises TlsError: if it fails, now or before.
        :raises anyio.EndOfStream: if the client has finished sending.
        :raises anyio.BrokenResourceError: if it has aborted the connection.
        """
        async with self._handshaking:
            while not await self.advance():
                self.feed(await self._stream.receive())

    async def shake_hands_early(self) -> None:
        """The same for a connection that nobody has claimed: who claims it learns what was."""
        with suppress(TlsError, EndOfStream, *_GONE):
            await self.handshake()

    def feed(self, data: bytes) -> None:
        """Take what the client has sent, and somebody else has received."""
        if data and not self._begun:
            self._begun = True
            if data[0] != _HANDSHAKE:
                self._failed = ("plain text", "", data)
        self._incoming.write(data)

    async def advance(self) -> bool:
        """Go as far as the handshake goes with what the client has sent.

        :return: whether it is done.
        :raises TlsError: if it fails, now or before.
        """
        if not (self.ready or self._failed):
            try:
                self.ssl_object.do_handshake()
            except ssl.SSLWantReadError:
                await self._answer()
            except ssl.SSLError as error:
                self._failed = (_reason(error), getattr(error, "verify_message", ""), b"")
                with suppress(*_GONE):
                    await self._answer()  # It is told why.
            else:
                self.ready = True
                await self._answer()
        if self._failed:
            raise TlsError(*self._failed)
        return self.ready

    # After it

    async def receive(self, max_bytes: int = _RECORD) -> bytes:
        """Receive what the client has sent, decrypted: up to 16 KiB at once.

        The handshake is done before that, if it has not been done yet.

        :raises CutOff: if the connection has ended without a close_notify.
        :raises TlsError: if what came makes no sense.
        """
        if not self.ready:
            await self.handshake()
        while True:
            data = self._decrypted.pop(0) if self._decrypted else self._decrypt(max_bytes)
            if data:
                return data
            if data is not None:
                await self._answer_goodbye()
                raise EndOfStream
            await self._flush()
            try:
                data = await self._stream.receive()
            except EndOfStream:
                raise CutOff from None
            self._incoming.write(data)

    async def send(self, item: bytes) -> None:
        """Send, encrypted."""
        try:
            self.ssl_object.write(item)
        except ssl.SSLError as error:
            raise BrokenResourceError from error
        await self._flush()

    async def send_eof(self) -> None:
        """Finish sending: close_notify, and then FIN. The client may go on sending."""
        if self.ready:
            self._say_goodbye()
        await self._flush()
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection, as it is."""
        await self._stream.aclose()

    def _decrypt(self, max_bytes: int) -> bytes | None:
        """What has arrived: nothing is the end, ``None`` that more must come first."""
        try:
            return self.ssl_object.read(min(max_bytes, _RECORD))
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise TlsError(_reason(error)) from None

    def _say_goodbye(self) -> None:
        """Write a close_notify, once."""
        if self._finished:
            return
        self._finished = True
        # OpenSSL wants to see the client's own next, and would drop other data.
        with suppress(TlsError):
            while data := self._decrypt(_RECORD):
                self._decrypted.append(data)
        with suppress(ssl.SSLError):
            self.ssl_object.unwrap()

    async def _answer(self) -> None:
        """Send a part of the handshake. Whoever receives may be told to stop, but not here.

        It is short, and the first thing that is sent: it does not have to wait for the client.
        """
        with anyio.CancelScope(shield=True):
            await self._flush()

    async def _answer_goodbye(self) -> None:
        """Say goodbye, too: a client often waits for that before it closes the connection."""
        self._say_goodbye()
        # It may have said so and not read on. Then it does not wait for this, either.
        if not self._sending.locked():
            with suppress(*_GONE):
                await self._flush()

    async def _flush(self) -> None:
        """Send what there is to send, in the order in which it was encrypted."""
        if self._outgoing.pending:
            async with self._sending:
                await self._stream.send(self._outgoing.read())


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's word for it."""
    return (error.reason or str(error)).replace("_", " ").lower()
