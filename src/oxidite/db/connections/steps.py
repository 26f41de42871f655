"""Statements of which each may depend on what came before, as a generator that asks.

What runs them is the connection: over a network one after the other, in a thread all in one go. So what is
to be done is written once, and is atomic everywhere.

::

    def taken(name: str) -> Steps[bool]:
        rows = yield from fetched("SELECT 1 FROM names WHERE name = ?", (name,))
        if not rows:
            yield from changed("INSERT INTO names VALUES (?)", (name,))
        return bool(rows)

    await connection.follow(taken("ada"))
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

__all__ = ["Ask", "Steps", "changed", "fetched", "repeated"]

T = TypeVar("T")


class Ask(NamedTuple):
    """A statement; who asks is answered with its rows, or with how many it changed.

    ``apart`` counts for the first one: no transaction is begun then. With ``many`` the values are rows, and
    the statement is run once for each.
    """

    sql: str
    values: Sequence[Any]
    has_rows: bool = True
    apart: bool = False
    many: bool = False


Steps: TypeAlias = Generator[Ask, Any, T]
"""What asks, and returns what came of it."""


def fetched(
    sql: str, values: Sequence[object], *, apart: bool = False
) -> Generator[Ask, Sequence[Any], Sequence[Any]]:
    """Ask for rows."""
    return (yield Ask(sql, values, has_rows=True, apart=apart))


def changed(sql: str, values: Sequence[object], *, apart: bool = False) -> Generator[Ask, int, int]:
    """Ask for a change, and return of how many rows it was."""
    return (yield Ask(sql, values, has_rows=False, apart=apart))


def repeated(sql: str, rows: Sequence[Sequence[object]]) -> Generator[Ask, int, int]:
    """Ask for a change once for each of ``rows``, and return of how many rows it was."""
    return (yield Ask(sql, rows, has_rows=False, many=True))
