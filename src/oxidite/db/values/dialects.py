"""What the databases can do, as far as SQL differs by it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

__all__ = [
    "ANOTHER_KEY",
    "MARIADB",
    "MYSQL",
    "ONLY",
    "POSTGRESQL",
    "SQLITE",
    "Dialect",
    "DialectName",
    "Placeholders",
    "Returning",
]

DialectName: TypeAlias = Literal["sqlite", "postgresql", "mariadb", "mysql"]
Placeholders: TypeAlias = Literal["numeric", "qmark"]
Returning: TypeAlias = Literal["insert", "update", "delete"]
"""A statement that may return the rows it changed."""
ANOTHER_KEY = "(SELECT 1 UNION ALL SELECT 2)"
"""What an upsert runs into where another unique key is in the way than the one it is about: an error."""
ONLY = "__only_"
"""How the columns begin that stand for what an index cannot be over itself: a condition, an expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of database."""

    name: DialectName
    product: str
    locks_rows: bool
    """Whether single rows are locked (FOR UPDATE); if not, a transaction that writes is alone."""
    returning: frozenset[Returning]
    """Which statements can return the rows they changed."""
    partial_indexes: bool
    """Whether an index may be of some rows only; if not, a unique one has a column of its own for it."""
    guarded_indexes: bool
    """Whether an index can be created "if not exists"."""
    transactional_ddl: bool
    """Whether a change of the schema is undone with its transaction; if not, it ends the transaction."""
    orders_nulls: bool
    """Whether NULLS FIRST and NULLS LAST are known."""
    interleaves: bool
    """Whether a connection runs other statements while rows are streamed over it."""
    conflict_columns: bool
    """Whether an upsert is told which unique columns it is about; if not, all are in its way."""
    arrays: bool
    """Whether there are columns of arrays; if not, they are JSON."""
    decimal_zeros: bool
    """Whether a Decimal keeps the zeros at its end; if not, they are taken off, or filled up."""
    infinity: bool
    """Whether a float may be infinite."""
    expression_indexes: bool
    """Whether an index may be over expressions; if not, it has a column of its own for each."""

    @property
    def is_mysql(self) -> bool:
        """Whether it is MariaDB or MySQL, which speak nearly the same."""
        return self.name in ("mariadb", "mysql")

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
    exact_decimals: bool = True
    """Whether it computes with Decimals without losing digits."""
    placeholders: Placeholders = "qmark"
    """How a parameter is written: ``?`` or ``$1``."""
    unnests: bool = False
    """Whether rows can be given as one array for each column, so that any number has one plan."""
    copies: bool = False
    """Whether there is a way of its own for very many rows (COPY)."""
    tells_inserted: bool = False
    """Whether an upsert can tell a row that it inserted from one that it changed."""
    compares_rows: bool = False
    """Whether it uses an index for ``(a, b) > (1, 2)``; if not, the comparison is written out."""
    nulls_are_large: bool = False
    """Whether NULL comes after every value in an ascending order; if not, before."""
    joins_reads: bool = False
    """Whether one statement can bring the rows of several queries, each as it is (``ARRAY(SELECT …)``)."""
    analyzes: bool = False
    """Whether EXPLAIN can run the statement and tell what it took."""


SQLITE = Dialect(
    name="sqlite",
    product="SQLite",
    locks_rows=False,
    returning=frozenset(("insert", "update", "delete")),
    partial_indexes=True,
    guarded_indexes=True,
    transactional_ddl=True,
    orders_nulls=True,
    interleaves=True,
    conflict_columns=True,
    arrays=False,
    decimal_zeros=True,
    infinity=True,
    compares_rows=True,
    expression_indexes=True,
    full_join=True,
    aggregate_filter=True,
    window_defaults=True,
    json_from_end=True,
    exact_decimals=False,
)
POSTGRESQL = Dialect(
    joins_reads=True,
    name="postgresql",
    product="PostgreSQL",
    locks_rows=True,
    returning=frozenset(("insert", "update", "delete")),
    partial_indexes=True,
    guarded_indexes=True,
    transactional_ddl=True,
    orders_nulls=True,
    interleaves=True,
    conflict_columns=True,
    arrays=True,
    decimal_zeros=True,
    infinity=True,
    compares_rows=True,
    nulls_are_large=True,
    expression_indexes=True,
    locks_of=True,
    full_join=True,
    distinct_on=True,
    aggregate_filter=True,
    window_defaults=True,
    json_from_end=True,
    ordered_aggregates=True,
    placeholders="numeric",
    unnests=True,
    copies=True,
    tells_inserted=True,
    analyzes=True,
)
MARIADB = Dialect(
    name="mariadb",
    product="MariaDB",
    locks_rows=True,
    returning=frozenset(("insert", "delete")),
    partial_indexes=False,
    guarded_indexes=True,
    transactional_ddl=False,
    orders_nulls=False,
    interleaves=False,
    conflict_columns=False,
    arrays=False,
    decimal_zeros=False,
    infinity=False,
    expression_indexes=False,
    tells_inserted=True,
)
MYSQL = replace(
    MARIADB,
    name="mysql",
    product="MySQL",
    returning=frozenset(),
    guarded_indexes=False,
    expression_indexes=True,
    locks_of=True,
    tells_inserted=False,
)
