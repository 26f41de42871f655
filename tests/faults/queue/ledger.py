"""Counts what became of jobs that real workers ran, whatever happened to them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from tests.faults.queue import worker_app as app
from tests.faults.queue.conftest import Workplace
from tests.faults.queue.record import Fault, Record

from oxidite.errors import BackendError
from oxidite.queue import Handle, JobState

__all__ = ["begun", "everything_ended", "push_until", "refusals", "tally"]


def begun(place: Workplace) -> dict[UUID, dict[int, float]]:
    """Return when each attempt of each job began, by ``clock.perf``."""
    found: defaultdict[UUID, dict[int, float]] = defaultdict(dict)
    for id, attempt, when in place.seen("run"):
        # The first line counts: an attempt that began twice shows in ``twice``.
        found[UUID(id)].setdefault(int(attempt), float(when))
    return found


def twice(place: Workplace) -> int:
    """Return how many attempts began more than once, which none ever may."""
    lines = Counter((id, attempt) for id, attempt, _ in place.seen("run"))
    return sum(many - 1 for many in lines.values())


def refusals(place: Workplace) -> int:
    """Return how many late answers workers were told to be void."""
    return sum(each[0] == "queue.refused" for each in place.seen("event"))


async def tally(
    place: Workplace,
    fault: Fault,
    store: str,
    handles: Sequence[Handle[int]],
    *,
    tried: int,
    worst: float | None = None,
    bound: float | None = None,
) -> Record:
    """Count these jobs, which have ended unless they are lost."""
    runs = begun(place)
    jobs = await place.queue.store.get([each.id for each in handles])
    done = [each for each in jobs if each is not None and each.state is JobState.COMPLETED]
    return Record(
        fault=fault,
        store=store,
        tried=tried,
        jobs=len(handles),
        lost=len(handles) - len(done),
        doubled=sum(max(runs[each.id]) > each.attempt for each in done) + twice(place),
        again=sum(len(runs[each.id]) - 1 for each in done),
        refused=refusals(place),
        worst=worst,
        bound=bound,
    )


async def push_until(place: Workplace, over: asyncio.Event) -> list[Handle[int]]:
    """Push one job after the other, and return those that were acknowledged."""
    pushed: list[Handle[int]] = []
    while not over.is_set():
        try:
            pushed.append(await place.queue.enqueue(app.quick, len(pushed)))
        except BackendError:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.005)
    return pushed


async def everything_ended(place: Workplace, handles: Iterable[Handle[int]]) -> None:
    """Wait until no job waits or runs; who then is not completed is lost."""
    ids = [each.id for each in handles]

    async def ended() -> bool:
        try:
            jobs = await place.queue.store.get(ids)
        except BackendError:
            return False
        return all(each is None or each.ended_at is not None for each in jobs)

    await place.until(ended, within=60.0)
