"""Jobs that no worker can run any more: dead letters with a reason, each tried once, and never a loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from tests.faults.queue import worker_app as app
from tests.faults.queue.record import Record
from tests.faults.queue.stands import stand

from oxidite.encoding import encode_msgpack
from oxidite.ids import uuid7
from oxidite.queue import JobState, Queue, Worker
from oxidite.queue.base import NewJob
from oxidite.queue.failures import last_failure

_MODULE = app.__name__


def new(task: str, args: bytes = b"\x80", version: int = 1) -> NewJob:
    return NewJob(id=uuid7(), queue="default", task=task, args=args, version=version)


_MISFITS = {
    "its module is gone": (new(f"{_MODULE}_old:quick"), "unknown_task"),
    "its function is gone": (new(f"{_MODULE}:gone"), "unknown_task"),
    "it is no task": (new(f"{_MODULE}:note"), "unknown_task"),
    "it is of another package": (new("os:system"), "unknown_task"),
    "its name is nonsense": (new("\ud7ff::..:"), "unknown_task"),
    "it cannot be imported": (new("tests.faults.queue.broken:quick"), "ZeroDivisionError"),
    "an argument is missing": (new(f"{_MODULE}:quick"), "job_arguments"),
    "an argument is of another kind": (
        new(f"{_MODULE}:quick", encode_msgpack({"number": "one"})),
        "job_arguments",
    ),
    "an argument is too many": (
        new(f"{_MODULE}:quick", encode_msgpack({"number": 1, "other": 2})),
        "job_arguments",
    ),
    "its arguments are no msgpack": (new(f"{_MODULE}:quick", b"\xc1\xff\x00"), "job_arguments"),
    "its arguments are cut off": (
        new(f"{_MODULE}:quick", encode_msgpack({"number": 1})[:-1]),
        "job_arguments",
    ),
    "its arguments are no mapping": (new(f"{_MODULE}:quick", b"\x93\x01\x02\x03"), "job_arguments"),
    "its arguments are deeper than anything is": (
        new(f"{_MODULE}:quick", b"\x81\xa6number" + b"\x91" * 100_000 + b"\x01"),
        "job_arguments",
    ),
    "it is of a newer version": (
        new(f"{_MODULE}:quick", encode_msgpack({"number": 1}), version=7),
        "job_arguments",
    ),
}


async def test_what_no_longer_fits_is_a_dead_letter_at_once(kind: str, tmp_path: Path) -> None:
    tasks = ["tests.faults.queue"]
    async with stand(kind, tmp_path) as url, Queue.from_url(url, tasks=tasks) as queue:
        await queue.push([each for each, _ in _MISFITS.values()])
        good = await queue.enqueue(app.adds, 1)
        ids = [each.id for each, _ in _MISFITS.values()]
        async with Worker(queue, lease=30.0):
            assert await good.result(10) == 2
            async with asyncio.timeout(10):
                while not await have_ended(queue, ids):
                    await queue.store.wait(["nowhere"], 0.02)
        jobs = [await queue.get(each) for each in ids]
        for (why, (_, reason)), job in zip(_MISFITS.items(), jobs, strict=True):
            failure = last_failure(job)
            assert job.state is JobState.DEAD, why
            assert (job.attempt, job.crashes, failure.kind) == (1, 0, reason), why
            assert failure.message, why
        Record(
            fault="misfit",
            store=kind,
            tried=len(ids),
            jobs=len(ids) + 1,
            lost=sum(each.state is not JobState.DEAD for each in jobs),
        ).settle()


async def have_ended(queue: Queue, ids: list[UUID]) -> bool:
    return all(each is None or each.ended_at for each in await queue.store.get(ids))
