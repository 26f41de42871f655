"""What a migration does, step by step, as plain data: each knows what becomes of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.specs import CheckSpec, ColumnSpec, IndexSpec, TableSpec
from oxidite.db.sql.mentions import renamed
from oxidite.db.tables.history import BY, CHANGE, FROM, ID, REASON, UNTIL, history_name
from oxidite.db.tables.table import SQL
from oxidite.db.values.dialects import DialectName

__all__ = [
    "AddColumn",
    "Backfill",
    "ChangeColumn",
    "ChangeKey",
    "CreateCheck",
    "CreateHistory",
    "CreateIndex",
    "CreateTable",
    "DropCheck",
    "DropColumn",
    "DropHistory",
    "DropIndex",
    "DropTable",
    "Execute",
    "Fill",
    "OfTable",
    "Operation",
    "RenameColumn",
    "RenameIndex",
    "RenameTable",
    "Schema",
    "column_in",
    "table_in",
]

Fill: TypeAlias = int | float | str | bool | None
"""The value that the rows which are there get."""

Schema: TypeAlias = Mapping[str, TableSpec]
"""The tables that a history makes, by name."""


class Operation(Protocol):
    """One step of a migration."""

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it touches."""
        ...

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done.

        Raises:
            MigrationError: it cannot be done to that schema.
        """
        ...


def table_in(schema: Schema, name: str) -> TableSpec:
    """Return a table of a schema.

    Raises:
        MigrationError: there is none of that name.
    """
    found = schema.get(name)
    if found is None:
        raise MigrationError(
            f"There is no table {name!r} at this point of the history. What was made with "
            "op.execute(…) is not known here: make it with op.create_table(…)."
        )
    return found


def column_in(schema: Schema, table: str, name: str) -> ColumnSpec:
    """Return a column of a table of a schema.

    Raises:
        MigrationError: there is none of that name.
    """
    found = table_in(schema, table).find(name)
    if found is None:
        raise MigrationError(f"The table {table!r} has no column {name!r} at this point.")
    return found


def _index(schema: Schema, table: str, name: str) -> IndexSpec:
    found = table_in(schema, table).find_index(name)
    if found is None:
        raise MigrationError(f"The table {table!r} has no index {name!r} at this point.")
    return found


def _check_syncs(table: TableSpec, column: str | None = None) -> None:
    """See to it that no trigger writes a column, or any of the table, that is about to go."""
    for each in table.syncs:
        if column is None or column in each.columns:
            what = table.name if column is None else f"{table.name}.{column}"
            raise MigrationError(
                f"{what} is kept in step by triggers. Drop them first: "
                f"op.drop_sync({each.name!r}, {table.name!r})."
            )


def _with(schema: Schema, table: TableSpec) -> Schema:
    return {**schema, table.name: table}


def _exchanged(table: TableSpec, old: str, new: ColumnSpec) -> TableSpec:
    return replace(
        table, columns=tuple(new if each.name == old else each for each in table.columns)
    )


@dataclass(frozen=True, slots=True)
class OfTable:
    """What is done to one table."""

    table: str

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it touches."""
        return frozenset({self.table})


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A new table, with its indexes."""

    table: TableSpec

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it touches."""
        return frozenset({self.table.name})

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        if self.table.name in schema:
            raise MigrationError(f"There is a table {self.table.name!r} already at this point.")
        for each in self.table.references:
            table_in(schema, each)
        return _with(schema, self.table)


@dataclass(frozen=True, slots=True)
class DropTable:
    """A table is gone, with all that was in it."""

    name: str

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it touches."""
        return frozenset({self.name})

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        _check_syncs(table_in(schema, self.name))
        for each in schema.values():
            if self.name in each.references:
                raise MigrationError(
                    f"The table {self.name!r} cannot be dropped: {each.name!r} refers to it. Drop "
                    "that column or table first."
                )
        return {name: table for name, table in schema.items() if name != self.name}


@dataclass(frozen=True, slots=True)
class RenameTable:
    """A table has another name; what refers to it goes with it."""

    name: str
    new: str

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it touches."""
        return frozenset({self.name, self.new})

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        _check_syncs(table_in(schema, self.name))
        if self.new in schema:
            raise MigrationError(f"There is a table {self.new!r} already at this point.")
        made = {}
        for each in schema.values():
            columns = tuple(
                replace(column, references=f"{self.new}.{column.references.partition('.')[2]}")
                if column.references and column.references.partition(".")[0] == self.name
                else column
                for column in each.columns
            )
            name = self.new if each.name == self.name else each.name
            made[name] = replace(each, name=name, columns=columns)
        return made


