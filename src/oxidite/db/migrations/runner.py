"""Runs migrations: each as a whole where the database allows, else step by step, noting each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import msgspec

from oxidite.clock import perf
from oxidite.db.connections.base import Connection
from oxidite.db.errors import (
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    QueryError,
)
from oxidite.db.migrations.backfill import BackfillRun, Key
from oxidite.db.migrations.ddl import Step, Writer
from oxidite.db.migrations.errors import MigrationFailedError
from oxidite.db.migrations.history import Entry
from oxidite.db.migrations.operations import ChangeColumn, Operation, Schema
from oxidite.db.migrations.rebuild import look_at
from oxidite.db.migrations.specs import code
from oxidite.db.migrations.tracking import Applied, Tracking, moment
from oxidite.db.values.dialects import Dialect
from oxidite.errors import OxiditeError

__all__ = ["Progress", "Runner"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run tells while it goes on: ``rows`` of a backfill, or that it tries ``again``."""

    entry: Entry
    rows: int | None = None
    again: str | None = None


class Noted(msgspec.Struct, frozen=True):
    """How far a migration has come, as it is noted."""

    done: str
    """A digest of the steps that are done."""
    key: Key | None = None


class Runner:
    """Runs single migrations on a connection that is locked."""

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        *,
        told: Callable[[Progress], object] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self._told = told
        self._tracking = Tracking(connection, dialect)

    async def up(self, entry: Entry, schema: Schema, batch: int, row: Applied | None) -> Applied:
        """Do a migration to a database that has ``schema``; ``row`` is what is noted of it already.

        Raises:
            MigrationFailedError: it did not run to its end.
        """
        steps = await self._steps(entry, entry.migration.forth(), schema)
        started = perf()
        begun = row or Applied(entry.id, entry.name, entry.checksum, batch, moment(), 0, "up")
        if row is None and self._is_whole(entry, steps):
            await self._whole(entry, steps, begun, started)
        else:
            if row is None:
                await self._tracking.insert(begun)
            await self._piecewise(entry, steps, begun, schema)
        done = replace(
            begun,
            checksum=entry.checksum,
            applied_at=moment(),
            took_ms=_milliseconds(started),
            state="done",
            position=0,
            progress=None,
        )
        await self._tracking.update(done)
        return done

    async def down(self, entry: Entry, schema: Schema, row: Applied) -> None:
        """Undo a migration in a database that has ``schema``, which is the one after it.

        Raises:
            MigrationFailedError: it did not run to its end.
        """
        steps = await self._steps(entry, entry.migration.back(), schema)
        if row.is_done and self._is_whole(entry, steps):
            await self._whole(entry, steps, row, perf(), forget=True)
            return
        begun = replace(row, state="down")
        await self._tracking.update(begun)
        await self._piecewise(entry, steps, begun, schema)
        await self._tracking.delete(entry.id)

    async def _steps(
        self, entry: Entry, operations: Sequence[Operation], schema: Schema
    ) -> list[Step]:
        live = await look_at(self._connection) if self._dialect.name == "sqlite" else {}
        writer = Writer(self._dialect, live=live, apart=self._is_apart(entry))
        return writer.write(operations, schema)[0]

    def _is_apart(self, entry: Entry) -> bool:
        """Whether each statement is run by itself."""
        is_asked = not entry.migration.transactional and self._dialect.name != "sqlite"
        return is_asked or not self._dialect.transactional_ddl

    def _is_whole(self, entry: Entry, steps: Sequence[Step]) -> bool:
        return not self._is_apart(entry) and all(each.transactional for each in steps)

    # As a whole.

    async def _whole(
        self,
        entry: Entry,
        steps: Sequence[Step],
        row: Applied,
        started: float,
        *,
        forget: bool = False,
    ) -> None:
        async def work() -> None:
            for step in steps:
                await self._run(entry, step, "Nothing of it was done.")
            await self._check_references(entry)
            if forget:
                await self._tracking.delete(row.id)
            else:
                done = replace(row, state="done", took_ms=_milliseconds(started))
                await self._tracking.insert(done)

        await self._retried(entry, work)

    async def _retried(self, entry: Entry, work: Callable[[], object]) -> None:
        """Run ``work`` in a transaction, again if it had to wait for others for too long."""
        for left in range(_RETRIES, -1, -1):
            try:
                await self._in_transaction(work)
            except OxiditeError as exc:
                if not left or not _is_lock(exc):
                    raise
                self._told(Progress(entry, again=_reason(exc)))
            else:
                return

    async def _in_transaction(self, work: Callable[[], object]) -> None:
        await self._connection.begin(isolation=None, read_only=False)
        try:
            await work()  # type: ignore[misc]  # a coroutine function
            await self._connection.commit()
        except BaseException:
            await asyncio.shield(self._undo())
            raise

    async def _undo(self) -> None:
        try:
            await self._connection.rollback()
        except Exception:  # noqa: BLE001 - a connection that is closed has undone it already
            self._connection.is_broken = True

    # Step by step.

    async def _piecewise(
        self, entry: Entry, steps: Sequence[Step], row: Applied, schema: Schema
    ) -> None:
        position, noted = row.position, _noted(row)
        if noted is not None and noted.done != _digest(steps[:position]):
            raise MigrationFailedError(
                f"{entry.name} was stopped after {position} of its steps, and these were changed "
                "since. Put them back as they were; what comes after them may change."
            )
        key = None if noted is None else noted.key
        is_first = row.position > 0 or noted is not None

        def is_together_with_others(step: Step) -> bool:
            return step.transactional and not self._is_apart(entry)

        for is_together, group in groupby(steps[position:], is_together_with_others):
            if is_together:
                position = await self._together(entry, list(group), steps, position, row)
                continue
            for step in group:
                if step.backfill is not None:
                    await self._backfill(entry, step, steps, position, row, schema, key)
                    key = None
                else:
                    left = _left(steps, position, row)
                    await self._run(entry, step, left, may_be_done=is_first)
                is_first = False
                position += 1
                await self._note(row, steps, position)

    async def _together(
        self,
        entry: Entry,
        group: Sequence[Step],
        steps: Sequence[Step],
        position: int,
        row: Applied,
    ) -> int:
        after = position + len(group)

        async def work() -> None:
            for step in group:
                await self._run(entry, step, _left(steps, position, row))
            await self._check_references(entry)
            await self._note(row, steps, after)

        await self._retried(entry, work)
        return after

    async def _backfill(
        self,
        entry: Entry,
        step: Step,
        steps: Sequence[Step],
        position: int,
        row: Applied,
        schema: Schema,
        key: Key | None,
    ) -> None:
        backfill = step.backfill
        assert backfill is not None  # noqa: S101 - the caller has looked
        before: Operation | None = None
        for each in steps:
            if each is step:
                break
            # Of one operation there are several steps where each statement is one.
            is_next = each.operation is not before
            if is_next and backfill.table in each.operation.tables:
                schema = each.operation.after(schema)
            before = each.operation

        async def keep(reached: Key) -> None:
            await self._note(row, steps, position, reached)

        run = BackfillRun(self._connection, self._dialect, backfill, schema[backfill.table])
        try:
            await run.run(key, keep, lambda rows: self._told(Progress(entry, rows=rows)))
        except (DatabaseError, QueryError) as exc:
            raise MigrationFailedError(
                f"{entry.name}: the backfill of {backfill.table} stopped: {_text(exc)}\n"
                "The batches before stay done; `oxidite db up` goes on after them."
            ) from exc

    async def _note(
        self, row: Applied, steps: Sequence[Step], position: int, key: Key | None = None
    ) -> None:
        noted = Noted(_digest(steps[:position]), key)
        progress = msgspec.json.encode(noted).decode()
        await self._tracking.update(replace(row, position=position, progress=progress))

    # A step.

    async def _run(self, entry: Entry, step: Step, left: str, *, may_be_done: bool = False) -> None:
        for sql in step.statements:
            try:
                await self._connection.run(sql, ())
            except ConflictingTransactionsError:
                raise
            except (DatabaseError, QueryError) as exc:
                if may_be_done and _is_done_already(exc):
                    continue
                if _is_lock(exc):
                    raise
                raise MigrationFailedError(
                    f"{entry.name} failed: {_text(exc)}{_remedy(exc, step.operation)}\n\n"
                    f"    {_indented(sql)}\n\n{left}"
                ) from exc

    async def _check_references(self, entry: Entry) -> None:
        """Foreign keys are off while SQLite rebuilds a table, so they are checked before the end."""
        if self._dialect.name != "sqlite":
            return
        broken = await self._connection.fetch("PRAGMA foreign_key_check", ())
        if broken:
            table, row, parent, _ = broken[0]
            raise MigrationFailedError(
                f"{entry.name} would leave {len(broken)} rows that refer to nothing; the first is row "
                f"{row} of {table}, which refers to {parent}. Nothing of it was done."
            )


