"""The counts in memory: of one process, bounded whatever keys come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from oxidite import clock
from oxidite.errors import ConfigError
from oxidite.rates.base import Claim, Verdict
from oxidite.rates.meters import Concurrency, Meter, meter_of
from oxidite.rates.rules import Rule

__all__ = ["MemoryRates"]

_SWEPT = 2  # old keys that each new one may clear away


class MemoryRates:
    """Counts of this process: several workers each have their own.

    Of each rule at most ``max_keys`` are kept; beyond that the one that was seen longest ago is
    forgotten. Who wants to be forgotten has to come with as many addresses as that.
    """

    def __init__(self, *, max_keys: int = 100_000) -> None:
        if max_keys < 1:
            raise ConfigError(f"max_keys={max_keys} leaves no room for a key.")
        self._max_keys = max_keys
        self._tables: dict[Rule, OrderedDict[str, Meter]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Take what is claimed if every rule allows it."""
        now = clock.monotonic()
        if len(claims) == 1:
            return (self._acquire(claims[0], now),)
        meters = [self._meter(claim, now) for claim in claims]
        waits = [meter.wait(now, claim.cost) for meter, claim in zip(meters, claims, strict=True)]
        if not any(waits):
            for meter, claim in zip(meters, claims, strict=True):
                meter.take(now, claim.cost)
        verdicts = []
        for claim, meter, wait in zip(claims, meters, waits, strict=True):
            remaining, reset = meter.left(now)
            verdicts.append(Verdict(not wait, max(remaining, 0), reset, wait))
            if isinstance(meter, Concurrency):
                self._forget_if_left(claim, meter)  # another rule may have refused
        return verdicts

    def _acquire(self, claim: Claim, now: float) -> Verdict:
        # PERF: most requests meet one limit; benchmark `middleware`.
        meter = self._meter(claim, now)
        wait = meter.wait(now, claim.cost)
        if not wait:
            meter.take(now, claim.cost)
        remaining, reset = meter.left(now)
        if isinstance(meter, Concurrency):
            self._forget_if_left(claim, meter)
        return Verdict(not wait, max(remaining, 0), reset, wait)

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was held."""
        for claim in claims:
            meter = self._tables[claim.rule].get(claim.key)
            if isinstance(meter, Concurrency):
                meter.inside -= claim.cost
                self._forget_if_left(claim, meter)

    def _forget_if_left(self, claim: Claim, meter: Concurrency) -> None:
        if meter.inside <= 0:
            self._tables[claim.rule].pop(claim.key, None)

    def _meter(self, claim: Claim, now: float) -> Meter:
        table = self._tables.get(claim.rule)
        if table is None:
            table = self._tables[claim.rule] = OrderedDict()
        meter = table.get(claim.key)
        if meter is None:
            meter = table[claim.key] = meter_of(claim.rule)
            # Those inside are as many as there are requests; forgotten, they could not leave.
            if claim.rule.algorithm != "concurrency":
                self._sweep(table, now)
        else:
            table.move_to_end(claim.key)
        return meter

    def _sweep(self, table: OrderedDict[str, Meter], now: float) -> None:
        if len(table) > self._max_keys:
            table.popitem(last=False)
        for _ in range(_SWEPT):
            oldest = next(iter(table))
            if len(table) == 1 or not table[oldest].is_idle(now):
                return
            del table[oldest]
