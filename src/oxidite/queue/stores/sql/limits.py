"""The limits of a queue, as they stand in the transaction that claims from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from oxidite.queue.base import Limits, Rate
from oxidite.rates import Rule
from oxidite.rates.meters import Meter, meter_of

__all__ = ["QUEUE", "Gate"]

QUEUE = ""
"""What stands for the whole queue where the group does."""


class Gate:
    """Lets jobs of a queue begin, as its limits allow.

    ``running`` is how many run by group, ``None`` those of no group; ``full_at`` what rates have counted.
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        running: Mapping[str | None, int],
        full_at: Mapping[str, float],
    ) -> None:
        self._limits = limits
        self._now = now
        self._running = Counter(running)
        self._full_at = full_at
        self._meters: dict[str, Meter] = {}
        self._blocked: Counter[str] = Counter()

    @property
    def is_closed(self) -> bool:
        """Whether no job of the queue may begin now, of whatever group."""
        limit = self._limits.running
        if limit is not None and self._running.total() >= limit:
            return True
        meter = self._meter(QUEUE, self._limits.rate)
        return meter is not None and meter.wait(self._now, 1) > 0

    def enter(self, group: str | None) -> float:
        """Let a job begin, and return 0; or the seconds until it may, infinite for nobody knows."""
        each = self._limits.each
        if group is not None and each is not None and self._running[group] >= each:
            return math.inf
        by_group = None if group is None else self._meter(group, self._limits.each_rate)
        if group is not None and by_group is not None and (wait := by_group.wait(self._now, 1)):
            # One after the other, so that they do not all come back when one of them may begin.
            rate = self._limits.each_rate
            step = 0.0 if rate is None else rate.per / rate.count
            self._blocked[group] += 1
            return wait + step * (self._blocked[group] - 1)
        for meter in (by_group, self._meter(QUEUE, self._limits.rate)):
            if meter is not None:
                meter.take(self._now, 1)
        self._running[group] += 1
        return 0.0

    def counted(self) -> dict[str, float]:
        """Return what the rates have counted."""
        return {
            name: meter.saved()[0]
            for name, meter in self._meters.items()
            if not meter.is_idle(self._now)
        }

    def _meter(self, name: str, rate: Rate | None) -> Meter | None:
        if rate is None:
            return None
        meter = self._meters.get(name)
        if meter is None:
            meter = self._meters[name] = meter_of(Rule(rate.count, rate.per, "bucket"))
            if name in self._full_at:
                meter.restore([self._full_at[name]], self._now)
        return meter
