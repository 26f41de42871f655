"""Finds the statement that is run again and again where one would do: the N + 1 of a loop.

On in development, off everywhere else, unless ``Database.warns_of_repeats`` says so. What is counted is
the shape: a statement with other values is the same one. Each task has counts of its own, and a task
that lives on, such as a worker, begins anew after some seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

from oxidite.db.connections.callers import caller
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.statements.watch import Watched, watchers

__all__ = ["Repeats", "advisers", "watch_repeats"]

_logger = logging.getLogger("oxidite.db")

advisers: list[Callable[[SelectStatement], str | None]] = []
"""Each is asked what would load the rows of a query before, such as ``.with_(Post.author)``."""


class Repeats:
    """Counts the statements of each task and warns once of one that ran ``at`` times.

    ``window`` is in seconds: what lies further apart is no loop.
    """

    def __init__(self, *, at: int = 10, window: float = 5.0) -> None:
        self.at: int = at
        self.window: float = window
        self.users: int = 0
        """How many databases want it."""
        self._seen: WeakKeyDictionary[asyncio.Task[object], tuple[float, dict[Hashable, int]]] = (
            WeakKeyDictionary()
        )

    def __call__(self, statement: Watched, sql: str) -> None:
        """Count a statement that is about to run."""
        task = asyncio.current_task()
        if task is None:
            return
        now = asyncio.get_running_loop().time()
        began, counts = self._seen.get(task, (now, None))
        if counts is None or now - began > self.window:
            began, counts = now, {}
            self._seen[task] = began, counts
        key = statement.key()
        times = counts[key] = counts.get(key, 0) + 1
        if times == self.at:
            _logger.warning(
                "the same statement ran %d times in one task, from %s: %s. %s",
                times,
                caller(),
                " ".join(sql.split()),
                _advice(statement),
            )


def _advice(statement: Watched) -> str:
    if not isinstance(statement, SelectStatement):
        return "Write what belongs together at once, or change the rows with one query."
    found = [advice for each in advisers if (advice := each(statement)) is not None]
    return (
        f"Load what it reads before, for all rows at once: {' or '.join([*found, 'with in_()'])}."
    )


_repeats = Repeats()


def watch_repeats(*, on: bool) -> None:
    """Begin to look for repeats, or end it; it ends when everybody who began has ended it."""
    _repeats.users += 1 if on else -1
    if on and _repeats.users == 1:
        watchers.append(_repeats)
    elif not on and _repeats.users == 0:
        watchers.remove(_repeats)
