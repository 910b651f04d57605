"""Clients that block: of Redis, MQTT, HTTP and SMTP; in threads and in processes of their own."""

from __future__ import annotations

import http.client
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import anyio
import anyio.to_thread
import pytest
from test_mqtt import CONNACK, CONNECT, DISCONNECT, PUBLISH, Packet, Packets
from test_resp import Commands, says_what_it_is

from pytest_tcpclient import BlockingTcpServer, ScriptMismatch, TcpServer, frame

FAST = 3.0


def failure_of(server: BlockingTcpServer) -> str:
    """The first line with which ``join()`` fails, which it does soon."""
    began = time.monotonic()
    with pytest.raises(ScriptMismatch) as caught:
        server.join()
    assert time.monotonic() - began < FAST
    return str(caught.value).partition("\n")[0]


# redis-py

redis_server = pytest.mark.tcpserver(framing=Commands())


def redis_client(server: BlockingTcpServer, retry: Any = None) -> Any:
    """A client of redis-py. What it says of itself does not matter."""
    redis = pytest.importorskip("redis")
    server.whenever(frame(says_what_it_is), b"+OK\r\n")
    return redis.Redis(host="localhost", port=server.port, protocol=2, retry=retry)


@redis_server
def test_redis(blocking_tcpserver: BlockingTcpServer) -> None:
    """Commands are lists, as in the async tests."""
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_frame([b"SET", b"colour", b"blue"])
    blocking_tcpserver.send_bytes(b"+OK\r\n")
    blocking_tcpserver.expect_frame([b"GET", b"colour"])
    blocking_tcpserver.send_bytes(b"$4\r\nblue\r\n")
    blocking_tcpserver.expect_disconnect()

    with redis_client(blocking_tcpserver) as client:
        client.set("colour", "blue")
        assert client.get("colour") == b"blue"


@redis_server
def test_redis_reconnects(blocking_tcpserver: BlockingTcpServer) -> None:
    """It was told to, and asks once more."""
    backoff = pytest.importorskip("redis.backoff")
    retry = pytest.importorskip("redis.retry").Retry(backoff.ConstantBackoff(0.01), 3)
    for drop in (True, False):
        blocking_tcpserver.expect_connect()
        blocking_tcpserver.expect_frame([b"GET", b"colour"])
        if drop:
            blocking_tcpserver.send_reset()
    blocking_tcpserver.send_bytes(b"$4\r\nblue\r\n")
    blocking_tcpserver.expect_disconnect()

    with redis_client(blocking_tcpserver, retry) as client:
        assert client.get("colour") == b"blue"


@redis_server
def test_redis_asks_for_something_else(blocking_tcpserver: BlockingTcpServer) -> None:
    """It is woken, and the server says what it asked for."""
    redis = pytest.importorskip("redis")
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_frame([b"GET", b"colour"])
    blocking_tcpserver.send_bytes(b"$4\r\nblue\r\n")

    with redis_client(blocking_tcpserver) as client, pytest.raises(redis.RedisError):
        client.get("color")

    assert failure_of(blocking_tcpserver) == (
        "Expected to get frame [b'GET', b'colour'] but actually got frame [b'GET', b'color']"
    )


@redis_server
def test_redis_as_it_comes(blocking_tcpserver: BlockingTcpServer) -> None:
    """It tries again, and waits longer each time, but is told what is wrong when it does."""
    redis = pytest.importorskip("redis")
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_frame([b"GET", b"colour"])

    line = r"^Expected to get frame \[b'GET', b'colour'\] but actually got frame"
    began = time.monotonic()
    with pytest.raises(ScriptMismatch, match=line):
        redis.Redis(host="localhost", port=blocking_tcpserver.port).get("color")
    assert time.monotonic() - began < FAST
    failure_of(blocking_tcpserver)


# paho-mqtt, which has a thread of its own

mqtt_server = pytest.mark.tcpserver(framing=Packets())


def mqtt_client() -> Any:
    """A client that runs in its own thread when it has connected."""
    mqtt = pytest.importorskip("paho.mqtt.client")
    return mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="test")


def is_connect(packet: Packet) -> bool:
    """Whether the client introduces itself."""
    return packet.kind == CONNECT


