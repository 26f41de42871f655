"""Jobs in Redis: for many processes, and as durable as the server is set to be."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from secrets import token_hex
from types import TracebackType
from typing import Self, cast
from urllib.parse import SplitResult
from uuid import UUID

from oxidite import clock
from oxidite.drivers.redis import Argument, Redis, RedisOptions, Script
from oxidite.errors import BackendError, ConfigError
from oxidite.queue.base import (
    Asked,
    BatchState,
    Claim,
    Count,
    Filter,
    JobState,
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
from oxidite.queue.stores.advice import advise
from oxidite.queue.stores.redis import changing, events, forms, working
from oxidite.queue.stores.redis.pages import MOST, Pages, chunks
from oxidite.queue.stores.redis.waits import Waits
from oxidite.queue.telling import until_told

__all__ = ["RedisStore"]

_logger = logging.getLogger("oxidite.queue")

_LARGEST = 8_000_000  # bytes of arguments in one step
_BATCHES = 7 * 86_400.0  # seconds that the count of a batch is kept after its end
_VAIN = 3  # times that there seemed to be something to claim, and was not
_POLL = 1.0  # seconds after which who waits looks by itself, whatever it was told
_MOST_HANDED = 10  # jobs that are handed over at once: they go through a channel that holds 32 MB
_NOBODY = ("", 0, 0, 0)
_PREFIX = re.compile(r"[!-z|~]{0,50}")
_open: Counter[str] = Counter()
"""How many stores of this process are open at a place: what keeps the lease of a worker opens one, too."""


class _Seat:
    """A worker, as this process knows it: which of its calls was answered last, and what it was handed over."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.number = 0
        self.answered = 0
        self.told: asyncio.Event | None = None
        self.offer: list[bytes | None] = []

    def accepted(self, number: int) -> list[Ready]:
        """Return what was handed over to who waits by that number; from now on it is known here."""
        offer, self.offer, self.told = self.offer, [], None
        if not offer or self.number != number:
            return []
        self.answered = number
        return [forms.ready(offer[i : i + forms.READY]) for i in range(0, len(offer), forms.READY)]


