"""Which rows of the models that are imported were changed, all told: what the database did by itself, too."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from oxidite.db.connections.notices import Changes
from oxidite.db.models.model import Model
from oxidite.db.statements.touching import name_of
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import AnyColumn, Table

__all__ = ["affected_rows"]

_DELETING = frozenset(("delete", "truncate", "replace", "merge", "drop"))


def affected_rows(changes: Changes) -> dict[str, set[Hashable] | None]:
    """Return the rows that changed, by the name of the table; ``None`` where it may be any row.

    Of SQL that a person wrote all tables that it names have changed. The rows that refer to one that was
    deleted change with it as their foreign keys say. What triggers do is not known.
    """
    found = Changes()
    found.merge(changes)
    if not (found.words or found.deleted or found.rekeyed or found.is_unknown):
        return found.rows
    tables = list(_tables(Model))
    if found.is_unknown:
        return found.rows | {name_of(table): None for table in tables}
    named = {name for table in tables if (name := name_of(table)) in found.words}
    found.add(dict.fromkeys(named))
    if not found.words.isdisjoint(_DELETING):
        found.deleted |= named
    if "update" in found.words:
        found.rekeyed |= named
    if found.deleted or found.rekeyed:
        _follow(found, tables)
    return found.rows


def _follow(changes: Changes, tables: list[Table]) -> None:
    """Note what becomes of the rows that refer to others, and of those that refer to them."""
    referring = [
        (name_of(table), column, target)
        for table in tables
        for column in table.columns
        if (target := _target(column)) is not None
    ]
    while True:
        before = len(changes.deleted), len(changes.rekeyed)
        for name, column, target in referring:
            on_delete = column.rules.get("on_delete")
            if target in changes.deleted and on_delete in ("cascade", "set null"):
                changes.add({name: None})
                (changes.deleted if on_delete == "cascade" else changes.rekeyed).add(name)
            if target in changes.rekeyed and column.rules.get("on_key_update") is not None:
                changes.add({name: None})
                changes.rekeyed.add(name)
        if before == (len(changes.deleted), len(changes.rekeyed)):
            return


def _target(column: AnyColumn) -> str | None:
    """Return the name of the table that a column refers to."""
    reference = column.rules.get("references")
    if isinstance(reference, Column):
        return reference.table.name.lower()
    return None if reference is None else str(reference).rpartition(".")[0].lower()


def _tables(model: type) -> Iterator[Table]:
    below: list[type] = type.__subclasses__(model)
    for each in below:
        table: Table | None = vars(each).get("__table__")
        if table is not None:
            yield table
        yield from _tables(each)
