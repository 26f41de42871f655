"""How far the vectors of rows are from another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Call, Expr, Order, Value
from oxidite.db.values.kinds import FLOAT, VECTOR
from oxidite.db.values.vectors import Vector, VectorMetric, vector_problem
from oxidite.errors import FieldError, ValidationError

__all__ = ["Distance", "distance"]

R = TypeVar("R")


class Distance(Call[float, R]):
    """A distance of two vectors. Ordered by it, the nearest come first, and rows without a vector last."""

    __slots__ = ()

    def asc(self, *, nulls_first: bool | None = None) -> Order:
        """Return the order in which the nearest come first."""
        return super().asc(nulls_first=bool(nulls_first))

    def desc(self, *, nulls_first: bool | None = None) -> Order:
        """Return the order in which the farthest come first."""
        return super().desc(nulls_first=bool(nulls_first))


def distance(
    column: Expr[Any, Any],
    to: Iterable[float] | Expr[Vector, Any],
    *,
    name: str,
    dimensions: int,
    metric: VectorMetric,
) -> Distance[Any]:
    """Return the distance of a column, called ``name``, from a vector or another column.

    Raises:
        QueryError: the other one is no column of vectors.
        ValidationError: the vector does not fit; it may have come from a client.
    """
    if isinstance(to, Expr):
        if to.kind is not VECTOR:
            raise QueryError(f"The distance of {column!r} from {to!r}: that is no vector.")
        return Distance("distance", (column, to), FLOAT, (metric,))
    try:
        vector = Vector(to)
    except (TypeError, ValueError) as exc:
        raise QueryError(f"The distance of {column!r} from {to!r:.100}: {exc}") from None
    problem = vector_problem(vector, dimensions, metric)
    if problem is not None:
        raise ValidationError([FieldError("body", problem, pointer=f"/{name}", code="type")])
    return Distance("distance", (column, Value(vector, VECTOR)), FLOAT, (metric,))
