"""What every store of limits' counts promises."""

from __future__ import annotations

import asyncio
from typing import get_args

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.rates import Algorithm, Claim, RateStore, Rule, Verdict

__all__ = ["RateStoreContract"]

_NAMES = iter(range(1_000_000))
_IN_TIME: tuple[Algorithm, ...] = tuple(
    each for each in get_args(Algorithm) if each != "concurrency"
)


def _rule(
    quota: int, window: float = 60.0, algorithm: Algorithm = "sliding", *, burst: int | None = None
) -> Rule:
    # A name of its own: what several processes share knows rules by what they say.
    return Rule(quota, window, algorithm, f"contract-{next(_NAMES)}", burst)


async def _ask(
    store: RateStore, key: str, *rules: Rule, cost: int = 1, who: str = "t"
) -> list[Verdict]:
    return list(await store.acquire([Claim(key, rule, cost, who) for rule in rules]))


async def _allowed(store: RateStore, key: str, *rules: Rule, cost: int = 1) -> list[bool]:
    return [verdict.allowed for verdict in await _ask(store, key, *rules, cost=cost)]


class RateStoreContract:
    """Subclass it and give it a fixture ``store``: one that is open, and has counted nothing."""

    async def test_a_quota_is_used_up_and_comes_back(self, store: RateStore) -> None:
        """With each algorithm, after a window at most."""
        for algorithm in _IN_TIME:
            with clock.use(TravelClock()) as time:
                rule = _rule(10, 60.0, algorithm)
                for number in range(10):
                    (verdict,) = await _ask(store, "a", rule)
                    assert verdict.allowed
                    assert verdict.remaining == 9 - number
                    assert verdict.retry_after == 0
                    assert 0 < verdict.reset <= 60.01
                (verdict,) = await _ask(store, "a", rule)
                assert not verdict.allowed
                assert verdict.remaining == 0
                assert 0 < verdict.retry_after <= 60.01
                time.jump(61)
                assert await _allowed(store, "a", rule, cost=10) == [True]

    async def test_who_waits_as_long_as_told_is_let_in(self, store: RateStore) -> None:
        """And not before: with each algorithm, whatever came before."""
        for algorithm in _IN_TIME:
            for quota in (5, 300):
                with clock.use(TravelClock()) as time:
                    rule = _rule(quota, 60.0, algorithm)
                    for step in (0, 7, 20):
                        time.jump(step)
                        await _ask(store, "a", rule, cost=quota // 3)
                    (verdict,) = await _ask(store, "a", rule, cost=quota)
                    assert not verdict.allowed
                    time.jump(verdict.retry_after - 1)
                    assert await _allowed(store, "a", rule, cost=quota) == [False]
                    time.jump(1.1)
                    assert await _allowed(store, "a", rule, cost=quota) == [True]

    async def test_a_sliding_window_never_lets_more_through(self, store: RateStore) -> None:
        """What was taken comes back one window later, not at the change of one."""
        with clock.use(TravelClock()) as time:
            rule = _rule(10, 60.0, "sliding")
            time.jump(50)
            assert await _allowed(store, "a", rule, cost=10) == [True]
            time.jump(59)
            assert await _allowed(store, "a", rule) == [False]
            time.jump(2)
            assert await _allowed(store, "a", rule, cost=10) == [True]

    async def test_a_fixed_window_begins_with_the_first_request(self, store: RateStore) -> None:
        """And what is left of it is told."""
        with clock.use(TravelClock()) as time:
            rule = _rule(3, 60.0, "fixed")
            await _ask(store, "a", rule)
            time.jump(40)
            (verdict,) = await _ask(store, "a", rule)
            assert verdict.remaining == 1
            assert 19 <= verdict.reset <= 21
            time.jump(21)
            (verdict,) = await _ask(store, "a", rule)
            assert verdict.remaining == 2

    async def test_a_bucket_fills_evenly(self, store: RateStore) -> None:
        """Up to its burst."""
        with clock.use(TravelClock()) as time:
            rule = _rule(60, 60.0, "bucket", burst=3)
            (verdict,) = await _ask(store, "a", rule, cost=3)
            assert verdict.allowed
            assert verdict.remaining == 0
            (verdict,) = await _ask(store, "a", rule)
            assert not verdict.allowed
            assert 0.5 <= verdict.retry_after <= 1.01
            time.jump(2.1)
            assert await _allowed(store, "a", rule, cost=2) == [True]
            assert await _allowed(store, "a", rule) == [False]
            time.jump(1000)
            (verdict,) = await _ask(store, "a", rule)
            assert verdict.remaining == 2

    async def test_places_are_given_back(self, store: RateStore) -> None:
        """By who holds them; meanwhile there are no more than that."""
        two = _rule(2, 60.0, "concurrency")
        held = [Claim("a", two, 2, "first")]
        assert [verdict.allowed for verdict in await store.acquire(held)] == [True]
        (verdict,) = await _ask(store, "a", two, who="second")
        assert not verdict.allowed
        assert verdict.retry_after > 0
        await store.release(held)
        (verdict,) = await _ask(store, "a", two, who="second")
        assert verdict.allowed
        assert verdict.remaining == 1

    async def test_what_one_rule_refuses_uses_up_no_other(self, store: RateStore) -> None:
        """Claims of a call are taken together or not at all, of whichever algorithms."""
        for algorithm in get_args(Algorithm):
            few, many = _rule(1), _rule(10, 60.0, algorithm)
            assert await _allowed(store, "a", few, many) == [True, True]
            assert await _allowed(store, "a", few, many) == [False, True]
            assert await _allowed(store, "a", many, few) == [True, False]
            (verdict,) = await _ask(store, "a", many)
            assert verdict.remaining == 8

    async def test_keys_and_rules_have_counts_of_their_own(self, store: RateStore) -> None:
        """Nobody uses up what is another's."""
        one, other = _rule(1), _rule(1)
        assert await _allowed(store, "a", one) == [True]
        assert await _allowed(store, "b", one) == [True]
        assert await _allowed(store, "a", other) == [True]
        assert await _allowed(store, "a", one) == [False]

    async def test_what_is_more_than_there_ever_is_is_never_let_in(self, store: RateStore) -> None:
        """It is told to wait, and waits for ever."""
        for algorithm in get_args(Algorithm):
            with clock.use(TravelClock()) as time:
                rule = _rule(5, 60.0, algorithm)
                (verdict,) = await _ask(store, "a", rule, cost=6)
                assert not verdict.allowed
                assert verdict.retry_after > 0
                time.jump(1000)
                assert await _allowed(store, "a", rule, cost=6) == [False]
                assert await _allowed(store, "a", rule, cost=5) == [True]

    async def test_many_at_once_get_what_there_is(self, store: RateStore) -> None:
        """It is atomic: of a hundred who come together as many get in as may."""
        for algorithm in get_args(Algorithm):
            rule = _rule(10, 600.0, algorithm)
            asked = await asyncio.gather(
                *(_ask(store, "a", rule, who=f"token {number}") for number in range(100))
            )
            assert sum(verdict.allowed for (verdict,) in asked) == 10

    async def test_any_key_counts(self, store: RateStore) -> None:
        """Keys come from clients: of any length, of any characters."""
        rule = _rule(1)
        for key in ("", " ", "\0\r\n", "ä€\U0001f600", "\ud800", "x" * 100_000, "*"):
            assert await _allowed(store, key, rule) == [True]
            assert await _allowed(store, key, rule) == [False]
