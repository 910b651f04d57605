"""Where a server listens, and what its clients need to reach it."""

from __future__ import annotations

import ssl

from . import _certificates
from ._checked import checked_flag
from ._errors import ScriptError
from ._listening import Endpoint
from ._tls_setting import TLS, SSLContext


class Address:
    """Where a server listens: on a port, or on a unix socket."""

    def __init__(self, endpoint: Endpoint, tls: TLS | SSLContext | None) -> None:
        self._endpoint = endpoint
        self._tls = tls

    @property
    def host(self) -> str:
        """The IP address on which it listens; by default 127.0.0.1, and ::1 as well.

        :raises ScriptError: here and for all that is about a port, if it listens on a unix
            socket.
        """
        __tracebackhide__ = True
        return self._on_port("host").host

    @property
    def port(self) -> int:
        """The port, the same on all its addresses."""
        __tracebackhide__ = True
        return self._on_port("port").port

    @property
    def service_port(self) -> int:
        """The port, under the name that it had in 0.7."""
        __tracebackhide__ = True
        return self._on_port("service_port").port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as the ``connect`` functions of most libraries take them."""
        __tracebackhide__ = True
        endpoint = self._on_port("address")
        return endpoint.host, endpoint.port

    @property
    def path(self) -> str:
        """The path of the unix socket on which it listens.

        :raises ScriptError: if it listens on a port.
        """
        __tracebackhide__ = True
        if not self._endpoint.path:
            raise ScriptError("path of a server that listens on a port: give it the option path")
        return self._endpoint.path

    def url(self, scheme: str) -> str:
        """The address as a URL.

        ``url("https")`` is ``"https://127.0.0.1:5000"``, or ``url("unix")`` of a unix socket
        ``"unix:///tmp/socket"``.

        :param scheme: one character or more.
        """
        __tracebackhide__ = True
        if not isinstance(scheme, str):
            raise TypeError(f"scheme must be a str, not {type(scheme).__name__}")
        if not scheme:
            raise ValueError("scheme must not be empty")
        return f"{scheme}://{self._endpoint}"

    def _on_port(self, name: str) -> Endpoint:
        __tracebackhide__ = True
        if self._endpoint.path:
            raise ScriptError(f"{name} of a server that listens on a unix socket: it has a path")
        return self._endpoint

    # TLS

    @property
    def _speaks_tls(self) -> bool:
        """Whether a connection begins with a TLS handshake."""
        return self._tls is not None

    def client_ssl_context(self, *, client_cert: bool = True) -> ssl.SSLContext:
        """A context for the client, which trusts the throw-away certificates of the servers.

        :param client_cert: whether it has a certificate of the client, too, which it shows if
            it is asked to.
        :raises ScriptError: if the server has an ``ssl.SSLContext`` of the test's own.
        """
        __tracebackhide__ = True
        if self._tls is not None and not isinstance(self._tls, TLS):
            raise ScriptError(
                "client_ssl_context() of a server with an ssl.SSLContext of your own: only you "
                "know what its client needs"
            )
        return _certificates.client_context(client_cert=checked_flag("client_cert", client_cert))

    @property
    def ca_file(self) -> str:
        """The path of a PEM file: the authority of the throw-away certificates."""
        return _certificates.ca_file()

    @property
    def client_cert_file(self) -> str:
        """The path of a PEM file: a certificate for a client, of the same authority."""
        return _certificates.client_cert_file()

    @property
    def client_key_file(self) -> str:
        """The path of a PEM file: the key of that certificate."""
        return _certificates.client_key_file()
