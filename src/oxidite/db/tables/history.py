"""The versions of rows: a table beside that of a model, which triggers write.

It has the columns of the model, as the database keeps them, and what is known of each version. Nothing of
it refers to anything or is unique: a version stays when what it referred to is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from weakref import WeakSet

from oxidite.db.errors import ModelError
from oxidite.db.tables.columns import Column, ColumnRules, Declared, TableKey
from oxidite.db.tables.table import AnyColumn, Index, Table
from oxidite.db.values.kinds import DATETIME, INTEGER, TEXT, Kind

__all__ = [
    "BY",
    "CHANGE",
    "FROM",
    "ID",
    "REASON",
    "UNTIL",
    "declare",
    "history_name",
    "history_of",
    "leaves_history",
]

ID, FROM, UNTIL = "history_id", "history_from", "history_until"
CHANGE, BY, REASON = "history_change", "history_by", "history_reason"
_LONGEST = 63
"""Characters of the name of a table."""


def history_name(table: str) -> str:
    """Return the name of the table that has the versions of the rows of another one."""
    return f"{table}_history"


def history_of(table: Table) -> Table:
    """Return the table of the versions of the rows of a model.

    Raises:
        ModelError: the model cannot have one.
    """
    _check(table)
    key = TableKey(history_name(table.name))
    own = (
        _own(key, ID, INTEGER, pk=True),
        _own(key, FROM, DATETIME),
        _own(key, UNTIL, DATETIME, nullable=True),
        _own(key, CHANGE, TEXT),
        _own(key, BY, TEXT, nullable=True),
        _own(key, REASON, TEXT, nullable=True),
    )
    copies = tuple(_copy(key, column) for column in table.columns)
    keys = tuple(column.name for column in table.pk)
    return Table(
        key,
        (*own, *copies),
        dict,
        _keep,
        indexes=[Index((*keys, ID), unique=True), Index((FROM,))],
        database=table.database,
    )


def _check(table: Table) -> None:
    problem = None
    taken = sorted({ID, FROM, UNTIL, CHANGE, BY, REASON} & {c.column_name for c in table.columns})
    if len(history_name(table.name)) > _LONGEST:
        problem = f"the name {history_name(table.name)!r} is too long for a table"
    elif taken:
        problem = f"the history has a column {taken[0]} of its own"
    elif not table.pk:
        problem = "versions of a row belong together by its primary key, and there is none"
    if problem is not None:
        raise ModelError(f"{table!r} cannot have a history: {problem}.")


def _own(
    key: TableKey, name: str, kind: Kind, *, pk: bool = False, nullable: bool = False
) -> AnyColumn:
    rules: ColumnRules = {"pk": True} if pk else {}
    return Column(key, name, kind, Declared(init=not pk, rules=rules), nullable=nullable)


def _copy(key: TableKey, column: AnyColumn) -> AnyColumn:
    """Return a column of the kind that the database sees, with no rule that a later one may break."""
    kind, rules = column.kind.stored, cast("Mapping[str, Any]", column.rules)
    kept = {name: rules[name] for name in ("precision", "scale", "dimensions") if name in rules}
    if rules.get("pk") and "max_length" in rules:
        kept["max_length"] = rules[
            "max_length"
        ]  # MariaDB's indexes take no more than they are told
    if kind.name == "enum":
        kind = TEXT
    declared = Declared(rules=cast("ColumnRules", {**kept, "name": column.column_name}))
    # What is computed may be NULL wherever what it is made of is.
    return Column(key, column.name, kind, declared, nullable=column.nullable or column.is_computed)


def _keep(made: Any, _row: Any) -> Any:
    return made


# Of which tables a change leaves versions.


class _Declared:
    """The tables of all models, as far as they have to be known here."""

    def __init__(self) -> None:
        # Weakly: models of a test end with it.
        self.tables: WeakSet[Table] = WeakSet()
        self.has_history: bool = False
        self.parents: set[tuple[str | None, str]] | None = None


_declared = _Declared()


def declare(table: Table) -> None:
    """Note the table of a model."""
    _declared.tables.add(table)
    _declared.has_history = _declared.has_history or table.history is not None
    _declared.parents = None


def leaves_history(table: Table) -> bool:
    """Tell whether a change of its rows may leave versions: of them, or of rows that go along."""
    if table.history is not None:
        return True
    if not _declared.has_history:
        return False
    if _declared.parents is None:
        _declared.parents = _parents()
    return (table.database, table.name) in _declared.parents


def _parents() -> set[tuple[str | None, str]]:
    """Return the tables whose foreign keys change rows that have a history, at whatever depth."""
    found: set[tuple[str | None, str]] = set()
    left = [each for each in _declared.tables if each.history is not None]
    while left:
        table = left.pop()
        for column in table.columns:
            target = _followed(column)
            if target is None or (table.database, target) in found:
                continue
            found.add((table.database, target))
            left += [
                each
                for each in _declared.tables
                if each.name == target and each.database == table.database
            ]
    return found


def _followed(column: AnyColumn) -> str | None:
    """Return the table with whose rows the database changes those of this column."""
    reference = column.rules.get("references")
    follows = ("cascade", "set null")
    if reference is None or (
        column.rules.get("on_delete") not in follows
        and column.rules.get("on_key_update") not in follows
    ):
        return None
    if isinstance(reference, Column):
        return reference.table.name
    return str(reference).partition(".")[0]
