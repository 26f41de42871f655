"""Jobs that are pushed by the clock, over simulated time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from msgspec import msgpack, structs

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.errors import ConfigError
from oxidite.queue import Filter, JobState, Uniqueness
from oxidite.queue.cron import Cron
from oxidite.queue.queue import Queue
from oxidite.queue.schedules import ScheduleNotFoundError
from oxidite.queue.stores.memory import MemoryStore
from oxidite.queue.task import task
from oxidite.queue.worker import Worker

START = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
ran: list[str] = []


@task(name="report")
async def report(kind: str = "daily") -> None:
    ran.append(f"{kind} {clock.now():%m-%d %H:%M:%S}")


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@pytest.fixture
async def time() -> AsyncIterator[TravelClock]:
    with clock.use(TravelClock(START)) as time:
        yield time


def made(store: MemoryStore | None = None) -> Queue:
    return Queue(store or MemoryStore(), tasks=[report])


async def pushed(queue: Queue) -> list[str]:
    jobs = [each async for each in queue.find()]
    due = sorted(each.due_at for each in jobs)
    return [f"{datetime.fromtimestamp(each, UTC):%m-%d %H:%M:%S}" for each in due]


async def test_a_slot_pushes_its_job(time: TravelClock) -> None:
    queue = made()
    queue.cron("0 3 * * *", report.job("nightly"), zone="Europe/Berlin")
    async with queue:
        assert await queue.schedules.tick() == 60.0
        time.jump(16 * 3600 - 1)
        assert await pushed(queue) == []
        assert await queue.schedules.tick() == 1.0
        time.jump(2)
        await queue.schedules.tick()
        await queue.schedules.tick()
        assert await pushed(queue) == ["11-27 02:00:00"]


async def test_a_worker_runs_it(time: TravelClock) -> None:
    queue = made()
    queue.cron("*/10 * * * *", report.job())
    async with queue, Worker(queue):
        await time.advance(3600)
    assert ran == [
        f"daily 11-26 {each}:00" for each in ("10:10", "10:20", "10:30", "10:40", "10:50", "11:00")
    ]


async def test_every_second_has_its_slot(time: TravelClock) -> None:
    queue = made()
    queue.cron("* * * * * *", report.job())
    async with queue:
        for _ in range(10):
            time.jump(3)
            await queue.schedules.tick()
        assert len(await pushed(queue)) == 30


async def test_several_hosts_fire_a_slot_once(time: TravelClock) -> None:
    store = MemoryStore()
    hosts = [made(store) for _ in range(3)]
    for host in hosts:
        host.cron("@hourly", report.job())
        await host.schedules.open()
    for _ in range(24):
        time.jump(3600)
        for host in hosts:
            await host.schedules.tick()
    assert len(await pushed(hosts[0])) == 24


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("skip", 0), ("latest", 1), ("all", 24)],
)
async def test_slots_that_nobody_was_there_for(
    time: TravelClock, missed: str, expected: int
) -> None:
    queue = made()
    queue.cron("30 * * * *", report.job(), missed=missed)  # type: ignore[arg-type]  # a parameter of the test
    async with queue:
        time.jump(24 * 3600)
        await queue.schedules.tick()
        await queue.schedules.tick()
        assert len(await pushed(queue)) == expected
        # And what comes afterwards is as ever.
        time.jump(1800)
        await queue.schedules.tick()
        assert len(await pushed(queue)) == expected + 1


async def test_a_year_of_missed_seconds_is_bounded(time: TravelClock) -> None:
    queue = made()
    queue.cron("* * * * *", report.job(), missed="all")
    async with queue:
        time.jump(30 * 86_400)
        await queue.schedules.tick()
        assert len(await pushed(queue)) == 1000


async def test_of_a_year_of_missed_seconds_only_the_end_is_looked_at(
    time: TravelClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    times = Cron.times

    def counted(self: Cron, after: datetime) -> Iterator[datetime]:
        nonlocal looked
        for each in times(self, after):
            looked += 1
            yield each

    monkeypatch.setattr(Cron, "times", counted)
    queue = made()
    queue.cron("* * * * * *", report.job())
    queue.cron("0 0 1 1 *", report.job(), name="yearly")
    async with queue:
        time.jump(365 * 86_400)
        await queue.schedules.tick()
        assert looked < 10_000
        assert (await pushed(queue))[0] == "01-01 00:00:00"


async def test_what_another_expression_says_was_not_missed_before(time: TravelClock) -> None:
    store = MemoryStore()
    before, after = made(store), made(store)
    before.cron("0 0 1 * *", report.job(), missed="all")
    after.cron("* * * * *", report.job(), missed="all")
    async with before:
        time.jump(10 * 86_400)
        await before.schedules.tick()
        assert len(await pushed(before)) == 1  # that of the first of December
    async with after:
        await after.schedules.tick()
        assert len(await pushed(after)) == 1
        time.jump(60)
        await after.schedules.tick()
        assert len(await pushed(after)) == 2
    async with made(store) as same:
        await same.schedules.add("other", "@yearly", report.job(), missed="all")
        time.jump(86_400)
        await same.schedules.add("other", "* * * * *", report.job(), missed="all")
        time.jump(60)
        await same.schedules.tick()
        assert len(await pushed(same)) == 3


async def test_a_slot_may_be_left_out_while_the_one_before_runs(time: TravelClock) -> None:
    queue = made()
    queue.cron("@hourly", report.job(), overlap="skip")
    async with queue:
        for _ in range(3):
            time.jump(3600)
            await queue.schedules.tick()
        assert await pushed(queue) == ["11-26 11:00:00"]
        async with Worker(queue):
            await time.advance(1)
        time.jump(3600)
        await queue.schedules.tick()
        assert len(await pushed(queue)) == 2


async def test_a_slot_may_end_the_one_before(time: TravelClock) -> None:
    queue = made()
    queue.cron("@hourly", report.job(), overlap="cancel")
    async with queue:
        for _ in range(3):
            time.jump(3600)
            await queue.schedules.tick()
        counts = {each.state: each.count for each in await queue.counts()}
        assert counts == {JobState.CANCELLED: 2, JobState.WAITING: 1}


async def test_what_the_job_says_of_itself_holds(time: TravelClock) -> None:
    queue = made()
    unique = Uniqueness(by=("kind",))
    queue.cron("@hourly", report.options(delay=600.0, unique=unique).job("hourly"))
    async with queue:
        for _ in range(3):
            time.jump(3600)
            await queue.schedules.tick()
        assert await pushed(queue) == ["11-26 11:10:00"]
        (waiting,) = [each async for each in queue.find()]
        assert await queue.schedules.run("report") == waiting.id


async def test_jitter_makes_jobs_later_by_chance(time: TravelClock) -> None:
    queue = made()
    queue.cron("@hourly", report.job(), jitter=600.0)
    async with queue:
        for _ in range(50):
            time.jump(3600)
            await queue.schedules.tick()
        late = [each.due_at % 3600 async for each in queue.find()]
        assert len(set(late)) > 40
        assert min(late) >= 0
        assert max(late) < 600


async def test_what_is_not_done_in_time_is_said(
    time: TravelClock, caplog: pytest.LogCaptureFixture
) -> None:
    queue = made()
    queue.cron("@hourly", report.job(), expected=300.0)
    async with queue:
        time.jump(3600)
        await queue.schedules.tick()
        time.jump(200)
        await queue.schedules.tick()
        with caplog.at_level(logging.ERROR, "oxidite.queue"):
            assert not caplog.records
            time.jump(200)
            await queue.schedules.tick()
            await queue.schedules.tick()
            assert [each.getMessage() for each in caplog.records] == [
                (
                    "the schedule report was to be done within 300 seconds of "
                    "2026-11-26T11:00:00+00:00, and is not"
                )
            ]
            caplog.clear()
            async with Worker(queue):
                await time.advance(3600)
            time.jump(400)
            await queue.schedules.tick()
            assert not caplog.records


async def test_what_is_no_longer_known_or_was_no_slot_is_not_called_late(
    time: TravelClock, caplog: pytest.LogCaptureFixture
) -> None:
    queue = made()
    queue.cron("@hourly", report.options(keep=0.0).job(), expected=300.0)
    async with queue:
        with caplog.at_level(logging.ERROR, "oxidite.queue"):
            async with Worker(queue):
                await time.advance(3601)
            assert len(ran) == 1
            time.jump(600)
            await queue.schedules.tick()
            await queue.schedules.enable("report", enabled=False)
            time.jump(600)
            await queue.schedules.enable("report")
            time.jump(600)
            await queue.schedules.tick()
            assert not caplog.records


async def test_schedules_change_at_run_time(time: TravelClock) -> None:
    queue = made()
    async with queue:
        schedules = queue.schedules
        await schedules.add("mine", "0 * * * *", report.job("mine"))
        time.jump(3600)
        await schedules.tick()
        await schedules.add("mine", "15 * * * *", report.job("mine"))
        (planned,) = await schedules.all()
        assert (planned.expression, planned.origin) == ("15 * * * *", "run_time")
        assert planned.next == datetime(2026, 11, 26, 11, 15, tzinfo=UTC)
        assert planned.last == datetime(2026, 11, 26, 11, 0, tzinfo=UTC)
        await schedules.enable("mine", enabled=False)
        time.jump(7200)
        await schedules.tick()
        assert len(await pushed(queue)) == 1
        await schedules.enable("mine")
        await schedules.tick()
        assert len(await pushed(queue)) == 1
        time.jump(3600)
        await schedules.tick()
        assert len(await pushed(queue)) == 2
        await schedules.remove("mine")
        assert await schedules.all() == []


async def test_a_schedule_can_be_run_now(time: TravelClock) -> None:
    queue = made()
    queue.cron("@yearly", report.job("now"))
    async with queue:
        id = await queue.schedules.run("report")
        (job,) = [each async for each in queue.find(Filter(ids=(id,)))]
        assert job.due_at == clock.timestamp()
        assert [f"{each:%Y-%m-%d}" for each in await queue.schedules.upcoming("report", 2)] == [
            "2027-01-01",
            "2028-01-01",
        ]


async def test_one_that_cannot_be_read_here_does_not_stand_in_the_way_of_others(
    time: TravelClock, caplog: pytest.LogCaptureFixture
) -> None:
    queue = made()
    async with queue:
        for name in ("a", "b"):
            await queue.schedules.add(name, "@hourly", report.job(name))
        first, _ = await queue.store.schedules()
        plan = {**msgpack.decode(first.plan), "zone": "Nowhere/At_All"}
        await queue.store.save_schedule(structs.replace(first, plan=msgpack.encode(plan)))
        time.jump(3600)
        await queue.schedules.tick()
        assert len(await pushed(queue)) == 1
    assert "the schedule a cannot be looked at here: The time zone" in caplog.text


async def test_what_another_program_declares_is_left_to_it(time: TravelClock) -> None:
    store = MemoryStore()
    mine, other = made(store), made(store)
    other.cron("@hourly", report.job())
    async with mine, other:
        time.jump(3600)
        await mine.schedules.tick()
        assert await pushed(mine) == []
        await other.schedules.tick()
        assert len(await pushed(mine)) == 1


async def test_mistakes_are_refused(time: TravelClock) -> None:
    queue = made()
    queue.cron("@hourly", report.job())
    with pytest.raises(ConfigError, match="two schedules called 'report'"):
        queue.cron("@daily", report.job())
    with pytest.raises(ConfigError, match="minutes '61'"):
        queue.cron("61 * * * *", report.job(), name="other")
    with pytest.raises(ConfigError, match="time zone"):
        queue.cron("@daily", report.job(), name="other", zone="Nowhere")
    with pytest.raises(ConfigError, match="printable"):
        queue.cron("@daily", report.job(), name="\n")
    with pytest.raises(ConfigError, match="jitter"):
        queue.cron("@daily", report.job(), name="other", jitter=-1.0)
    with pytest.raises(ConfigError, match="pushes one job"):
        queue.cron("@daily", report.job().after(report.job("weekly")), name="other")
    with pytest.raises(ConfigError, match="has at="):
        queue.cron("@daily", report.options(at=START).job(), name="other")
    async with queue:
        with pytest.raises(ConfigError, match="The program declares"):
            await queue.schedules.add("report", "@daily", report.job())
        for act in (queue.schedules.remove, queue.schedules.run, queue.schedules.enable):
            with pytest.raises(ScheduleNotFoundError, match="absent"):
                await act("absent")
