"""What the databases can do, as far as SQL differs by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["POSTGRESQL", "SQLITE", "Dialect", "DialectName"]

DialectName: TypeAlias = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of database."""

    name: DialectName
    product: str
    locks_rows: bool
    """Whether single rows are locked (FOR UPDATE); if not, a transaction that writes is alone."""
    transactional_ddl: bool = False
    """Whether a transaction undoes changes of the schema too."""
    expression_indexes: bool = False
    """Whether an index may be over expressions."""


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    locks_rows=False,
    transactional_ddl=True,
    expression_indexes=True,
)
POSTGRESQL = Dialect(
    name="postgresql",
    product="PostgreSQL",
    locks_rows=True,
    transactional_ddl=True,
    expression_indexes=True,
)
