"""What a schema consists of, as plain data that means the same in every database.

A migration file is read years after it was written, on databases that it was not written for. So it
says what kind of values a column holds, in the words of ``kinds.py``, and not what one database calls
that. Each of these can be written into a file and read from there: ``repr`` is what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from oxidite.db.columns import Column, ColumnRules, Declared, OnDelete, TableKey
from oxidite.db.errors import ModelError
from oxidite.db.kinds import (
    BOOLEAN,
    BYTES,
    DATE,
    DATETIME,
    DECIMAL,
    FLOAT,
    INTEGER,
    INTERVAL,
    TEXT,
    TIME,
    UUID_,
    Kind,
    options_of,
)
from oxidite.db.table import SQL, Index, Table, indexes_of

__all__ = ["NOW", "Bound", "ColumnSpec", "IndexSpec", "TableSpec", "code", "column", "index"]

Bound: TypeAlias = int | float | str
"""What a check compares with."""

NOW = "now"
"""As the ``fill`` of a moment in time: when the migration runs."""

_KINDS: dict[str, Kind] = {
    each.name: each
    for each in (
        INTEGER,
        TEXT,
        BOOLEAN,
        FLOAT,
        DECIMAL,
        BYTES,
        UUID_,
        DATETIME,
        DATE,
        TIME,
        INTERVAL,
    )
}
_OTHER_KINDS = ("json", "enum", "array")
_CHECKS = ("ge", "gt", "le", "lt", "min_length", "max_length")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """A column."""

    name: str
    type_name: str
    """The name of its kind: integer, text, boolean, float, decimal, bytes, uuid, datetime, date, time,
    interval, json, enum, array."""
    nullable: bool = False
    primary_key: bool = False
    generated: bool = False
    """Whether the database makes its values."""
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    element: str | None = None
    """The kind of what is in an array."""
    values: tuple[str, ...] = ()
    """Of an enum."""
    native: bool = False
    references: str | None = None
    """``table.column``."""
    on_delete: OnDelete = "restrict"
    check: Mapping[str, Bound] = field(default_factory=dict)
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.type_name not in _KINDS and self.type_name not in _OTHER_KINDS:
            raise ModelError(
                f"The column {self.name!r} is of the type {self.type_name!r}. There is: "
                f"{', '.join((*_KINDS, *_OTHER_KINDS))}."
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
            case "json":
                return Kind("json", object)
            case "enum":
                return Kind("enum", Literal[self.values])
            case "array":
                return Kind("array", list, _KINDS.get(self.element or "text", TEXT))
            case _:
                return _KINDS[self.type_name]

    def column(self, table: TableKey) -> Column[Any, Any]:
        """Return it as a column of a model."""
        rules: dict[str, object] = {"pk": self.primary_key, "on_delete": self.on_delete}
        for name in ("max_length", "precision", "scale", "comment", "references"):
            value = getattr(self, name)
            if value is not None:
                rules[name] = value
        rules |= {"native": True} if self.native else {}
        if self.check:
            rules |= {"check": True, **self.check}
        declared = Declared(init=not self.generated, rules=cast("ColumnRules", rules))
        return Column(table, self.name, self.kind, declared, nullable=self.nullable)

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
        values: tuple[str, ...] = ()
        if kind.name == "enum":
            values = options_of(kind)
        return cls(
            name=column.column_name,
            type_name=kind.name,
            nullable=column.nullable,
            primary_key=rules.get("pk", False),
            generated=column.is_generated,
            max_length=rules.get("max_length") if kind.name == "text" else None,
            precision=rules.get("precision"),
            scale=rules.get("scale"),
            element=None if kind.element is None else kind.element.name,
            values=values,
            native=rules.get("native", False),
            references=_reference(column),
            on_delete=rules.get("on_delete", "restrict"),
            check={
                each: _bound(cast("Mapping[str, Any]", rules)[each])
                for each in _CHECKS
                if is_checked and each in rules
            },
            comment=rules.get("comment"),
        )


def code(value: object) -> str:
    """Return a value as it stands in a file."""
    match value:
        case SQL():
            return f"SQL({code(str(value))})"
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


_SHOWN = (
    "nullable",
    "primary_key",
    "generated",
    "max_length",
    "precision",
    "scale",
    "element",
    "values",
    "native",
    "references",
    "on_delete",
    "check",
    "comment",
)
_USUAL: dict[str, object] = {
    **dict.fromkeys(("nullable", "primary_key", "generated", "native"), False),
    **dict.fromkeys(("max_length", "precision", "scale", "element", "references", "comment"), None),
    "values": (),
    "on_delete": "restrict",
    "check": {},
}


def _reference(column: Column[Any, Any]) -> str | None:
    reference = column.rules.get("references")
    if isinstance(reference, Column):
        return f"{reference.table.name}.{reference.column_name}"
    return None if reference is None else str(reference)


def _bound(value: object) -> Bound:
    return value if isinstance(value, int | float | str) else float(str(value))


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
    element: str | None = None,
    values: Sequence[str] = (),
    native: bool = False,
    references: str | None = None,
    on_delete: OnDelete = "restrict",
    check: Mapping[str, Bound] | None = None,
    comment: str | None = None,
) -> ColumnSpec:
    """Describe a column in a migration.

    ``type`` is the name of a kind of values, such as ``integer``, ``text`` or ``datetime``; ``values``
    are those of an ``enum``, ``element`` the type of what is in an ``array``. ``generated`` values are
    made by the database. ``references`` is ``"table.column"``. ``check`` holds rules such as
    ``{"ge": 0}``.

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
        element=element,
        values=tuple(values),
        native=native,
        references=references,
        on_delete=on_delete,
        check=dict(check or {}),
        comment=comment,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSpec:
    """An index."""

    name: str
    on: tuple[str | SQL, ...]
    """Names of columns, and expressions as ``SQL``."""
    unique: bool = False
    where: str | None = None
    using: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, expressions left out."""
        return tuple(each for each in self.on if not isinstance(each, SQL))

    def index(self) -> Index:
        """Return it as a model has it."""
        return Index(self.on, self.unique, self.where, self.name, self.using)

    def arguments(self) -> str:
        """Return what stands in a file after its name."""
        words = [code(list(self.on))]
        words += ["unique=True"] if self.unique else []
        words += [
            f"{name}={code(value)}"
            for name, value in (("where", self.where), ("using", self.using))
            if value is not None
        ]
        return ", ".join(words)

    def __repr__(self) -> str:
        return f"index({code(self.name)}, {self.arguments()})"


def index(
    name: str,
    on: Sequence[str | SQL],
    *,
    unique: bool = False,
    where: str | None = None,
    using: str | None = None,
) -> IndexSpec:
    """Describe an index in a migration; ``on`` are names of columns, or ``SQL("lower(name)")``."""
    return IndexSpec(name=name, on=tuple(on), unique=unique, where=where, using=using)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """A table."""

    name: str
    columns: tuple[ColumnSpec, ...]
    indexes: tuple[IndexSpec, ...] = ()

    def find(self, name: str) -> ColumnSpec | None:
        """Return the column of that name, if there is one."""
        return next((each for each in self.columns if each.name == name), None)

    def find_index(self, name: str) -> IndexSpec | None:
        """Return the index of that name, if there is one."""
        return next((each for each in self.indexes if each.name == name), None)

    @property
    def references(self) -> frozenset[str]:
        """The names of the tables that it refers to, itself left out."""
        found = {each.references.partition(".")[0] for each in self.columns if each.references}
        return frozenset(found - {self.name})

    def without_references(self) -> TableSpec:
        """Return it without its foreign keys."""
        return replace(
            self,
            columns=tuple(
                replace(each, references=None, on_delete="restrict") for each in self.columns
            ),
        )

    def table(self) -> Table:
        """Return it as the table of a model, which makes no objects."""
        key = TableKey(self.name)
        return Table(
            key,
            tuple(each.column(key) for each in self.columns),
            dict,
            _keep,
            indexes=[each.index() for each in self.indexes],
        )

    @classmethod
    def of(cls, table: Table) -> TableSpec:
        """Return what a model says of its table."""
        # Imported here: it imports SQLAlchemy, and a migration file does not need it.
        from oxidite.db.schema import index_of

        names = [index_of(table, each).name for each in indexes_of(table)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ModelError(
                f"{table!r}: two indexes are named {twice!r}. Give one of them a name: index(…, name=…)."
            )
        return cls(
            name=table.name,
            columns=tuple(map(ColumnSpec.of, table.columns)),
            indexes=tuple(
                IndexSpec(
                    name=made.name,
                    on=made.on,
                    unique=made.unique,
                    where=made.where,
                    using=made.using,
                )
                for made in (index_of(table, each) for each in indexes_of(table))
            ),
        )


def _keep(made: Any, _row: Any) -> Any:
    return made
