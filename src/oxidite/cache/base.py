"""What a cache backend does. Bytes in, bytes out: no types, no freshness, no policy.

Keys, tags and names of locks are printable ASCII of at most 250 characters: ``keys.py`` makes them so.
Every method is atomic, for all processes that use the same store. A service that fails raises
``BackendError`` or one below it; what is missing is never an error.

Time is that of the store, so hosts whose clocks disagree agree here; it moves with ``oxidite.clock``, so
tests travel in it. A ``ttl`` is in seconds, and ``None`` keeps a value until it is deleted or makes room.

**Tags.** The store counts invalidations: each gets the next number of one sequence, and a tag's epoch is
the number of its last one. Who makes a value asks for the number *before* the value is made and keeps it
with the value; a tag whose epoch is larger by then, or is not known to the store any more, makes the value
stale. So nothing lists the keys of a tag, and a value made of what was there before an invalidation cannot
outlive it. The sequence begins at the store's time in microseconds, so a store that lost everything counts
on above where it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from oxidite.rates import RateStore

__all__ = ["CacheBackend", "Claimed", "Epochs", "Item", "Listener", "Stats", "Stored"]


class Item(Struct, frozen=True):
    """A value to keep: for ``ttl`` seconds, under ``tags`` that the store is to know of."""

    key: str
    value: bytes
    ttl: float | None = None
    tags: tuple[str, ...] = ()


class Epochs(Struct, frozen=True):
    """When a tag was last invalidated, by the numbers of the sequence: for good, and softly.

    What is older than ``hard`` is gone, and what is older than ``soft`` is stale.
    """

    hard: int
    soft: int


class Claimed(Struct, frozen=True):
    """What a claim found.

    ``granted``: the claimer is the one who makes the value. ``value`` is what is stored all the same, as
    another may have made it a moment ago. ``as_of`` is the number of the last invalidation.
    """

    granted: bool
    as_of: int
    value: bytes | None


class Stored(Struct, frozen=True):
    """What a store tells of a value: ``size`` in bytes, ``ttl`` in seconds that are left."""

    key: str
    size: int
    ttl: float | None


class Stats(Struct, frozen=True):
    """What a store holds: values, and their bytes as far as it knows; ``limit`` is in bytes.

    ``is_whole_server``: bytes and limit are those of the server, with whatever else it keeps.
    """

    keys: int
    size: int | None = None
    limit: int | None = None
    is_whole_server: bool = False


class Listener(Protocol):
    """What hears what other processes changed, so that what it remembers of it is no longer used.

    It is called in the event loop and must not block. What this process changed itself it is not told.
    """

    def keys_changed(self, keys: Sequence[str]) -> None:
        """Hear that values were set or deleted."""
        ...

    def tags_changed(self, epochs: Mapping[str, Epochs]) -> None:
        """Hear that tags were invalidated."""
        ...

    def cleared(self, prefix: str) -> None:
        """Hear that all values whose keys begin with ``prefix`` were deleted."""
        ...

    def lost(self) -> None:
        """Hear that something may have been missed: nothing that is remembered can be trusted."""
        ...


class CacheBackend(AbstractAsyncContextManager["CacheBackend", None], Protocol):
    """Keeps bytes under keys, for one process or for many.

    Subclass it by name; ``oxidite.testing.contracts`` has the tests that every backend passes.
    """

    is_shared: bool
    """Whether other processes see what this one stores."""

    @property
    def rates(self) -> RateStore:
        """Counts for limits, in the same store."""
        ...

    def now(self) -> float:
        """Return the time of the store in seconds since 1970, as this process knows it."""
        ...

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` what other processes change, from the opening on."""
        ...

    # Values

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of ``keys``, in their order."""
        ...

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep values, and revoke what others have claimed of their keys.

        Tags that the store does not know are known from now on, as invalidated last by whatever was.
        """
        ...

    async def add(self, item: Item) -> bool:
        """Keep a value if there is none; return whether there was none."""
        ...

    async def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add to a number and return the sum; a new one begins at 0 and lives for ``ttl`` seconds.

        It is stored as decimal digits, signed, of 64 bits. Raises ``BackendError`` if what is there is no
        number, or the sum no longer fits; nothing changes then.
        """
        ...

    async def touch(self, key: str, ttl: float | None) -> bool:
        """Let a value live for ``ttl`` seconds from now; return whether there is one."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Delete values, and revoke what others have claimed; return how many values there were."""
        ...

    async def clear(self, prefix: str) -> None:
        """Delete every value whose key begins with ``prefix``, and revoke all claims of such keys.

        Locks, counts of limits and what is known of tags stay.
        """
        ...

    def scan(self, prefix: str) -> AsyncIterator[Stored]:
        """Go through the values whose keys begin with ``prefix``, in any order.

        For people: what changes meanwhile may be seen or not.
        """
        ...

    async def stats(self) -> Stats:
        """Return what the store holds."""
        ...

    # Tags

    async def epochs(self, tags: Sequence[str]) -> list[Epochs | None]:
        """Return the epochs of ``tags``, in their order; ``None`` for one that the store does not know."""
        ...

    async def invalidate(self, tags: Sequence[str], *, soft: bool) -> None:
        """Give ``tags`` the next number of the sequence, as hard or as soft epoch."""
        ...

    # Making a value once

    async def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Claimed:
        """Claim the making of a value for ``lease`` seconds, unless somebody else has.

        ``tags`` that the store does not know are known from now on, as by ``set_many``.
        """
        ...

    async def renew(self, key: str, token: str, lease: float) -> bool:
        """Hold a claim for ``lease`` seconds more; return whether ``token`` still had it."""
        ...

    async def fill(self, item: Item, token: str) -> bool:
        """Keep what was made, and end the claim; return whether ``token`` still had it.

        If not, nothing is stored: the key was deleted meanwhile, or set, or somebody else makes it.
        """
        ...

    async def release(self, key: str, token: str) -> None:
        """End a claim without a value, if ``token`` has it."""
        ...

    # Locks

    async def acquire(self, name: str, owner: str, slots: int, ttl: float) -> int | None:
        """Take one of ``slots`` places for ``ttl`` seconds; ``None`` if all are taken.

        Returns the fencing number: larger for each that is granted under this name, for ever. An owner who
        holds a place already has it prolonged, with its number.
        """
        ...

    async def extend(self, name: str, owner: str, ttl: float) -> bool:
        """Hold a place for ``ttl`` seconds from now; return whether ``owner`` still had it."""
        ...

    async def leave(self, name: str, owner: str) -> bool:
        """Give a place back; return whether ``owner`` still had it."""
        ...
