"""Queries: built step by step, each step a new one, run when they are asked for rows."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from msgspec.structs import replace

from oxidite.db.actions import QueryActions
from oxidite.db.database import database_of
from oxidite.db.errors import ManyRowsError, QueryError, RowNotFoundError
from oxidite.db.expressions import Call, Condition, Expr, Order
from oxidite.db.kinds import INTEGER
from oxidite.db.statements import Lock, SelectStatement

__all__ = ["Select"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


class Select(QueryActions[T]):
    """The rows for which something holds, in an order; ``T`` is what a row becomes.

    It does not change: each method returns another one. Nothing is asked of the database before
    ``all``, ``first`` or another of the methods that are awaited.
    """

    __slots__ = ("statement",)

    def __init__(self, statement: SelectStatement) -> None:
        self.statement: SelectStatement = statement

    def where(self, *conditions: Condition) -> Select[T]:
        """Keep the rows for which all the conditions hold, those from before included."""
        for each in conditions:
            if not isinstance(each, Condition):
                raise QueryError(_no_condition(each))
        return self._with(where=self.statement.where + conditions)

    def order_by(self, *orders: Order | Expr[Any, Any]) -> Select[T]:
        """Order the rows, after the orders from before; an expression alone is ascending."""
        made = tuple(each if isinstance(each, Order) else each.asc() for each in orders)
        return self._with(order=self.statement.order + made)

    def limit(self, limit: int | None) -> Select[T]:
        """Take so many rows at most."""
        return self._with(limit=limit)

    def offset(self, offset: int) -> Select[T]:
        """Leave out so many rows first."""
        return self._with(offset=offset)

    def distinct(self) -> Select[T]:
        """Take equal rows once."""
        return self._with(distinct=True)

    def with_deleted(self) -> Select[T]:
        """See the rows that seem to be deleted, too."""
        return self._with(deleted="with")

    def only_deleted(self) -> Select[T]:
        """See only the rows that seem to be deleted."""
        return self._with(deleted="only")

    def for_update(self, *, nowait: bool = False, skip_locked: bool = False) -> Select[T]:
        """Lock the rows until the transaction ends; other transactions wait, or skip them."""
        return self._with(lock=Lock(nowait=nowait, skip_locked=skip_locked))

    def for_share(self, *, nowait: bool = False, skip_locked: bool = False) -> Select[T]:
        """Keep others from changing the rows until the transaction ends."""
        return self._with(lock=Lock(share=True, nowait=nowait, skip_locked=skip_locked))

    def group_by(self, *exprs: Expr[Any, Any]) -> Select[T]:
        """Make one row of those for which the expressions are equal."""
        return self._with(group=self.statement.group + exprs)

    def having(self, *conditions: Condition) -> Select[T]:
        """Keep the groups for which the conditions hold."""
        return self._with(having=self.statement.having + conditions)

    @overload
    def select(self, a: Expr[Any, A], /) -> Select[tuple[A]]: ...
    @overload
    def select(self, a: Expr[Any, A], b: Expr[Any, B], /) -> Select[tuple[A, B]]: ...
    @overload
    def select(
        self, a: Expr[Any, A], b: Expr[Any, B], c: Expr[Any, C], /
    ) -> Select[tuple[A, B, C]]: ...
    @overload
    def select(
        self, a: Expr[Any, A], b: Expr[Any, B], c: Expr[Any, C], d: Expr[Any, D], /
    ) -> Select[tuple[A, B, C, D]]: ...
    @overload
    def select(
        self,
        a: Expr[Any, A],
        b: Expr[Any, B],
        c: Expr[Any, C],
        d: Expr[Any, D],
        e: Expr[Any, E],
        /,
    ) -> Select[tuple[A, B, C, D, E]]: ...
    @overload
    def select(
        self,
        a: Expr[Any, A],
        b: Expr[Any, B],
        c: Expr[Any, C],
        d: Expr[Any, D],
        e: Expr[Any, E],
        f: Expr[Any, F],
        /,
    ) -> Select[tuple[A, B, C, D, E, F]]: ...
    @overload
    def select(self, *exprs: Expr[Any, Any]) -> Select[tuple[Any, ...]]: ...
    def select(self, *exprs: Expr[Any, Any]) -> Select[Any]:
        """Ask for these instead of the whole row: each row becomes a tuple."""
        return Select(replace(self.statement, columns=exprs))

    # What asks the database.

    async def all(self) -> list[T]:
        """Return all the rows."""
        return await database_of(self.statement.table).fetch(self.statement)

    async def first(self) -> T | None:
        """Return the first row, ``None`` if there is none."""
        rows = await self.limit(1).all()
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
        rows = await self.limit(2).all()
        if len(rows) > 1:
            raise ManyRowsError(
                f"More than one row of {self.statement.table.name} is like that, and one was asked for."
            )
        return rows[0] if rows else None

    async def count(self) -> int:
        """Return the number of rows."""
        statement = replace(
            self.statement,
            columns=(_ROWS,),
            order=(),
        )
        rows: list[tuple[int]] = await database_of(statement.table).fetch(statement)
        return rows[0][0]

    async def exists(self) -> bool:
        """Return whether there is a row."""
        statement = replace(self.statement, columns=(_ONE,), order=(), limit=1)
        return bool(await database_of(statement.table).fetch(statement))

    def _with(self, **changes: Any) -> Select[T]:
        return Select(replace(self.statement, **changes))


_ROWS: Call[int, int] = Call("rows", (), INTEGER)
_ONE: Call[int, int] = Call("one", (), INTEGER)


def _no_condition(value: object) -> str:
    return (
        f"where() takes conditions, and {value!r} is none. A condition is made of the columns of the "
        "class: User.where(User.age > 3), not of those of an object."
    )