class RedisStore(JobStore):
    """Keeps jobs in Redis, under keys that begin with ``{<prefix>q}:``.

    The server must evict nothing (``maxmemory-policy noeviction``), and is as durable as its log: with
    ``appendonly yes`` a crash of the machine may lose the last second, with ``appendfsync always`` nothing
    that was acknowledged. What is not so is told in the log when this opens.
    """

    is_shared: bool = True
    is_durable: bool = True

    def __init__(self, options: RedisOptions, *, prefix: str = "ox:") -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"prefix={prefix!r}: at most 50 characters of ASCII without spaces and braces are wanted."
            )
        self._redis = Redis(options)
        self.place: str = f"{options.place} {prefix}"
        self._prefix = f"{{{prefix}q}}:"
        self._name = token_hex(8)
        self._waits = Waits(
            options, self._key(f"k:{self._name}"), unwanted=self._pass_on, handed=self._hear_handed
        )
        self._pages = Pages(self._redis, self._prefix)
        self._seats: defaultdict[str, _Seat] = defaultdict(_Seat)
        self._vain = 0
        self._passing: set[asyncio.Task[object]] = set()

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """Make one from ``redis://user:password@host:6379/0?prefix=shop:``.

        Raises:
            ConfigError: the URL cannot be read, or says something that is not known.
        """
        options, rest = RedisOptions.from_url(url, others=["prefix"])
        return cls(options, **rest)

    async def __aenter__(self) -> Self:
        await self._redis.__aenter__()
        _open[self.place] += 1
        if _open[self.place] == 1:
            with contextlib.suppress(BackendError):  # it is away, or tells nobody how it is set
                await self._look_at_settings()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for each in self._passing:
            each.cancel()
        _open[self.place] -= 1
        await self._waits.close()
        await self._redis.__aexit__(kind, exc, tb)

    async def _look_at_settings(self) -> None:
        info = cast("bytes", await self._redis.run("INFO", safe=True)).decode()
        said = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        policy = said.get("maxmemory_policy", "noeviction")
        place = self._redis.options.place
        if policy != "noeviction":
            advise(
                "%s has the maxmemory-policy %s, and may throw jobs away when its memory is full: "
                "set it to noeviction",
                place,
                policy,
            )
        if said.get("aof_enabled") == "0":
            advise(
                "%s keeps no log (appendonly no): when it ends, jobs since its last snapshot are lost",
                place,
            )

    async def now(self) -> float:
        """Return the time of the server."""
        seconds, micros = cast("tuple[bytes, bytes]", await self._redis.run("TIME", safe=True))
        return int(seconds) + int(micros) / 1e6 + clock.travelled()

    # Pushing

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs; more than 500, or 8 MB, in several steps."""
        pushed: list[Pushed] = []
        begins = [] if batch is None else forms.batch_arguments(batch)
        for some in _by_size(jobs) or ([[]] if begins else []):
            args = (len(some), *forms.arguments_of(some), *begins)
            reply = cast("list[tuple[bytes, int]]", await self._call(working.PUSH, *args))
            pushed += [
                Pushed(job.id, True) if is_new else Pushed(UUID(id.decode()), False)
                for job, (id, is_new) in zip(some, reply, strict=True)
            ]
        return pushed

    # Working

    async def enter(self, worker: str, about: bytes, lease: float) -> None:
        """Make a worker known."""
        await self._call(working.ENTER, worker, about, repr(float(lease)))

    async def beat(self, worker: str, lease: float) -> Asked:
        """Prolong a lease."""
        reply = await self._call(working.BEAT, worker, repr(float(lease)))
        lost, cancel, paused = cast("tuple[int, list[bytes], list[bytes]]", reply)
        return Asked(
            [UUID(id.decode()) for id in cancel], sorted(map(bytes.decode, paused)), lost == 1
        )

    async def exit(self, worker: str) -> None:
        """Forget a worker."""
        while await self._call(working.EXIT, worker) == 1:
            pass
        self._seats.pop(worker, None)

    async def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        """Take over outcomes and claim jobs: of more than 500 outcomes those before the last in steps."""
        seat = self._seats[worker]
        refused: list[UUID] = []
        async with seat.lock:  # its calls are numbered, and must arrive in their order
            *before, last = list(chunks(outcomes, MOST)) or [outcomes]
            for some in before:
                refused += (await self._exchange(worker, seat, some, (), 0)).refused
            claim = await self._exchange(worker, seat, last, queues, min(limit, MOST))
        if claim.jobs:
            self._vain = 0
        return Claim(claim.jobs, refused + claim.refused)

    async def _exchange(
        self,
        worker: str,
        seat: _Seat,
        outcomes: Sequence[Outcome],
        queues: Sequence[str],
        limit: int,
    ) -> Claim:
        seat.number += 1
        number = seat.number
        said = (worker, limit, self._name, number, seat.answered, len(outcomes))
        args = (*said, *forms.outcome_arguments(outcomes), *queues)
        reply = await self._call(working.EXCHANGE, *args)
        seat.answered = number
        rows, refused = cast("tuple[list[forms.Row], list[bytes]]", reply)
        return Claim([forms.ready(row) for row in rows], [UUID(id.decode()) for id in refused])

    async def wait(
        self, queues: Sequence[str], within: float, *, worker: str = "", limit: int = 0
    ) -> Sequence[Ready]:
        """Return when there may be something to claim, or a worker was handed over what was pushed."""
        ends = clock.monotonic() + within
        await self._waits.open()
        seat = self._seats[worker] if worker and limit > 0 else _Seat()
        seat.number += 1
        number = seat.number
        said = (worker, number, seat.answered, min(limit, _MOST_HANDED)) if limit > 0 else _NOBODY
        with self._waits.listening(f"q{each}".encode() for each in queues) as told:
            seat.offer, seat.told = [], told
            while (left := ends - clock.monotonic()) > 0:
                soon = await self._until_due(said, queues)
                if soon <= 0:
                    self._vain += 1
                    if self._vain > _VAIN:
                        # For this worker there is none: it is not in a hurry.
                        await until_told(told, 0.1, within=_POLL)
                    break
                if await until_told(told, min(soon, left), within=_POLL):
                    break
        return seat.accepted(number)

    async def _until_due(self, said: Sequence[Argument], queues: Sequence[str]) -> float:
        try:
            return float(cast("bytes", await self._call(working.WAIT, self._name, *said, *queues)))
        except BackendError:
            return 1.0  # who claims will hear of it

    def _hear_handed(self, message: bytes) -> None:
        """Keep jobs for the worker that waits; for one that no longer does its next call gives them back."""
        number, worker, *offer = forms.parts_of(message)
        seat = self._seats.get((worker or b"").decode())
        if seat is not None and seat.told is not None and number == b"%d" % seat.number:
            seat.offer = offer
            seat.told.set()

    def _pass_on(self, queue: str) -> None:
        """Have another process told: nobody here waits for that queue any more."""
        task = asyncio.ensure_future(self._call(working.PASS, queue))
        self._passing.add(task)
        task.add_done_callback(self._passed)

    def _passed(self, task: asyncio.Task[object]) -> None:
        self._passing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.debug("nobody was told of a job, they will look by themselves: %s", error)

    async def rescue(self, poison: int) -> int:
        """Have the jobs of lost workers run again."""
        return await self._repeat(working.RESCUE, poison)

    async def save(
        self, id: UUID, attempt: int, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        """Keep how far a job is."""
        said = {"p": progress, "v": state}
        args = [part for name, each in said.items() if each is not None for part in (name, each)]
        return await self._call(working.SAVE, id.hex, attempt, *args) == 1

    # Events

    async def signal(self, signal: Signal) -> int:
        """Keep an event, and wake the jobs that wait for it."""
        woken, left = 0, 1
        while left:
            said = (signal.event.hex(), signal.value, repr(float(signal.keep)))
            reply = await self._call(events.SIGNAL, *said)
            some, left = cast("tuple[int, int]", reply)
            woken += some
        return woken

    async def listen(
        self, id: UUID, attempt: int, event: bytes, about: bytes, within: float
    ) -> bytes | None:
        """Return the value of an event, or have a job given it."""
        said = (id.hex, attempt, event.hex(), about, repr(float(within)))
        return cast("bytes | None", await self._call(events.LISTEN, *said))

    # Looking and changing

    async def get(self, ids: Sequence[UUID]) -> list[StoredJob | None]:
        """Return jobs."""
        found: dict[UUID, StoredJob] = {}
        for some in chunks([each.hex for each in ids], MOST):
            async for job in self._fetch(Filter(), some):
                found[job.id] = job
        return [found.get(each) for each in ids]

    async def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        """Go through jobs."""
        async for ids in self._pages.of(filter):
            async for job in self._fetch(filter, ids):
                yield job

    async def _fetch(self, filter: Filter, ids: Sequence[str]) -> AsyncIterator[StoredJob]:
        wanted, done = forms.filter_argument(filter), 0
        while done < len(ids):
            reply = await self._call(changing.GET, wanted, *ids[done:], safe=True)
            looked, rows = cast("tuple[int, list[forms.Row]]", reply)
            for row in rows:
                yield forms.stored(row)
            done += looked

    async def counts(self, filter: Filter) -> list[Count]:
        """Count jobs; by queue, task and state without a look at each."""
        if filter.ids is None and filter.batch is None and filter.group is None:
            return [each for each in await self._all_counts() if _fits(each, filter)]
        totals: defaultdict[tuple[str, str, JobState], int] = defaultdict(int)
        wanted = forms.filter_argument(filter)
        async for ids in self._pages.of(filter):
            reply = await self._call(changing.COUNT, wanted, *ids, safe=True)
            for each in forms.counts(cast("list[bytes | int]", reply)):
                totals[each.queue, each.task, each.state] += each.count
        return [Count(*key, many) for key, many in sorted(totals.items())]

    async def _all_counts(self) -> list[Count]:
        found = await self._redis.run("HGETALL", self._key("n"), safe=True)
        return forms.counts(_pairs(found))

    async def cancel(self, filter: Filter) -> int:
        """Cancel jobs."""
        return await self._change(changing.CANCEL, filter)

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
        changes = (int(args is not None), args or b"", forms.version_argument(version))
        rest = (int(saved is not None), saved or b"", "" if attempt is None else attempt)
        return await self._change(changing.RETRY, filter, *changes, *rest)

    async def delete(self, filter: Filter) -> int:
        """Forget jobs."""
        return await self._change(changing.DELETE, filter)

    async def prune(self) -> int:
        """Forget what was kept long enough."""
        return await self._repeat(changing.PRUNE, repr(_BATCHES))

    async def _change(self, script: Script, filter: Filter, *args: Argument) -> int:
        changed = 0
        wanted = forms.filter_argument(filter)
        async for ids in self._pages.of(filter):
            changed += cast("int", await self._call(script, wanted, *args, *ids))
        return changed

    async def _repeat(self, script: Script, arg: Argument) -> int:
        """Run a script that does so much at a time, until nothing is left; return how much it did."""
        total = 0
        while True:
            done, left = cast("tuple[int, int]", await self._call(script, arg))
            total += done
            if not left:
                return total

    # Queues

    async def queues(self) -> list[QueueState]:
        """Return the queues."""
        reply = await self._call(changing.QUEUES, safe=True)
        pairs, rows = cast("tuple[list[bytes], list[list[object]]]", reply)
        return forms.queue_states(pairs, rows)

    async def pause(self, queue: str, *, paused: bool) -> None:
        """Pause a queue, or let it go on."""
        await self._call(changing.PAUSE, queue, int(paused))

    async def limit(self, queue: str, limits: Limits) -> None:
        """Set what a queue allows."""
        await self._call(changing.LIMIT, queue, *forms.limit_arguments(limits))

    async def workers(self) -> list[WorkerState]:
        """Return the workers."""
        key = self._key("ws")
        leases, about = await self._redis.run_many(
            [("ZRANGE", key, 0, -1, "WITHSCORES"), ("HGETALL", self._key("wa"))], safe=True
        )
        said = dict(cast("Mapping[bytes, bytes]", about))
        known = sorted(cast("list[tuple[bytes, float]]", leases))
        running = await self._redis.run_many(
            [("SCARD", self._key(f"w:{name.decode()}")) for name, _ in known], safe=True
        )
        return [
            WorkerState(name.decode(), said.get(name, b""), until, cast("int", many))
            for (name, until), many in zip(known, running, strict=True)
        ]

    async def statistics(self, since: float) -> list[TaskMinute]:
        """Return what happened."""
        first = int(since // 60 * 60)
        found = await self._redis.run("ZRANGEBYSCORE", self._key("ms"), first, "+inf", safe=True)
        names = [each.decode() for each in cast("list[bytes]", found)]
        commands = [("HGETALL", self._key(f"m:{name}")) for name in names]
        replies = await self._redis.run_many(commands, safe=True)
        return [
            each
            for name, reply in zip(names, replies, strict=True)
            for each in forms.minutes(float(name), cast("list[bytes]", _pairs(reply)))
        ]

    # Batches

    async def batch(self, id: UUID) -> BatchState | None:
        """Tell how far a batch is."""
        reply = await self._call(changing.BATCH, id.hex, safe=True)
        return forms.batch_state(id, cast("forms.Row", reply))

    # Schedules

    async def schedules(self) -> list[Schedule]:
        """Return the schedules."""
        found = await self._redis.run("SMEMBERS", self._key("sn"), safe=True)
        names = sorted(cast("Iterable[bytes]", found))
        fields = ("plan", "origin", "enabled", "since", "last")
        commands = [("HMGET", self._key(f"sc:{name.decode()}"), *fields) for name in names]
        rows = cast("list[forms.Row]", await self._redis.run_many(commands, safe=True))
        made = [forms.schedule(name, row) for name, row in zip(names, rows, strict=True)]
        return [each for each in made if each is not None]

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule."""
        last = "" if schedule.last is None else repr(schedule.last)
        said = (schedule.name, schedule.plan, schedule.origin, int(schedule.enabled), last)
        await self._call(changing.SCHEDULE, *said)

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule."""
        gone, _ = await self._redis.run_many(
            [("DEL", self._key(f"sc:{name}")), ("SREM", self._key("sn"), name)]
        )
        return gone == 1

    async def fire(self, name: str, slot: float, jobs: Sequence[NewJob]) -> bool:
        """Push the jobs of a slot."""
        args = (name, repr(float(slot)), len(jobs), *forms.arguments_of(jobs))
        return await self._call(changing.FIRE, *args) == 1

    async def lead(self, role: str, worker: str, lease: float) -> bool:
        """Tell whether a worker has a role."""
        return await self._call(changing.LEAD, role, worker, repr(float(lease))) == 1

    async def results(self, ids: Sequence[UUID], within: float) -> Mapping[UUID, StoredJob]:
        """Wait until one of these has ended."""
        ends = clock.monotonic() + within
        await self._waits.open()
        with self._waits.listening(f"j{each.hex}".encode() for each in ids) as told:
            while True:
                told.clear()
                found = await self._ended(ids)
                left = ends - clock.monotonic()
                if found or left <= 0:
                    return found
                await until_told(told, left, within=_POLL)

    async def _ended(self, ids: Sequence[UUID]) -> dict[UUID, StoredJob]:
        found: dict[UUID, StoredJob] = {}
        for some in chunks([each.hex for each in ids], MOST):
            rows = await self._call(changing.RESULTS, self._name, *some)
            jobs = [forms.stored(row) for row in cast("list[forms.Row]", rows)]
            found |= {job.id: job for job in jobs}
        return found

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def _call(self, script: Script, *args: Argument, safe: bool = False) -> object:
        said = (repr(clock.travelled()), *args)
        return await self._redis.call(script, [self._prefix], said, safe=safe)


def _fits(count: Count, filter: Filter) -> bool:
    return (
        filter.queue in (None, count.queue)
        and filter.task in (None, count.task)
        and (filter.states is None or count.state in filter.states)
    )


def _pairs(found: object) -> list[bytes | int]:
    """Return a hash as names and values in turn."""
    both = cast("Mapping[bytes, bytes]", found)
    return [part for pair in both.items() for part in pair]


def _by_size(jobs: Sequence[NewJob]) -> list[list[NewJob]]:
    """Return jobs in parts that one step can take."""
    parts: list[list[NewJob]] = []
    size = 0
    for job in jobs:
        size += len(job.args)
        if not parts or size > _LARGEST or len(parts[-1]) == MOST:
            parts.append([])
            size = len(job.args)
        parts[-1].append(job)
    return parts
