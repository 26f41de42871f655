"""MariaDB and MySQL, through aiomysql. Which of the two it is, the server says.

A session is set up so that SQL means what it means elsewhere: text compares by its characters, values
that do not fit are refused, times are UTC, "names" are quoted as in the standard and backslashes are
characters. Connections are pooled by us; one whose statement did not finish is closed, and the
statement is ended on the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlunsplit

from msgspec import Struct
from pymysql.err import MySQLError

from oxidite.concurrency import finished
from oxidite.db.connections.base import Driver
from oxidite.db.connections.options import PoolOptions, kinds_of, pool_options, take_options
from oxidite.db.connections.pool import Lease, Pool
from oxidite.db.connections.pooled import PoolStats
from oxidite.db.drivers.mysql_connection import MySQLConnection
from oxidite.db.drivers.mysql_wire import Wire
from oxidite.db.errors import DatabaseError, LockTimeoutError
from oxidite.db.values.dialects import MARIADB, MYSQL, Dialect
from oxidite.errors import BackendUnavailableError, ConfigError

__all__ = ["MySQLDriver"]

_OLDEST = {"mariadb": (10, 6), "mysql": (8, 0, 19)}
_MODES = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES"
)
_ABOUT = (
    "SHOW VARIABLES WHERE variable_name IN "
    "('innodb_snapshot_isolation', 'max_allowed_packet', 'auto_increment_increment')"
)
_FOR_EVER = 1e9
"""Seconds."""
_MODES_OF_TLS = ("disable", "require", "verify-ca", "verify-full")


class MySQLOptions(Struct, frozen=True, kw_only=True):
    """What else a URL may say."""

    socket: str = ""
    """The path of a Unix socket."""
    sslmode: str = ""
    """``disable``, ``require``, ``verify-ca`` or ``verify-full``."""
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""
    connect_timeout: float = 10.0
    """How long the server may take when a connection is opened, in seconds."""


class _Rested(Lease[MySQLConnection]):
    """Ends a stream that was left, before the connection is given back."""

    __slots__ = ()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        kept = self._kept
        if kept is not None and kept.connection.is_streaming:
            await asyncio.shield(kept.connection.rest())
        await super().__aexit__(kind, exc, tb)


class MySQLDriver(Driver):
    """A database of a MariaDB or MySQL server."""

    def __init__(
        self,
        server: Mapping[str, Any],
        *,
        pool: PoolOptions | None = None,
        options: MySQLOptions | None = None,
    ) -> None:
        self._server = server
        self._url: str | None = None
        self._patience = (options or MySQLOptions()).connect_timeout
        self._about: dict[str, str] = {}
        self._dialect: Dialect | None = None
        self._pool: Pool[MySQLConnection] = Pool.of(
            self._connect, pool or PoolOptions(), name="mysql"
        )

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """``mysql://user:password@host:3306/name?pool_size=20&sslmode=verify-full``."""
        found, _ = take_options(url, kinds_of(PoolOptions) | kinds_of(MySQLOptions))
        pool = pool_options(found)
        options = MySQLOptions(**found)
        server: dict[str, Any] = {
            "host": url.hostname or "localhost",
            "port": _port(url),
            "user": unquote(url.username or "root"),
            "password": unquote(url.password or ""),
            "db": _database(url),
            "unix_socket": options.socket or None,
            "ssl": _tls(options),
        }
        made = cls(server, pool=pool, options=options)
        made._url = urlunsplit(url)
        return made

    @property
    def address(self) -> str | None:
        """The URL that it was made of."""
        return self._url

    @property
    def dialect(self) -> Dialect:
        """What the server can do; known once it is open.

        Raises:
            DatabaseError: it is not open.
        """
        if self._dialect is None:
            raise DatabaseError(
                "Whether this is MariaDB or MySQL is known once the database is open."
            )
        return self._dialect

    @property
    def pools(self) -> dict[str, PoolStats]:
        """How its pool is."""
        return {"connections": self._pool.stats}

    async def __aenter__(self) -> Self:
        # One is opened now: it tells what the server is, or that it cannot be reached.
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    def connection(self, *, write: bool) -> Lease[MySQLConnection]:
        """Take a connection."""
        return _Rested(self._pool)

    def beside(self, name: str, pool: PoolOptions) -> MySQLDriver:
        """Return one for the same database, with connections of its own."""
        options = MySQLOptions(connect_timeout=self._patience)
        return MySQLDriver(self._server, pool=pool, options=options)

    def lock(self, name: str, timeout: float | None) -> AbstractAsyncContextManager[None]:
        """Take a lock of the server, on a connection that is kept as long."""
        return self._locked(name, timeout)

    @contextlib.asynccontextmanager
    async def _locked(self, name: str, within: float | None) -> AsyncIterator[None]:
        # A name may have 64 characters, and is the server's, not the database's.
        whole = f"{self._server['db']}.{name}".encode()
        key = f"ox_{blake2b(whole, digest_size=24).hexdigest()}"
        async with self._pool.connection() as connection:
            seconds = _FOR_EVER if within is None else within
            rows = await connection.fetch("SELECT GET_LOCK(?, ?)", (key, seconds))
            if rows[0][0] != 1:
                raise LockTimeoutError(f"The lock {name!r} was not free within {within:g} s.")
            try:
                yield
            finally:
                # Not to be cancelled on the way: a lock that is left behind would outlive this.
                await finished(asyncio.ensure_future(_unlock(connection, key)), cancel=False)

    async def _connect(self) -> MySQLConnection:
        wire = await self._wire()
        try:
            async with asyncio.timeout(self._patience):
                dialect = await self._know(wire)
                await wire.query(self._session(dialect))
                await wire.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        except (MySQLError, OSError) as exc:
            await wire.end()
            raise self._unreachable(exc) from exc
        except BaseException:
            await asyncio.shield(wire.end())
            raise
        return MySQLConnection(
            wire,
            product=dialect.product,
            max_packet=int(self._about["max_allowed_packet"]),
            id_step=int(self._about["auto_increment_increment"]),
            end=self._end,
        )

    async def _wire(self) -> Wire:
        wire = Wire(**self._server)
        try:
            async with asyncio.timeout(self._patience):
                await wire.open()
        except (MySQLError, OSError, RuntimeError) as exc:
            raise self._unreachable(exc) from exc
        return wire

    async def _know(self, wire: Wire) -> Dialect:
        """Find out what the server is, once."""
        if self._dialect is None:
            dialect = _dialect_of(wire.get_server_info())
            await wire.query(_ABOUT)
            self._about = dict(wire.result.rows)
            self._dialect = dialect
        return self._dialect

    def _session(self, dialect: Dialect) -> str:
        modes, collation = _MODES, "utf8mb4_0900_bin"
        if dialect.name == "mariadb":
            # `SET a = b, b = a` swaps, as elsewhere.
            modes, collation = f"{_MODES},SIMULTANEOUS_ASSIGNMENT", "utf8mb4_nopad_bin"
        words = [
            f"NAMES utf8mb4 COLLATE {collation}",
            "autocommit = 1",
            f"sql_mode = '{modes}'",
            "time_zone = '+00:00'",
            "group_concat_max_len = 1073741824",
            "@ox_there = ''",  # what an upsert notes is read back: see sql/statements.py
        ]
        if "innodb_snapshot_isolation" in self._about:
            # "repeatable read" then refuses to overwrite what others have changed, as elsewhere.
            words.append("innodb_snapshot_isolation = 1")
        return f"SET {', '.join(words)}"

    async def _end(self, sql: str) -> None:
        """Run a statement on a connection of its own, which is how others are ended."""
        wire = await self._wire()
        try:
            async with asyncio.timeout(self._patience):
                await wire.query(sql)
        finally:
            await asyncio.shield(wire.end())

    def _unreachable(self, exc: Exception) -> BackendUnavailableError:
        product = self._dialect.product if self._dialect else "The MariaDB or MySQL server"
        told = exc.args[-1] if isinstance(exc, MySQLError) and exc.args else exc
        kind = "it did not answer in time" if isinstance(exc, TimeoutError) else told
        return BackendUnavailableError(f"{product} cannot be reached: {kind}")


