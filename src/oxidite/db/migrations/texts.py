"""What the SQL of every change of a schema is made of: tables as Alembic takes them, and their constraints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.schema import AddConstraint, DDLElement

from oxidite.db.migrations.literals import literal
from oxidite.db.migrations.operations import Schema
from oxidite.db.migrations.rebuild import Live, Rebuild
from oxidite.db.migrations.specs import SyncSpec, TableSpec
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.history import HistoryTriggers, follows, triggers
from oxidite.db.sql.indexes import kept_apart
from oxidite.db.sql.mentions import shielded
from oxidite.db.sql.schema import metadata
from oxidite.db.sql.syncs import SyncTriggers
from oxidite.db.tables.history import history_name
from oxidite.db.values.dialects import Dialect

__all__ = ["Texts"]


class Texts:
    """Writes for one kind of database.

    ``unknown`` is what a rebuild of a table of SQLite has to keep that no history knows of.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Dialect = dialect
        self.is_sqlite: bool = dialect.name == "sqlite"
        self.is_postgresql: bool = dialect.name == "postgresql"
        self.theirs: sa.Dialect = DIALECTS[dialect.name]
        self.unknown: dict[str, Live] = {}

    def tables(self, schema: Schema) -> Mapping[str, sa.Table]:
        """Return the tables of a schema as SQLAlchemy describes them."""
        return metadata([each.table() for each in schema.values()], self.dialect).tables

    def sql(self, do: Callable[[Operations], object]) -> list[str]:
        """Return the statements that Alembic writes."""
        written: list[str] = []
        context = MigrationContext.configure(
            dialect=self.theirs, opts={"as_sql": True, "literal_binds": True}
        )
        impl: Any = context.impl

        def write(construct: Any, *_: object, **__: object) -> None:
            found = sa.text(construct) if isinstance(construct, str) else construct
            kwargs = {} if isinstance(found, DDLElement) else {"literal_binds": True}
            sql = str(found.compile(dialect=self.theirs, compile_kwargs=kwargs))
            written.append(_TABS.sub(_spaces, sql).strip())

        # Its own makes spaces of all tabs, of those inside of texts, too.
        impl._exec = write  # noqa: SLF001 - as above
        do(Operations(context))
        return written

    def quoted(self, name: str) -> str:
        """Return a name as it stands in SQL."""
        return self.theirs.identifier_preparer.quote(name)

    def constraints(self, table: sa.Table) -> dict[str, str]:
        """Return the checks and foreign keys of a table: the SQL that adds each, by name."""
        found: list[sa.Constraint] = [
            each
            for each in table.constraints
            if isinstance(each, sa.CheckConstraint | sa.ForeignKeyConstraint)
        ]
        return {
            str(each.name): str(AddConstraint(each).compile(dialect=self.theirs)) for each in found
        }

    def gone(self, name: str, before: sa.Table, after: sa.Table | None) -> list[str]:
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
                statements += self.drop_constraint(name, each, kinds[each])
                if kinds[each] == "foreignkey" and str(self.dialect.name) == "mariadb":
                    # It made an index for the key, if there was none, which would stay.
                    statements.append(
                        f"DROP INDEX IF EXISTS {self.quoted(each)} ON {self.quoted(name)}"
                    )
        return statements

    def drop_constraint(self, table: str, name: str, kind: str) -> list[str]:
        """Return what drops a constraint."""
        return self.sql(lambda op: op.drop_constraint(name, table, type_=kind))

    def new(self, before: sa.Table, after: sa.Table) -> list[str]:
        """Return what adds the constraints of a table that were not there, or others."""
        old, new = self.constraints(before), self.constraints(after)
        return [new[each].strip() for each in sorted(new) if old.get(each) != new[each]]

    def rebuild(
        self,
        before: Schema,
        after: Schema,
        name: str,
        *,
        values: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return what makes a table of SQLite anew; ``values`` are those of columns that are not copied."""
        made = self.tables(after)[name]
        kept = before[name]
        # What is searched for words is so by number, and the rows have others in the new table.
        words = [each for one in kept_apart(self.tables(before)[name]) for each in one.drop()]
        rebuild = Rebuild(self.theirs, made, kept, self.unknown.get(name)).statements(values or {})
        words_again = [each for one in kept_apart(made) for each in one.create()]
        # SQLite runs the trigger that was made last first: those of words, and of histories, have to see
        # a row before one of a sync changes it.
        syncs = [sql for each in self.syncs(after, name) for sql in each.create()]
        return [*words, *rebuild, *syncs, *words_again]

    def syncs(self, schema: Schema, name: str) -> list[SyncTriggers]:
        """Return the triggers that keep columns of a table in step."""
        return (
            [] if name not in schema else [self._sync(schema[name], s) for s in schema[name].syncs]
        )

    def _sync(self, table: TableSpec, sync: SyncSpec) -> SyncTriggers:
        columns = {each.name: each for each in table.columns}
        names = [*columns]
        return SyncTriggers(
            table=table.name,
            name=sync.name,
            new={each: self._expression(sql, names) for each, sql in sync.new.items()},
            old={each: self._expression(sql, names) for each, sql in sync.old.items()},
            fill={
                each: literal(value, columns[each], self.dialect)
                for each, value in sync.fill.items()
            },
            columns=names,
            texts=[each.name for each in table.columns if each.type_name in ("text", "enum")],
            keys=[each.name for each in table.columns if each.primary_key],
            dialect=self.dialect,
        )

    def _expression(self, sql: str, columns: Sequence[str]) -> str:
        return shielded(sql, columns) if self.dialect.is_mysql else sql

    def history(self, schema: Schema, name: str) -> HistoryTriggers | None:
        """Return the triggers that write the versions of a table's rows: of the columns that both have.

        ``None`` if there is no history, or its table has another name for the moment.
        """
        table, beside = schema.get(name), schema.get(history_name(name))
        if table is None or beside is None or not table.history:
            return None
        columns = [each for each in table.columns if beside.find(each.name) is not None]
        return triggers(
            name,
            [each.name for each in columns],
            [each.name for each in columns if each.primary_key],
            [
                each.name
                for each in table.columns
                if each.references and follows(each.on_delete, each.on_key_update)
            ],
            self.dialect,
        )

    def rename_constraint(self, table: str, old: str, new: str) -> str:
        """Return what gives a constraint another name, on PostgreSQL."""
        return (
            f"ALTER TABLE {self.quoted(table)} RENAME CONSTRAINT {self.quoted(old)} "
            f"TO {self.quoted(new)}"
        )

    def hidden_columns(self, here: Schema, there: Schema, table: str) -> list[sa.Column[Any]]:
        """Return the columns that an index has of its own, where none can be of some rows only."""
        others = {each.name for each in self.tables(there)[table].c}
        return [each for each in self.tables(here)[table].c if each.name not in others]

    def drop_index(self, index: sa.Index) -> list[str]:
        """Return what drops an index."""
        return self.sql(lambda op: op.impl.drop_index(index))


_TABS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\t""")
"""Text and names in quotes, and tabs outside of them."""


def _spaces(found: re.Match[str]) -> str:
    return "    " if found.group() == "\t" else found.group()
