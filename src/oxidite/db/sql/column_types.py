"""The types of columns in each kind of database, as SQLAlchemy has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from oxidite.db.sql.ranges import RANGE_TYPES, range_text_type
from oxidite.db.sql.vectors import VectorType
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import short_name
from oxidite.db.values.dialects import DialectName
from oxidite.db.values.kinds import options_of
from oxidite.db.values.vectors import SIZE

__all__ = ["KEY_LENGTH", "MYSQL_TYPES", "mysql_type", "type_of"]

AnyColumn: TypeAlias = Column[Any, Any]


def type_of(column: AnyColumn, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    """Return the type of a column of SQLite or PostgreSQL."""
    kind, rules = column.kind.stored, column.rules
    match kind.name:
        case "text":
            size = rules.get("max_length")
            return sa.String(size) if size is not None and dialect != "sqlite" else sa.Text()
        case "decimal":
            return _decimal(column, dialect)
        case "integer" if rules.get("bits", 64) < 64 and dialect != "sqlite":
            return sa.SmallInteger() if rules.get("bits") == 16 else sa.Integer()
        case "enum" if rules.get("native") and dialect != "sqlite":
            name = short_name(f"{column.table.name}_{column.column_name}")
            # Whoever creates tables creates the type as well, and says when.
            return postgresql.ENUM(*options_of(kind), name=name, create_type=False)
        case "enum":
            return sa.String(max(map(len, options_of(kind))))
        case "array" if dialect == "postgresql" and kind.element is not None:
            return postgresql.ARRAY(_TYPES[kind.element.stored.name, dialect]())
        case "array":
            return _TYPES["json", dialect]()
        case "vector" if dialect == "postgresql":
            return VectorType(column.dimensions)
        case "vector":
            return sa.LargeBinary()
        case _:
            return _TYPES[kind.name, dialect]()


KEY_LENGTH = 255
"""Characters of text, or bytes, that a key has where nothing else is said: an index has 3,072 bytes."""
_VARCHAR = 16_383
"""Characters that one in a row may have; what is longer is kept beside it."""


def mysql_type(column: AnyColumn, *, is_key: bool) -> sa.types.TypeEngine[Any]:
    """Return the type of a column of MariaDB or MySQL; one in a key must fit whole into an index."""
    kind = column.kind.stored
    size = column.rules.get("max_length") or (KEY_LENGTH if is_key else None)
    if kind.name == "vector":
        size = SIZE * column.dimensions
    if column.kind.name == "encrypted":
        return mysql.LONGBLOB()  # a rule is about what is inside
    match kind.name:
        case "text":
            return mysql.LONGTEXT() if size is None or size > _VARCHAR else sa.String(size)
        case "bytes" | "vector":
            return mysql.LONGBLOB() if size is None or size > _VARCHAR else sa.VARBINARY(size)
        case "decimal":
            precision, scale = column.rules.get("precision"), column.rules.get("scale")
            if precision is None and scale is None:
                precision, scale = 65, 30  # the most there is
            return mysql.DECIMAL(precision or 65, scale or 0)
        case "enum":
            return sa.String(max(map(len, options_of(kind))))
        case "integer" if column.rules.get("bits", 64) < 64:
            return sa.SmallInteger() if column.rules.get("bits") == 16 else sa.Integer()
        case name:
            return MYSQL_TYPES[name]()


def _decimal(column: AnyColumn, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    if dialect == "sqlite":
        return sa.Text()  # its numbers are binary
    precision, scale = column.rules.get("precision"), column.rules.get("scale")
    return sa.Numeric(precision, scale)


Make: TypeAlias = Callable[[], sa.types.TypeEngine[Any]]

MYSQL_TYPES: dict[str, Make] = {
    "integer": sa.BigInteger,
    "boolean": sa.Boolean,
    "float": sa.Double,
    # Not MariaDB's own type, which has another order.
    "uuid": lambda: mysql.BINARY(16),
    "datetime": lambda: mysql.DATETIME(fsp=6),
    "date": sa.Date,
    "time": lambda: mysql.TIME(fsp=6),
    "interval": sa.BigInteger,
    "json": mysql.JSON,
    "array": mysql.JSON,
    **{each: partial(range_text_type, each) for each in RANGE_TYPES},
}

_TYPES: dict[tuple[str, DialectName], Make] = {
    **{("text", each): sa.Text for each in ("sqlite", "postgresql")},
    ("integer", "sqlite"): sa.Integer,  # the only type that counts up by itself
    ("integer", "postgresql"): sa.BigInteger,
    # As elements of arrays; a column of them has a size.
    **{(each, "postgresql"): sa.Text for each in ("text", "enum")},
    ("decimal", "postgresql"): sa.Numeric,
    **{("boolean", each): sa.Boolean for each in ("sqlite", "postgresql")},
    **{("float", each): sa.Double for each in ("sqlite", "postgresql")},
    ("bytes", "sqlite"): sa.LargeBinary,
    ("bytes", "postgresql"): sa.LargeBinary,
    ("uuid", "sqlite"): lambda: sa.LargeBinary(16),
    ("uuid", "postgresql"): postgresql.UUID,
    ("datetime", "sqlite"): sa.Text,
    ("datetime", "postgresql"): lambda: postgresql.TIMESTAMP(timezone=True),
    ("date", "sqlite"): sa.Text,
    ("date", "postgresql"): sa.Date,
    ("time", "sqlite"): sa.Text,
    ("time", "postgresql"): sa.Time,
    ("interval", "sqlite"): sa.Integer,
    ("interval", "postgresql"): sa.Interval,
    ("json", "sqlite"): sa.Text,
    ("json", "postgresql"): postgresql.JSONB,
    **{(each, "sqlite"): sa.Text for each in RANGE_TYPES},
    **{(each, "postgresql"): make for each, make in RANGE_TYPES.items()},
}
