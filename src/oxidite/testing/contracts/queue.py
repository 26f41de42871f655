"""What every store of jobs promises."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.ids import uuid7
from oxidite.queue.base import (
    Claim,
    Filter,
    JobState,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    OutcomeKind,
    Rate,
    Ready,
    Schedule,
    StoredJob,
    Unique,
)

__all__ = ["JobStoreContract"]

_LEASE = 30.0


def job(task: str = "task", **settings: Any) -> NewJob:  # Any: the fields of NewJob
    """Make a job to push, in the queue ``q``."""
    known: dict[str, Any] = {"id": uuid7(), "queue": "q", "args": b"args", **settings}
    return NewJob(task=task, **known)


async def claim(
    store: JobStore,
    limit: int = 100,
    *queues: str,
    worker: str = "w",
    outcomes: tuple[Outcome, ...] = (),
) -> Claim:
    """Exchange as a worker does."""
    return await store.exchange(worker, outcomes, queues or ("q",), limit)


async def run(store: JobStore, limit: int = 100, *queues: str) -> list[str]:
    """Claim jobs, complete them, and return the names of their tasks in the order they came."""
    jobs = (await claim(store, limit, *queues)).jobs
    await claim(store, 0, outcomes=tuple(ended(each) for each in jobs))
    return [each.task for each in jobs]


def ended(ready: Ready, kind: OutcomeKind = "completed", **settings: Any) -> Outcome:
    """Say how a job ended."""
    return Outcome(id=ready.id, attempt=ready.attempt, kind=kind, **settings)


async def one(store: JobStore, id: UUID) -> StoredJob:
    """Return a job that must be there."""
    (found,) = await store.get([id])
    assert found is not None
    return found


class JobStoreContract:
    """Subclass it and give it a fixture ``store``: one that is open, and holds nothing."""

    # Pushing

    async def test_what_was_pushed_is_claimed_once(self, store: JobStore) -> None:
        """With everything that it was pushed with."""
        await store.enter("w", b"", _LEASE)
        new = job(
            args=bytes(range(256)),
            version=3,
            priority=5,
            timeout=12.5,
            group="g",
            context=b"\0c",
            flow=b"\0f",
        )
        (pushed,) = await store.push([new])
        assert pushed.id == new.id
        assert pushed.is_new
        (ready,) = (await claim(store)).jobs
        got = (ready.id, ready.queue, ready.task, ready.args, ready.version, ready.priority)
        assert got == (new.id, "q", "task", new.args, 3, 5)
        rest = (
            ready.timeout,
            ready.group,
            ready.context,
            ready.attempt,
            ready.failures,
            ready.crashes,
        )
        assert ready.flow == b"\0f"
        assert rest == (12.5, "g", b"\0c", 1, 0, 0)
        assert (await claim(store)).jobs == []
        stored = await one(store, new.id)
        assert stored.state is JobState.RUNNING
        assert stored.worker == "w"

    async def test_an_id_is_pushed_once(self, store: JobStore) -> None:
        """Who does not know whether a push arrived may push again."""
        new = job()
        await store.push([new])
        (again,) = await store.push([new])
        assert not again.is_new
        await store.enter("w", b"", _LEASE)
        assert len((await claim(store)).jobs) == 1

    async def test_many_are_pushed_at_once(self, store: JobStore) -> None:
        """A thousand are one call, and are claimed in their order."""
        jobs = [job(str(number)) for number in range(1000)]
        assert all(each.is_new for each in await store.push(jobs))
        await store.enter("w", b"", _LEASE)
        got = [each for _ in range(10) for each in await run(store)]
        assert sorted(got, key=int) == [str(number) for number in range(1000)]
        assert got == [str(number) for number in range(1000)]

    async def test_a_megabyte_of_arguments(self, store: JobStore) -> None:
        """Arguments may be large."""
        args = bytes(range(256)) * 4096
        await store.push([job(args=args)])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        assert ready.args == args

    async def test_the_larger_priority_is_first(self, store: JobStore) -> None:
        """Whatever was pushed when."""
        wanted = {"low": -5, "normal": 0, "high": 5, "lowest": -32768, "highest": 32767}
        await store.push([job(name, priority=priority) for name, priority in wanted.items()])
        await store.enter("w", b"", _LEASE)
        assert await run(store) == ["highest", "high", "normal", "low", "lowest"]

    async def test_nothing_runs_before_its_time(self, store: JobStore) -> None:
        """By a delay, or by a moment; what was due first is first."""
        with clock.use(TravelClock()) as time:
            now = await store.now()
            await store.push([job("at", at=now + 50), job("delay", delay=100.0), job("now")])
            await store.enter("w", b"", 1000.0)
            assert await run(store) == ["now"]
            time.jump(45)
            assert await run(store) == []
            time.jump(10)
            assert await run(store) == ["at"]
            time.jump(40)
            assert await run(store) == []
            time.jump(10)
            assert await run(store) == ["delay"]

    async def test_what_waited_longer_is_first(self, store: JobStore) -> None:
        """Among those of one priority, by when they were due."""
        with clock.use(TravelClock()) as time:
            await store.push(
                [job("third", delay=30.0), job("first", delay=10.0), job("second", delay=20.0)]
            )
            time.jump(60)
            await store.enter("w", b"", _LEASE)
            assert await run(store) == ["first", "second", "third"]

    async def test_queues_are_asked_in_order(self, store: JobStore) -> None:
        """As many from the first as there are, then from the next, and none from others."""
        await store.push(
            [job("b", queue="b"), job("a", queue="a"), job("c", queue="c"), job("a2", queue="a")]
        )
        await store.enter("w", b"", _LEASE)
        assert await run(store, 3, "a", "b", "empty") == ["a", "a2", "b"]
        assert await run(store, 3, "a", "b", "empty") == []
        assert await run(store, 3, "c") == ["c"]

    # Working

    async def test_many_workers_never_get_the_same(self, store: JobStore) -> None:
        """Of a hundred jobs each is claimed by one of eight workers."""
        await store.push([job(str(number)) for number in range(100)])
        for number in range(8):
            await store.enter(f"w{number}", b"", _LEASE)

        async def work(worker: str) -> list[str]:
            got: list[str] = []
            while jobs := (await claim(store, 3, worker=worker)).jobs:
                got += [each.task for each in jobs]
            return got

        claimed = await asyncio.gather(*(work(f"w{number}") for number in range(8)))
        every = [task for each in claimed for task in each]
        assert sorted(every, key=int) == [str(number) for number in range(100)]

    async def test_a_completed_job_has_its_result(self, store: JobStore) -> None:
        """And does not run again."""
        new = job()
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        outcome = ended(ready, result=b"\0result", seconds=0.5)
        assert (await claim(store, outcomes=(outcome,))).refused == []
        stored = await one(store, new.id)
        assert (stored.state, stored.result) == (JobState.COMPLETED, b"\0result")
        assert stored.started_at is not None
        assert stored.ended_at is not None
        assert (await claim(store)).jobs == []

    async def test_an_outcome_counts_once(self, store: JobStore) -> None:
        """The second time it is refused, and changes nothing."""
        new = job()
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        await claim(store, outcomes=(ended(ready, result=b"1"),))
        again = await claim(store, outcomes=(ended(ready, "dead", result=b"2"),))
        assert again.refused == [new.id]
        assert (await one(store, new.id)).result == b"1"

    async def test_a_failed_job_waits_again(self, store: JobStore) -> None:
        """Until its delay is over; failures are counted and errors kept, and attempts have new numbers."""
        with clock.use(TravelClock()) as time:
            new = job()
            await store.push([new])
            await store.enter("w", b"", 1000.0)
            (first,) = (await claim(store)).jobs
            await claim(store, outcomes=(ended(first, "retry", delay=10.0, error=b"e1"),))
            time.jump(8)
            assert (await claim(store)).jobs == []
            time.jump(3)
            (second,) = (await claim(store)).jobs
            assert (second.failures, second.attempt > first.attempt) == (1, True)
            await claim(store, outcomes=(ended(second, "dead", error=b"e2"),))
            stored = await one(store, new.id)
            assert (stored.state, stored.failures) == (JobState.DEAD, 2)
            assert stored.errors == [b"e1", b"e2"]

    async def test_ten_errors_are_kept(self, store: JobStore) -> None:
        """The last ones."""
        new = job()
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        for number in range(12):
            (ready,) = (await claim(store)).jobs
            await claim(store, 0, outcomes=(ended(ready, "retry", error=b"%d" % number),))
        assert (await one(store, new.id)).errors == [b"%d" % number for number in range(2, 12)]

    async def test_a_snooze_is_no_failure(self, store: JobStore) -> None:
        """And neither is a job that its worker gives back."""
        await store.push([job()])
        await store.enter("w", b"", _LEASE)
        numbers = []
        for kind in ("snooze", "returned", "completed"):
            (ready,) = (await claim(store)).jobs
            assert ready.failures == 0
            numbers.append(ready.attempt)
            await claim(
                store, 0, outcomes=(Outcome(id=ready.id, attempt=ready.attempt, kind=kind),)
            )
        assert numbers == sorted(set(numbers))

    async def test_what_follows_is_pushed_with_the_outcome(self, store: JobStore) -> None:
        """If the outcome counts, and only then."""
        await store.push([job("first")])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        await claim(store, 0, outcomes=(ended(ready, then=(job("next"),)),))
        await claim(store, 0, outcomes=(ended(ready, then=(job("never"),)),))
        assert await run(store) == ["next"]

    async def test_outcomes_come_with_the_next_claim(self, store: JobStore) -> None:
        """One step does both, and what waits again at once may be claimed in it."""
        await store.push([job("a"), job("b")])
        await store.enter("w", b"", _LEASE)
        (a,) = (await claim(store, 1)).jobs
        both = await claim(store, 5, outcomes=(ended(a, "retry", delay=0.0),))
        assert {each.task for each in both.jobs} == {"a", "b"}

    async def test_what_is_kept_for_no_time_is_gone(self, store: JobStore) -> None:
        """A job says how long, and its outcome may say otherwise."""
        new, other = job(keep=0.0), job()
        await store.push([new, other])
        await store.enter("w", b"", _LEASE)
        jobs = (await claim(store)).jobs
        outcomes = (ended(jobs[0]), ended(jobs[1], keep=0.0))
        await claim(store, 0, outcomes=outcomes)
        assert await store.get([new.id, other.id]) == [None, None]

    async def test_a_job_saves_how_far_it_is(self, store: JobStore) -> None:
        """What it saved comes with its next attempt; a late one saves nothing."""
        new = job()
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        (first,) = (await claim(store)).jobs
        assert await store.save(new.id, first.attempt, progress=b"50", state=b"cursor")
        assert await store.save(new.id, first.attempt, progress=b"60")
        assert (await one(store, new.id)).progress == b"60"
        await claim(store, 0, outcomes=(ended(first, "retry"),))
        (second,) = (await claim(store)).jobs
        assert second.state == b"cursor"
        assert not await store.save(new.id, first.attempt, state=b"late")
        await claim(store, 0, outcomes=(ended(second, "snooze"),))
        (third,) = (await claim(store)).jobs
        assert third.state == b"cursor"

    # Leases

    async def test_a_lost_worker_loses_its_jobs(self, store: JobStore) -> None:
        """They run again, as crashes and no failures; what it says later is refused."""
        with clock.use(TravelClock()) as time:
            new = job()
            await store.push([new])
            await store.enter("lost", b"", 10.0)
            await store.enter("w", b"", 1000.0)
            (first,) = (await claim(store, worker="lost")).jobs
            time.jump(8)
            assert await store.rescue(3) == 0
            time.jump(3)
            assert await store.rescue(3) == 1
            assert await store.rescue(3) == 0
            (second,) = (await claim(store)).jobs
            assert (second.failures, second.crashes) == (0, 1)
            assert second.attempt > first.attempt
            late = await store.exchange("lost", [ended(first, result=b"late")], ["q"], 5)
            assert (late.refused, late.jobs) == ([new.id], [])
            assert (await claim(store, outcomes=(ended(second, result=b"right"),))).refused == []
            assert (await one(store, new.id)).result == b"right"

    async def test_a_beat_prolongs_a_lease(self, store: JobStore) -> None:
        """Unless it has lapsed: then the worker is told so, and gets nothing."""
        with clock.use(TravelClock()) as time:
            await store.push([job(), job()])
            await store.enter("w", b"", 10.0)
            await claim(store, 1)
            time.jump(8)
            assert not (await store.beat("w", 10.0)).lost
            time.jump(8)
            assert await store.rescue(3) == 0
            time.jump(3)
            assert (await store.beat("w", 10.0)).lost
            assert (await claim(store)).jobs == []
            assert await store.rescue(3) == 1
            assert (await store.beat("w", 10.0)).lost

    async def test_a_worker_that_is_known_to_have_crashed_loses_its_jobs_at_once(
        self, store: JobStore
    ) -> None:
        """A lease of no length has lapsed."""
        new = job()
        await store.push([new])
        await store.enter("crashed", b"", _LEASE)
        await claim(store, worker="crashed")
        await store.beat("crashed", 0.0)
        assert await store.rescue(3) == 1
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        assert (ready.id, ready.crashes) == (new.id, 1)

    async def test_a_worker_enters_again(self, store: JobStore) -> None:
        """Under its name, once its lease has lapsed; what nobody took over meanwhile is still its own."""
        with clock.use(TravelClock()) as time:
            await store.push([job()])
            await store.enter("w", b"", 10.0)
            (ready,) = (await claim(store)).jobs
            time.jump(11)
            assert (await store.beat("w", 10.0)).lost
            await store.enter("w", b"", 10.0)
            assert not (await store.beat("w", 10.0)).lost
            assert await store.rescue(3) == 0
            assert (await claim(store, outcomes=(ended(ready),))).refused == []

    async def test_poison_is_not_run_for_ever(self, store: JobStore) -> None:
        """A job in which three workers ended is dead."""
        with clock.use(TravelClock()) as time:
            new = job()
            await store.push([new])
            for number in range(3):
                await store.enter(f"w{number}", b"", 10.0)
                assert len((await claim(store, worker=f"w{number}")).jobs) == 1
                time.jump(11)
                await store.rescue(3)
            stored = await one(store, new.id)
            assert (stored.state, stored.crashes) == (JobState.DEAD, 3)

    async def test_a_worker_that_leaves_gives_its_jobs_back(self, store: JobStore) -> None:
        """At once, and neither as failures nor as crashes."""
        await store.push([job("a"), job("b")])
        await store.enter("w", b"", _LEASE)
        await store.enter("other", b"", _LEASE)
        await claim(store)
        await store.exit("w")
        jobs = (await claim(store, worker="other")).jobs
        assert {each.task for each in jobs} == {"a", "b"}
        assert all((each.failures, each.crashes) == (0, 0) for each in jobs)
        assert [each.name for each in await store.workers()] == ["other"]

    async def test_workers_are_seen(self, store: JobStore) -> None:
        """With what they say of themselves, and how much they do."""
        await store.push([job(), job()])
        await store.enter("w", b"about", _LEASE)
        await claim(store)
        (worker,) = await store.workers()
        assert (worker.name, worker.about, worker.running) == ("w", b"about", 2)
        assert worker.lease_until > await store.now()

    # Unique jobs

    async def test_a_unique_job_is_not_pushed_twice(self, store: JobStore) -> None:
        """As long as the other one waits or runs; the id is that of the other."""
        first, second = job(unique=Unique(b"k")), job(unique=Unique(b"k"))
        other = job(unique=Unique(b"other"))
        pushed = await store.push([first, second, other])
        assert [(each.id, each.is_new) for each in pushed] == [
            (first.id, True),
            (first.id, False),
            (other.id, True),
        ]
        await store.enter("w", b"", _LEASE)
        jobs = (await claim(store)).jobs
        (again,) = await store.push([job(unique=Unique(b"k"))])
        assert (again.id, again.is_new) == (first.id, False)
        await claim(store, 0, outcomes=tuple(ended(each) for each in jobs))
        (after,) = await store.push([job(unique=Unique(b"k"))])
        assert after.is_new

    async def test_of_many_unique_ones_one_is_pushed(self, store: JobStore) -> None:
        """Fifty at once."""
        pushed = await asyncio.gather(*(store.push([job(unique=Unique(b"k"))]) for _ in range(50)))
        assert [each.is_new for (each,) in pushed].count(True) == 1
        assert len({each.id for (each,) in pushed}) == 1

    async def test_unique_by_states(self, store: JobStore) -> None:
        """It says which states of another stand in its way."""
        await store.push([job(unique=Unique(b"k", frozenset((JobState.WAITING,))))])
        await store.enter("w", b"", _LEASE)
        jobs = (await claim(store)).jobs
        (beside,) = await store.push([job(unique=Unique(b"k", frozenset((JobState.WAITING,))))])
        assert beside.is_new
        await claim(store, 0, outcomes=tuple(ended(each) for each in jobs))
        await run(store)
        (done,) = await store.push([job(unique=Unique(b"k", frozenset((JobState.COMPLETED,))))])
        assert not done.is_new

    async def test_unique_for_a_period(self, store: JobStore) -> None:
        """What was pushed before it does not count."""
        with clock.use(TravelClock()) as time:
            unique = Unique(b"k", frozenset((JobState.WAITING, JobState.COMPLETED)), period=60.0)
            await store.push([job(unique=unique)])
            time.jump(50)
            assert not (await store.push([job(unique=unique)]))[0].is_new
            time.jump(20)
            assert (await store.push([job(unique=unique)]))[0].is_new

    async def test_a_unique_job_may_replace(self, store: JobStore) -> None:
        """The arguments of what still waits, its time, or both; never of what runs."""
        with clock.use(TravelClock()) as time:
            first = job(args=b"1", unique=Unique(b"k"), delay=50.0)
            await store.push([first])
            await store.push([job(args=b"2", unique=Unique(b"k", conflict="replace_args"))])
            await store.enter("w", b"", 1000.0)
            assert (await claim(store)).jobs == []
            await store.push(
                [job(args=b"3", unique=Unique(b"k", conflict="replace_time"), delay=5.0)]
            )
            time.jump(10)
            (ready,) = (await claim(store)).jobs
            assert (ready.id, ready.args) == (first.id, b"2")
            await store.push([job(args=b"4", unique=Unique(b"k", conflict="replace"))])
            assert (await one(store, first.id)).args == b"2"
            assert (await claim(store)).jobs == []

    # Cancelling, retrying, deleting

    async def test_what_waits_is_cancelled_at_once(self, store: JobStore) -> None:
        """And what runs is asked to."""
        waits, runs = job("waits", delay=100.0), job("runs")
        await store.push([waits, runs])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        assert await store.cancel(Filter(ids=(waits.id, runs.id, uuid7()))) == 2
        assert (await one(store, waits.id)).state is JobState.CANCELLED
        assert (await one(store, runs.id)).cancel_asked
        assert (await store.beat("w", _LEASE)).cancel == [runs.id]
        await claim(store, 0, outcomes=(ended(ready, "cancelled"),))
        assert (await one(store, runs.id)).state is JobState.CANCELLED
        assert (await store.beat("w", _LEASE)).cancel == []
        assert await store.cancel(Filter(ids=(waits.id, runs.id))) == 0

    async def test_a_job_to_be_cancelled_does_not_run_again(self, store: JobStore) -> None:
        """Neither when it fails, nor when its worker is lost or leaves."""
        with clock.use(TravelClock()) as time:
            jobs = [job("fails"), job("lost"), job("left")]
            await store.push(jobs)
            await store.enter("w", b"", 1000.0)
            await store.enter("gone", b"", 10.0)
            await store.enter("leaves", b"", 1000.0)
            (fails,) = (await claim(store, 1)).jobs
            await claim(store, 1, worker="gone")
            await claim(store, 1, worker="leaves")
            assert await store.cancel(Filter(queue="q")) == 3
            await claim(store, 0, outcomes=(ended(fails, "retry"),))
            time.jump(11)
            await store.rescue(3)
            await store.exit("leaves")
            assert (await claim(store)).jobs == []
            states = {(await one(store, each.id)).state for each in jobs}
            assert states == {JobState.CANCELLED}

    async def test_a_dead_job_can_be_retried(self, store: JobStore) -> None:
        """With other arguments, as if it had never failed, and under a new number of attempt."""
        new = job()
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        (first,) = (await claim(store)).jobs
        await claim(store, 0, outcomes=(ended(first, "dead", error=b"e"),))
        dead = Filter(states=frozenset((JobState.DEAD,)))
        assert await store.retry(dead, args=b"edited", version=7) == 1
        assert await store.retry(dead) == 0
        (second,) = (await claim(store)).jobs
        assert (second.args, second.version, second.failures) == (b"edited", 7, 0)
        assert second.attempt > first.attempt
        assert (await claim(store, 0, outcomes=(ended(first),))).refused == [new.id]

    async def test_what_waits_can_be_run_now(self, store: JobStore) -> None:
        """By a retry; what runs is left alone."""
        new, runs = job("later", delay=1000.0), job("runs")
        await store.push([new, runs])
        await store.enter("w", b"", _LEASE)
        await claim(store)
        assert await store.retry(Filter(ids=(new.id, runs.id))) == 1
        assert [each.task for each in (await claim(store)).jobs] == ["later"]

    async def test_delete_forgets_what_does_not_run(self, store: JobStore) -> None:
        """Whatever state it is in."""
        waits, runs = job("waits", delay=10.0), job("runs")
        await store.push([waits, runs])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        assert await store.delete(Filter(queue="q")) == 1
        assert await store.get([waits.id]) == [None]
        await claim(store, 0, outcomes=(ended(ready),))
        assert await store.delete(Filter(states=frozenset((JobState.COMPLETED,)))) == 1
        assert await store.get([runs.id]) == [None]

    async def test_finished_jobs_are_pruned(self, store: JobStore) -> None:
        """When they were kept long enough, and never sooner."""
        with clock.use(TravelClock()) as time:
            await store.push(
                [job("short", keep=10.0), job("long", keep=1000.0), job("waits", delay=500.0)]
            )
            await store.enter("w", b"", 10_000.0)
            assert sorted(await run(store)) == ["long", "short"]
            assert await store.prune() == 0
            time.jump(20)
            assert await store.prune() == 1
            left = {each.task async for each in store.find(Filter())}
            assert left == {"long", "waits"}

    async def test_jobs_are_found(self, store: JobStore) -> None:
        """By any of what a filter says, the newest first."""
        jobs = [job("a"), job("b"), job("a", queue="other"), job("a", group="g")]
        await store.push(jobs)
        a = [each.id async for each in store.find(Filter(task="a"))]
        assert a == [jobs[3].id, jobs[2].id, jobs[0].id]
        assert [each.id async for each in store.find(Filter(queue="other"))] == [jobs[2].id]
        assert [each.id async for each in store.find(Filter(group="g"))] == [jobs[3].id]
        assert [each async for each in store.find(Filter(states=frozenset((JobState.DEAD,))))] == []
        ids = Filter(ids=(jobs[0].id, jobs[1].id), task="b")
        assert [each.id async for each in store.find(ids)] == [jobs[1].id]
        counts = {(each.queue, each.task): each.count for each in await store.counts(Filter())}
        assert counts == {("q", "a"): 2, ("q", "b"): 1, ("other", "a"): 1}
        missing = await store.get([jobs[1].id, uuid7()])
        assert [None if each is None else each.task for each in missing] == ["b", None]

    # Queues

    async def test_a_paused_queue_gives_nothing(self, store: JobStore) -> None:
        """Until it goes on; workers are told."""
        await store.push([job(), job("other", queue="other")])
        await store.enter("w", b"", _LEASE)
        await store.pause("q", paused=True)
        assert (await store.beat("w", _LEASE)).paused == ["q"]
        assert await run(store, 5, "q", "other") == ["other"]
        states = {each.name: each.paused for each in await store.queues()}
        assert states == {"q": True, "other": False}
        await store.pause("q", paused=False)
        assert await run(store) == ["task"]

    async def test_so_many_run_at_once(self, store: JobStore) -> None:
        """Over all workers; the next begins when one has ended, whichever way."""
        await store.limit("q", Limits(running=2))
        await store.push([job(str(number)) for number in range(5)])
        await store.enter("w", b"", _LEASE)
        await store.enter("other", b"", _LEASE)
        first = (await claim(store, 1)).jobs + (await claim(store, worker="other")).jobs
        assert [each.task for each in first] == ["0", "1"]
        assert (await claim(store)).jobs == []
        third = (await claim(store, outcomes=(ended(first[0]),))).jobs
        assert [each.task for each in third] == ["2"]
        await store.exit("other")
        assert len((await claim(store)).jobs) == 1
        await store.limit("q", Limits())
        assert len((await claim(store)).jobs) == 2

    async def test_so_many_of_a_group_run_at_once(self, store: JobStore) -> None:
        """Others pass those that may not begin."""
        await store.limit("q", Limits(each=1))
        await store.push(
            [job(f"a{n}", group="a") for n in range(50)] + [job("b", group="b"), job("none")]
        )
        await store.enter("w", b"", _LEASE)
        first = (await claim(store)).jobs
        assert [each.task for each in first] == ["a0", "b", "none"]
        assert (await claim(store)).jobs == []
        second = (await claim(store, outcomes=tuple(ended(each) for each in first))).jobs
        assert [each.task for each in second] == ["a1"]

    async def test_so_many_begin_in_a_time(self, store: JobStore) -> None:
        """The others later, by the time of the store."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", Limits(rate=Rate(2, 10.0)))
            await store.push([job(str(number)) for number in range(5)])
            await store.enter("w", b"", 1000.0)
            assert await run(store) == ["0", "1"]
            assert await run(store) == []
            time.jump(6)
            assert await run(store) == ["2"]
            time.jump(100)
            assert await run(store) == ["3", "4"]

    async def test_so_many_of_a_group_begin_in_a_time(self, store: JobStore) -> None:
        """And those of other groups do not wait for them."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", Limits(each_rate=Rate(1, 10.0)))
            groups = ["a", "a", "a", "b"]
            await store.push(
                [job(f"{g}{n}", group=g) for n, g in enumerate(groups)] + [job("none")]
            )
            await store.enter("w", b"", 1000.0)
            assert await run(store) == ["a0", "b3", "none"]
            time.jump(11)
            assert await run(store) == ["a1"]
            time.jump(11)
            assert await run(store) == ["a2"]

    async def test_queues_are_seen(self, store: JobStore) -> None:
        """With their jobs by state, and how long the oldest has been due."""
        with clock.use(TravelClock()) as time:
            await store.push([job(), job(), job(delay=1000.0)])
            await store.enter("w", b"", 10_000.0)
            time.jump(100)
            await claim(store, 1)
            await store.limit("q", Limits(running=7, each_rate=Rate(1, 2.0)))
            (state,) = await store.queues()
            assert state.counts == {JobState.WAITING: 2, JobState.RUNNING: 1}
            assert 99 <= state.oldest <= 102
            assert state.limits == Limits(running=7, each_rate=Rate(1, 2.0))

    async def test_what_happened_is_counted_by_minute(self, store: JobStore) -> None:
        """By task: how often, how long, and how long it had waited."""
        with clock.use(TravelClock()) as time:
            await store.push([job("a"), job("a"), job("b")])
            time.jump(2)
            await store.enter("w", b"", 1000.0)
            a, again, b = (await claim(store)).jobs
            outcomes = (
                ended(a, seconds=1.0),
                ended(again, "retry", seconds=3.0),
                ended(b, "dead", seconds=0.5),
            )
            await claim(store, 0, outcomes=outcomes)
            minutes = {each.task: each for each in await store.statistics(0.0)}
            one, two = minutes["a"], minutes["b"]
            assert (one.queue, one.completed, one.retried, one.dead) == ("q", 1, 1, 0)
            assert (one.seconds, one.slowest) == (4.0, 3.0)
            assert 3.5 <= one.waited <= 6
            assert (two.completed, two.retried, two.dead) == (0, 0, 1)
            assert one.minute % 60 == 0
            assert await store.statistics(await store.now() + 120) == []

    # Waking up

    async def test_a_push_wakes_who_waits(self, store: JobStore) -> None:
        """Long before it would look by itself."""
        waiting = asyncio.ensure_future(store.wait(["q"], 600.0))
        await clock.sleep(0)
        assert not waiting.done()
        await store.push([job()])
        await asyncio.wait_for(waiting, 10)

    async def test_results_are_waited_for(self, store: JobStore) -> None:
        """Until one has ended; who has waited long enough gets what there is."""
        new = job()
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        assert await store.results([new.id], 0.01) == {}
        (ready,) = (await claim(store)).jobs
        waiting = asyncio.ensure_future(store.results([new.id, uuid7()], 600.0))
        await claim(store, 0, outcomes=(ended(ready, result=b"r"),))
        found = await asyncio.wait_for(waiting, 10)
        assert found[new.id].result == b"r"

    # Batches

    async def test_a_batch_ends_with_its_last_job(self, store: JobStore) -> None:
        """Then what was to follow is pushed, once."""
        id = uuid7()
        batch = NewBatch(id, 3, (job("success"),), (job("failure"),), (job("always"),), b"about")
        await store.push([job(str(number), batch=id) for number in range(3)], batch)
        await store.enter("w", b"", _LEASE)
        jobs = (await claim(store)).jobs
        await claim(store, 0, outcomes=tuple(ended(each) for each in jobs[:2]))
        state = await store.batch(id)
        assert state is not None
        assert (state.total, state.completed, state.failed, state.about) == (3, 2, 0, b"about")
        assert state.ended_at is None
        await claim(store, 0, outcomes=(ended(jobs[2]), ended(jobs[2])))
        assert sorted(await run(store)) == ["always", "success"]
        assert (await store.batch(uuid7())) is None

    async def test_a_batch_with_a_dead_job_has_failed(self, store: JobStore) -> None:
        """A retry is no end; what was cancelled or deleted is no success."""
        id = uuid7()
        batch = NewBatch(id, 3, (job("success"),), (job("failure"),))
        jobs = [job("a", batch=id), job("b", batch=id), job("c", batch=id, delay=100.0)]
        await store.push(jobs, batch)
        await store.enter("w", b"", _LEASE)
        a, b = (await claim(store)).jobs
        (a,) = (await claim(store, 1, outcomes=(ended(a, "retry"),))).jobs
        await claim(store, 0, outcomes=(ended(a), ended(b, "dead")))
        await store.cancel(Filter(ids=(jobs[2].id,)))
        state = await store.batch(id)
        assert state is not None
        assert (state.completed, state.failed) == (1, 2)
        assert await run(store) == ["failure"]

    async def test_an_empty_batch_ends_at_once(self, store: JobStore) -> None:
        """As a success."""
        await store.push([], NewBatch(uuid7(), 0, (job("success"),), (job("failure"),)))
        await store.enter("w", b"", _LEASE)
        assert await run(store) == ["success"]

    async def test_a_batch_waits_again_for_what_is_retried(self, store: JobStore) -> None:
        """What has ended and is to run again has not ended, whichever way it had."""
        id = uuid7()
        batch = NewBatch(id, 3, (job("success"),), (job("failure"),))
        await store.push([job(name, batch=id) for name in ("a", "b", "c")], batch)
        await store.enter("w", b"", _LEASE)
        a, b, c = (await claim(store)).jobs
        await claim(store, 0, outcomes=(ended(a, "dead"), ended(b)))
        assert await store.retry(Filter(ids=(a.id, b.id))) == 2
        state = await store.batch(id)
        assert state is not None
        assert (state.completed, state.failed) == (0, 0)
        again = (await claim(store)).jobs
        assert sorted(each.task for each in again) == ["a", "b"]
        await claim(store, 0, outcomes=tuple(ended(each) for each in again))
        state = await store.batch(id)
        assert state is not None
        assert (state.completed, state.failed, state.ended_at) == (2, 0, None)
        await claim(store, 0, outcomes=(ended(c),))
        assert await run(store) == ["success"]
        # One that has ended stays so.
        assert await store.retry(Filter(ids=(a.id,))) == 1
        state = await store.batch(id)
        assert state is not None
        assert (state.completed, state.failed) == (3, 0)
        assert await run(store) == ["a"]

    async def test_a_batch_counts_what_follows_a_job_in_its_place(self, store: JobStore) -> None:
        """As of a chain the last one; and what stands for another is not counted twice."""
        id = uuid7()
        await store.push([job("first", batch=id)], NewBatch(id, 1, (job("success"),)))
        await store.enter("w", b"", _LEASE)
        follower = job("second", batch=id)
        (first,) = (await claim(store)).jobs
        await claim(store, 0, outcomes=(ended(first, then=(follower,)),))
        state = await store.batch(id)
        assert state is not None
        assert (state.total, state.completed, state.ended_at) == (1, 0, None)
        (second,) = (await claim(store)).jobs
        assert second.batch == id
        await claim(store, 0, outcomes=(ended(second),))
        assert await run(store) == ["success"]

    async def test_a_batch_is_not_confused_by_a_chain_that_is_retried(
        self, store: JobStore
    ) -> None:
        """Its first job was not counted, so it cannot be taken back."""
        id = uuid7()
        await store.push(
            [job("first", batch=id, flow=b"rest"), job("other", batch=id, delay=100.0)],
            NewBatch(id, 2, (job("success"),)),
        )
        await store.enter("w", b"", _LEASE)
        follower = job("second", batch=id)
        (first,) = (await claim(store)).jobs
        await claim(store, 0, outcomes=(ended(first, then=(follower,)),))
        assert await store.retry(Filter(ids=(first.id,))) == 1
        jobs = {each.task: each for each in (await claim(store)).jobs}
        assert sorted(jobs) == ["first", "second"]
        outcomes = (ended(jobs["first"], then=(follower,)), ended(jobs["second"]))
        await claim(store, 0, outcomes=outcomes)
        state = await store.batch(id)
        assert state is not None
        assert (state.completed, state.failed, state.ended_at) == (1, 0, None)

    async def test_nothing_follows_a_job_that_was_to_be_cancelled(self, store: JobStore) -> None:
        """Also if it had come to its end before its worker heard of that."""
        new = job("first")
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        (first,) = (await claim(store)).jobs
        assert await store.cancel(Filter(ids=(new.id,))) == 1
        done = await claim(store, 0, outcomes=(ended(first, then=(job("second"),)),))
        assert done.refused == []
        assert (await one(store, new.id)).state is JobState.CANCELLED
        assert await run(store) == []

    async def test_a_dead_letter_that_is_retried_is_kept_as_any_other(
        self, store: JobStore
    ) -> None:
        """And not for as long as dead letters are."""
        with clock.use(TravelClock()) as time:
            new = job(keep=100.0)
            await store.push([new])
            await store.enter("w", b"", 10_000.0)
            (ready,) = (await claim(store)).jobs
            await claim(store, 0, outcomes=(ended(ready, "dead", keep=5000.0),))
            assert await store.retry(Filter(ids=(new.id,))) == 1
            assert await run(store) == ["task"]
            time.jump(200)
            await store.prune()
            assert await store.get([new.id]) == [None]

    # Schedules

    async def test_schedules_are_kept_by_name(self, store: JobStore) -> None:
        """Saving again keeps when it began and what was fired."""
        await store.save_schedule(Schedule(name="nightly", plan=b"1"))
        (first,) = await store.schedules()
        assert (first.plan, first.origin, first.enabled, first.last) == (b"1", "code", True, None)
        assert first.since > 0
        assert await store.fire("nightly", first.since + 60, [])
        await store.save_schedule(Schedule(name="nightly", plan=b"2", enabled=False))
        await store.save_schedule(Schedule(name="hourly", plan=b"3", origin="run_time"))
        hourly, nightly = await store.schedules()
        assert (nightly.plan, nightly.enabled, nightly.since) == (b"2", False, first.since)
        assert nightly.last == first.since + 60
        assert hourly.origin == "run_time"
        assert await store.remove_schedule("hourly")
        assert not await store.remove_schedule("hourly")

    async def test_a_slot_is_fired_once(self, store: JobStore) -> None:
        """By whichever of many hosts is first; its jobs are pushed in the same step."""
        await store.save_schedule(Schedule(name="s", plan=b""))
        slot = await store.now()
        fired = await asyncio.gather(*(store.fire("s", slot, [job(str(n))]) for n in range(20)))
        assert fired.count(True) == 1
        await store.enter("w", b"", _LEASE)
        assert await run(store) == [str(fired.index(True))]
        assert not await store.fire("s", slot - 60, [job("earlier")])
        assert await store.fire("s", slot + 60, [job("later")])
        assert await run(store) == ["later"]
        assert not await store.fire("unknown", slot, [job("nothing")])

    async def test_a_role_has_one_holder(self, store: JobStore) -> None:
        """Until its lease lapses."""
        with clock.use(TravelClock()) as time:
            assert await store.lead("cron", "a", 10.0)
            assert not await store.lead("cron", "b", 10.0)
            assert await store.lead("other", "b", 10.0)
            time.jump(8)
            assert await store.lead("cron", "a", 10.0)
            time.jump(8)
            assert not await store.lead("cron", "b", 10.0)
            time.jump(3)
            assert await store.lead("cron", "b", 10.0)
            assert not await store.lead("cron", "a", 10.0)
