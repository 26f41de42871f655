"""Keys that are made by the application and sort by when they were made: UUIDv7 and ULID.

Both are 48 bits of milliseconds and then chance. Within a process each is greater than the one before,
so that rows made in one loop keep their order, and an index grows at its end.
"""

from __future__ import annotations

import os
import threading
from uuid import UUID

from oxidite.clock import timestamp

__all__ = ["ulid", "uuid7"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATIENCE = 10_000
"""Milliseconds that a clock may go back and the order is kept."""


class _Sequence:
    """Numbers of 48 bits of time and ``bits`` of chance, each greater than the one before."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return the next one."""
        moment = int(timestamp() * 1000) & (2**48 - 1)
        chance = int.from_bytes(os.urandom(10)) >> (80 - self._bits)
        made = moment << self._bits | chance
        with self._lock:
            ahead = (self._last >> self._bits) - moment
            if made <= self._last and ahead <= _PATIENCE:
                # In the same millisecond, or the clock was corrected: a step of chance further, so
                # that the next one cannot be guessed from this one. A clock that was set begins anew.
                made = self._last + 1 + (chance & 0xFFFFFFFF)
            self._last = made
        return made


_uuids = _Sequence(74)
_ulids = _Sequence(80)


def uuid7() -> UUID:
    """Return a UUID of version 7 (RFC 9562): it sorts by when it was made.

    ::

        id: Col[UUID] = col(pk=True, default_factory=uuid7)
    """
    number = _uuids.next()
    low = number & (2**62 - 1)
    middle = number >> 62 & 0xFFF
    moment = number >> 74 & (2**48 - 1)
    return UUID(int=moment << 80 | 7 << 76 | middle << 64 | 2 << 62 | low)


def ulid() -> str:
    """Return a ULID: 26 characters that sort by when it was made, and can be read out on the telephone.

    ::

        id: Col[str] = col(pk=True, max_length=26, default_factory=ulid)
    """
    number = _ulids.next()
    return "".join([_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)])
