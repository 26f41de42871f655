"""Rows of raw SQL as typed values: converted by the names or the order of their columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.sql.plan import object_reader
from oxidite.db.tables.table import Table
from oxidite.db.values.codecs import Codec, reader
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import FLOAT, INTEGER, kind_of, nullable

__all__ = ["RowReader", "row_reader"]

RowReader: TypeAlias = Callable[[Sequence[Any]], list[Any]]
"""Makes values of rows; each row is read by position, and has ``keys()``."""


def row_reader(type_: Any, dialect: Dialect) -> RowReader:
    """Return what makes values of a type out of rows; ``None`` is tuples of what the driver has."""
    return _reader(type_, dialect)


@lru_cache(maxsize=500)
def _reader(type_: Any, dialect: Dialect) -> RowReader:
    if type_ is None or type_ is tuple:
        return lambda rows: [tuple(row) for row in rows]
    table: Table | None = getattr(type_, "__table__", None)
    if table is not None:
        return _model_reader(table, dialect)
    if get_origin(type_) is tuple:
        return _tuple_reader(type_, dialect)
    if type_ is dict or get_origin(type_) is dict:
        (*_, value) = get_args(type_) or (Any,)
        return _converting(_Named({}, _codec(value, dialect)), type_)
    if _has_fields(type_):
        hints = get_type_hints(type_)
        codecs = {_field_name(type_, name): _codec(hint, dialect) for name, hint in hints.items()}
        return _converting(_Named(codecs, None), type_)
    return _converting(_Single(_codec(type_, dialect)), type_)


def _has_fields(type_: Any) -> bool:
    return (
        (isinstance(type_, type) and issubclass(type_, msgspec.Struct))
        or dataclasses.is_dataclass(type_)
        or is_typeddict(type_)
    )


def _field_name(type_: Any, name: str) -> str:
    """Return what a field is called outside: a Struct may rename it."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        names = dict(zip(type_.__struct_fields__, type_.__struct_encode_fields__, strict=True))
        return names.get(name, name)
    return name


def _converting(take: Callable[[Sequence[Any]], list[Any]], type_: Any) -> RowReader:
    wanted = list[type_]

    def read(rows: Sequence[Any]) -> list[Any]:
        if not rows:
            return []
        try:
            return msgspec.convert(take(rows), wanted)
        except (ValueError, TypeError, ArithmeticError) as exc:
            # msgspec's error is a ValueError; the others are of the codecs.
            raise QueryError(
                f"A row with the columns {', '.join(rows[0].keys())} does not fit {_named(type_)}: {exc}"
            ) from None

    return read


class _Named:
    """Makes a dictionary of each row."""

    def __init__(self, codecs: Mapping[str, Codec | None], other: Codec | None) -> None:
        self._codecs = codecs
        self._other = other

    def __call__(self, rows: Sequence[Any]) -> list[Any]:
        names = list(rows[0].keys())
        if len(set(names)) < len(names):
            raise QueryError(f"Two columns have one name: {', '.join(names)}. Rename one with AS.")
        codecs = [self._codecs.get(name, self._other) for name in names]
        return [
            {
                name: value if codec is None or value is None else codec(value)
                for name, codec, value in zip(names, codecs, row, strict=True)
            }
            for row in rows
        ]


class _Single:
    """Takes the only column of each row."""

    def __init__(self, codec: Codec | None) -> None:
        self._codec = codec

    def __call__(self, rows: Sequence[Any]) -> list[Any]:
        if len(rows[0]) != 1:
            raise QueryError(
                f"The SQL has {len(rows[0])} columns, {', '.join(rows[0].keys())}, and one was expected."
            )
        codec = self._codec
        if codec is None:
            return [row[0] for row in rows]
        return [None if row[0] is None else codec(row[0]) for row in rows]


def _tuple_reader(type_: Any, dialect: Dialect) -> RowReader:
    types = get_args(type_)
    if len(types) == 2 and types[1] is Ellipsis:
        codec = _codec(types[0], dialect)
        return _converting(
            lambda rows: [[_through(codec, value) for value in row] for row in rows], type_
        )
    codecs = [_codec(each, dialect) for each in types]

    def take(rows: Sequence[Any]) -> list[Any]:
        if len(rows[0]) != len(codecs):
            raise QueryError(
                f"The SQL has {len(rows[0])} columns, {', '.join(rows[0].keys())}, and {_named(type_)} "
                f"has {len(codecs)}."
            )
        return [
            [_through(codec, value) for codec, value in zip(codecs, row, strict=True)]
            for row in rows
        ]

    return _converting(take, type_)


def _through(codec: Codec | None, value: Any) -> Any:
    return value if codec is None or value is None else codec(value)


def _model_reader(table: Table, dialect: Dialect) -> RowReader:
    read = object_reader(table, dialect)

    def read_model(rows: Sequence[Any]) -> list[Any]:
        if not rows:
            return []
        names = list(rows[0].keys())
        missing = [c.column_name for c in table.columns if c.column_name not in names]
        if missing:
            raise QueryError(
                f"An object of {table.name} needs all of its columns, and {', '.join(missing)} are not in "
                f"the SQL: SELECT {table.name}.*, or .into() a Struct."
            )
        places = [names.index(column.column_name) for column in table.columns]
        return read([tuple([row[place] for place in places]) for row in rows])

    return read_model


def _codec(hint: Any, dialect: Dialect) -> Codec | None:
    """Return what makes a value of a type out of what the driver gives, as far as it is needed."""
    type_, _ = nullable(hint)
    if type_ is Any or type_ is object:
        return None
    try:
        kind = kind_of(type_)
    except ModelError:
        return _json if _is_compound(type_) else None
    if kind is INTEGER:
        return _integer
    if kind is FLOAT:
        return _float
    read = reader(kind, dialect.name)
    if read is None or kind.name == "enum":
        return None  # msgspec finds the member of an enum
    if kind.name == "datetime" and dialect.is_mysql:
        # Its times are UTC and do not say so.
        return lambda value: read(value) if type(value) is datetime else value
    # What an expression has made may be of the type already.
    return lambda value: value if isinstance(value, type_) else read(value)  # type: ignore[arg-type]  # a class


def _is_compound(type_: Any) -> bool:
    origin = get_origin(type_) or type_
    return origin in (dict, list, tuple, set, frozenset) or _has_fields(type_)


def _json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


def _integer(value: Any) -> Any:
    # PostgreSQL sums bigints as numeric.
    return (
        int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
    )


def _float(value: Any) -> Any:
    return (
        float(value) if isinstance(value, Decimal | int) and not isinstance(value, bool) else value
    )


def _named(type_: Any) -> str:
    return type_.__name__ if isinstance(type_, type) and not get_args(type_) else str(type_)
