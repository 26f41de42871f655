"""Which type of Python a column of a database is, and what is lost of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from oxidite.db.inspection.found import FoundColumn
from oxidite.db.inspection.texts import written
from oxidite.db.sql.vectors import VectorType
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import RANGES

__all__ = ["RANGE_WORDS", "Said", "said_of"]


@dataclass(slots=True)
class Said:
    """What a model says of a column: its type as it is written, and rules, each as Python."""

    type: str
    rules: dict[str, str] = field(default_factory=dict)
    lost: str | None = None
    """What it is in the database, where a model would make it something else."""


class Place(NamedTuple):
    """Where a type was found."""

    table: str
    column: str
    dialect: Dialect

    @property
    def is_mysql(self) -> bool:
        """Whether it is MariaDB or MySQL."""
        return self.dialect.is_mysql


RANGE_WORDS: Mapping[str, str] = {
    name: f"Range[{kind.element.type.__name__}]"  # type: ignore[attr-defined]  # a class
    for name, kind in RANGES.items()
    if kind.element is not None
}
"""How a model says the types of ranges."""
Type: TypeAlias = Any
"""A type of SQLAlchemy's: they share no attributes."""
Reader: TypeAlias = Callable[[Type, Place], Said | None]


def said_of(column: FoundColumn, table: str, dialect: Dialect) -> Said | None:
    """Return what a model says of the type of a column; ``None`` if no column holds such values."""
    place = Place(table, column.name, dialect)
    readers = _OF_SQLITE if dialect.name == "sqlite" else _OF_OTHERS
    for kinds, read in readers:
        if isinstance(column.type, kinds):
            return read(column.type, place)
    return None


def _plain(name: str, *ours: type) -> Reader:
    """Return what reads a type of which there is one kind; ``ours`` is what a model makes."""

    def read(type_: Type, _place: Place) -> Said:
        return Said(name, {}, None if not ours or isinstance(type_, ours) else str(type_))

    return read


def _refused(_type: Type, _place: Place) -> None:
    return None


# PostgreSQL and MariaDB.


def _enum(type_: Type, place: Place) -> Said:
    literal = f"Literal[{', '.join(map(written, type_.enums))}]"
    if place.is_mysql:
        return Said(literal, {}, "an ENUM")
    is_ours = type_.name == f"{place.table}_{place.column}"
    return Said(literal, {"native": "True"}, None if is_ours else f"of the type {type_.name}")


def _array(type_: Type, place: Place) -> Said | None:
    inside = next((read for kinds, read in _OF_OTHERS if isinstance(type_.item_type, kinds)), None)
    said = None if inside is None else inside(type_.item_type, place)
    if said is None or said.type not in _ELEMENTS or type_.dimensions not in (None, 1):
        return None
    is_ours = isinstance(type_.item_type, _ELEMENTS[said.type])
    return Said(f"list[{said.type}]", {"array": "True"}, None if is_ours else str(type_))


_ELEMENTS: dict[str, type] = {
    "int": sa.BIGINT,
    "str": sa.TEXT,
    "bool": sa.BOOLEAN,
    "float": sa.DOUBLE_PRECISION,
    "Decimal": sa.NUMERIC,
    "date": sa.DATE,
    "UUID": sa.UUID,
}


def _tiny(type_: Type, _place: Place) -> Said:
    is_truth = type_.display_width == 1
    return Said("bool") if is_truth else Said("int", {"bits": "16"}, str(type_))


def _integer(type_: Type, _place: Place) -> Said:
    if isinstance(type_, mysql.MEDIUMINT):
        return Said("int", {"bits": "32"}, str(type_))
    small = 16 if isinstance(type_, sa.SmallInteger) else 32
    rules = {} if isinstance(type_, sa.BigInteger) else {"bits": str(small)}
    return Said("int", rules, "unsigned" if getattr(type_, "unsigned", False) else None)


def _decimal(type_: Type, place: Place) -> Said:
    precision, scale = type_.precision, type_.scale
    if precision is None or (place.is_mysql and (precision, scale) == (65, 30)):
        return Said("Decimal")
    return Said("Decimal", {"precision": str(precision), "scale": str(scale or 0)})


def _text(type_: Type, place: Place) -> Said:
    ours = (mysql.LONGTEXT, sa.VARCHAR) if place.is_mysql else (sa.TEXT, sa.VARCHAR)
    # Without a length, which a model makes TEXT.
    is_bare = isinstance(type_, sa.VARCHAR) and type_.length is None
    return _sized("str", type_, is_ours=isinstance(type_, ours) and not is_bare)


