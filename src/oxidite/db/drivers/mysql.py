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
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote

from pymysql.err import MySQLError

from oxidite.db.base import Driver
from oxidite.db.dialects import MARIADB, MYSQL, Dialect
from oxidite.db.drivers.mysql_connection import MySQLConnection
from oxidite.db.drivers.mysql_wire import Wire
from oxidite.db.errors import DatabaseError
from oxidite.db.pool import Pool
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
_MODES_OF_TLS = ("disable", "require", "verify-ca", "verify-full")


class MySQLDriver(Driver):
    """A database of a MariaDB or MySQL server."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        size: int = 10,
        timeout: float = 10.0,
        patience: float = 10.0,
    ) -> None:
        self._options = options
        self._patience = patience
        self._about: dict[str, str] = {}
        self._dialect: Dialect | None = None
        self._pool: Pool[MySQLConnection] = Pool(self._connect, size=size, timeout=timeout)

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """``mysql://user:password@host:3306/name?pool_size=20&sslmode=verify-full``.

        ``socket`` is the path of a Unix socket, ``sslmode`` one of ``disable``, ``require``,
        ``verify-ca`` and ``verify-full`` with ``sslrootcert``, ``sslcert`` and ``sslkey``;
        ``pool_timeout`` and ``connect_timeout`` are seconds.
        """
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        options: dict[str, Any] = {
            "host": url.hostname or "localhost",
            "port": _port(url),
            "user": unquote(url.username or "root"),
            "password": unquote(url.password or ""),
            "db": _database(url),
            "unix_socket": query.pop("socket", None),
            "ssl": _tls(query),
        }
        size = int(_number(query, "pool_size", "10"))
        timeout = _number(query, "pool_timeout", "10")
        patience = _number(query, "connect_timeout", "10")
        if query:
            raise ConfigError(
                f"{url.scheme}://: unknown option {', '.join(sorted(query))}. Known are connect_timeout, "
                "pool_size, pool_timeout, socket, sslcert, sslkey, sslmode and sslrootcert."
            )
        return cls(options, size=size, timeout=timeout, patience=patience)

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

    async def __aenter__(self) -> Self:
        # One is opened now: it tells what the server is, or that it cannot be reached.
        taken, until = await self._pool.take()
        await self._pool.give_back(taken, until)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def connection(self, *, write: bool) -> AsyncIterator[MySQLConnection]:
        """Take a connection."""
        taken, until = await self._pool.take()
        while taken.is_gone:
            # The server was restarted, or thought that it had idled for too long.
            taken.is_broken = True
            await self._pool.give_back(taken, until)
            taken, until = await self._pool.take()
        try:
            yield taken
        finally:
            if taken.is_streaming:
                await asyncio.shield(taken.rest())
            await self._pool.give_back(taken, until)

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
        wire = Wire(**self._options)
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
        if dialect is MARIADB:
            # `SET a = b, b = a` swaps, as elsewhere.
            modes, collation = f"{_MODES},SIMULTANEOUS_ASSIGNMENT", "utf8mb4_nopad_bin"
        words = [
            f"NAMES utf8mb4 COLLATE {collation}",
            "autocommit = 1",
            f"sql_mode = '{modes}'",
            "time_zone = '+00:00'",
            "group_concat_max_len = 1073741824",
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


def _number(query: dict[str, str], name: str, default: str) -> float:
    text = query.pop(name, default)
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise ConfigError(f"{name}={text} is no positive number.")
    return found


def _tls(query: dict[str, str]) -> ssl.SSLContext | None:
    names = ("sslmode", "sslrootcert", "sslcert", "sslkey")
    mode, root, cert, key = (query.pop(name, None) for name in names)
    if mode not in (None, *_MODES_OF_TLS):
        raise ConfigError(f"sslmode={mode} is none of {', '.join(_MODES_OF_TLS)}.")
    if mode is None and (root or cert or key):
        mode = "verify-full"
    if mode in (None, "disable"):
        return None
    try:
        context = ssl.create_default_context(cafile=root)
        if cert:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"The certificates of the database cannot be read: {exc}") from exc
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context
