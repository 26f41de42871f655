from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.errors import ConfigError
from oxidite.rates import Claim, MemoryRates, Rule
from oxidite.rates.meters import meter_of
from oxidite.rates.rules import Algorithm

# Steps of an eighth are exact as floats; the others are as clocks are.
STEPS = st.one_of(
    st.integers(0, 400).map(lambda n: n / 8), st.floats(0, 50, allow_nan=False, width=32)
)
ARRIVALS = st.lists(st.tuples(STEPS, st.integers(1, 5)), max_size=120)
RULES = st.tuples(st.integers(1, 200), st.sampled_from([1.0, 7.0, 10.0, 60.0]))


def taken(rule: Rule, arrivals: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return what was taken, and when, of requests that come so long after one another."""
    meter = meter_of(rule)
    now, done = 1000.0, []
    for step, cost in arrivals:
        now += step
        if meter.wait(now, cost) == 0:
            meter.take(now, cost)
            done.append((now, cost))
    return done


@given(RULES, ARRIVALS)
def test_never_more_than_the_quota_in_any_sliding_window(
    limits: tuple[int, float], arrivals: list[tuple[float, int]]
) -> None:
    quota, window = limits
    done = taken(Rule(quota, window, "sliding"), arrivals)

    for start, _ in done:
        assert sum(cost for at, cost in done if start <= at < start + window) <= quota


@given(RULES, st.integers(1, 40), ARRIVALS)
def test_never_more_than_the_burst_and_what_flows_in_out_of_a_bucket(
    limits: tuple[int, float], burst: int, arrivals: list[tuple[float, int]]
) -> None:
    quota, window = limits
    done = taken(Rule(quota, window, "bucket", burst=burst), arrivals)

    for first, (start, _) in enumerate(done):
        total = 0
        for at, cost in done[first:]:
            total += cost
            assert total <= burst + (at - start) * quota / window + 0.01


@given(RULES, ARRIVALS)
def test_never_more_than_the_quota_in_a_fixed_window(
    limits: tuple[int, float], arrivals: list[tuple[float, int]]
) -> None:
    quota, window = limits
    done = taken(Rule(quota, window, "fixed"), arrivals)

    start, total = -1.0, 0
    for at, cost in done:
        if at >= start + window:
            start, total = at, 0
        total += cost
        assert total <= quota


@pytest.mark.parametrize("algorithm", ["fixed", "sliding", "bucket"])
@given(limits=RULES, arrivals=ARRIVALS, cost=st.integers(1, 5))
def test_who_waits_as_long_as_told_is_let_in(
    algorithm: Algorithm, limits: tuple[int, float], arrivals: list[tuple[float, int]], cost: int
) -> None:
    rule = Rule(max(limits[0], 5), limits[1], algorithm)
    meter = meter_of(rule)
    now = 1000.0
    for step, each in arrivals:
        now += step
        if meter.wait(now, each) == 0:
            meter.take(now, each)
    wait = meter.wait(now, cost)

    assert 0 <= wait <= 2 * rule.window
    assert meter.wait(now + wait + 1e-6, cost) == 0


@pytest.mark.parametrize("algorithm", ["fixed", "sliding", "bucket"])
def test_a_full_quota_can_be_used_and_comes_back(algorithm: Algorithm) -> None:
    meter = meter_of(Rule(10, 60.0, algorithm))
    for number in range(10):
        assert meter.wait(0.0, 1) == 0
        meter.take(0.0, 1)
        assert meter.left(0.0)[0] == 9 - number

    assert meter.wait(0.0, 1) > 0
    assert not meter.is_idle(0.0)
    assert meter.wait(60.0, 10) == 0
    assert meter.is_idle(60.0)


def test_a_bucket_fills_evenly() -> None:
    meter = meter_of(Rule(60, 60.0, "bucket", burst=3))
    meter.take(0.0, 3)

    assert meter.left(0.0) == (0, 1.0)
    assert meter.wait(0.0, 1) == 1.0
    assert meter.left(2.0) == (2, 1.0)
    assert meter.left(3.0) == (3, 0.0)


def test_a_large_sliding_quota_costs_little_memory() -> None:
    meter = meter_of(Rule(1_000_000, 86400.0, "sliding"))
    for second in range(86_400):
        if meter.wait(float(second), 10) == 0:
            meter.take(float(second), 10)

    assert len(meter._ends) <= 102  # type: ignore[attr-defined]  # that is what is promised


@pytest.mark.parametrize("algorithm", ["fixed", "sliding", "bucket"])
def test_what_is_more_than_there_ever_is_is_never_let_in(algorithm: Algorithm) -> None:
    meter = meter_of(Rule(5, 60.0, algorithm))

    assert meter.wait(0.0, 6) > 0
    assert meter.wait(1e6, 6) > 0


# The store in memory.


async def acquire(store: MemoryRates, key: str, *rules: Rule, cost: int = 1) -> list[bool]:
    claims = [Claim(key, rule, cost) for rule in rules]
    return [verdict.allowed for verdict in await store.acquire(claims)]


async def test_what_one_rule_refuses_uses_up_no_other() -> None:
    store = MemoryRates()
    few, many = Rule(1, 60.0), Rule(10, 60.0)
    assert await acquire(store, "a", few, many) == [True, True]
    assert await acquire(store, "a", few, many) == [False, True]
    verdict = (await store.acquire([Claim("a", many)]))[0]

    assert verdict.remaining == 8


async def test_keys_and_rules_have_counts_of_their_own() -> None:
    store = MemoryRates()
    rule, same = Rule(1, 60.0), Rule(1, 60.0)

    assert await acquire(store, "a", rule) == [True]
    assert await acquire(store, "b", rule) == [True]
    assert await acquire(store, "a", same) == [True]
    assert await acquire(store, "a", rule) == [False]


async def test_an_attack_of_many_keys_fills_no_memory_and_frees_nobody_who_is_busy() -> None:
    store = MemoryRates(max_keys=1000)
    rule = Rule(5, 3600.0)
    for _ in range(5):
        assert await acquire(store, "busy", rule) == [True]
    for number in range(20_000):
        await acquire(store, f"key {number}", rule)
        if number % 500 == 0:
            assert await acquire(store, "busy", rule) == [False]

    assert len(store) <= 1000


async def test_keys_that_nobody_uses_any_more_are_forgotten() -> None:
    store = MemoryRates()
    rule = Rule(5, 60.0)
    with clock.use(TravelClock()) as travel:
        for number in range(100):
            await acquire(store, f"old {number}", rule)
        travel.jump(61)
        for number in range(60):
            await acquire(store, f"new {number}", rule)

    assert len(store) == 60


async def test_places_are_given_back_and_nothing_is_kept_of_them() -> None:
    store = MemoryRates()
    two, none = Rule(2, 60.0, "concurrency"), Rule(1, 60.0)
    held = [Claim("a", two, 2, "t")]

    assert await acquire(store, "a", two, cost=2) == [True]
    assert await acquire(store, "a", two) == [False]
    await store.release(held)
    assert len(store) == 0
    await acquire(store, "b", none)
    assert await acquire(store, "b", two, none) == [True, False]
    assert len(store) == 1


def test_a_store_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no room"):
        MemoryRates(max_keys=0)


# Rules.


@pytest.mark.parametrize(
    ("text", "quota", "window", "name"),
    [
        ("10/minute", 10, 60, "10-per-minute"),
        ("10/m", 10, 60, "10-per-m"),
        ("5/10s", 5, 10, "5-per-10s"),
        ("5 / 10 seconds", 5, 10, "5-per-10second"),
        ("1000 per day", 1000, 86400, "1000-per-day"),
        ("1/hour", 1, 3600, "1-per-hour"),
        (" 7/2days ", 7, 172800, "7-per-2day"),
    ],
)
def test_a_limit_is_read_from_text(text: str, quota: int, window: float, name: str) -> None:
    rule = Rule.parse(text)

    assert (rule.quota, rule.window, rule.name, rule.algorithm) == (quota, window, name, "sliding")


def test_a_limit_of_those_at_once_is_read_from_text() -> None:
    rule = Rule.parse("8 at once")

    assert (rule.quota, rule.algorithm, str(rule)) == (8, "concurrency", "8 at once")
    assert rule.policy == '"8-at-once";q=8;qu="concurrent-requests"'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10/",
        "/minute",
        "10/fortnight",
        "0/minute",
        "-1/minute",
        "1.5/s",
        "10/0s",
        "0 at once",
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Rule.parse(text)


def test_other_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="bucket"):
        Rule(5, 60.0, burst=3)
    with pytest.raises(ConfigError, match="from 1"):
        Rule(5, 60.0, "bucket", burst=0)
    with pytest.raises(ConfigError, match="plain ASCII"):
        Rule(5, 60.0, name='a"b')
    with pytest.raises(ConfigError, match="at once"):
        Rule.parse("5/minute", algorithm="concurrency")


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rule = Rule.parse(text)
    except ConfigError:
        return
    assert rule.quota >= 1
    assert rule.window > 0
