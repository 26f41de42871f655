"""A SELECT as data: what is asked for, from which tables, under which conditions, in which order.

Its ``key`` is everything that decides its SQL, its ``values`` are bound. Both follow one order, which is
the one in which ``compiler.py`` walks it: tables, columns, conditions, groups, orders, limits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Condition, Expr, Order, Shape
from oxidite.db.tables.columns import TableKey
from oxidite.db.tables.table import Table
from oxidite.db.values.kinds import JSON, Kind

__all__ = [
    "Deleted",
    "DerivedColumn",
    "DerivedTable",
    "Join",
    "Lock",
    "Output",
    "Part",
    "RowOf",
    "SelectStatement",
    "SetOperator",
    "outputs",
]

Deleted: TypeAlias = Literal["without", "with", "only"]
"""Which rows are seen of a table whose rows only seem to be deleted."""
SetOperator: TypeAlias = Literal["union", "union_all", "intersect", "except"]


class Lock(Struct, frozen=True):
    """Rows are locked until the transaction ends; ``share`` lets others read them.

    ``of`` are the tables whose rows are locked, all of the query if there are none.
    """

    share: bool = False
    nowait: bool = False
    skip_locked: bool = False
    of: tuple[TableKey, ...] = ()


class Join(Struct, frozen=True, eq=False):
    """Another table, and which of its rows belong to a row.

    ``outer`` keeps the rows that have none, ``full`` also those of the other table that belong to none.
    """

    table: Table | DerivedTable
    key: TableKey
    on: Condition
    outer: bool = False
    full: bool = False
    deleted: Deleted = "without"


class Part(Struct, frozen=True, eq=False):
    """What is joined to the rows of another SELECT, and how."""

    operator: SetOperator
    statement: SelectStatement


class DerivedTable(Struct, frozen=True, eq=False, kw_only=True):
    """A SELECT that stands as a table: in parentheses, or named before (``cte``).

    ``step`` makes it a recursive one. Within its step it stands for the rows found last: there it has no
    statement. ``of`` makes it another name of a table that is read in the same query already.
    """

    key: TableKey
    columns: tuple[AnyExpr, ...]
    """What its columns were in the SELECT."""
    statement: SelectStatement | None
    cte: bool = False
    step: SelectStatement | None = None
    distinct: bool = False
    """Whether a step leaves out what was found before."""
    of: DerivedTable | None = None
    past: bool = False
    """Whether it is a table as it was, and takes the place of that with its own name and columns."""

    def shape(self) -> Hashable:
        """Return what decides its SQL."""
        return (
            self.key.label,
            self.cte,
            self.statement and self.statement.key(),
            self.step and self.step.key(),
            self.distinct,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = []
        for each in (self.statement, self.step):
            if each is not None:
                values += each.values()
        return values


class SelectStatement(Struct, frozen=True, eq=False, kw_only=True):
    """A SELECT. Without ``columns`` it asks for those of the table.

    ``derived`` takes the place of the table. With ``compound`` the order and the limits are those of all
    the parts together.
    """

    table: Table
    source: TableKey
    derived: DerivedTable | None = None
    columns: tuple[AnyExpr, ...] | None = None
    joins: tuple[Join, ...] = ()
    where: tuple[Condition, ...] = ()
    group: tuple[AnyExpr, ...] = ()
    having: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    distinct: bool = False
    distinct_on: tuple[AnyExpr, ...] = ()
    compound: tuple[Part, ...] = ()
    deleted: Deleted = "without"
    lock: Lock | None = None
    pair: tuple[Table, TableKey] | None = None
    """Another table of ``joins`` of which each row has an object too: it is ``(object, object)``."""
    extra: tuple[AnyExpr, ...] = ()
    """What each row has beside its objects: it is ``(object, *extra)``."""
    per: tuple[AnyExpr, ...] = ()
    """``limit`` and ``offset`` hold for each group of rows in which these are equal."""
    loads: tuple[Any, ...] = ()
    """What is loaded for the rows afterwards (``peers.Load``)."""
    lazy: Any = None
    """What becomes of relations that are not loaded (``peers.Lazy``)."""

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        # PERF: built for every query that is run; benchmark `db build`.
        columns = self.columns
        return (
            "select",
            self.source if self.derived is None else None,
            self._joins_key() if self.joins or self.derived is not None else (),
            None if columns is None else tuple([each.shape for each in columns]),
            tuple([each.shape for each in self.where]),
            tuple([each.shape for each in self.group]) if self.group else (),
            tuple([each.shape for each in self.having]) if self.having else (),
            tuple([each.shape for each in self.order]) if self.order else (),
            self.limit is None,
            self.offset is None,
            tuple([each.shape for each in self.distinct_on]) if self.distinct_on else self.distinct,
            tuple([(each.operator, each.statement.key()) for each in self.compound])
            if self.compound
            else (),
            self.deleted,
            self.lock,
            None if self.pair is None else self.pair[1],
            tuple([each.shape for each in self.extra]) if self.extra else (),
            tuple([each.shape for each in self.per]) if self.per else (),
        )

    def _joins_key(self) -> Hashable:
        before: list[DerivedTable] = []
        return (
            None if self.derived is None else _derived_key(self.derived, before),
            tuple(
                [
                    (
                        _derived_key(each.table, before)
                        if isinstance(each.table, DerivedTable)
                        else each.key,
                        each.on.shape,
                        each.outer,
                        each.full,
                        each.deleted,
                    )
                    for each in self.joins
                ]
            ),
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = []
        if self.joins or self.derived is not None:
            self._add_joined(values)
        exprs = (
            *(self.columns or ()),
            *self.extra,
            *self.where,
            *self.group,
            *self.having,
            *self.distinct_on,
        )
        for expr in exprs:
            values += expr.values
        for part in self.compound:
            values += part.statement.values()
        for order in self.order:
            values += order.values
        if self.limit is not None:
            values.append(self.limit)
        if self.offset is not None:
            values.append(self.offset)
        return values

    def _add_joined(self, values: list[object]) -> None:
        before: list[DerivedTable] = []
        if self.derived is not None:
            values += _derived_values(self.derived, before)
        for join in self.joins:
            if isinstance(join.table, DerivedTable):
                values += _derived_values(join.table, before)
            values += join.on.values


def seen_before(table: DerivedTable, before: list[DerivedTable]) -> int | None:
    """Return where a named SELECT was read before in the same query, else remember it."""
    root = table.of or table
    for place, each in enumerate(before):
        if each is root:
            return place
    if root.cte:
        before.append(root)
    return None


def _derived_key(table: DerivedTable, before: list[DerivedTable]) -> Hashable:
    place = seen_before(table, before)
    if place is not None:
        return ("again", place, table.key.label)
    root = table.of or table
    return (table.key.label, root.shape())


def _derived_values(table: DerivedTable, before: list[DerivedTable]) -> list[object]:
    return [] if seen_before(table, before) is not None else (table.of or table).values()


# What only a SELECT has.


class RowOf(Expr[Any, Any]):
    """The whole row of one of its tables, which becomes an object; ``None`` where a join found none.

    In a query over a query, ``source`` is that one, and ``names`` are the columns of the row in it.
    """

    __slots__ = ("names", "source", "table")

    def __init__(
        self, table: Table, source: TableKey | None = None, names: tuple[str, ...] | None = None
    ) -> None:
        self.table: Table = table
        self.source: TableKey = source or table.key
        self.names: tuple[str, ...] = names or tuple([each.column_name for each in table.columns])
        self.kind: Kind = JSON
        self.shape: Shape = ("row", table.key, source and source.label, names)
        self.values: tuple[object, ...] = ()


class Output(Expr[Any, Any]):
    """One of its own columns, by place: what is bound in that is not bound again."""

    __slots__ = ("expr", "place")

    def __init__(self, expr: AnyExpr, place: int) -> None:
        self.expr: AnyExpr = expr
        self.place: int = place
        self.kind: Kind = expr.kind
        self.shape: Shape = ("output", place)
        self.values: tuple[object, ...] = ()


class DerivedColumn(Expr[Any, Any]):
    """A column of a SELECT that stands as a table."""

    __slots__ = ("column_name", "table")

    def __init__(self, table: TableKey, column_name: str, of: AnyExpr) -> None:
        self.table: TableKey = table
        self.column_name: str = column_name
        self.kind: Kind = of.kind
        self.shape: Shape = ("of", table.label, column_name)
        self.values: tuple[object, ...] = ()

    def __repr__(self) -> str:
        return f"<column {self.table.label}.{self.column_name}>"


def outputs(statement: SelectStatement) -> list[tuple[str, AnyExpr]]:
    """Return the columns that a SELECT has in SQL, with their names."""
    if statement.columns is None:
        return [(each.column_name, each) for each in statement.table.columns]
    return [(f"c{place}", each) for place, each in enumerate(_flat(statement.columns))]


def _flat(columns: Sequence[AnyExpr]) -> Iterator[AnyExpr]:
    for each in columns:
        if isinstance(each, RowOf):
            yield from each.table.columns
        else:
            yield each


def check_one_column(statement: SelectStatement) -> AnyExpr:
    """Return the only column of a SELECT.

    Raises:
        QueryError: it has several.
    """
    found = outputs(statement)
    if len(found) != 1:
        raise QueryError(
            f"A query that stands for a value has one column, and this one has {len(found)}: "
            "use .select(...) with one."
        )
    return found[0][1]
