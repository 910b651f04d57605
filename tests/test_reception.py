"""Who gets a connection, where two things happen at once."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from clients import connect

pytestmark = [pytest.mark.anyio, pytest.mark.tcpserver(timeout=10)]


async def test_a_connection_that_was_claimed_before_anybody_could_look_at_it(tcpserver):
    """Nobody else receives what it says."""
    tcpserver.expect_connect().expect_bytes(b"Hello")
    reception = tcpserver._reception
    tcpserver.expect_connect(first=b"x", optional=True, timeout=0.1)
    async with await connect(tcpserver) as client, await connect(tcpserver):
        with anyio.fail_after(5):
            while reception.oldest is None:
                await anyio.lowlevel.checkpoint()
        arrival = reception.oldest
        tcpserver.expect_connect()
        with anyio.fail_after(5):
            while arrival.owner is None:
                await anyio.lowlevel.checkpoint()
        await reception._receive(arrival)
        await client.send(b"Hello")
        await tcpserver.join()
    assert arrival.received == b""


async def test_ctrl_c_in_a_matcher_is_no_fault_of_it(tcpserver):
    """It ends the whole run."""

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tcpserver._reception._offer(interrupted)
    assert tcpserver.failure is None
