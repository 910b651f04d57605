"""Throw-away certificates, and what the ssl module makes of them.

They are made by trustme (the extra ``tls``) when they are first needed, and once for the
whole process: a pytest session, or a worker of one. Nothing of them is written to a file
unless a file is asked for.
"""

from __future__ import annotations

import atexit
import ipaddress
import os
import shutil
import ssl
import tempfile
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ._tls_setting import TLS, SSLContext

if TYPE_CHECKING:
    import trustme

#: All that a server is called if it listens where it does by default.
HOSTS = ("localhost", "127.0.0.1", "::1")

#: A host that does not exist (RFC 2606).
WRONG_HOST = "wrong-host.invalid"

_MISSING = (
    "tls makes throw-away certificates, which needs trustme: "
    'python -m pip install "pytest-tcpclient[tls]"'
)

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server_context(tls: TLS | SSLContext) -> SSLContext:
    """What a server needs to speak TLS.

    :raises ModuleNotFoundError: if a certificate is to be made, and trustme is not installed.
    """
    return _context_for(tls) if isinstance(tls, TLS) else tls


def client_context(*, client_cert: bool) -> ssl.SSLContext:
    """What a client needs to trust the servers, and to be trusted."""
    # It trusts nobody else, which saves the time to load all the others.
    context = ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())
    if client_cert:
        _certificate_of_client().configure_cert(context)
    return context


@cache
def _context_for(tls: TLS) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # No session tickets. They arrive after the handshake, and a client that closes without
    # having read them resets the connection, whatever it has sent before.
    context.num_tickets = 0
    if tls.minimum is not None:
        context.minimum_version = _VERSIONS[str(tls.minimum)]
    if tls.maximum is not None:
        context.maximum_version = _VERSIONS[str(tls.maximum)]
    if tls.alpn:
        context.set_alpn_protocols(list(tls.alpn))
    if tls.client_cert:
        context.verify_mode = ssl.CERT_REQUIRED
        authority().configure_trust(context)
    if tls.certificate == "good":
        authority().issue_cert(*HOSTS).configure_cert(context)
    elif tls.certificate == "wrong-host":
        authority().issue_cert(WRONG_HOST).configure_cert(context)
    elif tls.certificate == "expired":
        now = datetime.now(timezone.utc)
        begin, end = now - timedelta(days=366), now - timedelta(days=1)
        authority().issue_cert(*HOSTS, not_before=begin, not_after=end).configure_cert(context)
    else:
        _configure_self_signed(context)
    return context


@cache
def authority() -> trustme.CA:
    """Who signs the certificates."""
    try:
        import trustme
    except ImportError:
        raise ModuleNotFoundError(_MISSING, name="trustme") from None
    return trustme.CA(organization_name="pytest-tcpclient")


@cache
def _certificate_of_client() -> trustme.LeafCert:
    return authority().issue_cert("client@localhost", common_name="client")


def _configure_self_signed(context: ssl.SSLContext) -> None:
    """A certificate for the right hosts that is signed by its own key: trustme makes none."""
    authority()  # Which says what is missing.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    hosts = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=366))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with tempfile.TemporaryDirectory(prefix="pytest-tcpclient-") as directory:
        path = Path(directory, "self-signed.pem")
        path.write_bytes(pem)
        context.load_cert_chain(path)


# Files, for libraries that want paths


def ca_file() -> str:
    """The certificate of the authority, as a PEM file."""
    return _file("ca.pem", authority().cert_pem.bytes())


def client_cert_file() -> str:
    """A certificate that the servers accept of a client, as a PEM file."""
    chain = _certificate_of_client().cert_chain_pems
    return _file("client.pem", b"".join(each.bytes() for each in chain))


def client_key_file() -> str:
    """The key of that certificate, as a PEM file."""
    return _file("client.key", _certificate_of_client().private_key_pem.bytes())


def _file(name: str, pem: bytes) -> str:
    path = os.path.join(_directory(), name)
    if not os.path.exists(path):
        Path(path).write_bytes(pem)
    return path


@cache
def _directory() -> str:
    """A directory that only its owner can read, until :func:`remove_files` or the process ends."""
    directory = tempfile.mkdtemp(prefix="pytest-tcpclient-")
    atexit.register(remove_files)
    return directory


def remove_files() -> None:
    """Nothing lasts. Files that are asked for afterwards are written anew."""
    if _directory.cache_info().currsize:
        shutil.rmtree(_directory(), ignore_errors=True)
        _directory.cache_clear()
        atexit.unregister(remove_files)
