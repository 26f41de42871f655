"""Fair queues in every store, and what a claim from one asks of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite.queue.base import JobStore
from oxidite.queue.sealing import Sealing
from oxidite.queue.stores import stores
from oxidite.queue.stores.sealed import SealedStore
from oxidite.testing.contracts import FairQueueContract

PLACES = [*EVERYWHERE, "sqlite://", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))]


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[JobStore]:
    if kind == "sqlite://":
        async with stores.create(kind) as store:
            yield store
        return
    async with own_store(kind, folder) as store, store:
        yield store


class TestFair(FairQueueContract):
    @pytest.fixture(params=PLACES)
    async def store(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[JobStore]:
        async with opened(request.param, tmp_path) as store:
            yield store


class TestSealedFair(FairQueueContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[JobStore]:
        sealing = Sealing(["a secret of 16 bytes or more"])
        async with SealedStore(stores.create("memory://"), sealing) as store:
            yield store
