"""What went wrong with TLS, in the words of the cause."""

from __future__ import annotations

import re

from .._failure import HandshakeFailed
from .data import quoted

_NO_VERSION = "client and server have no version of TLS in common"
_NO_CIPHER = "client and server have no cipher in common"
_REFUSED = "the client refused the certificate"

#: By OpenSSL's word for the reason, without what kind of alert it is.
_CAUSES = {
    "timed out": "timed out waiting for the client",
    "closed": "the client closed the connection",
    "reset": "the client reset the connection",
    "unknown ca": f"{_REFUSED}: unknown ca",
    "bad certificate": f"{_REFUSED}: bad certificate",
    "unsupported certificate": f"{_REFUSED}: unsupported certificate",
    "certificate revoked": f"{_REFUSED}: certificate revoked",
    "certificate expired": f"{_REFUSED}: certificate expired",
    "certificate unknown": f"{_REFUSED}: certificate unknown",
    "protocol version": _NO_VERSION,
    "unsupported protocol": _NO_VERSION,
    "no shared cipher": _NO_CIPHER,
    "peer did not return a certificate": "the client sent no certificate",
}

#: Reasons of a client that does not say what its reason is.
_SILENT = ("closed", "reset")


def handshake_failed(problem: HandshakeFailed) -> str:
    """The first line."""
    reason = re.sub(r"^(tlsv\d+|sslv\d+|ssl/tls) alert ", "", problem.reason)
    cause = _CAUSES.get(reason, problem.reason)
    if reason == "plain text":
        cause = f"the client spoke plain text: {quoted(problem.received)}"
    elif problem.detail:
        cause = f"the client's certificate was refused: {problem.detail}"
    return f"TLS handshake failed: {cause}."


def hint_for(problem: HandshakeFailed) -> str:
    """What may be behind it."""
    if problem.reason in _SILENT:
        return "Perhaps it refused the certificate: not every client tells the server why."
    return ""
