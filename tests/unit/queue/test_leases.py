"""Leases that are kept from beside the loop: by a thread, with a store that other processes share."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.queue_server import SharedStore, register
from tests.unit.queue import jobs

from oxidite.errors import BackendUnavailableError
from oxidite.queue import JobState, Queue, Worker, task
from oxidite.queue.leases import Life, ThreadKeeper

LEASE = 0.6


@task(timeout=30.0)
async def holds_the_loop(seconds: float) -> int:
    threading.Event().wait(seconds)
    return 1


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    register()
    path = tmp_path / "store"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.queue_server", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    async with Queue.from_url(f"shared://{path}", tasks=[jobs.__name__, __name__]) as queue:
        yield queue
    process.kill()
    await process.wait()


async def test_a_job_that_holds_up_the_loop_runs_once(queue: Queue) -> None:
    handle = await queue.enqueue(holds_the_loop, 3 * LEASE)
    async with Worker(queue, lease=LEASE, grace=0.1):
        assert await handle.result(10) == 1
        job = await handle.job()
        assert (job.attempt, job.crashes) == (1, 0)
    assert await queue.workers() == []


async def test_a_loop_that_hangs_loses_its_lease_and_regains_it(
    queue: Queue,
    caplog: pytest.LogCaptureFixture,
    events: list[tuple[str, dict[str, object]]],
) -> None:
    async with Worker(queue, lease=LEASE, grace=0.1) as worker:
        threading.Event().wait(3 * LEASE)  # nothing that any job may be blamed for
        assert "its lease lapses" in caplog.text
        handle = await queue.enqueue(jobs.add, 1)
        assert await handle.result(10) == 3
        assert [each.name for each in await queue.workers()] == [worker.name]
        (silent,) = [said for name, said in events if name == "queue.silent"]
        assert silent["worker"] == worker.name
        assert ("queue.lost", {"worker": worker.name}) in events


async def test_a_cancellation_is_heard_through_the_thread(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.waits)
    async with Worker(queue, lease=300.0):
        async with asyncio.timeout(10):
            while await handle.state() is not JobState.RUNNING:
                await queue.store.wait(["default"], 0.01)
            await handle.cancel()
            while await handle.state() is not JobState.CANCELLED:
                await queue.store.wait(["default"], 0.01)


async def test_a_store_that_the_thread_cannot_open_is_said(queue: Queue) -> None:
    def shut() -> SharedStore:
        raise BackendUnavailableError("shut")

    keeper = ThreadKeeper(shut, lease=LEASE, poison=3)
    with pytest.raises(BackendUnavailableError, match="shut"):
        async with Worker(queue, keeper=keeper):
            pass


def test_a_loop_is_lost_when_it_is_silent_and_no_job_may_be_why() -> None:
    life = Life(0.0)
    life.sign(100.0)
    assert (life.is_silent, life.has_jobs, life.is_lost) == (True, True, False)
    life.sign(0.0)
    assert (life.is_silent, life.has_jobs, life.is_lost) == (True, False, True)
    assert not Life(100.0).is_lost
