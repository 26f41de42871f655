"""A cache in a database, as one object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from secrets import token_hex
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlencode

from oxidite import clock
from oxidite.cache.backends.sql.bus import Bus, ChannelBus, Ears, PolledBus
from oxidite.cache.backends.sql.postgresql import PostgreSQLSteps
from oxidite.cache.backends.sql.rates import SQLRates
from oxidite.cache.backends.sql.steps import StoreSteps, size_of
from oxidite.cache.backends.sql.store import Store
from oxidite.cache.backends.sql.sweeping import Sweeper
from oxidite.cache.base import CacheBackend, Claimed, Epochs, Item, Listener, Stats, Stored
from oxidite.cache.storetime import StoreTime
from oxidite.config import parse_size
from oxidite.db.connections.base import Driver
from oxidite.db.connections.options import PoolOptions
from oxidite.db.database import Database
from oxidite.db.drivers import drivers
from oxidite.errors import ConfigError
from oxidite.rates import RateStore

__all__ = ["SQLBackend"]

_MAX_SIZE = 256 * 1024 * 1024
_SYNC = 60.0
"""Seconds after which the database is asked for its time again."""
_QUESTIONS, _PROMPT = 3, 0.05
"""How often it is asked, until the answer comes in so many seconds: a later one says little."""
_POOL = {"pool_size": "5", "pool_leak": "0"}
"""One connection of these listens all the time, and is no leak."""
_POLLS = {"sqlite": 0.03, "mariadb": 0.1, "mysql": 0.1}
"""Seconds between two questions for changes, where the database does not tell of them."""
_MANY = 500


class SQLBackend(CacheBackend):
    """Keeps values in SQLite, PostgreSQL or MariaDB, on connections of its own.

    About ``max_size`` bytes are kept; what was written first makes room. A call that takes longer than
    ``timeout`` seconds fails.
    """

    is_shared: bool = True

    def __init__(self, driver: Driver, *, max_size: int = _MAX_SIZE, timeout: float = 2.0) -> None:
        if max_size < 1 or timeout <= 0:
            raise ConfigError(
                f"max_size={max_size} and timeout={timeout:g}: both are larger than 0."
            )
        self.max_size: int = max_size
        self.is_shared = not driver.has_one_connection
        self._store = Store(driver, timeout=timeout)
        self._sweeper = Sweeper(self._store, max_size)
        self._rates = SQLRates(self._store, self._sweeper)
        self._time = StoreTime()
        self._origin = token_hex(8)
        self._ears = Ears(self._origin)
        self._bus: Bus | None = None
        self._steps: StoreSteps

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """Make one from ``db``, ``db://name``, or the URL of a database.

        ``db`` is a place beside the ``Database`` among ``resources``.

        Raises:
            ConfigError: there is no such database, or more than one, or the URL says something else.
        """
        said = dict(parse_qsl(url.query, keep_blank_values=True))
        own: dict[str, float] = {}
        size, timeout = said.pop("max_size", None), said.pop("timeout", None)
        max_size = _MAX_SIZE if size is None else _bytes(size)
        if timeout is not None:
            own["timeout"] = _seconds(timeout)
        if url.scheme == "db":
            if said or url.path.strip("/"):
                raise ConfigError(
                    "A cache beside a database is db, or db://name, with max_size= and timeout= only; "
                    "the rest is as the URL of the database says."
                )
            found = _database(url.netloc, resources)
            pool = PoolOptions(pool_size=5, pool_leak=0.0)
            return cls(found.driver.beside("cache", pool), max_size=max_size, **own)
        defaults = {**_POOL, "busy_timeout": "1"} if url.scheme == "sqlite" else _POOL
        query = urlencode({**defaults, **said})
        driver = drivers.create(f"{url.scheme}://{url.netloc}{url.path}?{query}")
        return cls(driver, max_size=max_size, **own)

    @classmethod
    def beside(cls, database: Database, *, max_size: int = _MAX_SIZE) -> Self:
        """Make one beside a database: what ``db`` means, where no lifespan has opened it."""
        pool = PoolOptions(pool_size=5, pool_leak=0.0)
        return cls(database.driver.beside("cache", pool), max_size=max_size)

    async def __aenter__(self) -> Self:
        await self._store.open()
        try:
            await self._begin()
        except BaseException:
            await self._store.close()
            raise
        return self

    async def _begin(self) -> None:
        dialect = self._store.dialect
        if dialect.name == "postgresql":
            steps = PostgreSQLSteps(dialect, self._origin)
            channel = await self._store.read(steps.find_channel)
            self._steps = steps
            if self._store.driver.has_channels:
                self._bus = ChannelBus(self._store, self._ears, channel)
        else:
            self._steps = StoreSteps(dialect, self._origin, tells=self.is_shared)
            if self.is_shared:
                self._bus = PolledBus(self._store, self._ears, _POLLS[dialect.name])
        await self._sync()
        if self._bus is not None and self._ears.are_any:
            await self._bus.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._bus is not None:
            await self._bus.close()
            self._bus = None
        await self._sweeper.close()
        await self._store.close()

    @property
    def rates(self) -> RateStore:
        """Counts for limits, in the same database."""
        return self._rates

    def now(self) -> float:
        """Return the time of the database in seconds since 1970."""
        return self._time.now()

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` what other processes change, from the opening on."""
        self._ears.add(listener)
        if self._bus is not None:
            self._bus.start()

    async def _sync(self) -> None:
        for _ in range(_QUESTIONS):
            asked = clock.perf()
            self._time.sync(await self._store.read(self._steps.time), asked=asked)
            if clock.perf() - asked < _PROMPT:
                return

    # Values

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return values."""
        if self._time.is_older(_SYNC):
            await self._sync()
        if len(keys) == 1:
            return [await self._store.read(self._steps.get, keys[0])]
        found: list[bytes | None] = []
        for start in range(0, len(keys), _MANY):
            part = keys[start : start + _MANY]
            found += await self._store.read(self._steps.get_many, part)
        return found

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep values; what is larger than all the room is only deleted."""
        if not items:
            return
        last = {item.key: item for item in items}
        large = [key for key, item in last.items() if size_of(key, item.value) > self.max_size]
        await self.delete_many(large)
        fitting = [last[key] for key in last.keys() - set(large)]
        if fitting:
            await self._store.write(self._steps.set_many, fitting)
            self._sweeper.wrote(sum(size_of(item.key, item.value) for item in fitting))

    async def add(self, item: Item) -> bool:
        """Keep a value if there is none."""
        is_new = await self._store.write(self._steps.add, item)
        self._sweeper.wrote(size_of(item.key, item.value))
        return is_new

    async def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add to a number."""
        total = await self._store.write(self._steps.incr, key, by, ttl)
        self._sweeper.wrote(size_of(key, b""))
        return total

    async def touch(self, key: str, ttl: float | None) -> bool:
        """Let a value live on."""
        return bool(await self._store.write(self._steps.touch, key, ttl))

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Delete values."""
        if not keys:
            return 0
        count = await self._store.write(self._steps.delete_many, keys)
        self._sweeper.wrote(0)
        return count

    async def clear(self, prefix: str) -> None:
        """Delete every value that begins so; it takes as long as it takes."""
        await self._store.write_long(self._steps.clear, prefix)

    async def scan(self, prefix: str) -> AsyncIterator[Stored]:
        """Go through the values that begin so."""
        after = ""
        while part := await self._store.read(self._steps.scan, prefix, after):
            for each in part:
                yield each
            after = part[-1].key

    async def stats(self) -> Stats:
        """Return what is held."""
        return await self._store.read(self._steps.stats, self.max_size)

    # Tags

    async def epochs(self, tags: Sequence[str]) -> list[Epochs | None]:
        """Return the epochs of tags."""
        return await self._store.read(self._steps.epochs, tags) if tags else []

    async def invalidate(self, tags: Sequence[str], *, soft: bool) -> None:
        """Invalidate tags."""
        if tags:
            await self._store.write(self._steps.invalidate, tags, soft=soft)
            self._sweeper.wrote(0)

    # Making a value once

    async def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Claimed:
        """Claim the making of a value."""
        return await self._store.write(self._steps.claim, key, token, lease, tags)

    async def renew(self, key: str, token: str, lease: float) -> bool:
        """Hold a claim."""
        return bool(await self._store.write(self._steps.renew, key, token, lease))

    async def fill(self, item: Item, token: str) -> bool:
        """Keep what was made."""
        if size_of(item.key, item.value) > self.max_size:
            await self.release(item.key, token)
            return False
        is_kept = await self._store.write(self._steps.fill, item, token)
        self._sweeper.wrote(size_of(item.key, item.value))
        return is_kept

    async def release(self, key: str, token: str) -> None:
        """End a claim."""
        await self._store.write(self._steps.release, key, token)

    # Locks

    async def acquire(self, name: str, owner: str, slots: int, ttl: float) -> int | None:
        """Take a place."""
        number = await self._store.write(self._steps.acquire, name, owner, slots, ttl)
        self._sweeper.wrote(0)
        return number

    async def extend(self, name: str, owner: str, ttl: float) -> bool:
        """Hold a place."""
        return bool(await self._store.write(self._steps.extend, name, owner, ttl))

    async def leave(self, name: str, owner: str) -> bool:
        """Give a place back."""
        return bool(await self._store.write(self._steps.leave, name, owner))


def _database(name: str, resources: Sequence[object]) -> Database:
    found = [each for each in resources if isinstance(each, Database)]
    meant = [each for each in found if each.name == (name or None)]
    if len(meant) == 1:
        return meant[0]
    url = f"db://{name}" if name else "db"
    if not meant:
        named = f", name={name!r}" if name else ""
        raise ConfigError(
            f"The cache is to be in {url}, and no such database was opened before it. Name both, in this "
            f"order: Oxidite(resources=[db, cache]), with db = Database.from_url(…{named})."
        )
    raise ConfigError(
        f"The cache is to be in {url}, and {len(meant)} databases are that. Name them, as in "
        "other = Database.from_url(…, name='other'), and one of them in the URL of the cache, "
        "db://other: Oxidite(resources=[db, other, cache])."
    )


def _bytes(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        raise ConfigError(f"max_size={text} is no size such as 64MB or 1GiB.") from None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"timeout={text} is no number of seconds.") from None
