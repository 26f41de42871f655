"""The metric of columns of vectors, which a database has in their indexes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from oxidite.db.inspection.found import FoundIndex, FoundTable
from oxidite.db.inspection.texts import written
from oxidite.db.inspection.types import Said
from oxidite.db.sql.vectors import METHODS, metric_of, said_vectors
from oxidite.db.tables.table import SQL
from oxidite.db.values.vectors import VectorMetric

__all__ = ["with_metrics"]


def with_metrics(table: FoundTable, said: Mapping[str, Said]) -> FoundTable:
    """Return a table whose indexes of vectors are on columns; the columns are told their metric.

    Where a column has indexes of several metrics, the first one is that of the column.
    """
    known: dict[str, VectorMetric] = {}
    indexes = [_index(each, said, known) for each in table.indexes]
    for name, metric in known.items():
        if metric != "cosine":
            said[name].rules["metric"] = written(metric)
    return replace(table, indexes=tuple(indexes))


def _index(
    index: FoundIndex, said: Mapping[str, Said], known: dict[str, VectorMetric]
) -> FoundIndex:
    if len(index.on) != 1 or index.using not in METHODS:
        return index
    on = index.on[0]
    # What is usual for a method is not read.
    name, operators = (said_vectors(on) if isinstance(on, SQL) else None) or (on, "vector_l2_ops")
    metric = metric_of(operators)
    if name not in said or said[name].type != "Vector" or metric is None:
        return index
    return replace(index, on=(name,)) if known.setdefault(name, metric) == metric else index
