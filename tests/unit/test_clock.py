from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import clock
from oxidite.clock import Clock, TravelClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: only asyncio's own shows what it has ready to run."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Sleepers:
    """Starts tasks that sleep on the current clock, and keeps when each woke up."""

    def __init__(self, travel: TravelClock) -> None:
        self.travel = travel
        self.woken: list[tuple[str, float]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._started = travel.timestamp()

    def start(self, name: str, *naps: float) -> None:
        async def run() -> None:
            for seconds in naps:
                await clock.sleep(seconds)
                self.woken.append((name, self.travel.timestamp() - self._started))

        self.tasks[name] = asyncio.create_task(run())


def test_the_real_clock_tells_the_time_of_this_machine() -> None:
    before = datetime.now(UTC)

    told = clock.now()

    assert before <= told <= datetime.now(UTC)
    assert told.tzinfo is UTC


def test_the_two_forms_of_wall_clock_time_agree() -> None:
    assert clock.timestamp() == pytest.approx(clock.now().timestamp(), abs=5)
    assert clock.timestamp() == pytest.approx(time.time(), abs=5)


def test_the_real_monotonic_clock_does_not_go_back() -> None:
    readings = [clock.monotonic() for _ in range(1000)]

    assert readings == sorted(readings)


async def test_the_real_sleep_lasts_as_long_as_asked() -> None:
    before = time.monotonic()

    await clock.sleep(0.01)

    assert time.monotonic() - before >= 0.009


@pytest.mark.parametrize("of_which", [Clock, TravelClock])
async def test_sleeping_not_a_number_is_refused(of_which: Callable[[], Clock]) -> None:
    with pytest.raises(ValueError, match="NaN"):
        await of_which().sleep(math.nan)


def test_every_function_follows_the_clock_in_use() -> None:
    with clock.use(TravelClock(NOON)) as travel:
        travel.jump(90)

        assert clock.now() == NOON + timedelta(seconds=90)
        assert clock.timestamp() == NOON.timestamp() + 90
        assert clock.monotonic() == travel.monotonic()


def test_the_clock_before_is_restored_even_after_an_error() -> None:
    with clock.use(TravelClock(NOON)) as outer:
        with pytest.raises(LookupError), clock.use(TravelClock()):
            raise LookupError
        outer.jump(1)

        assert clock.now() == NOON + timedelta(seconds=1)
    assert clock.timestamp() == pytest.approx(time.time(), abs=5)


def test_perf_never_travels() -> None:
    with clock.use(TravelClock()) as travel:
        before = clock.perf()
        travel.jump(1_000_000)

        assert 0 <= clock.perf() - before < 1000


def test_a_travel_clock_stands_still_until_it_is_moved() -> None:
    travel = TravelClock()

    assert (travel.now(), travel.monotonic()) == (travel.now(), travel.monotonic())


def test_a_travel_clock_starts_where_the_real_one_stands_and_not_before() -> None:
    wall, monotonic = time.time(), time.monotonic()

    travel = TravelClock()

    assert 0 <= travel.timestamp() - wall < 5
    assert 0 <= travel.monotonic() - monotonic < 5


def test_a_start_in_another_time_zone_is_told_in_utc() -> None:
    cet = datetime.fromisoformat("2026-03-01T13:00:00.000001+01:00")

    assert TravelClock(cet).now() == NOON + timedelta(microseconds=1)
    assert TravelClock(cet).now().tzinfo is UTC


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        TravelClock(NOON.replace(tzinfo=None))


def test_tenths_of_a_second_add_up_exactly() -> None:
    travel = TravelClock()
    before = travel.timestamp()

    for _ in range(10):
        travel.jump(0.1)

    assert travel.timestamp() - before == 1.0


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, math.inf])
async def test_a_clock_moves_only_forward_and_by_a_finite_time(seconds: float) -> None:
    travel = TravelClock(NOON)

    with pytest.raises(ValueError, match="moves forward"):
        travel.jump(seconds)
    with pytest.raises(ValueError, match="moves forward"):
        await travel.advance(seconds)

    assert travel.now() == NOON


