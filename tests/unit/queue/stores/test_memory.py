"""The store of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from oxidite.errors import ConfigError
from oxidite.queue.base import JobStore
from oxidite.queue.stores import stores
from oxidite.testing.contracts import JobStoreContract


class TestMemory(JobStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[JobStore]:
        async with stores.create("memory://") as store:
            yield store


@pytest.mark.parametrize("url", ["memory://host", "memory://?size=1", "memory:///path"])
def test_a_url_with_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="memory://"):
        stores.create(url)
