"""What every store of jobs promises to jobs that wait for events, and of what they go on from."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.queue.base import Filter, JobState, JobStore, Ready, Signal, Unique
from oxidite.testing.contracts.queue import claim, ended, job, one

__all__ = ["JobEventsContract"]

_LEASE = 100_000.0
_LONG = 10_000.0
_E = b"e" * 16


async def running(store: JobStore, **settings: Any) -> Ready:  # Any: the fields of NewJob
    """Push a job, and claim it."""
    new = job(**settings)
    await store.push([new])
    (ready,) = (await claim(store, 1)).jobs
    assert ready.id == new.id
    return ready


async def listen(store: JobStore, ready: Ready, event: bytes = _E) -> bytes | None:
    """Listen as a job does."""
    return await store.listen(ready.id, ready.attempt, event, b"about " + event, _LONG)


async def park(store: JobStore, ready: Ready, delay: float = _LONG) -> None:
    """Leave the place, until the event or the delay."""
    done = await claim(store, 0, outcomes=(ended(ready, "snooze", delay=delay, waits=True),))
    assert done.refused == []


async def parked(store: JobStore, event: bytes = _E) -> Ready:
    """Push a job, run it, and let it wait for an event."""
    ready = await running(store)
    assert await listen(store, ready, event) is None
    await park(store, ready)
    return ready


class JobEventsContract:
    """Subclass it and give it a fixture ``store``: one that is open, and holds nothing."""

    async def test_a_signal_wakes_who_waits_for_it(self, store: JobStore) -> None:
        """Once, with its value, and nobody else."""
        await store.enter("w", b"", _LEASE)
        first = await parked(store)
        other = await parked(store, b"o" * 16)
        assert (await claim(store)).jobs == []
        assert await store.signal(Signal(_E, b"\0value", 60.0)) == 1
        (again,) = (await claim(store)).jobs
        assert (again.id, again.attempt, again.failures) == (first.id, 2, 0)
        assert await listen(store, again) == b"\0value"
        await claim(store, 0, outcomes=(ended(again),))
        assert await store.signal(Signal(_E, b"more", 60.0)) == 0
        assert (await claim(store)).jobs == []
        assert (await one(store, other.id)).state is JobState.WAITING

    async def test_a_signal_is_kept_for_who_comes_later(self, store: JobStore) -> None:
        """For as long as it says, the newest value."""
        with clock.use(TravelClock()) as time:
            await store.enter("w", b"", _LEASE)
            assert await store.signal(Signal(_E, b"old", 60.0)) == 0
            assert await store.signal(Signal(_E, b"new", 60.0)) == 0
            time.jump(50)
            assert await listen(store, await running(store)) == b"new"
            time.jump(20)
            assert await listen(store, await running(store)) is None

    async def test_a_signal_that_is_kept_for_no_time_is_for_who_waits_now(
        self, store: JobStore
    ) -> None:
        """And nobody else."""
        await store.enter("w", b"", _LEASE)
        await parked(store)
        assert await store.signal(Signal(_E, b"now", 0.0)) == 1
        (again,) = (await claim(store)).jobs
        assert await listen(store, again) == b"now"
        assert await listen(store, await running(store)) is None

    async def test_a_signal_while_the_job_leaves_is_not_missed(self, store: JobStore) -> None:
        """It comes after the job has looked, and before its worker has said that it waits."""
        await store.enter("w", b"", _LEASE)
        ready = await running(store)
        assert await listen(store, ready) is None
        await store.signal(Signal(_E, b"value", 0.0))
        await park(store, ready)
        (again,) = (await claim(store)).jobs
        assert await listen(store, again) == b"value"

    async def test_signals_and_jobs_at_the_same_moment(self, store: JobStore) -> None:
        """Whoever is first, each job runs again, at the latest in some seconds."""
        await store.enter("w", b"", _LEASE)
        jobs = [await running(store) for _ in range(20)]
        events = [b"%016d" % number for number in range(20)]

        async def wait(ready: Ready, event: bytes) -> None:
            # Who has found it goes on at once.
            found = await listen(store, ready, event)
            await park(store, ready, delay=_LONG if found is None else 0.0)

        with clock.use(TravelClock()) as time:
            await asyncio.gather(
                *(wait(ready, event) for ready, event in zip(jobs, events, strict=True)),
                *(store.signal(Signal(event, event, 60.0)) for event in events),
            )
            again = [*(await claim(store)).jobs]
            # Where an event is being signalled while its job leaves, a store may have the job look once more.
            time.jump(5)
            again += (await claim(store)).jobs
        assert {each.id for each in again} == {each.id for each in jobs}
        values = [await listen(store, each, events[_place(each.id, jobs)]) for each in again]
        assert sorted(values, key=str) == events

    async def test_all_who_wait_are_woken(self, store: JobStore) -> None:
        """However many they are."""
        await store.enter("w", b"", _LEASE)
        news = [job() for _ in range(600)]
        await store.push(news)
        while jobs := (await claim(store, 100)).jobs:
            for each in jobs:
                assert await listen(store, each) is None
            outcomes = [ended(each, "snooze", delay=_LONG, waits=True) for each in jobs]
            await claim(store, 0, outcomes=tuple(outcomes))
        assert await store.signal(Signal(_E, b"value", 60.0)) == 600
        woken: set[UUID] = set()
        while jobs := (await claim(store, 100)).jobs:
            woken.update(each.id for each in jobs)
        assert woken == {each.id for each in news}

    async def test_the_first_value_that_reaches_a_job_is_its_own(self, store: JobStore) -> None:
        """A second signal wakes it no more, and gives it nothing else."""
        await store.enter("w", b"", _LEASE)
        await parked(store)
        assert await store.signal(Signal(_E, b"first", 60.0)) == 1
        assert await store.signal(Signal(_E, b"second", 60.0)) == 0
        (again,) = (await claim(store)).jobs
        assert await listen(store, again) == b"first"
        assert await listen(store, await running(store)) == b"second"

    async def test_what_was_given_outlives_workers_and_the_event(self, store: JobStore) -> None:
        """A job whose worker is lost is given the same."""
        with clock.use(TravelClock()) as time:
            await store.enter("w", b"", _LEASE)
            await parked(store)
            await store.signal(Signal(_E, b"value", 5.0))
            await store.enter("lost", b"", 10.0)
            (lost,) = (await claim(store, worker="lost")).jobs
            assert await listen(store, lost) == b"value"
            time.jump(20)
            assert await store.rescue(9) == 1
            await store.prune()
            (again,) = (await claim(store)).jobs
            assert await listen(store, again) == b"value"
            assert again.attempt == lost.attempt + 1

    async def test_who_has_lost_a_job_listens_for_nothing(self, store: JobStore) -> None:
        """What it asks for is not noted."""
        with clock.use(TravelClock()) as time:
            await store.enter("w", b"", _LEASE)
            await store.enter("lost", b"", 10.0)
            await store.push([job()])
            (lost,) = (await claim(store, worker="lost")).jobs
            time.jump(20)
            await store.rescue(9)
            (again,) = (await claim(store)).jobs
            assert await listen(store, again) is None
            await listen(store, lost, b"o" * 16)
            await park(store, again)
            assert await store.signal(Signal(b"o" * 16, b"no", 60.0)) == 0
            assert await store.signal(Signal(_E, b"yes", 60.0)) == 1

    async def test_a_job_waits_for_no_longer_than_it_said(self, store: JobStore) -> None:
        """A signal that comes after that, and before the job has looked, counts."""
        with clock.use(TravelClock()) as time:
            await store.enter("w", b"", _LEASE)
            ready = await running(store)
            assert await listen(store, ready) is None
            await park(store, ready, delay=100.0)
            time.jump(98)
            assert (await claim(store)).jobs == []
            time.jump(4)
            (again,) = (await claim(store)).jobs
            assert await listen(store, again) is None
            await store.signal(Signal(_E, b"late", 0.0))
            assert await listen(store, again) == b"late"

    async def test_who_no_longer_waits_is_not_woken(self, store: JobStore) -> None:
        """A job that failed after it had waited is tried again when its pause is over, not before."""
        with clock.use(TravelClock()) as time:
            await store.enter("w", b"", _LEASE)
            ready = await running(store)
            await listen(store, ready)
            await park(store, ready, delay=100.0)
            time.jump(101)
            (again,) = (await claim(store)).jobs
            await claim(store, 0, outcomes=(ended(again, "retry", delay=500.0),))
            assert await store.signal(Signal(_E, b"late", 60.0)) == 0
            assert (await claim(store)).jobs == []
            time.jump(501)
            assert len((await claim(store)).jobs) == 1

    async def test_a_job_that_waits_is_cancelled_at_once(self, store: JobStore) -> None:
        """And is woken no more."""
        await store.enter("w", b"", _LEASE)
        ready = await parked(store)
        assert await store.cancel(Filter(ids=(ready.id,))) == 1
        assert await store.signal(Signal(_E, b"value", 60.0)) == 0
        stored = await one(store, ready.id)
        assert (stored.state, stored.waits_for) == (JobState.CANCELLED, None)

    async def test_a_job_tells_what_it_waits_for(self, store: JobStore) -> None:
        """While it does."""
        await store.enter("w", b"", _LEASE)
        ready = await running(store)
        await listen(store, ready)
        assert (await one(store, ready.id)).waits_for is None
        await park(store, ready)
        assert (await one(store, ready.id)).waits_for == b"about " + _E
        assert [each.waits_for async for each in store.find(Filter())] == [b"about " + _E]
        await store.signal(Signal(_E, b"value", 60.0))
        assert (await one(store, ready.id)).waits_for is None

    async def test_what_is_old_is_pruned(self, store: JobStore) -> None:
        """Events, and not what jobs listen for that wait still."""
        with clock.use(TravelClock()) as time:
            await store.enter("w", b"", _LEASE)
            await parked(store)
            await store.signal(Signal(b"o" * 16, b"old", 60.0))
            time.jump(100)
            await store.prune()
            assert await listen(store, await running(store), b"o" * 16) is None
            assert await store.signal(Signal(_E, b"value", 60.0)) == 1

    # What jobs go on from

    async def test_a_job_goes_on_from_what_is_said(self, store: JobStore) -> None:
        """And has listened for nothing; only if it has begun no other attempt since."""
        await store.enter("w", b"", _LEASE)
        ready = await running(store)
        await store.save(ready.id, ready.attempt, state=b"steps")
        await listen(store, ready)
        await store.signal(Signal(_E, b"value", 0.0))
        await claim(store, 0, outcomes=(ended(ready, result=b"r"),))
        assert (await one(store, ready.id)).saved == b"steps"
        which = Filter(ids=(ready.id,))
        assert await store.retry(which, saved=b"less", attempt=7) == 0
        assert await store.retry(which, saved=b"less", attempt=ready.attempt) == 1
        (again,) = (await claim(store)).jobs
        assert (again.id, again.state, again.attempt) == (ready.id, b"less", 2)
        assert await listen(store, again) is None
        assert await store.retry(which, saved=b"no") == 0

    async def test_a_retry_keeps_what_was_saved(self, store: JobStore) -> None:
        """Unless there are other arguments."""
        await store.enter("w", b"", _LEASE)
        ready = await running(store, args=b"a", version=1)
        await store.save(ready.id, ready.attempt, state=b"steps")
        await claim(store, 0, outcomes=(ended(ready, "dead"),))
        which = Filter(ids=(ready.id,))
        assert await store.retry(which) == 1
        (again,) = (await claim(store)).jobs
        assert again.state == b"steps"
        await claim(store, 0, outcomes=(ended(again, "dead"),))
        assert await store.retry(which, args=b"b", version=2) == 1
        (edited,) = (await claim(store)).jobs
        assert (edited.args, edited.version, edited.state) == (b"b", 2, None)

    async def test_arguments_that_are_replaced_take_their_version_along(
        self, store: JobStore
    ) -> None:
        """And what was saved with the old ones is forgotten."""
        await store.enter("w", b"", _LEASE)
        unique = Unique(b"k", conflict="replace_args")
        ready = await running(store, args=b"old", version=1, timeout=7.5, unique=unique)
        await store.save(ready.id, ready.attempt, state=b"steps")
        await listen(store, ready)
        await park(store, ready)
        (pushed,) = await store.push([job(args=b"new", version=300, timeout=9.5, unique=unique)])
        assert pushed.id == ready.id
        stored = await one(store, ready.id)
        assert (stored.args, stored.version, stored.saved) == (b"new", 300, None)
        assert stored.timeout == 7.5
        assert await store.retry(Filter(ids=(ready.id,))) == 1
        (again,) = (await claim(store)).jobs
        assert (again.args, again.version, again.state) == (b"new", 300, None)

    async def test_the_time_of_a_job_is_replaced_alone(self, store: JobStore) -> None:
        """What it has saved stays."""
        await store.enter("w", b"", _LEASE)
        unique = Unique(b"k", conflict="replace_time")
        ready = await running(store, args=b"old", version=1, unique=unique)
        await store.save(ready.id, ready.attempt, state=b"steps")
        await claim(store, 0, outcomes=(ended(ready, "snooze", delay=_LONG),))
        await store.push([job(args=b"new", version=2, unique=unique)])
        (again,) = (await claim(store)).jobs
        assert (again.args, again.version, again.state) == (b"old", 1, b"steps")


def _place(id: UUID, jobs: list[Ready]) -> int:
    return [each.id for each in jobs].index(id)
