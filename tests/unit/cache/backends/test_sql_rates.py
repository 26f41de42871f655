"""Counts of limits in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.cache.backends.places import KINDS, opened, place

from oxidite import clock
from oxidite.cache.backends.sql import SQLBackend
from oxidite.clock import TravelClock
from oxidite.rates import Claim, RateStore, Rule
from oxidite.testing.contracts import RateStoreContract


@pytest.fixture(params=KINDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SQLBackend]:
    async with place(request.param, tmp_path) as url, opened(url) as made:
        yield made


class TestSQLRates(RateStoreContract):
    @pytest.fixture
    def store(self, backend: SQLBackend) -> RateStore:
        return backend.rates


async def rows(backend: SQLBackend) -> int:
    async with backend._store.connection(write=False) as connection:
        found = await connection.fetch("SELECT COUNT(*) FROM ox_cache_rates", ())
        return int(found[0][0])


async def test_a_killed_process_holds_its_places_no_longer_than_a_request_may_take(
    backend: SQLBackend,
) -> None:
    rule = Rule(1, 60.0, "concurrency")
    with clock.use(TravelClock()) as time:
        (taken,) = await backend.rates.acquire([Claim("a", rule, 1, "killed")])
        (refused,) = await backend.rates.acquire([Claim("a", rule, 1, "other")])
        time.jump(62)
        (later,) = await backend.rates.acquire([Claim("a", rule, 1, "other")])

    assert (taken.allowed, refused.allowed, later.allowed) == (True, False, True)


async def test_who_comes_back_too_late_gives_nothing_back_of_another(backend: SQLBackend) -> None:
    rule = Rule(1, 60.0, "concurrency")
    with clock.use(TravelClock()) as time:
        late = Claim("a", rule, 1, "late")
        await backend.rates.acquire([late])
        time.jump(62)
        await backend.rates.acquire([Claim("a", rule, 1, "other")])
        await backend.rates.release([late])
        (refused,) = await backend.rates.acquire([Claim("a", rule, 1, "third")])

    assert not refused.allowed


async def test_two_limits_that_are_the_same_are_counted_together_and_never_over(
    backend: SQLBackend,
) -> None:
    one, same = Rule(3, 60.0), Rule(3, 60.0)
    first = await backend.rates.acquire([Claim("a", one), Claim("a", same)])
    second = await backend.rates.acquire([Claim("a", one), Claim("a", same)])
    (third,) = await backend.rates.acquire([Claim("a", one)])

    assert [verdict.allowed for verdict in first] == [True, True]
    assert [verdict.allowed for verdict in second] == [True, False]
    assert (third.allowed, third.remaining) == (True, 0)


async def test_counts_that_nobody_uses_any_more_are_removed(backend: SQLBackend) -> None:
    rule = Rule(5, 60.0)
    with clock.use(TravelClock()) as time:
        for number in range(20):
            await backend.rates.acquire([Claim(f"key {number}", rule)])
        assert await rows(backend) == 20
        time.jump(70)
        await backend._sweeper.sweep()

        assert await rows(backend) == 0


async def test_no_claims_are_no_work(backend: SQLBackend) -> None:
    assert list(await backend.rates.acquire([])) == []
    await backend.rates.release([Claim("a", Rule(1, 60.0))])
    assert await rows(backend) == 0


async def test_a_clock_that_was_ahead_keeps_nobody_out_for_longer_than_a_window(
    backend: SQLBackend,
) -> None:
    rules = [Rule(1, 60.0, "fixed"), Rule(1, 60.0, "sliding"), Rule(1, 60.0, "bucket")]
    with clock.use(TravelClock()) as time:
        time.jump(86400)
        await backend.rates.acquire([Claim("a", rule) for rule in rules])
    with clock.use(TravelClock()) as time:
        refused = await backend.rates.acquire([Claim("a", rule) for rule in rules])
        assert all(0 < verdict.retry_after <= 61 for verdict in refused)
        time.jump(62)
        allowed = await backend.rates.acquire([Claim("a", rule) for rule in rules])

    assert [verdict.allowed for verdict in allowed] == [True, True, True]
