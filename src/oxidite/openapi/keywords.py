"""Small pieces of JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oxidite.openapi.base import JSON

__all__ = [
    "ENTRIES",
    "ITEMS",
    "NULL",
    "NUMBERS",
    "STRINGS",
    "any_of",
    "choice",
    "constraints",
    "event_of",
    "fixed",
    "without_null",
]

NULL: JSON = {"type": "null"}

NUMBERS = (
    ("ge", "minimum"),
    ("gt", "exclusiveMinimum"),
    ("le", "maximum"),
    ("lt", "exclusiveMaximum"),
    ("multiple_of", "multipleOf"),
)
STRINGS = (("min_length", "minLength"), ("max_length", "maxLength"), ("pattern", "pattern"))
ITEMS = (("min_length", "minItems"), ("max_length", "maxItems"))
ENTRIES = (("min_length", "minProperties"), ("max_length", "maxProperties"))


def constraints(t: object, names: Iterable[tuple[str, str]]) -> JSON:
    """Return the keywords for attributes of ``t`` that are set."""
    found = ((keyword, getattr(t, attribute, None)) for attribute, keyword in names)
    return {keyword: value for keyword, value in found if value is not None}


def any_of(members: Iterable[JSON], more: JSON | None = None) -> JSON:
    """Return the schema of one of several; ``null`` last, and beside a plain type."""
    different: list[JSON] = []
    for each in members:
        if each not in different:
            different.append(each)
    if {} in different:
        return {}
    if len(different) == 1:
        return {**different[0], **(more or {})}
    first, *rest = sorted(different, key=lambda each: each == NULL)
    if rest == [NULL] and isinstance(first.get("type"), str) and "enum" not in first:
        return {**first, "type": [first["type"], "null"]}
    return {"anyOf": [first, *rest], **(more or {})}


def without_null(schema: JSON) -> JSON:
    """Take ``null`` away: in a URL a value is there or it is not."""
    schema = dict(schema)
    if schema.get("default", 0) is None:
        del schema["default"]
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        schema["type"] = kinds[0] if len(kinds) == 1 else kinds
    members = schema.get("anyOf")
    if isinstance(members, list) and NULL in members:
        members = [member for member in members if member != NULL]
        if len(members) > 1:
            return {**schema, "anyOf": members}
        del schema["anyOf"]
        schema.update(members[0])
    return schema


def choice(values: Iterable[Any]) -> JSON:
    """Return the schema of one of a few values."""
    ordered = sorted(values, key=lambda value: (str(type(value)), value or 0))
    schema: JSON = {"const": ordered[0]} if len(ordered) == 1 else {"enum": ordered}
    kinds = {type(value) for value in ordered}
    if kinds == {str}:
        return {"type": "string", **schema}
    return {"type": "integer", **schema} if kinds == {int} else schema


def fixed(items: list[JSON], *, at_least: int | None = None) -> JSON:
    """Return the schema of an array with one schema for each place."""
    return {
        "type": "array",
        "prefixItems": items,
        "items": False,
        "minItems": len(items) if at_least is None else at_least,
        "maxItems": len(items),
    }


def event_of(data: JSON) -> JSON:
    """Return the schema of a server-sent event whose data is JSON (OpenAPI 3.2, section 4.14.4)."""
    text: JSON = {"type": "string", "contentMediaType": "application/json"}
    return {
        "type": "object",
        "properties": {
            "data": {**text, "contentSchema": data} if data else {"type": "string"},
            "event": {"type": "string"},
            "id": {"type": "string"},
            "retry": {"type": "integer", "minimum": 0},
        },
        "required": ["data"],
    }
