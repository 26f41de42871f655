"""Workers that are killed, stopped past their lease, replaced and short of memory, on every durable store."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest
from tests.faults.queue import worker_app as app
from tests.faults.queue.conftest import LEASE, LIMIT, LONG, Workplace
from tests.faults.queue.ledger import begun, everything_ended, push_until, refusals, tally
from tests.faults.queue.stands import FEW, ROUNDS, SOME

from oxidite import clock
from oxidite.queue import Handle, JobFailedError, JobState

pytestmark = pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs signals of Unix")

_AT_ONCE = 5 if ROUNDS > 1 else 2  # workers that are killed in a round: a hundred in `make faults`


async def test_jobs_of_killed_workers_run_again_within_the_lease(
    kind: str, everywhere: Workplace
) -> None:
    """Supervisor and child are killed together, in the middle of a job; nothing is lost or kept twice."""
    place, dice = everywhere, random.Random(5)
    handles: list[Handle[int]] = []
    slowest = 0.0
    alone = ("--concurrency", "1", "--prefetch", "0")
    workers = await place.work_many(_AT_ONCE, *alone)
    for _ in range(ROUNDS):
        some = [await place.queue.enqueue(app.waits_once) for _ in workers]
        handles += some
        await place.until(lambda: len(begun(place)) == len(handles))  # noqa: B023 - called here
        others = await place.work_many(_AT_ONCE, *alone)
        # At any moment between two beats.
        await asyncio.sleep(dice.random() * LEASE / 3)
        killed = clock.perf()
        for each in workers:
            place.kill(each, signal.SIGKILL)
        await everything_ended(place, some)
        runs = begun(place)
        slowest = max(slowest, *(runs[each.id][2] - killed for each in some))
        workers = others
    stored = [await each.job() for each in handles]
    assert {(job.attempt, job.crashes, job.failures) for job in stored} == {(2, 1, 0)}
    assert sum(int(each[1].removeprefix("jobs=")) for each in _rescues(place)) == len(handles)
    record = await tally(
        place, "kill", kind, handles, tried=len(handles), worst=slowest, bound=LIMIT
    )
    assert record.again == len(handles)
    record.settle()


def _rescues(place: Workplace) -> list[list[str]]:
    return [each for each in place.seen("event") if each[0] == "queue.rescued"]


@pytest.mark.parametrize("kind", SOME)
async def test_a_group_that_was_stopped_past_its_lease_is_refused(
    kind: str, everywhere: Workplace
) -> None:
    place = everywhere
    handles: list[Handle[int]] = []
    slowest = 0.0
    worker = await place.work()
    for number in range(1, FEW + 1):
        handles.append(handle := await place.queue.enqueue(app.awaits_word, number))
        await place.until(lambda: len(begun(place)) == len(handles))
        (name,) = [each.name for each in await place.queue.workers()]
        other = await place.work()
        place.kill(worker, signal.SIGSTOP)
        stopped = clock.perf()
        assert await handle.result(LIMIT + 5) == number
        slowest = max(slowest, begun(place)[handle.id][2] - stopped)
        place.say(f"go{number}")
        place.kill(worker, signal.SIGCONT)
        # Awake, it hears that it has lost its lease, gives up what it had, and works again.
        await place.until(lambda: refusals(place) == len(handles))
        await place.until(lambda: f"the lease of {name} had lapsed" in place.said)  # noqa: B023 - called here
        job = await handle.job()
        assert (job.state, job.attempt, job.crashes) == (JobState.COMPLETED, 2, 1)
        other.send_signal(signal.SIGTERM)
        assert await other.wait() == 0
        assert ["queue.lost", f"worker={name}"] in place.seen("event")
    record = await tally(place, "stop_group", kind, handles, tried=FEW, worst=slowest, bound=LIMIT)
    record.settle()


@pytest.mark.parametrize("kind", SOME)
async def test_a_child_that_was_stopped_past_its_lease_is_refused(
    kind: str, everywhere: Workplace
) -> None:
    place = everywhere
    handles: list[Handle[int]] = []
    slowest = 0.0
    worker = await place.work()
    for number in range(1, FEW + 1):
        handles.append(handle := await place.queue.enqueue(app.awaits_word, number))
        await place.until(lambda: len(begun(place)) == len(handles))
        child = int(place.seen("awaits")[-1][2])
        other = await place.work()
        os.kill(child, signal.SIGSTOP)
        stopped = clock.perf()
        assert await handle.result(2 * LEASE + 7) == number
        slowest = max(slowest, begun(place)[handle.id][2] - stopped)
        place.say(f"go{number}")
        os.kill(child, signal.SIGCONT)
        await place.until(lambda: refusals(place) == len(handles))
        assert (await handle.job()).attempt == 2
        os.kill(child, 0)  # it lives, and works on
        other.send_signal(signal.SIGTERM)
        assert await other.wait() == 0
    assert worker.returncode is None
    # Its supervisor lives: it stops to beat when there was no sign for a lease, and then that has to lapse.
    record = await tally(
        place, "stop_child", kind, handles, tried=FEW, worst=slowest, bound=2 * LEASE + 2
    )
    record.settle()


@pytest.mark.parametrize("kind", SOME)
async def test_workers_that_are_replaced_under_load_lose_nothing(
    kind: str, everywhere: Workplace
) -> None:
    """As by a deployment: SIGTERM while jobs come and go, a new worker each time."""
    place, over = everywhere, asyncio.Event()
    worker = await place.work("--drain", "5", lease=LONG)
    pushing = asyncio.ensure_future(push_until(place, over))
    for round_ in range(1, 2 * FEW + 1):
        await place.until(lambda: len(place.seen("quick")) >= 50 * round_)  # noqa: B023 - called here
        other = await place.work("--drain", "5", lease=LONG)
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == 0
        worker = other
    over.set()
    handles = await pushing
    await everything_ended(place, handles)
    jobs = [each async for each in place.queue.find()]
    assert {(each.failures, each.crashes) for each in jobs} == {(0, 0)}
    record = await tally(place, "deploy", kind, handles, tried=2 * FEW)
    # Nothing was interrupted, as nothing took longer than it was given.
    assert (record.again, record.refused) == (0, 0)
    record.settle()


@pytest.mark.parametrize("kind", SOME)
async def test_a_worker_without_memory_survives_or_its_job_comes_again(
    kind: str, everywhere: Workplace
) -> None:
    place = everywhere
    worker = await place.work(lease=LONG)
    quick = [await place.queue.enqueue(app.quick, number) for number in range(20)]
    wants = await place.queue.enqueue(app.wants_more_than_there_is)
    assert await wants.result(60) == 3
    job = await wants.job()
    assert (job.failures, job.crashes) == (2, 0)
    assert len({pid for _, pid in place.seen("wants")}) == 1

    poison = await place.queue.enqueue(app.is_killed_for_memory)
    with pytest.raises(JobFailedError, match="its worker ended 3 times"):
        await poison.result(120)
    assert (await poison.job()).crashes == 3
    assert len(place.seen("killed")) == 3
    assert worker.returncode is None
    quick += [await place.queue.enqueue(app.quick, number) for number in range(20)]
    await everything_ended(place, quick)
    record = await tally(place, "memory", kind, [*quick, wants], tried=5)
    record.settle()
