"""The counts of one process."""

from __future__ import annotations

import pytest

from oxidite.rates import MemoryRates, RateStore
from oxidite.testing.contracts import RateStoreContract


class TestMemoryRates(RateStoreContract):
    @pytest.fixture
    def store(self) -> RateStore:
        return MemoryRates()