def _bytes(type_: Type, place: Place) -> Said:
    if isinstance(type_, sa.BINARY) and type_.length == 16:
        return Said("UUID")
    ours: tuple[type, ...] = (mysql.LONGBLOB, sa.VARBINARY) if place.is_mysql else (sa.LargeBinary,)
    return _sized("bytes", type_, is_ours=isinstance(type_, ours))


def _sized(name: str, type_: Type, *, is_ours: bool) -> Said:
    # A TEXT of MariaDB says how many bytes it has, which is no rule of anybody's.
    length = type_.length if isinstance(type_, sa.CHAR | sa.VARCHAR | sa.VARBINARY) else None
    rules = {"max_length": str(length)} if length else {}
    return Said(name, rules, None if is_ours else str(type_))


def _moment(type_: Type, place: Place) -> Said:
    if place.is_mysql:
        is_ours = isinstance(type_, mysql.DATETIME) and type_.fsp == 6
        return Said("datetime", {}, None if is_ours else str(type_))
    return Said("datetime", {}, None if type_.timezone else "TIMESTAMP WITHOUT TIME ZONE")


def _time(type_: Type, place: Place) -> Said:
    if place.is_mysql:
        return Said("time", {}, None if type_.fsp == 6 else str(type_))
    return Said("time", {}, "TIME WITH TIME ZONE" if type_.timezone else None)


def _json(type_: Type, place: Place) -> Said:
    is_ours = place.is_mysql or isinstance(type_, postgresql.JSONB)
    return Said("object", {"json": "True"}, None if is_ours else str(type_))


def _vector(type_: Type, _place: Place) -> Said | None:
    size = type_.dimensions  # without one, each row may have another number
    return None if size is None else Said("Vector", {"dimensions": str(size)})


_RANGES: Sequence[tuple[Any, Reader]] = tuple(
    (getattr(postgresql, name.upper()), _plain(said)) for name, said in RANGE_WORDS.items()
)
_BLOBS = (mysql.LONGBLOB, mysql.MEDIUMBLOB, mysql.TINYBLOB, sa.VARBINARY, sa.BINARY, sa.LargeBinary)
_OF_OTHERS: Sequence[tuple[Any, Reader]] = (
    # What is text to SQLAlchemy, and nothing that a driver takes as text.
    ((mysql.SET, postgresql.CITEXT, postgresql.TSVECTOR, postgresql.OID), _refused),
    (sa.Enum, _enum),
    (VectorType, _vector),
    *_RANGES,
    (postgresql.ARRAY, _array),
    (mysql.TINYINT, _tiny),
    (sa.Boolean, _plain("bool")),
    (sa.Integer, _integer),
    (sa.Float, _plain("float", sa.Double)),
    (sa.Numeric, _decimal),
    (sa.Uuid, _plain("UUID", postgresql.UUID)),
    (sa.JSON, _json),
    (sa.String, _text),
    (_BLOBS, _bytes),
    (sa.DateTime, _moment),
    (sa.Date, _plain("date")),
    (sa.Time, _time),
    (postgresql.INTERVAL, _plain("timedelta")),
)


# SQLite.


def _text_of_sqlite(type_: Type, _place: Place) -> Said:
    rules = {"max_length": str(type_.length)} if type_.length else {}
    return Said("str", rules, None if isinstance(type_, sa.TEXT) else str(type_))


def _json_of_sqlite(type_: Type, _place: Place) -> Said:
    return Said("object", {"json": "True"}, str(type_))


def _whole_of_sqlite(type_: Type, _place: Place) -> Said:
    return Said("int", {}, None if type(type_) is sa.INTEGER else str(type_))


def _other_of_sqlite(name: str) -> Reader:
    """Return what reads a type that no model makes: those values are text there."""
    return lambda type_, _: Said(name, {}, str(type_))


_OF_SQLITE: Sequence[tuple[Any, Reader]] = (
    (sa.Boolean, _plain("bool")),
    (sa.Integer, _whole_of_sqlite),
    (sa.Float, _plain("float", sa.Double)),
    (sa.Numeric, _other_of_sqlite("Decimal")),
    (sa.DateTime, _other_of_sqlite("datetime")),
    (sa.Date, _other_of_sqlite("date")),
    (sa.Time, _other_of_sqlite("time")),
    (sa.JSON, _json_of_sqlite),
    (sa.String, _text_of_sqlite),
    (sa.LargeBinary, _plain("bytes")),
)