@dataclass(frozen=True, slots=True)
class AddColumn(OfTable):
    """A table has one more column; the rows that are there get ``fill``."""

    column: ColumnSpec
    fill: Fill = None

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        if table.find(self.column.name) is not None:
            raise MigrationError(f"The table {self.table!r} has a column {self.column.name!r}.")
        if self.column.references:
            table_in(schema, self.column.references.partition(".")[0])
        return _with(schema, replace(table, columns=(*table.columns, self.column)))


@dataclass(frozen=True, slots=True)
class DropColumn(OfTable):
    """A column is gone, with the values in it and the indexes over it."""

    name: str

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        column_in(schema, self.table, self.name)
        table = table_in(schema, self.table)
        _check_syncs(table, self.name)
        return _with(
            schema,
            replace(
                table,
                columns=tuple(each for each in table.columns if each.name != self.name),
                indexes=tuple(each for each in table.indexes if self.name not in each.columns),
            ),
        )


@dataclass(frozen=True, slots=True)
class RenameColumn(OfTable):
    """A column has another name; so has it in its indexes, and in what refers to it."""

    name: str
    new: str

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        column = column_in(schema, self.table, self.name)
        _check_syncs(table_in(schema, self.table), self.name)
        table = _exchanged(table_in(schema, self.table), self.name, replace(column, name=self.new))
        table = replace(
            table,
            columns=tuple(
                replace(each, computed=self._text(each.computed)) if each.computed else each
                for each in table.columns
            ),
            checks=tuple(replace(each, sql=self._text(each.sql)) for each in table.checks),
        )
        if len({each.name for each in table.columns}) < len(table.columns):
            raise MigrationError(f"The table {self.table!r} has a column {self.new!r} already.")
        indexes = tuple(
            replace(
                each,
                on=tuple(map(self._part, each.on)),
                where=None if each.where is None else self._text(each.where),
            )
            for each in table.indexes
        )
        made = dict(_with(schema, replace(table, indexes=indexes)))
        old, new = f"{self.table}.{self.name}", f"{self.table}.{self.new}"
        for name, other in made.items():
            columns = tuple(
                replace(each, references=new) if each.references == old else each
                for each in other.columns
            )
            made[name] = replace(other, columns=columns)
        return made

    def _text(self, sql: str) -> str:
        return renamed(sql, self.name, self.new)

    def _part(self, on: str | SQL) -> str | SQL:
        if isinstance(on, SQL):
            return SQL(self._text(on), type=on.type)
        return self.new if on == self.name else on


@dataclass(frozen=True, slots=True)
class ChangeColumn(OfTable):
    """A column is another one of the same name: its type, its rules, whether it may be empty.

    ``using`` makes the new value of the old one where the database cannot do so by itself; ``fill``
    stands where there was none and there has to be one.
    """

    column: ColumnSpec
    using: str | None = None
    fill: Fill = None

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        column_in(schema, self.table, self.column.name)
        if self.column.references:
            table_in(schema, self.column.references.partition(".")[0])
        return _with(
            schema, _exchanged(table_in(schema, self.table), self.column.name, self.column)
        )


@dataclass(frozen=True, slots=True)
class ChangeKey(OfTable):
    """Other columns are the primary key, in the order that they have in the table."""

    columns: tuple[str, ...]

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        if not self.columns:
            raise MigrationError(f"The table {self.table!r} needs a primary key.")
        for name in self.columns:
            if column_in(schema, self.table, name).nullable:
                raise MigrationError(
                    f"{self.table}.{name} may be empty, so it cannot be in a primary key. Change that "
                    "first: op.change_column(…)."
                )
        for each in table.columns:
            if each.generated and each.name not in self.columns:
                raise MigrationError(
                    f"The database makes the values of {self.table}.{each.name}, which it does for "
                    "primary keys alone, so that has to stay in it."
                )
        self._check_references(schema)
        columns = tuple(
            replace(each, primary_key=each.name in self.columns) for each in table.columns
        )
        return _with(schema, replace(table, columns=columns))

    def _check_references(self, schema: Schema) -> None:
        """A foreign key is to what is unique by itself: a part of a key is not."""
        was = [each.name for each in schema[self.table].columns if each.primary_key]
        for other in schema.values() if len(was) == 1 else ():
            for column in other.columns:
                if column.references == f"{self.table}.{was[0]}":
                    raise MigrationError(
                        f"The primary key of {self.table} cannot become ({', '.join(self.columns)}): "
                        f"{other.name}.{column.name} refers to {column.references}. Take that "
                        "references= away first, with a migration of its own; where it is to come "
                        f"back, {column.references} needs a unique index."
                    )


