"""The same with a server by hand in an async fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from client import answer_hello, say_hello


class Server:
    """Answers hello, and says when it has done so."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = anyio.Event()

    async def serve(self, stream: SocketStream) -> None:
        await answer_hello(stream)
        self.answered.set()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        server = Server(listener.extra(SocketAttribute.local_port))
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_hello(server: Server) -> None:
    await say_hello(server.port)
    await server.answered.wait()
