"""Real clients that speak TLS: of anyio, of the event loop itself, and of ssl in a thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import anyio
import sniffio
import trio
from anyio import to_thread
from anyio.streams.tls import TLSStream

from pytest_tcpclient import TcpServer


class AnyioClient:
    """``anyio.connect_tcp``."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @classmethod
    async def connect(cls, server: TcpServer, context: ssl.SSLContext) -> AnyioClient:
        return cls(
            await anyio.connect_tcp(
                "localhost", server.port, ssl_context=context, tls_hostname="localhost"
            )
        )

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def receive(self) -> bytes:
        try:
            return await self.stream.receive()
        except anyio.EndOfStream:
            return b""

    async def close(self) -> None:
        """Say goodbye, wait for the answer, and close."""
        await self.stream.aclose()

    async def cut(self) -> None:
        """Close the socket, and tell TLS nothing."""
        await self.stream.transport_stream.aclose()


class TrioClient:
    """``trio.open_ssl_over_tcp_stream``."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @classmethod
    async def connect(cls, server: TcpServer, context: ssl.SSLContext) -> TrioClient:
        stream = await trio.open_ssl_over_tcp_stream("localhost", server.port, ssl_context=context)
        try:
            await stream.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(stream)
            raise error.__cause__ or error from None
        return cls(stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def receive(self) -> bytes:
        return await self.stream.receive_some()

    async def close(self) -> None:
        await self.stream.aclose()

    async def cut(self) -> None:
        await self.stream.transport_stream.aclose()


class AsyncioClient:
    """``asyncio.open_connection``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, server: TcpServer, context: ssl.SSLContext) -> AsyncioClient:
        return cls(*await asyncio.open_connection("localhost", server.port, ssl=context))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> bytes:
        return await self.reader.read(65536)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def cut(self) -> None:
        self.writer.transport.abort()


class BlockingClient:
    """The ssl module, in a thread."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock

    @classmethod
    async def connect(cls, server: TcpServer, context: ssl.SSLContext) -> BlockingClient:
        def connect() -> BlockingClient:
            sock = socket.create_connection(("localhost", server.port), timeout=5)
            try:
                return cls(context.wrap_socket(sock, server_hostname="localhost"))
            except BaseException:
                sock.close()
                raise

        return await to_thread.run_sync(connect)

    async def send(self, data: bytes) -> None:
        await to_thread.run_sync(self.sock.sendall, data)

    async def receive(self) -> bytes:
        return await to_thread.run_sync(self.sock.recv, 65536)

    async def close(self) -> None:
        def close() -> None:
            self.sock.unwrap().close()

        await to_thread.run_sync(close)

    async def cut(self) -> None:
        self.sock.close()


async def native(server: TcpServer, context: ssl.SSLContext) -> Any:
    """The client that the event loop itself has."""
    kind: Any = TrioClient if sniffio.current_async_library() == "trio" else AsyncioClient
    return await kind.connect(server, context)


CLIENTS = {"anyio": AnyioClient.connect, "native": native, "blocking": BlockingClient.connect}


async def start_tls(stream: Any, context: ssl.SSLContext) -> AnyioClient:
    """Go on encrypted, on the client's side of a stream."""
    return AnyioClient(await TLSStream.wrap(stream, hostname="localhost", ssl_context=context))


def reckless() -> ssl.SSLContext:
    """A context of a client that trusts everybody."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
