"""Who listens to the statements that are run: tests that count them, and the search for repeats.

Nobody does in production, and then it costs the look at an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeAlias

__all__ = ["Watched", "Watcher", "tell", "watchers"]


class Watched(Protocol):
    """A statement, or SQL that a person wrote."""

    def key(self) -> Hashable:
        """Return what is the same for those that differ in their values alone."""
        ...


Watcher: TypeAlias = Callable[[Watched, str], None]
"""Told of each statement that is about to run, with its SQL."""

watchers: list[Watcher] = []


def tell(statement: Watched, sql: str) -> None:
    """Tell them of a statement."""
    for watcher in tuple(watchers):
        watcher(statement, sql)
