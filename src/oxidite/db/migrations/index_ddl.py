"""Writes the SQL of indexes."""

from __future__ import annotations

import sqlalchemy as sa

from oxidite.db.migrations.operations import CreateIndex, DropIndex, RenameIndex, Schema
from oxidite.db.migrations.texts import Texts
from oxidite.db.sql.exclusions import Exclusion
from oxidite.db.sql.indexes import kept_apart
from oxidite.db.sql.words import WordTable

__all__ = ["IndexWriter"]


class IndexWriter:
    """Writes for one kind of database; ``concurrently=False`` makes every index at once."""

    def __init__(self, texts: Texts, *, concurrently: bool) -> None:
        self._texts = texts
        self._concurrently = concurrently

    def create(self, operation: CreateIndex, before: Schema, after: Schema) -> list[str]:
        """Make an index, and the columns it has of its own."""
        words = self._words(after, operation.table, operation.index.name)
        if words is not None:
            return words.create()
        made = self._index(after, operation.table, operation.index.name)
        if made is None:
            return []
        if operation.concurrently and self._concurrently:
            made.dialect_options["postgresql"]["concurrently"] = True
            # What an interrupted one left is no good: it is not used, and still has to be written.
            gone = f"DROP INDEX CONCURRENTLY IF EXISTS {self._texts.quoted(str(made.name))}"
            return [gone, *self._texts.sql(lambda op: op.impl.create_index(made))]
        extra = self._texts.hidden_columns(after, before, operation.table)
        return [
            *self._texts.sql(
                lambda op: [op.impl.add_column(operation.table, each) for each in extra]
            ),
            *self._texts.sql(lambda op: op.impl.create_index(made)),
        ]

    def drop(self, operation: DropIndex, before: Schema, after: Schema) -> list[str]:
        """Drop an index, and the columns it has of its own."""
        words = self._words(before, operation.table, operation.name)
        if words is not None:
            return words.drop()
        gone = self._index(before, operation.table, operation.name)
        if gone is None:
            return []
        if operation.concurrently and self._concurrently:
            return [f"DROP INDEX CONCURRENTLY IF EXISTS {self._texts.quoted(operation.name)}"]
        extra = self._texts.hidden_columns(before, after, operation.table)
        held = self._held(operation, before, after)
        return [
            *(
                sql
                for name in held
                for sql in self._texts.drop_constraint(operation.table, name, "foreignkey")
            ),
            *self._texts.drop_index(gone),
            *held.values(),
            *self._texts.sql(
                lambda op: [op.impl.drop_column(operation.table, each) for each in extra]
            ),
        ]

    def _held(self, operation: DropIndex, before: Schema, after: Schema) -> dict[str, str]:
        """Return the foreign keys that MariaDB needs an index for: it makes one of its own for them."""
        index = before[operation.table].find_index(operation.name)
        if self._texts.dialect.transactional_ddl or index is None or not index.columns:
            return {}
        table = self._texts.tables(after)[operation.table]
        names = [
            str(each.name)
            for each in table.foreign_key_constraints
            if next(iter(each.columns)).name == index.columns[0]
        ]
        written = self._texts.constraints(table)
        return {name: written[name].strip() for name in names}

    def rename(self, operation: RenameIndex, before: Schema, after: Schema) -> list[str]:
        """Give an index another name."""
        old, new = self._texts.quoted(operation.name), self._texts.quoted(operation.new)
        words = self._words(before, operation.table, operation.name)
        if words is None and self._index(before, operation.table, operation.name) is None:
            return []
        if self._texts.is_postgresql:
            return [f"ALTER INDEX {old} RENAME TO {new}"]
        if not self._texts.is_sqlite and not self._texts.hidden_columns(
            after, before, operation.table
        ):
            return [
                f"ALTER TABLE {self._texts.quoted(operation.table)} RENAME INDEX {old} TO {new}"
            ]
        index = next(each for each in after[operation.table].indexes if each.name == operation.new)
        without = DropIndex(operation.table, operation.name)
        between = without.after(before)
        return [
            *self.drop(without, before, between),
            *self.create(CreateIndex(operation.table, index), between, after),
        ]

    def _words(self, schema: Schema, table: str, name: str) -> WordTable | Exclusion | None:
        """Return an index of words where SQLite has a table of its own for it, or an exclusion constraint."""
        found = kept_apart(self._texts.tables(schema)[table])
        return next((each for each in found if each.index.name == name), None)

    def _index(self, schema: Schema, table: str, name: str) -> sa.Index | None:
        """Return an index; ``None`` where the database has none of its kind, as of vectors."""
        found = self._texts.tables(schema)[table].indexes
        return next((each for each in found if each.name == name), None)
