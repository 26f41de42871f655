"""Objects made ready for the database, very many at once: turned into what is bound.

That is a function written out for each table, as the readers of rows in ``plan.py`` are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec import UNSET

from oxidite.db.tables.table import AnyColumn, Table
from oxidite.db.values.codecs import binder, many_binder
from oxidite.db.values.dialects import DialectName

__all__ = ["MOST_VALUES", "BoundRow", "pack_all", "pack_columns"]

BoundRow: TypeAlias = tuple[object, ...]
"""The values of all columns of a row as the driver takes them."""

MOST_VALUES = 15_000
"""Bound in one statement: PostgreSQL allows 65,535 and SQLite 32,766."""


def pack_all(table: Table, many: Sequence[Any], dialect: DialectName) -> list[BoundRow]:
    """Return the values of checked objects as the driver takes them; ``UNSET`` stays."""
    if len(many) < _FEW:
        return _packer(table, dialect)(many)
    return list(zip(*pack_columns(table.columns, many, dialect), strict=True))


def pack_columns(
    columns: Sequence[AnyColumn], many: Sequence[Any], dialect: DialectName
) -> list[list[object]]:
    """Return the same by columns, a list for each."""
    return _column_packer(tuple(columns), dialect)(many)


_FEW = 10
"""Objects that are packed faster one by one."""


@lru_cache(maxsize=1000)
def _packer(table: Table, dialect: DialectName) -> Callable[[Sequence[Any]], list[BoundRow]]:
    names: dict[str, Any] = {"UNSET": UNSET}
    values = [_value(column, place, dialect, names) for place, column in enumerate(table.columns)]
    source = f"pack = lambda many: [({', '.join(values)},) for o in many]"
    exec(source, names)  # noqa: S102 - the names are those of a class body; no value is in the source
    made: Callable[[Sequence[Any]], list[BoundRow]] = names["pack"]
    return made


@lru_cache(maxsize=1000)
def _column_packer(
    columns: tuple[AnyColumn, ...], dialect: DialectName
) -> Callable[[Sequence[Any]], list[list[object]]]:
    names: dict[str, Any] = {"UNSET": UNSET}
    lists = ", ".join(
        [_list(column, place, dialect, names) for place, column in enumerate(columns)]
    )
    exec(f"pack = lambda many: [{lists}]", names)  # noqa: S102 - as above
    made: Callable[[Sequence[Any]], list[list[object]]] = names["pack"]
    return made


def _list(column: AnyColumn, place: int, dialect: DialectName, names: dict[str, Any]) -> str:
    """Return what is bound of a column of all the objects, as source."""
    bind_all = many_binder(column.kind, dialect)
    if bind_all is None:
        return f"[{_value(column, place, dialect, names)} for o in many]"
    names[f"b{place}"] = bind_all
    return f"b{place}([o.{column.name} for o in many])"


def _value(column: AnyColumn, place: int, dialect: DialectName, names: dict[str, Any]) -> str:
    """Return what is bound of a column of an object ``o``, as source; what that names goes to ``names``."""
    value = f"o.{column.name}"
    bind = binder(column.kind, dialect)
    if bind is None:
        return value
    names[f"b{place}"] = bind
    return f"(v if (v := {value}) is None or v is UNSET else b{place}(v))"
