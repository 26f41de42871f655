"""What a job may return instead of a result: what is to become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Cancel", "Discard", "RetryAt", "Snooze"]

_LONGEST = 10_000_000_000.0  # seconds, about 300 years


@dataclass(frozen=True)
class Snooze:
    """Not yet: run the job again in ``delay`` seconds, which is no failure."""

    delay: float

    def __post_init__(self) -> None:
        if not self.delay <= _LONGEST:
            raise ValueError(f"Snooze({self.delay}) is for seconds, {_LONGEST:,.0f} at most.")


@dataclass(frozen=True)
class RetryAt:
    """It failed, and is to be tried again at a moment of its choosing.

    That is a failure, so the policy of the task says whether it is tried at all.
    """

    when: datetime
    reason: str = "the job asked to be tried again"

    def __post_init__(self) -> None:
        if self.when.tzinfo is None:
            raise ValueError(
                f"RetryAt({self.when}) has no time zone, so it is not known when that is."
            )


@dataclass(frozen=True)
class Discard:
    """It failed, and trying again is of no use: to the dead letters with it."""

    reason: str = "the job discarded itself"


@dataclass(frozen=True)
class Cancel:
    """It is no longer wanted; that is neither a failure nor a success."""

    reason: str = "the job cancelled itself"
