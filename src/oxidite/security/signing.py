"""Signed values: who holds one cannot change it, but can read it.

A token is ``value.issued.expires.mac``: the value in base64url, the times in milliseconds since
1970 (``expires`` may be empty), and the HMAC-SHA256 (RFC 2104) of all before it. A seal is the same
without the value, for what travels beside it, such as a URL. The MAC is computed over the text as
it was received and compared as text, so that exactly one string verifies for what was signed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import math
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from oxidite import clock
from oxidite.config import Secret
from oxidite.errors import ConfigError, ForbiddenError

__all__ = [
    "BadSignatureError",
    "ExpiredSignatureError",
    "SecretLike",
    "Signer",
    "Signers",
    "decode_base64url",
    "development_secret",
    "encode_base64url",
    "hkdf",
    "secret_bytes",
    "secrets_of",
]

SecretLike: TypeAlias = str | bytes | Secret[str]

_SHORTEST_SECRET = 16  # bytes: 128 bits, if they are random
_PURPOSE = b"oxidite signing 1\0"
_TOKEN = b"token\0"
_SEAL = b"seal\0"
_HASH_SIZE = 32


class BadSignatureError(ForbiddenError):
    """The signature does not fit: the value was changed, or signed for something else.

    Deliberately no more than that is told. Answered with 403.
    """

    code = "bad_signature"


class ExpiredSignatureError(BadSignatureError):
    """The signature was right and has expired.

    Answered with 403, as any signature that does not open the door, not with 410: the resource
    is still there. ``code`` tells the two apart.
    """

    code = "expired_signature"


class Signer:
    """Signs values, and opens what it signed.

    ``salt`` names the purpose and is no secret. A key of its own is derived for each, so that what
    was signed for one purpose is refused for another. With several secrets the first signs and all
    verify: put a new one in front, and drop the old one when its last token has expired.

    Raises:
        ConfigError: there is no secret, or one is shorter than 16 bytes.
    """

    __slots__ = ("_keys",)

    def __init__(self, secret: SecretLike | Sequence[SecretLike], *, salt: str) -> None:
        if not salt:
            raise ConfigError('A Signer needs the name of its purpose, such as salt="unsubscribe".')
        several = [secret] if isinstance(secret, str | bytes | Secret) else secret
        info = _PURPOSE + salt.encode()
        self._keys = [hkdf(secret_bytes(each), info=info) for each in several]
        if not self._keys:
            raise ConfigError("A Signer needs at least one secret.")

    def sign(self, value: bytes | str, *, ttl: float | None = None) -> str:
        """Return ``value`` as a token, safe in URLs, cookies and headers.

        It is good for ``ttl`` seconds, or for ever; whoever opens it can ask for less.
        """
        text = encode_base64url(_bytes(value))
        return f"{text}.{self._seal(_TOKEN, text.encode(), ttl)}"

    def unsign(self, token: str, *, max_age: float | None = None) -> bytes:
        """Return the value of ``token``; ``max_age`` is how many seconds ago it may be signed.

        Raises:
            ExpiredSignatureError: it was signed here, and its time is over.
            BadSignatureError: anything else is wrong with it.
        """
        text, _, seal = token.partition(".")
        self._verify(_TOKEN, _ascii(text), seal, max_age)
        return decode_base64url(text)

    def seal(self, value: bytes | str, *, ttl: float | None = None) -> str:
        """Return a signature to send beside ``value``, good for ``ttl`` seconds or for ever."""
        return self._seal(_SEAL, _bytes(value), ttl)

    def verify(self, value: bytes | str, seal: str, *, max_age: float | None = None) -> None:
        """Return if ``seal`` was made for ``value``; raise what ``unsign`` raises if not."""
        try:
            data = _bytes(value)
        except UnicodeEncodeError:  # a lone surrogate: nothing such was ever signed
            raise BadSignatureError from None
        self._verify(_SEAL, data, seal, max_age)

    def _seal(self, kind: bytes, value: bytes, ttl: float | None) -> str:
        now = _now()
        expires = "" if ttl is None else str(now + _milliseconds(ttl, "ttl"))
        times = f"{now}.{expires}"
        return f"{times}.{_mac(self._keys[0], kind, value, times)}"

    def _verify(self, kind: bytes, value: bytes, seal: str, max_age: float | None) -> None:
        limit = None if max_age is None else _milliseconds(max_age, "max_age")
        times, _, mac = seal.rpartition(".")
        given = _ascii(mac)
        _ascii(times)
        expected = [_mac(key, kind, value, times).encode() for key in self._keys]
        # Every key is tried, so that the time taken does not tell which one signed.
        if not sum(hmac.compare_digest(given, each) for each in expected):
            raise BadSignatureError
        # From here on the text is our own: the signature is right.
        issued, _, expires = times.partition(".")
        ends = [int(expires)] if expires else []
        if limit is not None:
            ends.append(int(issued) + limit)
        if ends and _now() >= min(ends):
            raise ExpiredSignatureError


class Signers:
    """Gives the signer of a purpose, made once; a resource of every application."""

    def __init__(self, make: Callable[[str], Signer]) -> None:
        self._make = make
        self._made: dict[str, Signer] = {}

    def __call__(self, salt: str) -> Signer:
        """Return what signs for the purpose that ``salt`` names.

        Raises:
            ConfigError: the application has no secret, and this is not development.
        """
        if salt not in self._made:
            self._made[salt] = self._make(salt)
        return self._made[salt]


def hkdf(secret: bytes, *, info: bytes, salt: bytes = b"", length: int = _HASH_SIZE) -> bytes:
    """Derive a key of ``length`` bytes for the purpose ``info`` (RFC 5869, with SHA-256)."""
    key = hmac.digest(salt or bytes(_HASH_SIZE), secret, "sha256")
    output = block = b""
    for number in range(1, math.ceil(length / _HASH_SIZE) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        output += block
    return output[:length]


def encode_base64url(data: bytes) -> str:
    """Return ``data`` in base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Return what ``encode_base64url`` encoded; any other spelling is a ``BadSignatureError``.

    Padding, other alphabets, white space and unused bits that are not zero are refused: two
    strings never decode to the same bytes.
    """
    try:
        data = base64.urlsafe_b64decode(_ascii(text) + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise BadSignatureError from None
    if encode_base64url(data) != text:
        raise BadSignatureError
    return data


def development_secret(directory: Path) -> str:
    """Return the secret of the project in ``directory``, for development; make it the first time.

    It is kept in ``.oxidite/secret``, readable by its owner only and ignored by Git. Processes
    that start together get the same one.

    Raises:
        ConfigError: the file cannot be written or read, or does not hold a secret.
    """
    path = directory / ".oxidite" / "secret"
    try:
        if not path.exists():
            _create_secret(path)
        found = _read_private(path)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"The development secret cannot be kept in {path} ({type(exc).__name__}). "
            "Make the directory writable, or give the application a secret=."
        ) from exc
    if len(found.encode()) < _SHORTEST_SECRET:
        raise ConfigError(f"{path} does not hold a secret. Delete it: a new one will be made.")
    return found


def _create_secret(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # A directory that ignores itself needs no line in the project's own .gitignore.
    with contextlib.suppress(FileExistsError), (path.parent / ".gitignore").open("x") as ignore:
        ignore.write("*\n")
    # Written whole under another name, then linked: the secret is never seen half written, and of
    # two processes one gives it its name and the other takes what it finds.
    draft = path.with_name(f"secret-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _read_private(path: Path) -> str:
    # Not through a symbolic link: what it points to may be anybody's.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="ascii") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        return file.read(1024).strip()


def secret_bytes(secret: SecretLike) -> bytes:
    """Return a secret as bytes.

    Raises:
        ConfigError: it is shorter than 16 bytes.
    """
    plain = _bytes(secret.reveal() if isinstance(secret, Secret) else secret)
    if len(plain) < _SHORTEST_SECRET:
        raise ConfigError(
            f"A secret needs at least {_SHORTEST_SECRET} random bytes; this one has {len(plain)}. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return plain


def secrets_of(secret: SecretLike | Sequence[SecretLike]) -> list[bytes]:
    """Return a secret, or several of them, to encrypt with, as bytes.

    Raises:
        ConfigError: there is none, or one is shorter than 16 bytes.
    """
    several = [secret] if isinstance(secret, str | bytes | Secret) else list(secret)
    if not several:
        raise ConfigError("secret=[] encrypts with nothing. Give one, or leave it out.")
    return [secret_bytes(each) for each in several]


def _mac(key: bytes, kind: bytes, value: bytes, times: str) -> str:
    # The length keeps value and times apart: without it, what moves from one to the other would
    # leave the MAC as it is.
    message = b"".join((kind, len(value).to_bytes(8, "big"), value, times.encode()))
    return encode_base64url(hmac.digest(key, message, "sha256"))


def _now() -> int:
    return round(clock.timestamp() * 1000)


def _milliseconds(seconds: float, name: str) -> int:
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} is a positive number of seconds, not {seconds}.")
    return round(seconds * 1000)


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _ascii(text: str) -> bytes:
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise BadSignatureError from None
