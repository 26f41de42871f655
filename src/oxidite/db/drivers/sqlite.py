"""SQLite, through aiosqlite: one thread for each connection, one hop for each statement that is not short.

SQLite has one writer at a time. So there is one connection for writing, and others for reading, which
see what was committed (WAL). A transaction that writes begins with ``BEGIN IMMEDIATE``: one that only
becomes a writer later would fail at once instead of waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, quote, unquote, urlencode

import aiosqlite
from msgspec import Struct
from msgspec.structs import replace

from oxidite.concurrency import finished
from oxidite.db.connections.base import Connection, Done, Driver, Isolation
from oxidite.db.connections.options import PoolOptions, kinds_of, pool_options, take_options
from oxidite.db.connections.pool import Lease, Pool
from oxidite.db.connections.pooled import PoolStats
from oxidite.db.connections.steps import Steps
from oxidite.db.drivers.files import FileLock
from oxidite.db.drivers.sqlite_errors import errors
from oxidite.db.drivers.sqlite_functions import COLLATIONS, FUNCTIONS
from oxidite.db.drivers.sqlite_reads import ShortReads
from oxidite.db.drivers.sqlite_steps import followed
from oxidite.db.errors import ConflictingTransactionsError
from oxidite.db.values.dialects import SQLITE, Dialect
from oxidite.errors import BackendUnavailableError, ConfigError

__all__ = ["SQLiteDriver"]

T = TypeVar("T")

_PRAGMAS = (
    "foreign_keys=ON",
    "temp_store=MEMORY",
    # As everywhere else; `ilike` compares in lower case.
    "case_sensitive_like=ON",
)
_END = 1.0
"""Seconds that a statement may take to stop when it is interrupted."""
_AGAIN = 0.05
"""Seconds after which it is interrupted again: it may not have begun the first time."""
_MOST_WRITERS = 10
"""How many others it waits for, one after the other, before a new file is its own."""
_MOST_INLINE = 1.0


class SQLiteOptions(Struct, frozen=True, kw_only=True):
    """What is said of SQLite alone."""

    busy_timeout: float = 5.0
    """How long a statement waits for another process that writes, in seconds."""
    synchronous: str = "normal"
    """``normal`` survives a killed process; ``full`` a power cut, too, and is slower."""
    cache_mb: int = 8
    """How much of the file each connection keeps in memory, in MB."""
    statement_cache: int = 256
    """How many statements each connection keeps prepared."""
    mode: str = "rw"
    """``ro`` opens a file that is only read."""
    longest_inline: float = 0.002
    """How long a read may keep the event loop before it goes to a thread, in seconds; 0 lets none begin there."""


class SQLiteConnection(Connection):
    """A connection in a thread of its own.

    ``short`` runs its short reads in the event loop, where it has none but reads.
    """

    def __init__(self, connection: aiosqlite.Connection, short: ShortReads | None = None) -> None:
        self._connection = connection
        self._short = short
        self.is_broken: bool = False
        self._only_reads = False

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        with errors:
            if self._short is not None:
                found = await self._short.fetch(sql, values)
                if found is not None:
                    return found
            rows: Any = await self._whole(self._connection.execute_fetchall(sql, values))
        read: Sequence[Any] = rows  # a list, which its types say is an iterable
        return read

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows."""
        with errors:
            cursor = await self._whole(self._connection.execute(sql, values))
        return Done(cursor.rowcount, cursor.lastrowid)

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``."""
        with errors:
            cursor = await self._whole(self._connection.executemany(sql, rows))
        return Done(cursor.rowcount)

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows, with their names."""
        with errors:
            cursor = await self._whole(self._connection.execute(sql, values))
            cursor.row_factory = sqlite3.Row
            rows: Any = await self._whole(cursor.fetchall())
        found: Sequence[Any] = rows
        return found

    async def stream(
        self, sql: str, values: Sequence[object], size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size``."""
        with errors:
            cursor = await self._whole(self._connection.execute(sql, values))
            cursor.row_factory = sqlite3.Row
            try:
                while rows := await self._whole(cursor.fetchmany(size)):
                    yield list(rows)
            finally:
                await self._whole(cursor.close())

    async def follow(self, steps: Steps[T]) -> T:
        """Run statements that depend on each other, with one hop for all of them."""
        with errors:
            # What aiosqlite itself runs everything by: it has no public name.
            execute: Any = self._connection._execute  # noqa: SLF001
            result: T = await self._whole(execute(followed, self._connection, steps))
        return result

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction; every one is serialisable here."""
        await self.run("BEGIN DEFERRED" if read_only else "BEGIN IMMEDIATE", ())
        if read_only:
            self._only_reads = True
            await self.run("PRAGMA query_only=ON", ())

    async def commit(self) -> None:
        """End the transaction and keep what was done."""
        await self.run("COMMIT", ())
        await self._write_again()

    async def rollback(self) -> None:
        """End the transaction, if one is still open, and undo what was done."""
        if self.is_broken:
            return
        if self._connection.in_transaction:
            await self.run("ROLLBACK", ())
        await self._write_again()

    async def _write_again(self) -> None:
        if self._only_reads:
            await self.run("PRAGMA query_only=OFF", ())
            self._only_reads = False

    async def ping(self) -> None:
        """Do nothing: a file does not go away."""

    async def close(self) -> None:
        """Close it."""
        with contextlib.suppress(sqlite3.Error, ValueError):
            await self._connection.close()

    async def _whole(self, statement: Awaitable[T]) -> T:
        """Wait for a statement; when cancelled, stop it first: its thread would go on."""
        try:
            return await statement
        except asyncio.CancelledError:
            stopped = asyncio.ensure_future(self._stop())
            with contextlib.suppress(asyncio.CancelledError):  # once is enough
                await finished(stopped, cancel=False)
            raise

    async def _stop(self) -> None:
        # The thread does one thing after the other: when it does this one, the statement has ended.
        execute: Any = self._connection._execute  # noqa: SLF001 - as in `follow`
        ended = asyncio.ensure_future(execute(_nothing))
        for _ in range(round(_END / _AGAIN)):
            await self._connection.interrupt()
            await asyncio.wait((ended,), timeout=_AGAIN)
            if ended.done():
                return
        # It is closed when it ends, and what it did is undone by that.
        self.is_broken = True
        ended.cancel()


def _nothing() -> None:
    pass


class SQLiteDriver(Driver):
    """A file, or a database in memory that ends with the driver."""

    def __init__(
        self,
        path: Path | None,
        *,
        pool: PoolOptions | None = None,
        options: SQLiteOptions | None = None,
    ) -> None:
        self.path = path
        self._options = options or SQLiteOptions()
        readers = pool or PoolOptions(pool_size=4)
        writer = replace(readers, pool_size=1, pool_min=1)
        if path is None:  # it ends with its connection
            never = float("inf")
            writer = replace(writer, pool_lifetime=never, pool_idle=never, pool_check=never)
        self._writer: Pool[SQLiteConnection] = Pool.of(self._connect, writer, name="sqlite.writer")
        self._readers: Pool[SQLiteConnection] = Pool.of(
            self._connect_reader, readers, name="sqlite.readers"
        )

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """``sqlite:///relative``, ``sqlite:////absolute``, ``sqlite://`` in memory."""
        if url.netloc:
            raise ConfigError(
                f"sqlite://{url.netloc} names a host. A file is sqlite:///app.db, with three slashes; "
                "with four it is an absolute path."
            )
        found, _ = take_options(url, kinds_of(PoolOptions) | kinds_of(SQLiteOptions))
        pool = pool_options({"pool_size": 4, **found})
        options = SQLiteOptions(
            **{name: found[name] for name in SQLiteOptions.__struct_fields__ if name in found}
        )
        if options.mode not in ("rw", "ro"):
            raise ConfigError(f"mode={options.mode}: say rw or ro.")
        if not 0 <= options.longest_inline <= _MOST_INLINE:
            raise ConfigError(
                f"longest_inline={options.longest_inline}: say how many seconds a read may keep the event "
                f"loop, {_MOST_INLINE} at most; 0 runs each in a thread."
            )
        if options.synchronous.lower() not in ("off", "normal", "full", "extra"):
            raise ConfigError(f"synchronous={options.synchronous}: say off, normal, full or extra.")
        path = unquote(url.path.removeprefix("/"))
        return cls(Path(path) if path else None, pool=pool, options=options)

    @property
    def address(self) -> str | None:
        """The URL of the file, wherever the other process is, with the options that are not the usual ones."""
        if self.path is None:
            return None
        usual = SQLiteOptions()
        said = {
            name: getattr(self._options, name)
            for name in SQLiteOptions.__struct_fields__
            if getattr(self._options, name) != getattr(usual, name)
        }
        query = f"?{urlencode(said)}" if said else ""
        return f"sqlite:///{quote(str(self.path.absolute()))}{query}"

    @property
    def dialect(self) -> Dialect:
        """What SQLite can do."""
        return SQLITE

    @property
    def has_one_connection(self) -> bool:
        """Whether it is in memory: then there is no way to it but the one connection."""
        return self.path is None

    @property
    def pools(self) -> dict[str, PoolStats]:
        """How the one connection for writing is, and those for reading."""
        if self.path is None:
            return {"writer": self._writer.stats}
        return {"writer": self._writer.stats, "readers": self._readers.stats}

    async def __aenter__(self) -> Self:
        await self._writer.open()
        if self.path is None:
            return self
        try:
            if self._options.mode != "ro":
                await self._write_ahead()
            await self._readers.open()
        except BaseException:
            await self._writer.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.path is not None:
            await self._readers.close()
        await self._writer.close()

    def connection(self, *, write: bool) -> Lease[SQLiteConnection]:
        """Take the connection that writes, or one that reads."""
        pool = self._writer if write or self.path is None else self._readers
        return pool.connection()

    def beside(self, name: str, pool: PoolOptions) -> SQLiteDriver:
        """Return one for the file beside this one; of a database in memory, for another in memory."""
        path = self.path and self.path.with_suffix(f".{name}{self.path.suffix}")
        options = replace(self._options, mode="rw", synchronous="normal")
        return SQLiteDriver(path, pool=pool, options=options)

    def lock(self, name: str, timeout: float | None) -> FileLock:
        """Take a lock on a file beside the database; no connection is kept for it."""
        return FileLock(self.path, name, timeout, owner=self)

    async def _write_ahead(self) -> None:
        # SQLite waits for nobody on the way from one kind of journal to the other: while another
        # process writes a new file, as two do that begin together, it refuses at once. So wait for
        # that as for any other write, and try again.
        async with self._writer.connection() as writer:
            for _ in range(_MOST_WRITERS):
                with contextlib.suppress(ConflictingTransactionsError):
                    await writer.fetch("PRAGMA journal_mode=WAL", ())
                    return
                await writer.begin(isolation=None, read_only=False)
                await writer.rollback()
            await writer.fetch("PRAGMA journal_mode=WAL", ())

    async def _connect(self) -> SQLiteConnection:
        return SQLiteConnection(await self._open())

    async def _connect_reader(self) -> SQLiteConnection:
        made = await self._open()
        longest = self._options.longest_inline
        # aiosqlite has no public name for it.
        own: sqlite3.Connection = made._conn  # noqa: SLF001
        return SQLiteConnection(made, ShortReads(own, longest) if longest else None)

    async def _open(self) -> aiosqlite.Connection:
        options = self._options
        path = ":memory:" if self.path is None else f"file:{quote(str(self.path))}"
        if self.path is not None:
            path += "?mode=ro" if options.mode == "ro" else "?mode=rwc"
        made = aiosqlite.connect(
            path,
            uri=self.path is not None,
            isolation_level=None,
            timeout=options.busy_timeout,
            cached_statements=options.statement_cache,
            factory=_Extended,
            # Its thread and the loop's use it in turn: who waits for the one does not call the other.
            check_same_thread=False,
        )
        try:
            _ = await made
            for pragma in (
                *_PRAGMAS,
                f"synchronous={options.synchronous}",
                f"cache_size={-1024 * options.cache_mb}",
            ):
                await made.execute_fetchall(f"PRAGMA {pragma}")
        except sqlite3.Error as exc:
            await _end(made)
            raise BackendUnavailableError(
                f"The SQLite database {self.path or 'in memory'} cannot be opened: {exc}. Does the "
                "folder exist, and may it be written?"
            ) from exc
        return made


class _Extended(sqlite3.Connection):
    """A connection that has, from its beginning, what SQLite lacks."""

    def __init__(self, *args: Any, **options: Any) -> None:  # those of the base
        super().__init__(*args, **options)
        for name, (width, function) in FUNCTIONS.items():
            self.create_function(name, width, function, deterministic=True)
        for name, compare in COLLATIONS.items():
            self.create_collation(name, compare)


async def _end(made: aiosqlite.Connection) -> None:
    """Wait for the thread of a connection that could not be opened."""
    with contextlib.suppress(ValueError):
        await made.close()
    # It is told to end and not waited for, and would talk to an event loop that may be closed then.
    thread: threading.Thread = getattr(made, "_thread", threading.current_thread())
    if thread is not threading.current_thread():
        await asyncio.to_thread(thread.join, _END)
