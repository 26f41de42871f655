"""Objects made ready for the database, very many at once: turned into what is bound.

That is a function written out for each table, as the readers of rows in ``plan.py`` are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec import UNSET

from oxidite.db.tables.table import AnyColumn, Table
from oxidite.db.values.codecs import binder
from oxidite.db.values.dialects import DialectName

__all__ = ["BoundRow", "pack_all", "pack_columns"]

BoundRow: TypeAlias = tuple[object, ...]
"""The values of all columns of a row as the driver takes them."""


def pack_all(table: Table, many: Sequence[Any], dialect: DialectName) -> list[BoundRow]:
    """Return the values of checked objects as the driver takes them; ``UNSET`` stays."""
    return _packer(table, dialect)(many)


def pack_columns(
    columns: Sequence[AnyColumn], many: Sequence[Any], dialect: DialectName
) -> list[list[object]]:
    """Return the same by columns, a list for each."""
    return _column_packer(tuple(columns), dialect)(many)


@lru_cache(maxsize=1000)
def _packer(table: Table, dialect: DialectName) -> Callable[[Sequence[Any]], list[BoundRow]]:
    values, names = _values(table.columns, dialect)
    source = f"pack = lambda many: [({', '.join(values)},) for o in many]"
    exec(source, names)  # noqa: S102 - the names are those of a class body; no value is in the source
    made: Callable[[Sequence[Any]], list[BoundRow]] = names["pack"]
    return made


@lru_cache(maxsize=1000)
def _column_packer(
    columns: tuple[AnyColumn, ...], dialect: DialectName
) -> Callable[[Sequence[Any]], list[list[object]]]:
    values, names = _values(columns, dialect)
    lists = ", ".join(f"[{value} for o in many]" for value in values)
    exec(f"pack = lambda many: [{lists}]", names)  # noqa: S102 - as above
    made: Callable[[Sequence[Any]], list[list[object]]] = names["pack"]
    return made


def _values(columns: Sequence[AnyColumn], dialect: DialectName) -> tuple[list[str], dict[str, Any]]:
    """Return what is bound of the columns of an object ``o``, as source, and the names in that."""
    names: dict[str, Any] = {"UNSET": UNSET}
    values: list[str] = []
    for place, column in enumerate(columns):
        bind = binder(column.kind, dialect)
        value = f"o.{column.name}"
        if bind is not None:
            names[f"b{place}"] = bind
            value = f"(v if (v := {value}) is None or v is UNSET else b{place}(v))"
        values.append(value)
    return values, names
