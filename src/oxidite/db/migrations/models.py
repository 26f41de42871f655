"""The models of a program: their tables, and what they say about rows that are there."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import UNSET

from oxidite.db.errors import ModelError
from oxidite.db.migrations.operations import Fill, Schema
from oxidite.db.migrations.specs import NOW, TableSpec
from oxidite.db.models.model import Model
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table, check_reference
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.range_codecs import write_range
from oxidite.db.values.ranges import Range
from oxidite.encoding import encode_json

__all__ = ["fills_of", "renames_of", "schema_of", "tables_of"]


def tables_of(database: str | None = None) -> list[Table]:
    """Return the tables of all models that are imported and live in a database.

    Raises:
        ModelError: two models have one table.
    """
    found: dict[str, tuple[type, Table]] = {}
    for model in _below(Model):
        table: Table | None = vars(model).get("__table__")
        if table is None or table.database != database:
            continue
        other, _ = found.setdefault(table.name, (model, table))
        if other is not model:
            raise ModelError(
                f"{_name(other)} and {_name(model)} both have the table {table.name!r}."
            )
    return [table for _, table in found.values()]


def _below(model: type) -> Iterator[type]:
    below: list[type] = type.__subclasses__(model)
    for each in below:
        yield each
        yield from _below(each)


def _name(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"


def schema_of(tables: Iterable[Table], dialect: Dialect) -> Schema:
    """Return the schema that models ask for, its expressions in the SQL of a kind of database.

    Raises:
        ModelError: a table refers to one that is not among them, or has two indexes of one name.
    """
    found = {table.name: TableSpec.of(table, dialect) for table in with_histories(tables)}
    for table in found.values():
        for column in table.columns:
            if column.references is not None:
                check_reference(found, table.name, column.name, column.references)
    return found


def with_histories(tables: Iterable[Table]) -> Iterator[Table]:
    """Yield tables, and beside each the one that has the versions of its rows.

    Raises:
        ModelError: a model has the table that the history of another one needs.
    """
    found = list(tables)
    names = {table.name for table in found}
    for table in found:
        yield table
        if table.history is not None:
            if table.history.name in names:
                raise ModelError(
                    f"{table.history.name} is the table of a model, and the history of {table.name} needs "
                    "it: give that model another one."
                )
            yield table.history


def renames_of(tables: Iterable[Table], schema: Schema) -> dict[str, str]:
    """Return the names that columns had before, where a schema still has them: ``renamed_from=``."""
    found: dict[str, str] = {}
    for table in tables:
        known = schema.get(table.name)
        for column in table.columns:
            old = column.rules.get("renamed_from")
            is_new = known is not None and known.find(column.column_name) is None
            if old is not None and known is not None and is_new and known.find(old) is not None:
                found[f"{table.name}.{old}"] = column.column_name
    return found


def fills_of(tables: Iterable[Table]) -> dict[str, Fill]:
    """Return the values that models give new rows, by ``table.column``, where a value does for all."""
    found: dict[str, Fill] = {}
    for table in tables:
        for column in table.columns:
            value = _fill(column)
            if value is not None:
                found[f"{table.name}.{column.column_name}"] = value
    return found


def _fill(column: Column[Any, Any]) -> Fill:
    declared, kind = column.declared, column.kind
    is_json = kind.name in ("json", "array")
    if declared.default_factory is not None:
        if kind.type is datetime:
            return NOW
        # A key of its own for each row is no value for all of them.
        return _written(declared.default_factory(), is_json=True) if is_json else None
    if declared.default is UNSET or declared.default is None:
        return None
    return _written(declared.default, is_json=is_json)


def _written(value: object, *, is_json: bool) -> Fill:
    if is_json:
        return encode_json(value).decode()
    match value:
        case enum.Enum():
            return _written(value.value, is_json=False)
        case bool() | int() | float() | str():
            return value
        case timedelta():
            return value.total_seconds()
        case date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case Range():
            return write_range(value)
        case _:
            return None
