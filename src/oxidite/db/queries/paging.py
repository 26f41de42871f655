"""How many rows a query has, and some of them at a time."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from oxidite.db.database import database_of
from oxidite.db.expressions.expressions import Call
from oxidite.db.queries.keyset import Keyset, whole_order
from oxidite.db.queries.pagination import CursorPage, Page
from oxidite.db.statements.selecting import changed, counting, is_plain
from oxidite.db.statements.selects import SelectStatement
from oxidite.db.values.kinds import INTEGER

__all__ = ["QueryPages"]

T = TypeVar("T")


class QueryPages(Generic[T]):
    """The part of ``Select`` that counts rows and reads pages of them."""

    __slots__ = ()

    statement: SelectStatement

    async def count(self) -> int:
        """Return the number of rows, as many as ``all`` would return."""
        statement = self.statement
        if is_plain(statement):
            counted = replace(statement, columns=(_ROWS,), extra=(), order=())
        else:
            counted = counting(replace(statement, extra=()), _ROWS)
        rows: list[tuple[int]] = await database_of(statement.table).fetch(counted)
        return rows[0][0]

    # Pages.

    async def keyset(
        self,
        *,
        after: str | None = None,
        limit: int = 20,
        max_limit: int = 100,
        parameter: str = "after",
    ) -> CursorPage[T]:
        """Return the first ``limit`` rows, or those at the cursor ``after``, and the way to the others.

        ``after`` is the ``next`` or the ``previous`` of another page of the same query. Rows are in the
        query's order, then in that of the primary key. A limit beyond ``max_limit`` is cut to it, one
        below 1 is 1. ``parameter`` is the query parameter that ``Link`` names the page with.

        Raises:
            InvalidCursorError: ``after`` is no cursor of this query (400).
            QueryError: the query cannot be paged so: it has groups, or an order that is no column's.
        """
        database = database_of(self.statement.table)
        keyset = Keyset(
            self.statement,
            database.dialect,
            database.signers,
            after=after,
            limit=_between(limit, 1, max_limit),
            parameter=parameter,
        )
        return keyset.page(await self._fetch(**keyset.changes()))

    async def page(
        self,
        *,
        number: int = 1,
        size: int = 20,
        total: bool = True,
        max_size: int = 100,
        parameter: str = "page",
    ) -> Page[T]:
        """Return page ``number`` of those with ``size`` rows each, the first one being 1.

        With ``total`` all the rows are counted, with a query of its own. A number below 1 is 1; a size
        is at least 1 and at most ``max_size``. ``parameter`` is the query parameter that ``Link`` names
        the page with.

        Pages far behind cost the database every row before them, and rows that come in between move
        the others: where that matters, use ``keyset``.
        """
        size = _between(size, 1, max_size)
        number = _between(number, 1, _LAST_ROW // size)
        changes: dict[str, Any] = {"limit": size + 1, "offset": (number - 1) * size}
        if _has_keys(self.statement):
            changes["order"] = tuple(whole_order(self.statement))
        rows = await self._fetch(**changes)
        count = await self.count() if total else None
        page = Page(
            items=rows[:size],
            number=number,
            size=size,
            total=count,
            pages=None if count is None else -(-count // size),
            next=number + 1 if len(rows) > size else None,
            previous=number - 1 if number > 1 else None,
        )
        page.set_parameter(parameter)
        return page

    async def exists(self) -> bool:
        """Return whether there is a row."""
        statement = self.statement
        if is_plain(statement):
            statement = replace(statement, columns=(_ONE,), extra=(), order=(), limit=1)
        else:
            statement = replace(counting(replace(statement, extra=()), _ONE), limit=1)
        return bool(await database_of(statement.table).fetch(statement))

    async def _fetch(self, **changes: Any) -> list[T]:
        statement = changed(self.statement, **changes)
        return await database_of(statement.table).fetch(statement)


_LAST_ROW = 2**62
"""An offset beyond it does not fit into what databases count rows with."""
_ROWS: Call[int, int] = Call("rows", (), INTEGER)
_ONE: Call[int, int] = Call("one", (), INTEGER)


def _between(number: int, least: int, most: int) -> int:
    return max(least, min(number, most))


def _has_keys(statement: SelectStatement) -> bool:
    """Tell whether each row of a query is a row of the table, which its primary key tells apart."""
    return not (
        statement.group
        or statement.distinct
        or statement.columns
        or statement.compound
        or (statement.derived and not statement.derived.past)
    )
