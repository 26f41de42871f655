"""What each method of the cache does, as SQL: for SQLite and MariaDB. PostgreSQL has ways of its own.

Whatever is more than one statement is a transaction. Names come and go in order, so that two that have
several of them in common wait for each other instead of standing in each other's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxidite.cache.backends.sql.statements import Statements
from oxidite.cache.backends.sql.tables import EPOCHS, FENCES
from oxidite.cache.base import Claimed, Epochs, Item, Stats, Stored
from oxidite.db.connections.steps import Steps
from oxidite.db.values.dialects import Dialect
from oxidite.errors import BackendError

__all__ = ["OVERHEAD", "StoreSteps", "size_of"]

OVERHEAD = 100
"""Bytes that a value takes beside itself and its key, about."""
_LARGEST = 2**63 - 1

_KEEP = {
    "sqlite": (
        "INSERT INTO ox_cache (name, value, ends, made, size) "
        "VALUES (:name, :value, {now} + :ttl, {now}, :size) ON CONFLICT (name) DO UPDATE SET "
        "value = excluded.value, ends = excluded.ends, made = excluded.made, size = excluded.size"
    ),
    "mysql": (
        "INSERT INTO ox_cache (name, value, ends, made, size) "
        "VALUES (:name, :value, {now} + :ttl, {now}, :size) ON DUPLICATE KEY UPDATE "
        "value = VALUES(value), ends = VALUES(ends), made = VALUES(made), size = VALUES(size)"
    ),
}
_INVALIDATE = {
    "sqlite": (
        "INSERT INTO ox_cache_tags (name, hard, soft, made) "
        "SELECT n.name, :number, :number, {now} FROM {names} AS n WHERE true "
        "ON CONFLICT (name) DO UPDATE SET soft = excluded.soft, made = excluded.made, "
        "hard = CASE WHEN :is_soft THEN hard ELSE excluded.hard END"
    ),
    "mysql": (
        "INSERT INTO ox_cache_tags (name, hard, soft, made) "
        "SELECT n.name, :number, :number, {now} FROM {names} AS n "
        "ON DUPLICATE KEY UPDATE soft = VALUES(soft), made = VALUES(made), "
        "hard = CASE WHEN :is_soft THEN hard ELSE VALUES(hard) END"
    ),
}


def size_of(name: str, value: bytes) -> int:
    """Return how many bytes a value counts for."""
    return len(name) + len(value) + OVERHEAD


class StoreSteps(Statements):
    """What is done; ``origin`` names who does it, so that others hear of it and he does not."""

    def __init__(self, dialect: Dialect, origin: str, *, tells: bool) -> None:
        super().__init__(dialect)
        self.origin: str = origin
        self._tells = tells

    # Values

    def time(self) -> Steps[float]:
        """Ask the database what time it is."""
        rows = yield from self._fetched("SELECT {now}", apart=True)
        return float(rows[0][0])

    def get(self, key: str) -> Steps[bytes | None]:
        """Return a value."""
        sql = "SELECT value FROM ox_cache WHERE name = :name AND {lives}"
        rows = yield from self._fetched(sql, apart=True, name=key)
        return rows[0][0] if rows else None

    def get_many(self, keys: Sequence[str]) -> Steps[list[bytes | None]]:
        """Return values."""
        sql = "SELECT name, value FROM ox_cache WHERE name IN {names} AND {lives}"
        found = dict((yield from self._fetched(sql, apart=True, names=keys)))
        return [found.get(key) for key in keys]

    def set_many(self, items: Sequence[Item]) -> Steps[None]:
        """Keep values."""
        names = [item.key for item in items]
        yield from self._revoke(names)
        yield from self._keep(items)
        yield from self._tell(names)

    def _keep(self, items: Sequence[Item]) -> Steps[None]:
        yield from self._know(sorted({tag for item in items for tag in item.tags}))
        for item in sorted({item.key: item for item in items}.values(), key=_key):
            yield from self._changed(
                _KEEP[self._kind],
                name=item.key,
                value=item.value,
                ttl=item.ttl,
                size=size_of(item.key, item.value),
            )

    def add(self, item: Item) -> Steps[bool]:
        """Keep a value if there is none."""
        is_new = yield from self._begin(item.key, item.value, item.ttl)
        if is_new:
            yield from self._revoke([item.key])
            yield from self._know(item.tags)
            yield from self._tell([item.key])
        return is_new

    def _begin(self, key: str, value: bytes, ttl: float | None) -> Steps[bool]:
        """Keep a value unless there is one that lives; tell whether there was none."""
        about: dict[str, Any] = {
            "name": key,
            "value": value,
            "ttl": ttl,
            "size": size_of(key, value),
        }
        # In this order: MariaDB shares the lock of what it ignores, and two could then not change it.
        replaced = yield from self._changed(
            "UPDATE ox_cache SET value = :value, ends = {now} + :ttl, made = {now}, size = :size "
            "WHERE name = :name AND ends <= {now}",
            **about,
        )
        if replaced:
            return True
        inserted = yield from self._changed(
            "{ignore} INTO ox_cache (name, value, ends, made, size) "
            "VALUES (:name, :value, {now} + :ttl, {now}, :size)",
            **about,
        )
        return bool(inserted)

    def incr(self, key: str, by: int, ttl: float | None) -> Steps[int]:
        """Add to a number."""
        while not (rows := (yield from self._number(key))):
            if (yield from self._begin(key, _digits(key, by), ttl)):
                yield from self._tell([key])
                return by
            # Somebody else was first, just now.
        total = by + _number(rows[0][0])
        yield from self._changed(
            "UPDATE ox_cache SET value = :value WHERE name = :name",
            name=key,
            value=_digits(key, total),
        )
        yield from self._tell([key])
        return total

    def _number(self, key: str) -> Steps[Sequence[Any]]:
        return self._fetched(
            "SELECT value FROM ox_cache WHERE name = :name AND {lives}{for update}", name=key
        )

    def touch(self, key: str, ttl: float | None) -> Steps[int]:
        """Let a value live on."""
        sql = "UPDATE ox_cache SET ends = {now} + :ttl WHERE name = :name AND {lives}"
        return self._changed(sql, apart=True, name=key, ttl=ttl)

    def delete_many(self, keys: Sequence[str]) -> Steps[int]:
        """Delete values."""
        yield from self._revoke(keys)
        # What is not there any more does not count.
        yield from self._changed(
            "DELETE FROM ox_cache WHERE name IN {names} AND ends <= {now}", names=keys
        )
        count = yield from self._changed("DELETE FROM ox_cache WHERE name IN {names}", names=keys)
        yield from self._tell(keys)
        return count

    def clear(self, prefix: str) -> Steps[None]:
        """Delete what begins so."""
        for table in ("ox_cache_claims", "ox_cache"):
            sql = f"DELETE FROM {table}"  # noqa: S608 - one of these two
            if prefix:
                low, high = _range(prefix)
                yield from self._changed(
                    f"{sql} WHERE name >= :low AND name < :high", low=low, high=high
                )
            else:
                # In SQLite a table as a whole is emptied without a look at its rows.
                yield from self._changed(sql)
        yield from self._tell_one("clear", prefix)

    def scan(self, prefix: str, after: str) -> Steps[list[Stored]]:
        """Return what begins so, as many as go together, from the one after ``after`` on."""
        sql = (
            "SELECT name, size, ends - {now} FROM ox_cache WHERE name > :after AND name >= :low "
            "AND name < :high AND {lives} ORDER BY name LIMIT 500"
        )
        low, high = _range(prefix)
        rows = yield from self._fetched(sql, apart=True, after=after, low=low, high=high)
        return [Stored(name, size - len(name) - OVERHEAD, left) for name, size, left in rows]

    def stats(self, limit: int) -> Steps[Stats]:
        """Return what is held."""
        rows = yield from self._fetched(
            "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM ox_cache", apart=True
        )
        return Stats(int(rows[0][0]), int(rows[0][1]), limit)

    # Tags

    def epochs(self, tags: Sequence[str]) -> Steps[list[Epochs | None]]:
        """Return the epochs of tags."""
        sql = "SELECT name, hard, soft FROM ox_cache_tags WHERE name IN {names}"
        rows = yield from self._fetched(sql, apart=True, names=tags)
        found = {name: Epochs(hard, soft) for name, hard, soft in rows}
        return [found.get(tag) for tag in tags]

    def invalidate(self, tags: Sequence[str], *, soft: bool) -> Steps[None]:
        """Give tags the next number."""
        number = yield from self._next(EPOCHS)
        yield from self._changed(
            _INVALIDATE[self._kind], names=tags, number=number, is_soft=int(soft)
        )
        if self._tells:
            yield from self._changed(
                "INSERT INTO ox_cache_changes (origin, kind, name, hard, soft) "
                "SELECT :origin, 'tag', name, hard, soft FROM ox_cache_tags WHERE name IN {names}",
                origin=self.origin,
                names=tags,
            )

    def _know(self, tags: Sequence[str]) -> Steps[None]:
        if tags:
            yield from self._changed(
                "{ignore} INTO ox_cache_tags (name, hard, soft, made) "
                "SELECT n.name, s.number, s.number, {now} FROM {names} AS n, ox_cache_state AS s "
                "WHERE s.id = 1",
                names=tags,
            )

    def _next(self, row: int) -> Steps[int]:
        yield from self._changed(
            "UPDATE ox_cache_state SET number = number + 1 WHERE id = :id", id=row
        )
        rows = yield from self._fetched("SELECT number FROM ox_cache_state WHERE id = :id", id=row)
        return int(rows[0][0])

    # Claims

    def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Steps[Claimed]:
        """Claim the making of a value."""
        yield from self._know(tags)
        about: dict[str, Any] = {"name": key, "token": token, "lease": lease}
        granted = yield from self._changed(
            "UPDATE ox_cache_claims SET token = :token, ends = {now} + :lease "
            "WHERE name = :name AND ends <= {now}",
            **about,
        )
        if not granted:
            granted = yield from self._changed(
                "{ignore} INTO ox_cache_claims (name, token, ends) "
                "VALUES (:name, :token, {now} + :lease)",
                **about,
            )
        return (yield from self._claimed(key, granted=bool(granted)))

    def _claimed(self, key: str, *, granted: bool) -> Steps[Claimed]:
        # After the claim: what another has made until then is seen.
        rows = yield from self._fetched(
            "SELECT s.number, c.value FROM ox_cache_state AS s LEFT JOIN ox_cache AS c "
            "ON c.name = :name AND {lives} WHERE s.id = 1",
            name=key,
        )
        return Claimed(granted, rows[0][0], rows[0][1])

    def renew(self, key: str, token: str, lease: float) -> Steps[int]:
        """Hold a claim."""
        return self._changed(
            "UPDATE ox_cache_claims SET ends = {now} + :lease "
            "WHERE name = :name AND token = :token AND ends > {now}",
            apart=True,
            name=key,
            token=token,
            lease=lease,
        )

    def fill(self, item: Item, token: str) -> Steps[bool]:
        """Keep what was made."""
        held = yield from self._changed(
            "DELETE FROM ox_cache_claims WHERE name = :name AND token = :token AND ends > {now}",
            name=item.key,
            token=token,
        )
        if held:
            yield from self._keep([item])
            yield from self._tell([item.key])
        return bool(held)

    def release(self, key: str, token: str) -> Steps[int]:
        """End a claim."""
        return self._changed(
            "DELETE FROM ox_cache_claims WHERE name = :name AND token = :token",
            apart=True,
            name=key,
            token=token,
        )

    def _revoke(self, names: Sequence[str]) -> Steps[None]:
        yield from self._changed("DELETE FROM ox_cache_claims WHERE name IN {names}", names=names)

    # Locks

    def acquire(self, name: str, owner: str, slots: int, ttl: float) -> Steps[int | None]:
        """Take a place."""
        # Whoever wants one waits for this row, so that nobody takes one in between.
        rows = yield from self._fetched(
            "SELECT number FROM ox_cache_state WHERE id = :id{for update}", id=FENCES
        )
        number = int(rows[0][0]) + 1
        held = yield from self._fetched(
            "SELECT owner, number FROM ox_cache_locks WHERE name = :name AND ends > {now}",
            name=name,
        )
        holders: dict[str, int] = dict(held)
        if owner in holders:
            yield from self.extend(name, owner, ttl)
            return holders[owner]
        if len(holders) >= slots:
            return None
        yield from self._changed(
            "UPDATE ox_cache_state SET number = :number WHERE id = :id", number=number, id=FENCES
        )
        yield from self._changed(
            "DELETE FROM ox_cache_locks WHERE name = :name AND ends <= {now}", name=name
        )
        yield from self._changed(
            "INSERT INTO ox_cache_locks (name, owner, number, ends) "
            "VALUES (:name, :owner, :number, {now} + :ttl)",
            name=name,
            owner=owner,
            number=number,
            ttl=ttl,
        )
        return number

    def extend(self, name: str, owner: str, ttl: float) -> Steps[int]:
        """Hold a place."""
        return self._changed(
            "UPDATE ox_cache_locks SET ends = {now} + :ttl "
            "WHERE name = :name AND owner = :owner AND ends > {now}",
            apart=True,
            name=name,
            owner=owner,
            ttl=ttl,
        )

    def leave(self, name: str, owner: str) -> Steps[int]:
        """Give a place back."""
        return self._changed(
            "DELETE FROM ox_cache_locks WHERE name = :name AND owner = :owner AND ends > {now}",
            apart=True,
            name=name,
            owner=owner,
        )

    # What others are told

    def _tell(self, names: Sequence[str]) -> Steps[None]:
        if self._tells:
            yield from self._changed(
                "INSERT INTO ox_cache_changes (origin, kind, name, hard, soft) "
                "SELECT :origin, 'key', n.name, 0, 0 FROM {names} AS n",
                origin=self.origin,
                names=names,
            )

    def _tell_one(self, kind: str, name: str) -> Steps[None]:
        if self._tells:
            yield from self._changed(
                "INSERT INTO ox_cache_changes (origin, kind, name, hard, soft) "
                "VALUES (:origin, :kind, :name, 0, 0)",
                origin=self.origin,
                kind=kind,
                name=name,
            )


def _key(item: Item) -> str:
    return item.key


def _range(prefix: str) -> tuple[str, str]:
    """Return where names that begin so begin and end: a range of the index, unlike LIKE."""
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\x7f"


def _number(value: bytes) -> int:
    try:
        return int(value)
    except ValueError:
        raise BackendError("What is stored there is no number, so nothing can be added.") from None


def _digits(key: str, number: int) -> bytes:
    if not -_LARGEST - 1 <= number <= _LARGEST:
        raise BackendError(f"The number under {key} would be {number}, beyond 64 bits.")
    return str(number).encode()
