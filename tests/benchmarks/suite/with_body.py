"""The same with a server by hand in the body of the test."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from client import answer_hello, say_hello


@pytest.mark.anyio
async def test_hello() -> None:
    answered = anyio.Event()

    async def serve(stream: SocketStream) -> None:
        await answer_hello(stream)
        answered.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        await say_hello(listener.extra(SocketAttribute.local_port))
        await answered.wait()
        tasks.cancel_scope.cancel()
