"""Short reads of SQLite, in the thread of the event loop.

The way to the thread of a connection and back takes longer than most statements do. So a read begins
where it is asked for. Every few steps of its machine SQLite asks back whether that has taken too long
(https://sqlite.org/c3ref/progress_handler.html); then it is given up, and run anew in its thread.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from oxidite import clock
from oxidite.clock import perf

__all__ = ["ShortReads"]

_STEPS = 500
"""Steps of SQLite's machine between two looks at the time; a row that is read takes some ten."""
_MOST_AVOIDED = 1 << 16
_FOREVER = 1 << 62
_MOST_KNOWN = 1000
"""Statements that are remembered."""
_ONE_STEP = re.compile(r"\bcount\s*\(", re.IGNORECASE)
"""Counting all rows of a table is one step, however many there are."""
_NEVER = float("inf")


class _Known:
    """What is known of a statement."""

    __slots__ = ("_avoided", "left")

    def __init__(self, sql: str) -> None:
        self.left = _FOREVER if _ONE_STEP.search(sql) else 0
        """How often it goes to the thread before it is tried here again."""
        self._avoided = 1

    def was_long(self) -> None:
        """Avoid it twice as often as the last time: by far most runs of a long one waste nothing."""
        self.left = self._avoided
        self._avoided = min(2 * self._avoided, _MOST_AVOIDED)

    def was_short(self) -> None:
        """Avoid it half as often: what was slow may have been the machine."""
        if self._avoided > 1:
            self._avoided //= 2


class ShortReads:
    """The reads of one connection that may run in the event loop.

    ``longest`` is how long one may take, in seconds, and how long those that follow each other may,
    before everybody else has a turn. Only for statements that change nothing: they may run twice.
    """

    def __init__(self, connection: sqlite3.Connection, longest: float) -> None:
        self._connection = connection
        self._longest = longest
        self._until = _NEVER
        self._spent = 0.0
        self._known: dict[str, _Known] = {}
        self.watch()

    def watch(self) -> None:
        """Have SQLite ask back."""
        self._connection.set_progress_handler(self._is_over, _STEPS)

    def _is_over(self) -> bool:
        return perf() > self._until

    async def fetch(self, sql: str, values: Sequence[object]) -> list[Any] | None:
        """Run a statement and return all its rows; ``None`` if it belongs into the thread."""
        known = self._known.get(sql) or self._learn(sql)
        if known.left:
            known.left -= 1
            return None
        if self._spent > self._longest:
            # A task that reads row by row never waits for anything else.
            self._spent = 0.0
            await clock.sleep(0)
        begun = perf()
        self._until = begun + self._longest
        try:
            rows = self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            rows = None
        finally:
            self._until = _NEVER
            took = perf() - begun
            self._spent += took
        if took > self._longest:
            known.was_long()
        else:
            known.was_short()
        return rows

    def _learn(self, sql: str) -> _Known:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        known = self._known[sql] = _Known(sql)
        return known
