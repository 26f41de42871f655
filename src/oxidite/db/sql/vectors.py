"""Vectors as SQL: their type, their distances, their indexes.

PostgreSQL has them by its extension pgvector. SQLite keeps their bytes and asks functions of ours for each
row. MariaDB keeps their bytes and, before version 11.7, cannot compare them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.expressions.expressions import Expr
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import SQL, Index, Table
from oxidite.db.values.kinds import VECTOR
from oxidite.db.values.vectors import METRICS, VectorMetric

__all__ = [
    "DISTANCES",
    "EXTENSION",
    "HNSW",
    "METHODS",
    "VectorIndex",
    "VectorType",
    "metric_of",
    "said_vectors",
    "vector_index",
]

EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector"
"""What PostgreSQL has vectors by; nothing is done, and no right is needed, if it is there."""
HNSW = "hnsw"
METHODS = (HNSW, "ivfflat")
"""How PostgreSQL makes indexes of vectors."""
_MOST_INDEXED = 2000
"""Dimensions that pgvector makes an index of."""


class VectorType(sa.types.UserDefinedType[Any]):
    """The type of PostgreSQL."""

    cache_ok: bool | None = True

    def __init__(self, dimensions: int | None = None) -> None:
        self.dimensions = dimensions

    def get_col_spec(self, **_: object) -> str:
        """Return what it is called."""
        return "vector" if self.dimensions is None else f"vector({self.dimensions})"


_OPERATORS: Mapping[object, str] = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}


def _postgresql(options: tuple[object, ...], one: Any, other: Any) -> Any:
    return one.op(_OPERATORS[options[0]], return_type=sa.Double())(other)


def _sqlite(options: tuple[object, ...], one: Any, other: Any) -> Any:
    made: Any = getattr(sa.func, f"ox_{options[0]}")
    return made(one, other)


def _mysql(_options: tuple[object, ...], _one: Any, _other: Any) -> Any:
    raise QueryError(
        "Distances of vectors are not computed in MariaDB, which has them from version 11.7 on, nor in MySQL: "
        "there vectors are kept and read. Search in PostgreSQL or SQLite, or compare the rows that a query has "
        "found in Python: vector.distance(other)."
    )


DISTANCES: Mapping[str, Mapping[Any, Any]] = {
    "distance": {"postgresql": _postgresql, "sqlite": _sqlite, "mysql": _mysql}
}


# Indexes. A migration says one as PostgreSQL does, `embedding vector_cosine_ops`; others have none.

_METRICS: Mapping[str, VectorMetric] = dict(
    zip(("vector_cosine_ops", "vector_l2_ops", "vector_ip_ops"), METRICS, strict=True)
)
_CLASSES: Mapping[VectorMetric, str] = {metric: name for name, metric in _METRICS.items()}
_SAID = re.compile(rf"""(?P<name>\w+|"(?:[^"]|"")+")\s+(?P<ops>{"|".join(_METRICS)})""")


class VectorIndex(NamedTuple):
    """An index of the vectors in a column."""

    column: str
    operators: str
    """PostgreSQL's name of the metric."""
    using: str


def metric_of(operators: str) -> VectorMetric | None:
    """Return the metric of a class of operators of PostgreSQL; ``None`` if it is another one."""
    return _METRICS.get(operators)


def said_vectors(sql: str) -> tuple[str, str] | None:
    """Return the column and the operators of an index as a migration says it; ``None`` if it is no such one."""
    found = _SAID.fullmatch(sql)
    return None if found is None else (found["name"].strip('"').replace('""', '"'), found["ops"])


def vector_index(table: Table, index: Index) -> VectorIndex | None:
    """Return what an index of vectors is of; ``None`` where it is of something else.

    Raises:
        ModelError: there is no such index.
    """
    parts = [_part(table, each) for each in index.on]
    found = next((each for each in parts if each is not None), None)
    if found is None:
        return None
    problem = None
    if len(parts) > 1 or index.unique:
        problem = "is of one column, and not unique"
    elif index.using not in (None, *METHODS):
        problem = f"is made using hnsw or ivfflat, not {index.using}"
    elif found.dimensions > _MOST_INDEXED:
        problem = (
            f"is of {_MOST_INDEXED:,} dimensions at most: search without one, or make them fewer"
        )
    if problem is not None:
        raise ModelError(f"{table!r}: the index {index.name} of vectors {problem}.")
    return VectorIndex(found.column, found.operators, index.using or HNSW)


class _Part(NamedTuple):
    column: str
    operators: str
    dimensions: int


def _part(table: Table, on: Any) -> _Part | None:
    if isinstance(on, SQL):
        said = said_vectors(on)
        if said is None:
            return None
        column = next((each for each in table.columns if each.column_name == said[0]), None)
        return _Part(*said, 0 if column is None else column.dimensions)
    made = table.by_name.get(on) if isinstance(on, str) else on
    if made is not None and not isinstance(made, Expr) and callable(made):
        made = made(table.model)
    if not isinstance(made, Column) or made.kind is not VECTOR:
        return None
    operators = _CLASSES[made.metric]
    return _Part(made.column_name, operators, made.dimensions)
