"""The steps of a query that leave open what a row becomes: which rows, in which order, how they are locked."""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar

from oxidite.db.database import HasTable
from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition, Expr, Order
from oxidite.db.statements.aliases import table_of
from oxidite.db.statements.peers import Lazy, Load
from oxidite.db.statements.selecting import changed, checked_number
from oxidite.db.statements.selects import Lock, SelectStatement

__all__ = ["QuerySteps", "no_condition"]

T = TypeVar("T")


class QuerySteps(Generic[T]):
    """The part of ``Select`` whose methods return another query of the same kind of rows."""

    __slots__ = ("statement",)

    def __init__(self, statement: SelectStatement) -> None:
        self.statement: SelectStatement = statement

    def where(self, *conditions: Condition) -> Self:
        """Keep the rows for which all the conditions hold, those from before included."""
        for each in conditions:
            if not isinstance(each, Condition):
                raise QueryError(no_condition(each, "where()"))
        return self._with(where=self.statement.where + conditions)

    def order_by(self, *orders: Order | Expr[Any, Any]) -> Self:
        """Order the rows, after the orders from before; an expression alone is ascending.

        Without any, the orders from before are forgotten.
        """
        made = tuple(each if isinstance(each, Order) else each.asc() for each in orders)
        return self._with(order=self.statement.order + made if made else ())

    def limit(self, limit: int | None) -> Self:
        """Take so many rows at most, 0 or more; ``None`` takes all."""
        return self._with(limit=None if limit is None else checked_number(limit, "limit"))

    def offset(self, offset: int) -> Self:
        """Leave out so many rows first, 0 or more."""
        return self._with(offset=checked_number(offset, "offset"))

    def distinct(self, *on: Expr[Any, Any]) -> Self:
        """Take equal rows once; with ``on`` the first of those for which the expressions are equal.

        Which one is first the order says, so it begins with ``on``. Only PostgreSQL has that.
        """
        return self._with(distinct=not on, distinct_on=on)

    def with_deleted(self) -> Self:
        """See the rows that seem to be deleted, too."""
        return self._with(deleted="with")

    def only_deleted(self) -> Self:
        """See only the rows that seem to be deleted."""
        return self._with(deleted="only")

    def for_update(
        self, *, nowait: bool = False, skip_locked: bool = False, of: HasTable | None = None
    ) -> Self:
        """Lock the rows until the transaction ends; other transactions wait, or skip them.

        With ``of`` the rows of that model alone are locked, not those of what is joined.
        """
        return self._lock(share=False, nowait=nowait, skip_locked=skip_locked, of=of)

    def for_share(
        self, *, nowait: bool = False, skip_locked: bool = False, of: HasTable | None = None
    ) -> Self:
        """Keep others from changing the rows until the transaction ends."""
        return self._lock(share=True, nowait=nowait, skip_locked=skip_locked, of=of)

    def _lock(self, *, share: bool, nowait: bool, skip_locked: bool, of: HasTable | None) -> Self:
        if nowait and skip_locked:
            raise QueryError("nowait fails at a locked row, skip_locked leaves it out: take one.")
        tables = () if of is None else (table_of(of).key,)
        return self._with(lock=Lock(share, nowait, skip_locked, tables))

    def with_(self, *loads: Load[T]) -> Self:
        """Load relations of the rows with them: one statement for each, however many rows there are."""
        for each in loads:
            if not isinstance(each, Load):
                raise QueryError(
                    f"with_() takes relations, such as User.posts, and {each!r} is none."
                )
        return self._with(loads=self.statement.loads + loads)

    def lazy(self, lazy: Lazy) -> Self:
        """Say what happens when a relation of the rows is awaited that is not loaded."""
        return self._with(lazy=lazy)

    def strict(self) -> Self:
        """Let it be an error to await a relation of the rows that is not loaded."""
        return self._with(lazy="raise")

    def group_by(self, *exprs: Expr[Any, Any]) -> Self:
        """Make one row of those for which the expressions are equal."""
        return self._with(group=self.statement.group + exprs)

    def having(self, *conditions: Condition) -> Self:
        """Keep the groups for which the conditions hold."""
        return self._with(having=self.statement.having + conditions)

    def _with(self, **changes: Any) -> Self:
        return type(self)(changed(self.statement, **changes))


def no_condition(value: object, where: str) -> str:
    return (
        f"{where} takes conditions, and {value!r} is none. A condition is made of the columns of the "
        "class: User.where(User.age > 3), not of those of an object."
    )
