"""How the SQL of jobs is written for a kind of database, and its values given to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from oxidite.db.connections.steps import Steps, changed, fetched, repeated
from oxidite.db.outbox.own_tables import written
from oxidite.db.values.dialects import Dialect

__all__ = ["Statements"]

_MANY = 500
"""Ids in one statement, where each is a value of its own."""


class Statements:
    """Asks for statements whose values are named, as ``own_tables`` has them.

    ``IN :ids`` is for a list, ``{update}`` locks rows where a transaction is not alone, and ``{claim}``
    does, and passes over those that others have locked. ``{ignore}`` is an INSERT that leaves alone what
    is there; it ends with ``{ignored}``. ``{turns}`` has MySQL use the index of turns: its guess of how many
    jobs wait is often an old one.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._has_arrays = dialect.name == "postgresql"
        locks = dialect.locks_rows
        self._words = {
            "{update}": " FOR UPDATE" if locks else "",
            "{claim}": " FOR UPDATE SKIP LOCKED" if locks else "",
            "{ignore}": "INSERT IGNORE" if dialect.is_mysql else "INSERT",
            "{turns}": " FORCE INDEX (ox_jobs_turns)" if dialect.is_mysql else "",
            "{ignored}": "" if dialect.is_mysql else " ON CONFLICT DO NOTHING",
            "IN :ids": "= ANY(:ids::uuid[])" if self._has_arrays else "IN :ids",
            "IN :names": "= ANY(:names::text[])" if self._has_arrays else "IN :names",
        }
        self._texts: dict[str, str] = {}

    def _fetched(self, sql: str, *, apart: bool = False, **values: object) -> Steps[Sequence[Any]]:
        return fetched(*self._bound(sql, values), apart=apart)

    def _changed(self, sql: str, *, apart: bool = False, **values: object) -> Steps[int]:
        return changed(*self._bound(sql, values), apart=apart)

    def _changed_of(self, ids: Sequence[UUID], sql: str, **values: Any) -> Steps[int]:
        """Change what is ``IN :ids``; Any, as values are of any column."""
        count = 0
        step = len(ids) if self._has_arrays else _MANY
        for start in range(0, len(ids), step or 1):
            count += yield from self._changed(sql, ids=ids[start : start + step], **values)
        return count

    def _each(self, sql: str, rows: Sequence[Sequence[object]]) -> Steps[int]:
        """Run a statement once for each of ``rows``; its values are of the same order."""
        return repeated(self._text(sql), rows)

    def _text(self, sql: str) -> str:
        text = self._texts.get(sql)
        if text is None:
            text = sql
            for word, meaning in self._words.items():
                text = text.replace(word, meaning)
            self._texts[sql] = text
        return text

    def _bound(self, sql: str, values: dict[str, object]) -> tuple[str, Sequence[object]]:
        text, bound = written(self._text(sql), self._dialect, values)
        if self._has_arrays:
            return text, bound
        parts = text.split("?")
        if not any(isinstance(value, list) for value in bound):
            return text, [self._of(value) for value in bound]
        flat: list[object] = []
        marks: list[str] = []
        for value in bound:
            if isinstance(value, list):
                flat += map(self._of, value)
                marks.append(f"({', '.join('?' * len(value))})")
            else:
                flat.append(self._of(value))
                marks.append("?")
        return "".join(part + mark for part, mark in zip(parts, [*marks, ""], strict=True)), flat

    def _of(self, value: object) -> object:
        """Return a value as this database takes it."""
        return value.bytes if isinstance(value, UUID) and not self._has_arrays else value
