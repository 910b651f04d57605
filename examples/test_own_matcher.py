"""What comes may be one of several things, in any order, or what a class of your own says."""

from dataclasses import dataclass

import anyio
import pytest

from pytest_tcpclient import NEED_DATA, Matched, Mismatch, any_of, in_any_order, line


@dataclass
class Number:
    """A decimal number and a full stop. It shall not be more than ``most``."""

    most: int

    def match(self, buffer):
        """Judge what has arrived: one byte or more."""
        digits, dot, _ = buffer.partition(b".")
        if not digits.isdigit():
            return Mismatch(self, digits)  # More bytes would not make it better.
        if not dot:
            return NEED_DATA
        number = int(digits)
        return Matched(len(digits) + 1, number) if number <= self.most else Mismatch(self, number)


@pytest.mark.anyio
async def test_matchers(tcpserver):
    tcpserver.expect_connect()
    greeting = tcpserver.expect(any_of(line(b"HELO"), line(b"EHLO")))
    headers = tcpserver.expect(in_any_order(b"A=1;", b"B=2;"))
    number = tcpserver.expect(Number(most=100))

    async with await anyio.connect_tcp("localhost", tcpserver.port) as stream:
        await stream.send(b"EHLO\nB=2;A=1;42.")
        await tcpserver.join()

    assert greeting.received == b"EHLO"
    assert headers.received == (b"A=1;", b"B=2;")
    assert number.received == 42
