"""Relations on the class: what is loaded with a query, and conditions over what belongs to a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

from msgspec.structs import replace

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Call, Condition, Expr, Order, every
from oxidite.db.relations.definition import Definition
from oxidite.db.relations.loading import Wanted, load
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.correlated import Correlated
from oxidite.db.statements.peers import Counted, Lazy, Load
from oxidite.db.statements.selecting import checked_number
from oxidite.db.values.kinds import INTEGER

__all__ = ["Relation", "ToMany", "ToOne"]

M = TypeVar("M")
T = TypeVar("T")


class Relation(Load[M], Generic[M, T]):
    """A relation of the model ``M`` that leads to ``T``: ``User.posts``.

    It does not change: each method returns another one.
    """

    __slots__ = ("wanted",)

    def __init__(self, wanted: Wanted) -> None:
        self.wanted: Wanted = wanted

    @property
    def definition(self) -> Definition:
        """What the class declares."""
        return self.wanted.definition

    def with_(self, *loads: Load[T]) -> Self:
        """Load relations of what it leads to, too."""
        return self._but(loads=self.wanted.loads + loads)

    def where(self, *conditions: Condition) -> Self:
        """Keep the rows for which all the conditions hold."""
        for each in conditions:
            if not isinstance(each, Condition):
                raise QueryError(
                    f"where() takes conditions, and {each!r} is none. A condition is made of the "
                    "columns of a class: User.posts.where(Post.score > 3)."
                )
        return self._but(conditions=self.wanted.conditions + conditions)

    def with_deleted(self) -> Self:
        """See the rows that seem to be deleted, too."""
        return self._but(deleted="with")

    def unscoped(self) -> Self:
        """See all the rows that it leads to, whatever the ``scope`` of a model on the way says."""
        return self._but(unscoped=True)

    async def load(self, rows: Sequence[M], lazy: Lazy | None = None) -> None:
        """Load it into objects, with one statement for all of them; ``.with_`` does so by itself."""
        if rows:
            await load(self.wanted, rows, lazy)

    def _but(self, **changes: Any) -> Self:
        return type(self)(replace(self.wanted, **changes))

    def _rows(self, conditions: tuple[Condition, ...]) -> Correlated:
        wanted = self.wanted
        if wanted.limit is not None or wanted.offset is not None:
            raise QueryError(
                f"A condition over {self.definition.short} cannot be about a part of it: leave out "
                "limit() and offset()."
            )
        hops = wanted.definition.link.hops
        scopes = (
            (UNSCOPED,)
            if wanted.unscoped
            else tuple([each for hop in hops for each in hop.table.scoped()])
        )
        return Correlated(hops, scopes + wanted.conditions + conditions, wanted.deleted)

    def _any(self, conditions: tuple[Condition, ...]) -> Condition:
        return Condition("any_related", (self._rows(conditions),))

    def __repr__(self) -> str:
        return f"<relation {self.definition.short}>"


class ToOne(Relation[M, T]):
    """A relation that leads to one row: ``Post.author``."""

    __slots__ = ()

    def has(self, *conditions: Condition) -> Condition:
        """Whether there is such a row, for which all the conditions hold."""
        return self._any(conditions)


class ToMany(Relation[M, T], Counted[M]):
    """A relation that leads to any number of rows: ``User.posts``."""

    __slots__ = ()

    def order_by(self, *orders: Order | Expr[Any, Any]) -> Self:
        """Order the rows, after the orders from before; an expression alone is ascending."""
        made = tuple(each if isinstance(each, Order) else each.asc() for each in orders)
        return self._but(order=self.wanted.order + made)

    def limit(self, limit: int | None) -> Self:
        """Take so many rows at most for each object, not for all of them together."""
        return self._but(limit=None if limit is None else checked_number(limit, "limit"))

    def offset(self, offset: int) -> Self:
        """Leave out so many rows first, for each object."""
        return self._but(offset=checked_number(offset, "offset"))

    def any(self, *conditions: Condition) -> Condition:
        """Whether there is a row for which all the conditions hold."""
        return self._any(conditions)

    def none(self, *conditions: Condition) -> Condition:
        """Whether there is no row for which all the conditions hold."""
        return ~self._any(conditions)

    def every(self, *conditions: Condition) -> Condition:
        """Whether the conditions hold for all the rows; that they do if there are none."""
        # What is NULL is not true, and so does not hold.
        return ~self._any((Condition("not_true", (every(conditions),)),))

    def count(self) -> Expr[int, int]:
        """The number of rows, as an expression: ``User.posts.count() > 3``."""
        return Call("count_related", (self._rows(()),), INTEGER)
