"""The keys of encrypted columns, and what is encrypted with them.

A value is kept as ``version, id of the key, nonce, cipher text and tag``: AES-256-GCM with a random
nonce of 12 bytes. The table and the column are authenticated with it, so a value that is moved to
another column is refused as one that was changed is. The row is not: its key may be made after the
value, may change, and one statement may write one value into many rows. The key that encrypts and the one that makes the
blind index are derived from yours with HKDF (RFC 5869), so neither tells of the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from oxidite.config import Secret
from oxidite.db.errors import DecryptionError
from oxidite.errors import ConfigError, MissingExtraError

__all__ = ["Keys"]

_VERSION = b"\x01"
_NONCE = 12
_ID = 4
_SIZE = 32


class _Key(NamedTuple):
    id: bytes
    cipher: Any  # cryptography's AESGCM; the package is an extra
    hashing: bytes


class Keys:
    """The keys that columns are encrypted with: the first one writes, all of them read.

    Each is 32 random bytes as base64, as ``Keys.generate()`` makes one. Several are separated by
    commas or blanks, the newest first: put a new one in front to change it, and take an old one away
    when nothing is encrypted with it any more. ``source`` may be a function, which is called when the
    first value is read or written::

        keys = Keys(lambda: env("DATABASE_KEYS"))
    """

    def __init__(
        self, source: str | Secret[str] | Sequence[str] | Callable[[], str | Secret[str]]
    ) -> None:
        self._source = source

    @staticmethod
    def generate() -> str:
        """Return a new key."""
        return base64.urlsafe_b64encode(os.urandom(_SIZE)).decode()

    def __repr__(self) -> str:
        return "<keys>"

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        """Encrypt bytes; they can be read again with the same context only."""
        key = self._keys[0]
        nonce = os.urandom(_NONCE)
        sealed: bytes = key.cipher.encrypt(nonce, data, _VERSION + context)
        return _VERSION + key.id + nonce + sealed

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """Read what ``encrypt`` made.

        Raises:
            DecryptionError: its key is unknown, or it is not what was written there.
        """
        from cryptography.exceptions import InvalidTag

        start = len(_VERSION) + _ID
        id_ = sealed[len(_VERSION) : start]
        key = next((each for each in self._keys if each.id == id_), None)
        if sealed[: len(_VERSION)] != _VERSION or key is None:
            raise DecryptionError(
                f"A value of {context.decode()} is encrypted with a key that is not among the known "
                "ones. Keep an old key in the list until nothing is encrypted with it."
            )
        try:
            data: bytes = key.cipher.decrypt(
                sealed[start : start + _NONCE], sealed[start + _NONCE :], _VERSION + context
            )
        except (InvalidTag, ValueError) as exc:  # the second for what is too short
            raise DecryptionError(
                f"A value of {context.decode()} is not what was written there: it was changed, or "
                "moved from another column."
            ) from exc
        return data

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether something was encrypted with the key that writes now."""
        return sealed[len(_VERSION) : len(_VERSION) + _ID] == self._keys[0].id

    def index(self, data: bytes, context: bytes) -> str:
        """Return the blind index of a value: equal values of a column have equal ones."""
        return _index(self._keys[0], data, context)

    def indexes(self, data: bytes, context: bytes) -> list[str]:
        """Return the blind index of a value by each key: what to look for."""
        return [_index(each, data, context) for each in self._keys]

    @cached_property
    def _keys(self) -> tuple[_Key, ...]:
        source = self._source() if callable(self._source) else self._source
        source = source.reveal() if isinstance(source, Secret) else source
        texts = source.replace(",", " ").split() if isinstance(source, str) else list(source)
        if not texts:
            raise ConfigError("There are no keys for encrypted columns. Keys.generate() makes one.")
        return tuple(_key(text) for text in texts)


def _key(text: str) -> _Key:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MissingExtraError("encryption", needed_by="An encrypted column") from None
    try:
        secret = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:  # of binascii too
        secret = b""
    if len(secret) != _SIZE:
        raise ConfigError(
            f"A key of encrypted columns must be {_SIZE} bytes as base64, as Keys.generate() makes one."
        )
    return _Key(
        id=_derived(secret, b"oxidite.db key id")[:_ID],
        cipher=AESGCM(_derived(secret, b"oxidite.db encryption")),
        hashing=_derived(secret, b"oxidite.db blind index"),
    )


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA256 without salt, one block: RFC 5869, section 2."""
    extracted = hmac.digest(bytes(32), secret, hashlib.sha256)
    return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)


def _index(key: _Key, data: bytes, context: bytes) -> str:
    # The length keeps a context and its value apart from another pair that reads the same.
    message = len(context).to_bytes(2, "big") + context + data
    return base64.urlsafe_b64encode(hmac.digest(key.hashing, message, hashlib.sha256)[:24]).decode()