async def test_a_sleep_ends_when_the_clock_has_come_far_enough() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("a", 60)
        task = sleepers.tasks["a"]

        await travel.advance(59.999)
        assert not task.done()
        await travel.advance(0.001)

        assert task.done()
        assert sleepers.woken == [("a", 60.0)]


async def test_sleeps_end_in_the_order_of_their_due_time_each_at_its_own() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("late", 30)
        sleepers.start("early", 10)
        sleepers.start("middle", 20)

        await travel.advance(100)

        assert sleepers.woken == [("early", 10.0), ("middle", 20.0), ("late", 30.0)]


async def test_sleeps_due_together_end_in_the_order_they_began() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        for name in "abc":
            sleepers.start(name, 5)

        await travel.advance(5)

        assert [name for name, _ in sleepers.woken] == ["a", "b", "c"]


async def test_a_woken_task_runs_to_its_next_wait_before_the_next_is_woken() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("every 10", 10, 10, 10)
        sleepers.start("every 15", 15, 15)

        await travel.advance(30)

        assert sleepers.woken == [
            ("every 10", 10.0),
            ("every 15", 15.0),
            ("every 10", 20.0),
            ("every 15", 30.0),
            ("every 10", 30.0),
        ]


async def test_work_that_takes_many_turns_of_the_loop_ends_before_time_goes_on() -> None:
    seen: list[datetime] = []

    async def step() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def slow() -> None:
        await clock.sleep(1)
        await asyncio.gather(step(), step())
        async with asyncio.TaskGroup() as group:
            group.create_task(step())
        seen.append(clock.now())

    with clock.use(TravelClock(NOON)) as travel:
        task = asyncio.create_task(slow())
        ticking = asyncio.create_task(clock.sleep(2))

        await travel.advance(10)

        assert seen == [NOON + timedelta(seconds=1)]
        assert task.done()
        assert ticking.done()


async def test_a_task_started_on_the_way_is_woken_on_the_same_journey() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)

        async def starts_another() -> None:
            await clock.sleep(1)
            sleepers.start("child", 1)

        task = asyncio.create_task(starts_another())

        await travel.advance(2)

        assert task.done()
        assert sleepers.woken == [("child", 2.0)]


async def test_a_program_that_never_rests_does_not_hold_time_still() -> None:
    async def spin() -> None:
        while True:
            await clock.sleep(0)

    with clock.use(TravelClock(NOON)) as travel:
        task = asyncio.create_task(spin())

        await travel.advance(1)

        assert travel.now() == NOON + timedelta(seconds=1)
        assert not task.done()
        task.cancel()


@pytest.mark.parametrize("seconds", [0, -5])
async def test_sleeping_no_time_lets_others_run_once(seconds: float) -> None:
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    with clock.use(TravelClock()) as travel:
        task = asyncio.create_task(other())
        await clock.sleep(seconds)
        order.append("self")

        assert order == ["other", "self"]
        assert travel.sleepers == 0
        await task


async def test_a_tiny_sleep_in_a_loop_lets_time_pass() -> None:
    with clock.use(TravelClock(NOON)) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("tiny", *[1e-300] * 20)
        task = sleepers.tasks["tiny"]

        await travel.advance(1)

        assert task.done()
        assert travel.now() == NOON + timedelta(seconds=1)


async def test_a_cancelled_sleep_leaves_nothing_behind() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        for name in "abc":
            sleepers.start(name, 5, 5)
        await travel.advance(1)
        assert travel.sleepers == 3

        sleepers.tasks["b"].cancel()
        await travel.advance(0)

        assert sleepers.tasks["b"].cancelled()
        assert travel.sleepers == 2
        await travel.advance(20)
        assert travel.sleepers == 0


async def test_a_sleep_cancelled_just_before_it_is_due_stays_cancelled() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("x", 5)
        task = sleepers.tasks["x"]
        await travel.advance(1)

        task.cancel()
        travel.jump(10)
        await travel.advance(0)

        assert task.cancelled()
        assert travel.sleepers == 0


async def test_a_sleep_without_end_ends_only_by_cancellation() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("forever", math.inf)
        task = sleepers.tasks["forever"]

        await travel.advance(1e9)

        assert not task.done()
        task.cancel()
        await travel.advance(0)
        assert travel.sleepers == 0


