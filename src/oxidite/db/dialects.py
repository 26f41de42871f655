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
    compares_rows: bool = False
    """Whether it uses an index for ``(a, b) > (1, 2)``; if not, the comparison is written out."""
    nulls_are_large: bool = False
    """Whether NULL comes after every value in an ascending order; if not, before."""


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    locks_rows=False,
    compares_rows=True,
)
POSTGRESQL = Dialect(
    name="postgresql",
    product="PostgreSQL",
    locks_rows=True,
    compares_rows=True,
    nulls_are_large=True,
)
