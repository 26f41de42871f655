"""Fills columns of the rows that are there, some at a time, so that nobody waits for long.

Where it is, is noted in the transaction of each batch: whatever stops it, it goes on there, and no row
is done twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from oxidite.clock import sleep
from oxidite.db.connections.base import Connection
from oxidite.db.migrations.operations import Backfill
from oxidite.db.migrations.specs import TableSpec
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.values.dialects import Dialect

__all__ = ["BackfillRun", "Key"]


class Key(msgspec.Struct, frozen=True):
    """The key of a row as it is noted: ``kind`` tells what ``value`` was."""

    kind: str
    value: int | str

    @classmethod
    def of(cls, value: object) -> Key:
        """Return a value of a driver so that it can be noted."""
        match value:
            case int():
                return cls("int", value)
            case bytes():
                return cls("bytes", value.hex())
            case _:
                # asyncpg has a subclass of UUID.
                return cls("uuid" if isinstance(value, UUID) else "str", str(value))

    def bound(self) -> object:
        """Return it as the driver takes it."""
        match self.kind:
            case "bytes":
                return bytes.fromhex(str(self.value))
            case "uuid":
                return UUID(str(self.value))
            case _:
                return self.value


class BackfillRun:
    """A backfill of one table on one connection."""

    def __init__(
        self, connection: Connection, dialect: Dialect, backfill: Backfill, table: TableSpec
    ) -> None:
        self._connection = connection
        self._backfill = backfill
        self._quote = DIALECTS[dialect.name].identifier_preparer.quote
        self._key = self._quote(next(each.name for each in table.columns if each.primary_key))
        self._marks = ("$1", "$2") if dialect.name == "postgresql" else ("?", "?")

    async def run(
        self,
        start: Key | None,
        keep: Callable[[Key], Awaitable[object]],
        told: Callable[[int], object],
    ) -> None:
        """Go on after ``start``; call ``keep`` in each transaction and ``told`` after it, with rows done."""
        key, done = start, 0
        while True:
            await self._connection.begin(isolation=None, read_only=False)
            try:
                found = await self._batch(key)
                if found is not None:
                    key = found[0]
                    await keep(key)
                await self._connection.commit()
            except BaseException:
                await self._connection.rollback()
                raise
            if found is None:
                return
            done += found[1]
            told(done)
            await sleep(self._backfill.pause)

    async def _batch(self, key: Key | None) -> tuple[Key, int] | None:
        """Do one batch; return its last key and how many rows it had."""
        table, mark = self._quote(self._backfill.table), self._marks
        where = [f"({self._backfill.where})"] if self._backfill.where else []
        after = [] if key is None else [f"{self._key} > {mark[0]}"]
        values: Sequence[object] = [] if key is None else [key.bound()]
        rows = await self._connection.fetch(
            f"SELECT {self._key} FROM {table}{_where([*after, *where])} "
            f"ORDER BY {self._key} LIMIT {self._backfill.batch}",
            values,
        )
        if not rows:
            return None
        last = rows[-1][0]
        pairs = ", ".join(
            f"{self._quote(each)} = {sql}" for each, sql in self._backfill.values.items()
        )
        upto = f"{self._key} <= {mark[len(values)]}"
        await self._connection.run(
            f"UPDATE {table} SET {pairs}{_where([*after, upto, *where])}", [*values, last]
        )
        return Key.of(last), len(rows)


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
