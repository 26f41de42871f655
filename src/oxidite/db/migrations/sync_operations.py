"""Columns in step, as steps of a migration: what lets two versions of a program write one table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.operations import (
    Backfill,
    OfTable,
    Operation,
    Schema,
    column_in,
    table_in,
)
from oxidite.db.migrations.specs import TO_WRITE, SyncSpec, TableSpec

__all__ = ["CreateSync", "DropSync", "check_written", "is_to_write"]


@dataclass(frozen=True, slots=True)
class CreateSync(OfTable):
    """Triggers keep columns of a table in step."""

    sync: SyncSpec

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table, sync = table_in(schema, self.table), self.sync
        if table.find_sync(sync.name) is not None:
            raise MigrationError(f"The table {self.table!r} has a sync {sync.name!r}.")
        if bool(sync.new) != bool(sync.old) or not (sync.new or sync.fill):
            raise MigrationError(
                f"The sync {sync.name!r} keeps nothing in step: say new= and old=, both, or fill=."
            )
        for each in sync.columns:
            self._check_column(schema, table, each)
        return {**schema, table.name: replace(table, syncs=(*table.syncs, sync))}

    def _check_column(self, schema: Schema, table: TableSpec, name: str) -> None:
        column = column_in(schema, self.table, name)
        if column.primary_key or column.computed is not None:
            why = "is in the primary key" if column.primary_key else "is computed"
            raise MigrationError(f"{self.table}.{name} {why}, so nothing else can write it.")
        if self.sync.columns.count(name) > 1 or any(name in x.columns for x in table.syncs):
            raise MigrationError(f"{self.table}.{name} is kept in step twice.")
        if not column.nullable and name not in self.sync.fill:
            raise MigrationError(
                f"{self.table}.{name} may not be empty, and one of the two versions does not know it: "
                "make it nullable first, op.change_column(…)."
            )


@dataclass(frozen=True, slots=True)
class DropSync(OfTable):
    """Columns are not kept in step any more."""

    name: str

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        if table.find_sync(self.name) is None:
            raise MigrationError(
                f"The table {self.table!r} has no sync {self.name!r} at this point."
            )
        left = tuple(each for each in table.syncs if each.name != self.name)
        return {**schema, table.name: replace(table, syncs=left)}


def is_to_write(operation: Operation) -> bool:
    """Tell whether ``TO_WRITE`` stands in an operation."""
    return bool(_open(operation))


def _open(operation: Operation) -> list[str]:
    match operation:
        case CreateSync(_, sync):
            found: dict[str, str] = {**sync.new, **sync.old}
        case Backfill(_, values):
            found = dict(values)
        case _:
            found = {}
    return [name for name, sql in found.items() if sql == TO_WRITE]


def check_written(operation: Operation) -> None:
    """See to it that a person has written the SQL that only a person knows.

    Raises:
        MigrationError: ``TO_WRITE`` stands there still.
    """
    for table in operation.tables if is_to_write(operation) else ():
        raise MigrationError(
            f"How {table}.{_open(operation)[0]} is made is not written yet: put SQL in the place of TO_WRITE, such as "
            "CAST(age AS integer) for what is a number in the other column."
        )
