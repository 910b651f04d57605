"""Modbus TCP: pymodbus reads two registers. The framing is the test's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from clients import failure_of

from pytest_tcpclient import ANY, TcpServer

pymodbus = pytest.importorskip("pymodbus")
AsyncModbusTcpClient = pytest.importorskip("pymodbus.client").AsyncModbusTcpClient


class Message(NamedTuple):
    """What stands in the header, and the function with its data."""

    transaction: int
    unit: int
    data: bytes


class Header:
    """Seven bytes before the data: transaction, protocol (zero), length and unit."""

    def encode(self, payload: Message) -> bytes:
        """The header and the data."""
        rest = bytes([payload.unit]) + payload.data
        return (
            payload.transaction.to_bytes(2, "big") + b"\0\0" + len(rest).to_bytes(2, "big") + rest
        )

    def decode(self, buffer: bytes) -> tuple[Message, int] | None:
        """The message, when all of it is there."""
        if not b"\0\0".startswith(buffer[2:4]):
            raise ValueError(f"its protocol is {buffer[2:4]!r}, not Modbus")
        size = 6 + int.from_bytes(buffer[4:6], "big")
        if len(buffer) < max(size, 7):
            return None
        return Message(int.from_bytes(buffer[:2], "big"), buffer[6], buffer[7:size]), size


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # The library is for no other.
    pytest.mark.tcpserver(framing=Header()),
]

#: Function 3, from register 107 on, two of them.
READ = b"\x03\x00\x6b\x00\x02"


def registers(request: Message) -> Message:
    """The reply to a request: of the same transaction and unit."""
    return request._replace(data=b"\x03\x04\x00\x2a\x01\x00")


async def read(server: TcpServer, unit: int) -> Any:
    """What is to be tested."""
    client = AsyncModbusTcpClient("localhost", port=server.port, timeout=0.2, retries=0)
    async with client:
        response = await client.read_holding_registers(107, count=2, device_id=unit)
        return response.registers


async def test_registers_are_read(tcpserver: TcpServer) -> None:
    """The reply has the transaction and the unit of the request, whatever they are."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(Message(ANY, 17, READ))
    tcpserver.send_frame(registers)
    tcpserver.expect_disconnect()

    assert await read(tcpserver, unit=17) == [42, 256]


async def test_another_unit(tcpserver: TcpServer) -> None:
    """Two messages that differ are shown as what they are."""
    tcpserver.expect_connect()
    tcpserver.expect_frame(Message(1, 17, READ))
    tcpserver.send_frame(registers)

    with pytest.raises(pymodbus.ModbusException):
        await read(tcpserver, unit=71)

    assert await failure_of(tcpserver) == (
        r"Expected to get frame Message(transaction=1, unit=17, data=b'\x03\x00k\x00\x02') "
        r"but actually got frame Message(transaction=1, unit=71, data=b'\x03\x00k\x00\x02')"
    )
