"""Certificates and keys: read before anything is started, with errors that say what is wrong."""

from __future__ import annotations

import ssl
from typing import Literal

from oxidite.errors import ConfigError
from oxidite.servers.base import TLS, HTTPVersions
from oxidite.servers.logs import warn

__all__ = ["TLSError", "check_tls", "is_encrypted", "server_context"]

_ALPN: dict[HTTPVersions, list[str]] = {
    "auto": ["h2", "http/1.1"],
    "1": ["http/1.1"],
    "2": ["h2"],
}
# Codes of X509_verify_cert(3).
_NOT_YET_VALID, _EXPIRED = 9, 10


class TLSError(ConfigError):
    """The certificate or the key cannot be used."""

    code = "tls"


def server_context(tls: TLS, http: HTTPVersions = "1") -> ssl.SSLContext:
    """Return what a server needs to speak TLS, and the versions of HTTP that it offers.

    Raises:
        TLSError: a file is not what it should be, or two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _version(tls.minimum)
    # RFC 9113 section 9.2 forbids both, and nobody should want them.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_ALPN[http])
    _load_pair(context, tls)
    if tls.client_ca is not None:
        _load_authorities(context, tls)
    return context


def check_tls(tls: TLS) -> None:
    """Read all there is, and warn of a certificate that no client will accept.

    Raises:
        TLSError: a file is not what it should be, or two do not belong together.
    """
    context = server_context(tls)
    fault = _fault_of(context, tls)
    if fault is not None:
        warn(f"The certificate {tls.certificate} {fault}: clients will refuse it.")


def is_encrypted(tls: TLS) -> bool:
    """Tell whether the key needs a password."""
    # RFC 7468 section 11 has it in the label, the older format in a header.
    return b"ENCRYPTED" in tls.key.read_bytes()


def _version(name: Literal["1.2", "1.3"]) -> ssl.TLSVersion:
    return ssl.TLSVersion.TLSv1_3 if name == "1.3" else ssl.TLSVersion.TLSv1_2


def _load_pair(context: ssl.SSLContext, tls: TLS) -> None:
    for path in (tls.certificate, tls.key):
        _read(path)
    if b"-----BEGIN CERTIFICATE-----" not in tls.certificate.read_bytes():
        raise TLSError(f"{tls.certificate} holds no certificate in the format PEM.")
    if b"PRIVATE KEY-----" not in tls.key.read_bytes():
        raise TLSError(f"{tls.key} holds no private key in the format PEM.")

    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        # An empty one is refused as a wrong one; without a function OpenSSL would ask the terminal.
        return "" if tls.password is None else tls.password.reveal()

    try:
        context.load_cert_chain(tls.certificate, tls.key, password)
    except (ssl.SSLError, ValueError) as exc:
        raise TLSError(_why(exc, tls, asked=asked)) from None


def _why(exc: Exception, tls: TLS, *, asked: bool) -> str:
    if getattr(exc, "reason", None) == "KEY_VALUES_MISMATCH":
        return (
            f"{tls.key} is not the key of {tls.certificate}. The first certificate of the file must "
            "be the server's own."
        )
    if asked:
        wrong = "needs a password" if tls.password is None else "has another password"
        return f"{tls.key} is encrypted and {wrong}. Set TLS_KEY_PASSWORD in the environment."
    return f"{tls.certificate} with {tls.key} cannot be used: {_reason(exc)}."


def _load_authorities(context: ssl.SSLContext, tls: TLS) -> None:
    assert tls.client_ca is not None  # noqa: S101 - asked by the caller
    _read(tls.client_ca)
    try:
        context.load_verify_locations(tls.client_ca)
    except ssl.SSLError as exc:
        raise TLSError(
            f"{tls.client_ca} holds no certificates of authorities: {_reason(exc)}."
        ) from None
    context.verify_mode = ssl.CERT_REQUIRED if tls.client_required else ssl.CERT_OPTIONAL


def _reason(exc: Exception) -> str:
    return (getattr(exc, "reason", None) or str(exc)).lower().replace("_", " ")


def _read(path: object) -> None:
    try:
        with open(str(path), "rb"):  # noqa: PTH123 - only whether it can be
            pass
    except OSError as exc:
        raise TLSError(f"Cannot read {path}: {exc.strerror}.") from None


def _fault_of(server: ssl.SSLContext, tls: TLS) -> str | None:
    """Say what a client that trusts this very certificate has against it, by shaking hands with it."""
    server.verify_mode = ssl.CERT_NONE
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(tls.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for each in (ours, theirs):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as exc:
                faults = {_EXPIRED: "has expired", _NOT_YET_VALID: "is not valid yet"}
                return faults.get(exc.verify_code)
            except ssl.SSLError:
                return None
    return None
