"""The store of jobs in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from secrets import randbelow
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit
from uuid import UUID

from oxidite import clock
from oxidite.db import Database
from oxidite.db.connections.base import Driver
from oxidite.db.connections.options import PoolOptions, with_options
from oxidite.db.database import default_database
from oxidite.db.drivers import drivers
from oxidite.db.values.dialects import SQLITE
from oxidite.errors import ConfigError
from oxidite.lifespan import opened_before
from oxidite.queue.base import (
    Asked,
    BatchState,
    Claim,
    Count,
    Filter,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    Pushed,
    QueueState,
    Ready,
    Schedule,
    Signal,
    StoredJob,
    TaskMinute,
    WorkerState,
)
from oxidite.queue.stores.sql.home import Home
from oxidite.queue.stores.sql.planning import StoreSteps
from oxidite.queue.stores.sql.postgresql import PostgreSQLSteps, is_usual
from oxidite.queue.stores.sql.waking import ENDED, Channel, Waiters, Watch
from oxidite.queue.stores.sql.working import ENDS
from oxidite.queue.telling import until_told

__all__ = ["SQLStore"]

_TIMEOUT = 30.0
_DEFAULTS = {"sqlite": {"synchronous": "full"}}
"""A job that was pushed survives a power cut, too."""
_DOUBT = 60.0
"""Seconds after a failed exchange in which it may turn out that it has claimed something."""
_FEW = {"pool_size": 2, "pool_min": 1}
"""What keeps the lease of a worker, by connections apart, needs no more."""
_SCHEMA = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'ox_jobs'::regclass"
_POLL = 1.0
"""Seconds after which somebody who waits looks by himself."""
_BLIND = 0.5
"""Seconds after which a worker does, where the database tells nobody anything, as MariaDB."""


class SQLStore(JobStore):
    """Keeps jobs in SQL.

    ``db``, or ``db://name``, is a database of the application: what is pushed in an open transaction of it
    is there if that is committed, and only then. ``sqlite:///jobs.db`` and ``postgresql://…`` are the
    queue's own. A call may take ``timeout`` seconds, unless it goes through many jobs.
    """

    is_shared: bool = True
    is_durable: bool = True
    address: str | None = None
    place: str = ""

    def __init__(
        self, place: Database | Driver | Callable[[], Database], *, timeout: float = _TIMEOUT
    ) -> None:
        self._home = Home(place, timeout=timeout)
        # Of which kind it is, is known once it is open.
        self._steps: StoreSteps = StoreSteps(SQLITE)
        self._waiters = Waiters()
        self._channel: Channel | None = None
        self._watch: Watch | None = None
        self._listener: Driver | None = None
        # What workers of this process were given, so that a claim whose answer was lost is found.
        self._given: dict[str, set[UUID]] = {}
        self._doubtful: dict[str, float] = {}

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """Make one, in a database of its own or in one of ``resources``.

        Raises:
            ConfigError: there is no such database, or more than one, or the URL says something else.
        """
        if url.scheme == "db":
            if url.query or url.path.strip("/"):
                raise ConfigError(
                    "A queue in a database of the application is db, or db://name; the rest is as the "
                    "URL of the database says."
                )
            if resources:
                return cls(_database(url.netloc, resources))
            return cls(partial(_opened, url.netloc))
        said = dict(parse_qsl(url.query, keep_blank_values=True))
        query = urlencode({**_DEFAULTS.get(url.scheme, {}), **said})
        return cls(drivers.create(f"{url.scheme}://{url.netloc}{url.path}?{query}"))

    def joins(self, database: object) -> bool:
        """Tell whether it is in that database."""
        return self._home.database is database

    async def __aenter__(self) -> Self:
        await self._home.open()
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        return self

    async def _begin(self) -> None:
        home = self._home
        kind = PostgreSQLSteps if home.dialect.unnests else StoreSteps
        self._steps = kind(home.dialect)
        self._steps.shard = randbelow(2**15)
        self.is_shared = self.is_durable = not home.driver.has_one_connection
        await self._locate()
        if home.driver.has_channels:
            rows = await self._fetch("SELECT 'ox_jobs'::regclass::oid::bigint")
            pool = PoolOptions(pool_size=1, pool_leak=0.0)
            self._listener = home.driver.beside("queue", pool)
            await self._listener.__aenter__()
            # Of these tables: schemas have tables of their own.
            self._channel = Channel(self._listener, f"ox_jobs_{rows[0][0]}", self._waiters)
            self._channel.open()
        elif home.dialect.name == "sqlite" and self.is_shared:
            rows = await self._fetch("PRAGMA database_list")
            self._watch = Watch(f"{rows[0][2]}-wal", self._waiters)
            self._watch.open()

    async def _locate(self) -> None:
        """Find out where it is; one in the database of the application has no URL of its own."""
        address = self._home.driver.address
        self.place = "" if address is None else _without_secrets(address)
        if self._home.dialect.name == "postgresql":
            ((schema,),) = await self._fetch(_SCHEMA)
            self.place = f"{self.place} {schema}"
        self.address = (
            None if address is None or self._home.database is None else with_options(address, _FEW)
        )

    async def _fetch(self, sql: str) -> Sequence[Sequence[object]]:
        async with self._home.connection(write=True) as connection:
            return await connection.fetch(sql, ())

    async def _end(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._channel is not None:
            await self._channel.close()
        if self._listener is not None:
            await self._listener.__aexit__(None, None, None)
        self._channel = self._watch = self._listener = None
        await self._home.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._end()

    def _tell(self, names: Iterable[str]) -> None:
        """Wake who waits for one of these, here and elsewhere."""
        self._waiters.wake(names)
        if self._channel is not None:
            self._channel.tell(names)

    def _tell_all(self) -> None:
        """Wake everybody, after the commit."""

        def tell(_: Iterable[str]) -> None:
            self._waiters.wake_all()
            if self._channel is not None:
                self._channel.tell_all()

        self._home.after(tell, ())

    async def now(self) -> float:
        """Return the time of the database."""
        return await self._home.read(self._steps.now, apart=True)

    # Pushing

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs."""
        if not jobs and batch is None:
            return []
        is_plain = batch is None and not any(job.unique for job in jobs)
        if is_plain and self._home.dialect.unnests:
            pushed = await self._home.write(self._steps.push_apart, jobs)
        else:
            pushed = await self._home.write(self._steps.push, jobs, batch)
        if batch is not None and batch.total == len([each for each in pushed if not each.is_new]):
            # It may have ended with this: what follows is in queues of its own.
            jobs = (*jobs, *batch.success, *batch.failure, *batch.always)
        self._home.after(self._tell, {job.queue for job in jobs})
        return pushed

    # Working

    async def enter(self, worker: str, about: bytes, lease: float) -> None:
        """Make a worker known."""
        await self._home.write(self._steps.enter, worker, about, lease)
        self._given.setdefault(worker, set())

    async def beat(self, worker: str, lease: float) -> Asked:
        """Prolong a lease."""
        return await self._home.write(self._steps.beat, worker, lease)

    async def exit(self, worker: str) -> None:
        """Forget a worker."""
        await self._home.write(self._steps.exit, worker)
        self._given.pop(worker, None)
        self._doubtful.pop(worker, None)
        self._tell_all()

    async def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        """Take over outcomes and claim jobs."""
        given = self._given.setdefault(worker, set())
        try:
            claim = await self._exchanged(worker, outcomes, queues, limit)
            if worker in self._doubtful:
                lost = await self._lost(worker, given, claim)
                claim = Claim([*lost, *claim.jobs], claim.refused)
                if clock.perf() > self._doubtful[worker]:
                    del self._doubtful[worker]
        except BaseException:
            # It is not known whether something was claimed, nor when: the server may still be at it.
            self._doubtful[worker] = clock.perf() + _DOUBT
            raise
        given.difference_update(outcome.id for outcome in outcomes)
        given.update(job.id for job in claim.jobs)
        if outcomes:
            names = {ENDED, *(job.queue for each in outcomes for job in each.then)}
            if not all(each.kind in ENDS for each in outcomes):
                names.update(queues)
            self._tell(names)
        return claim

    async def _exchanged(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        if not isinstance(self._steps, PostgreSQLSteps) or not all(map(is_usual, outcomes)):
            return await self._home.write(self._steps.exchange, worker, outcomes, queues, limit)
        return await self._exchanged_apart(self._steps, worker, outcomes, queues, limit)

    async def _exchanged_apart(
        self,
        steps: PostgreSQLSteps,
        worker: str,
        outcomes: Sequence[Outcome],
        queues: Sequence[str],
        limit: int,
    ) -> Claim:
        """Exchange with one statement, and more of them only if that says so."""
        write = self._home.write
        done = await write(steps.exchange_usual, worker, outcomes, queues, limit)
        jobs = done.jobs
        if limit and done.is_live and done.has_due:
            await write(steps.make_ready, queues)
            if len(jobs) < limit:
                more = await write(steps.exchange_usual, worker, (), queues, limit - len(jobs))
                jobs = [*jobs, *more.jobs]
        left = [outcome for outcome in outcomes if outcome.id not in done.taken]
        is_short = done.is_live and done.has_limits and len(jobs) < limit
        if not left and not is_short:
            return Claim(jobs, [])
        rest = await write(steps.exchange, worker, left, queues, limit - len(jobs))
        return Claim([*jobs, *rest.jobs], rest.refused)

    async def _lost(self, worker: str, given: set[UUID], claim: Claim) -> list[Ready]:
        """Return what an exchange has claimed whose answer never came."""
        known = given | {job.id for job in claim.jobs}
        found = await self._home.read(self._steps.claimed_before, worker)
        return [job for job in found if job.id not in known]

    async def wait(
        self, queues: Sequence[str], within: float, *, worker: str = "", limit: int = 0
    ) -> Sequence[Ready]:
        """Return when there may be something to claim."""
        with self._waiters.waiting(queues) as event:
            due = await self._home.read(self._steps.next_due, queues)
            if self._channel is None and self._watch is None and self.is_shared:
                within = min(within, _BLIND)
            await until_told(event, within if due is None else min(due, within))
        return ()

    async def rescue(self, poison: int) -> int:
        """Have the jobs of lost workers run again."""
        count = await self._home.write(self._steps.rescue, poison)
        if count:
            self._tell_all()
        return count

    async def save(
        self, id: UUID, attempt: int, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        """Keep how far a job is."""
        return await self._home.write(self._steps.save, id, attempt, progress, state)

    # Events

    async def signal(self, signal: Signal) -> int:
        """Keep an event, and wake the jobs that wait for it."""
        woken, queues = await self._home.write(self._steps.signal, signal)
        self._home.after(self._tell, queues)
        return woken

    async def listen(
        self, id: UUID, attempt: int, event: bytes, about: bytes, within: float
    ) -> bytes | None:
        """Return the value of an event, or have a job given it."""
        return await self._home.write(self._steps.listen, id, attempt, event, about)

    # Looking and changing

    async def get(self, ids: Sequence[UUID]) -> list[StoredJob | None]:
        """Return jobs."""
        if not ids:
            return []
        found = await self._home.read(self._steps.get, ids)
        return [found.get(id) for id in ids]

    async def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        """Go through jobs."""
        last: UUID | None = None
        while page := await self._home.read(self._steps.page, filter, last):
            for job in page:
                yield job
            last = page[-1].id

    async def counts(self, filter: Filter) -> list[Count]:
        """Count jobs."""
        return await self._home.read(self._steps.counts, filter)

    async def cancel(self, filter: Filter) -> int:
        """Cancel jobs."""
        count = await self._home.write_long(self._steps.cancel, filter)
        self._tell_all()
        return count

    async def retry(
        self,
        filter: Filter,
        *,
        args: bytes | None = None,
        version: int | None = None,
        saved: bytes | None = None,
        attempt: int | None = None,
    ) -> int:
        """Let jobs run again."""
        count = await self._home.write_long(
            self._steps.retry,
            filter,
            args=args,
            version=version,
            saved=saved,
            attempt=attempt,
        )
        self._tell_all()
        return count

    async def delete(self, filter: Filter) -> int:
        """Forget jobs."""
        return await self._home.write_long(self._steps.delete, filter)

    async def prune(self) -> int:
        """Forget what was kept long enough."""
        pruned = 0
        while count := await self._home.write(self._steps.prune):
            pruned += count
        await self._home.write_long(self._steps.prune_rest)
        return pruned

    # Queues

    async def queues(self) -> list[QueueState]:
        """Return the queues."""
        return await self._home.read(self._steps.queues)

    async def pause(self, queue: str, *, paused: bool) -> None:
        """Pause a queue, or let it go on."""
        await self._home.write(self._steps.pause, queue, paused=paused)
        self._home.after(self._tell, (queue,))

    async def limit(self, queue: str, limits: Limits) -> None:
        """Set what a queue allows."""
        await self._home.write_long(self._steps.limit, queue, limits)
        self._home.after(self._tell, (queue,))

    async def workers(self) -> list[WorkerState]:
        """Return the workers."""
        return await self._home.read(self._steps.workers)

    async def statistics(self, since: float) -> list[TaskMinute]:
        """Return what happened."""
        return await self._home.read(self._steps.statistics, since)

    async def batch(self, id: UUID) -> BatchState | None:
        """Tell how far a batch is."""
        return await self._home.read(self._steps.batch, id)

    # Schedules

    async def schedules(self) -> list[Schedule]:
        """Return the schedules."""
        return await self._home.read(self._steps.schedules)

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule."""
        await self._home.write(self._steps.save_schedule, schedule)

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule."""
        return await self._home.write(self._steps.remove_schedule, name)

    async def fire(self, name: str, slot: float, jobs: Sequence[NewJob]) -> bool:
        """Push the jobs of a slot."""
        is_first = await self._home.write(self._steps.fire, name, slot, jobs)
        if is_first:
            self._home.after(self._tell, {job.queue for job in jobs})
        return is_first

    async def lead(self, role: str, worker: str, lease: float) -> bool:
        """Tell whether a worker has a role."""
        return await self._home.write(self._steps.lead, role, worker, lease)

    async def results(self, ids: Sequence[UUID], within: float) -> Mapping[UUID, StoredJob]:
        """Wait until one of these has ended."""
        ends = clock.monotonic() + within
        while True:
            with self._waiters.waiting((ENDED,)) as event:
                found = await self._home.read(self._steps.ended, ids) if ids else {}
                left = ends - clock.monotonic()
                if found or left <= 0:
                    return found
                await until_told(event, min(left, _POLL))


def _without_secrets(url: str) -> str:
    """Return where a URL leads to, without who goes there and how."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _opened(name: str) -> Database:
    """Return the database that was opened before the queue: by the lifespan, or else the one there is."""
    before = opened_before()
    default = None if before or name else default_database()
    return _database(name, before if default is None else [default])


def _database(name: str, resources: Sequence[object]) -> Database:
    found = [each for each in resources if isinstance(each, Database)]
    meant = [each for each in found if each.name == (name or None)]
    if len(meant) == 1:
        return meant[0]
    url = f"db://{name}" if name else "db"
    if not meant:
        named = f", name={name!r}" if name else ""
        raise ConfigError(
            f"The queue is to be in {url}, and no such database was opened before it. Name both, in this "
            f"order: Oxidite(resources=[db, queue]), with db = Database.from_url(…{named})."
        )
    raise ConfigError(
        f"The queue is to be in {url}, and {len(meant)} databases are that. Name them, as in "
        "other = Database.from_url(…, name='other'), and one of them in the URL of the queue, "
        "db://other: Oxidite(resources=[db, other, queue])."
    )
