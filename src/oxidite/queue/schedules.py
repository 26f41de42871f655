"""Jobs that are pushed by the clock: each slot once, however many hosts there are.

::

    queue.cron("0 3 * * *", nightly.job(), zone="Europe/Berlin")

Every worker looks at every schedule, and whoever is first to say that a slot is fired pushes its job, in one
step; so there is no leader whose end would be noticed too late. What the program declares is fired only by
programs that declare it; what was added at run time is fired by all.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, structs

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, encode_msgpack
from oxidite.errors import ConfigError, OxiditeError
from oxidite.instrument import event
from oxidite.queue.base import Filter, JobState, JobStore, NewJob, Schedule, Unique
from oxidite.queue.cron import Cron
from oxidite.queue.errors import JobUnreadableError
from oxidite.queue.making import JobMaker
from oxidite.queue.sealing import is_sealed
from oxidite.queue.stores.sealed import sealing_of
from oxidite.queue.task import Call

__all__ = ["Missed", "Overlap", "Planned", "ScheduleNotFoundError", "Schedules"]

_logger = logging.getLogger("oxidite.queue")

Missed = Literal["skip", "latest", "all"]
"""What becomes of slots that nobody was there to fire: none, the last of them, or all, a thousand at most."""

Overlap = Literal["allow", "skip", "cancel"]
"""What a slot does when the job of an earlier one has not ended: runs beside it, is left out, or ends it."""

_LATE = 60.0  # seconds after which a slot was missed: nobody was there when it came
_MOST = 1000  # slots that are made up for at once
_REACH = 3600.0  # seconds back from now in which slots that are due are looked for first
_NAMES = 200


class ScheduleNotFoundError(OxiditeError):
    """There is no schedule of that name."""

    code = "schedule_not_found"


class _Plan(Struct, frozen=True, kw_only=True):
    """What a store keeps of a schedule."""

    expression: str
    zone: str
    task: str
    args: bytes
    version: int
    queue: str
    priority: int
    timeout: float
    keep: float
    group: str | None
    jitter: float
    missed: Missed
    overlap: Overlap
    expected: float | None
    delay: float = 0.0
    unique: Unique | None = None


_codec: Codec[_Plan] = codec_for(_Plan)


@dataclass(frozen=True)
class Planned:
    """A schedule, as people see it."""

    name: str
    expression: str
    zone: str
    task: str
    enabled: bool
    origin: Literal["code", "run_time"]
    missed: Missed
    overlap: Overlap
    last: datetime | None
    """The slot that was fired last."""
    next: datetime | None
    """The slot that comes next; ``None`` for one that is not enabled."""


class Schedules:
    """The schedules of a queue."""

    def __init__(self, store: JobStore, maker: JobMaker) -> None:
        self._store = store
        self._maker = maker
        self._code: dict[str, _Plan] = {}
        self._crons: dict[tuple[str, str], Cron] = {}
        self._late: dict[str, float] = {}
        self._unreadable: dict[str, bytes] = {}

    def use(self, store: JobStore) -> None:
        """Keep the schedules in another store; for tests."""
        self._store = store

    def declare(
        self,
        expression: str,
        call: Call[Any],
        *,
        name: str | None = None,
        zone: str = "UTC",
        jitter: float = 0.0,
        missed: Missed = "latest",
        overlap: Overlap = "allow",
        expected: float | None = None,
    ) -> str:
        """Declare a schedule of the program, and return its name: that of the task unless said.

        See ``Queue.cron``.
        """
        name = call.task.name if name is None else name
        if name in self._code:
            raise ConfigError(f"There are two schedules called {name!r}: give one of them a name=.")
        settings = (zone, jitter, missed, overlap, expected)
        self._code[name] = self._plan(name, expression, call, *settings)
        return name

    async def open(self) -> None:
        """Let the store know what the program declares, and encrypt with the newest secret what others had."""
        for name, plan in self._code.items():
            await self._save(name, plan, "code")
        if sealing_of(self._store) is not None:
            for schedule in await self._store.schedules():
                if schedule.origin == "run_time":
                    await self._seal_anew(schedule)

    async def add(
        self,
        name: str,
        expression: str,
        call: Call[Any],
        *,
        zone: str = "UTC",
        jitter: float = 0.0,
        missed: Missed = "latest",
        overlap: Overlap = "allow",
        expected: float | None = None,
    ) -> None:
        """Add a schedule at run time, or change one that was added so.

        Raises:
            ConfigError: the program declares one of that name, or something cannot be read.
        """
        if name in self._code:
            raise ConfigError(f"The program declares a schedule {name!r}; change it there.")
        plan = self._plan(name, expression, call, zone, jitter, missed, overlap, expected)
        await self._save(name, plan, "run_time")

    async def _save(self, name: str, plan: _Plan, origin: Literal["code", "run_time"]) -> None:
        known, kept = await self._known(name), self._kept(name, plan)
        if known.plan and _when(known.plan) != _when(kept):
            # From now on: of what it says now nothing was missed before.
            await self._store.fire(name, await self._store.now(), [])
        await self._store.save_schedule(structs.replace(known, plan=kept, origin=origin))

    async def remove(self, name: str) -> None:
        """Remove a schedule; one that the program declares comes back when it starts.

        Raises:
            ScheduleNotFoundError: there is none of that name.
        """
        if not await self._store.remove_schedule(name):
            raise ScheduleNotFoundError(f"There is no schedule {name!r}.")

    async def enable(self, name: str, *, enabled: bool = True) -> None:
        """Let a schedule fire, or not; what it misses meanwhile is not made up for.

        Raises:
            ScheduleNotFoundError: there is none of that name.
        """
        found = await self._find(name)
        if enabled and not found.enabled:
            # From now on: everything before is as if it had been fired.
            await self._store.fire(name, await self._store.now(), [])
        await self._store.save_schedule(structs.replace(found, enabled=enabled))

    async def run(self, name: str) -> UUID:
        """Push the job of a schedule now, beside its slots, and return its id.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            JobUnreadableError: its arguments are encrypted with a secret that is not known here.
        """
        plan = self._read(await self._find(name))
        job = self._job(name, plan, await self._store.now(), unique=False)
        (pushed,) = await self._store.push([job])
        return pushed.id

    async def all(self) -> list[Planned]:
        """Return the schedules, by name."""
        now = _moment(await self._store.now())
        return [self._planned(each, now) for each in await self._store.schedules()]

    async def upcoming(self, name: str, count: int = 10) -> list[datetime]:
        """Return the next slots of a schedule.

        Raises:
            ScheduleNotFoundError: there is none of that name.
        """
        plan = self._read(await self._find(name))
        times = self._cron(plan).times(_moment(await self._store.now()))
        return list(islice(times, count))

    async def tick(self) -> float:
        """Fire what is due, and return the seconds until something is; for workers.

        What cannot be read, because a newer program wrote it, is left to that one.
        """
        now = await self._store.now()
        pause = 60.0
        for schedule in await self._store.schedules():
            if not schedule.enabled or not self._is_ours(schedule):
                continue
            try:
                plan = self._read(schedule)
                self._cron(plan)  # whose zone may not be known on this machine
            except (ScheduleNotFoundError, ConfigError) as exc:
                _logger.warning("the schedule %s cannot be looked at here: %s", schedule.name, exc)
                continue
            try:
                pause = min(pause, await self._fire_due(schedule, plan, now))
            except JobUnreadableError as exc:
                self._complain(schedule, exc)
            await self._watch(schedule, plan, now)
        return max(pause, 0.0)

    def _is_ours(self, schedule: Schedule) -> bool:
        return schedule.origin == "run_time" or schedule.name in self._code

    async def _fire_due(self, schedule: Schedule, plan: _Plan, now: float) -> float:
        cron = self._cron(plan)
        since = schedule.since if schedule.last is None else schedule.last
        due, following = _slots(cron, since, now, _MOST if plan.missed == "all" else 1)
        for each in self._wanted(due, plan.missed, now):
            await self._fire(schedule, plan, each, now)
        return following - now

    def _wanted(self, due: list[float], missed: Missed, now: float) -> list[float]:
        """Return the slots to fire, in order; the last one says of all before it that they are over."""
        on_time = [slot for slot in due if now - slot <= _LATE]
        if missed == "all":
            return due
        return on_time or due[-1:]

    async def _fire(self, schedule: Schedule, plan: _Plan, slot: float, now: float) -> None:
        name = schedule.name
        is_missed = now - slot > _LATE
        if is_missed and plan.missed == "skip":
            await self._store.fire(name, slot, [])
            event("cron.skipped", schedule=name, slot=slot)
            return
        job = self._job(name, plan, slot, unique=plan.overlap == "skip")
        if plan.overlap == "cancel" and schedule.last is not None:
            await self._store.cancel(Filter(ids=(_job_id(name, schedule.last),)))
        if await self._store.fire(name, slot, [job]):
            event("cron.fired", schedule=name, slot=slot, late=now - slot)

    async def _watch(self, schedule: Schedule, plan: _Plan, now: float) -> None:
        """Say so when the job of a slot has not been completed in the time that was expected."""
        slot = schedule.last
        if plan.expected is None or slot is None or now < slot + plan.expected:
            return
        if self._late.get(schedule.name) == slot:
            return
        self._late[schedule.name] = slot
        if self._cron(plan).next(_moment(slot - 0.5)).timestamp() != slot:
            return  # the moment from which it was enabled again
        (job,) = await self._store.get([_job_id(schedule.name, slot)])
        if job is None and plan.keep <= plan.expected:
            return  # what was completed may be forgotten by now
        if job is not None and job.state is JobState.COMPLETED:
            return
        event("cron.late", schedule=schedule.name, slot=slot, expected=plan.expected)
        _logger.error(
            "the schedule %s was to be done within %g seconds of %s, and is not",
            schedule.name,
            plan.expected,
            _moment(slot).isoformat(),
        )

    def _job(self, name: str, plan: _Plan, slot: float, *, unique: bool) -> NewJob:
        key = blake2b(f"cron:{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return NewJob(
            id=_job_id(name, slot),
            queue=plan.queue,
            task=plan.task,
            args=self._args(name, plan),
            version=plan.version,
            priority=plan.priority,
            at=slot + plan.delay + random.uniform(0, plan.jitter),
            timeout=plan.timeout,
            keep=plan.keep,
            group=plan.group,
            unique=Unique(key) if unique else plan.unique,
        )

    def _plan(
        self,
        name: str,
        expression: str,
        call: Call[Any],
        zone: str,
        jitter: float,
        missed: Missed,
        overlap: Overlap,
        expected: float | None,
    ) -> _Plan:
        if not 0 < len(name) <= _NAMES or not name.isprintable():
            raise ConfigError(f"The name of a schedule is printable, of 1 to {_NAMES} characters.")
        if jitter < 0 or (expected is not None and expected <= 0):
            raise ConfigError("jitter= of a schedule is from 0, and expected= above 0, in seconds.")
        if call.links:
            raise ConfigError(
                f"The schedule {name!r} is to push a chain, and a schedule pushes one job. Let it push a task "
                "that enqueues the chain."
            )
        cron = Cron(expression, zone)
        job = self._maker.new_job(call)
        if job.at is not None:
            raise ConfigError(
                f"The job of the schedule {name!r} has at=, and when it runs says the schedule. Leave at= out."
            )
        return _Plan(
            expression=cron.expression,
            zone=zone,
            task=job.task,
            args=job.args,
            version=job.version,
            queue=job.queue,
            priority=job.priority,
            timeout=job.timeout,
            keep=job.keep,
            group=job.group,
            jitter=jitter,
            missed=missed,
            overlap=overlap,
            expected=expected,
            delay=job.delay,
            unique=job.unique,
        )

    def _kept(self, name: str, plan: _Plan) -> bytes:
        """Return a plan as the store keeps it: who has no secret sees when what runs, and not with what."""
        sealing = sealing_of(self._store)
        if sealing is not None:
            sealed = sealing.seal(plan.args, "schedule", name, plan.task)
            plan = structs.replace(plan, args=sealed)
        return encode_msgpack(plan)

    def _args(self, name: str, plan: _Plan) -> bytes:
        sealing = sealing_of(self._store)
        try:
            if sealing is not None:
                return sealing.open(plan.args, "schedule", name, plan.task)
            if is_sealed(plan.args):
                raise JobUnreadableError("They are encrypted, and this queue has no secret.")
        except JobUnreadableError as exc:
            raise JobUnreadableError(
                f"The arguments of the schedule {name!r} cannot be read. {exc.message}"
            ) from exc
        return plan.args

    async def _seal_anew(self, schedule: Schedule) -> None:
        """Have a schedule live on when the secret that it was added with is dropped."""
        sealing = sealing_of(self._store)
        try:
            plan = self._read(schedule)
            if sealing is None or sealing.is_newest(plan.args):
                return
            args = self._args(schedule.name, plan)
        except (ScheduleNotFoundError, JobUnreadableError):
            return  # who would fire it says so
        kept = self._kept(schedule.name, structs.replace(plan, args=args))
        await self._store.save_schedule(structs.replace(schedule, plan=kept))

    def _complain(self, schedule: Schedule, error: JobUnreadableError) -> None:
        """Say once that a schedule cannot be fired."""
        if self._unreadable.get(schedule.name) != schedule.plan:
            self._unreadable[schedule.name] = schedule.plan
            _logger.error("%s It is not fired until it is added anew.", error)

    def _read(self, schedule: Schedule) -> _Plan:
        try:
            return _codec.decode_msgpack(schedule.plan)
        except (DecodeError, MismatchError) as exc:
            raise ScheduleNotFoundError(
                f"The schedule {schedule.name!r} was written by another version: {exc}."
            ) from exc

    def _cron(self, plan: _Plan) -> Cron:
        key = (plan.expression, plan.zone)
        if key not in self._crons:
            self._crons[key] = Cron(*key)
        return self._crons[key]

    def _planned(self, schedule: Schedule, now: datetime) -> Planned:
        plan = self._read(schedule)
        cron = self._cron(plan)
        last = None if schedule.last is None else _moment(schedule.last)
        return Planned(
            schedule.name,
            plan.expression,
            plan.zone,
            plan.task,
            schedule.enabled,
            schedule.origin,
            plan.missed,
            plan.overlap,
            last,
            cron.next(now) if schedule.enabled else None,
        )

    async def _known(self, name: str) -> Schedule:
        known = {each.name: each for each in await self._store.schedules()}
        return known.get(name) or Schedule(name=name, plan=b"")

    async def _find(self, name: str) -> Schedule:
        known: Mapping[str, Schedule] = {each.name: each for each in await self._store.schedules()}
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ScheduleNotFoundError(f"There is no schedule {name!r}. There are: {listed}.")
        return known[name]


def _when(plan: bytes) -> tuple[str, str] | None:
    """Return the times of a schedule as its plan says them, ``None`` if that was written by another version."""
    try:
        read = _codec.decode_msgpack(plan)
    except (DecodeError, MismatchError):
        return None
    return read.expression, read.zone


def _slots(cron: Cron, since: float, now: float, most: int) -> tuple[list[float], float]:
    """Return the slots after ``since`` that are due, the last ``most`` at least, and the one that comes next.

    Of what was missed for weeks only the end is looked at: it may be millions.
    """
    reach = _REACH
    while True:
        begin = max(since, now - reach)
        times = cron.times(_moment(begin))
        due: list[float] = []
        while (slot := next(times).timestamp()) <= now:
            due.append(slot)
        if begin == since or len(due) >= most:
            return due[-max(most, _MOST) :], slot
        reach *= 8


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _job_id(name: str, slot: float) -> UUID:
    """Return the id of the job of a slot: the same on every host, and sorted by time as others are."""
    digest = blake2b(f"{name}|{slot!r}".encode("utf-8", "surrogatepass"), digest_size=10).digest()
    chance = int.from_bytes(digest)
    number = (int(slot * 1000) & (2**48 - 1)) << 80 | chance
    # Version 8 of RFC 9562: made in a way of one's own.
    return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 8 << 76 | 2 << 62)
