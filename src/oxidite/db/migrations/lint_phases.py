"""What the version of an application that runs cannot live with, and what it would have to wait for."""

from __future__ import annotations

from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    ChangeKey,
    DropColumn,
    DropTable,
    Operation,
    RenameColumn,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.specs import ColumnSpec

__all__ = ["SPLIT", "is_rewritten", "only_of_contract"]

SPLIT = "oxidite db diff --split writes both phases"
"""What is said of every change that can be had in phases."""


def only_of_contract(operation: Operation, schema: Schema) -> str | None:
    """Return why an operation is not for ``expand``, in words; ``None`` if it may be."""
    match operation:
        case DropColumn(table, name):
            return f"{table}.{name} is dropped"
        case DropTable(name):
            return f"{name} is dropped"
        case RenameColumn(table, name):
            return f"{table}.{name} is renamed"
        case RenameTable(name):
            return f"{name} is renamed"
        case ChangeKey(table):
            return f"the primary key of {table} is another one"
        case AddColumn(table, column) if not column.nullable and column.computed is None:
            return f"{table}.{column.name} may not be empty, and the version that runs gives it no value"
        case ChangeColumn(table, column):
            was = schema[table].find(column.name) if table in schema else None
            narrowed = None if was is None else _narrowed(was, column)
            return None if narrowed is None else f"{table}.{column.name} {narrowed}"
        case _:
            return None


def _narrowed(old: ColumnSpec, new: ColumnSpec) -> str | None:
    """Return what a column does not take any more, in words."""
    if old.nullable and not new.nullable:
        return "may not be empty any more"
    kinds = {old.type_name, new.type_name}
    if old.type_name != new.type_name and kinds != {"text", "enum"}:
        return f"becomes {new.type_name}"
    if new.max_length is not None and (old.max_length or new.max_length + 1) > new.max_length:
        return "becomes shorter"
    if (new.bits or 64) < (old.bits or 64):
        return "becomes smaller"
    if old.type_name == "decimal" and _has_less_room(old, new):
        return "becomes smaller"
    if new.values and not set(old.values or ("",)) <= set(new.values):
        return "takes fewer values"
    return None


def _has_less_room(old: ColumnSpec, new: ColumnSpec) -> bool:
    """Whether a decimal has fewer places before or behind the point."""
    if new.precision is None:
        return False
    if old.precision is None:
        return True
    before = [(each.precision or 0) - (each.scale or 0) for each in (old, new)]
    return before[1] < before[0] or (new.scale or 0) < (old.scale or 0)


def is_rewritten(old: ColumnSpec, new: ColumnSpec) -> bool:
    """Tell whether PostgreSQL writes a table anew for another type of a column."""
    if old.native != new.native:
        return True
    if old.type_name == new.type_name == "text" or {old.type_name, new.type_name} <= {
        "text",
        "enum",
    }:
        # Only a shorter one has to be looked at; a longer one, or none, is a note in the catalogue.
        return new.max_length is not None and (
            old.max_length is None or new.max_length < old.max_length
        )
    if old.type_name == new.type_name == "integer":
        return (old.bits or 64) != (new.bits or 64)
    if old.type_name == new.type_name == "decimal":
        return (old.precision, old.scale) != (new.precision, new.scale)
    return old.type_name != new.type_name
