"""A client that is a program of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import socket, sys

with socket.create_connection(("localhost", int(sys.argv[1]))) as connection:
    connection.sendall(b"time?\\n")
    print(connection.recv(100).decode())
"""


@pytest.mark.tcpserver(timeout=20)  # A program takes its time to begin.
def test_time(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_line(b"time?")
    blocking_tcpserver.send_bytes(b"12:30")
    blocking_tcpserver.expect_disconnect()

    command = [sys.executable, "-c", PROGRAM, str(blocking_tcpserver.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        blocking_tcpserver.join()  # If it raises, the program is woken: Popen waits for it.
        assert client.stdout.read() == "12:30\n"
