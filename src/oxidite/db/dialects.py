"""What the databases can do, as far as SQL differs by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["POSTGRESQL", "SQLITE", "Dialect", "DialectName", "Placeholders"]

DialectName: TypeAlias = Literal["sqlite", "postgresql"]
Placeholders: TypeAlias = Literal["numeric", "qmark", "format"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of database."""

    name: DialectName
    product: str
    locks_rows: bool
    """Whether single rows are locked (FOR UPDATE); if not, a transaction that writes is alone."""
    placeholders: Placeholders = "format"
    """How a parameter is written: ``$1``, ``?`` or ``%s``."""
    inserts_return: bool = False
    """Whether an INSERT tells what the database has made (RETURNING)."""
    updates_return: bool = False
    """Whether an UPDATE tells which rows it changed (RETURNING)."""
    deletes_return: bool = False
    """Whether a DELETE tells which rows it deleted (RETURNING)."""
    unnests: bool = False
    """Whether rows can be given as one array for each column, so that any number has one plan."""
    copies: bool = False
    """Whether there is a way of its own for very many rows (COPY)."""
    names_conflict: bool = False
    """Whether an upsert says which columns may be taken (ON CONFLICT); if not, any unique ones."""
    tells_inserted: bool = False
    """Whether an upsert can tell a row that it inserted from one that it changed."""
    analyzes: bool = False
    """Whether EXPLAIN can run the statement and tell what it took."""


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    locks_rows=False,
    placeholders="qmark",
    inserts_return=True,
    updates_return=True,
    deletes_return=True,
    names_conflict=True,
)
POSTGRESQL = Dialect(
    name="postgresql",
    product="PostgreSQL",
    locks_rows=True,
    placeholders="numeric",
    inserts_return=True,
    updates_return=True,
    deletes_return=True,
    unnests=True,
    copies=True,
    names_conflict=True,
    tells_inserted=True,
    analyzes=True,
)
