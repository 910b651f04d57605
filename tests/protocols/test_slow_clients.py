"""Clients that do not notice, or do not mind, that their connection is gone: the test ends."""

from __future__ import annotations

import pytest
from runs import RUNNERS, run

MQTT = r"""
from test_mqtt import Packet, Packets, aiomqtt, expect_hello

@pytest.mark.tcpserver(framing=Packets())
async def test_it(tcpserver):
    expect_hello(tcpserver)
    tcpserver.expect_frame(Packet(0x32, b"\0\4news" + b"\0\1" + b"rain"))
    async with aiomqtt.Client("localhost", tcpserver.port) as client:
        await client.publish("news", b"sun", qos=1)  # Waits ten seconds for an answer.
"""

MODBUS = r"""
from test_modbus import AsyncModbusTcpClient, Header, Message

@pytest.mark.tcpserver(framing=Header())
async def test_it(tcpserver):
    tcpserver.expect_connect()
    tcpserver.expect_frame(Message(1, 17, b"\x03\0\x6b\0\2"))
    async with AsyncModbusTcpClient("localhost", port=tcpserver.port) as client:
        await client.read_holding_registers(107, count=1, device_id=17)  # Tries four times.
"""

RESP = r"""
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from test_resp import Commands, redis, says_what_it_is
from pytest_tcpclient import frame

@pytest.mark.tcpserver(framing=Commands())
async def test_it(tcpserver):
    tcpserver.whenever(frame(says_what_it_is), b"+OK\r\n")
    tcpserver.expect_connect()
    tcpserver.expect_frame([b"GET", b"colour"])
    retry = Retry(ConstantBackoff(3), 3)  # Connects again, after three seconds.
    async with redis.Redis(port=tcpserver.port, protocol=2, retry=retry) as client:
        await client.get("color")
"""


@pytest.mark.parametrize(
    ("library", "source", "line"),
    [
        (
            "aiomqtt",
            MQTT,
            r"Failed: Expected to get frame Packet(kind=50, body=b'\x00\x04news\x00\x01rain') "
            r"but actually got frame Packet(kind=50, body=b'\x00\x04news\x00\x01sun')",
        ),
        (
            "pymodbus",
            MODBUS,
            "Failed: Expected to get frame "
            r"Message(transaction=1, unit=17, data=b'\x03\x00k\x00\x02') but actually got frame "
            r"Message(transaction=1, unit=17, data=b'\x03\x00k\x00\x01')",
        ),
        (
            "redis",
            RESP,
            "Failed: Expected to get frame [b'GET', b'colour'] "
            "but actually got frame [b'GET', b'color']",
        ),
    ],
    ids=["aiomqtt", "pymodbus", "redis"],
)
def test_a_client_that_goes_on_waiting(
    pytester: pytest.Pytester, library: str, source: str, line: str
) -> None:
    """It is cancelled when the grace is over, and the test fails with what the client did."""
    pytest.importorskip(library)
    [result] = run(pytester, RUNNERS["anyio on asyncio"], source).others.values()
    assert (result.when, result.line) == ("call", line)
