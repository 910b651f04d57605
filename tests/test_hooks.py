"""Hooks in the classes of others: they tell, they pass everything through, and they go."""

from __future__ import annotations

import socket
import sys
import threading
from unittest import mock

import pytest

from pytest_tcpclient import open_blocking_tcp_server
from pytest_tcpclient._hooks import Hooks


class Parent:
    """What others inherit from."""

    def greet(self, name, *, loudly=False):
        """Say hello."""
        return f"Hello, {name}{'!' if loudly else ''}"


class Child(Parent):
    """Whose methods are observed: one is its own."""

    def part(self):
        return "Goodbye"


OWN = Child.part


def see_you(self):
    """What others put there."""
    return "See you"


class Watcher:
    """Notes what it is told."""

    def __init__(self):
        self.told = []


def told(original, watchers):
    """A hook that tells what it was called with."""

    def hook(self, *args, **options):
        result = original(self, *args, **options)
        for watcher in watchers:
            watcher.told.append((args, options, result))
        return result

    return hook


def hooks():
    """A kind of hooks of its own."""
    return Hooks((Child, "greet", told), (Child, "part", told))


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Each test takes its hooks out."""
    yield
    assert "greet" not in vars(Child)
    assert vars(Child)["part"] is OWN


def test_they_tell_and_are_gone():
    """All who watch; the last one takes them with him."""
    kind = hooks()
    one, other = Watcher(), Watcher()
    kind.add(one)
    kind.add(other)
    assert Child().greet("you", loudly=True) == "Hello, you!"
    kind.remove(one)
    assert Child().part() == "Goodbye"
    assert Parent().greet("me") == "Hello, me"
    kind.remove(other)
    kind.remove(other)
    assert Child().part() == "Goodbye"
    assert one.told == [(("you",), {"loudly": True}, "Hello, you!")]
    assert other.told == [*one.told, ((), {}, "Goodbye")]


def test_they_look_like_what_they_observe():
    """Names and docstrings are the same."""
    kind, watcher = hooks(), Watcher()
    kind.add(watcher)
    assert Child.greet.__name__ == "greet"
    assert Child.greet.__doc__ == "Say hello."
    assert Child.greet.__wrapped__ is Parent.greet
    kind.remove(watcher)


def test_two_kinds_nest():
    """A pytest within pytest may have a package of its own: each puts back what it found."""
    outer, inner, watcher = hooks(), hooks(), Watcher()
    outer.add(watcher)
    found = Child.greet, Child.part
    inner.add(watcher)
    assert (Child.greet, Child.part) != found
    inner.remove(watcher)
    assert (Child.greet, Child.part) == found
    outer.remove(watcher)


def test_they_are_made_once():
    """Unless what they stand for is something else by then."""
    kind, watcher = hooks(), Watcher()
    kind.add(watcher)
    made = Child.greet, Child.part
    kind.remove(watcher)
    kind.add(watcher)
    assert (Child.greet, Child.part) == made
    kind.remove(watcher)
    with mock.patch.object(Child, "part", see_you):
        there = Child.part
        kind.add(watcher)
        assert Child.greet is made[0]
        assert Child.part.__wrapped__ is there
        kind.remove(watcher)
        assert Child.part is there


def test_what_a_class_has_itself_is_put_back():
    """Although it may be the same that it would inherit."""
    kind, watcher = hooks(), Watcher()
    kind.add(watcher)
    kind.remove(watcher)
    Child.greet = Parent.greet
    try:
        kind.add(watcher)
        kind.remove(watcher)
        assert vars(Child)["greet"] is Parent.greet
    finally:
        del Child.greet
    kind.add(watcher)
    kind.remove(watcher)
    assert "greet" not in vars(Child)


def test_others_are_on_top_of_them():
    """They cannot be taken out, and tell nobody any more; those of others stay."""
    kind = hooks()
    one, two = Watcher(), Watcher()
    kind.add(one)
    ours = Child.part

    with mock.patch.object(Child, "part", lambda self: ours(self).upper()):
        theirs = Child.part
        kind.remove(one)
        assert Child.part is theirs
        kind.add(two)
        assert Child().part() == "GOODBYE"
        assert (one.told, two.told) == ([], [((), {}, "GOODBYE")])
        kind.remove(two)
        assert Child.part is theirs
    assert Child.part is ours
    kind.add(two)
    kind.remove(two)


def test_those_that_are_put_back_do_not_pile_up():
    """As monkeypatch does, when it undoes what was done while somebody watched."""
    kind, watcher = hooks(), Watcher()
    for _ in range(sys.getrecursionlimit()):
        kind.add(watcher)
        patch = mock.patch.object(Child, "part", see_you)
        patch.start()
        kind.remove(watcher)
        patch.stop()
    assert Child.part.__wrapped__ is OWN
    assert Child().part() == "Goodbye"
    kind.add(watcher)
    kind.remove(watcher)


@pytest.mark.parametrize("stand_in", [mock.Mock(return_value=1), staticmethod(lambda: 1), 1])
def test_stand_ins_are_not_observed(stand_in):
    """They are called in other ways than methods, if at all."""
    kind, watcher = hooks(), Watcher()
    with mock.patch.object(Child, "part", stand_in):
        found = vars(Child)["part"]
        kind.add(watcher)
        assert vars(Child)["part"] is found
        assert "greet" in vars(Child)
        kind.remove(watcher)
        assert vars(Child)["part"] is found


def test_a_patch_of_sockets_is_given_what_it_was_given():
    """No more arguments than those of the call."""
    given = []
    original = socket.socket.recv

    def recv(self, size):
        given.append(size)
        return original(self, size)

    with mock.patch.object(socket.socket, "recv", recv), open_blocking_tcp_server() as server:
        server.expect_connect()
        server.send_bytes(b"Hello")
        server.expect_disconnect()
        with socket.create_connection(server.address) as client:
            assert client.recv(5) == b"Hello"
    assert 5 in given


def test_threads():
    """Whoever comes and goes at the same time, nothing is left."""
    kind = hooks()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def watch():
        watcher = Watcher()
        for _ in range(500):
            kind.add(watcher)
            kind.remove(watcher)

    threads = [threading.Thread(target=watch) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert kind.watchers == []


def test_one_thread_after_the_other():
    """Whoever comes while the hooks are put in waits until they are."""
    entered, go_on = threading.Event(), threading.Event()
    put = []

    class Slow(Hooks):
        def _put(self, owner, name, make):
            put.append(name)
            entered.set()
            assert go_on.wait(20)
            super()._put(owner, name, make)

    kind, one, other = Slow(*hooks().places), Watcher(), Watcher()
    first = threading.Thread(target=kind.add, args=(one,))
    first.start()
    assert entered.wait(20)
    second = threading.Thread(target=kind.add, args=(other,))
    second.start()
    second.join(0.1)
    assert kind.watchers == []
    go_on.set()
    first.join()
    second.join()
    assert kind.watchers == [one, other]
    assert put == ["greet", "part"]
    kind.remove(one)
    kind.remove(other)
