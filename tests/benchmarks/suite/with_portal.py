"""The same by hand on anyio, in an event loop in a thread that all tests share."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.from_thread import BlockingPortal, start_blocking_portal
from client import answer_hello


@pytest.fixture(scope="session")
def portal(anyio_backend: str) -> Iterator[BlockingPortal]:
    with start_blocking_portal(anyio_backend) as portal:
        yield portal


@asynccontextmanager
async def serve() -> AsyncIterator[int]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer_hello)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.fixture
def port(portal: BlockingPortal) -> Iterator[int]:
    with portal.wrap_async_context_manager(serve()) as port:
        yield port


def test_hello(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"Hello, server!")
        assert client.recv(14, socket.MSG_WAITALL) == b"Hello, client!"
