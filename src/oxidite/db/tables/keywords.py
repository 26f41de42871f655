"""What the schema of a model in OpenAPI says beyond the types: rules, and what the database makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table

__all__ = ["field_keywords"]

_LENGTHS = {
    "text": ("minLength", "maxLength"),
    "json": ("minItems", "maxItems"),
    "array": ("minItems", "maxItems"),
}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}


def field_keywords(table: Table) -> Mapping[str, Mapping[str, object]]:
    """Return JSON Schema keywords for the columns of a table, by their names in Python."""
    found = {column.name: _keywords(column, table) for column in table.columns}
    return {name: keywords for name, keywords in found.items() if keywords}


def _keywords(column: Column[Any, Any], table: Table) -> dict[str, object]:
    rules: Mapping[str, Any] = {**column.rules}
    kind = column.kind.name
    found: dict[str, object] = {}
    for rule, keyword in _BOUNDS.items():
        # JSON Schema compares numbers; a Decimal or a date travels as text.
        if rule in rules and not isinstance(
            rules[rule], Decimal | date | datetime | time | timedelta
        ):
            found[keyword] = rules[rule]
    for rule, keyword in zip(("min_length", "max_length"), _LENGTHS.get(kind, ()), strict=False):
        if rule in rules:
            found[keyword] = rules[rule]
    if kind == "vector":
        found |= dict.fromkeys(("minItems", "maxItems"), column.dimensions)
    if kind == "text" and "pattern" in rules:
        found["pattern"] = rules["pattern"]
    if column.is_generated or column is table.version or "on_update" in rules:
        found["readOnly"] = True
    if "comment" in rules:
        found["description"] = rules["comment"]
    return found