@mqtt_server
def test_mqtt(blocking_tcpserver: BlockingTcpServer) -> None:
    """It publishes from its thread."""
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_frame(is_connect)
    blocking_tcpserver.send_frame(Packet(CONNACK, b"\0\0"))
    blocking_tcpserver.expect_frame(Packet(PUBLISH, b"\0\3teahot"))
    blocking_tcpserver.expect_frame(Packet(DISCONNECT))
    blocking_tcpserver.expect_disconnect(clean=False)

    client = mqtt_client()
    client.connect("localhost", blocking_tcpserver.port)
    client.loop_start()
    client.publish("tea", "hot").wait_for_publish(10)
    client.disconnect()
    blocking_tcpserver.join()
    client.loop_stop()


@mqtt_server
def test_mqtt_publishes_something_else(blocking_tcpserver: BlockingTcpServer) -> None:
    """The test fails, in whichever thread that happened."""
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_frame(is_connect)
    blocking_tcpserver.send_frame(Packet(CONNACK, b"\0\0"))
    blocking_tcpserver.expect_frame(Packet(PUBLISH, b"\0\3teahot"))

    client = mqtt_client()
    client.connect("localhost", blocking_tcpserver.port)
    client.loop_start()
    client.publish("tea", "cold")
    first_line = failure_of(blocking_tcpserver)
    client.disconnect()
    client.loop_stop()
    assert first_line == (
        r"Expected to get frame Packet(kind=48, body=b'\x00\x03teahot') but actually got frame "
        r"Packet(kind=48, body=b'\x00\x03teacold')"
    )


# HTTP, with what Python has


def response(body: bytes) -> bytes:
    """A response after which the connection is of no use any more."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def test_urllib(blocking_tcpserver: BlockingTcpServer) -> None:
    """A page is asked for, and got."""
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_until(b"\r\n\r\n", lambda head: head.startswith(b"GET /notes "))
    blocking_tcpserver.send_bytes(response(b"buy milk"))
    blocking_tcpserver.expect_disconnect()

    with urllib.request.urlopen(blocking_tcpserver.url("http") + "/notes") as page:
        assert page.read() == b"buy milk"


@pytest.mark.tcpserver(timeout=0.3)
def test_urllib_does_not_ask(blocking_tcpserver: BlockingTcpServer) -> None:
    """It was sent elsewhere."""
    blocking_tcpserver.expect_connect()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(url)
    assert failure_of(blocking_tcpserver) == "Timed out waiting for client to connect."


class UnixConnection(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


@pytest.mark.tcpserver(path=True)
def test_http_on_a_unix_socket(blocking_tcpserver: BlockingTcpServer) -> None:
    """As a daemon is asked that listens on one."""
    blocking_tcpserver.expect_connect()
    blocking_tcpserver.expect_until(b"\r\n\r\n")
    blocking_tcpserver.send_bytes(response(b"pong"))
    blocking_tcpserver.expect_disconnect()

    client = UnixConnection(blocking_tcpserver.path)
    client.request("GET", "/_ping")
    assert client.getresponse().read() == b"pong"
    client.close()


# smtplib

smtp_server = pytest.mark.tcpserver(newline=b"\r\n")


def greet(server: BlockingTcpServer) -> None:
    """The beginning of a session."""
    server.expect_connect()
    server.send_line(b"220 mail.example.com ESMTP")
    server.expect_line(lambda line: line.lower().startswith(b"ehlo "))
    server.send_bytes(b"250-mail.example.com\r\n250 STARTTLS\r\n")


def say_goodbye(server: BlockingTcpServer) -> None:
    """The end of one. (ssl.SSLSocket.close() sends no close_notify.)"""
    server.expect_line(lambda line: line.lower() == b"quit")
    server.send_line(b"221 Bye")
    server.expect_disconnect(clean=False)


@smtp_server
def test_smtp(blocking_tcpserver: BlockingTcpServer) -> None:
    """A dialogue in lines."""
    greet(blocking_tcpserver)
    blocking_tcpserver.expect_line(b"noop")
    blocking_tcpserver.send_line(b"250 OK")
    say_goodbye(blocking_tcpserver)

    with smtplib.SMTP("localhost", blocking_tcpserver.port, timeout=10) as client:
        client.ehlo()
        assert client.noop() == (250, b"OK")


@smtp_server
def test_smtp_starttls(blocking_tcpserver: BlockingTcpServer) -> None:
    """It goes on encrypted in the middle of it."""
    pytest.importorskip("trustme")
    greet(blocking_tcpserver)
    blocking_tcpserver.expect_line(b"STARTTLS")
    blocking_tcpserver.send_line(b"220 Go ahead")
    blocking_tcpserver.start_tls()
    say_goodbye(blocking_tcpserver)

    with smtplib.SMTP("localhost", blocking_tcpserver.port, timeout=10) as client:
        client.starttls(context=blocking_tcpserver.client_ssl_context())


@smtp_server
def test_smtp_says_something_else(blocking_tcpserver: BlockingTcpServer) -> None:
    """What it said is in the first line."""
    greet(blocking_tcpserver)
    blocking_tcpserver.expect_line(b"rset")

    client = smtplib.SMTP("localhost", blocking_tcpserver.port, timeout=10)
    client.ehlo()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()
    client.close()
    assert failure_of(blocking_tcpserver) == (
        "Expected to get line b'rset' but actually got line b'noop'"
    )


# Other threads and processes

PROGRAM = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as client:
    client.sendall(sys.argv[2].encode())
    print(client.recv(100).decode())
"""


