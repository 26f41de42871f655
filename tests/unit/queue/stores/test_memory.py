"""The store of one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from oxidite import clock
from oxidite.errors import ConfigError
from oxidite.queue.base import JobStore
from oxidite.queue.stores import stores
from oxidite.testing.contracts import JobEventsContract, JobStoreContract
from oxidite.testing.contracts.queue import job


class TestMemory(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[JobStore]:
        async with stores.create("memory://") as store:
            yield store


async def test_a_queue_that_pauses_does_not_keep_its_workers_busy() -> None:
    async with stores.create("memory://") as store:
        await store.push([job()])
        await store.pause("q", paused=True)
        waiting = asyncio.ensure_future(store.wait(["q"], 600.0))
        for _ in range(10):
            await clock.sleep(0)
        assert not waiting.done()
        await store.pause("q", paused=False)
        await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize("url", ["memory://host", "memory://?size=1", "memory:///path"])
def test_a_url_with_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="memory://"):
        stores.create(url)