_RETRIES = 5


def _milliseconds(started: float) -> int:
    return round((perf() - started) * 1000)


def _noted(row: Applied) -> Noted | None:
    return None if row.progress is None else msgspec.json.decode(row.progress, type=Noted)


def _digest(steps: Sequence[Step]) -> str:
    text = "\n".join(sql for step in steps for sql in step.statements)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _left(steps: Sequence[Step], position: int, row: Applied) -> str:
    """Say what stays done."""
    done = [sql for step in steps[:position] for sql in step.statements]
    command = "down" if row.state == "down" else "up"
    again = f"Correct the migration from there on and run `oxidite db {command}` again: it goes on there."
    if not done:
        return f"Nothing of it was done. {again}"
    listed = "\n".join(f"    {_indented(each)}" for each in done)
    return f"These stay done, as the database cannot undo them:\n\n{listed}\n\n{again}"


def _text(exc: OxiditeError) -> str:
    # What a refused row says to a user of the application says little to whoever migrates.
    return str(exc.__cause__) if isinstance(exc, ConstraintError) else exc.message


def _remedy(exc: OxiditeError, operation: Operation) -> str:
    """Return what to do where PostgreSQL does not make values of one type those of another."""
    if not isinstance(operation, ChangeColumn) or operation.using is not None:
        return ""
    if _number(exc) not in _UNLIKE:
        return ""
    name, type_name = operation.column.name, operation.column.type_name
    return (
        f"\nThe values of {operation.table}.{name} do not become {type_name} by themselves. Say with SQL how: "
        f"op.change_column({code(operation.table)}, …, using={code(f'… {name} …')}); or drop the column, and "
        "add one of that name."
    )


