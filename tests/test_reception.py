"""Who gets a connection, where two things happen at once."""

from __future__ import annotations

import errno
import socket

import anyio
import anyio.lowlevel
import pytest
from clients import connect

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=10)]


async def unclaimed(reception):
    """The first connection that nobody has claimed, as soon as there is one."""
    with anyio.fail_after(5):
        while reception.oldest is None:
            await anyio.lowlevel.checkpoint()
    return reception.oldest


async def test_a_connection_that_was_claimed_before_anybody_could_look_at_it(tcpserver):
    """Nobody else receives what it says."""
    tcpserver.expect_connect().expect_bytes(b"Hello")
    reception = tcpserver._reception
    tcpserver.expect_connect(first=b"x", optional=True, timeout=0.1)
    async with await connect(tcpserver) as client, await connect(tcpserver):
        arrival = await unclaimed(reception)
        tcpserver.expect_connect()
        with anyio.fail_after(5):
            while arrival.owner is None:
                await anyio.lowlevel.checkpoint()
        await reception._receive(arrival)
        await client.send(b"Hello")
        await tcpserver.join()
    assert arrival.received == b""


async def test_a_connection_that_is_claimed_after_it_was_overheard(tcpserver):
    """What it has said is not lost."""
    tcpserver.expect_connect()
    reception = tcpserver._reception
    async with await connect(tcpserver), await connect(tcpserver) as client:
        await client.send(b"Hello")
        arrival = await unclaimed(reception)
        with anyio.fail_after(5):
            reception.overhear()
            while not arrival.received:
                await anyio.lowlevel.checkpoint()
        await client.send(b", world")
        tcpserver.expect_connect().expect_bytes(b"Hello, world")
        await tcpserver.join()
    assert arrival.received == b"Hello"


async def test_a_connection_that_is_overheard_and_then_looked_at(tcpserver):
    """There is one who receives, also when more is wanted than before."""
    tcpserver.expect_connect()
    reception = tcpserver._reception
    async with await connect(tcpserver), await connect(tcpserver) as client:
        await unclaimed(reception)
        for _ in range(2):
            reception.overhear()
            await tcpserver.settle()
        tcpserver.expect_connect(first=b"Hello").expect_bytes(b"Hello")
        for part in (b"Hel", b"lo"):
            await client.send(part)
            await tcpserver.settle()
        await tcpserver.join()


async def test_ctrl_c_in_a_matcher_is_no_fault_of_it(tcpserver):
    """It ends the whole run."""

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tcpserver._reception._offer(interrupted)
    assert tcpserver.failure is None


async def test_refusing_is_not_left_half_done(tcpserver_factory):
    """The end of a test may cancel it, and no socket goes on listening, or is left open."""
    server = await tcpserver_factory()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await server.refuse()
    for version, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
        with socket.socket(version) as probe:
            refused = probe.connect_ex((host, server.port))
        assert refused in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)  # Not every machine has ::1.


async def test_refusing_before_it_has_begun_to_accept(tcpserver_factory):
    """Nothing listens, until it is told to go on."""
    server = await tcpserver_factory(host="127.0.0.1")
    await server.refuse()
    await server.settle()
    with socket.socket() as probe:
        assert probe.connect_ex(server.address) == errno.ECONNREFUSED
    await server._reception.resume()
    server.expect_connect()
    async with await connect(server):
        pass
    await server.join()


async def test_closing_before_it_has_begun_to_accept(tcpserver_factory):
    """Nothing is left of it."""
    server = await tcpserver_factory()
    sockets = server._reception._sockets
    await server.stop_accepting()
    assert [each.fileno() for each in sockets] == [-1] * len(sockets)
