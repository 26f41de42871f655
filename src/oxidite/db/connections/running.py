"""Runs SQL where it belongs: on the connection of the open transaction, else on one taken for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

from oxidite.db.connections.base import Connection, Done
from oxidite.db.connections.transaction import Owner, current_transaction
from oxidite.db.connections.watching import Watch
from oxidite.errors import BackendUnavailableError

__all__ = [
    "connection_of",
    "copy_rows",
    "fetch_rows",
    "may_read_again",
    "run_many",
    "run_sql",
    "stream_rows",
]


def connection_of(owner: Owner, *, write: bool) -> AbstractAsyncContextManager[Connection]:
    """Take a connection for one statement: that of the open transaction, else a free one."""
    transaction = current_transaction(owner)
    if transaction is not None:
        return transaction.statement()
    return owner.driver.connection(write=write)


def may_read_again(owner: Owner, *, write: bool) -> bool:
    """Tell whether what a database did not answer can be asked where it is written: this was a replica."""
    return not write and owner.driver.route() is not None and current_transaction(owner) is None


async def fetch_rows(
    owner: Owner, sql: str, values: Sequence[object], *, write: bool, named: bool = False
) -> Sequence[Any]:
    """Return the rows of a statement as the driver has them; if ``named``, each has ``keys()``."""
    try:
        return await _fetch(owner, sql, values, write=write, named=named)
    except BackendUnavailableError:
        if not may_read_again(owner, write=write):
            raise
    return await _fetch(owner, sql, values, write=True, named=named)


async def _fetch(
    owner: Owner, sql: str, values: Sequence[object], *, write: bool, named: bool
) -> Sequence[Any]:
    async with connection_of(owner, write=write) as connection:
        fetch = connection.fetch_named if named else connection.fetch
        return await _watch(owner).run(fetch, sql, values)


async def run_sql(owner: Owner, sql: str, values: Sequence[object]) -> Done:
    """Run a statement that has no rows."""
    async with connection_of(owner, write=True) as connection:
        return await _watch(owner).run(connection.run, sql, values)


async def run_many(owner: Owner, sql: str, rows: Sequence[Sequence[object]]) -> Done:
    """Run a statement once for each of ``rows``."""
    async with connection_of(owner, write=True) as connection:
        return await _watch(owner).run(connection.run_many, sql, rows)


async def copy_rows(
    owner: Owner, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Write many rows by the database's own way for that."""
    async with connection_of(owner, write=True) as connection:
        await _watch(owner).run(
            lambda _, rows: connection.copy(table, columns, rows), f"COPY {table}", rows
        )


async def stream_rows(
    owner: Owner, sql: str, values: Sequence[object], size: int
) -> AsyncGenerator[Sequence[Any], None]:
    """Yield the rows of a statement by ``size``, each when it is asked for.

    In a transaction they come over its connection, and other statements may run between two parts.
    Else they have a connection and a transaction of their own, which nothing else sees: one that a
    generator made the open one would be so for whoever iterates over it.
    """
    transaction = current_transaction(owner)
    if transaction is not None:
        async with aclosing(_parts(owner, transaction.connection, sql, values, size)) as parts:
            while True:
                async with transaction.statement():
                    part = await anext(parts, None)
                if part is None:
                    return
                yield part
    if owner.driver.has_one_connection:
        # Kept for the length of a stream, it would be kept from the statements inside the loop.
        rows = await fetch_rows(owner, sql, values, write=False, named=True)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]
        return
    async with (
        owner.driver.connection(write=False) as connection,
        _reading(connection),
        aclosing(_parts(owner, connection, sql, values, size)) as own,
    ):
        async for part in own:
            yield part


def _watch(owner: Owner) -> Watch:
    return owner._watch  # noqa: SLF001 - what counts is the package's own


def _parts(
    owner: Owner, connection: Connection, sql: str, values: Sequence[object], size: int
) -> AsyncGenerator[Sequence[Any], None]:
    return _watch(owner).stream(lambda sql: connection.stream(sql, values, size), sql)


@contextlib.asynccontextmanager
async def _reading(connection: Connection) -> AsyncIterator[None]:
    await connection.begin(isolation=None, read_only=True)
    try:
        yield
    finally:
        if not connection.is_broken:
            await asyncio.shield(connection.rollback())
