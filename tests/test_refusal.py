"""Clients that connect to a server that has failed, in the thread of a sync test."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from pytest_tcpclient import ScriptMismatch
from pytest_tcpclient._location import leads_to, locations
from pytest_tcpclient._refusal import Refusal

#: Where this machine can be reached from others.
LAN = "192.0.2.1"


class Often(BaseException):
    """What a client is told that has been told before."""


@contextlib.contextmanager
def listening():
    """A socket to which one can connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextlib.contextmanager
def refused(listener):
    """While it lasts, whoever connects there from this thread is told why not."""
    where = locations([listener.getsockname()])
    refusal = Refusal(
        threading.get_ident(),
        where,
        lambda often: Often("still wrong") if often else ScriptMismatch("wrong"),
    )
    refusal.start()
    try:
        yield
    finally:
        refusal.stop()


def test_who_connects_is_told():
    """And his socket is closed: hardly anybody does that after an error that he does not know."""
    with listening() as listener, refused(listener), socket.socket() as client:
        for _ in range(2):
            with pytest.raises(ScriptMismatch, match=r"^wrong$"):
                client.connect(listener.getsockname())
        assert client.fileno() == -1
    assert "connect" not in vars(socket.socket)


def test_who_goes_on_is_told_otherwise():
    """From the third time on, by whatever function it connects."""
    with listening() as listener, refused(listener):
        for told in (ScriptMismatch, ScriptMismatch, Often, Often):
            with pytest.raises(told):
                socket.create_connection(("localhost", listener.getsockname()[1]))


def test_others_connect():
    """From other threads, and to others; and everybody afterwards."""
    addresses = []

    def connect(listener):
        with socket.create_connection(listener.getsockname()) as client:
            addresses.append(client.getpeername())

    with listening() as one, listening() as other:
        with refused(one):
            connect(other)
            thread = threading.Thread(target=connect, args=(one,))
            thread.start()
            thread.join()
            with socket.socket() as client, pytest.raises(TypeError):
                client.connect("nowhere")
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.connect(one.getsockname())
        connect(one)
        assert addresses == [other.getsockname(), one.getsockname(), one.getsockname()]


def test_there_may_be_nothing_to_be_told_any_more():
    """The test has caught the failure, say."""
    with listening() as listener:
        where = locations([listener.getsockname()])
        refusal = Refusal(threading.get_ident(), where, lambda often: None)
        refusal.start()
        with socket.create_connection(listener.getsockname()) as client:
            assert client.getpeername() == listener.getsockname()
        refusal.stop()


@pytest.mark.parametrize(
    ("name", "leading", "astray"),
    [
        (
            ("127.0.0.1", 80),
            [("127.0.0.1", 80), ("localhost", 80), ("::ffff:127.0.0.1", 80, 0, 0)],
            [
                ("127.0.0.1", 81),
                ("127.0.0.2", 80),
                ("::1", 80, 0, 0),
                "127.0.0.1",
                bytearray(b"path"),
            ],
        ),
        (("::1", 80, 0, 0), [("::1", 80), ("::1", 80, 0, 0), ("localhost", 80)], [("::2", 80)]),
        (
            ("0.0.0.0", 80),
            [("127.0.0.1", 80), ("127.0.0.2", 80), ("192.0.2.1", 80), ("::ffff:127.0.0.1", 80)],
            [("127.0.0.1", 81), ("192.0.2.2", 80), ("::1", 80, 0, 0)],
        ),
        (("::", 80, 0, 0), [("::1", 80, 0, 0)], [("::1", 81), ("127.0.0.1", 80), ("::2", 80)]),
        (("127.0.0.1", 80), [], [(0, 80), (16, 0, 0, 0), ("127.0.0.1",), None]),
        ("/run/redis", ["/run/redis"], ["/run/other", ("/run/redis", 80), ""]),
    ],
)
def test_which_addresses_lead_to_a_socket(name, leading, astray):
    """By what the socket itself says of where it is."""
    where = locations([name])
    assert [leads_to(each, where, LAN) for each in leading] == [True] * len(leading)
    assert [leads_to(each, where, LAN) for each in astray] == [False] * len(astray)
