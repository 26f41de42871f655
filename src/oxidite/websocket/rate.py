"""How many messages may come, and how soon."""

from __future__ import annotations

from oxidite.clock import monotonic
from oxidite.websocket.errors import RateExceededError

__all__ = ["Bucket"]


class Bucket:
    """Holds at most ``burst`` tokens, of which ``rate`` come back in a second."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._counted = monotonic()

    def take(self) -> None:
        """Take a token.

        Raises:
            RateExceededError: there is none.
        """
        now = monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._counted) * self._rate)
        self._counted = now
        if self._tokens < 1:
            raise RateExceededError(f"More than {self._rate:g} messages a second.")
        self._tokens -= 1
