"""Who listens to the statements that are run: tests that count them, and the search for repeats.

Nobody does in production, and then it costs the look at an empty list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from oxidite.db.statements import Statement

__all__ = ["Watcher", "watchers"]

Watcher: TypeAlias = Callable[[Statement, str], None]
"""Told of each statement that is about to run, with its SQL."""

watchers: list[Watcher] = []
