"""An application whose jobs run in chunks and in steps, and wait until the test lets them go on."""

from __future__ import annotations

import asyncio
import os

from tests.faults.queue.ears import is_there, note
from tests.queue_server import register

from oxidite import Oxidite
from oxidite.queue import Chunk, JobContext, Queue, given, task

register()

queue = Queue.from_url(os.environ.get("OXIDITE_TEST_QUEUE", "memory://"), tasks=[__name__])
app = Oxidite(resources=[queue])


@task(chunk=Chunk(size=5, within=0.2), timeout=60.0)
async def pack(numbers: list[int]) -> list[int]:
    """Wait for ever, until the test says otherwise to the next that is asked."""
    note(f"pack {len(numbers)} {os.getpid()}")
    if not is_there("go"):
        await asyncio.Event().wait()
    return [number * 2 for number in numbers]


@task(timeout=60.0)
async def stepwise(job: JobContext = given()) -> int:
    """Do one step, and then wait for ever in the first attempt."""

    def step() -> int:
        note(f"step {os.getpid()}")
        return 7

    found = await job.step("once", step)
    note(f"after {job.attempt} {os.getpid()}")
    if job.attempt == 1:
        await asyncio.Event().wait()
    return found
