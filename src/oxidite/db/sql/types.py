"""What kinds of values are called in the SQL of each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.sql import ColumnElement

from oxidite.db.errors import QueryError
from oxidite.db.sql.ranges import RANGE_ELEMENTS, RANGE_TYPES
from oxidite.db.sql.vectors import VectorType
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import Kind

__all__ = ["Element", "Family", "Form", "Forms", "cast_to", "family", "number", "typed", "word"]

Element: TypeAlias = ColumnElement[Any]
Form: TypeAlias = Callable[..., Any]  # its elements, after its options if it has some
Family: TypeAlias = Literal["sqlite", "postgresql", "mysql"]
"""What speaks one SQL: MariaDB and MySQL do, as far as expressions go."""
Forms: TypeAlias = Mapping[Family, Form]
_Type: TypeAlias = Callable[[], sa.types.TypeEngine[Any]]


def family(dialect: Dialect) -> Family:
    """Return which SQL a database speaks."""
    name: str = dialect.name
    return cast("Family", name) if name in ("sqlite", "postgresql") else "mysql"


def word(text: str) -> Element:
    """Write a constant of ours as text."""
    return sa.literal_column(f"'{text}'")


def number(value: int) -> Element:
    """Write a constant of ours as a number."""
    return sa.literal_column(str(int(value)))


_BOUND: Mapping[str, _Type] = {
    "integer": sa.BigInteger,
    "whole": sa.Numeric,
    "text": sa.Text,
    "words": sa.Text,
    "english_words": sa.Text,
    "boolean": sa.Boolean,
    "float": sa.Double,
    "decimal": sa.Numeric,
    "bytes": sa.LargeBinary,
    "uuid": postgresql.UUID,
    "datetime": lambda: postgresql.TIMESTAMP(timezone=True),
    "date": sa.Date,
    "time": sa.Time,
    "interval": sa.Interval,
    "enum": sa.Text,
    "json": postgresql.JSONB,
    "path": lambda: postgresql.ARRAY(sa.Text),
    "vector": VectorType,
    **RANGE_TYPES,
    **{f"{name} element": make for name, make in RANGE_ELEMENTS.items()},
}


def typed(bound: Element, kind: Kind, dialect: Dialect) -> Element:
    """Say of what type a bound value is, where nothing beside it does."""
    if family(dialect) != "postgresql":
        return bound
    if kind.name in ("list", "array") and kind.element is not None:
        make = _BOUND.get(kind.element.name)
        return bound if make is None else sa.cast(bound, postgresql.ARRAY(make()))
    make = _BOUND.get(kind.name)
    return bound if make is None else sa.cast(bound, make())


_CASTS: Mapping[Family, Mapping[str, _Type]] = {
    "sqlite": {
        "integer": sa.Integer,
        "float": sa.REAL,
        "text": sa.Text,
        "boolean": sa.Boolean,
    },
    "postgresql": {
        "integer": sa.BigInteger,
        "float": sa.Double,
        "text": sa.Text,
        "boolean": sa.Boolean,
        "decimal": sa.Numeric,
        "uuid": postgresql.UUID,
    },
    "mysql": {
        "integer": mysql.INTEGER,
        "float": mysql.DOUBLE,
        "text": sa.CHAR,
        "boolean": mysql.INTEGER,
        "decimal": lambda: sa.Numeric(65, 30),
    },
}


def cast_to(dialect: Family, kind: str, value: Element, source: str = "") -> Element:
    """Write a cast to a kind; numbers lose what is after the point, moments their time.

    Raises:
        QueryError: the database has no such cast.
    """
    if kind == "date" and source == "datetime":
        return _day(dialect, value)
    make = _CASTS[dialect].get(kind)
    if make is None:
        raise QueryError(
            f"{dialect} does not cast to {kind}; it casts to {', '.join(_CASTS[dialect])}."
        )
    if kind == "integer" and source in ("float", "decimal") and dialect != "sqlite":
        value = (
            sa.func.trunc(value) if dialect == "postgresql" else sa.func.truncate(value, number(0))
        )
    return sa.cast(value, make())


def _day(dialect: Family, value: Element) -> Element:
    if dialect == "postgresql":
        return sa.cast(sa.func.timezone(word("UTC"), value), sa.Date)
    return sa.func.date(value)