def command(server: BlockingTcpServer | TcpServer, said: str) -> list[str]:
    """How to run a client in a process of its own."""
    return [sys.executable, "-c", PROGRAM, str(server.port), said]


def test_a_process(blocking_tcpserver: BlockingTcpServer) -> None:
    """It is told the port, and nothing else."""
    blocking_tcpserver.expect_connect(timeout=30)
    blocking_tcpserver.expect_bytes(b"Hello")
    blocking_tcpserver.send_bytes(b"World")
    blocking_tcpserver.expect_disconnect()

    done = subprocess.run(
        command(blocking_tcpserver, "Hello"), capture_output=True, text=True, check=True
    )
    assert done.stdout == "World\n"


def test_a_process_that_says_something_else(blocking_tcpserver: BlockingTcpServer) -> None:
    """It is woken by the reset, and ends."""
    blocking_tcpserver.expect_connect(timeout=30)
    blocking_tcpserver.expect_bytes(b"Hello")

    done = subprocess.run(
        command(blocking_tcpserver, "World"), capture_output=True, text=True, check=False
    )
    assert "ConnectionResetError" in done.stderr
    assert failure_of(blocking_tcpserver) == (
        "Expected to read b'Hello' but actually read b'World'"
    )


@pytest.mark.anyio
async def test_a_process_of_an_async_test(tcpserver: TcpServer) -> None:
    """The event loop goes on while it runs."""
    tcpserver.expect_connect(timeout=30)
    tcpserver.expect_bytes(b"Hello")
    tcpserver.send_bytes(b"World")
    tcpserver.expect_disconnect()

    done = await anyio.run_process(command(tcpserver, "Hello"))
    assert done.stdout == b"World\n"
    await tcpserver.join()


def hello(address: tuple[str, int], said: bytes) -> bytes:
    """A blocking client."""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(said)
        return client.recv(100)


@pytest.mark.anyio
async def test_a_thread_of_an_async_test(
    tcpserver: TcpServer, blocking_tcpserver: BlockingTcpServer
) -> None:
    """It does not matter which of the two servers it is."""
    servers: list[TcpServer | BlockingTcpServer] = [tcpserver, blocking_tcpserver]
    for server in servers:
        server.expect_connect()
        server.expect_bytes(b"Hello")
        server.send_bytes(b"World")
        server.expect_disconnect()
        assert await anyio.to_thread.run_sync(hello, server.address, b"Hello") == b"World"
    blocking_tcpserver.join()
    await tcpserver.join()


@pytest.mark.anyio
async def test_a_thread_that_says_something_else(tcpserver: TcpServer) -> None:
    """It is woken, too."""
    tcpserver.expect_connect()
    tcpserver.expect_bytes(b"Hello")
    with pytest.raises(ConnectionResetError):
        await anyio.to_thread.run_sync(hello, tcpserver.address, b"World")
    with pytest.raises(ScriptMismatch, match=r"^Expected to read b'Hello' but actually read b'W"):
        await tcpserver.join()
