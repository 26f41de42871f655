"""What a column is, as plain data that means the same in every database.

A migration file is read years after it was written, on databases that it was not written for. So it
says what kind of values a column holds, in the words of ``kinds.py``, and not what one database calls
that. It can be written into a file and read from there: ``repr`` is what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias, cast

from oxidite.db.errors import ModelError
from oxidite.db.tables.columns import Column, ColumnRules, Declared, OnDelete, TableKey
from oxidite.db.tables.table import SQL
from oxidite.db.values.kinds import (
    INTEGER,
    PLAIN,
    RANGES,
    TEXT,
    VECTOR,
    Kind,
    stored_options,
    stored_value,
)

__all__ = ["NOW", "Bound", "ColumnSpec", "code", "column"]

Bound: TypeAlias = int | float | str
"""What a check compares with: a Decimal and a moment are text, an interval is in seconds."""

NOW = "now"
"""As the ``fill`` of a moment in time: when the migration runs."""

_KINDS: dict[str, Kind] = {each.name: each for each in PLAIN}
_OTHER_KINDS = ("json", "enum", "array", "vector", *RANGES)
_CHECKS = ("ge", "gt", "le", "lt", "min_length", "max_length")
_BOUNDS: dict[str, Callable[[Any], object]] = {
    "decimal": lambda bound: Decimal(str(bound)),
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "datetime": datetime.fromisoformat,
    "interval": lambda seconds: timedelta(seconds=seconds),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """A column."""

    name: str
    type_name: str
    """The name of its kind: integer, text, boolean, float, decimal, bytes, uuid, datetime, date, time,
    interval, json, enum, array, vector, int8range, numrange, daterange, tstzrange."""
    nullable: bool = False
    primary_key: bool = False
    generated: bool = False
    """Whether the database makes its values."""
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    dimensions: int | None = None
    """How many numbers a vector has."""
    element: str | None = None
    """The kind of what is in an array."""
    values: tuple[str | int, ...] = ()
    """The only ones that there are, of an enum or an integer."""
    bits: int | None = None
    """Of an integer of less than 64."""
    native: bool = False
    references: str | None = None
    """``table.column``."""
    on_delete: OnDelete = "restrict"
    on_key_update: OnDelete | None = None
    computed: str | None = None
    """SQL that the database makes its values with."""
    check: Mapping[str, Bound] = field(default_factory=dict)
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.type_name not in _KINDS and self.type_name not in _OTHER_KINDS:
            raise ModelError(
                f"The column {self.name!r} is of the type {self.type_name!r}. There is: "
                f"{', '.join((*_KINDS, *_OTHER_KINDS))}."
            )
        if (self.type_name == "vector") is not (self.dimensions is not None):
            raise ModelError(
                f"The column {self.name!r}: dimensions= says how many numbers a vector has, and no other type."
            )
        unknown = set(self.check) - set(_CHECKS)
        if unknown:
            raise ModelError(
                f"The column {self.name!r} has the check {', '.join(sorted(unknown))}. There is: "
                f"{', '.join(_CHECKS)}."
            )

    @property
    def kind(self) -> Kind:
        """The kind of its values."""
        match self.type_name:
            case "integer" if self.values:
                return Kind("number", Literal[self.values], inner=INTEGER)
            case "json":
                return Kind("json", object)
            case "enum":
                return Kind("enum", Literal[self.values])
            case "vector":
                return VECTOR
            case name if name in RANGES:
                return RANGES[name]
            case "array":
                return Kind("array", list, _KINDS.get(self.element or "text", TEXT))
            case _:
                return _KINDS[self.type_name]

    def column(self, table: TableKey) -> Column[Any, Any]:
        """Return it as a column of a model."""
        rules: dict[str, object] = {"pk": self.primary_key, "on_delete": self.on_delete}
        for name in _RULES:
            value = getattr(self, name)
            if value is not None:
                rules[name] = value
        rules |= {"native": True} if self.native else {}
        if self.check:
            rules |= {"check": True, **{each: self._bound(each) for each in self.check}}
        declared = Declared(init=not self.generated, rules=cast("ColumnRules", rules))
        return Column(table, self.name, self.kind, declared, nullable=self.nullable)

    def _bound(self, rule: str) -> object:
        bound, convert = self.check[rule], _BOUNDS.get(self.type_name)
        if convert is None or rule.endswith("_length"):
            return bound
        try:
            return convert(bound)
        except (ArithmeticError, TypeError, ValueError):
            raise ModelError(
                f"The column {self.name!r} of the type {self.type_name!r} has the check "
                f"{rule}={bound!r}, which is no such value."
            ) from None

    def __repr__(self) -> str:
        words = [code(self.name), code(self.type_name)]
        words += [
            f"{name}={code(value)}"
            for name, value in ((each, getattr(self, each)) for each in _SHOWN)
            if value != _USUAL[name]
        ]
        return f"column({', '.join(words)})"

    @classmethod
    def of(cls, column: Column[Any, Any]) -> ColumnSpec:
        """Return what a model says of a column."""
        rules, kind = column.rules, column.kind.stored
        is_checked = rules.get("check", False)
        # What is encrypted is longer than what it was made of.
        has_length = kind.name in ("text", "bytes") and "encrypted" not in rules
        return cls(
            name=column.column_name,
            type_name=kind.name,
            nullable=column.nullable,
            primary_key=rules.get("pk", False),
            generated=column.is_generated,
            max_length=rules.get("max_length") if has_length else None,
            precision=rules.get("precision"),
            scale=rules.get("scale"),
            dimensions=rules.get("dimensions"),
            element=kind.element.stored.name if kind.name == "array" and kind.element else None,
            values=stored_options(column.kind),
            bits=_bits(column),
            native=rules.get("native", False) and kind.name == "enum",
            references=_reference(column),
            on_delete=rules.get("on_delete", "restrict"),
            on_key_update=rules.get("on_key_update"),
            computed=rules.get("computed"),
            check={
                each: _bound(column, each, cast("Mapping[str, Any]", rules)[each])
                for each in _CHECKS
                if is_checked and each in rules
            },
            comment=rules.get("comment"),
        )


def code(value: object) -> str:
    """Return a value as it stands in a file."""
    match value:
        case SQL():
            typed = "" if value.type is None else f", type={code(value.type)}"
            return f"SQL({code(str(value))}{typed})"
        case str():
            # JSON's text is Python's, with double quotes.
            return json.dumps(value, ensure_ascii=False)
        case tuple():
            inside = ", ".join(map(code, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case list():
            return f"[{', '.join(map(code, value))}]"
        case dict():
            return f"{{{', '.join(f'{code(k)}: {code(v)}' for k, v in value.items())}}}"
        case _:
            return repr(value)


_RULES = (
    *("max_length", "precision", "scale", "dimensions", "bits", "comment", "references"),
    *("on_key_update", "computed"),
)
_SHOWN = (
    "nullable",
    "primary_key",
    "generated",
    "max_length",
    "precision",
    "scale",
    "dimensions",
    "element",
    "values",
    "bits",
    "native",
    "references",
    "on_delete",
    "on_key_update",
    "computed",
    "check",
    "comment",
)
_USUAL: dict[str, object] = {
    **dict.fromkeys(("nullable", "primary_key", "generated", "native"), False),
    **dict.fromkeys(("max_length", "precision", "scale", "dimensions", "element"), None),
    **dict.fromkeys(("bits", "references"), None),
    **dict.fromkeys(("on_key_update", "computed", "comment"), None),
    "values": (),
    "on_delete": "restrict",
    "check": {},
}


def _reference(column: Column[Any, Any]) -> str | None:
    reference = column.rules.get("references")
    if isinstance(reference, Column):
        return f"{reference.table.name}.{reference.column_name}"
    return None if reference is None else str(reference)


def _bits(column: Column[Any, Any]) -> int | None:
    bits = column.rules.get("bits", 64)
    return bits if bits < 64 and column.kind.stored.name == "integer" else None


def _bound(column: Column[Any, Any], rule: str, value: object) -> Bound:
    found = value if rule.endswith("_length") else stored_value(column.kind, value)
    match found:
        case int() | float() | str():
            return found
        case timedelta():
            return found.total_seconds()
        case date() | time():
            return found.isoformat()
        case _:
            return str(found)


def column(
    name: str,
    type: str,
    *,
    nullable: bool = False,
    primary_key: bool = False,
    generated: bool = False,
    max_length: int | None = None,
    precision: int | None = None,
    scale: int | None = None,
    dimensions: int | None = None,
    element: str | None = None,
    values: Sequence[str | int] = (),
    bits: int | None = None,
    native: bool = False,
    references: str | None = None,
    on_delete: OnDelete = "restrict",
    on_key_update: OnDelete | None = None,
    computed: str | None = None,
    check: Mapping[str, Bound] | None = None,
    comment: str | None = None,
) -> ColumnSpec:
    """Describe a column in a migration.

    ``type`` is the name of a kind of values, such as ``integer``, ``text`` or ``datetime``; ``values``
    are those of an ``enum`` or an ``integer``, ``bits`` the size of one, ``element`` the type of what is
    in an ``array``, ``dimensions`` how many numbers a ``vector`` has. ``generated`` values are made by
    the database, ``computed`` ones with SQL out of the other columns. ``references`` is
    ``"table.column"``. ``check`` holds rules such as ``{"ge": 0}``.

    Raises:
        ModelError: there is no such type or check.
    """
    return ColumnSpec(
        name=name,
        type_name=type,
        nullable=nullable,
        primary_key=primary_key,
        generated=generated,
        max_length=max_length,
        precision=precision,
        scale=scale,
        dimensions=dimensions,
        element=element,
        values=tuple(values),
        bits=bits,
        native=native,
        references=references,
        on_delete=on_delete,
        on_key_update=on_key_update,
        computed=computed,
        check=dict(check or {}),
        comment=comment,
    )
