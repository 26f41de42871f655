"""Writes the SQL of operations, with Alembic's.

Nothing is run here: what comes out is text, so what ``plan`` shows is what ``up`` runs, and it is run
on a connection of our own driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oxidite.db.migrations.column_ddl import ColumnWriter
from oxidite.db.migrations.enum_types import natives, with_types
from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.index_ddl import IndexWriter
from oxidite.db.migrations.operations import (
    AddColumn,
    Backfill,
    ChangeColumn,
    ChangeKey,
    CreateCheck,
    CreateHistory,
    CreateIndex,
    CreateTable,
    DropCheck,
    DropColumn,
    DropHistory,
    DropIndex,
    DropTable,
    Execute,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.rebuild import Live, unknown
from oxidite.db.migrations.specs import TableSpec
from oxidite.db.migrations.sync_operations import CreateSync, DropSync, check_written
from oxidite.db.migrations.texts import Texts
from oxidite.db.sql.exclusions import Exclusion
from oxidite.db.sql.indexes import kept_apart
from oxidite.db.sql.vectors import EXTENSION
from oxidite.db.tables.history import history_name
from oxidite.db.values.dialects import Dialect

__all__ = ["Step", "Writer"]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done as one: statements, or a backfill."""

    operation: Operation
    statements: tuple[str, ...] = ()
    transactional: bool = True
    backfill: Backfill | None = None


