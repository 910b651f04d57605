"""Blocking servers where users have them: Hypothesis, unittest, two hundred tests in a row."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
from runs import DEFAULTS, INI
from test_blocking import HEAD, run_sync

needs_hypothesis = pytest.mark.skipif(
    importlib.util.find_spec("hypothesis") is None, reason="hypothesis is not installed"
)


@needs_hypothesis
def test_a_server_for_each_example(pytester):
    """Without a fixture there is no health check to suppress."""
    source = """
from hypothesis import given, settings, strategies as st

examples = []

@settings(deadline=None, max_examples=100, database=None)
@given(data=st.binary(min_size=1))
def test_passes(data):
    with open_blocking_tcp_server() as server:
        server.expect_connect()
        server.expect_bytes(data)
        server.send_bytes(data[::-1])
        server.expect_disconnect()
        with connect(server) as client:
            client.sendall(data)
            assert client.recv(1) == data[-1:]
            rest = data[:-1]
            while rest:
                rest = rest[: -len(client.recv(4096))]
    examples.append(data)

@settings(deadline=None, max_examples=100, database=None)
@given(number=st.integers(0, 1000))
def test_fails(number):
    with open_blocking_tcp_server() as server:
        server.expect_connect()
        server.expect_bytes(b"small")
        with connect(server) as client:
            client.sendall(b"small" if number < 5 else b"large")
            server.join()

def test_all_examples():
    assert len(examples) == 100
"""
    passed, others, _ = run_sync(pytester, source, ini=DEFAULTS)
    assert passed == ["test_passes", "test_all_examples"]
    assert "Expected to read b'small' but actually read b'large'" in others["test_fails"].text
    assert "number=5" in others["test_fails"].text


UNITTEST = """
import socket, unittest
from pytest_tcpclient import open_blocking_tcp_server, open_tcp_server

class Sync(unittest.TestCase):
    def setUp(self):
        block = open_blocking_tcp_server()
        self.server = block.__enter__()
        self.addCleanup(block.__exit__, None, None, None)

    def hello(self, said):
        self.server.expect_connect()
        self.server.expect_bytes(b"Hello")
        self.server.expect_disconnect()
        with socket.create_connection(self.server.address) as client:
            client.sendall(said)
            self.server.join()

    def test_passes(self):
        self.server.expect_connect()
        self.server.expect_disconnect()
        with socket.create_connection(self.server.address):
            pass
        self.server.join()

    def test_fails(self):
        self.hello(b"World")

class Async(unittest.IsolatedAsyncioTestCase):
    async def test_passes(self):
        async with open_tcp_server() as server:
            server.expect_connect()
            server.expect_disconnect()
            with socket.create_connection(server.address):
                pass

    async def test_fails(self):
        async with open_tcp_server() as server:
            server.expect_connect()
            server.expect_bytes(b"Hello")
            with socket.create_connection(server.address) as client:
                client.sendall(b"World")
                await server.join()
"""

WRONG = "Expected to read b'Hello' but actually read b'World'"


def test_unittest_under_pytest(pytester):
    """A failure is a failure, as everywhere."""
    passed, others, _ = run_sync(pytester, UNITTEST)
    assert sorted(passed) == ["Async::test_passes", "Sync::test_passes"]
    assert sorted(others) == ["Async::test_fails", "Sync::test_fails"]
    assert {each.line for each in others.values()} == {f"Failed: {WRONG}"}
    assert {each.when for each in others.values()} == {"call"}


def test_unittest_by_itself(tmp_path):
    """It knows an AssertionError when it sees one."""
    (tmp_path / "test_it.py").write_text(UNITTEST)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest", "test_it"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Ran 4 tests" in done.stderr
    assert "FAILED (failures=2)" in done.stderr
    assert done.stderr.count(f"ScriptMismatch: {WRONG}") == 2


SET_UP = """
import asyncio, pytest, socket, unittest
from pytest_tcpclient import open_blocking_tcp_server, open_tcp_server

def ask(server, said):
    server.expect_connect()
    server.expect_bytes(b"Hello")
    server.send_bytes(b"World")
    with socket.create_connection(server.address) as client:
        client.sendall(said)
        return client.recv(5)

class Sync(unittest.TestCase):
    def setUp(self):
        block = open_blocking_tcp_server()
        self.server = block.__enter__()
        self.addCleanup(block.__exit__, None, None, None)

    def test_passes(self):
        self.assertEqual(ask(self.server, b"Hello"), b"World")

    def test_waits(self):
        ask(self.server, b"World")

    def test_raises(self):
        self.server.expect_connect()
        self.assertEqual(1, 2)

    def test_skips(self):
        self.server.expect_connect()
        self.skipTest("not today")

