"""Clocks that are an hour off: that of the store, as a test can move it, and that of a worker's machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.queue import worker_app as app
from tests.faults.queue.conftest import LEASE, Workplace
from tests.faults.queue.ledger import everything_ended, tally
from tests.faults.queue.record import Record
from tests.faults.queue.stands import ROUNDS, SERVERS, stand

from oxidite import clock
from oxidite.queue.base import Filter, JobState
from oxidite.queue.stores import stores
from oxidite.testing.contracts.queue import claim, ended, job

_HOUR = 3600.0
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class _Off(clock.Clock):
    """The real time, of a store that is some seconds ahead or behind."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def timestamp(self) -> float:
        return super().timestamp() + self._seconds

    def travelled(self) -> float:
        return self._seconds


@contextmanager
def store_is_off(seconds: float) -> Iterator[None]:
    with clock.use(_Off(seconds)):
        yield


async def test_a_store_that_is_suddenly_an_hour_ahead_loses_and_doubles_nothing(
    kind: str, tmp_path: Path
) -> None:
    """All leases lapse at once: what runs begins again, and what the first run comes to is refused."""
    async with stand(kind, tmp_path) as url, stores.create(url) as store:
        new = [job() for _ in range(50)]
        await store.push(new)
        await store.enter("w", b"", LEASE)
        first = (await claim(store, 20)).jobs
        assert len(first) == 20
        with store_is_off(_HOUR):
            assert (await store.beat("w", LEASE)).lost
            assert await store.rescue(3) == 20
            late = await claim(store, 0, outcomes=tuple(map(ended, first)))
            assert len(late.refused) == 20
            await store.enter("other", b"", 600.0)
            again = (await claim(store, 100, worker="other")).jobs
            assert sorted(each.attempt for each in again) == [1] * 30 + [2] * 20
            done = await claim(store, 0, worker="other", outcomes=tuple(map(ended, again)))
            assert done.refused == []
        # And back: nothing that has ended begins anew.
        await store.enter("w", b"", LEASE)
        assert (await claim(store, 100)).jobs == []
        jobs = [each async for each in store.find(Filter())]
        Record(
            fault="skew_store",
            store=kind,
            tried=1,
            jobs=len(new),
            lost=sum(each.state is not JobState.COMPLETED for each in jobs),
            again=20,
            refused=len(late.refused),
        ).settle()


async def test_a_store_that_is_suddenly_an_hour_behind_loses_and_doubles_nothing(
    kind: str, tmp_path: Path
) -> None:
    """Workers that live go on, and what waited to be run is run."""
    async with stand(kind, tmp_path) as url, stores.create(url) as store:
        new = [job() for _ in range(50)]
        await store.push(new)
        await store.enter("w", b"", LEASE)
        first = (await claim(store, 20)).jobs
        with store_is_off(-_HOUR):
            assert not (await store.beat("w", LEASE)).lost
            assert await store.rescue(3) == 0
            found = await claim(store, 100, outcomes=tuple(map(ended, first)))
            assert (len(found.jobs), found.refused) == (30, [])
            done = await claim(store, 0, outcomes=tuple(map(ended, found.jobs)))
            assert done.refused == []
            # The lease is by the time that it is now.
            (worker,) = await store.workers()
            assert worker.lease_until < await store.now() + 2 * LEASE
        jobs = [each async for each in store.find(Filter())]
        Record(
            fault="skew_store",
            store=kind,
            tried=1,
            jobs=len(new),
            lost=sum(each.state is not JobState.COMPLETED for each in jobs),
            refused=0,
        ).settle()


# SQLite has the clock of the machine that it is on, of which there is one.
@pytest.mark.parametrize("kind", SERVERS if ROUNDS > 1 else SERVERS[:1])
async def test_a_worker_whose_clock_is_an_hour_off_takes_nobodys_jobs(
    kind: str, everywhere: Workplace
) -> None:
    if not _LIBRARIES:
        pytest.skip("libfaketime is not installed: make tools")
    place = everywhere
    await place.work("--concurrency", "1", "--prefetch", "0")
    long = await place.queue.enqueue(app.awaits_word, 1)
    await place.until(lambda: len(place.seen("awaits")) == 1)
    for hours in ("+1h", "-1h"):
        off = {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME": hours,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        await place.work(env=off)
    began = clock.timestamp()
    later = await place.queue.enqueue(app.tells_time.options(delay=1.5), 0)
    handles = [await place.queue.enqueue(app.quick, number) for number in range(100)]
    await everything_ended(place, handles)
    # It came when it was due, and was run by one of those who believe it is another hour.
    told = await later.result(20)
    assert abs(abs(told - began) - _HOUR) < 30
    assert abs((await later.job()).due_at - began - 1.5) < 1.0
    await place.until(lambda: clock.timestamp() > began + 2 * LEASE)
    place.say("go1")
    assert await long.result(20) == 1
    jobs = [each async for each in place.queue.find()]
    assert {(each.attempt, each.crashes) for each in jobs} == {(1, 0)}
    record = await tally(place, "skew_worker", kind, [*handles, long], tried=2)
    assert (record.again, record.refused) == (0, 0)
    record.settle()
