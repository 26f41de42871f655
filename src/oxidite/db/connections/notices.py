"""Who hears of what is read and of what was changed: caches that keep what was made of rows.

Nobody does unless one was asked to, and then it costs the look at an empty list. What a transaction
changes is noted with it and told after its commit. Any other statement is told of when it has ended, also
when it failed: what became of it is not always known, and to be told in vain costs little.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Collection, Hashable, Mapping
from typing import Protocol, TypeAlias

__all__ = ["MOST_KEYS", "Changes", "Listener", "Rows", "listeners", "tell_changes"]

_logger = logging.getLogger("oxidite.db")

MOST_KEYS = 100
"""Rows of a table that are told one by one; of more it is said that any may be meant."""

Rows: TypeAlias = Mapping[str, Collection[Hashable] | None]
"""Tables by name, in lower case, and the primary keys of the rows; ``None`` where it may be any row."""

_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_NAMED = re.compile(
    r"\b(?:into|update|from|table|truncate|join|only|using)\s+(?:[\w\"`\[\]]+\s*\.\s*)?[\"`\[]?([a-z_]\w*)"
)
"""What surely is a table, also one that no model is known of here."""
_OPAQUE = re.compile(r"\b(?:call|exec|execute)\b|\bdo\s*(?:\$|'|language\b)")
"""Runs something that does not say what it changes; DO is also what becomes of a conflict."""


class Changes:
    """What was changed: rows of tables, and what SQL that a person wrote may have changed."""

    __slots__ = ("deleted", "is_unknown", "rekeyed", "rows", "words")

    def __init__(self) -> None:
        self.rows: dict[str, set[Hashable] | None] = {}
        self.deleted: set[str] = set()
        """Tables of which rows were deleted, to which rows of others may have referred."""
        self.rekeyed: set[str] = set()
        """Tables of which a column was changed to which others may refer."""
        self.words: set[str] = set()
        """Words of SQL in which a table may have been named."""
        self.is_unknown: bool = False
        """Whether something was run that does not say what it changes, such as a procedure."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.words or self.is_unknown)

    def add(self, rows: Rows) -> None:
        """Note rows that were changed."""
        for table, keys in rows.items():
            known = self.rows.setdefault(table, set())
            if known is not None:
                known.update(keys or ())
            if keys is None or known is None or len(known) > MOST_KEYS:
                self.rows[table] = None

    def add_sql(self, sql: str) -> None:
        """Note SQL that a person wrote: any word of it may be a table that it changed."""
        text = sql.lower()
        self.words.update(_WORD.findall(text))
        self.add(dict.fromkeys(_NAMED.findall(text)))
        self.is_unknown = self.is_unknown or _OPAQUE.search(text) is not None

    def merge(self, other: Changes) -> None:
        """Note all that another one has noted."""
        self.add(other.rows)
        self.deleted |= other.deleted
        self.rekeyed |= other.rekeyed
        self.words |= other.words
        self.is_unknown = self.is_unknown or other.is_unknown


class Listener(Protocol):
    """What hears of reads and changes, in the event loop of who reads and changes."""

    @property
    def hears_reads(self) -> bool:
        """Whether who calls now is listened to."""
        ...

    def read(self, rows: Rows) -> None:
        """Hear what is about to be read."""
        ...

    def read_sql(self, sql: str) -> None:
        """Hear that SQL is about to be read with that a person wrote. It may refuse that."""
        ...

    def changed(self, changes: Changes) -> Awaitable[None]:
        """Hear what was changed, at once; what is awaited then is only how long that takes to be known."""
        ...


listeners: list[Listener] = []


async def tell_changes(changes: Changes) -> None:
    """Tell all who listen. One that fails is logged: what was changed is changed."""
    told: list[Awaitable[None]] = []
    for each in tuple(listeners):
        try:
            told.append(each.changed(changes))
        except Exception:
            _logger.exception("what was to follow a change failed")
    # All have heard by now: a cancellation from here on only ends the waiting.
    for waiting in told:
        try:
            await waiting
        except Exception:
            _logger.exception("what was to follow a change failed")
