"""Sub-queries that belong to each row of the query around them: the rows that a relation leads to.

The tables in them are their own: the same table may be around them too, and a column means the nearest
one. So ``Category.children.any(Category.name == "Tea")`` asks for the names of the children.
"""

from __future__ import annotations

from dataclasses import dataclass

from oxidite.db.expressions.expressions import Condition, Expr, Shape
from oxidite.db.statements.selects import Deleted
from oxidite.db.tables.columns import TableKey
from oxidite.db.tables.table import AnyColumn, Table
from oxidite.db.values.kinds import INTEGER, Kind

__all__ = ["Correlated", "Hop"]


@dataclass(frozen=True, slots=True, eq=False)
class Hop:
    """A step from one table to another: which columns there are equal to which columns here."""

    table: Table
    key: TableKey
    """What stands for the table in queries."""
    pairs: tuple[tuple[AnyColumn, AnyColumn], ...]
    """A column of the table before, and the column of this one that is equal to it."""
    mark: AnyColumn | None = None
    """The column that says when a row was deleted, where rows only seem to be."""
    fixed: tuple[tuple[AnyColumn, str], ...] = ()
    """Columns of this table that have one value in all the rows that are meant."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What holds for the rows that are meant, wherever they are reached from."""
        return tuple(column == value for column, value in self.fixed)


class Correlated(Expr[int, int]):
    """The rows at the end of ``hops`` that belong to the row around and fulfil the conditions."""

    __slots__ = ("conditions", "deleted", "hops")

    def __init__(
        self, hops: tuple[Hop, ...], conditions: tuple[Condition, ...], deleted: Deleted
    ) -> None:
        self.hops: tuple[Hop, ...] = hops
        self.conditions: tuple[Condition, ...] = conditions
        self.deleted: Deleted = deleted
        self.kind: Kind = INTEGER
        self.shape: Shape = (
            "correlated",
            hops,
            deleted,
            tuple([each.shape for each in conditions]),
        )
        self.values: tuple[object, ...] = tuple(
            [
                value
                for each in (*[fixed for hop in hops for fixed in hop.conditions], *conditions)
                for value in each.values
            ]
        )
