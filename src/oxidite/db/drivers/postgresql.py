"""PostgreSQL, through asyncpg.

Connections are pooled by us: asyncpg's pool resets a connection with a statement of its own each time
one comes back, which costs more than the query. Nothing here leaves a session state behind, except for
transactions, and those end with a commit or a rollback. Statements are prepared once for each
connection, by asyncpg, and the least recently used ones are forgotten.

Behind a pooler that lends a server for one transaction (``?pooler=transaction``: PgBouncer, Supavisor)
no statement keeps a name and no lock outlives its transaction: the next one may run on another server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from typing import Any, Self
from urllib.parse import SplitResult, urlunsplit

import asyncpg
from msgspec import Struct

from oxidite.concurrency import finished
from oxidite.db.connections.base import Connection, Done, Driver, Isolation
from oxidite.db.connections.options import PoolOptions, kinds_of, pool_options, take_options
from oxidite.db.connections.pool import Lease, Pool
from oxidite.db.connections.pooled import PoolStats
from oxidite.db.drivers.postgresql_errors import translated
from oxidite.db.errors import LockTimeoutError
from oxidite.db.values.dialects import POSTGRESQL, Dialect
from oxidite.errors import BackendUnavailableError, ConfigError

__all__ = ["PostgreSQLDriver"]

_ROWS = re.compile(r"\d+$")
_END = 5.0
"""Seconds that a lock has to be given back, and a connection to be closed."""
_BROKEN = (asyncio.CancelledError, GeneratorExit, OSError, asyncpg.InternalClientError)
_SERVER = (
    # What asyncpg reads of a URL, and what a session of the server can be told at its start.
    *(
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "database",
        "passfile",
        "service",
        "servicefile",
    ),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs"),
    *("krbsrvname", "gsslib", "application_name", "search_path", "options", "role"),
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
    *("default_transaction_isolation", "default_transaction_read_only", "synchronous_commit"),
    *("work_mem", "jit", "timezone", "datestyle", "tcp_keepalives_idle", "tcp_user_timeout"),
)


class PostgreSQLOptions(Struct, frozen=True, kw_only=True):
    """What is said of PostgreSQL alone."""

    statement_cache: int = 500
    """How many statements each connection keeps prepared; 0 is none."""
    pooler: str = ""
    """``transaction`` when a pooler stands between."""
    connect_timeout: float = 10.0
    """How long the server has to answer when a connection is opened, in seconds."""


class PostgreSQLConnection(Connection):
    """A connection to PostgreSQL."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_broken: bool = False
        # That the server has gone is known before the next statement, so none is lost to it.
        connection.add_termination_listener(self._ended)

    def _ended(self, _: object) -> None:
        self.is_broken = True

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        try:
            rows: Sequence[Any] = await self._connection.fetch(sql, *values)
        except BaseException as exc:
            raise self._failed(exc) from exc
        return rows

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows."""
        try:
            status = await self._connection.execute(sql, *values)
        except BaseException as exc:
            raise self._failed(exc) from exc
        found = _ROWS.search(status)
        return Done(int(found.group()) if found else 0)

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``, in one go."""
        try:
            await self._connection.executemany(sql, rows)
        except BaseException as exc:
            raise self._failed(exc) from exc
        return Done(-1)

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows: asyncpg's have names."""
        return await self.fetch(sql, values)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Write many rows with COPY, in binary."""
        try:
            await self._connection.copy_records_to_table(table, columns=columns, records=rows)
        except BaseException as exc:
            raise self._failed(exc) from exc

    async def stream(
        self, sql: str, values: Sequence[object], size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size``, through a cursor of the server."""
        try:
            cursor = await self._connection.cursor(sql, *values)
            while rows := await cursor.fetch(size):
                yield rows
        except GeneratorExit:
            raise
        except BaseException as exc:
            raise self._failed(exc) from exc

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction."""
        words = ["BEGIN"]
        if isolation is not None:
            words.append(f"ISOLATION LEVEL {isolation.upper()}")
        if read_only:
            words.append("READ ONLY")
        await self.run(" ".join(words), ())

    async def commit(self) -> None:
        """End the transaction and keep what was done."""
        await self.run("COMMIT", ())

    async def rollback(self) -> None:
        """End the transaction and undo what was done."""
        if self.is_broken:
            return  # it is closed instead, and the server ends what was open
        await self.run("ROLLBACK", ())

    async def listen(
        self, channel: str, hear: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """Call ``hear`` with what is sent to a channel."""

        def heard(_: object, __: int, ___: str, text: object) -> None:
            hear(str(text))

        self._connection.add_termination_listener(lambda _: lost())
        try:
            await self._connection.add_listener(channel, heard)
        except BaseException as exc:
            raise self._failed(exc) from exc

    async def ping(self) -> None:
        """Ask for a sign of life."""
        # Not by an empty statement: asyncpg trips over the answer to it.
        await self.run("SELECT 1", ())

    async def close(self) -> None:
        """Close it."""
        # Also one that is broken: a statement that still runs is stopped by asyncpg, on a connection of
        # its own, and one that is cut off in the midst of that complains into the void.
        try:
            await self._connection.close(timeout=_END)
        except Exception:  # noqa: BLE001 - there is nobody to say goodbye to
            self._connection.terminate()

    def _failed(self, exc: BaseException) -> BaseException:
        """Return the error to raise; a connection whose statement did not finish is not used again."""
        if isinstance(exc, _BROKEN) or self._connection.is_closed():
            self.is_broken = True
        return translated(exc, is_closed=self._connection.is_closed())


class PostgreSQLDriver(Driver):
    """A database of a PostgreSQL server."""

    def __init__(
        self,
        dsn: str,
        *,
        pool: PoolOptions | None = None,
        options: PostgreSQLOptions | None = None,
    ) -> None:
        self._dsn = dsn
        self._url: str | None = None
        self._options = options or PostgreSQLOptions()
        self._pool: Pool[PostgreSQLConnection] = Pool.of(
            self._connect, pool or PoolOptions(), name="postgresql"
        )

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """``postgresql://user:password@host:5432/name?pool_size=20&pool_timeout=5``."""
        kinds = kinds_of(PoolOptions) | kinds_of(PostgreSQLOptions)
        found, rest = take_options(url, kinds, others=_SERVER)
        pool = pool_options(found)
        options = PostgreSQLOptions(**found)
        if options.pooler not in ("", "transaction"):
            raise ConfigError(
                f"pooler={options.pooler}: say pooler=transaction when a pooler lends a server for "
                "each transaction; for one that lends it for a session say nothing."
            )
        made = cls(urlunsplit(rest), pool=pool, options=options)
        made._url = urlunsplit(url)
        return made

    @property
    def address(self) -> str | None:
        """The URL that it was made of."""
        return self._url

    @property
    def dialect(self) -> Dialect:
        """What PostgreSQL can do."""
        return POSTGRESQL

    @property
    def has_channels(self) -> bool:
        """Whether a connection hears what is sent: not through a pooler, which lends it to others."""
        return not self._options.pooler

    @property
    def pools(self) -> dict[str, PoolStats]:
        """How its pool is."""
        return {"connections": self._pool.stats}

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    def connection(self, *, write: bool) -> Lease[PostgreSQLConnection]:
        """Take a connection."""
        return self._pool.connection()

    def beside(self, name: str, pool: PoolOptions) -> PostgreSQLDriver:
        """Return one for the same database, with connections of its own."""
        return PostgreSQLDriver(self._dsn, pool=pool, options=self._options)

    def lock(self, name: str, timeout: float | None) -> AbstractAsyncContextManager[None]:
        """Take an advisory lock, on a connection that is kept as long."""
        return self._locked(name, timeout)

    @contextlib.asynccontextmanager
    async def _locked(self, name: str, within: float | None) -> AsyncIterator[None]:
        number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
        # Behind a pooler a lock is one of a transaction: what is of a session would be lent to others.
        kind = "_xact" if self._options.pooler else ""
        async with self._pool.connection() as connection:
            try:
                async with asyncio.timeout(within):
                    if kind:
                        await connection.run("BEGIN", ())
                    await connection.fetch(f"SELECT pg_advisory{kind}_lock($1)", (number,))
            except TimeoutError:
                raise LockTimeoutError(
                    f"The lock {name!r} was not free within {within:g} s."
                ) from None
            try:
                yield
            finally:
                # Not to be cancelled on the way: a lock that is left behind would outlive this.
                sql = "ROLLBACK" if kind else "SELECT pg_advisory_unlock_all()"
                await finished(asyncio.ensure_future(_unlock(connection, sql)), cancel=False)

    async def _connect(self) -> PostgreSQLConnection:
        options = self._options
        try:
            made = await asyncpg.connect(
                self._dsn,
                statement_cache_size=0 if options.pooler else options.statement_cache,
                # Statements are forgotten by number, not by age: a timer for each costs more.
                max_cached_statement_lifetime=0,
                max_cacheable_statement_size=0,
                timeout=options.connect_timeout,  # pyright: ignore[reportArgumentType]  # a float
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
            raise BackendUnavailableError(
                f"PostgreSQL cannot be reached: {type(exc).__name__}: {exc}"
            ) from exc
        return PostgreSQLConnection(made)


async def _unlock(connection: PostgreSQLConnection, sql: str) -> None:
    try:
        async with asyncio.timeout(_END):
            await connection.run(sql, ())
    except Exception:  # noqa: BLE001 - it is closed, and its locks end with it
        connection.is_broken = True
