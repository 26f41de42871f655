"""A queue in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.unit.queue import jobs

from oxidite.queue.queue import Queue
from oxidite.queue.stores.memory import MemoryStore


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    jobs.seen.clear()
    async with Queue(MemoryStore(), tasks=[jobs.__name__]) as queue:
        yield queue
