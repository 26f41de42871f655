"""The algorithms: each keeps the count of one key, and time is told to it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any, Protocol

from oxidite.rates.rules import Algorithm, Rule

__all__ = ["Meter", "meter_of"]

_EXACT = 100
"""Requests of a key that are remembered one by one; of a larger quota, so many parts of the window."""

_ROUNDING = 1e-6  # of one token: sums of floats are not exact


class Meter(Protocol):
    """The count of one key."""

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until ``cost`` can be taken; 0 if it can be now."""
        ...

    def take(self, now: float, cost: int) -> None:
        """Take ``cost``, which ``wait`` has allowed."""
        ...

    def left(self, now: float) -> tuple[int, float]:
        """Return what is left, and the seconds until it becomes more."""
        ...

    def is_idle(self, now: float) -> bool:
        """Tell whether it is as if it were new."""
        ...

    def saved(self) -> list[Any]:
        """Return what it has counted, as plain data."""
        ...

    def restore(self, saved: list[Any], now: float) -> bool:
        """Go on from what was saved; return whether that was by a clock that was ahead, and is mended."""
        ...


class FixedWindow:
    """Counts from the first request on until the window is over."""

    __slots__ = ("_ends", "_rule", "_used")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._used = 0
        self._ends = -math.inf

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until ``cost`` can be taken."""
        if now >= self._ends:
            self._used = 0
        if self._used + cost <= self._rule.quota:
            return 0.0
        return max(self._ends - now, 0.0) or self._rule.window

    def take(self, now: float, cost: int) -> None:
        """Take ``cost``."""
        if now >= self._ends:
            self._ends = now + self._rule.window
        self._used += cost

    def left(self, now: float) -> tuple[int, float]:
        """Return what is left."""
        return self._rule.quota - self._used, max(self._ends - now, 0.0)

    def is_idle(self, now: float) -> bool:
        """Tell whether the window is over."""
        return now >= self._ends

    def saved(self) -> list[float]:
        """Return what was counted."""
        return [self._used, self._ends]

    def restore(self, saved: list[float], now: float) -> bool:
        """Go on from what was saved."""
        self._used = int(saved[0])
        self._ends = min(saved[1], now + self._rule.window)
        return self._ends < saved[1]


class SlidingWindow:
    """Remembers when what was taken comes back: never more than the quota in any window.

    Exact for quotas up to 100. Of larger ones what was taken in a 100th of the window comes back
    together, when the last of it would: so it is still never more, and at most that much later.
    """

    __slots__ = ("_amounts", "_ends", "_rule", "_step", "_used")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._used = 0
        self._step = 0.0 if rule.quota <= _EXACT else rule.window / _EXACT
        # When something comes back, in order, and how much. Arrays take a fifth of the memory of lists.
        self._ends = array("d")
        self._amounts = array("q")

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until ``cost`` can be taken."""
        ends = self._ends
        while ends and ends[0] <= now:
            del ends[0]
            self._used -= self._amounts.pop(0)
        missing = self._used + cost - self._rule.quota
        if missing <= 0:
            return 0.0
        for end, amount in zip(ends, self._amounts, strict=True):
            missing -= amount
            if missing <= 0:
                return end - now
        return self._rule.window  # more than there ever is

    def take(self, now: float, cost: int) -> None:
        """Take ``cost``."""
        end = now + self._rule.window
        if self._step:
            # To the next multiple of the step; no less where rounding falls short of the end.
            end = max(math.ceil(end / self._step) * self._step, end)
        self._used += cost
        if self._ends and self._ends[-1] >= end:
            self._amounts[-1] += cost
        else:
            self._ends.append(end)
            self._amounts.append(cost)

    def left(self, now: float) -> tuple[int, float]:
        """Return what is left."""
        return self._rule.quota - self._used, self._ends[0] - now if self._ends else 0.0

    def is_idle(self, now: float) -> bool:
        """Tell whether everything has come back."""
        return not self._ends or self._ends[-1] <= now

    def saved(self) -> list[list[float]]:
        """Return what comes back, and when."""
        return [list(self._ends), list(self._amounts)]

    def restore(self, saved: list[list[float]], now: float) -> bool:
        """Go on from what was saved."""
        latest = now + self._rule.window + self._step
        self._ends = array("d", [min(end, latest) for end in saved[0]])
        self._amounts = array("q", [int(amount) for amount in saved[1]])
        self._used = sum(self._amounts)
        return any(end > latest for end in saved[0])


class Bucket:
    """A bucket of tokens that fills evenly: GCRA, which needs one number for it.

    In a time t at most ``burst`` plus what flows in during t can be taken.
    """

    __slots__ = ("_each", "_full_at", "_rule")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._each = rule.window / rule.quota
        self._full_at = -math.inf

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until ``cost`` can be taken."""
        full_at = max(self._full_at, now) + cost * self._each
        late = full_at - now - self._rule.capacity * self._each
        return late if late > _ROUNDING * self._each else 0.0

    def take(self, now: float, cost: int) -> None:
        """Take ``cost``."""
        self._full_at = max(self._full_at, now) + cost * self._each

    def left(self, now: float) -> tuple[int, float]:
        """Return what is left."""
        missing = max(self._full_at - now, 0.0) / self._each
        tokens = math.floor(self._rule.capacity - missing + _ROUNDING)
        return tokens, (missing % 1.0 or 1.0) * self._each if missing else 0.0

    def is_idle(self, now: float) -> bool:
        """Tell whether it is full."""
        return self._full_at <= now

    def saved(self) -> list[float]:
        """Return when it is full."""
        return [self._full_at]

    def restore(self, saved: list[float], now: float) -> bool:
        """Go on from what was saved."""
        self._full_at = min(saved[0], now + self._rule.capacity * self._each)
        return self._full_at < saved[0]


class Concurrency:
    """Counts those that are being answered."""

    __slots__ = ("_rule", "inside")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.inside: int = 0

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until ``cost`` can be taken: a guess, for nobody knows."""
        return 0.0 if self.inside + cost <= self._rule.quota else 1.0

    def take(self, now: float, cost: int) -> None:
        """Take ``cost``."""
        self.inside += cost

    def left(self, now: float) -> tuple[int, float]:
        """Return what is left."""
        return self._rule.quota - self.inside, 0.0

    def is_idle(self, now: float) -> bool:
        """Tell whether nobody is inside."""
        return self.inside <= 0

    def saved(self) -> list[int]:
        """Return how many are inside."""
        return [self.inside]

    def restore(self, saved: list[int], now: float) -> bool:
        """Go on from what was saved."""
        self.inside = saved[0]
        return False


_KINDS: dict[Algorithm, Callable[[Rule], Meter]] = {
    "fixed": FixedWindow,
    "sliding": SlidingWindow,
    "bucket": Bucket,
    "concurrency": Concurrency,
}


def meter_of(rule: Rule) -> Meter:
    """Make the count of a key that nothing was taken from."""
    return _KINDS[rule.algorithm](rule)
