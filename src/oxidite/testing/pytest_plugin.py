"""Fixtures for tests of applications. Loaded by pytest itself, so it imports nothing until used.

``client`` and ``live_server`` need an ``app`` fixture of your own, ``sandbox`` one called ``database``. Async tests run under anyio's
plugin: set ``anyio_mode = "auto"``, or mark them ``@pytest.mark.anyio``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # Only here, and only because pytest imports this file in every project that has Oxidite.
    from oxidite.app import Oxidite
    from oxidite.clock import TravelClock
    from oxidite.db import Database
    from oxidite.testing.client import Client
    from oxidite.testing.live import LiveServer

__all__ = ["client", "clock", "live_server", "sandbox"]


@pytest.fixture
async def client(app: Oxidite) -> AsyncIterator[Client]:
    """A client of ``app``, whose resources are open while the test runs."""
    from oxidite.testing.client import Client

    async with Client(app) as opened:
        yield opened


@pytest.fixture
def clock() -> Iterator[TravelClock]:
    """A clock that stands still until the test moves it."""
    from oxidite.clock import TravelClock, use

    travel = TravelClock()
    with use(travel):
        yield travel


@pytest.fixture
def live_server(app: Oxidite) -> Iterator[LiveServer]:
    """``app`` on a real socket, in a thread of its own."""
    from oxidite.testing.live import LiveServer

    with LiveServer(app) as server:
        yield server


@pytest.fixture
async def sandbox(database: Database) -> AsyncIterator[Database]:
    """``database``, open; what the test does with it is undone, transactions included.

    Ask for it before ``client``, so that the application is opened inside of it.
    """
    from oxidite.testing.db import sandbox

    async with sandbox(database) as opened:
        yield opened
