"""Objects made ready for the database, very many at once: turned into what is bound.

That is a function written out for each table, as the readers of rows in ``plan.py`` are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec import UNSET

from oxidite.db.codecs import binder
from oxidite.db.dialects import DialectName
from oxidite.db.table import Table

__all__ = ["BoundRow", "pack_all"]

BoundRow: TypeAlias = tuple[object, ...]
"""The values of all columns of a row as the driver takes them."""


def pack_all(table: Table, many: Sequence[Any], dialect: DialectName) -> list[BoundRow]:
    """Return the values of checked objects as the driver takes them; ``UNSET`` stays."""
    return _packer(table, dialect)(many)


@lru_cache(maxsize=1000)
def _packer(table: Table, dialect: DialectName) -> Callable[[Sequence[Any]], list[BoundRow]]:
    names: dict[str, Any] = {"UNSET": UNSET}
    values: list[str] = []
    for place, column in enumerate(table.columns):
        bind = binder(column.kind, dialect)
        value = f"o.{column.name}"
        if bind is not None:
            names[f"b{place}"] = bind
            value = f"(v if (v := {value}) is None or v is UNSET else b{place}(v))"
        values.append(value)
    source = f"pack = lambda many: [({', '.join(values)},) for o in many]"
    exec(source, names)  # noqa: S102 - the names are those of a class body; no value is in the source
    made: Callable[[Sequence[Any]], list[BoundRow]] = names["pack"]
    return made
