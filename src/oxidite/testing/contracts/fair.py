"""What every store of jobs promises of queues that are fair."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from random import Random

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.ids import uuid7
from oxidite.queue.base import (
    Filter,
    JobState,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    Rate,
    Ready,
    Unique,
)
from oxidite.testing.contracts.queue import claim, ended, job, one, run

__all__ = ["FairQueueContract"]

_LEASE = 30.0
_FAIR = Limits(fair=True)


class _Model:
    """A fair queue in a few lines: of each group what waits, and whose job began last."""

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[int, int, str]]] = {}
        self.turn: str | None = None
        self.pushed = 0

    def push(self, group: str | None, priority: int, task: str) -> None:
        self.pushed += 1
        self.lines.setdefault(group or "", []).append((-priority, self.pushed, task))

    def claim(self, limit: int) -> list[str]:
        claimed: list[str] = []
        while len(claimed) < limit and self.lines:
            names = sorted(self.lines)
            at = 0 if self.turn is None else bisect_right(names, self.turn)
            self.turn = names[at % len(names)]
            line = self.lines[self.turn]
            line.sort()
            claimed.append(line.pop(0)[2])
            if not line:
                del self.lines[self.turn]
        return claimed


async def _began(store: JobStore, limit: int = 100) -> list[str]:
    return [each.task for each in (await claim(store, limit)).jobs]


class FairQueueContract:
    """Subclass it beside ``JobStoreContract``, with the same fixture ``store``."""

    async def test_groups_take_turns(self, store: JobStore) -> None:
        """Of each one job, and then of the next; the last one that is left has all turns."""
        await store.limit("q", _FAIR)
        await store.push([job(f"a{n}", group="a") for n in range(5)])
        await store.push([job(f"b{n}", group="b") for n in range(2)])
        await store.push([job("c0", group="c")])
        await store.enter("w", b"", _LEASE)
        assert await _began(store) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]

    async def test_who_adds_three_to_a_thousand_of_another_does_not_wait(
        self, store: JobStore
    ) -> None:
        """The three begin within three rounds."""
        await store.limit("q", _FAIR)
        await store.enter("w", b"", _LEASE)
        for start in range(0, 1000, 250):
            await store.push([job(f"a{n}", group="a") for n in range(start, start + 250)])
        assert await _began(store, 10) == [f"a{n}" for n in range(10)]
        await store.push([job(f"b{n}", group="b") for n in range(3)])
        began = await _began(store, 6)
        assert began == ["b0", "a10", "b1", "a11", "b2", "a12"]
        assert await _began(store, 2) == ["a13", "a14"]

    async def test_the_turn_goes_on_with_the_next_claim(self, store: JobStore) -> None:
        """Whichever worker claims: a round is over all of them."""
        await store.limit("q", _FAIR)
        await store.push([job(f"{g}{n}", group=g) for g in "abc" for n in range(3)])
        began: list[str] = []
        for number in range(9):
            worker = f"w{number % 2}"
            await store.enter(worker, b"", _LEASE)
            began += [each.task for each in (await claim(store, 1, worker=worker)).jobs]
        assert began == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]

    async def test_more_groups_than_are_claimed_at_once(self, store: JobStore) -> None:
        """Each has its turn before one has a second."""
        names = [f"g{number:03}" for number in range(60)]
        await store.limit("q", _FAIR)
        await store.push([job(name, group=name) for name in names for _ in range(2)])
        await store.enter("w", b"", _LEASE)
        began = [task for _ in range(12) for task in await _began(store, 10)]
        assert began == names * 2

    async def test_workers_at_once_share_the_rounds(self, store: JobStore) -> None:
        """No job is claimed twice, none is left, and no group is ahead of another."""
        await store.limit("q", _FAIR)
        await store.push([job("a", group="a") for _ in range(60)])
        await store.push([job(g, group=g) for g in "bcd" for _ in range(10)])
        for number in range(4):
            await store.enter(f"w{number}", b"", _LEASE)

        async def work(worker: str) -> list[Ready]:
            return (await claim(store, 10, worker=worker)).jobs

        # Four times ten jobs are ten rounds of four groups, whoever claims them.
        first = await asyncio.gather(*(work(f"w{number}") for number in range(4)))
        jobs = [each for some in first for each in some]
        assert len({each.id for each in jobs}) == len(jobs) == 40
        assert Counter(each.task for each in jobs) == dict.fromkeys("abcd", 10)
        rest = [each for _ in range(6) for each in await work("w0")]
        assert len({each.id for each in [*jobs, *rest]}) == 90

    async def test_a_priority_counts_within_its_group(self, store: JobStore) -> None:
        """It is no way to pass the jobs of others."""
        await store.limit("q", _FAIR)
        await store.push([job("a low", group="a", priority=-1), job("b low", group="b")])
        await store.push([job(f"a high {n}", group="a", priority=9) for n in range(2)])
        await store.push([job("b high", group="b", priority=1)])
        await store.enter("w", b"", _LEASE)
        wanted = ["a high 0", "b high", "a high 1", "b low", "a low"]
        assert await _began(store) == wanted

    async def test_a_delay_counts_within_its_group(self, store: JobStore) -> None:
        """What is not due has no turn; then what was due first is first."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", _FAIR)
            await store.push([job("a late", group="a", delay=60.0), job("b", group="b")])
            await store.push([job("a soon", group="a", delay=30.0), job("c", group="c")])
            await store.enter("w", b"", 1000.0)
            assert await _began(store) == ["b", "c"]
            await store.push([job("b again", group="b")])
            time.jump(90)
            assert await _began(store) == ["a soon", "b again", "a late"]

    async def test_jobs_of_no_group_are_one_together(self, store: JobStore) -> None:
        """However many there are, and the first in a round."""
        await store.limit("q", _FAIR)
        await store.push([job(f"none{n}") for n in range(20)])
        await store.push([job(f"a{n}", group="a") for n in range(2)])
        await store.enter("w", b"", _LEASE)
        assert await _began(store, 5) == ["none0", "a0", "none1", "a1", "none2"]
        await store.push([job("a2", group="a")])
        assert await _began(store, 3) == ["a2", "none3", "none4"]

    async def test_what_waits_again_waits_in_its_group(self, store: JobStore) -> None:
        """After a failure, a snooze, and when its worker gives it back."""
        await store.limit("q", _FAIR)
        await store.push([job(f"a{n}", group="a") for n in range(4)])
        await store.push([job(f"b{n}", group="b") for n in range(4)])
        await store.enter("w", b"", _LEASE)
        a, b = (await claim(store, 2)).jobs
        outcomes = (ended(a, "retry", error=b"e"), ended(b, "snooze"))
        await claim(store, 0, outcomes=outcomes)
        wanted = ["a1", "b1", "a2", "b2", "a3", "b3", "a0", "b0"]
        (first, *rest) = (await claim(store)).jobs
        assert [each.task for each in (first, *rest)] == wanted
        await claim(store, 0, outcomes=(Outcome(id=first.id, attempt=1, kind="returned"),))
        assert await _began(store) == ["a1"]

    async def test_a_lost_worker_leaves_its_jobs_to_their_groups(self, store: JobStore) -> None:
        """They are the first of them, as they were due first."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", _FAIR)
            await store.push([job(f"{g}0", group=g) for g in "ab"])
            time.jump(1)
            await store.push([job(f"{g}1", group=g) for g in "ab"])
            await store.enter("lost", b"", 10.0)
            await store.enter("w", b"", 1000.0)
            await claim(store, 2, worker="lost")
            time.jump(11)
            assert await store.rescue(3) == 2
            assert await _began(store) == ["a0", "b0", "a1", "b1"]

    async def test_a_unique_job_may_replace_one_that_has_its_turn(self, store: JobStore) -> None:
        """Its time: then it has none until it is due. Its group stays what it was."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", _FAIR)
            unique = Unique(b"k", conflict="replace")
            await store.push([job("a0", group="a", unique=unique), job("b0", group="b")])
            await store.push([job("a0", group="b", unique=unique, delay=30.0, args=b"new")])
            await store.push([job("a1", group="a")])
            await store.enter("w", b"", 1000.0)
            assert await _began(store) == ["a1", "b0"]
            time.jump(60)
            (ready,) = (await claim(store)).jobs
            assert (ready.task, ready.group, ready.args) == ("a0", "a", b"new")

    async def test_a_group_without_jobs_has_no_turn(self, store: JobStore) -> None:
        """Whether they were cancelled, deleted, or are to run now that were to run later."""
        await store.limit("q", _FAIR)
        jobs = {name: job(name, group=name[0]) for name in ("a0", "b0", "c0", "a1")}
        later = job("d0", group="d", delay=600.0)
        await store.push([*jobs.values(), later])
        await store.enter("w", b"", _LEASE)
        assert await _began(store, 1) == ["a0"]
        assert await store.cancel(Filter(ids=(jobs["b0"].id,))) == 1
        assert await store.delete(Filter(ids=(jobs["c0"].id,))) == 1
        assert await store.retry(Filter(ids=(later.id,))) == 1
        assert await _began(store) == ["d0", "a1"]
        assert await store.retry(Filter(ids=(jobs["b0"].id,))) == 1
        assert await _began(store) == ["b0"]
        assert await _began(store) == []

    async def test_what_follows_has_a_group_of_its_own(self, store: JobStore) -> None:
        """A job of a chain as one of a batch."""
        await store.limit("q", _FAIR)
        id = uuid7()
        batch = NewBatch(id, 1, (job("z", group="z"),))
        await store.push([job("a", group="a", batch=id), job("m", group="m")], batch)
        await store.enter("w", b"", _LEASE)
        (first,) = (await claim(store, 1)).jobs
        assert first.task == "a"
        then = (job("b", group="b"), job("m too", group="m"))
        await claim(store, 0, outcomes=(ended(first, then=then),))
        assert await _began(store) == ["b", "m", "z", "m too"]

    async def test_limits_hold_in_a_fair_queue(self, store: JobStore) -> None:
        """Who may not begin another job does not take the turns of others."""
        await store.limit("q", Limits(running=3, each=2, fair=True))
        await store.push([job(f"a{n}", group="a") for n in range(30)])
        await store.push([job(f"b{n}", group="b") for n in range(3)])
        await store.enter("w", b"", _LEASE)
        first = (await claim(store)).jobs
        assert [each.task for each in first] == ["a0", "b0", "a1"]
        assert await _began(store) == []
        # Of b there runs one, of a none.
        done = tuple(ended(each) for each in first if each.group == "a")
        second = (await claim(store, outcomes=done)).jobs
        assert [each.task for each in second] == ["b1", "a2"]
        third = (await claim(store, outcomes=tuple(map(ended, second)))).jobs
        assert [each.task for each in third] == ["b2", "a3"]

    async def test_a_full_queue_does_not_move_the_turn(self, store: JobStore) -> None:
        """One job at a time: the groups still have one after the other."""
        await store.limit("q", Limits(running=1, fair=True))
        await store.push([job(g, group=g) for g in "abc" for _ in range(3)])
        await store.enter("w", b"", _LEASE)
        began: list[str] = []
        done: tuple[Outcome, ...] = ()
        for _ in range(9):
            (ready,) = (await claim(store, 5, outcomes=done)).jobs
            assert (await claim(store, 5)).jobs == []
            began.append(ready.task)
            done = (ended(ready),)
        assert "".join(began) == "abcabcabc"

    async def test_rates_hold_in_a_fair_queue(self, store: JobStore) -> None:
        """Of a group, and of the whole."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", Limits(each_rate=Rate(1, 10.0), fair=True))
            await store.push([job(f"a{n}", group="a") for n in range(3)])
            await store.push([job(f"b{n}", group="b") for n in range(2)])
            await store.enter("w", b"", 1000.0)
            assert await run(store) == ["a0", "b0"]
            assert await run(store) == []
            time.jump(11)
            assert sorted(await run(store)) == ["a1", "b1"]
            time.jump(11)
            assert await run(store) == ["a2"]

    async def test_what_waits_already_takes_turns_once_the_queue_is_fair(
        self, store: JobStore
    ) -> None:
        """And is in one line again when it is no longer."""
        await store.push([job(f"a{n}", group="a") for n in range(4)])
        await store.push([job(f"b{n}", group="b") for n in range(3)])
        await store.enter("w", b"", _LEASE)
        assert await _began(store, 1) == ["a0"]
        await store.limit("q", _FAIR)
        (state,) = await store.queues()
        assert state.limits == _FAIR
        assert state.counts == {JobState.WAITING: 6, JobState.RUNNING: 1}
        assert await _began(store, 3) == ["a1", "b0", "a2"]
        await store.limit("q", Limits())
        await store.push([job("a4", group="a")])
        assert await _began(store) == ["a3", "b1", "b2", "a4"]
        await store.limit("q", _FAIR)
        await store.push([job(f"{g}5", group=g) for g in "aabb"])
        assert Counter(await _began(store, 2)) == {"a5": 1, "b5": 1}

    async def test_a_fair_queue_that_pauses_gives_nothing(self, store: JobStore) -> None:
        """And its neighbours are as they were."""
        await store.limit("q", _FAIR)
        await store.push([job("a", group="a"), job("other", queue="other", group="a")])
        await store.enter("w", b"", _LEASE)
        await store.pause("q", paused=True)
        assert await run(store, 5, "q", "other") == ["other"]
        await store.pause("q", paused=False)
        assert await run(store, 5, "q", "other") == ["a"]

    async def test_a_push_to_a_fair_queue_wakes_who_waits(self, store: JobStore) -> None:
        """As one to any other."""
        await store.limit("q", _FAIR)
        waiting = asyncio.ensure_future(store.wait(["q"], 600.0))
        await clock.sleep(0)
        assert not waiting.done()
        await store.push([job("a", group="a")])
        await asyncio.wait_for(waiting, 10)

    async def test_the_oldest_of_a_fair_queue_is_seen(self, store: JobStore) -> None:
        """Whichever group it is of."""
        with clock.use(TravelClock()) as time:
            await store.limit("q", _FAIR)
            await store.push([job("b", group="b", priority=-3)])
            time.jump(100)
            await store.push([job("a", group="a"), job("b too", group="b")])
            (state,) = await store.queues()
            assert 99 <= state.oldest <= 105

    async def test_a_job_of_a_fair_queue_is_as_any_other(self, store: JobStore) -> None:
        """It has its group, its result and its state, and is found by them."""
        await store.limit("q", _FAIR)
        new = job(group="a", priority=3)
        await store.push([new])
        await store.enter("w", b"", _LEASE)
        (ready,) = (await claim(store)).jobs
        assert (ready.group, ready.priority, ready.attempt) == ("a", 3, 1)
        await claim(store, 0, outcomes=(ended(ready, result=b"r"),))
        stored = await one(store, new.id)
        assert (stored.state, stored.group, stored.result) == (JobState.COMPLETED, "a", b"r")

    async def test_whatever_happens_the_order_is_that_of_a_model(self, store: JobStore) -> None:
        """Pushes, claims, failures and snoozes, by chance."""
        await store.enter("w", b"", 10_000.0)
        with clock.use(TravelClock()) as time:
            for seed in range(4):
                await _compare(store, time, Random(seed))


async def _compare(store: JobStore, time: TravelClock, chance: Random) -> None:
    """Do the same to a queue of its own and to a model, and compare what is claimed."""
    model, running = _Model(), list[Ready]()
    queue = f"q{chance.getrandbits(32)}"
    await store.limit(queue, _FAIR)
    for step in range(60):
        time.jump(1)  # some databases tell milliseconds apart, and no less
        what = chance.random()
        if what < 0.45:
            some = [_any_job(chance, queue, f"{step}.{n}") for n in range(chance.randint(1, 12))]
            await store.push(some)
            for new in some:
                model.push(new.group, new.priority, new.task)
        elif what < 0.85 or not running:
            limit = chance.choice((1, 2, 3, 7, 20))
            jobs = (await claim(store, limit, queue)).jobs
            assert [each.task for each in jobs] == model.claim(limit)
            running += jobs
        else:
            back = running.pop(chance.randrange(len(running)))
            await claim(store, 0, outcomes=(ended(back, chance.choice(("retry", "snooze"))),))
            model.push(back.group, back.priority, back.task)
    jobs = (await claim(store, 500, queue)).jobs
    assert [each.task for each in jobs] == model.claim(500)


def _any_job(chance: Random, queue: str, task: str) -> NewJob:
    group = chance.choice((None, "a", "b", "B", "ä", "z z", "10", "9"))
    return job(task, queue=queue, group=group, priority=chance.randint(-1, 1))
