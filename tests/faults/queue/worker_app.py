"""An application whose jobs do what the tests of faults ask of them; each leaves a line in a file."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import threading

from tests.faults.queue.ears import is_there, listen, note
from tests.queue_server import register

from oxidite import Oxidite, clock
from oxidite.queue import JobContext, Queue, Retry, given, task

register()
listen()

queue = Queue.from_url(os.environ.get("OXIDITE_TEST_QUEUE", "memory://"), tasks=[__name__])


class Source:
    """Something that jobs need, which is away when the test says so."""

    async def __aenter__(self) -> Source:
        if is_there("away"):
            raise ConnectionError("the source is away")
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


app = Oxidite(resources=[queue, Source()])


def began(job: JobContext) -> None:
    """Say which attempt of which job begins, and when; the time is the same in all processes."""
    note(f"run {job.id} {job.attempt} {clock.perf()}")


@task
async def quick(number: int, job: JobContext = given()) -> int:
    began(job)
    note(f"quick {number} {job.attempt} {os.getpid()}")
    return number


@task(timeout=60.0)
async def slow(number: int, seconds: float, job: JobContext = given()) -> int:
    began(job)
    note(f"slow {number} {job.attempt} {os.getpid()}")
    await clock.sleep(seconds)
    note(f"done {number} {job.attempt} {os.getpid()}")
    return number


@task(timeout=60.0)
async def awaits_word(number: int, job: JobContext = given()) -> int:
    """Go on in the first attempt when the test says so, by a file, and at once in the next."""
    began(job)
    note(f"awaits {number} {job.attempt} {os.getpid()}")
    while job.attempt == 1 and not is_there(f"go{number}"):
        await clock.sleep(0.05)
    return number


@task(timeout=600.0)
async def waits_once(job: JobContext = given()) -> int:
    """Wait for ever in the first attempt, and not at all in the next."""
    began(job)
    note(f"waits {job.attempt} {os.getpid()}")
    if job.attempt == 1:
        await asyncio.Event().wait()
    return job.attempt


def falls_asleep() -> float:
    note(f"asleep {os.getpid()}")
    return clock.timestamp()


@task
async def sleeps(seconds: float, job: JobContext = given()) -> float:
    """Return for how long it has slept."""
    began(job)
    fell_asleep = await job.step("fall asleep", falls_asleep)
    await job.sleep("sleep", seconds)
    return clock.timestamp() - fell_asleep


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
async def adds(number: int) -> int:
    return number + 1


@task
async def tells_process(number: int) -> int:
    return os.getpid()


@task
async def tells_time(number: int) -> float:
    return clock.timestamp()


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


@task(retry=Retry(times=2, first=0.0))
async def wants_more_than_there_is(job: JobContext = given()) -> int:
    """Want more memory than the process may have, until the third attempt."""
    began(job)
    note(f"wants {job.attempt} {os.getpid()}")
    if job.attempt < 3:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115, ASYNC230 - a line
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 50_000_000, hard))
        try:
            return len(bytearray(200_000_000))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return job.attempt


@task
async def is_killed_for_memory(job: JobContext = given()) -> None:
    """End as by the kernel when a machine has no memory left: by SIGKILL, in the middle of allocating."""
    began(job)
    note(f"killed {job.attempt} {os.getpid()}")
    fills = bytearray(50_000_000)
    os.kill(os.getpid(), signal.SIGKILL)
    await clock.sleep(len(fills))


@task(run="process", timeout=30.0)
def in_a_process(number: int) -> int:
    return os.getpid() if number == 0 else number * 2


@task(run="process", timeout=5.0, retry=Retry(times=0))
def hangs_in_a_process() -> None:
    note(f"process {os.getpid()}")
    threading.Event().wait(600)


@task(run="process", retry=Retry(times=0))
def fails_in_a_process(how: str) -> None:
    if how == "exit":
        os._exit(9)
    raise KeyError(how)