class Writer:
    """Writes for one kind of database.

    ``live`` says what a rebuild of a table of SQLite has to keep that no history knows of.
    ``concurrently=False`` makes every index at once, for a database that nobody uses. ``apart`` makes a
    step of each statement; never on SQLite, where a table is made anew by several.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        live: Mapping[str, Live] | None = None,
        concurrently: bool = True,
        apart: bool = False,
    ) -> None:
        self._texts = Texts(dialect)
        self._concurrently = concurrently and self._texts.is_postgresql
        self._columns = ColumnWriter(self._texts)
        self._indexes = IndexWriter(self._texts, concurrently=self._concurrently)
        self._live = live or {}
        self._apart = apart or not dialect.transactional_ddl

    def write(self, operations: Sequence[Operation], schema: Schema) -> tuple[list[Step], Schema]:
        """Return the steps of operations and the schema after them.

        Raises:
            MigrationError: one of them cannot be done.
        """
        steps: list[Step] = []
        self._texts.unknown = unknown(self._live, schema)
        for operation in operations:
            after = operation.after(schema)
            steps += self._steps(operation, schema, after)
            schema = after
        return steps, schema

    def _steps(self, operation: Operation, before: Schema, after: Schema) -> list[Step]:
        transactional = True
        check_written(operation)
        match operation:
            case Backfill():
                return [Step(operation, transactional=False, backfill=operation)]
            case Execute():
                is_ours = operation.only in (None, self._texts.dialect.name)
                statements = [operation.sql] if is_ours else []
                transactional = operation.transactional
            case CreateIndex():
                statements = self._indexes.create(operation, before, after)
                transactional = not (operation.concurrently and self._concurrently)
            case DropIndex():
                statements = self._indexes.drop(operation, before, after)
                transactional = not (operation.concurrently and self._concurrently)
            case CreateHistory() | DropHistory():
                statements = self._history(operation, before, after)
            case CreateSync() | DropSync():
                statements = self._sync(operation, before, after)
            case _:
                statements = self._changed(operation, before, after)
        if not statements:
            return []
        if not isinstance(operation, Execute) and not transactional:
            # An index made concurrently, after what an interrupted attempt has left was dropped: both
            # are done again if need be.
            return [Step(operation, tuple(statements), transactional=False)]
        if transactional and not self._apart:
            return [Step(operation, tuple(statements))]
        return [Step(operation, (each,), transactional) for each in statements]

    def _changed(self, operation: Operation, before: Schema, after: Schema) -> list[str]:
        """Return what changes tables, and what else has to follow that."""
        if isinstance(operation, CreateCheck | DropCheck):
            statements = self._checks(operation.table, before, after)
        else:
            statements = self._write(operation, before, after)
            if self._texts.is_postgresql:
                statements = self._with_types(operation, statements, before, after)
        return self._with_histories(operation, statements, before, after)

    def _write(self, operation: Operation, before: Schema, after: Schema) -> list[str]:
        match operation:
            case CreateTable():
                made = self._texts.tables(after)[operation.table.name]
                words = [each for one in kept_apart(made) for each in one.create()]
                return [*self._texts.sql(lambda op: op.impl.create_table(made)), *words]
            case DropTable():
                gone = self._texts.tables(before)[operation.name]
                words = [each for one in kept_apart(gone) for each in one.drop()]
                return [*words, *self._texts.sql(lambda op: op.impl.drop_table(gone))]
            case RenameTable(name, new):
                renamed = self._columns.rename_table(operation, before, after)
                return self._with_exclusions(renamed, before[name], after[new], before, after)
            case AddColumn():
                return self._columns.add_column(operation, before, after)
            case DropColumn():
                return self._columns.drop_column(operation, before, after)
            case RenameColumn(table=name):
                renamed = self._columns.rename_column(operation, before, after)
                return self._with_exclusions(renamed, before[name], after[name], before, after)
            case ChangeColumn():
                return self._columns.change_column(operation, before, after)
            case ChangeKey():
                return self._columns.change_key(operation, before, after)
            case RenameIndex():
                return self._indexes.rename(operation, before, after)
            case _:
                raise MigrationError(f"{type(operation).__name__} is no operation.")

    def _with_exclusions(
        self,
        statements: Sequence[str],
        old: TableSpec,
        new: TableSpec,
        before: Schema,
        after: Schema,
    ) -> list[str]:
        """Return statements with what makes the triggers of exclusions anew, which SQLite does not rename in."""
        if not self._texts.is_sqlite:
            return list(statements)
        gone = kept_apart(self._texts.tables(before)[old.name])
        made = kept_apart(self._texts.tables(after)[new.name])
        return [
            *(sql for each in gone if isinstance(each, Exclusion) for sql in each.drop()),
            *statements,
            *(
                sql
                for each in made
                if isinstance(each, Exclusion)
                for sql in each.create(guarded=True)
            ),
        ]

    def _with_histories(
        self, operation: Operation, statements: Sequence[str], before: Schema, after: Schema
    ) -> list[str]:
        """Return statements with what makes the triggers anew that write the columns they change."""
        touched = operation.tables | {
            name
            for each in (before, after)
            for name in each
            if history_name(name) in operation.tables
        }
        is_moved = isinstance(operation, RenameTable | DropTable)
        dropped: list[str] = []
        made: list[str] = []
        for name in sorted(touched):
            old, new = self._texts.history(before, name), self._texts.history(after, name)
            # Where they can be replaced they are not dropped first, so that no change is missed between.
            if old is not None and (is_moved or self._texts.is_sqlite):
                dropped += old.drop()
            if new is not None:
                made += new.create()
        return [*dropped, *statements, *made]

    def _history(
        self, operation: CreateHistory | DropHistory, before: Schema, after: Schema
    ) -> list[str]:
        if isinstance(operation, CreateHistory):
            new = self._texts.history(after, operation.table)
            return [] if new is None else [*new.create(), new.begin()]
        old = self._texts.history(before, operation.table)
        return [] if old is None else old.drop()

    def _sync(self, operation: CreateSync | DropSync, before: Schema, after: Schema) -> list[str]:
        name = operation.table
        if isinstance(operation, DropSync):
            gone = [each for each in self._texts.syncs(before, name) if each.name == operation.name]
            return gone[0].drop()
        made = self._texts.syncs(after, name)[-1].create()
        if not self._texts.is_sqlite:
            return made
        # What other triggers note of a row has to be noted before this one changes it: see rebuild().
        words = kept_apart(self._texts.tables(after)[name])
        again = [sql for each in words for sql in (*each.drop(), *each.create())]
        return self._with_histories(operation, [*made, *again], before, after)

    def _with_types(
        self, operation: Operation, statements: Sequence[str], before: Schema, after: Schema
    ) -> list[str]:
        """Return statements with what makes and drops the types that they are about: of enums, of vectors."""
        renamed: dict[tuple[str, str], tuple[str, str]] = {}
        if isinstance(operation, RenameColumn):
            table = operation.table
            renamed[table, operation.name] = (table, operation.new)
        elif isinstance(operation, RenameTable):
            for column in before[operation.name].columns:
                renamed[operation.name, column.name] = (operation.new, column.name)
        old, new = (natives(self._texts.tables(each).values()) for each in (before, after))
        made = with_types(statements, old, new, renamed, self._texts.quoted)
        is_first = _has_vectors(after) and not _has_vectors(before)
        return [EXTENSION, *made] if is_first else made

    def _checks(self, table: str, before: Schema, after: Schema) -> list[str]:
        if self._texts.is_sqlite:
            return self._texts.rebuild(before, after, table)
        old, new = self._texts.tables(before)[table], self._texts.tables(after)[table]
        return [*self._texts.gone(table, old, new), *self._texts.new(old, new)]


def _has_vectors(schema: Schema) -> bool:
    return any(
        column.type_name == "vector" for table in schema.values() for column in table.columns
    )
