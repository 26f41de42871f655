"""What processes agree on by the store of a cache: locks, places, numbers, counts of limits.

Nothing of it is remembered in a process, and nothing of it has an answer without the store.
"""

from __future__ import annotations

from oxidite.cache.core import Core
from oxidite.cache.freshness import Seconds, seconds
from oxidite.cache.limits import StoreRates
from oxidite.cache.locks import Counter, Lock
from oxidite.cache.operations import incr
from oxidite.cache.writes import delete
from oxidite.rates import RateStore

__all__ = ["Coordination"]


class Coordination:
    """The part of a ``Cache`` that is no value of somebody's."""

    _core: Core
    _prefix: str

    @property
    def rates(self) -> RateStore:
        """Counts for limits, in the same store."""
        return StoreRates(self._core)

    async def incr(self, key: str, by: int = 1, *, ttl: Seconds | None = None) -> int:
        """Add to a number and return the sum; a new one begins at 0, and lives for ``ttl`` seconds.

        Raises:
            BackendError: the store failed, what is there is no number, or it would not fit into 64 bits.
        """
        if isinstance(by, bool) or not isinstance(by, int):
            raise TypeError(f"by is a whole number, not {by!r}.")
        return await incr(
            self._core, self._prefix + key, by, None if ttl is None else seconds("ttl", ttl)
        )

    async def decr(self, key: str, by: int = 1, *, ttl: Seconds | None = None) -> int:
        """Take from a number and return what is left; otherwise as ``incr``."""
        return await self.incr(key, -by, ttl=ttl)

    def counter(self, key: str, *, ttl: Seconds | None = None) -> Counter:
        """Return the number under a key, for who counts often."""
        full = self._prefix + key
        return Counter(
            key,
            lambda by: self.incr(key, by, ttl=ttl),
            lambda: delete(self._core, [full], once=True),
        )

    def lock(self, name: str, *, ttl: Seconds = 30.0, timeout: Seconds | None = None) -> Lock:
        """Return a lock, which one holds at a time among all processes: ``async with cache.lock("import")``.

        A holder that is killed has it for ``ttl`` seconds more. ``timeout`` is how long to wait for it, 0
        not at all, ``None`` for ever.
        """
        return self.semaphore(name, 1, ttl=ttl, timeout=timeout)

    def semaphore(
        self, name: str, slots: int, *, ttl: Seconds = 30.0, timeout: Seconds | None = None
    ) -> Lock:
        """Return a lock that ``slots`` hold at a time."""
        if slots < 1:
            raise ValueError(f"A semaphore has at least one slot, not {slots}.")
        lock = Lock()
        lock._begin(  # noqa: SLF001 - the constructor, whose types are not public
            self._core,
            self._prefix + name,
            ttl=seconds("ttl", ttl),
            slots=slots,
            timeout=None if timeout is None else seconds("timeout", timeout, zero=True),
        )
        return lock
