"""The cache of one process: bounded, and gone with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qsl

from msgspec import Struct

from oxidite import clock
from oxidite.cache.base import CacheBackend, Claimed, Epochs, Item, Listener, Stats, Stored
from oxidite.cache.s3fifo import S3FIFO
from oxidite.cache.storetime import StoreTime
from oxidite.config import parse_size
from oxidite.errors import BackendError, ConfigError
from oxidite.rates import MemoryRates, RateStore

__all__ = ["MemoryBackend"]

_OVERHEAD = 400  # bytes that a value takes beside itself and its key, about
_MOST_TAGS = 100_000
_SHORTEST_SWEEP = 1000  # claims and locks that may have ended before all are looked through


class _Value(Struct):
    value: bytes
    ends: float | None


class _Claim(Struct):
    token: str
    ends: float


class _Lock(Struct):
    number: int
    holders: dict[str, tuple[int, float]]


class MemoryBackend(CacheBackend):
    """Keeps values in this process: several workers each have their own.

    At most ``max_size`` bytes are kept, keys and what a value takes beside itself included; what is used
    least makes room.
    """

    is_shared: bool = False

    def __init__(self, *, max_size: int = 64 * 1024 * 1024) -> None:
        if max_size < 1:
            raise ConfigError(f"max_size={max_size} leaves no room for a value.")
        self._values: S3FIFO[_Value] = S3FIFO(max_size)
        self._claims: dict[str, _Claim] = {}
        self._locks: dict[str, _Lock] = {}
        self._rates = MemoryRates()
        self._time = StoreTime()
        self._sequence = int(clock.timestamp() * 1e6)
        self._tags: dict[str, Epochs] = {}
        self._sweep_at = _SHORTEST_SWEEP

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """Make one from ``memory://`` or ``memory://?max_size=256MB``.

        Raises:
            ConfigError: the URL has something else in it.
        """
        options = dict(parse_qsl(url.query, keep_blank_values=True))
        size = options.pop("max_size", None)
        if url.netloc or url.path.strip("/") or options:
            raise ConfigError(
                "A cache in memory is memory://, or memory://?max_size=256MB; it has no other options."
            )
        if size is None:
            return cls()
        try:
            return cls(max_size=parse_size(size))
        except ValueError:
            raise ConfigError(f"max_size={size} is no size such as 64MB or 1GiB.") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._values.clear()
        self._claims.clear()
        self._locks.clear()
        self._tags.clear()

    @property
    def rates(self) -> RateStore:
        """Counts for limits, of this process."""
        return self._rates

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self._time.now()

    def listen(self, listener: Listener) -> None:
        """Do nothing: there are no other processes."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return values."""
        now = self._time.now()
        found = [self._get(key, now) for key in keys]
        return [None if each is None else each.value for each in found]

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep values."""
        for item in items:
            self._claims.pop(item.key, None)
            self._set(item)

    async def add(self, item: Item) -> bool:
        """Keep a value if there is none."""
        if self._get(item.key, self._time.now()) is not None:
            return False
        await self.set_many([item])
        return True

    async def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add to a number."""
        kept = self._get(key, self._time.now())
        total = by + (0 if kept is None else _number(kept.value))
        if not -(2**63) <= total < 2**63:
            raise BackendError(f"The number under {key} would be {total}, beyond 64 bits.")
        ends = self._ends(ttl) if kept is None else kept.ends
        self._keep(key, _Value(str(total).encode(), ends))
        return total

    async def touch(self, key: str, ttl: float | None) -> bool:
        """Let a value live on."""
        kept = self._get(key, self._time.now())
        if kept is not None:
            kept.ends = self._ends(ttl)
        return kept is not None

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Delete values."""
        now = self._time.now()
        count = 0
        for key in keys:
            self._claims.pop(key, None)
            count += self._get(key, now) is not None
            self._values.delete(key)
        return count

    async def clear(self, prefix: str) -> None:
        """Delete every value that begins so."""
        for key in [key for key in self._values if key.startswith(prefix)]:
            self._values.delete(key)
        for key in [key for key in self._claims if key.startswith(prefix)]:
            del self._claims[key]

    async def scan(self, prefix: str) -> AsyncIterator[Stored]:
        """Go through the values that begin so."""
        now = self._time.now()
        for key in [key for key in self._values if key.startswith(prefix)]:
            kept = self._values.peek(key)
            if kept is not None and (kept.ends is None or kept.ends > now):
                left = None if kept.ends is None else kept.ends - now
                yield Stored(key, len(kept.value), left)

    async def stats(self) -> Stats:
        """Return what is held."""
        return Stats(len(self._values), self._values.weight, self._values.room)

    async def epochs(self, tags: Sequence[str]) -> list[Epochs | None]:
        """Return the epochs of tags."""
        return [self._tags.get(tag) for tag in tags]

    async def invalidate(self, tags: Sequence[str], *, soft: bool) -> None:
        """Invalidate tags."""
        self._sequence += 1
        number = self._sequence
        for tag in tags:
            before = self._tags.pop(tag, None)
            hard = number if before is None or not soft else before.hard
            self._know(tag, Epochs(hard, number))

    async def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Claimed:
        """Claim the making of a value."""
        now = self._time.now()
        as_of = self._sequence
        for tag in tags:
            if tag not in self._tags:
                self._know(tag, Epochs(as_of, as_of))
        kept = self._get(key, now)
        value = None if kept is None else kept.value
        claim = self._claims.get(key)
        if claim is not None and claim.ends > now:
            return Claimed(False, as_of, value)
        self._forget_ended(now)
        self._claims[key] = _Claim(token, now + lease)
        return Claimed(True, as_of, value)

    async def renew(self, key: str, token: str, lease: float) -> bool:
        """Hold a claim."""
        claim = self._held(key, token)
        if claim is None:
            return False
        claim.ends = self._time.now() + lease
        return True

    async def fill(self, item: Item, token: str) -> bool:
        """Keep what was made."""
        if self._held(item.key, token) is None:
            return False
        await self.set_many([item])
        return True

    async def release(self, key: str, token: str) -> None:
        """End a claim."""
        if self._held(key, token) is not None:
            del self._claims[key]

    async def acquire(self, name: str, owner: str, slots: int, ttl: float) -> int | None:
        """Take a place."""
        now = self._time.now()
        # A fencing number may not come twice: what is forgotten begins at a later time.
        lock = self._locks.setdefault(name, _Lock(int(now * 1e6), {}))
        lock.holders = {who: held for who, held in lock.holders.items() if held[1] > now}
        held = lock.holders.get(owner)
        if held is None and len(lock.holders) >= slots:
            return None
        if held is None:
            lock.number += 1
        number = lock.number if held is None else held[0]
        lock.holders[owner] = (number, now + ttl)
        self._forget_ended(now)
        return number

    async def extend(self, name: str, owner: str, ttl: float) -> bool:
        """Hold a place."""
        now = self._time.now()
        lock = self._locks.get(name)
        held = None if lock is None else lock.holders.get(owner)
        if lock is None or held is None or held[1] <= now:
            return False
        lock.holders[owner] = (held[0], now + ttl)
        return True

    async def leave(self, name: str, owner: str) -> bool:
        """Give a place back."""
        lock = self._locks.get(name)
        held = None if lock is None else lock.holders.pop(owner, None)
        return held is not None and held[1] > self._time.now()

    def _get(self, key: str, now: float) -> _Value | None:
        kept = self._values.get(key)
        if kept is not None and kept.ends is not None and kept.ends <= now:
            self._values.delete(key)
            return None
        return kept

    def _set(self, item: Item) -> None:
        for tag in item.tags:
            if tag not in self._tags:
                self._know(tag, Epochs(self._sequence, self._sequence))
        self._keep(item.key, _Value(item.value, self._ends(item.ttl)))

    def _keep(self, key: str, value: _Value) -> None:
        self._values.set(key, value, len(key) + len(value.value) + _OVERHEAD)

    def _ends(self, ttl: float | None) -> float | None:
        return None if ttl is None else self._time.now() + ttl

    def _know(self, tag: str, epochs: Epochs) -> None:
        self._tags[tag] = epochs
        if len(self._tags) > _MOST_TAGS:
            # The one that was invalidated longest ago: what has it is stale from now on.
            del self._tags[next(iter(self._tags))]

    def _held(self, key: str, token: str) -> _Claim | None:
        claim = self._claims.get(key)
        if claim is None or claim.token != token or claim.ends <= self._time.now():
            return None
        return claim

    def _forget_ended(self, now: float) -> None:
        """Let go of claims and locks that ended; not each time, but often enough to stay small."""
        if len(self._claims) + len(self._locks) < self._sweep_at:
            return
        self._claims = {key: each for key, each in self._claims.items() if each.ends > now}
        for name, lock in list(self._locks.items()):
            if all(ends <= now for _, ends in lock.holders.values()):
                del self._locks[name]
        self._sweep_at = 2 * (len(self._claims) + len(self._locks)) + _SHORTEST_SWEEP


def _number(value: bytes) -> int:
    try:
        return int(value)
    except ValueError:
        raise BackendError("What is stored there is no number, so nothing can be added.") from None
