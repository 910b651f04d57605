"""Clients that say the wrong thing. Every test of this file fails."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import anyio
import pytest

from pytest_tcpclient import TcpServer


@pytest.mark.anyio
async def test_waits(tcpserver: TcpServer, record_property: Callable[[str, object], None]) -> None:
    """The client waits for an answer that does not come."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    tcpserver.send_bytes(b"Hello, client!")
    async with await anyio.connect_tcp("127.0.0.1", tcpserver.port) as stream:
        record_property("mismatch", perf_counter())
        await stream.send(b"Good morning!!")
        await stream.receive()


@pytest.mark.anyio
async def test_joins(tcpserver: TcpServer, record_property: Callable[[str, object], None]) -> None:
    """The test waits for the server."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    async with await anyio.connect_tcp("127.0.0.1", tcpserver.port) as stream:
        record_property("mismatch", perf_counter())
        await stream.send(b"Good morning!!")
        await tcpserver.join()
