"""Encrypted bytes: who has them can neither read nor change them.

What is sealed is ``version, id of the key, nonce, cipher text and tag``: AES-256-GCM with a random nonce of
12 bytes. A context is authenticated with it, so what is moved elsewhere is refused as what was changed is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from oxidite.errors import MissingExtraError
from oxidite.security.signing import hkdf

__all__ = ["Sealer", "UnsealableError"]

_VERSION = b"\x01"
_NONCE = 12
_ID = 4
_START = len(_VERSION) + _ID


class UnsealableError(ValueError):
    """What was to be opened cannot be; ``is_foreign``: it was sealed with a key that is not known."""

    def __init__(self, *, is_foreign: bool) -> None:
        super().__init__("The key is not known." if is_foreign else "It is not what was sealed.")
        self.is_foreign = is_foreign


class Sealer:
    """Encrypts with keys derived from secrets for a purpose: the first one writes, all of them read.

    ``secrets`` are random, of 16 bytes or more. Their keys are derived with HKDF (RFC 5869).

    Raises:
        MissingExtraError: ``cryptography`` is not installed; ``needed_by`` says for what it would be.
    """

    def __init__(self, secrets: Sequence[bytes], *, purpose: str, needed_by: str) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise MissingExtraError("encryption", needed_by=needed_by) from None
        self._keys = [
            (
                hkdf(secret, info=f"{purpose} key id".encode(), length=_ID),
                AESGCM(hkdf(secret, info=f"{purpose} encryption".encode())),
            )
            for secret in secrets
        ]

    def __repr__(self) -> str:
        return "<sealer>"

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Encrypt bytes; they can be read again with the same context only."""
        id_, cipher = self._keys[0]
        nonce = os.urandom(_NONCE)
        return _VERSION + id_ + nonce + cipher.encrypt(nonce, data, _VERSION + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Read what ``seal`` made.

        Raises:
            UnsealableError: its key is unknown, or it is not what was written there.
        """
        from cryptography.exceptions import InvalidTag

        id_ = sealed[len(_VERSION) : _START]
        cipher = next((cipher for known, cipher in self._keys if known == id_), None)
        if sealed[: len(_VERSION)] != _VERSION or cipher is None:
            raise UnsealableError(is_foreign=True)
        nonce = sealed[_START : _START + _NONCE]
        try:
            return cipher.decrypt(nonce, sealed[_START + _NONCE :], _VERSION + context)
        except (InvalidTag, ValueError) as exc:  # the second for what is too short
            raise UnsealableError(is_foreign=False) from exc

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether something was sealed with the key that writes now."""
        return sealed[len(_VERSION) : _START] == self._keys[0][0]
