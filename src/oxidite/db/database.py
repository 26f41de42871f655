"""The database an application uses: plans, connections, transactions.

Which database a model talks to is decided when a statement runs: that of the open transaction, that
of ``using``, else the default one, which is the one that was opened. A connection is taken for a
statement and given back; only a transaction keeps one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self

from oxidite.db.base import Done, Driver, Isolation
from oxidite.db.dialects import Dialect
from oxidite.db.drivers import drivers
from oxidite.db.errors import DatabaseError
from oxidite.db.plan import Plan, Plans
from oxidite.db.statements import SelectStatement, Statement
from oxidite.db.table import Table
from oxidite.db.transaction import TransactionBlock, current_transaction

__all__ = ["Database", "HasTable", "database_of"]

_using: ContextVar[Database | None] = ContextVar("oxidite.db.using", default=None)
_open: list[Database] = []
"""The open databases of this process, the default one first."""


class HasTable(Protocol):
    """A model."""

    __table__: Table


class Database:
    """A database, to be opened as a resource: ``Oxidite(resources=[db])``.

    ``name`` tells a second one apart; models that live there say ``database="name"``.
    """

    def __init__(self, driver: Driver, *, name: str | None = None) -> None:
        self.driver: Driver = driver
        self.name: str | None = name
        self._plans: Plans | None = None

    @classmethod
    def from_url(cls, url: str, *, name: str | None = None) -> Self:
        """Make one of ``sqlite:///app.db``, ``postgresql://…``, ``mariadb://…`` or ``mysql://…``.

        Raises:
            UnknownBackendError: there is no such database.
            MissingExtraError: its driver is not installed.
        """
        return cls(drivers.create(url), name=name)

    async def __aenter__(self) -> Self:
        await self.driver.__aenter__()
        self._plans = Plans(self.driver.dialect)
        if self.name is None:
            _open.insert(0, self)
        else:
            _open.append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        _open.remove(self)
        self._plans = None
        await self.driver.__aexit__(kind, exc, tb)

    @property
    def dialect(self) -> Dialect:
        """What the database can do."""
        return self.driver.dialect

    @property
    def plans(self) -> Plans:
        """The plans made so far.

        Raises:
            DatabaseError: the database is not open.
        """
        if self._plans is None:
            raise DatabaseError(
                "The database is not open. Give it to the application, Oxidite(resources=[db]), or "
                "open it yourself: async with db: …"
            )
        return self._plans

    async def push(self, *tables: HasTable) -> None:
        """Create the tables of models that are not there yet, with their indexes; nothing is changed.

        For tests, scripts and the first hours of an application.
        """
        from oxidite.db.schema import create_statements

        found = [each.__table__ for each in tables]
        async with self.driver.connection(write=True) as connection:
            for sql in create_statements(found, self.dialect):
                await connection.run(sql, ())

    # Statements.

    async def fetch(self, statement: Statement) -> list[Any]:
        """Run a statement and return its rows, as objects or tuples."""
        plan = self.plans.get(statement)
        rows = await self._rows(plan, statement.values(), write=_writes(statement))
        return plan.read(rows)

    async def run(self, statement: Statement) -> Done:
        """Run a statement that has no rows."""
        plan = self.plans.get(statement)
        values = plan.bind(statement.values())
        transaction = current_transaction(self)
        if transaction is not None:
            async with transaction.statement() as connection:
                return await connection.run(plan.sql, values)
        async with self.driver.connection(write=True) as connection:
            return await connection.run(plan.sql, values)

    async def _rows(self, plan: Plan, values: list[object], *, write: bool) -> Sequence[Any]:
        bound = plan.bind(values)
        transaction = current_transaction(self)
        if transaction is not None:
            async with transaction.statement() as connection:
                return await connection.fetch(plan.sql, bound)
        async with self.driver.connection(write=write) as connection:
            return await connection.fetch(plan.sql, bound)

    # Transactions.

    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False, retry: int = 0
    ) -> TransactionBlock:
        """Do all that is done inside as a whole, or not at all.

        As ``async with db.transaction():``, or around a function as ``@db.transaction(retry=3)``, which
        runs it again when the database says that two transactions stood in each other's way. Inside of
        another one it is a savepoint: what it did is undone alone. What is cancelled is undone.
        """
        return TransactionBlock(self, isolation, read_only=read_only, retry=retry)

    @contextlib.contextmanager
    def using(self) -> Iterator[Self]:
        """Have models use this database inside the block."""
        before = _using.get()
        _using.set(self)
        try:
            yield self
        finally:
            _using.set(before)


def _writes(statement: Statement) -> bool:
    return not isinstance(statement, SelectStatement) or statement.lock is not None


def database_of(table: Table) -> Database:
    """Return the database that a table is in, as things stand.

    Raises:
        DatabaseError: none is open.
    """
    chosen = _using.get()
    if chosen is not None:
        return chosen
    for each in _open:
        if each.name == table.database:
            return each
    raise DatabaseError(
        "No database is open. Give one to the application: Oxidite(resources=[db]); in a script, "
        "async with Database.from_url(…) as db: …"
        if table.database is None
        else f"No database named {table.database!r} is open: Database.from_url(…, name={table.database!r})."
    )
