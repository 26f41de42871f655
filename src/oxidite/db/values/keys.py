"""The keys of encrypted columns, and what is encrypted with them.

A value is sealed as in ``oxidite.security.sealing``, with the table and the column as its context, so a value
that is moved to another column is refused as one that was changed is. The row is not part of it: its key
may be made after the value, may change, and one statement may write one value into many rows. The key
that encrypts and the one that makes the blind index are derived from yours with HKDF (RFC 5869), so neither
tells of the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from functools import cached_property

from msgspec import Struct

from oxidite.config import Secret
from oxidite.db.errors import DecryptionError
from oxidite.errors import ConfigError
from oxidite.security.sealing import Sealer, UnsealableError
from oxidite.security.signing import hkdf

__all__ = ["Keys"]

_SIZE = 32
_PURPOSE = "oxidite.db"


class _Keys(Struct):
    sealer: Sealer
    hashing: tuple[bytes, ...]


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
        return self._keys.sealer.seal(data, context)

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """Read what ``encrypt`` made.

        Raises:
            DecryptionError: its key is unknown, or it is not what was written there.
        """
        try:
            return self._keys.sealer.open(sealed, context)
        except UnsealableError as exc:
            what = f"A value of {context.decode()} is"
            if exc.is_foreign:
                raise DecryptionError(
                    f"{what} encrypted with a key that is not among the known ones. Keep an old key in "
                    "the list until nothing is encrypted with it."
                ) from None
            raise DecryptionError(
                f"{what} not what was written there: it was changed, or moved from another column."
            ) from exc

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether something was encrypted with the key that writes now."""
        return self._keys.sealer.is_newest(sealed)

    def index(self, data: bytes, context: bytes) -> str:
        """Return the blind index of a value: equal values of a column have equal ones."""
        return _index(self._keys.hashing[0], data, context)

    def indexes(self, data: bytes, context: bytes) -> list[str]:
        """Return the blind index of a value by each key: what to look for."""
        return [_index(each, data, context) for each in self._keys.hashing]

    @cached_property
    def _keys(self) -> _Keys:
        source = self._source() if callable(self._source) else self._source
        source = source.reveal() if isinstance(source, Secret) else source
        texts = source.replace(",", " ").split() if isinstance(source, str) else list(source)
        if not texts:
            raise ConfigError("There are no keys for encrypted columns. Keys.generate() makes one.")
        secrets = [_secret(text) for text in texts]
        return _Keys(
            Sealer(secrets, purpose=_PURPOSE, needed_by="An encrypted column"),
            tuple(hkdf(each, info=f"{_PURPOSE} blind index".encode()) for each in secrets),
        )


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:  # of binascii too
        secret = b""
    if len(secret) != _SIZE:
        raise ConfigError(
            f"A key of encrypted columns must be {_SIZE} bytes as base64, as Keys.generate() makes one."
        )
    return secret


def _index(hashing: bytes, data: bytes, context: bytes) -> str:
    # The length keeps a context and its value apart from another pair that reads the same.
    message = len(context).to_bytes(2, "big") + context + data
    return base64.urlsafe_b64encode(hmac.digest(hashing, message, hashlib.sha256)[:24]).decode()
