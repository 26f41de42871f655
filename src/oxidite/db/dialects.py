"""What the databases can do, as far as SQL differs by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["MARIADB", "MYSQL", "POSTGRESQL", "SQLITE", "Dialect", "DialectName"]

DialectName: TypeAlias = Literal["sqlite", "postgresql", "mysql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One database. MariaDB speaks the dialect of MySQL and can do other things."""

    name: DialectName
    product: str
    returns_rows: bool
    """Whether INSERT and DELETE give back rows (RETURNING)."""
    locks_rows: bool
    """Whether single rows are locked (FOR UPDATE); if not, a transaction that writes is alone."""
    partial_indexes: bool
    transactional_ddl: bool
    arrays: bool


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    returns_rows=True,
    locks_rows=False,
    partial_indexes=True,
    transactional_ddl=True,
    arrays=False,
)
POSTGRESQL = Dialect(
    name="postgresql",
    product="PostgreSQL",
    returns_rows=True,
    locks_rows=True,
    partial_indexes=True,
    transactional_ddl=True,
    arrays=True,
)
MYSQL = Dialect(
    name="mysql",
    product="MySQL",
    returns_rows=False,
    locks_rows=True,
    partial_indexes=False,
    transactional_ddl=False,
    arrays=False,
)
MARIADB = Dialect(
    name="mysql",
    product="MariaDB",
    returns_rows=True,
    locks_rows=True,
    partial_indexes=False,
    transactional_ddl=False,
    arrays=False,
)
