"""Counts for limits in the store of a cache."""

from __future__ import annotations

from collections.abc import Sequence

from oxidite.cache.core import Core
from oxidite.rates import Claim, Verdict

__all__ = ["StoreRates"]


class StoreRates:
    """A ``RateStore`` of a cache that may not be open yet, as middleware is made before it is."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Take what is claimed if every rule allows it.

        Raises:
            BackendError: the store failed.
        """
        return await self._core.guard.call(lambda: self._core.backend.rates.acquire(claims))

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was held."""
        await self._core.guard.call(lambda: self._core.backend.rates.release(claims))
