"""A certificate for ``oxidite dev --https``, of an authority that exists on this machine only.

It vouches for this machine's own names and, by its constraints, for no others: who trusts it risks
nothing should its key get lost. RFC 5280 section 4.2.1.10.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from oxidite import clock
from oxidite.errors import ConfigError
from oxidite.servers import TLS

__all__ = ["AUTHORITY", "cache_directory", "development_tls"]

AUTHORITY = "authority.pem"
"""What is to be trusted."""

_AUTHORITY_KEY = "authority.key"
_HOST = "localhost"
_ADDRESSES = ("127.0.0.1", "::1")
_YEARS = dt.timedelta(days=3650)
_MONTH = dt.timedelta(days=30)
_WEEK = dt.timedelta(days=7)


def cache_directory() -> Path:
    """Return where it is kept."""
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/oxidite"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oxidite"


def development_tls(directory: Path) -> TLS:
    """Return a certificate for this machine; what is missing, old or spoiled is made anew.

    Raises:
        ConfigError: the directory cannot be written.
    """
    tls = TLS(certificate=directory / f"{_HOST}.pem", key=directory / f"{_HOST}.key")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, key = _authority(directory)
        if not _is_good(tls, authority):
            _issue(tls, authority, key)
    except OSError as exc:
        raise ConfigError(f"Cannot keep a certificate in {directory}: {exc.strerror}.") from None
    return tls


def _authority(directory: Path) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """Return the authority; who trusted it once need not do so again."""
    certificate, key_file = directory / AUTHORITY, directory / _AUTHORITY_KEY
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return _new_authority(certificate, key_file)
    is_usable = found.not_valid_after_utc - clock.now() > _MONTH
    if not is_usable or not isinstance(key, EllipticCurvePrivateKey):
        return _new_authority(certificate, key_file)
    return found, key


def _new_authority(
    certificate: Path, key_file: Path
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    key = generate_private_key(SECP256R1())
    name = _name("Oxidite development, this machine only")
    networks = [x509.IPAddress(ip_network(each)) for each in _ADDRESSES]
    made = (
        _builder(name, name, key, _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(_HOST), *networks], None), critical=True)
        .sign(key, SHA256())
    )
    _write(key_file, _pem(key))
    _write(certificate, made.public_bytes(Encoding.PEM))
    return made, key


def _is_good(tls: TLS, authority: x509.Certificate) -> bool:
    try:
        found = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
        key = load_pem_private_key(tls.key.read_bytes(), None)
        found.verify_directly_issued_by(authority)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return False
    is_ours = found.public_key() == key.public_key()
    return is_ours and found.not_valid_after_utc - clock.now() > _WEEK


def _issue(tls: TLS, authority: x509.Certificate, authority_key: EllipticCurvePrivateKey) -> None:
    key = generate_private_key(SECP256R1())
    names = [x509.DNSName(_HOST), *(x509.IPAddress(ip_address(each)) for each in _ADDRESSES)]
    made = (
        _builder(_name(_HOST), authority.subject, key, _MONTH)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, SHA256())
    )
    _write(tls.key, _pem(key))
    _write(tls.certificate, made.public_bytes(Encoding.PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, age: dt.timedelta
) -> x509.CertificateBuilder:
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + age)
    )


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    half = path.with_name(f"{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    half.replace(path)
