"""Transactions: one connection, kept until all is done or undone."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from oxidite.db.base import Connection
from oxidite.db.errors import OverlapError, TransactionError

__all__ = ["Transaction", "current_transaction"]

_current: ContextVar[Transaction | None] = ContextVar("oxidite.db.transaction", default=None)


class Transaction:
    """What happens in it happens as a whole, or not at all."""

    def __init__(self, owner: object, connection: Connection, outer: Transaction | None) -> None:
        self.owner = owner
        self.connection = connection
        self.outer = outer
        self.has_ended = False
        self._busy: str | None = None
        self._after: list[Callable[[], Awaitable[object] | object]] = []

    def on_commit(self, function: Callable[[], Awaitable[object] | object]) -> None:
        """Call ``function`` once everything is committed, the transactions around this included."""
        self._after.append(function)

    @contextlib.asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """Use the connection for one statement.

        Raises:
            OverlapError: another statement of this transaction runs just now.
        """
        if self._busy is not None:
            raise OverlapError(
                "Two statements run at once in one transaction, which has one connection: the other "
                f"one is at {self._busy}. Await them one after the other, or run what belongs together "
                "in a transaction of its own."
            )
        self._busy = _caller()
        try:
            yield self.connection
        finally:
            self._busy = None


def current_transaction(owner: object) -> Transaction | None:
    """Return the transaction that is open here in the database ``owner``."""
    found = _current.get()
    while found is not None and (found.has_ended or found.owner is not owner):
        found = found.outer
    return found


def _caller() -> str:
    """Return the file and line outside of this package that runs a statement."""
    frame = sys._getframe(1)  # noqa: SLF001 - what `inspect` uses, without its cost
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("oxidite.db"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
