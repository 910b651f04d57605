"""A sync test with ``blocking_tcpserver``."""

from __future__ import annotations

import socket

from pytest_tcpclient import BlockingTcpServer


def test_hello(blocking_tcpserver: BlockingTcpServer) -> None:
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_bytes(b"Hello, server!")
    blocking_tcpserver.send_bytes(b"Hello, client!")
    blocking_tcpserver.expect_disconnect()
    with socket.create_connection(blocking_tcpserver.address) as client:
        client.sendall(b"Hello, server!")
        assert client.recv(14, socket.MSG_WAITALL) == b"Hello, client!"
    blocking_tcpserver.join()
