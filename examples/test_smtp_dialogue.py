"""A dialogue in lines: a client that sends mail."""

import re

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream


async def send_mail(port, recipient, text):
    """Send a text, and return what the server said of it."""
    async with await anyio.connect_tcp("localhost", port) as stream:
        replies = BufferedByteReceiveStream(stream)

        async def say(line):
            await stream.send(line + b"\r\n")
            return await replies.receive_until(b"\r\n", 1000)

        await replies.receive_until(b"\r\n", 1000)
        await say(b"HELO localhost")
        await say(b"MAIL FROM:<me@example.org>")
        await say(b"RCPT TO:<%b>" % recipient)
        await say(b"DATA")
        reply = await say(text + b"\r\n.")
        await say(b"QUIT")
        return reply


def received(message):
    """The reply to a message, made of the message."""
    return b"250 received %d bytes" % len(message)


@pytest.mark.anyio
@pytest.mark.tcpserver(newline=b"\r\n")
async def test_send_mail(tcpserver):
    tcpserver.expect_connect()
    tcpserver.send_line(b"220 mail.example.org")
    hello = tcpserver.expect_line(re.compile(rb"(HELO|EHLO) (.+)"))
    tcpserver.send_line(lambda hello: b"250 hello " + hello[2])
    tcpserver.expect_line(b"MAIL FROM:<me@example.org>")
    tcpserver.send_line(b"250 ok")
    tcpserver.expect_line(b"RCPT TO:<you@example.org>")
    tcpserver.send_line(b"250 ok")
    tcpserver.expect_line(b"DATA")
    tcpserver.send_line(b"354 end with a dot")
    message = tcpserver.expect_until(b"\r\n.\r\n")
    tcpserver.send_line(received)
    tcpserver.expect_line(b"QUIT")
    tcpserver.send_line(b"221 bye")
    tcpserver.expect_disconnect()

    reply = await send_mail(tcpserver.port, b"you@example.org", b"Tea at five?")
    assert reply == b"250 received 17 bytes"

    await tcpserver.join()
    assert hello.received[1] == b"HELO"
    assert message.received == b"Tea at five?\r\n.\r\n"
