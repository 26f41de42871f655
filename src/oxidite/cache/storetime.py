"""The time of a store, as a process knows it."""

from __future__ import annotations

from oxidite import clock

__all__ = ["StoreTime"]


class StoreTime:
    """Tells the time of a store between two moments at which the store was asked.

    It counts on by the monotonic clock: neither a host whose clock is wrong nor one whose clock is set
    makes a value older or younger. A test that travels moves it.
    """

    def __init__(self) -> None:
        self._base = clock.timestamp() - clock.monotonic()
        self._synced: float | None = None

    def now(self) -> float:
        """Return the time of the store in seconds since 1970."""
        return clock.monotonic() + self._base

    def is_older(self, seconds: float) -> bool:
        """Tell whether the store was not asked in the last ``seconds``."""
        return self._synced is None or clock.perf() - self._synced > seconds

    def sync(self, told: float, *, asked: float) -> None:
        """Take over what the store told; it was ``asked`` at that ``clock.perf``.

        ``told`` has what a test has travelled added to it, as all times of a store have.
        """
        spent = clock.perf() - asked
        # It told its time somewhere between the question and now. What is known already and may be so is
        # the better guess, as an answer that came late says little; else half of that is the best one.
        if self._synced is None or not told <= self.now() <= told + spent:
            self._base = told + spent / 2 - clock.monotonic()
        self._synced = clock.perf()
