"""The certificate with which the dashboard's server shows other machines who it is."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daydreamer.errors import UserError
from daydreamer.storage.atomic import write_anywhere

VALID_DAYS = 365
RENEW_DAYS = 7
"""Before the end; a session lasts hours."""


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Of a server that shows this certificate.

    Args:
      key: in the file of the certificate if None.

    Raises:
      UserError: the files cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise UserError(
            f"Certificate {certificate} with key {key or certificate} cannot be used ({error}); both have to be PEM "
            "files and belong together."
        ) from error
    return context


def fingerprint(certificate: Path) -> str:
    """SHA-256, as browsers show it."""
    content = x509.load_pem_x509_certificates(certificate.read_bytes())[0].fingerprint(hashes.SHA256())
    return content.hex(":").upper()


def own_certificate(names: Sequence[str], spare: Path) -> Path:
    """A file with a certificate for these names and addresses, which nobody else vouches for, and its key.

    The same one as long as it is valid, so that a browser that was told to trust it need not be told again.

    Args:
      spare: directory for it if the user's own cannot be written.
    """
    place = os.environ.get("XDG_DATA_HOME")
    with contextlib.suppress(OSError, RuntimeError):
        directory = (Path(place) if place else Path.home() / ".local" / "share") / "daydreamer"
        path = directory / "dashboard.pem"
        if _is_good(path, names):
            return path
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _write(path, names)
    return _write(spare / "dashboard.pem", names)


def _is_good(path: Path, names: Sequence[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        known = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
        return False
    rest = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return rest > datetime.timedelta(days=RENEW_DAYS) and set(_alternative_names(names)) <= known


def _write(path: Path, names: Sequence[str]) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "daydreamer dashboard")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A robot's clock may be behind that of the machine that looks.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    write_anywhere(path, content, mode=0o600)
    return path


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            with contextlib.suppress(ValueError):  # a name that is not ASCII
                found.append(x509.DNSName(name))
    return found
