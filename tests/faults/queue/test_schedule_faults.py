"""Several processes fire the same schedules through days in which the clocks change; one of them is killed."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from tests.faults.queue import cron_host
from tests.faults.queue import worker_app as app
from tests.faults.queue.record import Record
from tests.faults.queue.schedules import changes_after, slots
from tests.faults.queue.stands import SOME, stand

from oxidite import clock
from oxidite.queue import Queue

_ROOT = Path(__file__).parents[3]
_STEP = 600


@pytest.mark.parametrize("kind", SOME)
async def test_every_slot_is_fired_once_by_whomever(kind: str, tmp_path: Path) -> None:
    async with stand(kind, tmp_path) as url:
        for midnight in changes_after(clock.now()):
            begin = midnight - timedelta(hours=8, minutes=5)
            await _fires(kind, url, f"{midnight:%m-%d}", begin, begin + timedelta(hours=40))


async def _fires(kind: str, url: str, prefix: str, begin: datetime, end: datetime) -> None:
    async with Queue.from_url(url, tasks=[app.__name__]) as queue:
        before = {each.id async for each in queue.find()}
        hosts = [await _host(url, prefix, begin, end) for _ in range(3)]
        for each in hosts:
            assert each.stdin is not None
            each.stdin.write(b"\n")
        async with asyncio.timeout(60):
            # One of them ends in the middle, at whatever it is.
            while len(await _fired(queue, before)) < 40:
                await queue.store.wait(["nowhere"], 0.005)
            hosts[0].kill()
            assert [await each.wait() for each in hosts][1:] == [0, 0]
        fired = await _fired(queue, before)
    expected = slots(begin, end)
    wanted = Counter((number, slot) for number, some in expected.items() for slot in some)
    found = Counter(fired)
    of_nights = {each for each in wanted if each[0] == 2}
    for fault, some in (("cron", set(wanted) - of_nights), ("dst", of_nights)):
        Record(
            fault=fault,  # type: ignore[arg-type]  # of two strings
            store=kind,
            tried=len(some),
            jobs=sum(found[each] for each in some),
            lost=sum(not found[each] for each in some),
            doubled=sum(found[each] > 1 for each in some),
        ).settle()
    assert found == wanted


async def _host(
    url: str, prefix: str, begin: datetime, end: datetime
) -> asyncio.subprocess.Process:
    times = (str(begin.timestamp()), str(end.timestamp()), str(_STEP))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", cron_host.__name__, url, prefix, *times),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def _fired(queue: Queue, before: set[UUID]) -> list[tuple[int, float]]:
    """Return the schedule and the slot of each job that was pushed."""
    jobs = [each async for each in queue.find() if each.id not in before]
    return [(msgspec.msgpack.decode(each.args)["number"], each.due_at) for each in jobs]