async def test_a_time_out_of_asyncio_is_real_and_cancels_a_travelling_sleep() -> None:
    with clock.use(TravelClock()) as travel:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clock.sleep(3600), 0.01)

        assert travel.sleepers == 0


async def test_a_finished_sleep_leaves_no_garbage_for_the_collector() -> None:
    with clock.use(TravelClock()) as travel:
        await travel.advance(0)
        gc.collect()
        gc.disable()
        try:
            sleepers = Sleepers(travel)
            sleepers.start("x", 1, 1)
            task = sleepers.tasks["x"]
            await travel.advance(2)
            done = task.done()
            del task, sleepers
            unreachable = [thing for thing in _collected() if isinstance(thing, asyncio.Future)]
        finally:
            gc.enable()

        assert done
        assert unreachable == []


def _collected() -> list[object]:
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


async def test_a_jump_wakes_all_that_came_due_at_the_destination() -> None:
    with clock.use(TravelClock()) as travel:
        sleepers = Sleepers(travel)
        sleepers.start("late", 30)
        sleepers.start("early", 10)
        sleepers.start("later", 3600)
        await travel.advance(0)

        travel.jump(60)
        await travel.advance(0)

        assert sleepers.woken == [("early", 60.0), ("late", 60.0)]
        assert travel.sleepers == 1
        await travel.advance(3600)


async def test_two_advances_at_once_are_refused() -> None:
    with clock.use(TravelClock()) as travel:
        failures: list[str] = []

        async def meddles() -> None:
            await clock.sleep(1)
            try:
                await travel.advance(1)
            except RuntimeError as exc:
                failures.append(str(exc))

        task = asyncio.create_task(meddles())
        await travel.advance(2)

        assert task.done()
        assert len(failures) == 1
        await travel.advance(1)


async def test_a_cancelled_advance_stops_where_it_had_come_to() -> None:
    with clock.use(TravelClock(NOON)) as travel:
        journey: list[asyncio.Task[None]] = []

        async def stops_it() -> None:
            await clock.sleep(10)
            journey[0].cancel()

        task = asyncio.create_task(stops_it())
        journey.append(asyncio.create_task(travel.advance(60)))
        with pytest.raises(asyncio.CancelledError):
            await journey[0]

        assert task.done()
        assert travel.now() == NOON + timedelta(seconds=10)
        await travel.advance(1)
        assert travel.now() == NOON + timedelta(seconds=11)


async def test_a_sleep_belongs_to_the_clock_it_began_on() -> None:
    with clock.use(TravelClock()) as first:
        sleepers = Sleepers(first)
        sleepers.start("x", 10)
        task = sleepers.tasks["x"]
        await first.advance(0)
        with clock.use(TravelClock()) as second:
            await second.advance(60)
            assert not task.done()

        await first.advance(10)
        assert task.done()


milliseconds = st.integers(min_value=1, max_value=5000)
naps_of_tasks = st.lists(st.lists(milliseconds, min_size=1, max_size=4), max_size=6)
steps = st.lists(st.integers(min_value=0, max_value=4000), min_size=1, max_size=8)


@given(naps_of_tasks, steps)
def test_every_sleep_ends_once_in_order_and_at_its_time_however_the_clock_is_moved(
    naps: list[list[int]], steps: list[int]
) -> None:
    async def journey() -> tuple[list[tuple[str, float]], int]:
        with clock.use(TravelClock(NOON)) as travel:
            sleepers = Sleepers(travel)
            for number, nap in enumerate(naps):
                sleepers.start(str(number), *(each / 1000 for each in nap))
            for step in steps:
                await travel.advance(step / 1000)
            for task in sleepers.tasks.values():
                task.cancel()
            await asyncio.gather(*sleepers.tasks.values(), return_exceptions=True)
            return sleepers.woken, travel.sleepers

    woken, left = asyncio.run(journey())

    due = [
        (str(number), sum(nap[: place + 1]))
        for number, nap in enumerate(naps)
        for place in range(len(nap))
    ]
    expected = sorted(entry for entry in due if entry[1] <= sum(steps))
    told = [(name, round(when * 1000)) for name, when in woken]
    assert sorted(told) == expected
    assert [when for _, when in told] == sorted(when for _, when in told)
    assert left == 0
