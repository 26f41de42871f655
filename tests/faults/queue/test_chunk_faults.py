"""Workers that are killed in the middle of a chunk, and between two steps."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest
from tests.faults.queue import chunk_app as app
from tests.faults.queue.conftest import LEASE, LONG, ROUNDS, Workplace

from oxidite.queue import JobState, Queue

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals of Unix")

_AND = 2.0  # seconds after the lease within which what was lost runs again


def has_seen(place: Workplace, word: str, count: int) -> bool:
    return len(place.seen(word)) >= count


async def test_all_jobs_of_a_chunk_that_was_killed_run_again(place: Workplace) -> None:
    queue = Queue(place.queue.store, tasks=[app.__name__])
    worker = await place.work(app="chunk_app")
    handles = await queue.enqueue_many(app.pack.job(number) for number in range(5))
    await place.until(lambda: sum(int(size) for size, _ in place.seen("pack")) == 5)
    chunks = len(place.seen("pack"))
    (place.folder / "go").touch()
    other = await place.work(app="chunk_app")
    place.kill(worker, signal.SIGKILL)
    took = await place.until(lambda: len(place.seen("pack")) > chunks)

    assert took < LEASE + _AND
    assert [await each.result(20) for each in handles] == [0, 2, 4, 6, 8]
    jobs = [await each.job() for each in handles]
    assert {(job.state, job.attempt, job.crashes, job.failures) for job in jobs} == {
        (JobState.COMPLETED, 2, 1, 0)
    }
    assert sum(int(size) for size, _ in place.seen("pack")[chunks:]) == 5
    assert other.returncode is None


async def test_what_was_collected_by_a_worker_that_ends_goes_back_unharmed(
    place: Workplace,
) -> None:
    queue = Queue(place.queue.store, tasks=[app.__name__])
    (place.folder / "go").touch()
    worker = await place.work(lease=LONG, app="chunk_app")
    handles = await queue.enqueue_many(app.pack.job(number) for number in range(3))
    place.kill(worker, signal.SIGTERM)
    assert await worker.wait() == 0
    await place.work(lease=LONG, app="chunk_app")
    assert [await each.result(20) for each in handles] == [0, 2, 4]
    assert {job.crashes for job in [await each.job() for each in handles]} == {0}
    assert sum(int(size) for size, _ in place.seen("pack")) == 3


async def test_a_step_that_was_done_before_a_kill_is_not_done_again(place: Workplace) -> None:
    queue = Queue(place.queue.store, tasks=[app.__name__])
    for number in range(ROUNDS):
        worker = await place.work(app="chunk_app")
        handle = await queue.enqueue(app.stepwise)
        await place.until(partial(has_seen, place, "after", 2 * number + 1))
        place.kill(worker, signal.SIGKILL)
        await place.work(app="chunk_app")
        assert await handle.result(LEASE + _AND + 10) == 7
        job = await handle.job()
        assert (job.state, job.attempt, job.crashes) == (JobState.COMPLETED, 2, 1)
        assert len(place.seen("step")) == number + 1
        for each in place.workers:
            place.kill(each, signal.SIGKILL)
