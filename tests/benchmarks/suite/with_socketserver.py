"""The same with ``socketserver`` in a thread, by hand."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest


class Hello(socketserver.BaseRequestHandler):
    """Answers once, and waits for the client to close."""

    def handle(self) -> None:
        self.server.received = self.request.recv(14, socket.MSG_WAITALL)  # type: ignore[attr-defined]
        self.request.sendall(b"Hello, client!")
        self.request.recv(1)


@pytest.fixture
def server() -> Iterator[socketserver.TCPServer]:
    with socketserver.TCPServer(("127.0.0.1", 0), Hello) as server:
        # So that its shutdown() does not wait for half a second.
        thread = threading.Thread(target=server.serve_forever, args=(0.0001,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_hello(server: socketserver.TCPServer) -> None:
    with socket.create_connection(server.server_address[:2]) as client:
        client.sendall(b"Hello, server!")
        assert client.recv(14, socket.MSG_WAITALL) == b"Hello, client!"
    assert server.received == b"Hello, server!"  # type: ignore[attr-defined]
