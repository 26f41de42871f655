"""The table ``oxidite_migrations``: what was done to a database, and how far.

``position`` counts the steps of a migration that is not finished, ``progress`` is where its backfill
is. Both change in the transaction of the step, where the database has such transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oxidite.clock import now
from oxidite.db.connections.base import Connection
from oxidite.db.values.dialects import Dialect

__all__ = ["TABLE", "Applied", "Tracking"]

TABLE = "oxidite_migrations"

_COLUMNS = (
    "id",
    "name",
    "checksum",
    "batch",
    "applied_at",
    "took_ms",
    "state",
    "position",
    "progress",
)
_CREATE = f"""\
CREATE TABLE IF NOT EXISTS {TABLE} (
    id VARCHAR(20) NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    batch INTEGER NOT NULL,
    applied_at VARCHAR(32) NOT NULL,
    took_ms INTEGER NOT NULL,
    state VARCHAR(8) NOT NULL,
    position INTEGER NOT NULL,
    progress TEXT
)"""


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that was done, or begun."""

    id: str
    name: str
    checksum: str
    batch: int
    applied_at: str
    """When, in UTC, as ISO 8601."""
    took_ms: int
    state: Literal["done", "up", "down"] = "done"
    """Done, or on its way ``up`` or ``down``."""
    position: int = 0
    """How many of its steps are done, if it is not finished."""
    progress: str | None = None
    """JSON: what was done up to ``position``, and the key up to which a backfill has come."""

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.state == "done"


_EXISTS = {
    "sqlite": f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{TABLE}'",
    "postgresql": f"SELECT 1 WHERE to_regclass('{TABLE}') IS NOT NULL",
}
_EXISTS_ELSEWHERE = (
    "SELECT 1 FROM information_schema.tables "
    f"WHERE table_schema = DATABASE() AND table_name = '{TABLE}'"
)


class Tracking:
    """Reads and writes the table on one connection."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self._connection = connection
        self._exists = _EXISTS.get(dialect.name, _EXISTS_ELSEWHERE)
        self._is_postgresql = dialect.name == "postgresql"

    async def prepare(self) -> None:
        """Create the table, if it is not there."""
        await self._connection.run(_CREATE, ())

    async def all(self) -> list[Applied]:
        """Return what was done, in the order of the migrations; nothing if there is no table."""
        if not await self._connection.fetch(self._exists, ()):
            return []
        names = ", ".join(_COLUMNS)
        rows = await self._connection.fetch(f"SELECT {names} FROM {TABLE} ORDER BY id", ())
        return [_applied(row) for row in rows]

    async def find(self, id_: str) -> Applied | None:
        """Return what is known of one migration."""
        return next((each for each in await self.all() if each.id == id_), None)

    async def insert(self, applied: Applied) -> None:
        """Note a migration."""
        values = self._values(applied)
        marks = ", ".join(self._marks(len(values)))
        await self._connection.run(
            f"INSERT INTO {TABLE} ({', '.join(_COLUMNS)}) VALUES ({marks})", values
        )

    async def update(self, applied: Applied) -> None:
        """Note how a migration stands."""
        first, *values = self._values(applied)
        *marks, last = self._marks(len(values) + 1)
        pairs = ", ".join(
            f"{name} = {mark}" for name, mark in zip(_COLUMNS[1:], marks, strict=True)
        )
        await self._connection.run(
            f"UPDATE {TABLE} SET {pairs} WHERE id = {last}", [*values, first]
        )

    async def delete(self, id_: str) -> None:
        """Forget a migration."""
        await self._connection.run(f"DELETE FROM {TABLE} WHERE id = {self._marks(1)[0]}", (id_,))

    async def exchange(self, old: Sequence[Applied], new: Applied) -> None:
        """Note one migration in the place of others."""
        await self._connection.begin(isolation=None, read_only=False)
        try:
            for each in old:
                await self.delete(each.id)
            await self.insert(new)
            await self._connection.commit()
        except BaseException:
            await self._connection.rollback()
            raise

    def _marks(self, count: int) -> Sequence[str]:
        if self._is_postgresql:
            return [f"${place}" for place in range(1, count + 1)]
        return ["?"] * count

    def _values(self, applied: Applied) -> list[object]:
        return [getattr(applied, name) for name in _COLUMNS]


def _applied(row: Sequence[object]) -> Applied:
    return Applied(**dict(zip(_COLUMNS, row, strict=True)))  # type: ignore[arg-type]  # as written


def moment() -> str:
    """Return now, as it is noted."""
    return now().isoformat(timespec="seconds").replace("+00:00", "Z")
