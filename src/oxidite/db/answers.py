"""How a database runs statements: the plan of each, on the connection that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from msgspec.structs import replace

from oxidite.db.coalesce import Loads, is_plain
from oxidite.db.connections.base import Connection, Done, Driver
from oxidite.db.connections.batch import current_batch
from oxidite.db.connections.notices import listeners
from oxidite.db.connections.noting import noted
from oxidite.db.connections.running import connection_of, may_read_again
from oxidite.db.connections.transaction import current_transaction
from oxidite.db.connections.watching import Watch
from oxidite.db.errors import DatabaseError
from oxidite.db.rules.concealing import conceal, unbound
from oxidite.db.sql.plan import Plan, Plans
from oxidite.db.statements.hearing import hear_row, heard
from oxidite.db.statements.peers import follow_if_asked
from oxidite.db.statements.statements import SelectStatement, Statement
from oxidite.db.statements.touching import fits
from oxidite.db.tables.history import leaves_history
from oxidite.db.values.dialects import Dialect
from oxidite.errors import BackendUnavailableError

__all__ = ["Answers"]


class Answers:
    """The part of ``Database`` that runs statements."""

    driver: Driver
    _plans: Plans | None
    _watch: Watch
    _loads: Loads

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

    async def fetch(self, statement: Statement) -> list[Any]:
        """Run a statement and return its rows, as objects or tuples."""
        plan = self.plans.get(statement)
        rows = await self._answer(plan, statement)
        found = plan.read(rows)
        if isinstance(statement, SelectStatement):
            await follow_if_asked(statement, found)
        return found

    async def fetch_raw(self, statement: Statement) -> Sequence[Any]:
        """Run a statement and return its rows as the driver has them: where nothing is to be read."""
        return await self._answer(self.plans.get(statement), statement)

    async def _answer(self, plan: Plan, statement: Statement) -> Sequence[Any]:
        if isinstance(statement, SelectStatement) or not leaves_history(statement.table):
            return await self._heard_rows(plan, statement)
        return await noted(self, partial(self._heard_rows, plan, statement))

    async def _heard_rows(self, plan: Plan, statement: Statement) -> Sequence[Any]:
        work = self._rows(plan, statement.values(), write=_writes(statement))
        return await (heard(self, statement, work) if listeners else work)

    async def run(self, statement: Statement) -> Done:
        """Run a statement that has no rows."""
        plan = self.plans.get(statement)
        if leaves_history(statement.table):
            return await noted(self, partial(self._heard_run, plan, statement))
        return await self._heard_run(plan, statement)

    async def _heard_run(self, plan: Plan, statement: Statement) -> Done:
        work = self._run(plan, statement.values())
        return await (heard(self, statement, work) if listeners else work)

    async def _run(self, plan: Plan, values: list[object]) -> Done:
        bound = _bound(plan, values)
        try:
            async with self.connection(write=True) as connection:
                return await self._watch.run(connection.run, plan.sql, bound)
        except Exception as exc:
            if plan.hides:
                conceal(exc)
            raise

    async def get(self, statement: SelectStatement, key: object) -> Any:
        """Return the row of a table with one primary key, ``None`` if there is none.

        Outside of transactions those that are asked for in one turn of the event loop are read with
        one statement; each caller gets an object of its own.
        """
        column = statement.table.pk[0]
        if not is_plain(statement) or not fits(column, key, self.dialect):
            found = await self.fetch(replace(statement, where=(*statement.where, column == key)))
            return found[0] if found else None
        if listeners:
            hear_row(statement.table, key)  # here, as it may be read by another task
        if current_transaction(self) is not None:
            return await self._loads.alone(self.plans, statement, key)
        return await self._loads.get(self.plans, statement, key, self.driver.route())

    async def _rows(self, plan: Plan, values: list[object], *, write: bool) -> Sequence[Any]:
        bound = _bound(plan, values)
        batch = None if write else current_batch(self)
        try:
            if batch is not None:
                return await batch.fetch(plan.sql, bound)
            async with self.connection(write=write) as connection:
                return await self._watch.run(connection.fetch, plan.sql, bound)
        except BackendUnavailableError:
            if not may_read_again(self, write=write):
                raise
        except Exception as exc:
            if plan.hides:
                conceal(exc)
            raise
        async with self.connection(write=True) as connection:
            return await self._watch.run(connection.fetch, plan.sql, bound)

    def connection(self, *, write: bool = True) -> AbstractAsyncContextManager[Connection]:
        """Take a connection for one statement: that of the open transaction, else a free one.

        Raises:
            OverlapError: another statement of the transaction runs just now.
            PoolTimeoutError: none was free in time.
        """
        return connection_of(self, write=write)


def _bound(plan: Plan, values: list[object]) -> list[object]:
    try:
        return plan.bind(values)
    except Exception:
        if not plan.hides:
            raise
    raise unbound()


def _writes(statement: Statement) -> bool:
    return not isinstance(statement, SelectStatement) or statement.lock is not None
