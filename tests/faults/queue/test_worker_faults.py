"""Workers that are killed, stopped, ended, filled up and held up, in real processes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.queue import worker_app as app
from tests.faults.queue.conftest import LEASE, LIMIT, LONG, Workplace

from oxidite import clock
from oxidite.queue import Handle, JobFailedError, JobState

pytestmark = pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs signals of Unix")


def count_of(place: Workplace, word: str, number: int = 1) -> Callable[[], bool]:
    return lambda: len(place.seen(word)) >= number


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def is_state(handle: Handle[Any], state: JobState) -> bool:
    return await handle.state() is state


async def test_a_child_that_is_killed_loses_nothing_and_is_replaced_at_once(
    place: Workplace,
) -> None:
    worker = await place.work(lease=LONG)
    handle = await place.queue.enqueue(app.waits_once)
    await place.until(count_of(place, "waits"))
    os.kill(int(place.seen("waits")[0][1]), signal.SIGKILL)
    took = await place.until(count_of(place, "waits", 2))
    # Long before the lease was over: the supervisor saw it.
    assert took < LIMIT
    assert await handle.result(10) == 2
    assert (await handle.job()).crashes == 1
    assert worker.returncode is None
    assert "was ended by SIGKILL" in place.said


async def test_a_job_that_holds_up_the_loop_beyond_its_time_ends_with_its_process(
    place: Workplace,
) -> None:
    await place.work("--grace", "1")
    handle = await place.queue.enqueue(app.hangs_once)
    assert await handle.result(20) == 2
    assert "shows no sign of life and is killed" in place.said
    assert (await handle.job()).crashes == 1


async def test_a_job_that_computes_longer_than_the_lease_runs_once(place: Workplace) -> None:
    await place.work()
    handle = await place.queue.enqueue(app.computes, 2.5 * LEASE)
    assert await handle.result(20) == 1
    assert (await handle.job()).crashes == 0


async def test_a_job_that_ends_its_process_thrice_is_dead(place: Workplace) -> None:
    await place.work(lease=LONG)
    quick = [await place.queue.enqueue(app.quick, number) for number in range(20)]
    poison = await place.queue.enqueue(app.ends_the_process)
    with pytest.raises(JobFailedError, match="its worker ended 3 times"):
        await poison.result(30)
    assert [await each.result(30) for each in quick] == list(range(20))
    assert len(place.seen("ends")) == 3
    assert {(await each.job()).state for each in quick} == {JobState.COMPLETED}


async def test_an_ended_worker_lets_jobs_end_and_gives_back_the_rest(place: Workplace) -> None:
    worker = await place.work("--drain", "3", "--concurrency", "30", lease=LONG)
    soon = [await place.queue.enqueue(app.slow, number, 1.0) for number in range(20)]
    late = [await place.queue.enqueue(app.waits_once) for _ in range(5)]
    await place.until(count_of(place, "slow", 20))
    await place.until(count_of(place, "waits", 5))
    worker.send_signal(signal.SIGTERM)
    assert await worker.wait() == 0
    assert {(await each.job()).state for each in soon} == {JobState.COMPLETED}
    stored = [await each.job() for each in late]
    assert {(each.state, each.failures, each.crashes) for each in stored} == {
        (JobState.WAITING, 0, 0)
    }
    assert await place.queue.workers() == []
    await place.work(lease=LONG)
    assert [await each.result(10) for each in late] == [2] * 5


async def test_a_second_signal_gives_everything_back_at_once(place: Workplace) -> None:
    worker = await place.work("--drain", "600", lease=LONG)
    handle = await place.queue.enqueue(app.waits_once)
    await place.until(count_of(place, "waits"))
    worker.send_signal(signal.SIGTERM)
    await place.until(lambda: "Stopping" in place.said)
    began = clock.perf()
    worker.send_signal(signal.SIGTERM)
    assert await worker.wait() == 0
    assert clock.perf() - began < 10
    job = await handle.job()
    assert (job.state, job.failures, job.crashes) == (JobState.WAITING, 0, 0)


async def test_an_interrupted_worker_says_so(place: Workplace) -> None:
    worker = await place.work(lease=LONG)
    place.kill(worker, signal.SIGINT)
    assert await worker.wait() == 130
    assert await place.queue.workers() == []


async def test_a_process_that_holds_too_much_is_renewed(place: Workplace) -> None:
    await place.work("--max-memory", "200M", lease=LONG)
    await (await place.queue.enqueue(app.fills_memory, 300_000_000)).result(10)
    first = int(place.seen("fills")[0][0])
    await place.until(lambda: is_gone(first))
    await (await place.queue.enqueue(app.quick, 1)).result(10)
    assert int(place.seen("quick")[0][2]) != first
    assert "ended" not in place.said


async def test_a_process_that_ran_enough_jobs_is_renewed(place: Workplace) -> None:
    await place.work("--max-jobs", "10", "--prefetch", "0", lease=LONG)
    handles = [await place.queue.enqueue(app.quick, number) for number in range(40)]
    assert [await each.result(20) for each in handles] == list(range(40))
    assert len({pid for _, _, pid in place.seen("quick")}) >= 2
    assert {(await each.job()).crashes for each in handles} == {0}


async def test_a_running_job_is_cancelled_from_elsewhere(place: Workplace) -> None:
    await place.work()
    handle = await place.queue.enqueue(app.waits_once)
    await place.until(count_of(place, "waits"))
    assert await handle.cancel()
    took = await place.until(lambda: is_state(handle, JobState.CANCELLED))
    assert took < 2.5


async def test_tasks_run_in_processes_which_are_killed_in_time(place: Workplace) -> None:
    await place.work("--grace", "1", lease=LONG)
    assert await (await place.queue.enqueue(app.in_a_process, 4)).result(10) == 8
    with pytest.raises(JobFailedError, match="KeyError: 'how'"):
        await (await place.queue.enqueue(app.fails_in_a_process, "how")).result(10)
    with pytest.raises(JobFailedError, match="has ended, with exit code 9"):
        await (await place.queue.enqueue(app.fails_in_a_process, "exit")).result(10)
    hangs = await place.queue.enqueue(app.hangs_in_a_process)
    with pytest.raises(JobFailedError, match="JobTimeoutError"):
        await hangs.result(15)
    await place.until(lambda: is_gone(int(place.seen("process")[0][0])))


async def test_a_killed_supervisor_takes_its_children_along(place: Workplace) -> None:
    worker = await place.work(lease=LONG)
    handle = await place.queue.enqueue(app.waits_once)
    await place.until(count_of(place, "waits"))
    worker.kill()
    await place.until(lambda: is_gone(int(place.seen("waits")[0][1])))
    # It had the time to give its job back.
    job = await handle.job()
    assert (job.state, job.crashes) == (JobState.WAITING, 0)


async def test_a_job_wakes_in_time_whatever_became_of_its_worker(everywhere: Workplace) -> None:
    place = everywhere
    worker = await place.work()
    handle = await place.queue.enqueue(app.sleeps, 6.0)
    await place.until(count_of(place, "asleep"))
    await place.until(lambda: is_state(handle, JobState.WAITING))
    place.kill(worker, signal.SIGKILL)
    await worker.wait()
    await place.work()
    assert 6.0 <= await handle.result(30) < 6.0 + LIMIT
    job = await handle.job()
    assert (job.attempt, job.failures, job.crashes) == (2, 0, 0)
    assert len(place.seen("asleep")) == 1


async def test_what_cannot_work_says_why(place: Workplace) -> None:
    for command, said in (
        ("tests.faults.queue.absent:app", "There is no module 'tests.faults.queue.absent'"),
        ("tests.faults.queue.memory_app:app", "in the memory of one process"),
        ("tests.faults.queue.worker_app:queue", "is not an ASGI application"),
    ):
        process = await place.start("queue", "work", command)
        assert await process.wait() == 1
        assert said in place.said
    process = await place.start("queue", "work", "tests.faults.queue.worker_app:app", "-q", "a=0")
    assert await process.wait() == 2
    assert "neither a queue nor a queue with a weight" in place.said


async def test_one_that_cannot_begin_is_tried_again_while_others_work(place: Workplace) -> None:
    """As when one is renewed while a database is away."""
    worker = await place.work("--processes", "2")
    place.say("away")
    os.kill(await (await place.queue.enqueue(app.tells_process, 1)).result(10), signal.SIGKILL)
    await place.until(lambda: "does not start, and is tried again" in place.said)
    assert "the source is away" in place.said
    assert await (await place.queue.enqueue(app.adds, 1)).result(10) == 2
    assert worker.returncode is None
    works = place.said.count(" works ")
    (place.folder / "away").unlink()
    await place.until(lambda: place.said.count(" works ") > works)


async def test_of_several_web_processes_one_hosts_the_worker(place: Workplace) -> None:
    server = await place.start(
        *("serve", "tests.faults.queue.worker_app:app", "--port", "0", "--workers", "2"),
        *("--with-worker", "--server", "uvicorn"),
    )

    async def works() -> bool:
        return len(await place.queue.workers()) == 1

    await place.until(works)
    first = await (await place.queue.enqueue(app.tells_process, 1)).result(10)
    await place.until(lambda: len(re.findall(r"Serving", place.said)) == 1)
    assert len(await place.queue.workers()) == 1
    os.kill(first, signal.SIGKILL)
    # Its role is another's within ten seconds, and its name is gone within a lease of 30.
    second = await (await place.queue.enqueue(app.tells_process, 2)).result(30)
    assert second != first
    server.send_signal(signal.SIGTERM)
    assert await server.wait() == 0
    names = [each.name for each in await place.queue.workers()]
    assert not any(f":{second}:" in name for name in names)


async def test_the_development_server_runs_jobs_of_every_queue(place: Workplace) -> None:
    server = await place.start("dev", "tests.faults.queue.worker_app:app", "--port", "0")
    handle = await place.queue.enqueue(app.quick.options(queue="another"), 5)
    assert await handle.result(20) == 5
    server.send_signal(signal.SIGTERM)
    assert await server.wait() == 0
    assert await place.queue.workers() == []
