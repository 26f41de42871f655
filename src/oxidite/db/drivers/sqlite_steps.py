"""Statements of SQLite that depend on each other, in the thread of the connection."""

from __future__ import annotations

import sqlite3
from typing import TypeVar

import aiosqlite

from oxidite.db.connections.steps import Steps

__all__ = ["followed"]

T = TypeVar("T")


def followed(connection: aiosqlite.Connection, steps: Steps[T]) -> T:
    """Run steps, in the thread of the connection."""
    own: sqlite3.Connection = connection._conn  # noqa: SLF001 - as aiosqlite does
    try:
        result = _steps_done(own, steps)
        if own.in_transaction:
            own.execute("COMMIT")
    except BaseException:
        if own.in_transaction:
            own.execute("ROLLBACK")
        raise
    return result


def _steps_done(own: sqlite3.Connection, steps: Steps[T]) -> T:
    try:
        ask = next(steps)
        if not ask.apart:
            own.execute("BEGIN IMMEDIATE")
        while True:
            run = own.executemany if ask.many else own.execute
            cursor = run(ask.sql, ask.values)
            ask = steps.send(cursor.fetchall() if ask.has_rows else cursor.rowcount)
    except StopIteration as done:
        result: T = done.value
        return result
