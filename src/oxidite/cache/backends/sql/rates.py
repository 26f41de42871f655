"""The counts of limits in SQL: each is a row that is locked while it is counted.

Limits are the same for all processes if everything about them is: name, quota, window, way of counting.
The algorithms are those of ``oxidite.rates``, with the time of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from oxidite.cache.backends.sql.statements import Statements
from oxidite.cache.backends.sql.store import Store
from oxidite.cache.backends.sql.sweeping import Sweeper
from oxidite.db.connections.steps import Steps
from oxidite.rates import Claim, RateStore, Rule, Verdict
from oxidite.rates.meters import Meter, meter_of

__all__ = ["SQLRates"]

_SIZE = 300
"""Bytes that a count takes, about."""
_JITTER = 1.0
"""Seconds by which time may seem to go back."""
_MISSING = {
    "sqlite": "INSERT INTO ox_cache_rates (name, state, ends) SELECT n.name, x'', {now} "
    "FROM {names} AS n WHERE true ON CONFLICT (name) DO NOTHING",
    "postgresql": "INSERT INTO ox_cache_rates (name, state, ends) SELECT n.name, ''::bytea, {now} "
    "FROM {names} AS n ON CONFLICT (name) DO NOTHING",
    "mysql": "INSERT IGNORE INTO ox_cache_rates (name, state, ends) SELECT n.name, '', {now} "
    "FROM {names} AS n",
}


class Holders:
    """Those that are being answered, by their tokens: each for as long as a request may take."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._held: dict[str, tuple[int, float]] = {}

    def inside(self, now: float) -> int:
        """Return how many there are."""
        self._held = {token: held for token, held in self._held.items() if held[1] > now}
        return sum(cost for cost, _ in self._held.values())

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until ``cost`` can be taken: a guess, for nobody knows."""
        return 0.0 if self.inside(now) + cost <= self._rule.quota else 1.0

    def take(self, now: float, cost: int, token: str) -> None:
        """Let in the one with this token."""
        before = self._held.get(token, (0, 0.0))[0]
        self._held[token] = (before + cost, now + self._rule.window)

    def drop(self, token: str, cost: int) -> None:
        """Let out the one with this token."""
        held = self._held.pop(token, None)
        if held is not None and held[0] > cost:
            self._held[token] = (held[0] - cost, held[1])

    def left(self, now: float) -> tuple[int, float]:
        """Return how many more may come in."""
        return self._rule.quota - self.inside(now), 0.0

    def saved(self) -> dict[str, tuple[int, float]]:
        """Return who is inside."""
        return self._held

    def restore(self, saved: dict[str, Sequence[Any]], now: float) -> bool:
        """Go on from what was saved."""
        latest = now + self._rule.window
        self._held = {
            token: (int(cost), min(ends, latest)) for token, (cost, ends) in saved.items()
        }
        return any(ends > latest for _, ends in saved.values())


class RateSteps(Statements):
    """How it is counted."""

    def acquire(self, claims: Sequence[Claim]) -> Steps[list[Verdict]]:
        """Take what is claimed if every rule allows it."""
        counts, now, mended = yield from self._counts(claims)
        waits = []
        together: dict[str, int] = {}
        for claim in claims:
            # Two that are counted in one row have to fit into it together.
            name = _name(claim)
            together[name] = together.get(name, 0) + claim.cost
            waits.append(counts[name].wait(now, together[name]))
        if not any(waits):
            for claim in claims:
                _take(counts[_name(claim)], now, claim)
        if mended or not any(waits):
            yield from self._save(counts, claims, now)
        return [
            _verdict(counts[_name(claim)], now, wait)
            for claim, wait in zip(claims, waits, strict=True)
        ]

    def release(self, claims: Sequence[Claim]) -> Steps[None]:
        """Give back what was held."""
        counts, now, _ = yield from self._counts(claims)
        for claim in claims:
            count = counts[_name(claim)]
            if isinstance(count, Holders):
                count.drop(claim.token, claim.cost)
        yield from self._save(counts, claims, now)

    def _counts(
        self, claims: Sequence[Claim]
    ) -> Steps[tuple[dict[str, Meter | Holders], float, bool]]:
        """Lock counts and return them, what time it is, and whether a wrong one was mended in them."""
        rules = {_name(each): each.rule for each in claims}
        rows = yield from self._locked(rules)
        if len(rows) < len(rules):
            # There has to be something to lock.
            yield from self._changed(_MISSING[self._kind], names=list(rules))
            rows = yield from self._locked(rules)
        found = {name: msgspec.msgpack.decode(state) for name, state, _ in rows if state}
        now = _never_back(float(rows[0][2]), [at for at, _ in found.values()])
        counts: dict[str, Meter | Holders] = {}
        mended = False
        for name, rule in rules.items():
            count = Holders(rule) if rule.algorithm == "concurrency" else meter_of(rule)
            if name in found:
                mended |= count.restore(found[name][1], now)
            counts[name] = count
        return counts, now, mended

    def _locked(self, rules: dict[str, Rule]) -> Steps[Sequence[Any]]:
        return self._fetched(
            "SELECT name, state, {now} FROM ox_cache_rates WHERE name IN {names} "
            "ORDER BY name{for update}",
            names=list(rules),
        )

    def _save(
        self, counts: dict[str, Meter | Holders], claims: Sequence[Claim], now: float
    ) -> Steps[None]:
        rules = {_name(each): each.rule for each in claims}
        for name, count in sorted(counts.items()):
            rule = rules[name]
            # After that nothing of it counts any more.
            lasting = max(rule.window, rule.capacity * rule.window / rule.quota) * 1.02 + 1
            yield from self._changed(
                "UPDATE ox_cache_rates SET state = :state, ends = :ends WHERE name = :name",
                state=msgspec.msgpack.encode((now, count.saved())),
                ends=now + lasting,
                name=name,
            )


class SQLRates(RateStore):
    """Counts of all processes that use the same database."""

    def __init__(self, store: Store, sweeper: Sweeper) -> None:
        self._store = store
        self._sweeper = sweeper

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Take what is claimed if every rule allows it."""
        if not claims:
            return []
        verdicts = await self._store.write(self._steps().acquire, claims)
        self._sweeper.wrote(_SIZE * len(claims))
        return verdicts

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was held."""
        held = [claim for claim in claims if claim.rule.algorithm == "concurrency"]
        if held:
            await self._store.write(self._steps().release, held)

    def _steps(self) -> RateSteps:
        return RateSteps(self._store.dialect)


def _never_back(now: float, seen: Sequence[float]) -> float:
    """Return the time, not before what was seen, unless that was by a clock that was ahead."""
    # SQLite tells milliseconds, and a server its time before it waits for a row.
    return max((at for at in seen if now < at < now + _JITTER), default=now)


def _name(claim: Claim) -> str:
    """Return the row of a claim: of any length and characters its key may be."""
    rule = claim.rule
    about = (rule.name, rule.algorithm, rule.quota, rule.window, rule.capacity, claim.key)
    return blake2b(repr(about).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _take(count: Meter | Holders, now: float, claim: Claim) -> None:
    if isinstance(count, Holders):
        count.take(now, claim.cost, claim.token)
    else:
        count.take(now, claim.cost)


def _verdict(count: Meter | Holders, now: float, wait: float) -> Verdict:
    remaining, reset = count.left(now)
    return Verdict(not wait, max(remaining, 0), reset, wait)