@dataclass(frozen=True, slots=True)
class CreateIndex(OfTable):
    """A table has one more index."""

    index: IndexSpec
    concurrently: bool = False

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        for each in self.index.columns:
            column_in(schema, self.table, each)
        if table.find_index(self.index.name) is not None:
            raise MigrationError(f"The table {self.table!r} has an index {self.index.name!r}.")
        return _with(schema, replace(table, indexes=(*table.indexes, self.index)))


@dataclass(frozen=True, slots=True)
class DropIndex(OfTable):
    """An index is gone."""

    name: str
    concurrently: bool = False

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        _index(schema, self.table, self.name)
        table = table_in(schema, self.table)
        return _with(
            schema,
            replace(table, indexes=tuple(each for each in table.indexes if each.name != self.name)),
        )


@dataclass(frozen=True, slots=True)
class RenameIndex(OfTable):
    """An index has another name."""

    name: str
    new: str

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        index = _index(schema, self.table, self.name)
        table = table_in(schema, self.table)
        indexes = tuple(
            replace(index, name=self.new) if each is index else each for each in table.indexes
        )
        return _with(schema, replace(table, indexes=indexes))


@dataclass(frozen=True, slots=True)
class CreateCheck(OfTable):
    """A table has one more rule, that all its rows keep."""

    check: CheckSpec

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        if table.find_check(self.check.name) is not None:
            raise MigrationError(f"The table {self.table!r} has a check {self.check.name!r}.")
        return _with(schema, replace(table, checks=(*table.checks, self.check)))


@dataclass(frozen=True, slots=True)
class DropCheck(OfTable):
    """A rule of a table is gone."""

    name: str

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        if table.find_check(self.name) is None:
            raise MigrationError(
                f"The table {self.table!r} has no check {self.name!r} at this point."
            )
        return _with(
            schema,
            replace(table, checks=tuple(each for each in table.checks if each.name != self.name)),
        )


@dataclass(frozen=True, slots=True)
class CreateHistory(OfTable):
    """Triggers write the versions of the rows of a table into the table beside it, which is there."""

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table, beside = table_in(schema, self.table), history_name(self.table)
        missing = [each for each in _HISTORY if table_in(schema, beside).find(each) is None]
        missing += [
            each.name
            for each in table.columns
            if each.primary_key and schema[beside].find(each.name) is None
        ]
        if missing:
            raise MigrationError(
                f"The table {beside!r} cannot hold a history: it has no column {missing[0]!r}. "
                "oxidite db diff writes it for a model with a History."
            )
        return _with(schema, replace(table, history=True))


@dataclass(frozen=True, slots=True)
class DropHistory(OfTable):
    """Nothing is written into the history of a table any more; the versions stay as long as that table."""

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        if not table.history:
            raise MigrationError(f"The table {self.table!r} has no history at this point.")
        return _with(schema, replace(table, history=False))


_HISTORY = (ID, FROM, UNTIL, CHANGE, BY, REASON)


@dataclass(frozen=True, slots=True)
class Execute:
    """SQL as it stands; what it does to the schema is not known here."""

    sql: str
    only: DialectName | None = None
    """The one kind of database that it is for."""
    transactional: bool = True

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it touches."""
        return frozenset()

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        return schema


@dataclass(frozen=True, slots=True)
class Backfill(OfTable):
    """Values for the rows that are there, some at a time, each in a transaction of its own."""

    values: Mapping[str, str] = field(default_factory=dict)
    """SQL by column."""
    where: str | None = None
    batch: int = 1000
    pause: float = 0.05
    """Seconds between two."""

    def after(self, schema: Schema) -> Schema:
        """Return the schema as it is once this was done."""
        table = table_in(schema, self.table)
        for each in self.values:
            column_in(schema, self.table, each)
        if sum(each.primary_key for each in table.columns) != 1:
            raise MigrationError(
                f"The rows of {self.table!r} cannot be filled in batches: that takes a primary key "
                "of one column."
            )
        return schema