def _indented(sql: str) -> str:
    return sql.strip().replace("\n", "\n    ")


_LOCKED = {"55P03", 1205}
"""Somebody else holds a table: PostgreSQL's and MariaDB's number for it."""
_UNLIKE = {"42804", "42846", "22P02", "22007", "22003"}
"""PostgreSQL has no cast from one type to another, or a value is none of the other."""
_THERE = {"42P07", "42701", "42710", "42P06", "42704", "42703", "42P01"} | {
    1050,  # the table is there
    1051,  # there is no such table
    1060,  # the column is there
    1061,  # the index is there
    1091,  # there is nothing of that name to drop
    1826,  # the foreign key is there
}


def _number(exc: BaseException) -> object:
    """Return the number that the database gives its error."""
    cause = exc.__cause__
    found = getattr(cause, "sqlstate", None)
    if found is None and cause is not None and cause.args:
        found = cause.args[0]
    return found


def _is_lock(exc: BaseException) -> bool:
    return isinstance(exc, ConflictingTransactionsError) or _number(exc) in _LOCKED


def _is_done_already(exc: BaseException) -> bool:
    """Whether a statement failed because it was run, and that could not be noted any more."""
    return _number(exc) in _THERE


def _reason(exc: OxiditeError) -> str:
    return exc.message.partition("\n")[0]
