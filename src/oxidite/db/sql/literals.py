"""Expressions with their values written out, where nothing can be bound: in checks and in indexes.

A migration is written for PostgreSQL and SQLite at once. A value that they write in two ways stands in
it as PostgreSQL has it, with its type before it: ``TIMESTAMPTZ '2026-01-01 00:00:00+00:00'``. Where such
SQL is run on SQLite, it becomes what a column of that type keeps there.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Call, Expr, Value
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.forms import form_of
from oxidite.db.sql.mentions import shielded
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table
from oxidite.db.values import literals
from oxidite.db.values.codecs import binder
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import DATETIME, INTERVAL, UUID_, Kind, stored_value

__all__ = ["column_of", "plain_text", "sql_of", "text_of", "value_of", "written"]

_COMPARED = frozenset(("eq", "ne", "lt", "le", "gt", "ge", "in", "not_in"))
_WITH_OPTIONS = frozenset(("search_vector",))


def sql_of(table: Table, rule: Any, dialect: Dialect) -> Any:
    """Return SQL that is text, or an expression of the model's columns with its values written out.

    Raises:
        ModelError: there is something in it that cannot be written so.
    """
    if isinstance(rule, str):
        return text_of(rule, dialect, table)
    return _literal(rule if isinstance(rule, Expr) else rule(table.model), dialect)


def written(part: Any, dialect: Dialect) -> str:
    """Return what SQLAlchemy has as text, without the names of tables."""
    return str(
        part.compile(
            dialect=DIALECTS[dialect.name],
            compile_kwargs={"literal_binds": True, "include_table": False},
        )
    )


def text_of(sql: str, dialect: Dialect, table: Table | None = None) -> sa.TextClause:
    """Return SQL that a person or a migration wrote, to be used in one kind of database.

    The columns of the ``table`` that it is about may have names that MariaDB reserves.
    """
    if dialect.name == "sqlite":
        sql = _TYPED.sub(_as_kept, sql)
    if dialect.is_mysql and table is not None:
        sql = shielded(sql, [each.column_name for each in table.columns])
    return plain_text(sql)


def plain_text(sql: str) -> sa.TextClause:
    """Return SQL as it stands: SQLAlchemy would look for parameters in it, and write NULL for them."""
    return sa.text(sql.replace(":", "\\:"))


def value_of(kind: Kind, value: Any, dialect: Dialect) -> sa.ColumnElement[Any]:
    """Return a value as a database reads it in SQL, as the columns of its kind have it.

    Raises:
        ModelError: it can only be bound.
    """
    return sa.literal_column(_value(kind, value, dialect))


def _literal(expr: Expr[Any, Any], dialect: Dialect) -> Any:
    if isinstance(expr, Column):
        return column_of(expr)
    if isinstance(expr, Value):
        return value_of(expr.kind, expr.value, dialect)
    if not isinstance(expr, Call) or (expr.options and expr.name not in _WITH_OPTIONS):
        raise ModelError(f"{expr!r} cannot stand in an index or a check. Write it as SQL.")
    match expr.name, expr.args:
        case "in" | "not_in", (Column() as column, Value() as values):
            return _in(expr.name, column, values, dialect)
    args = [_literal(each, dialect) for each in expr.args]
    if expr.name in _COMPARED and not dialect.is_mysql:
        args = [_compared(each, arg) for each, arg in zip(expr.args, args, strict=True)]
    try:
        form = form_of(expr.name, dialect)
    except KeyError:
        raise ModelError(
            f"{expr!r} cannot stand in an index or a check. Write it as SQL."
        ) from None
    return form(expr.options, *args) if expr.options else form(*args)


def column_of(column: Column[Any, Any]) -> Any:
    """Return a column as it stands in an index or a check, in quotes where some database needs them."""
    name = column.column_name
    # What is written for PostgreSQL is read by SQLite, too, which reserves other words.
    is_reserved = DIALECTS["sqlite"].identifier_preparer.quote(name) != name
    return sa.column(quoted_name(name, quote=True if is_reserved else None))


def _compared(expr: Expr[Any, Any], made: Any) -> Any:
    """Return a column as it is compared: a Decimal is text in SQLite, and '9' comes after '10'."""
    is_decimal = isinstance(expr, Column) and expr.kind.stored.name == "decimal"
    return sa.cast(made, sa.Numeric) if is_decimal else made


def _in(name: str, column: Column[Any, Any], values: Value[Any, Any], dialect: Dialect) -> Any:
    kind = values.kind.element or column.kind
    listed: Any = values.value
    found = [value_of(kind, each, dialect) for each in listed]
    here = column_of(column)
    made = here if dialect.is_mysql else _compared(column, here)
    return made.in_(found) if name == "in" else made.not_in(found)


def _value(kind: Kind, value: Any, dialect: Dialect) -> str:
    stored = None if value is None else stored_value(kind, value)
    bind = binder(kind.stored, dialect.name)
    if kind.stored.name == "decimal":  # a number, though SQLite binds it as text
        bind = None
    try:
        bound = stored if bind is None or stored is None else bind(stored)
    except ValueError as exc:  # a moment without a zone
        raise ModelError(f"In an index or a check: {exc}") from None
    if dialect.is_mysql:
        return literals.written("?", [bound], backslashes=False).decode()
    write = next((write for type_, write in _WRITE.items() if isinstance(bound, type_)), None)
    if write is None or (isinstance(bound, float) and not math.isfinite(bound)):
        raise ModelError(f"{value!r} cannot stand in an index or a check. Write it as SQL.")
    if isinstance(bound, bytes) and dialect.name == "sqlite":
        return f"X'{bound.hex()}'"
    return write(bound)


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _interval(value: timedelta) -> str:
    microseconds = value.seconds * 1_000_000 + value.microseconds
    return f"INTERVAL '{value.days} days {microseconds} us'"


_WRITE: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    bool: lambda value: str(value).lower(),
    int: int.__repr__,
    float: float.__repr__,
    Decimal: lambda value: format(value, "f"),
    str: _quoted,
    bytes: lambda value: f"BYTEA '\\x{value.hex()}'",
    UUID: lambda value: f"UUID '{value}'",
    datetime: lambda value: f"TIMESTAMPTZ '{value.isoformat(' ')}'",
    date: lambda value: f"'{value.isoformat()}'",
    time: lambda value: f"'{value.isoformat('microseconds')}'",
    timedelta: _interval,
}
"""How values are written for PostgreSQL, by their types; a type that extends another stands before it."""

# Text and names in quotes are left as they are.
_TYPED = re.compile(
    r"""'(?:[^']|'')*'|"[^"]*"|\b(TIMESTAMPTZ|INTERVAL|UUID|BYTEA)\s*'([^']*)'""", re.IGNORECASE
)
_INTERVAL = re.compile(r"(-?\d+) days (\d+) us")


def _as_kept(found: re.Match[str]) -> str:
    type_, text = found.groups()
    if type_ is None:
        return found.group()
    try:
        return _KEPT[type_.upper()](text)
    except ValueError:
        raise ModelError(
            f"SQLite does not know {found.group()}, and it cannot be read here. Write it as in "
            "TIMESTAMPTZ '2026-01-31 12:00:00+00:00' or INTERVAL '1 days 0 us', or say the condition as "
            "an expression: lambda row: row.at > moment."
        ) from None


def _read_interval(text: str) -> timedelta:
    found = _INTERVAL.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return timedelta(days=int(found[1]), microseconds=int(found[2]))


def _sqlite(kind: Kind, value: object) -> str:
    bind = binder(kind, "sqlite")
    bound = value if bind is None else bind(value)
    return f"X'{bound.hex()}'" if isinstance(bound, bytes) else _WRITE[type(bound)](bound)


_KEPT: Mapping[str, Callable[[str], str]] = {
    "TIMESTAMPTZ": lambda text: _sqlite(DATETIME, datetime.fromisoformat(text)),
    "INTERVAL": lambda text: _sqlite(INTERVAL, _read_interval(text)),
    "UUID": lambda text: _sqlite(UUID_, UUID(text)),
    "BYTEA": lambda text: f"X'{bytes.fromhex(text.removeprefix(chr(92) + 'x')).hex()}'",
}
"""What a text is in SQLite, by the type that PostgreSQL gives it."""
