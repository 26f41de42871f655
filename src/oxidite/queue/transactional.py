"""Pushing inside of a transaction, where jobs and rows are not in the same database.

A job of a transaction that is undone must never run, and one of a transaction that is committed must. So it
is written into the outbox of the database, in the same commit, and from there into the store: by this
process, at once, or if that has ended by any other with the same queue. As the store knows a job by its id,
it is there once, however often it was pushed.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from oxidite.errors import ConfigError, OxiditeError
from oxidite.queue.base import JobStore, NewBatch, NewJob, Pushed, Signal
from oxidite.queue.stores.sealed import SealedStore

if TYPE_CHECKING:
    from oxidite.db.connections.transaction import Transaction
    from oxidite.db.database import Database
    from oxidite.db.outbox.outbox import Message
    from oxidite.db.outbox.relay import Relay

__all__ = ["AfterCommit", "open_transaction"]

_logger = logging.getLogger("oxidite.queue")

_LONGEST_NAME = 100
_MOST = 500  # jobs in one message
_LARGEST = 4_000_000  # bytes of arguments in one message
_NEVER = sys.maxsize  # attempts after which a message is given up
_PAUSE = 10.0  # seconds between two attempts, at most
_POLL = 5.0  # seconds after which what an ended process has left behind is seen

_served: list[tuple[Database, str, str]] = []
"""The databases that queues of this process push from, with their topics and where they push to."""


class _Parcel(Struct, frozen=True):
    """What a message of the outbox has in it."""

    jobs: list[NewJob]
    batch: NewBatch | None = None


class AfterCommit:
    """Pushes into ``store`` what was enqueued in transactions, once they are committed.

    Other processes know the queue by its ``name``: it says which store a message is for.
    """

    def __init__(self, store: JobStore, name: str) -> None:
        if not 0 < len(name) <= _LONGEST_NAME:
            raise ConfigError(f"The name of a queue has 1 to {_LONGEST_NAME} letters; {name!r:.50}")
        self._store = store
        self._topic = f"oxidite.queue:{name}"
        self._signals = f"oxidite.signals:{name}"
        self._relays: dict[Database, Relay] = {}
        self._opening = asyncio.Lock()
        self._is_open = False

    async def open(self) -> None:
        """Push what processes that ended have left in the databases that are open."""
        self._is_open = True
        if not self._store.is_shared:
            return
        for db in _open_databases():
            if self._store.joins(db):
                continue
            try:
                await self._serve(db)
            except ConfigError:
                raise
            except OxiditeError as exc:
                _logger.warning("no jobs can be enqueued in transactions of the database: %s", exc)

    def use(self, store: JobStore) -> None:
        """Push into another store from now on; for tests."""
        self._store = store

    async def close(self) -> None:
        """Push no more; what is left others do."""
        self._is_open = False
        relays, self._relays = self._relays, {}
        for db, relay in relays.items():
            _served.remove((db, self._topic, self._store.place))
            await relay.__aexit__(None, None, None)

    async def push(
        self, jobs: Sequence[NewJob], batch: NewBatch | None = None
    ) -> list[Pushed] | None:
        """Push with the commit, if a transaction is open that the store takes no part in; else ``None``."""
        transaction = open_transaction()
        if transaction is None or self._store.joins(transaction.owner):
            return None
        if self._store.is_shared:
            await self._write(transaction, jobs, batch)
        else:
            # It ends with this process anyway, so nobody else could push it.
            transaction.on_commit(partial(self._store.push, jobs, batch))
        return [Pushed(job.id, True) for job in jobs]

    async def signal(self, signals: Sequence[Signal]) -> bool:
        """Signal with the commit, if a transaction is open that the store takes no part in; else do nothing."""
        transaction = open_transaction()
        if transaction is None or self._store.joins(transaction.owner):
            return False
        for each in signals:
            if not self._store.is_shared:
                transaction.on_commit(partial(self._store.signal, each))
                continue
            store = self._store
            sealed = store.sealing.signal(each) if isinstance(store, SealedStore) else each
            # In their order: what was signalled last is what is kept.
            await self._add(transaction, self._signals, sealed, key=each.event.hex())
        return True

    async def _write(
        self, transaction: Transaction, jobs: Sequence[NewJob], batch: NewBatch | None
    ) -> None:
        if isinstance(self._store, SealedStore):
            # The outbox is read by who reads the database.
            jobs, batch = self._store.sealed(jobs, batch)
        # In their order: a job that ended before its batch is known would not count.
        key = None if batch is None else batch.id.hex
        for parcel in _parcels(jobs, batch):
            await self._add(transaction, self._topic, parcel, key=key)

    async def _add(
        self, transaction: Transaction, topic: str, message: Struct, *, key: str | None
    ) -> None:
        from oxidite.db.database import Database
        from oxidite.db.outbox.outbox import Outbox

        db = transaction.owner
        assert isinstance(db, Database)  # noqa: S101 - others are none of an application's
        relay = self._relays.get(db)
        outbox = Outbox(db) if relay is None else relay.outbox
        await outbox.add(topic, message, key=key)
        if relay is None:
            transaction.on_commit(partial(self._serve, db))

    async def _serve(self, db: Database) -> None:
        """Have the messages of a database pushed, from now on."""
        async with self._opening:
            if self._is_open and db not in self._relays:
                self._relays[db] = await self._relay(db)
        if db in self._relays:
            self._relays[db].wake()

    async def _relay(self, db: Database) -> Relay:
        from oxidite.db.outbox.outbox import Outbox
        from oxidite.db.outbox.relay import Relay

        mine = (db, self._topic, self._store.place)
        if any(each[:2] == mine[:2] and each != mine for each in _served):
            raise ConfigError(
                f"Two queues with different stores are called {self._topic.partition(':')[2]!r}, and jobs that "
                "are enqueued in transactions would get into the wrong one: give one of them another name=."
            )
        relay = Relay(
            Outbox(db),
            {self._topic: self._push_message, self._signals: self._signal_message},
            attempts=_NEVER,
            longest_pause=_PAUSE,
            poll=_POLL,
        )
        # It must not begin in a transaction that is open here.
        await asyncio.create_task(_entered(relay), context=contextvars.Context())
        _served.append(mine)
        return relay

    @property
    def _plain_store(self) -> JobStore:
        """Where what is in the outbox goes, which is encrypted already."""
        return self._store.store if isinstance(self._store, SealedStore) else self._store

    async def _push_message(self, message: Message) -> None:
        parcel = message.read(_Parcel)
        await self._plain_store.push(parcel.jobs, parcel.batch)

    async def _signal_message(self, message: Message) -> None:
        await self._plain_store.signal(message.read(Signal))


async def _entered(relay: Relay) -> None:
    await relay.__aenter__()


def _parcels(jobs: Sequence[NewJob], batch: NewBatch | None) -> Iterator[_Parcel]:
    some: list[NewJob] = []
    size = 0
    for job in jobs:
        if some and (len(some) == _MOST or size + len(job.args) > _LARGEST):
            yield _Parcel(some, batch)
            some, size = [], 0
        some.append(job)
        size += len(job.args)
    if some or batch is not None:
        yield _Parcel(some, batch)


# The database takes a third of a second to import. Who has not done so has no transaction open.


def open_transaction() -> Transaction | None:
    """Return the transaction that is open here, in whichever database."""
    if "oxidite.db.connections.transaction" not in sys.modules:
        return None
    from oxidite.db.connections.transaction import innermost_transaction

    return innermost_transaction()


def _open_databases() -> list[Database]:
    if "oxidite.db.database" not in sys.modules:
        return []
    from oxidite.db.database import open_databases

    return open_databases()
