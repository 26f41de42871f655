"""Names in SQL that have other quotes than before: no reason to make a check or an index anew."""

from __future__ import annotations

from dataclasses import replace

from oxidite.db.migrations.specs import IndexSpec, TableSpec
from oxidite.db.sql.mentions import is_alike
from oxidite.db.tables.table import SQL

__all__ = ["as_written"]


def as_written(old: TableSpec | None, new: TableSpec) -> TableSpec:
    """Return a table with its SQL as the one before has it, where that is the same but for quotes.

    A name gets other quotes, or none, with the database that is asked and when a column is renamed.
    """
    if old is None:
        return new
    checks = {each.name: each.sql for each in old.checks}
    computed = {each.name: each.computed for each in old.columns}
    return replace(
        new,
        columns=tuple(
            replace(each, computed=was)
            if is_alike(was := computed.get(each.name), each.computed)
            else each
            for each in new.columns
        ),
        checks=tuple(
            replace(each, sql=was)
            if (was := checks.get(each.name)) and is_alike(was, each.sql)
            else each
            for each in new.checks
        ),
        indexes=tuple(_index_as_written(old, each) for each in new.indexes),
    )


def _index_as_written(old: TableSpec, new: IndexSpec) -> IndexSpec:
    for each in old.indexes:
        made = replace(new, on=each.on, where=each.where)
        if (
            (each.unique, each.using, len(each.on)) == (new.unique, new.using, len(new.on))
            and is_alike(each.where, new.where)
            and all(map(_is_same_part, each.on, new.on))
        ):
            return made
    return new


def _is_same_part(one: str | SQL, other: str | SQL) -> bool:
    if isinstance(one, SQL) and isinstance(other, SQL):
        return one.type == other.type and is_alike(one, other)
    return type(one) is type(other) and one == other