class Async(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        block = open_tcp_server()
        self.server = await block.__aenter__()
        self.addAsyncCleanup(block.__aexit__, None, None, None)

    async def test_passes(self):
        self.assertEqual(await asyncio.to_thread(ask, self.server, b"Hello"), b"World")

    async def test_waits(self):
        self.server.expect_connect()
        self.server.expect_bytes(b"Hello")
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b"World")
        try:
            await asyncio.sleep(20)
        finally:
            writer.close()

    async def test_raises(self):
        self.server.expect_connect()
        self.assertEqual(1, 2)

class Mixed(unittest.IsolatedAsyncioTestCase):
    setUp = Sync.setUp

    async def test_passes(self):
        self.assertEqual(ask(self.server, b"Hello"), b"World")

    async def test_waits(self):
        ask(self.server, b"World")

class WithFixture(unittest.TestCase):
    setUp = Sync.setUp

    @pytest.fixture(autouse=True)
    def other(self, blocking_tcpserver):
        self.other = blocking_tcpserver

    def test_passes(self):
        for server in (self.server, self.other):
            self.assertEqual(ask(server, b"Hello"), b"World")

    def test_waits(self):
        ask(self.server, b"World")

    def test_waits_for_other(self):
        ask(self.other, b"World")

class WithoutServer(unittest.IsolatedAsyncioTestCase):
    def test_sync(self):
        pass

    async def test_async(self):
        pass
"""


def test_the_first_server_that_unittest_sets_up(pytester):
    """Before that nothing of it is loaded."""
    source = SET_UP.partition("class Async")[0]
    source = re.sub("from pytest_tcpclient import .*", "import pytest_tcpclient", source)
    source = source.replace("open_blocking_tcp", "pytest_tcpclient.open_blocking_tcp")
    pytester.makepyfile(source)
    pytester.makeini(INI)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", "waits")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Failed: Expected to read b'Hello' but actually read b'World'"])


def test_servers_that_unittest_sets_up(pytester):
    """Its setup is a part of the test: the server's reason is that of the test itself."""
    passed, others, _ = run_sync(pytester, SET_UP)
    assert sorted(passed) == [
        *("Async::test_passes", "Mixed::test_passes", "Sync::test_passes"),
        *("WithFixture::test_passes", "WithoutServer::test_async", "WithoutServer::test_sync"),
    ]
    lines = {name: (each.when, each.line) for name, each in others.items()}
    assert lines == {
        "Sync::test_waits": ("call", f"Failed: {WRONG}"),
        "Sync::test_raises": ("call", "AssertionError: 1 != 2"),
        "Sync::test_skips": ("call", ""),
        "Async::test_waits": ("call", f"Failed: {WRONG}"),
        "Async::test_raises": ("call", "AssertionError: 1 != 2"),
        "Mixed::test_waits": ("call", f"Failed: {WRONG}"),
        "WithFixture::test_waits": ("call", f"Failed: {WRONG}"),
        "WithFixture::test_waits_for_other": ("call", f"Failed: {WRONG}"),
    }
    assert others["Sync::test_waits"].at == "return client.recv(5)"
    assert others["Async::test_waits"].at == "await asyncio.sleep(20)"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are listed in /proc")
def test_nothing_is_left(pytester):
    """After 200 tests there is one thread more, and its own descriptors; however they ended."""
    source = """
import os

def descriptors():
    return len(os.listdir("/proc/self/fd"))

counts = {}

def test_first(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    with connect(blocking_tcpserver):
        pass

def test_count_before():
    counts["threads"] = threading.active_count()
    counts["descriptors"] = descriptors()

@pytest.mark.parametrize("number", range(200))
def test_it(blocking_tcpserver, blocking_tcpserver_factory, number):
    server = blocking_tcpserver if number % 2 else blocking_tcpserver_factory()
    server.expect_connect()
    server.expect_bytes(b"x")
    client = connect(server)
    if number % 20:
        client.sendall(b"x")
        server.join()
    elif number % 40:
        client.sendall(b"y")
    client.close()

def test_count_after():
    assert threading.active_count() == counts["threads"]
    assert descriptors() == counts["descriptors"]
"""
    # In a process of its own: others may end threads of theirs meanwhile.
    pytester.makeini(INI)
    pytester.makepyfile(HEAD + source)
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=193, failed=10)
    result.stdout.no_fnmatch_line("FAILED *::test_count*")
