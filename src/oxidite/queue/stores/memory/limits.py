"""The limits of a queue, where all of it is in one process."""

from __future__ import annotations

from collections import Counter

from oxidite.queue.base import Limits, Rate
from oxidite.rates import Rule
from oxidite.rates.meters import Meter, meter_of

__all__ = ["Gate"]


class Gate:
    """Lets jobs of a queue begin, as its limits allow."""

    def __init__(self, limits: Limits) -> None:
        self.limits: Limits = limits
        self._running = 0
        self._by_group: Counter[str] = Counter()
        self._rate = _meter(limits.rate)
        self._rates: dict[str, Meter] = {}

    def enter(self, group: str | None, now: float) -> float | None:
        """Let a job begin, and return ``None``; or the seconds until it may, 0 for nobody knows."""
        if self.full_of(group) is not None or self._is_full():
            return 0.0
        meters = [meter for meter in (self._rate, self._rate_of(group)) if meter is not None]
        wait = max((meter.wait(now, 1) for meter in meters), default=0.0)
        if wait:
            return wait
        for meter in meters:
            meter.take(now, 1)
        self.count(group)
        return None

    def full_of(self, group: str | None) -> str | None:
        """Return the group, if as many of it run as may; what waits for it waits for no other."""
        each = self.limits.each
        full = group is not None and each is not None and self._by_group[group] >= each
        return group if full else None

    def count(self, group: str | None) -> None:
        """Count a job that runs."""
        self._running += 1
        if group is not None:
            self._by_group[group] += 1

    def leave(self, group: str | None) -> None:
        """Count a job that no longer runs."""
        self._running -= 1
        if group is None:
            return
        self._by_group[group] -= 1
        if self._by_group[group] <= 0:
            del self._by_group[group]

    def _is_full(self) -> bool:
        return self.limits.running is not None and self._running >= self.limits.running

    def _rate_of(self, group: str | None) -> Meter | None:
        if group is None or self.limits.each_rate is None:
            return None
        meter = self._rates.get(group)
        if meter is None:
            meter = self._rates[group] = meter_of(_rule(self.limits.each_rate))
        return meter


def _meter(rate: Rate | None) -> Meter | None:
    return None if rate is None else meter_of(_rule(rate))


def _rule(rate: Rate) -> Rule:
    return Rule(rate.count, rate.per, "bucket")
