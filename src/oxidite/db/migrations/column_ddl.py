"""Writes the SQL that changes tables and their columns."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import AddConstraint, CreateColumn, DropConstraint

from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.literals import converted, literal, text
from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    ChangeKey,
    DropColumn,
    RenameColumn,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.texts import Texts
from oxidite.db.sql.literals import plain_text

__all__ = ["ColumnWriter"]


class ColumnWriter:
    """Writes for one kind of database."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    # Tables.

    def rename_table(self, operation: RenameTable, before: Schema, after: Schema) -> list[str]:
        """Give a table another name, and its constraints theirs."""
        old, new = (
            self._texts.tables(before)[operation.name],
            self._texts.tables(after)[operation.new],
        )
        renamed = self._texts.sql(lambda op: op.rename_table(operation.name, operation.new))
        if self._texts.is_postgresql:
            pairs = _renamed_constraints(old, new)
            return renamed + [self._texts.rename_constraint(operation.new, *each) for each in pairs]
        if self._texts.is_sqlite:
            if operation.name in self._texts.unknown:
                self._texts.unknown[operation.new] = self._texts.unknown.pop(operation.name)
            if not self._texts.constraints(old):
                return renamed
            # Their names are those of the table; what refers to it was renamed by SQLite itself.
            return renamed + self._texts.rebuild(after, after, operation.new)
        return [
            *self._texts.gone(operation.name, old, None),
            *renamed,
            *self._texts.constraints(new).values(),
        ]

    # Columns.

    def add_column(self, operation: AddColumn, before: Schema, after: Schema) -> list[str]:
        """Add a column, filled where there are rows."""
        table, name = operation.table, operation.column.name
        old, new = self._texts.tables(before)[table], self._texts.tables(after)[table]
        added = new.c[name]
        fill = operation.fill
        value = None if fill is None else literal(fill, operation.column, self._texts.dialect)
        if self._texts.is_sqlite:
            is_simple = operation.column.nullable and operation.column.computed is None
            if value is None and is_simple and not self._texts.new(old, new):
                return self._texts.sql(lambda op: op.impl.add_column(table, added))
            values = {name: value if value is not None else "NULL"}
            return self._texts.rebuild(before, after, table, values=values)
        if value is not None:
            added.server_default = sa.DefaultClause(plain_text(value))
        statements = self._texts.sql(lambda op: op.impl.add_column(table, added))
        if value is not None:
            # The value was for the rows that are there; new ones get theirs from the model.
            statements += self._texts.sql(
                lambda op: op.alter_column(table, name, server_default=None, **self._known(added))
            )
        return statements + self._comment(added) + self._texts.new(old, new)

    def _comment(self, column: sa.Column[Any]) -> list[str]:
        if (
            not column.comment
            or not self._texts.theirs.supports_comments
            or self._texts.theirs.inline_comments
        ):
            return []
        return self._texts.sql(lambda op: op.impl.create_column_comment(column))

    def drop_column(self, operation: DropColumn, before: Schema, after: Schema) -> list[str]:
        """Drop a column, its indexes and constraints."""
        table, name = operation.table, operation.name
        old, new = self._texts.tables(before)[table], self._texts.tables(after)[table]
        indexes = [each for each in old.indexes if each.name not in {x.name for x in new.indexes}]
        statements: list[str] = []
        for each in sorted(indexes, key=lambda one: str(one.name)):
            statements += self._texts.drop_index(each)
        extra = [
            each for each in self._texts.hidden_columns(before, after, table) if each.name != name
        ]
        statements += self._texts.sql(
            lambda op: [op.impl.drop_column(table, each) for each in extra]
        )
        if self._texts.is_sqlite and (old.c[name].primary_key or self._gone_names(old, new)):
            return statements + self._texts.rebuild(before, after, table)
        if not self._texts.is_sqlite:
            statements += self._texts.gone(table, old, new)
        return statements + self._texts.sql(lambda op: op.drop_column(table, name))

    def _gone_names(self, old: sa.Table, new: sa.Table) -> set[str]:
        return set(self._texts.constraints(old)) - set(self._texts.constraints(new))

    def rename_column(self, operation: RenameColumn, before: Schema, after: Schema) -> list[str]:
        """Give a column another name, and its constraints theirs."""
        table, name, new_name = operation.table, operation.name, operation.new
        old, new = self._texts.tables(before)[table], self._texts.tables(after)[table]
        column = old.c[name]
        renamed = self._texts.sql(
            lambda op: op.alter_column(table, name, new_column_name=new_name, **self._known(column))
        )
        if self._texts.is_postgresql:
            pairs = _renamed_constraints(old, new)
            return renamed + [self._texts.rename_constraint(table, *each) for each in pairs]
        if self._texts.is_sqlite:
            is_same = set(self._texts.constraints(old)) == set(self._texts.constraints(new))
            return renamed if is_same else renamed + self._texts.rebuild(after, after, table)
        return [*self._texts.gone(table, old, new), *renamed, *self._texts.new(old, new)]

    def change_column(self, operation: ChangeColumn, before: Schema, after: Schema) -> list[str]:
        """Make a column another one."""
        table, spec = operation.table, operation.column
        was = before[table].find(spec.name)
        assert was is not None  # noqa: S101 - `after` has found it
        if (was.primary_key, was.generated) != (spec.primary_key, spec.generated):
            raise MigrationError(
                f"{table}.{spec.name}: whether a column is in the primary key is not changed by "
                "op.change_column(…) but by op.change_key(…), and whether the database makes its values "
                "by neither: make a new table and copy the rows."
            )
        fill = (
            None if operation.fill is None else literal(operation.fill, spec, self._texts.dialect)
        )
        here = self._texts.quoted(spec.name)
        old, new = self._texts.tables(before)[table], self._texts.tables(after)[table]
        if self._texts.is_sqlite:
            if operation.using is None and self._is_written_alike(spec.name, old, new):
                return []
            value = operation.using or converted(was.type_name, spec.type_name, here)
            value = value if fill is None else f"COALESCE({value}, {fill})"
            return self._texts.rebuild(before, after, table, values={spec.name: value})
        statements = self._texts.gone(table, old, new)
        statements += self._alter(operation, old.c[spec.name], new.c[spec.name], fill)
        return statements + self._texts.new(old, new)

    def _is_written_alike(self, name: str, old: sa.Table, new: sa.Table) -> bool:
        """Whether a change of a column is none in this database, such as that of a text's length."""
        one, other = (
            str(CreateColumn(each.c[name]).compile(dialect=self._texts.theirs))
            for each in (old, new)
        )
        return one == other and self._texts.constraints(old) == self._texts.constraints(new)

    def _alter(
        self, operation: ChangeColumn, old: sa.Column[Any], new: sa.Column[Any], fill: str | None
    ) -> list[str]:
        table, name = operation.table, old.name
        here = self._texts.quoted(name)
        options: dict[str, Any] = {}
        old_type, new_type = (each.type.compile(dialect=self._texts.theirs) for each in (old, new))
        if old_type != new_type:
            options["type_"] = new.type
            is_text = old_type.startswith("VARCHAR") and new_type.startswith(("VARCHAR", "TEXT"))
            if self._texts.is_postgresql and not is_text:
                options["postgresql_using"] = operation.using or f"{here}::{new_type}"
        statements: list[str] = []
        if old.nullable != new.nullable:
            options["nullable"] = new.nullable
            if fill is not None and not new.nullable:
                statements.append(
                    f"UPDATE {self._texts.quoted(table)} SET {here} = {fill} WHERE {here} IS NULL"
                )
        if old.comment != new.comment:
            options["comment"] = new.comment
        if not options:
            return []
        statements += self._texts.sql(
            lambda op: op.alter_column(table, name, **options, **self._known(old))
        )
        if operation.column.generated and "type_" in options and self._texts.is_postgresql:
            statements.append(self._counted(table, name, new_type))
        return statements

    def _counted(self, table: str, name: str, type_: str) -> str:
        """Return what has PostgreSQL count as far as the type of a column goes, and not as the one before."""
        here, column = (text(each) for each in (self._texts.quoted(table), name))
        return (
            f"DO $do$ BEGIN EXECUTE format('ALTER SEQUENCE %s AS {type_}', "
            f"pg_get_serial_sequence({here}, {column})); END $do$"
        )

    def _known(self, column: sa.Column[Any]) -> dict[str, Any]:
        """Return what Alembic has to know of a column: MariaDB is told everything of one that it changes."""
        known: dict[str, Any] = {
            "existing_type": column.type,
            "existing_nullable": column.nullable,
            "existing_comment": column.comment,
        }
        if self._texts.dialect.is_mysql:
            known["existing_autoincrement"] = bool(column.autoincrement)
        return known

    # Keys.

    def change_key(self, operation: ChangeKey, before: Schema, after: Schema) -> list[str]:
        """Make other columns the primary key."""
        table = operation.table
        if self._texts.is_sqlite:
            return self._texts.rebuild(before, after, table)
        old, new = (self._texts.tables(each)[table].primary_key for each in (before, after))
        theirs = self._texts.theirs
        if self._texts.is_postgresql:
            made = (DropConstraint(old), AddConstraint(new))
            return [str(each.compile(dialect=theirs)) for each in made]
        # In one statement: what counts up has to be in a key at any moment.
        names = ", ".join(self._texts.quoted(each.name) for each in new.columns)
        here = self._texts.quoted(table)
        return [f"ALTER TABLE {here} DROP PRIMARY KEY, ADD PRIMARY KEY ({names})"]


def _renamed_constraints(old: sa.Table, new: sa.Table) -> list[tuple[str, str]]:
    """Return the names of constraints that go with a table's or column's, old and new."""

    def names(table: sa.Table) -> dict[tuple[str, int], str]:
        columns = list(table.c)
        found: dict[tuple[str, int], str] = {}
        checks = [each for each in table.constraints if isinstance(each, sa.CheckConstraint)]
        checks.sort(key=lambda each: each._creation_order)  # noqa: SLF001 - that of the columns
        found |= {("check", place): str(each.name) for place, each in enumerate(checks)}
        for each in table.constraints:
            if isinstance(each, sa.ForeignKeyConstraint):
                found["key", columns.index(next(iter(each.columns)))] = str(each.name)
        found["primary", 0] = str(table.primary_key.name)
        return found

    before, after = names(old), names(new)
    return [(before[each], after[each]) for each in before if before[each] != after.get(each)]
