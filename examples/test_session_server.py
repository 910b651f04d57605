"""One server for the whole session, where the program under test is told its port only once."""

import socket

import pytest

from pytest_tcpclient import open_blocking_tcp_server


class Counter:
    """The program under test."""

    def __init__(self, address):
        self.address = address

    def count(self, what):
        """Count something, on a server."""
        with socket.create_connection(self.address) as connection:
            connection.sendall(what + b"\n")
            return int(connection.recv(100))


@pytest.fixture(scope="session")
def server():
    with open_blocking_tcp_server() as server:
        yield server


@pytest.fixture(scope="session")
def counter(server):
    return Counter(server.address)


@pytest.mark.parametrize("what", [b"apples", b"pears"])
def test_count(server, counter, what):
    with server.script() as script:  # Begins empty, and ends with join() and all the checks.
        script.expect_connect()
        script.expect_line(what)
        script.send_line(b"5")
        script.expect_disconnect()

        assert counter.count(what) == 5
