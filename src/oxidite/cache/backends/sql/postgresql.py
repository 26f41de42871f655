"""What the methods of the cache are in PostgreSQL: one statement each, so one way to the server.

Others are told by ``pg_notify`` in the same statement, so what was undone is told to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from oxidite.cache.backends.sql.steps import StoreSteps, size_of
from oxidite.cache.base import Claimed, Item
from oxidite.db.connections.steps import Steps
from oxidite.db.values.dialects import Dialect
from oxidite.errors import BackendError

__all__ = ["PostgreSQLSteps"]

_LONGEST = 7000
"""Bytes of a message; the server takes 8000."""
_ENDS = "{now} + :ttl::float8"
_KNOW = (
    "INSERT INTO ox_cache_tags (name, hard, soft, made) "
    "SELECT t.name, s.number, s.number, {now} FROM unnest(:tags::text[]) AS t (name), "
    "ox_cache_state AS s WHERE s.id = 1%s ON CONFLICT (name) DO NOTHING"
)
_OVER = (
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value, ends = excluded.ends, "
    "made = excluded.made, size = excluded.size"
)
_REVOKE = "DELETE FROM ox_cache_claims WHERE name = ANY(:names::text[])"
_TOLD = "SELECT pg_notify(:channel, n.note) FROM unnest(:notes::text[]) AS n (note)"
# Claims go first, here as everywhere: what counts them is asked for before the first value is kept.
_SET = (
    f"WITH revoked AS ({_REVOKE} RETURNING 1), known AS ({_KNOW % ''}), "  # noqa: S608 - ours
    "kept AS (INSERT INTO ox_cache (name, value, ends, made, size) "
    "SELECT i.name, i.value, {now} + i.ttl, {now}, i.size FROM "
    "unnest(:keys::text[], :items::bytea[], :ttls::float8[], :sizes::bigint[]) "
    f"AS i (name, value, ttl, size) WHERE (SELECT count(*) FROM revoked) >= 0 {_OVER}) {_TOLD}"
)
_ADD = (
    f"WITH kept AS (INSERT INTO ox_cache (name, value, ends, made, size) "  # noqa: S608 - ours
    f"VALUES (:name, :value, {_ENDS}, {{now}}, :size) {_OVER} WHERE ox_cache.ends <= {{now}} "
    f"RETURNING name), known AS ({_KNOW % ' AND EXISTS (SELECT FROM kept)'}), "
    "revoked AS (DELETE FROM ox_cache_claims WHERE name IN (SELECT name FROM kept)) "
    "SELECT pg_notify(:channel, :note) FROM kept"
)
_OLD = (
    "CASE WHEN ox_cache.ends <= {now} THEN 0 ELSE convert_from(ox_cache.value, 'UTF8')::bigint END"
)
_INCR = (
    "WITH kept AS (INSERT INTO ox_cache (name, value, ends, made, size) "  # noqa: S608 - ours
    f"VALUES (:name, convert_to(:by::bigint::text, 'UTF8'), {_ENDS}, {{now}}, :size) "
    "ON CONFLICT (name) DO UPDATE SET "
    f"value = convert_to(({_OLD} + :by::bigint)::text, 'UTF8'), "
    "made = CASE WHEN ox_cache.ends <= {now} THEN excluded.made ELSE ox_cache.made END, "
    "ends = CASE WHEN ox_cache.ends <= {now} THEN excluded.ends ELSE ox_cache.ends END "
    "RETURNING value) "
    "SELECT convert_from(kept.value, 'UTF8')::bigint, pg_notify(:channel, :note) FROM kept"
)
_DELETE = (
    f"WITH revoked AS ({_REVOKE} RETURNING 1), "  # noqa: S608 - ours
    "gone AS (DELETE FROM ox_cache WHERE name = ANY(:names::text[]) "
    "AND (SELECT count(*) FROM revoked) >= 0 RETURNING ends IS NULL OR ends > {now} AS lived), "
    f"told AS ({_TOLD}) "
    "SELECT (SELECT count(*) FROM gone WHERE lived), (SELECT count(*) FROM told)"
)
_FILL = (
    "WITH held AS (DELETE FROM ox_cache_claims WHERE name = :name AND token = :token "  # noqa: S608 - ours
    f"AND ends > {{now}} RETURNING name), known AS ({_KNOW % ' AND EXISTS (SELECT FROM held)'}), "
    "kept AS (INSERT INTO ox_cache (name, value, ends, made, size) "
    f"SELECT held.name, :value::bytea, {_ENDS}, {{now}}, :size::bigint FROM held {_OVER}) "
    "SELECT pg_notify(:channel, :note) FROM held"
)
_CLAIM = (
    f"WITH known AS ({_KNOW % ''}) "  # noqa: S608 - ours
    "INSERT INTO ox_cache_claims (name, token, ends) VALUES (:name, :token, {now} + :lease::float8) "
    "ON CONFLICT (name) DO UPDATE SET token = excluded.token, ends = excluded.ends "
    "WHERE ox_cache_claims.ends <= {now} RETURNING 1"
)
_INVALIDATE = (
    "WITH next AS (UPDATE ox_cache_state SET number = number + 1 "
    "WHERE id = 1 RETURNING number), "
    "given AS (INSERT INTO ox_cache_tags (name, hard, soft, made) "
    "SELECT t.name, next.number, next.number, {now} FROM next, unnest(:tags::text[]) AS t (name) "
    "ON CONFLICT (name) DO UPDATE SET soft = excluded.soft, made = excluded.made, "
    "hard = CASE WHEN :is_soft THEN ox_cache_tags.hard ELSE excluded.hard END "
    "RETURNING name, hard, soft) "
    "SELECT pg_notify(:channel, json_build_array(:origin::text, 'tag', name, hard, soft)::text) "
    "FROM given"
)


class PostgreSQLSteps(StoreSteps):
    """What is done, each by itself; ``channel`` is where others listen."""

    def __init__(self, dialect: Dialect, origin: str) -> None:
        super().__init__(dialect, origin, tells=False)
        self.channel: str = "ox_cache"

    def find_channel(self) -> Steps[str]:
        """Ask for the name of the channel: that of these tables, as schemas have tables of their own."""
        rows = yield from self._fetched("SELECT 'ox_cache'::regclass::oid::bigint", apart=True)
        self.channel = f"ox_cache_{rows[0][0]}"
        return self.channel

    def set_many(self, items: Sequence[Item]) -> Steps[None]:
        """Keep values."""
        last = sorted({item.key: item for item in items}.values(), key=lambda item: item.key)
        names = [item.key for item in last]
        yield from self._fetched(
            _SET,
            apart=True,
            names=names,
            keys=names,
            items=[item.value for item in last],
            ttls=[item.ttl for item in last],
            sizes=[size_of(item.key, item.value) for item in last],
            tags=sorted({tag for item in last for tag in item.tags}),
            channel=self.channel,
            notes=list(self._notes(names)),
        )

    def add(self, item: Item) -> Steps[bool]:
        """Keep a value if there is none."""
        rows = yield from self._fetched(
            _ADD,
            apart=True,
            name=item.key,
            value=item.value,
            ttl=item.ttl,
            size=size_of(item.key, item.value),
            tags=sorted(set(item.tags)),
            channel=self.channel,
            note=self._note([item.key]),
        )
        return bool(rows)

    def incr(self, key: str, by: int, ttl: float | None) -> Steps[int]:
        """Add to a number."""
        if not -(2**63) <= by < 2**63:
            raise BackendError(f"{by}, to be added to {key}, is beyond 64 bits.")
        rows = yield from self._fetched(
            _INCR,
            apart=True,
            name=key,
            by=by,
            ttl=ttl,
            size=size_of(key, b"0"),
            channel=self.channel,
            note=self._note([key]),
        )
        return int(rows[0][0])

    def delete_many(self, keys: Sequence[str]) -> Steps[int]:
        """Delete values."""
        rows = yield from self._fetched(
            _DELETE, apart=True, names=keys, channel=self.channel, notes=list(self._notes(keys))
        )
        return int(rows[0][0])

    def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Steps[Claimed]:
        """Claim the making of a value; two statements, as the second must see what the first waited for."""
        rows = yield from self._fetched(
            _CLAIM, apart=True, name=key, token=token, lease=lease, tags=sorted(set(tags))
        )
        return (yield from self._claimed(key, granted=bool(rows)))

    def fill(self, item: Item, token: str) -> Steps[bool]:
        """Keep what was made."""
        rows = yield from self._fetched(
            _FILL,
            apart=True,
            name=item.key,
            token=token,
            value=item.value,
            ttl=item.ttl,
            size=size_of(item.key, item.value),
            tags=sorted(set(item.tags)),
            channel=self.channel,
            note=self._note([item.key]),
        )
        return bool(rows)

    def invalidate(self, tags: Sequence[str], *, soft: bool) -> Steps[None]:
        """Give tags the next number."""
        yield from self._fetched(
            _INVALIDATE,
            apart=True,
            tags=sorted(set(tags)),
            is_soft=soft,
            channel=self.channel,
            origin=self.origin,
        )

    def _tell_one(self, kind: str, name: str) -> Steps[None]:
        note = json.dumps([self.origin, kind, name])
        yield from self._fetched(
            "SELECT pg_notify(:channel, :note)", channel=self.channel, note=note
        )

    def _note(self, names: Sequence[str]) -> str:
        return json.dumps([self.origin, "key", *names])

    def _notes(self, names: Sequence[str]) -> Iterator[str]:
        """Say which keys have changed, in as few messages as they fit into."""
        part: list[str] = []
        size = 0
        for name in names:
            # As much as it may be when it is escaped.
            size += 2 * len(name) + 4
            if size > _LONGEST and part:
                yield self._note(part)
                part, size = [], 2 * len(name) + 4
            part.append(name)
        if part:
            yield self._note(part)
