"""Where jobs are kept, for the tests of faults: a store of each kind, empty, and the test's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.db.conftest import database_url
from tests.unit.queue.places import REDIS, own_prefix

__all__ = ["FEW", "KINDS", "ROUNDS", "SERVERS", "SOME", "stand"]

ROUNDS = int(os.environ.get("OXIDITE_FAULT_ROUNDS", "1"))
"""How often what depends on chance is tried; `make faults` says more."""
FEW = max(ROUNDS // 10, 1)
"""The same for what takes its time."""

SERVERS = [
    pytest.param("postgresql", marks=pytest.mark.service("postgres")),
    pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    pytest.param("redis", marks=pytest.mark.service("redis")),
]
"""Those that are reached over a network."""
KINDS = ["sqlite", *SERVERS]
SOME = KINDS if ROUNDS > 1 else KINDS[:2]
"""Those for what is more about workers than about stores: all of them in `make faults`."""


@asynccontextmanager
async def stand(kind: str, folder: Path) -> AsyncIterator[str]:
    """Give the URL of a store; what is in it is gone after the block."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'jobs.db'}"
    elif kind == "redis":
        async with own_prefix() as prefix:
            yield f"{REDIS}?prefix={prefix}"
    else:
        async with database_url(kind, folder) as url:
            yield url
