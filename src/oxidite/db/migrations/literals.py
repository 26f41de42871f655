"""Values of columns as they stand in the SQL of a migration."""

from __future__ import annotations

from uuid import UUID

from oxidite.db.dialects import Dialect
from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.operations import Fill
from oxidite.db.migrations.specs import NOW, ColumnSpec

__all__ = ["converted", "literal"]


def literal(value: Fill, column: ColumnSpec, dialect: Dialect) -> str:
    """Return a value of a column as SQL."""
    if value is None:
        return "NULL"
    if value == NOW and column.type == "datetime":
        return _NOW.get(dialect.name, "CURRENT_TIMESTAMP(6)")
    if isinstance(value, bool):
        return str(value).lower() if dialect.name == "postgresql" else str(int(value))
    if isinstance(value, int | float) and column.type in ("integer", "float", "boolean"):
        return repr(value)
    if isinstance(value, int | float) and column.type == "decimal" and dialect.name != "sqlite":
        return repr(value)
    if column.type in ("bytes", "uuid"):
        return _binary(str(value), column, dialect)
    text = str(value).replace("'", "''")
    if dialect.name not in ("sqlite", "postgresql"):
        text = text.replace("\\", "\\\\")
    return f"'{text}'"


def _binary(value: str, column: ColumnSpec, dialect: Dialect) -> str:
    is_uuid = column.type == "uuid"
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
