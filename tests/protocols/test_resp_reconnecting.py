"""RESP: redis.asyncio loses its connection, is refused for a while, and connects again."""

from __future__ import annotations

from typing import Any

import pytest
from clients import failure_of
from test_resp import Commands, redis, says_what_it_is

from pytest_tcpclient import Handle, TcpServer, frame

redis_backoff = pytest.importorskip("redis.backoff")
redis_retry = pytest.importorskip("redis.asyncio.retry")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # The library is for no other.
    pytest.mark.tcpserver(framing=Commands(), timeout=0.5),
]

patient = pytest.mark.tcpserver(framing=Commands(), timeout=10)

GET = [b"GET", b"colour"]


def drop_connection(server: TcpServer, how: str) -> None:
    """Drop the connection on which something was asked for."""
    if how.endswith("in mid-reply"):
        server.send_bytes(b"$4\r\nbl")
    if how.startswith("reset"):
        server.send_reset()
    else:
        server.disconnect()


every_drop = pytest.mark.parametrize(
    "how", ["reset", "close", "reset in mid-reply", "close in mid-reply"]
)


def client_of(server: TcpServer, retry: Any) -> Any:
    """Not connected yet. What it says of itself when it has connected does not matter."""
    server.whenever(frame(says_what_it_is), b"+OK\r\n")
    return redis.Redis(host="localhost", port=server.port, protocol=2, retry=retry)


def persistent() -> Any:
    """Tries again until the server is back, more and more slowly."""
    return redis_retry.Retry(redis_backoff.ExponentialBackoff(cap=0.1, base=0.01), 100)


def hasty() -> Any:
    """Tries again, but not for long enough."""
    return redis_retry.Retry(redis_backoff.ConstantBackoff(0.01), 3)


def never() -> Any:
    """Does not try again."""
    return redis_retry.Retry(redis_backoff.NoBackoff(), 0)


def drop_and_refuse_and_accept_again(server: TcpServer, how: str) -> Handle[Any]:
    """The whole script. Return the step with which the client is back."""
    server.expect_connect()
    server.expect_frame(GET)
    server.stop_listening()  # Before the client is told, or it might be back too soon.
    drop_connection(server, how)
    server.wait(0.2)
    server.resume_listening()
    server.expect_connect()
    back = server.expect_frame(GET)
    server.send_bytes(b"$4\r\nblue\r\n")
    server.expect_disconnect()
    return back


@patient
@every_drop
async def test_a_client_that_comes_back(tcpserver: TcpServer, how: str) -> None:
    """It gets its answer, and whoever asked for it notices nothing."""
    drop_and_refuse_and_accept_again(tcpserver, how)

    async with client_of(tcpserver, persistent()) as client:
        assert await client.get("colour") == b"blue"

    await tcpserver.join()


@every_drop
@pytest.mark.parametrize("retry", [never, hasty])
async def test_a_client_that_gives_up(tcpserver: TcpServer, how: str, retry: Any) -> None:
    """It raises an error, and does not come back."""
    back = drop_and_refuse_and_accept_again(tcpserver, how)

    async with client_of(tcpserver, retry()) as client:
        with pytest.raises(redis.ConnectionError):
            await client.get("colour")

    assert await failure_of(tcpserver) == "Timed out waiting for client to connect."
    assert not back.done


@patient
async def test_a_pipeline_is_sent_again_as_a_whole(tcpserver: TcpServer) -> None:
    """Its first answer had come already when the connection was lost."""
    tcpserver.expect_connect()
    tcpserver.expect_frame([b"RPUSH", b"queue", b"tea"])
    tcpserver.expect_frame([b"LPOP", b"queue"])
    tcpserver.send_bytes(b":1\r\n")
    tcpserver.disconnect()
    tcpserver.expect_connect()
    tcpserver.expect_frame([b"RPUSH", b"queue", b"tea"])
    tcpserver.expect_frame([b"LPOP", b"queue"])
    tcpserver.send_bytes(b":2\r\n", b"$3\r\ntea\r\n")
    tcpserver.expect_disconnect()

    async with (
        client_of(tcpserver, persistent()) as client,
        client.pipeline(transaction=False) as pipeline,
    ):
        pipeline.rpush("queue", "tea").lpop("queue")
        assert await pipeline.execute() == [2, b"tea"]

    await tcpserver.join()
