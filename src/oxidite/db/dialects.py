"""What the databases can do, as far as SQL differs by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["POSTGRESQL", "SQLITE", "Dialect", "DialectName", "Placeholders", "Returning"]

DialectName: TypeAlias = Literal["sqlite", "postgresql"]
Returning: TypeAlias = Literal["insert", "update", "delete"]
"""A statement that may return the rows it changed."""
Placeholders: TypeAlias = Literal["numeric", "qmark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of database."""

    name: DialectName
    product: str
    locks_rows: bool
    """Whether single rows are locked (FOR UPDATE); if not, a transaction that writes is alone."""
    returning: frozenset[Returning]
    """Which statements can return the rows they changed."""
    conflict_columns: bool
    """Whether an upsert is told which unique columns it is about; if not, every unique index counts."""
    placeholders: Placeholders = "qmark"
    """How a parameter is written: ``$1`` or ``?``."""
    unnests: bool = False
    """Whether rows can be given as one array for each column, so that any number has one plan."""
    copies: bool = False
    """Whether there is a way of its own for very many rows (COPY)."""
    tells_inserted: bool = False
    """Whether an upsert can tell a row that it inserted from one that it changed."""
    analyzes: bool = False
    """Whether EXPLAIN can run the statement and tell what it took."""


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    locks_rows=False,
    returning=frozenset(("insert", "update", "delete")),
    conflict_columns=True,
)
POSTGRESQL = Dialect(
    name="postgresql",
    product="PostgreSQL",
    locks_rows=True,
    returning=frozenset(("insert", "update", "delete")),
    conflict_columns=True,
    placeholders="numeric",
    unnests=True,
    copies=True,
    tells_inserted=True,
    analyzes=True,
)
