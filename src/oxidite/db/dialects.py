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
    locks_of: bool = False
    """Whether a lock can be of some of the tables of a query (FOR UPDATE OF)."""
    full_join: bool = False
    """Whether rows of both sides can be kept (FULL JOIN)."""
    distinct_on: bool = False
    """Whether there is DISTINCT ON."""
    aggregate_filter: bool = False
    """Whether an aggregate has a FILTER; if not, it is written as a CASE."""
    ordered_aggregates: bool = False
    """Whether text and lists can be put together in an order."""
    window_defaults: bool = False
    """Whether lag() and lead() take what stands in for a row that is not there."""
    json_from_end: bool = False
    """Whether a place in a JSON list may be counted from its end."""
    orders_nulls: bool = True
    """Whether NULLS FIRST and NULLS LAST are known."""
    exact_decimals: bool = True
    """Whether it computes with Decimals without losing digits."""


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    locks_rows=False,
    full_join=True,
    aggregate_filter=True,
    window_defaults=True,
    json_from_end=True,
    exact_decimals=False,
)
POSTGRESQL = Dialect(
    name="postgresql",
    product="PostgreSQL",
    locks_rows=True,
    locks_of=True,
    full_join=True,
    distinct_on=True,
    aggregate_filter=True,
    window_defaults=True,
    json_from_end=True,
    ordered_aggregates=True,
)
