"""Queries: built step by step, each step a new one, run when they are asked for rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload

from msgspec.structs import replace

from oxidite.db.database import HasTable, database_of
from oxidite.db.errors import ManyRowsError, QueryError, RowNotFoundError
from oxidite.db.expressions.expressions import Condition, Expr, Selectable, Subselect, every
from oxidite.db.queries.actions import QueryActions
from oxidite.db.queries.paging import QueryPages
from oxidite.db.queries.steps import QuerySteps, no_condition
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.aliases import table_of
from oxidite.db.statements.peers import Counted
from oxidite.db.statements.selecting import (
    changed,
    compound,
    derived,
    derived_columns,
    renamed,
    rows_of,
    stepped,
)
from oxidite.db.statements.selects import (
    Deleted,
    DerivedTable,
    Join,
    Output,
    RowOf,
    SetOperator,
)
from oxidite.db.statements.subqueries import scalar
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table
from oxidite.db.values.vectors import Vector

__all__ = ["Derived", "Select", "Selected"]

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741 - the operand: what it may be compared with
R = TypeVar("R")
U = TypeVar("U")
P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
Selected: TypeAlias = type[Any] | Selectable[Any]


class Select(QuerySteps[T], Subselect[T], QueryActions[T], QueryPages[T]):
    """The rows for which something holds, in an order; ``T`` is what a row becomes.

    It does not change: each method returns another one. Nothing is asked of the database before
    ``all``, ``first`` or another of the methods that are awaited.
    """

    __slots__ = ()

    def apply(
        self, scope: Callable[Concatenate[Select[T], P], U], *args: P.args, **kwargs: P.kwargs
    ) -> U:
        """Return what a function makes of it: ``query.apply(published, since=monday)``."""
        return scope(self, *args, **kwargs)

    # Other tables.

    def join(
        self,
        other: HasTable | Derived[Any],
        *,
        on: Condition,
        with_deleted: bool = False,
        unscoped: bool = False,
    ) -> Select[T]:
        """Join the rows of another model, an alias or a named query for which ``on`` holds.

        Rows that seem to be deleted are not joined, unless ``with_deleted``, nor those that the model's
        ``scope`` leaves out, unless ``unscoped``. What is read is still what was read before: say
        ``select(Post, User)`` for both.
        """
        return self._join(other, on, deleted=_seen(with_deleted), unscoped=unscoped)

    def left_join(
        self,
        other: HasTable | Derived[Any],
        *,
        on: Condition,
        with_deleted: bool = False,
        unscoped: bool = False,
    ) -> Select[T]:
        """Join as ``join`` does, and keep the rows for which there is none, with ``None`` there."""
        return self._join(other, on, outer=True, deleted=_seen(with_deleted), unscoped=unscoped)

    def full_join(
        self,
        other: HasTable | Derived[Any],
        *,
        on: Condition,
        with_deleted: bool = False,
        unscoped: bool = False,
    ) -> Select[T]:
        """Join and keep the rows of both sides for which there is none on the other."""
        return self._join(other, on, full=True, deleted=_seen(with_deleted), unscoped=unscoped)

    def cross_join(
        self,
        other: HasTable | Derived[Any],
        *,
        with_deleted: bool = False,
        unscoped: bool = False,
    ) -> Select[T]:
        """Join each row with each row of another model."""
        return self._join(other, every(()), deleted=_seen(with_deleted), unscoped=unscoped)

    def _join(
        self,
        other: HasTable | Derived[Any],
        on: Condition,
        *,
        outer: bool = False,
        full: bool = False,
        deleted: Deleted,
        unscoped: bool,
    ) -> Select[T]:
        if not isinstance(on, Condition):
            raise QueryError(no_condition(on, "join(on=...)"))
        table = other.table if isinstance(other, Derived) else table_of(other)
        if isinstance(table, Table) and table.scope is not None:
            on = every([on, *((UNSCOPED,) if unscoped else table.scoped())])
            if full and not unscoped:
                raise QueryError(_no_full_join(table))
        mine = self.statement
        if full and mine.table.scope and not mine.derived and UNSCOPED not in mine.where:
            raise QueryError(_no_full_join(mine.table))
        join = Join(table, table.key, on, outer, full, deleted)
        return self._with(joins=(*self.statement.joins, join))

    # What a row becomes.

    def nearest(
        self, column: Column[Vector, Any], to: Iterable[float], *, limit: int = 10
    ) -> Select[tuple[T, float]]:
        """Take the rows whose vector is nearest to another one, the nearest first.

        Each row becomes ``(row, distance)``, as ``column.distance(to)`` has it. Rows without a vector are left
        out. Where an index is used, on PostgreSQL, nearly all that are wanted are found, and not always all.

        Raises:
            QueryError: it is no column of vectors, or something has said what a row becomes.
            ValidationError: ``to`` has another number of dimensions, is not finite, or is all zeros where the
                metric is cosine.
        """
        distance = column.distance(to)
        if self.statement.extra:
            raise QueryError(
                "A row is something with a count, or with a distance, already. Ask for one of them, and say "
                "with_() of relations before nearest()."
            )
        order = Output(distance, 0).asc(nulls_first=False)
        found = self.where(column.not_null()).limit(limit)
        return Select(changed(found.statement, extra=(distance,), order=(order,)))

    @overload
    def with_count(self, a: Counted[T], /) -> Select[tuple[T, int]]: ...
    @overload
    def with_count(self, a: Counted[T], b: Counted[T], /) -> Select[tuple[T, int, int]]: ...
    @overload
    def with_count(
        self, a: Counted[T], b: Counted[T], c: Counted[T], /
    ) -> Select[tuple[T, int, int, int]]: ...
    def with_count(self, *relations: Counted[T]) -> Select[Any]:
        """Count what belongs to each row: it becomes ``(row, count)``. Say what is loaded before."""
        counts = tuple(each.count() for each in relations)
        return self._with(extra=self.statement.extra + counts)

    @overload
    def select(self, a: type[A] | Selectable[A], /) -> Select[tuple[A]]: ...
    @overload
    def select(
        self, a: type[A] | Selectable[A], b: type[B] | Selectable[B], /
    ) -> Select[tuple[A, B]]: ...
    @overload
    def select(
        self, a: type[A] | Selectable[A], b: type[B] | Selectable[B], c: type[C] | Selectable[C], /
    ) -> Select[tuple[A, B, C]]: ...
    @overload
    def select(
        self,
        a: type[A] | Selectable[A],
        b: type[B] | Selectable[B],
        c: type[C] | Selectable[C],
        d: type[D] | Selectable[D],
        /,
    ) -> Select[tuple[A, B, C, D]]: ...
    @overload
    def select(
        self,
        a: type[A] | Selectable[A],
        b: type[B] | Selectable[B],
        c: type[C] | Selectable[C],
        d: type[D] | Selectable[D],
        e: type[E] | Selectable[E],
        /,
    ) -> Select[tuple[A, B, C, D, E]]: ...
    @overload
    def select(
        self,
        a: type[A] | Selectable[A],
        b: type[B] | Selectable[B],
        c: type[C] | Selectable[C],
        d: type[D] | Selectable[D],
        e: type[E] | Selectable[E],
        f: type[F] | Selectable[F],
        /,
    ) -> Select[tuple[A, B, C, D, E, F]]: ...
    @overload
    def select(
        self,
        a: Selected,
        b: Selected,
        c: Selected,
        d: Selected,
        e: Selected,
        f: Selected,
        g: Selected,
        /,
        *more: Selected,
    ) -> Select[tuple[Any, ...]]: ...
    def select(self, *items: Any) -> Select[Any]:
        """Ask for these instead of the whole row: each row becomes a tuple.

        An item is an expression, or a model of the query, which becomes an object; where an outer join
        found no row it is ``None`` (say so to type checkers with ``optional``).
        """
        if not items:
            raise QueryError("select() without anything to ask for.")
        columns = tuple(each if isinstance(each, Expr) else RowOf(table_of(each)) for each in items)
        return self._with(columns=columns)

    # Queries of queries.

    def as_values(self) -> Expr[Any, Any]:
        """Return the values of its only column, for ``in_``."""
        return scalar(self.statement)

    def scalar(self: Subselect[tuple[A | None]]) -> Expr[A, A | None]:
        """Return the value of its only column and row as an expression; ``None`` without a row.

        It may name columns of the query that it stands in. With more than one row the database refuses
        it, or takes the first.
        """
        return self.as_values()

    def subquery(self, name: str) -> Derived[T]:
        """Return it as a table for another query to read, in parentheses.

        Its columns are named by what they were: ``table[Post.author_id]``, ``table[total]``.
        """
        return Derived(derived(self.statement, name))

    def cte(self, name: str) -> Derived[T]:
        """Return it as a table with a name, written before the query (``WITH``) and run once."""
        return Derived(derived(self.statement, name, cte=True))

    def recursive(
        self, name: str, step: Callable[[Derived[T]], Select[T]], *, distinct: bool = False
    ) -> Derived[T]:
        """Return a named table of these rows, and of those that ``step`` finds from the rows before.

        ``step`` gets the rows found last, as a table to join, and returns a query with the same columns.
        With ``distinct`` rows that were found before are left out: so a circle comes to an end.
        """
        table = derived(self.statement, name, cte=True)
        again = step(Derived(replace(table, statement=None, cte=False)))
        return Derived(stepped(table, again.statement, distinct=distinct))

    def union(self, *others: Select[T]) -> Select[T]:
        """Return the rows of all of them, equal ones once."""
        return self._compound("union", others)

    def union_all(self, *others: Select[T]) -> Select[T]:
        """Return the rows of all of them, as often as they come."""
        return self._compound("union_all", others)

    def intersect(self, *others: Select[T]) -> Select[T]:
        """Return the rows that are in all of them."""
        return self._compound("intersect", others)

    def except_(self, *others: Select[T]) -> Select[T]:
        """Return the rows that are in none of the others."""
        return self._compound("except", others)

    def _compound(self, operator: SetOperator, others: tuple[Select[T], ...]) -> Select[T]:
        return Select(compound(self.statement, operator, [each.statement for each in others]))

    # What asks the database.

    async def all(self) -> list[T]:
        """Return all the rows."""
        return await database_of(self.statement.table).fetch(self.statement)

    async def first(self) -> T | None:
        """Return the first row, ``None`` if there is none."""
        rows = await self._at_most(1).all()
        return rows[0] if rows else None

    async def one(self) -> T:
        """Return the only row.

        Raises:
            RowNotFoundError: there is none.
            ManyRowsError: there are more.
        """
        found = await self.one_or_none()
        if found is None:
            raise RowNotFoundError(f"No row of {self.statement.table.name} is like that.")
        return found

    async def one_or_none(self) -> T | None:
        """Return the only row, ``None`` if there is none.

        Raises:
            ManyRowsError: there are more.
        """
        rows = await self._at_most(2).all()
        if len(rows) > 1:
            raise ManyRowsError(
                f"More than one row of {self.statement.table.name} is like that, and one was asked for."
            )
        return rows[0] if rows else None

    def _at_most(self, number: int) -> Select[T]:
        limit = self.statement.limit
        return self.limit(number if limit is None else min(limit, number))


def _no_full_join(table: Table) -> str:
    return (
        f"A full join keeps the rows of both sides that its condition leaves out, so it has no place for "
        f"the scope of {table.name}: join the rows in it as a table, "
        f'{table.model.__name__}.query().subquery("name"), or say unscoped.'
    )


def _seen(with_deleted: bool) -> Deleted:
    return "with" if with_deleted else "without"


class Derived(Generic[T]):
    """A query as a table, for others to read. Its columns are found by what they were in the query."""

    __slots__ = ("_columns", "table")

    def __init__(self, table: DerivedTable) -> None:
        self.table: DerivedTable = table
        self._columns = derived_columns(table)

    def __getitem__(self, expr: Expr[O, R]) -> Expr[O, R]:
        """Return a column: ``table[Post.author_id]``, or the very object that was selected.

        Raises:
            QueryError: the query does not have it.
        """
        found = self._columns.get(id(expr))
        if found is None and not expr.values:
            found = self._columns.get(expr.shape)
        if found is None:
            raise QueryError(
                f"{expr!r} is no column of {self.table.key.label}. It has what was selected: keep an "
                "expression that has values in a variable, and use that in select() and here."
            )
        return found

    def alias(self, name: str) -> Derived[T]:
        """Return it under another name, for a query that reads it twice."""
        return Derived(renamed(self.table, name))

    def query(self) -> Select[T]:
        """Return its rows."""
        return Select(rows_of(self.table))

    def __repr__(self) -> str:
        return f"<query {self.table.key.label}>"
