"""The conversation with the ``tcpserver`` fixture."""

from __future__ import annotations

import pytest
from client import say_hello

from pytest_tcpclient import TcpServer


@pytest.mark.anyio
async def test_hello(tcpserver: TcpServer) -> None:
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello, server!")
    tcpserver.send_bytes(b"Hello, client!")
    tcpserver.expect_disconnect()
    await say_hello(tcpserver.port)
    await tcpserver.join()
