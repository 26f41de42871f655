"""Writes the SQL of operations, with Alembic's.

Nothing is run here: what comes out is text, so what ``plan`` shows is what ``up`` runs, and it is run
on a connection of our own driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.schema import AddConstraint, CreateColumn

from oxidite.db.migrations.enum_types import natives, with_types
from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.literals import converted, literal
from oxidite.db.migrations.operations import (
    AddColumn,
    Backfill,
    ChangeColumn,
    CreateCheck,
    CreateIndex,
    CreateTable,
    DropCheck,
    DropColumn,
    DropIndex,
    DropTable,
    Execute,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.rebuild import Live, Rebuild, unknown
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.schema import metadata
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
        self._apart = apart or not dialect.transactional_ddl
        self.dialect = dialect
        self.is_sqlite: bool = dialect.name == "sqlite"
        self.is_postgresql: bool = dialect.name == "postgresql"
        self._sa = DIALECTS[dialect.name]
        self._concurrently = concurrently and self.is_postgresql
        self._live = live or {}
        self._unknown: dict[str, Live] = {}

    def write(self, operations: Sequence[Operation], schema: Schema) -> tuple[list[Step], Schema]:
        """Return the steps of operations and the schema after them.

        Raises:
            MigrationError: one of them cannot be done.
        """
        steps: list[Step] = []
        self._unknown = unknown(self._live, schema)
        for operation in operations:
            after = operation.after(schema)
            steps += self._steps(operation, schema, after)
            schema = after
        return steps, schema

    def _steps(self, operation: Operation, before: Schema, after: Schema) -> list[Step]:
        transactional = True
        match operation:
            case Backfill():
                return [Step(operation, transactional=False, backfill=operation)]
            case Execute():
                is_ours = operation.only in (None, self.dialect.name)
                statements = [operation.sql] if is_ours else []
                transactional = operation.transactional
            case CreateIndex():
                statements = self._create_index(operation, before, after)
                transactional = not (operation.concurrently and self._concurrently)
            case DropIndex():
                statements = self._drop_index(operation, before, after)
                transactional = not (operation.concurrently and self._concurrently)
            case CreateCheck() | DropCheck():
                statements = self._checks(operation.table, before, after)
            case _:
                statements = self._write(operation, before, after)
                if self.is_postgresql:
                    statements = self._with_types(operation, statements, before, after)
        if not statements:
            return []
        if not isinstance(operation, Execute) and not transactional:
            # An index made concurrently, after what an interrupted attempt has left was dropped: both
            # are done again if need be.
            return [Step(operation, tuple(statements), transactional=False)]
        if transactional and not self._apart:
            return [Step(operation, tuple(statements))]
        return [Step(operation, (each,), transactional) for each in statements]

    def _write(self, operation: Operation, before: Schema, after: Schema) -> list[str]:
        match operation:
            case CreateTable():
                made = self.tables(after)[operation.table.name]
                return self.sql(lambda op: op.impl.create_table(made))
            case DropTable():
                gone = self.tables(before)[operation.name]
                return self.sql(lambda op: op.impl.drop_table(gone))
            case RenameTable():
                return self._rename_table(operation, before, after)
            case AddColumn():
                return self._add_column(operation, before, after)
            case DropColumn():
                return self._drop_column(operation, before, after)
            case RenameColumn():
                return self._rename_column(operation, before, after)
            case ChangeColumn():
                return self._change_column(operation, before, after)
            case RenameIndex():
                return self._rename_index(operation, before, after)
            case _:
                raise MigrationError(f"{type(operation).__name__} is no operation.")

    def _with_types(
        self, operation: Operation, statements: Sequence[str], before: Schema, after: Schema
    ) -> list[str]:
        """Return statements with what makes and drops the types of enums that they are about."""
        renamed: dict[tuple[str, str], tuple[str, str]] = {}
        if isinstance(operation, RenameColumn):
            table = operation.table
            renamed[table, operation.name] = (table, operation.new)
        elif isinstance(operation, RenameTable):
            for column in before[operation.name].columns:
                renamed[operation.name, column.name] = (operation.new, column.name)
        old, new = (natives(self.tables(each).values()) for each in (before, after))
        return with_types(statements, old, new, renamed, self.quoted)

    def _checks(self, table: str, before: Schema, after: Schema) -> list[str]:
        if self.is_sqlite:
            return self._rebuild(before, after, table)
        old, new = self.tables(before)[table], self.tables(after)[table]
        return [*self._gone(table, old, new), *self._new(old, new)]

    # What all of them use.

    def tables(self, schema: Schema) -> Mapping[str, sa.Table]:
        """Return the tables of a schema as SQLAlchemy describes them."""
        return metadata([each.table() for each in schema.values()], self.dialect).tables

    def sql(self, do: Callable[[Operations], object]) -> list[str]:
        """Return the statements that Alembic writes."""
        written = _Buffer()
        context = MigrationContext.configure(
            dialect=self._sa,
            opts={"as_sql": True, "literal_binds": True, "output_buffer": written},
        )
        do(Operations(context))
        return written.statements

    def quoted(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        return self._sa.identifier_preparer.quote(name)

    def constraints(self, table: sa.Table) -> dict[str, str]:
        """Return the checks and foreign keys of a table: the SQL that adds each, by name."""
        found: list[sa.Constraint] = [
            each
            for each in table.constraints
            if isinstance(each, sa.CheckConstraint | sa.ForeignKeyConstraint)
        ]
        return {
            str(each.name): str(AddConstraint(each).compile(dialect=self._sa)) for each in found
        }

    def _gone(self, name: str, before: sa.Table, after: sa.Table | None) -> list[str]:
        """Return what drops the constraints of a table that are not there, or others, afterwards."""
        old = self.constraints(before)
        new = {} if after is None else self.constraints(after)
        kinds = {
            str(each.name): "foreignkey" if isinstance(each, sa.ForeignKeyConstraint) else "check"
            for each in before.constraints
        }
        statements: list[str] = []
        for each in sorted(old):
            if new.get(each) != old[each]:
                statements += self._drop_constraint(name, each, kinds[each])
                if kinds[each] == "foreignkey" and str(self.dialect.name) == "mariadb":
                    # It made an index for the key, if there was none, which would stay.
                    statements.append(
                        f"DROP INDEX IF EXISTS {self.quoted(each)} ON {self.quoted(name)}"
                    )
        return statements

    def _drop_constraint(self, table: str, name: str, kind: str) -> list[str]:
        return self.sql(lambda op: op.drop_constraint(name, table, type_=kind))

    def _new(self, before: sa.Table, after: sa.Table) -> list[str]:
        """Return what adds the constraints of a table that were not there, or others."""
        old, new = self.constraints(before), self.constraints(after)
        return [new[each].strip() for each in sorted(new) if old.get(each) != new[each]]

    def _rebuild(
        self,
        before: Schema,
        after: Schema,
        name: str,
        *,
        values: Mapping[str, str] | None = None,
    ) -> list[str]:
        made = self.tables(after)[name]
        kept = before[name]
        return Rebuild(self._sa, made, kept, self._unknown.get(name)).statements(values or {})

    # Tables.

    def _rename_table(self, operation: RenameTable, before: Schema, after: Schema) -> list[str]:
        old, new = self.tables(before)[operation.name], self.tables(after)[operation.new]
        renamed = self.sql(lambda op: op.rename_table(operation.name, operation.new))
        if self.is_postgresql:
            pairs = _renamed_constraints(old, new)
            return renamed + [self._rename_constraint(operation.new, *each) for each in pairs]
        if self.is_sqlite:
            if operation.name in self._unknown:
                self._unknown[operation.new] = self._unknown.pop(operation.name)
            if not self.constraints(old):
                return renamed
            # Their names are those of the table; what refers to it was renamed by SQLite itself.
            return renamed + self._rebuild(after, after, operation.new)
        return [*self._gone(operation.name, old, None), *renamed, *self.constraints(new).values()]

    def _rename_constraint(self, table: str, old: str, new: str) -> str:
        return (
            f"ALTER TABLE {self.quoted(table)} RENAME CONSTRAINT {self.quoted(old)} "
            f"TO {self.quoted(new)}"
        )

    # Columns.

    def _add_column(self, operation: AddColumn, before: Schema, after: Schema) -> list[str]:
        table, name = operation.table, operation.column.name
        old, new = self.tables(before)[table], self.tables(after)[table]
        added = new.c[name]
        fill = operation.fill
        value = None if fill is None else literal(fill, operation.column, self.dialect)
        if self.is_sqlite:
            is_simple = operation.column.nullable and operation.column.computed is None
            if value is None and is_simple and not self._new(old, new):
                return self.sql(lambda op: op.impl.add_column(table, added))
            values = {name: value if value is not None else "NULL"}
            return self._rebuild(before, after, table, values=values)
        if value is not None:
            added.server_default = sa.DefaultClause(sa.text(value))
        statements = self.sql(lambda op: op.impl.add_column(table, added))
        if value is not None:
            # The value was for the rows that are there; new ones get theirs from the model.
            statements += self.sql(
                lambda op: op.alter_column(
                    table,
                    name,
                    server_default=None,
                    existing_type=added.type,
                    existing_nullable=added.nullable,
                    existing_comment=added.comment,
                )
            )
        return statements + self._comment(added) + self._new(old, new)

    def _comment(self, column: sa.Column[Any]) -> list[str]:
        if not column.comment or not self._sa.supports_comments or self._sa.inline_comments:
            return []
        return self.sql(lambda op: op.impl.create_column_comment(column))

    def _drop_column(self, operation: DropColumn, before: Schema, after: Schema) -> list[str]:
        table, name = operation.table, operation.name
        old, new = self.tables(before)[table], self.tables(after)[table]
        indexes = [each for each in old.indexes if each.name not in {x.name for x in new.indexes}]
        statements: list[str] = []
        for each in sorted(indexes, key=lambda one: str(one.name)):
            statements += self._drop(each)
        extra = [each for each in self._extra(before, after, table) if each.name != name]
        statements += self.sql(lambda op: [op.impl.drop_column(table, each) for each in extra])
        if self.is_sqlite and (old.c[name].primary_key or self._gone_names(old, new)):
            return statements + self._rebuild(before, after, table)
        if not self.is_sqlite:
            statements += self._gone(table, old, new)
        return statements + self.sql(lambda op: op.drop_column(table, name))

    def _gone_names(self, old: sa.Table, new: sa.Table) -> set[str]:
        return set(self.constraints(old)) - set(self.constraints(new))

    def _rename_column(self, operation: RenameColumn, before: Schema, after: Schema) -> list[str]:
        table, name, new_name = operation.table, operation.name, operation.new
        old, new = self.tables(before)[table], self.tables(after)[table]
        column = old.c[name]
        # MariaDB is told everything of a column that it renames.
        more: dict[str, Any] = {}
        if not self.dialect.transactional_ddl:
            more["existing_autoincrement"] = bool(column.autoincrement)
        renamed = self.sql(
            lambda op: op.alter_column(
                table,
                name,
                new_column_name=new_name,
                existing_type=column.type,
                existing_nullable=column.nullable,
                existing_comment=column.comment,
                **more,
            )
        )
        if self.is_postgresql:
            pairs = _renamed_constraints(old, new)
            return renamed + [self._rename_constraint(table, *each) for each in pairs]
        if self.is_sqlite:
            is_same = set(self.constraints(old)) == set(self.constraints(new))
            return renamed if is_same else renamed + self._rebuild(after, after, table)
        return [*self._gone(table, old, new), *renamed, *self._new(old, new)]

    def _change_column(self, operation: ChangeColumn, before: Schema, after: Schema) -> list[str]:
        table, spec = operation.table, operation.column
        was = before[table].find(spec.name)
        assert was is not None  # noqa: S101 - `after` has found it
        if (was.primary_key, was.generated) != (spec.primary_key, spec.generated):
            raise MigrationError(
                f"{table}.{spec.name}: a primary key is not changed by op.change_column(…). Make a new "
                "table and copy the rows, or say it with op.execute(…)."
            )
        fill = None if operation.fill is None else literal(operation.fill, spec, self.dialect)
        here = self.quoted(spec.name)
        old, new = self.tables(before)[table], self.tables(after)[table]
        if self.is_sqlite:
            if operation.using is None and self._is_written_alike(spec.name, old, new):
                return []
            value = operation.using or converted(was.type_name, spec.type_name, here)
            value = value if fill is None else f"COALESCE({value}, {fill})"
            return self._rebuild(before, after, table, values={spec.name: value})
        statements = self._gone(table, old, new)
        statements += self._alter(operation, old.c[spec.name], new.c[spec.name], fill)
        return statements + self._new(old, new)

    def _is_written_alike(self, name: str, old: sa.Table, new: sa.Table) -> bool:
        """Whether a change of a column is none in this database, such as that of a text's length."""
        one, other = (
            str(CreateColumn(each.c[name]).compile(dialect=self._sa)) for each in (old, new)
        )
        return one == other and self.constraints(old) == self.constraints(new)

    def _alter(
        self, operation: ChangeColumn, old: sa.Column[Any], new: sa.Column[Any], fill: str | None
    ) -> list[str]:
        table, name = operation.table, old.name
        here = self.quoted(name)
        options: dict[str, Any] = {}
        old_type, new_type = (each.type.compile(dialect=self._sa) for each in (old, new))
        if old_type != new_type:
            options["type_"] = new.type
            is_text = old_type.startswith("VARCHAR") and new_type.startswith(("VARCHAR", "TEXT"))
            if self.is_postgresql and not is_text:
                options["postgresql_using"] = operation.using or f"{here}::{new_type}"
        statements: list[str] = []
        if old.nullable != new.nullable:
            options["nullable"] = new.nullable
            if fill is not None and not new.nullable:
                statements.append(
                    f"UPDATE {self.quoted(table)} SET {here} = {fill} WHERE {here} IS NULL"
                )
        if old.comment != new.comment:
            options["comment"] = new.comment
        if not options:
            return []
        return statements + self.sql(
            lambda op: op.alter_column(
                table,
                name,
                existing_type=old.type,
                existing_nullable=old.nullable,
                existing_comment=old.comment,
                **options,
            )
        )

    # Indexes.

    def _create_index(self, operation: CreateIndex, before: Schema, after: Schema) -> list[str]:
        made = self._index(after, operation.table, operation.index.name)
        if operation.concurrently and self._concurrently:
            made.dialect_options["postgresql"]["concurrently"] = True
            # What an interrupted one left is no good: it is not used, and still has to be written.
            gone = f"DROP INDEX CONCURRENTLY IF EXISTS {self.quoted(str(made.name))}"
            return [gone, *self.sql(lambda op: op.impl.create_index(made))]
        extra = self._extra(after, before, operation.table)
        return [
            *self.sql(lambda op: [op.impl.add_column(operation.table, each) for each in extra]),
            *self.sql(lambda op: op.impl.create_index(made)),
        ]

    def _drop_index(self, operation: DropIndex, before: Schema, after: Schema) -> list[str]:
        gone = self._index(before, operation.table, operation.name)
        if operation.concurrently and self._concurrently:
            return [f"DROP INDEX CONCURRENTLY IF EXISTS {self.quoted(operation.name)}"]
        extra = self._extra(before, after, operation.table)
        held = self._held(operation, before, after)
        return [
            *(
                sql
                for name in held
                for sql in self._drop_constraint(operation.table, name, "foreignkey")
            ),
            *self._drop(gone),
            *held.values(),
            *self.sql(lambda op: [op.impl.drop_column(operation.table, each) for each in extra]),
        ]

    def _held(self, operation: DropIndex, before: Schema, after: Schema) -> dict[str, str]:
        """Return the foreign keys that MariaDB needs an index for: it makes one of its own for them."""
        index = before[operation.table].find_index(operation.name)
        if self.dialect.transactional_ddl or index is None or not index.columns:
            return {}
        table = self.tables(after)[operation.table]
        names = [
            str(each.name)
            for each in table.foreign_key_constraints
            if next(iter(each.columns)).name == index.columns[0]
        ]
        written = self.constraints(table)
        return {name: written[name].strip() for name in names}

    def _extra(self, here: Schema, there: Schema, table: str) -> list[sa.Column[Any]]:
        """Return the columns that an index has of its own, where none can be of some rows only."""
        others = {each.name for each in self.tables(there)[table].c}
        return [each for each in self.tables(here)[table].c if each.name not in others]

    def _rename_index(self, operation: RenameIndex, before: Schema, after: Schema) -> list[str]:
        old, new = self.quoted(operation.name), self.quoted(operation.new)
        if self.is_postgresql:
            return [f"ALTER INDEX {old} RENAME TO {new}"]
        if not self.is_sqlite and not self._extra(after, before, operation.table):
            return [f"ALTER TABLE {self.quoted(operation.table)} RENAME INDEX {old} TO {new}"]
        index = next(each for each in after[operation.table].indexes if each.name == operation.new)
        without = DropIndex(operation.table, operation.name)
        between = without.after(before)
        return [
            *self._drop_index(without, before, between),
            *self._create_index(CreateIndex(operation.table, index), between, after),
        ]

    def _drop(self, index: sa.Index) -> list[str]:
        return self.sql(lambda op: op.impl.drop_index(index))

    def _index(self, schema: Schema, table: str, name: str) -> sa.Index:
        return next(each for each in self.tables(schema)[table].indexes if each.name == name)


class _Buffer:
    """What Alembic writes to."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        self.statements.append(text.strip().removesuffix(";"))

    def flush(self) -> None:
        pass


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
