"""The cache in Redis: one for all processes, with changes told to each of them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self, cast
from urllib.parse import SplitResult

from oxidite import clock
from oxidite.cache.backends import redis_scripts as scripts
from oxidite.cache.backends.redis_bus import Bus
from oxidite.cache.backends.redis_rates import RedisRates
from oxidite.cache.base import CacheBackend, Claimed, Epochs, Item, Listener, Stats, Stored
from oxidite.cache.storetime import StoreTime
from oxidite.drivers.redis import Redis, RedisOptions, Script
from oxidite.errors import BackendError, ConfigError
from oxidite.rates import RateStore

__all__ = ["RedisBackend"]

_OLD = 10.0  # seconds after which the time of the server is asked for again
_BATCH = 1000  # keys that are looked at in one step
_HEAD = 8
_ends_of = struct.Struct(">d").unpack_from
_TEXTS = ("TYPE", "string")  # what values are; anything else is somebody else's
_GLOB = re.compile(r"[*?\[\]\\^-]")
_PREFIX = re.compile(r"[!-~]{0,50}")


class RedisBackend(CacheBackend):
    """Keeps values in Redis, under keys that begin with ``prefix``.

    Give the server a ``maxmemory`` and an eviction policy such as ``allkeys-lru``: whatever it evicts,
    nothing stale is taken for fresh. A server that is away when this opens is waited for behind the scenes.
    """

    is_shared: bool = True

    def __init__(self, options: RedisOptions, *, prefix: str = "ox:") -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"prefix={prefix!r}: at most 50 characters of ASCII without spaces are wanted."
            )
        self._redis = Redis(options, connected=self._sync)
        self._bus = Bus(options, prefix)
        self._prefix = prefix
        self._rates = RedisRates(self._redis, f"{prefix}r:", travelled_to=self._travelled_to)
        self._time = StoreTime()
        self._sequence_key = f"{prefix}seq"
        self._highest = 0  # of all numbers of the sequence that were seen
        self._syncing: asyncio.Future[object] | None = None

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """Make one from ``redis://user:password@host:6379/0?prefix=shop:``.

        Raises:
            ConfigError: the URL cannot be read, or says something that is not known.
        """
        options, rest = RedisOptions.from_url(url, others=["prefix"])
        return cls(options, **rest)

    async def __aenter__(self) -> Self:
        await self._redis.__aenter__()
        try:
            await self._bus.open()
            if self._syncing is not None:
                await asyncio.wait((self._syncing,))
        except BaseException:
            await self._redis.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._bus.close()
        await self._redis.__aexit__(kind, exc, tb)

    @property
    def rates(self) -> RateStore:
        """Counts for limits."""
        return self._rates

    def now(self) -> float:
        """Return the time of the server."""
        return self._time.now()

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` what other processes change."""
        self._bus.listener = listener

    # Values

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return values."""
        if not keys:
            return []
        if self._time.is_older(_OLD):
            self._sync()
        prefix = f"{self._prefix}v:"
        command = ("MGET", *[prefix + key for key in keys])
        found = cast("list[bytes | None]", await self._redis.submit(*command, safe=True))
        now = self._time.now()
        return [_value(raw, now) for raw in found]

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep values."""
        if items:
            keys, args = self._of_items(items)
            told = self._bus.keys(item.key for item in items)
            await self._run(scripts.SET, keys, told, self._highest, *args)

    async def add(self, item: Item) -> bool:
        """Keep a value if there is none."""
        keys, args = self._of_items([item])
        told = self._bus.keys([item.key])
        return await self._run(scripts.ADD, keys, told, self._highest, *args) == 1

    async def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add to a number."""
        keys = [self._value(key), f"{self._prefix}sum"]
        reply = await self._run(scripts.INCR, keys, self._bus.keys([key]), _seconds(ttl), by)
        done, said = cast("tuple[int, bytes]", reply)
        if not done:
            raise BackendError(f"Nothing can be added to the number under {key}: {said.decode()}.")
        return int(said)

    async def touch(self, key: str, ttl: float | None) -> bool:
        """Let a value live on."""
        return await self._run(scripts.TOUCH, [self._value(key)], "", _seconds(ttl)) == 1

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Delete values."""
        if not keys:
            return 0
        pairs = [each for key in keys for each in (self._value(key), self._claim(key))]
        return cast("int", await self._run(scripts.DELETE, pairs, self._bus.keys(keys)))

    async def clear(self, prefix: str) -> None:
        """Delete every value that begins so; what is set meanwhile may stay.

        It looks through all keys of the server, in steps, with others between them.
        """
        # Claims first: who has one could store a value after values were looked through.
        for kind in (self._claim, self._value):
            async for keys in self._keys(kind(prefix)):
                await self._redis.run("UNLINK", *keys)
        await self._redis.run("PUBLISH", self._bus.channel, self._bus.cleared(prefix))

    async def scan(self, prefix: str) -> AsyncIterator[Stored]:
        """Go through the values that begin so, and all other keys of the server."""
        begin = len(self._value(""))
        async for keys in self._keys(self._value(prefix), *_TEXTS):
            commands = [
                command
                for key in keys
                for command in (("STRLEN", key), ("GETRANGE", key, 0, _HEAD - 1))
            ]
            replies = await self._redis.run_many(commands, safe=True)
            now = self._time.now()
            for key, size, head in zip(keys, replies[::2], replies[1::2], strict=True):
                if (ends := _end(cast("bytes", head))) is not None and ends > now:
                    left = None if ends == float("inf") else ends - now
                    yield Stored(key[begin:].decode(), cast("int", size) - _HEAD, left)

    async def stats(self) -> Stats:
        """Return how many values there are, and the memory of the whole server and its limit."""
        count = 0
        async for keys in self._keys(self._value(""), *_TEXTS):
            count += len(keys)
        info = cast("bytes", await self._redis.run("INFO", "memory", safe=True)).decode()
        said = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        limit = int(said.get("maxmemory", 0)) or None
        return Stats(count, int(said["used_memory"]), limit, is_whole_server=True)

    # Tags

    async def epochs(self, tags: Sequence[str]) -> list[Epochs | None]:
        """Return the epochs of tags."""
        if not tags:
            return []
        found = await self._redis.submit("MGET", *map(self._tag, tags), safe=True)
        epochs = [_epochs(raw) for raw in cast("list[bytes | None]", found)]
        self._saw([each.soft for each in epochs if each is not None])
        return epochs

    async def invalidate(self, tags: Sequence[str], *, soft: bool) -> None:
        """Invalidate tags."""
        if tags:
            keys = [self._sequence_key, *map(self._tag, tags)]
            told = self._bus.tags_begin(tags)
            number = await self._run(scripts.INVALIDATE, keys, told, self._highest, int(soft))
            self._saw([int(cast("bytes", number))])

    # Making a value once

    async def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Claimed:
        """Claim the making of a value."""
        keys = [self._sequence_key, self._value(key), self._claim(key), *map(self._tag, tags)]
        reply = await self._run(scripts.CLAIM, keys, "", self._highest, token, _seconds(lease))
        granted, number, value = cast("tuple[int, bytes, bytes | None]", reply)
        as_of = int(number)
        self._saw([as_of])
        return Claimed(granted == 1, as_of, value)

    async def renew(self, key: str, token: str, lease: float) -> bool:
        """Hold a claim."""
        keys = [self._claim(key)]
        return await self._run(scripts.RENEW, keys, "", token, _seconds(lease)) == 1

    async def fill(self, item: Item, token: str) -> bool:
        """Keep what was made."""
        keys, args = self._of_items([item])
        told = self._bus.keys([item.key])
        return await self._run(scripts.FILL, keys, told, self._highest, *args, token) == 1

    async def release(self, key: str, token: str) -> None:
        """End a claim."""
        await self._run(scripts.RELEASE, [self._claim(key)], "", token)

    # Locks

    async def acquire(self, name: str, owner: str, slots: int, ttl: float) -> int | None:
        """Take a place."""
        keys = [self._lock(name)]
        number = await self._run(scripts.ACQUIRE, keys, "", owner, slots, _seconds(ttl))
        return None if number is None else int(cast("bytes", number))

    async def extend(self, name: str, owner: str, ttl: float) -> bool:
        """Hold a place."""
        return await self._run(scripts.EXTEND, [self._lock(name)], "", owner, _seconds(ttl)) == 1

    async def leave(self, name: str, owner: str) -> bool:
        """Give a place back."""
        return await self._run(scripts.LEAVE, [self._lock(name)], "", owner) == 1

    def _value(self, key: str) -> str:
        return f"{self._prefix}v:{key}"

    def _claim(self, key: str) -> str:
        return f"{self._prefix}c:{key}"

    def _tag(self, tag: str) -> str:
        return f"{self._prefix}t:{tag}"

    def _lock(self, name: str) -> str:
        return f"{self._prefix}l:{name}"

    def _of_items(self, items: Sequence[Item]) -> tuple[list[str], list[str | bytes | int]]:
        keys, args = [self._sequence_key], list[str | bytes | int]()
        for item in items:
            keys += [self._value(item.key), self._claim(item.key), *map(self._tag, item.tags)]
            args += [item.value, _seconds(item.ttl), len(item.tags)]
        return keys, args

    async def _run(
        self, script: Script, keys: Sequence[str], told: str | bytes, *args: str | bytes | int
    ) -> object:
        if self._time.is_older(_OLD):
            self._sync()
        first = (self._travelled_to(), self._bus.channel, told)
        return await self._redis.call(script, keys, (*first, *args))

    def _travelled_to(self) -> str:
        """Return the time for scripts in a test that travels; otherwise they ask the server."""
        return repr(self._time.now()) if clock.travelled() else ""

    async def _keys(self, prefix: str, *which: str) -> AsyncIterator[list[bytes]]:
        pattern = _GLOB.sub(r"\\\g<0>", prefix) + "*"
        cursor = b"0"
        while True:
            where = ("MATCH", pattern, "COUNT", str(_BATCH), *which)
            reply = await self._redis.run("SCAN", cursor, *where, safe=True)
            cursor, keys = cast("tuple[bytes, list[bytes]]", reply)
            if keys:
                yield keys
            if cursor == b"0":
                return

    def _saw(self, numbers: Sequence[int]) -> None:
        self._highest = max(self._highest, *numbers, 0)

    def _sync(self) -> None:
        """Ask for the time, beside what is being asked for anyway."""
        if self._redis.is_connected and (self._syncing is None or self._syncing.done()):
            asked = clock.perf()
            with contextlib.suppress(BackendError):  # if there is no room for it now, then later
                self._syncing = self._redis.submit("TIME", safe=True)
                self._syncing.add_done_callback(lambda found: self._synced(found, asked))

    def _synced(self, found: asyncio.Future[object], asked: float) -> None:
        if not found.cancelled() and found.exception() is None:
            seconds, micros = cast("tuple[bytes, bytes]", found.result())
            told = int(seconds) + int(micros) / 1e6
            self._time.sync(told + clock.travelled(), asked=asked)


def _value(raw: bytes | None, now: float) -> bytes | None:
    """Return the value in what is stored, unless it has ended or is none of ours."""
    if raw is None or len(raw) < _HEAD:
        return None
    (ends,) = _ends_of(raw)
    return raw[_HEAD:] if ends > now else None


def _end(head: bytes) -> float | None:
    if len(head) < _HEAD:
        return None
    ends: float = _ends_of(head)[0]
    return ends


def _epochs(raw: bytes | None) -> Epochs | None:
    try:
        hard, soft = (raw or b"").split()
        return Epochs(int(hard), int(soft))
    except ValueError:
        return None


def _seconds(ttl: float | None) -> str:
    return "" if ttl is None else repr(float(ttl))
