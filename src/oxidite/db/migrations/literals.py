"""Values of columns as they stand in the SQL of a migration."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.operations import Fill
from oxidite.db.migrations.specs import NOW, ColumnSpec, code
from oxidite.db.values.cuts import range_text
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import RANGES
from oxidite.db.values.range_codecs import read_range, write_range
from oxidite.db.values.vectors import Vector
from oxidite.encoding import encode_json

__all__ = ["converted", "literal", "text"]


_NUMBERS = ("integer", "float", "boolean")


def literal(value: Fill, column: ColumnSpec, dialect: Dialect) -> str:
    """Return a value of a column as SQL."""
    if value is None:
        return "NULL"
    if value == NOW and column.type_name == "datetime":
        return _NOW.get(dialect.name, "CURRENT_TIMESTAMP(6)")
    if column.type_name == "interval" and isinstance(value, int | float):
        is_postgresql = dialect.name == "postgresql"
        return f"'{value} seconds'" if is_postgresql else str(round(value * 1_000_000))
    if column.type_name == "vector":
        return _vector(value, column, dialect)
    if column.type_name in RANGES:
        return _range(value, column, dialect)
    if isinstance(value, bool):
        return str(value).lower() if dialect.name == "postgresql" else str(int(value))
    # SQLite keeps a Decimal as text.
    numbers = _NUMBERS if dialect.name == "sqlite" else (*_NUMBERS, "decimal")
    if isinstance(value, int | float) and column.type_name in numbers:
        return repr(value)
    if column.type_name == "datetime":
        return _moment(str(value), column, dialect)
    if column.type_name in ("bytes", "uuid"):
        return _binary(str(value), column, dialect)
    is_array = column.type_name == "array" and dialect.name == "postgresql"
    return text(_array(str(value)) if is_array else str(value))


def _vector(value: Fill, column: ColumnSpec, dialect: Dialect) -> str:
    """Return a vector whose numbers are all the same as SQL."""
    try:
        made = Vector([float(value or 0)] * (column.dimensions or 0))
    except ValueError:
        raise MigrationError(
            f"{value!r} does not fill {column.name}, which is of vectors: say a number, which all of a vector "
            "become."
        ) from None
    if dialect.name == "postgresql":
        return text(encode_json(made).decode())
    return f"X'{bytes(made).hex()}'"


def _range(value: Fill, column: ColumnSpec, dialect: Dialect) -> str:
    """Return a range as SQL."""
    try:
        made = read_range(column.type_name, str(value))
    except (TypeError, ValueError) as exc:
        raise MigrationError(
            f"{column.name}, which is of ranges, cannot be filled: {exc}"
        ) from None
    is_native = dialect.name == "postgresql"
    return text(write_range(made) if is_native else range_text(column.type_name, made))


def _moment(value: str, column: ColumnSpec, dialect: Dialect) -> str:
    """Return a moment as SQL, in UTC: MariaDB takes no zone in a DEFAULT, and SQLite keeps what is written."""
    try:
        made = datetime.fromisoformat(value)
        made = (made if made.tzinfo else made.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        raise MigrationError(
            f"{value!r} does not fill {column.name}, which is of moments: say one as in "
            "'2026-01-31T12:00:00+00:00' (without a zone it is in UTC), or NOW."
        ) from None
    zone = "+00" if dialect.name == "postgresql" else ""
    return text(f"{made.replace(tzinfo=None).isoformat(' ', 'microseconds')}{zone}")


def text(value: str) -> str:
    """Return text as it stands in SQL."""
    # A backslash is one everywhere: the driver of MariaDB says so to its server.
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _array(written: str) -> str:
    """Return a list in JSON as PostgreSQL writes an array."""
    items = msgspec.json.decode(written, type=list[object])
    return f"{{{','.join(code(str(each)) for each in items)}}}"


def _binary(value: str, column: ColumnSpec, dialect: Dialect) -> str:
    is_uuid = column.type_name == "uuid"
    try:
        written = UUID(value).hex if is_uuid else value.encode().hex()
    except ValueError:
        raise MigrationError(f"{value!r} is no UUID, to fill {column.name} with.") from None
    if dialect.name == "postgresql":
        return f"'{UUID(written)}'" if is_uuid else f"'\\x{written}'"
    return f"X'{written}'"


_NOW = {
    "sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')",
    "postgresql": "CURRENT_TIMESTAMP",
}


def converted(old: str, new: str, column: str) -> str:
    """Return what makes one kind of SQLite's texts another; its own rules do for the rest."""
    match old, new:
        case "date", "datetime":
            return f"{column} || ' 00:00:00.000000'"
        case "datetime", "date":
            return f"substr({column}, 1, 10)"
        case _:
            return column