def _dialect_of(version: str) -> Dialect:
    """Return what a server is by its version, ``10.11.6-MariaDB`` or ``8.0.36``."""
    dialect = MARIADB if "mariadb" in version.lower() else MYSQL
    # Old clients wanted to see a version of MySQL first.
    numbers = re.findall(r"\d+", version.removeprefix("5.5.5-") if dialect is MARIADB else version)
    if tuple(map(int, numbers[:3])) < _OLDEST[dialect.name]:
        oldest = ".".join(map(str, _OLDEST[dialect.name]))
        raise ConfigError(f"{dialect.product} {version} is too old: {oldest} or later is needed.")
    return dialect


def _database(url: SplitResult) -> str:
    name = unquote(url.path.removeprefix("/"))
    if not name:
        raise ConfigError(
            f"{url.scheme}://{url.hostname or ''} names no database: mysql://user@host/name."
        )
    return name


def _port(url: SplitResult) -> int:
    try:
        return url.port or 3306
    except ValueError as exc:
        raise ConfigError(f"{url.scheme}://: {exc}") from None


def _tls(options: MySQLOptions) -> ssl.SSLContext | None:
    mode: str | None = options.sslmode or None
    root, cert, key = options.sslrootcert, options.sslcert, options.sslkey
    if mode not in (None, *_MODES_OF_TLS):
        raise ConfigError(f"sslmode={mode} is none of {', '.join(_MODES_OF_TLS)}.")
    if mode is None and (root or cert or key):
        mode = "verify-full"
    if mode in (None, "disable"):
        return None
    try:
        context = ssl.create_default_context(cafile=root or None)
        if cert:
            context.load_cert_chain(cert, key or None)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"The certificates of the database cannot be read: {exc}") from exc
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


async def _unlock(connection: MySQLConnection, key: str) -> None:
    try:
        async with asyncio.timeout(_END):
            await connection.fetch("SELECT RELEASE_LOCK(?)", (key,))
    except Exception:  # noqa: BLE001 - it is closed, and its locks end with it
        connection.is_broken = True


_END = 5.0
"""Seconds that a lock may take to be given back."""
