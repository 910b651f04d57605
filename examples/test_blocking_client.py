"""A client that blocks, in a sync test: urllib asks for a page."""

import urllib.request


def test_get(blocking_tcpserver):
    blocking_tcpserver.expect_connect()
    request = blocking_tcpserver.expect_until(b"\r\n\r\n")
    blocking_tcpserver.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello")
    blocking_tcpserver.expect_disconnect()

    with urllib.request.urlopen(blocking_tcpserver.url("http") + "/greeting") as response:
        assert response.read() == b"Hello"

    blocking_tcpserver.join()
    assert request.received.startswith(b"GET /greeting HTTP/1.1\r\n")
