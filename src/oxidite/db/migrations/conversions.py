"""SQL that makes the value of one column of that of another, where every database does the same."""

from __future__ import annotations

from oxidite.db.migrations.specs import TO_WRITE, ColumnSpec
from oxidite.db.sql.mentions import named

__all__ = ["conversion"]

_SAME = {frozenset(("text", "enum"))}
"""Kinds that are kept in the same way."""


def conversion(old: ColumnSpec, new: ColumnSpec) -> tuple[str, str]:
    """Return the SQL that makes the new column of the old one, and the other way round.

    ``TO_WRITE`` stands where that takes a person: what becomes of a text that is no number?
    """
    there, here = named(old.name), named(new.name)
    kinds = (old.type_name, new.type_name)
    if old.native or new.native:
        is_same = kinds == ("enum", "enum") and old.native == new.native and old.name == new.name
    else:
        is_same = kinds[0] == kinds[1] or frozenset(kinds) in _SAME
    if is_same and old.element == new.element and old.dimensions == new.dimensions:
        return there, here
    if kinds == ("integer", "float"):
        return there, f"round({here})"
    if kinds == ("float", "integer"):
        return f"round({there})", here
    return TO_WRITE, TO_WRITE
