"""What statements cost: of a database since it was opened, and of a request or any other piece of work."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar

from msgspec import Struct

from oxidite.clock import perf
from oxidite.db.connections.pooled import PoolStats
from oxidite.instrument import event, is_listening, span

__all__ = ["DatabaseStats", "QueryTime", "Watch", "query_time", "watched"]

R = TypeVar("R")
V = TypeVar("V")
Call: TypeAlias = Callable[[str, V], Awaitable[R]]

_logger = logging.getLogger("oxidite.db")


class DatabaseStats(Struct, frozen=True, kw_only=True):
    """How a database is, and what it did since it was opened. Times are in seconds."""

    statements: int
    """How many were run, those of failed ones included."""
    seconds: float
    """How long they took, without the wait for a connection."""
    slow: int
    """How many took longer than ``slow=`` says."""
    plans: int
    """For how many shapes of statements SQL is kept."""
    pools: dict[str, PoolStats]
    """Its pools, by what they are for."""


class QueryTime:
    """What the statements of a piece of work cost so far, in whichever database."""

    __slots__ = ("comment", "outer", "seconds", "statements")

    def __init__(self, outer: QueryTime | None, comment: str = "") -> None:
        self.statements: int = 0
        """How many there were."""
        self.seconds: float = 0.0
        """How long they took, without the wait for a connection."""
        self.comment: str = comment
        self.outer: QueryTime | None = outer


_current: ContextVar[QueryTime | None] = ContextVar("oxidite.db.query_time", default=None)


@contextlib.contextmanager
def query_time() -> Iterator[QueryTime]:
    """Add up what the statements cost that run inside the block, in tasks started there, too."""
    before = _current.get()
    made = QueryTime(before, before.comment if before else "")
    _current.set(made)
    try:
        yield made
    finally:
        _current.set(before)


def watched(comment: str) -> QueryTime:
    """Add up what statements cost from here on, and have each end with ``comment``.

    It is left as it is: what streams after a response belongs to it, too.
    """
    made = QueryTime(_current.get(), comment)
    _current.set(made)
    return made


class Watch:
    """Runs the statements of one database and counts what they cost."""

    def __init__(self, slow: float, database: str) -> None:
        self._limit = slow
        self._database = database
        self.statements: int = 0
        self.slow: int = 0
        self.seconds: float = 0.0

    def reset(self) -> None:
        """Begin to count anew."""
        self.statements = 0
        self.slow = 0
        self.seconds = 0.0

    async def run(self, call: Call[V, R], sql: str, values: V) -> R:
        """Run one statement; one that is run for many rows in one go is one."""
        # PERF: around each statement there is; benchmark `db get`.
        query = _current.get()
        if query is not None and query.comment:
            sql += query.comment
        began = perf()
        try:
            if not is_listening():
                return await call(sql, values)
            with span("db.query", statement=sql, database=self._database):
                return await call(sql, values)
        finally:
            self._took(query, sql, perf() - began)

    async def stream(
        self, read: Callable[[str], AsyncIterator[R]], sql: str
    ) -> AsyncGenerator[R, None]:
        """Read one statement part by part; what it costs is the time in which parts are waited for.

        Its span is around the first part, with which it is run.
        """
        query = _current.get()
        if query is not None and query.comment:
            sql += query.comment
        parts, seconds = read(sql), 0.0
        inside: AbstractContextManager[object] = span(
            "db.query", statement=sql, database=self._database
        )
        try:
            while True:
                began = perf()
                try:
                    with inside:
                        part = await anext(parts, None)
                finally:
                    seconds += perf() - began
                if part is None:
                    return
                yield part
                inside = contextlib.nullcontext()
        finally:
            self._took(query, sql, seconds)
            # One that is only let go closes its cursor some time later.
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()

    def _took(self, query: QueryTime | None, sql: str, seconds: float) -> None:
        self.statements += 1
        self.seconds += seconds
        while query is not None:
            query.statements += 1
            query.seconds += seconds
            query = query.outer
        if 0 < self._limit <= seconds:
            self.slow += 1
            # The values are not shown: they may be anything.
            _logger.warning("a statement took %.3f s: %s", seconds, sql)
            event("db.query.slow", statement=sql, database=self._database, seconds=seconds)
