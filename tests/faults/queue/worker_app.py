"""An application whose jobs do what the tests of faults ask of them; each leaves a line in a file."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from tests.queue_server import register

from oxidite import Oxidite
from oxidite.queue import JobContext, Queue, Retry, given, task

register()

HERE = Path(os.environ.get("OXIDITE_TEST_DIRECTORY", "/nowhere"))
queue = Queue.from_url(f"shared://{HERE / 'store'}", tasks=[__name__])
app = Oxidite(resources=[queue])


def note(text: str) -> None:
    """Write a line that is there whatever happens next."""
    with (HERE / "seen").open("a") as file:
        file.write(f"{text}\n")


@task
async def quick(number: int, job: JobContext = given()) -> int:
    note(f"quick {number} {job.attempt} {os.getpid()}")
    return number


@task(timeout=60.0)
async def slow(number: int, seconds: float, job: JobContext = given()) -> int:
    note(f"slow {number} {job.attempt} {os.getpid()}")
    await asyncio.to_thread(threading.Event().wait, seconds)
    note(f"done {number} {job.attempt} {os.getpid()}")
    return number


@task(timeout=60.0)
async def waits_once(job: JobContext = given()) -> int:
    """Wait for ever in the first attempt, and not at all in the next."""
    note(f"waits {job.attempt} {os.getpid()}")
    if job.attempt == 1:
        await asyncio.Event().wait()
    return job.attempt


@task(timeout=1.0, retry=Retry(times=5, first=0.0))
async def hangs_once(job: JobContext = given()) -> int:
    """Hold up the loop for ever in the first attempt."""
    note(f"hangs {job.attempt} {os.getpid()}")
    if job.attempt == 1:
        threading.Event().wait(600)
    return job.attempt


@task(timeout=60.0)
async def computes(seconds: float) -> int:
    threading.Event().wait(seconds)
    return 1


@task
async def tells_process(number: int) -> int:
    return os.getpid()


@task
async def ends_the_process(job: JobContext = given()) -> None:
    note(f"ends {job.attempt} {os.getpid()}")
    os._exit(7)


@task
async def fills_memory(size: int) -> int:
    global held  # noqa: PLW0603 - it is to stay
    held = b"x" * size
    note(f"fills {os.getpid()}")
    return len(held)


held = b""


@task(run="process", timeout=30.0)
def in_a_process(number: int) -> int:
    return os.getpid() if number == 0 else number * 2


@task(run="process", timeout=1.0, retry=Retry(times=0))
def hangs_in_a_process() -> None:
    note(f"process {os.getpid()}")
    threading.Event().wait(600)


@task(run="process", retry=Retry(times=0))
def fails_in_a_process(how: str) -> None:
    if how == "exit":
        os._exit(9)
    raise KeyError(how)
