from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from oxidite.protocols import inflight
from oxidite.protocols.inflight import BodyPace, InFlight

BOUND = 3.0  # seconds until a wait counts as a hang


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)


class Fake:
    """A request in flight, with a client that leaves when ``left`` is set."""

    def __init__(self, *, watchable: bool = True) -> None:
        self.task: asyncio.Task[object] | None = None
        self.gone = False
        self.interrupted = False
        self.too_slow = False
        self.starving = False
        self.watchable = watchable
        self.left = asyncio.Event()
        self.watched = asyncio.Event()
        self.asked = 0
        self.reads_ahead = False

    def starves(self, pace: BodyPace) -> bool:
        return self.starving

    def can_be_watched(self) -> bool:
        self.asked += 1
        return self.watchable

    def read_ahead(self) -> None:
        self.reads_ahead = True

    async def wait_gone(self) -> None:
        assert self.reads_ahead
        self.watched.set()
        await self.left.wait()


async def within(awaitable: Awaitable[object]) -> None:
    async with asyncio.timeout(BOUND):
        await awaitable


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 - the sweeper's sleep is no event to wait for
            await asyncio.sleep(0.001)


def begin(flights: InFlight, request: Fake) -> None:
    """What a protocol does when a request comes in."""
    _ = flights.loop or flights.wake()
    flights.young.add(request)


def end(flights: InFlight, request: Fake) -> None:
    """What a protocol does when a request is over."""
    flights.young.discard(request)
    flights.forget(request)


def awake(flights: InFlight) -> bool:
    """Tell whether the sweeper looks in this loop."""
    return flights.loop is asyncio.get_running_loop()


async def asleep(flights: InFlight) -> None:
    """Wait until the sweeper has gone to sleep."""
    await until(lambda: flights.loop is None)


class TestSweeper:
    async def test_it_sleeps_while_there_is_nothing(self) -> None:
        flights = InFlight()
        assert not awake(flights)
        assert flights.wake() is asyncio.get_running_loop()
        assert awake(flights)
        await asleep(flights)

    async def test_it_stays_awake_while_there_is_a_request(self) -> None:
        flights, request = InFlight(), Fake(watchable=False)
        begin(flights, request)
        await until(lambda: request.asked > 3)
        assert flights.loop is not None
        end(flights, request)
        await asleep(flights)

    async def test_it_wakes_again(self) -> None:
        flights = InFlight()
        for _ in range(3):
            request = Fake()
            begin(flights, request)
            await within(request.watched.wait())
            end(flights, request)
            await asleep(flights)

    async def test_it_counts_young_and_old(self) -> None:
        flights, first, second = InFlight(), Fake(), Fake()
        begin(flights, first)
        assert len(flights) == 1
        await within(first.watched.wait())
        begin(flights, second)
        assert len(flights) == 2
        end(flights, first)
        end(flights, second)
        assert len(flights) == 0
        await asleep(flights)

    async def test_a_request_is_not_watched_before_the_second_look(self) -> None:
        flights, request = InFlight(), Fake()
        begin(flights, request)
        assert request not in flights.old
        await until(lambda: request in flights.old)
        assert request not in flights.young
        await within(request.watched.wait())
        end(flights, request)
        await asleep(flights)

    async def test_a_quick_request_is_never_asked(self) -> None:
        flights, request = InFlight(), Fake()
        begin(flights, request)
        end(flights, request)
        await asleep(flights)
        assert request.asked == 0

    async def test_one_that_cannot_be_watched_yet_is_asked_again(self) -> None:
        flights, request = InFlight(), Fake(watchable=False)
        begin(flights, request)
        await until(lambda: request.asked > 2)
        assert not request.watched.is_set()
        request.watchable = True
        await within(request.watched.wait())
        end(flights, request)
        await asleep(flights)

    async def test_one_is_watched_once(self) -> None:
        flights, request, other = InFlight(), Fake(), Fake(watchable=False)
        begin(flights, request)
        begin(flights, other)
        await within(request.watched.wait())
        asked = request.asked
        await until(lambda: other.asked > 5)
        assert request.asked == asked
        end(flights, request)
        end(flights, other)
        await asleep(flights)


