"""When a failed job is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from oxidite.errors import ConfigError

__all__ = ["Retry"]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Try again after a failure: ``times`` at most, later each time, and then give up.

    The first pause is ``first`` seconds, each next one ``factor`` times as long, up to ``longest``; by up
    to ``jitter`` of itself each is longer or shorter, so that what failed together is not tried together.
    Only errors of the kinds in ``on`` are tried again, and none of those in ``never``; and only as long as
    the job was pushed less than ``within`` seconds ago. ``Retry(times=0)`` never tries again.
    """

    times: int = 10
    first: float = 2.0
    factor: float = 2.0
    longest: float = 3600.0
    jitter: float = 0.2
    on: tuple[type[BaseException], ...] = (Exception,)
    never: tuple[type[BaseException], ...] = ()
    within: float | None = None

    def __post_init__(self) -> None:
        # Told so that what is no number is refused, too: a store would take no pause of it.
        if not (self.times >= 0 and self.first >= 0 and self.factor >= 1 and self.longest >= 0):
            raise ConfigError("A Retry has times=, first= and longest= from 0, and factor= from 1.")
        if not 0 <= self.jitter < 1:
            raise ConfigError(f"jitter={self.jitter} of a Retry is a share, from 0 to below 1.")
        if self.within is not None and not self.within > 0:
            raise ConfigError(f"within={self.within} of a Retry is a time in seconds, above 0.")

    def pause(self, error: BaseException, *, failures: int, age: float) -> float | None:
        """Return the seconds until the next try, or ``None`` to give up.

        ``failures`` were before this one, and the job was pushed ``age`` seconds ago.
        """
        if (
            failures >= self.times
            or not isinstance(error, self.on)
            or isinstance(error, self.never)
        ):
            return None
        # A power may be larger than any float; what is beyond the longest need not be known.
        steps = min(failures, 64)
        pause = min(self.first * self.factor**steps, self.longest)
        pause *= random.uniform(1 - self.jitter, 1 + self.jitter)
        if self.within is not None and age + pause > self.within:
            return None
        return pause
