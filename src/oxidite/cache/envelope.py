"""What the front keeps with a value: until when it is good, and what it was made of.

In the store it is ``version, flags, numbers, tags, payload``. The version is below every digit and sign, so
what begins with one of those is a number that ``incr`` keeps. The payload may be compressed (zstd), and then
encrypted; the key and all before the payload are authenticated with it then, so that who can write to the
store can neither move a value to another key nor make it live longer.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from oxidite.encoding import encode_msgpack
from oxidite.errors import MissingExtraError
from oxidite.security import SecretLike
from oxidite.security.sealing import Sealer
from oxidite.security.signing import secrets_of

__all__ = ["MOST_TAGS", "Envelope", "UnreadableError", "Wrapping", "wrapped_as"]

MOST_TAGS = 100
"""Tags that a value may have: each of them is asked for when it is read."""

_VERSION = 1
_COMPRESSED = 1
_ENCRYPTED = 2
_HEAD = struct.Struct(">BBQddddfH")
_LARGEST = 256 * 1024 * 1024  # bytes that compressed ones may become
_DIGITS = b"-0123456789"


class UnreadableError(ValueError):
    """What is in the store is nothing that this cache wrote, or wrote with other secrets."""


class Envelope(NamedTuple):
    """A value as bytes, and what is known of it. Times are those of the store.

    ``as_of`` is the number of the last invalidation before it was made; ``cost`` how many seconds that
    took. It is surely not made anew before ``calm``, fresh until ``fresh``, and kept until ``stale``.
    """

    payload: bytes
    as_of: int = 0
    made: float = 0.0
    calm: float = math.inf
    fresh: float = math.inf
    stale: float = math.inf
    cost: float = 0.0
    tags: tuple[str, ...] = ()


class Wrapping:
    """Makes envelopes to bytes and back; payloads of ``compress`` bytes and more are compressed.

    Raises:
        ConfigError: a secret is too short, or there is none in the list.
        MissingExtraError: a package is not installed.
    """

    def __init__(
        self, *, compress: int | None, secret: SecretLike | Sequence[SecretLike] | None
    ) -> None:
        self._compress = compress
        self._zstd: ModuleType | None = None if compress is None else _zstd()
        self._sealer = (
            None
            if secret is None
            else Sealer(secrets_of(secret), purpose="oxidite.cache", needed_by="An encrypted cache")
        )

    def wrap(self, key: str, envelope: Envelope) -> bytes:
        """Return the bytes to keep under ``key``."""
        payload, flags = envelope.payload, 0
        if self._zstd is not None and self._compress is not None and self._compress <= len(payload):
            small: bytes = self._zstd.compress(payload)
            if len(small) < len(payload) <= _LARGEST:
                payload, flags = small, _COMPRESSED
        if self._sealer is not None:
            flags |= _ENCRYPTED
        tags = " ".join(envelope.tags).encode()
        _, as_of, made, calm, fresh, stale, cost, _ = envelope
        head = _HEAD.pack(_VERSION, flags, as_of, made, calm, fresh, stale, cost, len(tags)) + tags
        if self._sealer is not None:
            payload = self._sealer.seal(payload, _context(key, head))
        return head + payload

    def unwrap(self, key: str, data: bytes) -> Envelope:
        """Read what ``wrap`` made, or a number.

        Raises:
            UnreadableError: it is neither, or its secret is not known, or it was changed.
        """
        if data[:1] in _DIGITS and data:
            return Envelope(_number(data))
        if len(data) < _HEAD.size or data[0] != _VERSION:
            raise UnreadableError("It is of another version, or nothing of this cache.")
        _, flags, as_of, made, calm, fresh, stale, cost, length = _HEAD.unpack_from(data)
        start = _HEAD.size + length
        payload = self._payload(key, flags, data[:start], data[start:])
        tags = (
            tuple(data[_HEAD.size : start].decode("ascii", "replace").split(" ")) if length else ()
        )
        return Envelope(payload, as_of, made, calm, fresh, stale, cost, tags)

    def _payload(self, key: str, flags: int, head: bytes, payload: bytes) -> bytes:
        # Who has a secret wants no value that anybody could have written.
        if bool(flags & _ENCRYPTED) != (self._sealer is not None):
            raise UnreadableError(
                "It is encrypted, and this cache has no secret; or the other way."
            )
        if self._sealer is not None:
            try:
                payload = self._sealer.open(payload, _context(key, head))
            except ValueError as exc:
                raise UnreadableError(str(exc)) from exc
        return self._expanded(payload) if flags & _COMPRESSED else payload

    def _expanded(self, payload: bytes) -> bytes:
        # A process that compresses nothing itself reads what others have compressed.
        try:
            zstd = self._zstd = self._zstd or _zstd()
        except MissingExtraError as exc:
            raise UnreadableError(str(exc)) from exc
        decompressor = zstd.ZstdDecompressor()
        try:
            data: bytes = decompressor.decompress(payload, _LARGEST)
        except zstd.ZstdError as exc:
            raise UnreadableError(str(exc)) from exc
        if not decompressor.eof:
            raise UnreadableError("It is cut off, or expands to more than 256 MB.")
        return data


def wrapped_as(data: bytes) -> tuple[bool, bool]:
    """Tell whether what is stored says that it is compressed, and that it is encrypted."""
    flags = data[1] if len(data) >= _HEAD.size and data[0] == _VERSION else 0
    return bool(flags & _COMPRESSED), bool(flags & _ENCRYPTED)


def _context(key: str, head: bytes) -> bytes:
    # A key has no NUL, being printable.
    return key.encode() + b"\0" + head


def _number(data: bytes) -> bytes:
    try:
        return encode_msgpack(int(data))
    except (ValueError, OverflowError) as exc:
        raise UnreadableError("It begins as a number and is none.") from exc


def _zstd() -> ModuleType:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return import_module(name)
    except ModuleNotFoundError as exc:
        raise MissingExtraError("compress", needed_by="A cache that compresses") from exc