class TestLeaving:
    async def test_a_client_that_goes_away_cancels_the_task(self) -> None:
        flights, request, cancelled = InFlight(), Fake(), asyncio.Event()

        async def handle() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                assert request.gone
                cancelled.set()
                raise

        request.task = asyncio.get_running_loop().create_task(handle())
        begin(flights, request)
        await within(request.watched.wait())
        request.left.set()
        await within(cancelled.wait())
        end(flights, request)
        await asleep(flights)

    async def test_one_without_a_task_is_only_marked(self) -> None:
        flights, request = InFlight(), Fake()
        begin(flights, request)
        await within(request.watched.wait())
        request.left.set()
        await until(lambda: request.gone)
        end(flights, request)
        await asleep(flights)

    async def test_others_are_left_alone(self) -> None:
        flights, gone, here = InFlight(), Fake(), Fake()
        loop = asyncio.get_running_loop()
        gone.task = loop.create_task(asyncio.Event().wait())
        here.task = loop.create_task(asyncio.Event().wait())
        begin(flights, gone)
        begin(flights, here)
        await within(here.watched.wait())
        gone.left.set()
        await until(gone.task.cancelled)
        assert not here.gone
        assert not here.task.done()
        here.task.cancel()
        end(flights, gone)
        end(flights, here)
        await asleep(flights)

    async def test_one_that_was_forgotten_is_not_cancelled_any_more(self) -> None:
        flights, request = InFlight(), Fake()
        request.task = asyncio.get_running_loop().create_task(asyncio.Event().wait())
        begin(flights, request)
        await within(request.watched.wait())
        # The answer is sent and the client leaves in the same turn of the loop.
        request.left.set()
        end(flights, request)
        await asleep(flights)
        assert not request.gone
        assert request.task.cancelling() == 0
        request.task.cancel()

    async def test_forgetting_leaves_no_watcher_behind(self) -> None:
        flights, request = InFlight(), Fake()
        before = asyncio.all_tasks()
        begin(flights, request)
        await within(request.watched.wait())
        end(flights, request)
        await asleep(flights)
        assert asyncio.all_tasks() == before

    async def test_forgetting_twice_or_one_never_seen_is_fine(self) -> None:
        flights, request = InFlight(), Fake()
        end(flights, request)
        end(flights, request)
        assert len(flights) == 0

    async def test_a_thousand_requests_come_and_go(self) -> None:
        flights, requests = InFlight(), [Fake() for _ in range(1000)]
        for request in requests:
            begin(flights, request)
        await within(asyncio.gather(*(request.watched.wait() for request in requests)))
        for request in requests[::2]:
            request.left.set()
        await until(lambda: all(request.gone for request in requests[::2]))
        assert not any(request.gone for request in requests[1::2])
        for request in requests:
            end(flights, request)
        await asleep(flights)
        assert len(flights) == 0

    async def test_a_connection_that_breaks_is_a_client_that_went_away(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(Fake):
            async def wait_gone(self) -> None:
                await super().wait_gone()
                raise ConnectionResetError("peer")

        flights, request = InFlight(), Broken()
        request.task = asyncio.get_running_loop().create_task(asyncio.Event().wait())
        begin(flights, request)
        await within(request.watched.wait())
        request.left.set()
        await until(request.task.cancelled)
        assert request.gone
        end(flights, request)
        await asleep(flights)
        assert "never retrieved" not in caplog.text


class TestStarving:
    async def test_a_request_that_starves_is_cancelled_once(self) -> None:
        flights, request = InFlight(), Fake(watchable=False)
        request.starving = True
        cancelled = 0

        async def answer() -> None:
            nonlocal cancelled
            begin(flights, request)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
            # It is left alone from now on.
            asked = request.asked
            await until(lambda: request.asked > asked + 3)

        request.task = asyncio.get_running_loop().create_task(answer())
        await within(request.task)

        assert cancelled == 1
        assert request.too_slow
