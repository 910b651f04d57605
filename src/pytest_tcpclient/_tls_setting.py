"""What can be said about TLS: by an option of a server, or in its script. No I/O."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, get_args

from ._checked import checked_flag

__tracebackhide__ = True  # What is wrong here is wrong at the line of the test.

#: The certificates that a server can have.
Certificate = Literal["good", "expired", "wrong-host", "self-signed"]

#: By the numbers that :class:`ssl.TLSVersion` gives them (RFC 8446, 4.2.1).
_VERSIONS = {0x0303: "1.2", 0x0304: "1.3"}


class SSLContext(Protocol):
    """An :class:`ssl.SSLContext`, or something that can stand for one."""

    @abstractmethod
    def wrap_bio(self, incoming: Any, outgoing: Any, server_side: bool = ..., /) -> Any:
        """Make the object that does TLS in memory."""


@dataclass(frozen=True, repr=False)
class TLS:
    """How a server speaks TLS, with throw-away certificates for localhost.

    :ivar alpn: the protocols that it offers by ALPN, the best one first: ``["h2", "http/1.1"]``.
    :ivar client_cert: whether it asks for a certificate of the client, and goes on only if that
        is of the same authority as its own.
    :ivar minimum: the lowest version, ``"1.2"`` or ``"1.3"`` or an ``ssl.TLSVersion``; ``None``
        for the default of the ``ssl`` module.
    :ivar maximum: the highest version.
    :ivar certificate: ``"good"`` for localhost, 127.0.0.1 and ::1; or one that a client must
        refuse: ``"expired"``, ``"wrong-host"`` (for another host), or ``"self-signed"`` (of no
        authority).
    """

    alpn: Iterable[str] = ()
    client_cert: bool = False
    minimum: str | int | None = None
    maximum: str | int | None = None
    certificate: Certificate = "good"

    def __post_init__(self) -> None:
        __tracebackhide__ = True
        object.__setattr__(self, "alpn", _checked_alpn(self.alpn))
        checked_flag("client_cert", self.client_cert)
        object.__setattr__(self, "minimum", _checked_version("minimum", self.minimum))
        object.__setattr__(self, "maximum", _checked_version("maximum", self.maximum))
        if (self.minimum, self.maximum) == ("1.3", "1.2"):
            raise ValueError("minimum must not be higher than maximum")
        certificates = get_args(Certificate)
        if self.certificate not in certificates:
            known = ", ".join(map(repr, certificates))
            raise ValueError(f"certificate must be one of {known}, not {self.certificate!r}")

    def __repr__(self) -> str:
        values = [(each.name, getattr(self, each.name), each.default) for each in fields(self)]
        given = [f"{name}={value!r}" for name, value, default in values if value != default]
        return f"TLS({', '.join(given)})"


def checked_tls(name: str, value: object) -> TLS | SSLContext | None:
    """A setting of TLS: ``True``, a :class:`TLS` or a context; ``None`` or ``False`` for none."""
    __tracebackhide__ = True
    if value is None or value is False:
        return None
    if value is True:
        return TLS()
    if isinstance(value, TLS):
        return value
    if isinstance(value, type) or not callable(getattr(value, "wrap_bio", None)):
        raise TypeError(f"{name} must be True, a TLS(...) or an ssl.SSLContext, not {value!r}")
    return value  # type: ignore[return-value]


def _checked_alpn(value: object) -> tuple[str, ...]:
    __tracebackhide__ = True
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"alpn must be a list of names, not {value!r}")
    names = tuple(value)
    for each in names:
        if not isinstance(each, str):
            raise TypeError(f"alpn must be a list of names, not {names!r}")
        if not (each.isascii() and 1 <= len(each) <= 255):  # RFC 7301, 3.1
            raise ValueError(f"a name of alpn must have 1 to 255 ASCII characters, not {each!r}")
    return names


def _checked_version(name: str, value: object) -> str | None:
    __tracebackhide__ = True
    if value is None:
        return None
    if isinstance(value, int):
        value = _VERSIONS.get(value, value)
    if value not in _VERSIONS.values():
        raise ValueError(f'{name} must be "1.2", "1.3" or one of ssl.TLSVersion, not {value!r}')
    return str(value)
