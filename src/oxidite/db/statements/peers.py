"""Rows that came out of one query know each other, weakly, so that what one needs is loaded for all."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from itertools import repeat
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from weakref import ReferenceType, ref

from oxidite.db.expressions.expressions import Expr
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.state import State, put_all

__all__ = [
    "Counted",
    "Lazy",
    "Load",
    "Peers",
    "follow",
    "follow_if_asked",
    "forget_peers",
    "peers_of",
]

M = TypeVar("M")

Lazy: TypeAlias = Literal["peers", "single", "raise"]
"""What happens when a relation is awaited that is not loaded: it is loaded for all the rows of the
same query, for the one object alone, or not at all and that is an error."""


class Load(Generic[M]):
    """Something that is loaded for the rows of a query: a relation of ``M``."""

    __slots__ = ()

    @abstractmethod
    async def load(self, rows: Sequence[M], lazy: Lazy | None) -> None:
        """Load it into all of ``rows``."""


class Counted(Load[M]):
    """A relation of ``M`` whose rows can be counted."""

    __slots__ = ()

    @abstractmethod
    def count(self) -> Expr[int, int]:
        """The number of rows, as an expression."""


class Peers:
    """The objects of one query. It keeps none of them alive."""

    __slots__ = ("_refs", "lazy", "pending")

    def __init__(self, rows: Sequence[Any], lazy: Lazy | None) -> None:
        self._refs: list[ReferenceType[Any]] = list(map(ref, rows))
        self.lazy: Lazy | None = lazy
        """What the query said; ``None`` is what the database says."""
        self.pending: dict[Hashable, asyncio.Event] = {}
        """What is being loaded just now; set when that has ended, well or not."""

    def alive(self) -> list[Any]:
        """Return the objects that are still there."""
        return [one for each in self._refs if (one := each()) is not None]


_keep = State.__dict__["_peers"].__set__


def peers_of(one: object) -> Peers | None:
    """Return the objects of the query that ``one`` came from, itself among them."""
    found: Peers | None = getattr(one, "_peers", None)
    return found


def forget_peers(one: object) -> None:
    """Take an object for one that came alone."""
    _keep(one, None)


async def follow_if_asked(statement: SelectStatement, rows: list[Any]) -> None:
    """Do so if rows are objects, and there is anything that one may lead to."""
    if statement.columns is None and (statement.loads or statement.table.relations):
        await follow(statement, rows)


async def follow(statement: SelectStatement, rows: list[Any]) -> None:
    """Introduce the objects of a query to each other, and load what it said is to be loaded."""
    if statement.pair is not None or statement.extra:
        rows = [row[0] for row in rows]
    lazy: Lazy | None = statement.lazy
    if statement.table.relations and (len(rows) > 1 or lazy is not None):
        # PERF: a weak reference and a slot for each row, 0.1 us.
        put_all(rows, "_peers", repeat(Peers(rows, lazy)))
    for load in statement.loads:
        await load.load(rows, lazy)
