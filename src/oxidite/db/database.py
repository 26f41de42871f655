"""The database an application uses: plans, connections, transactions.

Which database a model talks to is decided when a statement runs: that of the open transaction, that
of ``using``, else the default one, which is the one that was opened. A connection is taken for a
statement and given back; only a transaction keeps one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, LiteralString, Protocol, Self, TypeVar

from oxidite.config import environment
from oxidite.db.answers import Answers
from oxidite.db.coalesce import Loads
from oxidite.db.connections.base import Driver, Isolation
from oxidite.db.connections.batch import Batch, Later, run_parts
from oxidite.db.connections.noting import noted
from oxidite.db.connections.options import (
    DatabaseOptions,
    OptionValue,
    database_options,
    with_options,
)
from oxidite.db.connections.replicas import ReplicatedDriver, pinned
from oxidite.db.connections.together import Together
from oxidite.db.connections.transaction import TransactionBlock
from oxidite.db.connections.watching import DatabaseStats, Watch
from oxidite.db.drivers import drivers
from oxidite.db.errors import DatabaseError
from oxidite.db.raw.raw import CoreStatement, RawQuery, bound_sql
from oxidite.db.sql.plan import Plans
from oxidite.db.sql.warming import warm_up
from oxidite.db.statements.cursors import own_signers
from oxidite.db.statements.repeats import watch_repeats
from oxidite.db.tables.history import leaves_history
from oxidite.db.tables.table import Table
from oxidite.security.signing import Signers

__all__ = [
    "Database",
    "HasTable",
    "changing",
    "database_of",
    "default_database",
    "open_databases",
]

R = TypeVar("R")

_using: ContextVar[Database | None] = ContextVar("oxidite.db.using", default=None)
_open: list[Database] = []
"""The open databases of this process, the default one first."""


class HasTable(Protocol):
    """A model."""

    __table__: Table


class Database(Answers):
    """A database, to be opened as a resource: ``Oxidite(resources=[db])``.

    ``name`` tells a second one apart; models that live there say ``database="name"``.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        name: str | None = None,
        options: DatabaseOptions | None = None,
    ) -> None:
        self.driver: Driver = driver
        self.name: str | None = name
        self.strict: bool = False
        """Whether awaiting a relation that is not loaded is an error; a query may say otherwise."""
        self.warns_of_repeats: bool = environment() == "development"
        """Whether a statement that one task runs again and again is logged, while it is open."""
        self._watches: bool = False
        self.options: DatabaseOptions = options or DatabaseOptions()
        self._plans: Plans | None = None
        self._watch = Watch(self.options.slow, name or "")
        self._loads = Loads(self._rows)
        self._alone: set[str] = set()
        self._opened = 0
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self.signers: Signers = own_signers()
        """What signs cursors: the application's, else keys that live as long as this object."""

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        name: str | None = None,
        replicas: Sequence[str] = (),
        **options: OptionValue,
    ) -> Self:
        """Make one of ``sqlite:///app.db`` or ``postgresql://…``.

        ``options`` are those that the URL may have, too: ``pool_size=20`` is ``?pool_size=20``. What
        is read outside of transactions is read from the ``replicas``, where there are any.

        Raises:
            UnknownBackendError: there is no such database.
            MissingExtraError: its driver is not installed.
            ConfigError: an option is not known, or wrong.
        """
        found, url = database_options(with_options(url, options))
        driver = drivers.create(url)
        if not replicas:
            return cls(driver, name=name, options=found)
        theirs = [
            drivers.create(database_options(with_options(each, options))[1]) for each in replicas
        ]
        return cls(ReplicatedDriver(driver, theirs, found), name=name, options=found)

    def use_signers(self, signers: Signers) -> None:
        """Sign with an application's secret; called by the one that has this among its resources."""
        self.signers = signers

    async def __aenter__(self) -> Self:
        # Who opens it again uses what is open: an application in a test that has opened it, too.
        async with self._turn():
            if self._plans is None:
                await self._open()
            self._opened += 1
        return self

    async def _open(self) -> None:
        await self.driver.__aenter__()
        try:
            warm_up(self.driver.dialect)
        except BaseException:
            await self.driver.__aexit__(None, None, None)
            raise
        self._watch.reset()
        self._plans = Plans(self.driver.dialect)
        if self.name is None:
            _open.insert(0, self)
        else:
            _open.append(self)
        self._watches = self.warns_of_repeats
        if self._watches:
            watch_repeats(on=True)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._opened -= 1
        if self._opened:
            return
        async with self._turn():
            if self._opened or self._plans is None:
                return  # somebody has opened it again meanwhile
            _open.remove(self)
            if self._watches:
                watch_repeats(on=False)
            self._plans = None
            await self.driver.__aexit__(kind, exc, tb)

    def _turn(self) -> asyncio.Lock:
        """Return what lets one task at a time open or close it; of this event loop, as tests have many."""
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = (loop, asyncio.Lock())
        return self._turns[1]

    @property
    def stats(self) -> DatabaseStats:
        """How it is now, and what it did since it was opened."""
        return DatabaseStats(
            statements=self._watch.statements,
            seconds=self._watch.seconds,
            slow=self._watch.slow,
            plans=0 if self._plans is None else len(self._plans),
            pools=self.driver.pools,
        )

    async def push(self, *tables: HasTable) -> None:
        """Create the tables of models that are not there yet, with their indexes; nothing is changed.

        For tests, scripts and the first hours of an application.
        """
        from oxidite.db.sql.schema import create_statements

        found = [each.__table__ for each in tables]
        async with self.driver.connection(write=True) as connection:
            for sql in create_statements(found, self.dialect):
                await connection.run(sql, ())

    def batch(self) -> Batch:
        """Ask several things at once: ``async with db.batch() as batch: users = batch.add(User.all())``.

        They run at the end of the block. On PostgreSQL the reads of models are asked for by one
        statement, in one round trip: 32 at a time. Everything else runs on a connection of its own,
        eight at a time, so the whole takes as long as the slowest; in a transaction, which has one
        connection, one after the other.
        """
        return Batch(self._run_parts)

    async def _run_parts(self, parts: Sequence[Later[Any]]) -> None:
        joins = self.dialect.joins_reads
        await run_parts(self, parts, Together(self._read, self._alone) if joins else None)

    async def _read(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        async with self.driver.connection(write=False) as connection:
            return await self._watch.run(connection.fetch, sql, values)

    def lock(self, name: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        """Do what is inside while nobody else does: ``async with db.lock("import", timeout=5):``.

        One holder at a time has the lock of a name, in all the processes that use this database; on
        SQLite, all of this machine. It ends with the block, or with the process. ``timeout`` is in
        seconds, and ``None`` waits for as long as it takes. It keeps a connection of its own, except
        on SQLite, and is not the transaction's.

        Raises:
            LockTimeoutError: it was not free in time.
        """
        return self.driver.lock(name, timeout)

    # The ways out.

    def sql(self, text: LiteralString, /, **values: object) -> RawQuery[tuple[Any, ...]]:
        """Make a query of SQL: ``await db.sql("SELECT … WHERE age > :age", age=3).into(Row).all()``.

        Values are bound by their names; ``IN :ids`` takes a list. The text is a literal, so that nobody
        puts values into it.

        Raises:
            QueryError: a parameter has no value, or a value no parameter.
        """
        return bound_sql(self, text, values)

    def sa(self, statement: CoreStatement) -> RawQuery[tuple[Any, ...]]:
        """Make a query of a statement of SQLAlchemy's Core, to be run by our driver.

        Values are bound by their Python types, and rows are what the driver has: ``into`` converts them.
        """
        from oxidite.db.raw.core import core_query

        return core_query(self, statement)

    def sa_table(self, model: HasTable) -> Any:  # SQLAlchemy is not imported to name a type
        """Return the ``sqlalchemy.Table`` of a model, for statements that ``sa`` runs."""
        from oxidite.db.sql.schema import metadata

        table = model.__table__
        return metadata([table], self.dialect).tables[table.name]

    # Transactions.

    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False, retry: int = 0
    ) -> TransactionBlock:
        """Do all that is done inside as a whole, or not at all.

        As ``async with db.transaction():``, or around a function as ``@db.transaction(retry=3)``, which
        runs it again when the database says that two transactions stood in each other's way. Inside of
        another one it is a savepoint: what it did is undone alone. What is cancelled is undone.
        """
        return TransactionBlock(self, isolation, read_only=read_only, retry=retry)

    def primary(self) -> AbstractContextManager[None]:
        """Read where it is written, not from replicas, inside the block: ``with db.primary(): …``.

        Not needed by who has written himself: that is known for some seconds.
        """
        return pinned()

    @contextlib.contextmanager
    def using(self) -> Iterator[Self]:
        """Have models use this database inside the block."""
        before = _using.get()
        _using.set(self)
        try:
            yield self
        finally:
            _using.set(before)


def database_of(table: Table) -> Database:
    """Return the database that a table is in, as things stand.

    Raises:
        DatabaseError: none is open.
    """
    chosen = _using.get()
    if chosen is not None:
        return chosen
    for each in _open:
        if each.name == table.database:
            return each
    raise DatabaseError(
        "No database is open. Give one to the application: Oxidite(resources=[db]); in a script, "
        "async with Database.from_url(…) as db: …"
        if table.database is None
        else f"No database named {table.database!r} is open: Database.from_url(…, name={table.database!r})."
    )


async def changing(database: Database, table: Table, work: Callable[[], Awaitable[R]]) -> R:
    """Do work that changes rows of a table without a statement of ours; its history knows who does it."""
    return await (noted(database, work) if leaves_history(table) else work())


def open_databases() -> list[Database]:
    """Return the databases that are open in this process."""
    return list(_open)


def default_database() -> Database | None:
    """Return the open database that tables are in unless they say otherwise, if there is one."""
    return next((each for each in _open if each.name is None), None)
