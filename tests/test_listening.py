"""On which addresses and ports a server listens."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from pytest_tcpclient import _listening
from pytest_tcpclient._listening import TRIES, listen

Bind = Callable[[str, int], socket.socket]


@contextmanager
def listening(host: str | None = None, port: int = 0) -> Iterator[list[tuple[str, int]]]:
    """The addresses on which it listens, for as long as the block lasts."""
    sockets = listen(host, port)
    try:
        yield [each.getsockname()[:2] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What has been bound, in order. It goes on to be bound for real."""
    calls: list[tuple[str, int]] = []
    real: Bind = _listening._listening

    def recorded(host: str, port: int) -> socket.socket:
        bound = real(host, port)
        calls.append(bound.getsockname()[:2])
        return bound

    monkeypatch.setattr(_listening, "_listening", recorded)
    return calls


@pytest.fixture
def take_twins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[int]]]:
    """Lets somebody else be quicker to bind ::1, so many times. Returns the ports, in order."""
    inner: Bind = _listening._listening
    sockets: list[socket.socket] = []

    def take(count: int) -> list[int]:
        taken: list[int] = []

        def slow(host: str, port: int) -> socket.socket:
            if host == "::1" and len(taken) < count:
                taken.append(port)
                # Perhaps another process is quicker still, and perhaps for a moment only.
                sockets.append(inner(host, port))
            return inner(host, port)

        monkeypatch.setattr(_listening, "_listening", slow)
        return taken

    yield take
    for each in sockets:
        each.close()


@pytest.mark.parametrize("host", [None, "localhost"])
def test_both_loopbacks_have_the_same_port(host: str | None) -> None:
    """So that localhost reaches it, whichever address a client tries first."""
    with listening(host) as [(first, port), (second, twin)]:
        assert (first, second) == ("127.0.0.1", "::1")
        assert port == twin


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_one_address_is_one_socket(host: str) -> None:
    """An address means itself: "::" does not stand for 0.0.0.0 as well."""
    family, twin = (socket.AF_INET, "127.0.0.1") if ":" in host else (socket.AF_INET6, "::1")
    for attempt in range(TRIES):  # Another process may have the twin of one port, not of all.
        with listening(host) as [(address, port)], socket.socket(family) as other:
            assert address == host
            try:
                other.bind((twin, port))
            except OSError:
                assert attempt < TRIES - 1
            else:
                break


def test_a_port_whose_twin_is_taken_is_exchanged_for_another(
    bound: list[tuple[str, int]], take_twins: Callable[[int], list[int]]
) -> None:
    """Nobody else may answer on the same port of localhost."""
    taken = take_twins(3)
    with listening() as addresses:
        assert addresses == bound[-2:]
        tried = [port for host, port in bound if host == "127.0.0.1"]
        assert tried[:3] == taken
        assert tried[-1] == addresses[-1][1] not in taken


def test_twins_that_are_always_taken_are_an_error(take_twins: Callable[[int], list[int]]) -> None:
    """It does not try for ever."""
    taken = take_twins(TRIES)
    with pytest.raises(OSError, match=r"^\[Errno \d+\] cannot listen on ::1 port \d+: ") as caught:
        listen(None, 0)
    assert caught.value.errno == errno.EADDRINUSE
    assert len(taken) == TRIES


def take_a_twin() -> tuple[socket.socket, int]:
    """A socket that has ::1 of a port of which 127.0.0.1 is free, and the port."""
    while True:
        taken = socket.socket(socket.AF_INET6)
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            try:
                taken.bind(("::1", port))
            except OSError:  # Another process has it.
                taken.close()
            else:
                return taken, port


def test_a_chosen_port_whose_twin_is_taken_is_an_error_at_once(
    bound: list[tuple[str, int]],
) -> None:
    """There is no other port to try."""
    taken, port = take_a_twin()
    words = rf"^\[Errno \d+\] cannot listen on ::1 port {port}: "
    with taken, pytest.raises(OSError, match=words):
        listen(None, port)
    assert bound == [("127.0.0.1", port)]


def test_without_ipv6_it_listens_on_127_0_0_1_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every machine has ::1."""
    inner: Bind = _listening._listening

    def without(host: str, port: int) -> socket.socket:
        # The address of a network that is for documentation: no machine has it.
        return inner("2001:db8::1" if host == "::1" else host, port)

    monkeypatch.setattr(_listening, "_listening", without)
    with listening() as [(address, _)]:
        assert address == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_an_ip_version_that_there_is_not_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket cannot even be made."""
    monkeypatch.setattr(socket, "AF_INET6", 12345)
    with pytest.raises(OSError, match=r"^\[Errno \d+\] cannot listen on ::1 port 0: "):
        listen("::1", 0)


def test_an_address_that_is_not_here_is_an_error() -> None:
    """It is named, and the reason of the system stands behind it."""
    with pytest.raises(
        OSError, match=r"^\[Errno \d+\] cannot listen on 192\.0\.2\.1 port 0: "
    ) as caught:
        listen("192.0.2.1", 0)
    assert caught.value.errno == errno.EADDRNOTAVAIL
