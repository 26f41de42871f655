"""A connection to MariaDB or MySQL: statements, transactions, streams, and what becomes of errors."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn

from pymysql.err import MySQLError

from oxidite.db.connections.base import Connection, Done, Isolation
from oxidite.db.drivers.mysql_errors import (
    LOST,
    TAKEN,
    UNDONE,
    another_key,
    index_of,
    table_of,
    typed,
)
from oxidite.db.drivers.mysql_wire import Wire
from oxidite.db.errors import (
    ConflictingTransactionsError,
    DatabaseError,
    OverlapError,
    QueryError,
    TransactionError,
)
from oxidite.db.values.dialects import ANOTHER_KEY, ONLY
from oxidite.db.values.literals import written
from oxidite.errors import BackendUnavailableError, OxiditeError

__all__ = ["MySQLConnection"]

_VALUES = re.compile(
    r"""(.*\bVALUES\s*)(\((?:[^()'"`]|'[^']*')*\))\s*""", re.IGNORECASE | re.DOTALL
)
_BATCH = 1_000_000
"""Bytes of rows that go into one statement."""
_MANY_ROWS = 1242
_TURNS = 5
"""Turns of the event loop after which a generator that nobody holds is being closed."""
_END = 5.0
"""Seconds that ending a statement from outside may take."""


class MySQLConnection(Connection):
    """A connection to MariaDB or MySQL."""

    def __init__(
        self,
        wire: Wire,
        *,
        product: str,
        max_packet: int,
        id_step: int,
        end: Callable[[str], Awaitable[None]],
    ) -> None:
        self._wire = wire
        self._product = product
        self._max_packet = max_packet
        self._id_step = id_step
        self._end = end
        self._inside = False
        self._undone = False
        self._stream: Any = None
        self._resting = asyncio.Lock()
        self._was_cut = False
        self._is_broken = False

    # The server closes it while nobody looks, so it is found out when somebody asks.
    @property
    def is_broken(self) -> bool:
        """Whether it must not be used again: a statement did not finish, or the server has closed it."""
        return self._is_broken or self._wire.is_gone

    @is_broken.setter
    def is_broken(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._is_broken = value

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._ask("DO 0", ())

    @property
    def is_streaming(self) -> bool:
        """Whether the rows of a stream were not all read."""
        return self._stream is not None

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        result = await self._ask(sql, values)
        rows = result.rows
        return rows if isinstance(rows, list) else list(rows or ())

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows; of several inserted ones the first has the key told."""
        if self._undone and sql.startswith(("ROLLBACK TO", "RELEASE")):
            return Done(0)  # the savepoint went with its transaction
        result = await self._ask(sql, values)
        return Done(result.affected_rows, result.insert_id or None, self._id_step)

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows, with their names."""
        result = await self._ask(sql, values)
        return list(map(_named(result), result.rows or ()))

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``, all or none; an INSERT takes many at once."""
        if self._inside:
            return await self._many(sql, rows)
        await self.begin(isolation=None, read_only=False)
        try:
            done = await self._many(sql, rows)
            await self.commit()
        except BaseException:
            if not self.is_broken:
                await asyncio.shield(self.rollback())
            raise
        return done

    async def _many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        found = _VALUES.fullmatch(sql)
        touched = 0
        if found is None:
            for row in rows:
                touched += (await self._ask(sql, row)).affected_rows
            return Done(touched)
        head, row_sql = found.group(1).encode(), found.group(2)
        backslashes = self._wire.has_backslashes
        batch: list[bytes] = []
        size = 0
        for row in rows:
            batch.append(written(row_sql, row, backslashes=backslashes))
            size += len(batch[-1])
            if size > _BATCH:
                await self._send(head + b", ".join(batch), sql)
                batch, size = [], 0
        if batch:
            await self._send(head + b", ".join(batch), sql)
        return Done(len(rows))

    async def stream(
        self, sql: str, values: Sequence[object], size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size`` as the server sends them; no other statement can run meanwhile."""
        result = await self._ask(sql, values, unbuffered=True)
        self._stream = result
        try:
            named = _named(result)
            while rows := await self._some(result, size, sql):
                yield list(map(named, rows))
        finally:
            if self._stream is result:
                await asyncio.shield(self.rest())

    async def _some(self, result: Any, size: int, sql: str) -> list[Any]:
        """Read some rows of a stream."""
        if self._stream is not result:
            raise TransactionError(
                "The transaction of these rows has ended before all of them were read."
            )
        rows: list[Any] = []
        with self._guard() as failed:
            while len(rows) < size and (
                row := await result._read_rowdata_packet_unbuffered()  # noqa: SLF001 - what its cursors do
            ):
                rows.append(row)
        if failed:
            await self._fail(failed[0], sql)
        return rows

    async def rest(self) -> None:
        """End the stream that was left before its end, if there is one; the transaction goes on."""
        async with self._resting:
            await self._rest()

    async def _rest(self) -> None:
        result, self._stream = self._stream, None
        if result is None or self.is_broken or not result.unbuffered_active:
            return
        try:
            async with asyncio.timeout(_END):
                # There is no other way than to end the statement.
                await self._end(f"KILL QUERY {self._wire.thread_id()}")
                with contextlib.suppress(MySQLError):
                    await result._finish_unbuffered_query()  # noqa: SLF001 - as above
                result.unbuffered_active = False
                with contextlib.suppress(MySQLError):
                    await self._wire.query(b"DO 0")  # if the end came too late, this takes the blow
        except Exception:  # noqa: BLE001 - whatever it was, the connection is of no use any more
            self._is_broken = True

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction."""
        if isolation is not None:
            await self.run(f"SET TRANSACTION ISOLATION LEVEL {isolation.upper()}", ())
        await self.run("START TRANSACTION READ ONLY" if read_only else "START TRANSACTION", ())
        self._inside = True

    async def commit(self) -> None:
        """End it and keep what was done."""
        await self.rest()
        await self._ask("COMMIT", ())

    async def rollback(self) -> None:
        """End it and undo what was done."""
        self._inside = self._undone = False
        if self.is_broken:
            return  # the server undoes it when the connection is closed
        await self.rest()
        await self.run("ROLLBACK", ())

    async def close(self) -> None:
        """Close it; what was cut off is ended on the server too, where it would hold its locks."""
        if self._was_cut:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_END):
                    await self._end(f"KILL CONNECTION {self._wire.thread_id()}")
        if not self.is_broken:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_END):
                    await self._wire.ensure_closed()
        await self._wire.end()

    # How it is done.

    async def _ask(self, sql: str, values: Sequence[object], *, unbuffered: bool = False) -> Any:
        text = written(sql, values, backslashes=self._wire.has_backslashes)
        return await self._send(text, sql, unbuffered=unbuffered)

    async def _send(self, text: bytes, sql: str, *, unbuffered: bool = False) -> Any:
        if self._stream is not None or self._resting.locked():
            await self._left()
        self._check(len(text))
        was_inside = self._inside
        if sql in ("COMMIT", "ROLLBACK"):
            self._inside = False
        with self._guard() as failed:
            await self._wire.query(text, unbuffered=unbuffered)
        if failed:
            await self._fail(failed[0], sql)
        if was_inside and self._inside and not self._wire.get_transaction_status():
            self._inside = False
            raise TransactionError(
                f"{self._product} commits before a statement that changes the schema, so the "
                "transaction around it has ended. Change the schema outside of transactions."
            )
        return self._wire.result

    async def _left(self) -> None:
        """Let a stream come to its end whose loop was left just now: it is closed some turns later."""
        for _ in range(_TURNS):
            if self._stream is None:
                break
            await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no time
        async with self._resting:
            pass

    def _check(self, size: int) -> None:
        if self._undone:
            raise ConflictingTransactionsError(
                "The database has undone this whole transaction because of a conflict. Run all of it "
                "again: @db.transaction(retry=3)."
            )
        if self.is_streaming:
            raise OverlapError(
                f"{self._product} sends rows over this connection just now, and a statement must wait "
                "until all are read. Collect what is to be changed and change it after the loop."
            )
        if size >= self._max_packet:
            raise QueryError(
                f"This statement has {size:,} bytes, and the server takes no more than "
                f"{self._max_packet:,} (max_allowed_packet)."
            )

    @contextlib.contextmanager
    def _guard(self) -> Any:
        """Note what the server says went wrong; after anything else the connection is not used again."""
        failed: list[MySQLError] = []
        try:
            yield failed
        except MySQLError as exc:
            failed.append(exc)
        except BaseException as exc:
            self._is_broken = True
            self._was_cut = isinstance(exc, asyncio.CancelledError | GeneratorExit)
            raise

    async def _fail(self, exc: MySQLError, sql: str) -> NoReturn:
        raise await self._error(exc, sql) from exc

    async def _error(self, exc: MySQLError, sql: str) -> OxiditeError:
        number, message = (*exc.args, "")[:2] if len(exc.args) > 1 else (2013, str(exc))
        if self._wire.closed or number in LOST:
            self._is_broken = True
            return BackendUnavailableError(f"{self._product}: {message}")
        if not isinstance(number, int):
            self._is_broken = True
            return DatabaseError(f"{self._product}: {exc}")
        self._undone = self._inside and number in UNDONE
        if number == _MANY_ROWS and ANOTHER_KEY in sql:
            return another_key()
        columns = await self._columns(message, sql) if number in TAKEN else ()
        return typed(number, message, self._product, columns=columns)

    async def _columns(self, message: str, sql: str) -> Sequence[str]:
        """Return the columns of the unique index that a message is about."""
        index, table = index_of(message), table_of(sql)
        if index is None or table is None:
            return ()
        text = written(_INDEX_COLUMNS, (table, index), backslashes=self._wire.has_backslashes)
        try:
            await self._wire.query(text)
        except MySQLError:
            return ()
        return [name for (name,) in self._wire.result.rows or () if not name.startswith(ONLY)]


_INDEX_COLUMNS = (
    "SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() "
    "AND table_name = ? AND index_name = ? ORDER BY seq_in_index"
)


def _named(result: Any) -> Callable[[Sequence[Any]], Any]:
    """Return what gives a row the names of its columns."""
    names = tuple([each[0] for each in result.description or ()])
    return type("Row", (tuple,), {"__slots__": (), "keys": lambda _: names})
