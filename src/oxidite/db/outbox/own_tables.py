"""Tables of the package itself, ``ox_…``: made at first use by numbered steps, and never by migrations.

Each user of such tables has a name and a list of steps, each step the SQL for every kind of database. The
steps that were done are counted in ``ox_schema``. Of the processes that start at once one does what is
left, and the others wait for it. A process that knows fewer steps than were done refuses to work: what
the newer one has written may not be for it.

::

    TABLES = OwnTables("outbox", [{"sqlite": ["CREATE TABLE …"], "postgresql": […], "mysql": […]}])

    await TABLES.ensure(db)
    rows = await TABLES.fetch(db, "SELECT id FROM ox_outbox WHERE topic = :topic AND due_at <= {now}", topic=…)
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from oxidite.clock import Clock, timestamp
from oxidite.db.connections.base import Connection, Driver
from oxidite.db.connections.running import fetch_rows, run_sql
from oxidite.db.connections.transaction import Owner, TransactionBlock, current_transaction
from oxidite.db.errors import QueryError, SchemaError
from oxidite.db.sql.plan import Plans
from oxidite.db.values.dialects import Dialect

__all__ = ["OwnTables"]

_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS ox_schema (name VARCHAR(64) PRIMARY KEY, version INTEGER NOT NULL)"
)
_LOCK = int.from_bytes(blake2b(b"ox_schema", digest_size=8).digest(), signed=True)
# One lock for all of them: two that make the table of versions at once stand in each other's way.
# SQLite needs none: the transaction is alone. MySQL's tables are no part of a transaction.
_LOCKS = {
    "postgresql": ((f"SELECT pg_advisory_xact_lock({_LOCK})",), ()),
    "sqlite": ((), ()),
    "mysql": (("SELECT GET_LOCK('ox_schema', 60)",), ("SELECT RELEASE_LOCK('ox_schema')",)),
}
_IN_TRANSACTION = {"postgresql": True, "sqlite": True, "mysql": False}
"""Whether the making of a table is undone with the transaction that it is in."""
_NOW = {
    "postgresql": "(extract(epoch FROM clock_timestamp())::float8 + {offset}::float8)",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0 + {offset})",
    "mysql": "(UNIX_TIMESTAMP(NOW(6)) + {offset})",
}
"""The time of the database, in seconds since 1970: hosts may disagree, their database is one."""
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


class OwnDatabase(Owner, Protocol):
    """What tables of ours need of a database."""

    @property
    def dialect(self) -> Dialect:
        """What it can do."""
        ...

    @property
    def plans(self) -> Plans:
        """Another object each time it is opened."""
        ...

    def transaction(self) -> TransactionBlock:
        """Begin a transaction."""
        ...


class OwnTables:
    """The tables of one part of the package.

    ``name`` is what they are counted under; ``steps`` only ever grow. SQL has values as ``:name`` and the
    time of the database as ``{now}``, in seconds since 1970.
    """

    def __init__(self, name: str, steps: Sequence[Mapping[str, Sequence[str]]]) -> None:
        self.name: str = name
        self.steps: Sequence[Mapping[str, Sequence[str]]] = steps
        # By both: a database in memory is another one each time it is opened, and tests have drivers
        # of their own, whose tables are gone with them.
        self._ready: WeakKeyDictionary[Driver, Plans] = WeakKeyDictionary()

    async def ensure(self, db: OwnDatabase) -> None:
        """Do the steps that are left.

        Raises:
            SchemaError: the tables are of a newer version of the package.
        """
        if self._ready.get(db.driver) is db.plans:
            return
        transaction = current_transaction(db)
        if transaction is not None and _of(_IN_TRANSACTION, db.dialect):
            # As a part of it: another connection may be one too many, or wait for this one. What is
            # undone then are these tables, too, so they count only once it is committed.
            await self._apply(db)
            transaction.on_commit(partial(self._made, db.driver, db.plans))
            return
        await asyncio.create_task(self._apply(db), context=contextvars.Context())
        self._made(db.driver, db.plans)

    def _made(self, driver: Driver, plans: Plans) -> None:
        self._ready[driver] = plans

    async def fetch(self, db: OwnDatabase, sql: str, **values: object) -> Sequence[Any]:
        """Run a statement in the open transaction, or by itself, and return its rows."""
        text, bound = written(sql, db.dialect, values)
        return await fetch_rows(db, text, bound, write=True)

    async def run(self, db: OwnDatabase, sql: str, **values: object) -> int:
        """Run a statement that has no rows and return how many it changed."""
        text, bound = written(sql, db.dialect, values)
        return (await run_sql(db, text, bound)).rowcount

    async def _apply(self, db: OwnDatabase) -> None:
        if not _of(_IN_TRANSACTION, db.dialect):
            async with db.driver.connection(write=True) as connection:
                await self._locked(connection, db.dialect)
            return
        async with db.transaction() as transaction, transaction.statement() as connection:
            await self._locked(connection, db.dialect)

    async def _locked(self, connection: Connection, dialect: Dialect) -> None:
        before, after = _of(_LOCKS, dialect)
        for sql in before:
            await connection.fetch(sql, ())
        try:
            await self._do(connection, dialect)
        finally:
            if not connection.is_broken:
                for sql in after:
                    await connection.fetch(sql, ())

    async def _do(self, connection: Connection, dialect: Dialect) -> None:
        async def run(sql: str, **values: object) -> None:
            await connection.run(*written(sql, dialect, values))

        await run(_VERSIONS)
        query = "SELECT version FROM ox_schema WHERE name = :name"
        rows = await connection.fetch(*written(query, dialect, {"name": self.name}))
        done = rows[0][0] if rows else 0
        if done > len(self.steps):
            raise SchemaError(
                f"The tables of {self.name} in this database are of version {done}, and this process "
                f"knows {len(self.steps)}. Deploy the newer version of the package here, too."
            )
        if not rows:
            await run("INSERT INTO ox_schema (name, version) VALUES (:name, 0)", name=self.name)
        for number, step in enumerate(self.steps[done:], done + 1):
            for sql in _of(step, dialect):
                await run(sql)
            # After each one: not every database undoes the making of a table.
            change = "UPDATE ox_schema SET version = :version WHERE name = :name"
            await run(change, version=number, name=self.name)


def _of(by_dialect: Mapping[str, Any], dialect: Dialect) -> Any:
    # MariaDB is written to as MySQL is.
    return by_dialect[dialect.name if dialect.name in by_dialect else "mysql"]


def written(sql: str, dialect: Dialect, values: Mapping[str, object]) -> tuple[str, list[object]]:
    """Return SQL and values as the driver takes them."""
    text, names = _written(sql, dialect.name)
    missing = [name for name in names if name not in values and name != "ox_offset"]
    if missing or not values.keys() <= set(names):
        raise QueryError(f"{sql!r} has the values {sorted(set(names))}, not {sorted(values)}.")
    return text, [_offset() if name == "ox_offset" else values[name] for name in names]


@lru_cache(maxsize=500)
def _written(sql: str, dialect: str) -> tuple[str, tuple[str, ...]]:
    now = _NOW.get(dialect, _NOW["mysql"]).format(offset=":ox_offset")
    names: list[str] = []

    def parameter(found: re.Match[str]) -> str:
        name = found.group(1)
        if dialect != "postgresql":
            names.append(name)
            return "?"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PARAMETER.sub(parameter, sql.replace("{now}", now)), tuple(names)


def _offset() -> float:
    """Return how far a test has travelled, in seconds; the clock of the machine has gone nowhere."""
    before, shown, after = Clock().timestamp(), timestamp(), Clock().timestamp()
    # Not even by the moment that lies between two readings: what is due now must not be due later.
    return 0.0 if before <= shown <= after else shown - after
