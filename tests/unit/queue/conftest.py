"""A queue in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
from tests.unit.queue import jobs

from oxidite import instrument
from oxidite.queue.queue import Queue
from oxidite.queue.stores.memory import MemoryStore


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    jobs.seen.clear()
    async with Queue(MemoryStore(), tasks=[jobs.__name__]) as queue:
        yield queue


class _Ear(instrument.Listener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, object]]] = []

    def span_started(self, span: instrument.Span) -> None:
        return None

    def span_ended(self, span: instrument.Span, error: BaseException | None) -> None:
        return None

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        self.heard.append((name, dict(attributes)))


@pytest.fixture
def events() -> Iterator[list[tuple[str, dict[str, object]]]]:
    """What is told while the test runs."""
    ear = _Ear()
    with instrument.listen(ear):
        yield ear.heard
