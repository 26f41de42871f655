"""``oxidite.testing.pytest_plugin``: its fixtures, used as the tests of an application use them."""

from __future__ import annotations

import httpx2
import pytest

from oxidite import Oxidite
from oxidite import clock as time
from oxidite.clock import TravelClock
from oxidite.testing import Client, LiveServer


class Store:
    """A resource that knows whether it is open."""

    def __init__(self) -> None:
        self.is_open = False

    async def __aenter__(self) -> Store:
        self.is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_open = False


@pytest.fixture
def app() -> Oxidite:
    app = Oxidite(resources=[Store()])

    @app.get("/")
    async def index(store: Store) -> dict[str, bool]:
        return {"open": store.is_open}

    return app


async def test_the_client_is_one_of_the_application_whose_resources_are_open(
    app: Oxidite, client: Client
) -> None:
    assert client.app is app
    assert (await client.get("/")).json() == {"open": True}


def test_the_live_server_serves_the_application_on_a_socket(
    app: Oxidite, live_server: LiveServer
) -> None:
    assert live_server.app is app
    assert httpx2.get(live_server.url, trust_env=False).json() == {"open": True}


async def test_the_clock_stands_still_until_it_is_moved(clock: TravelClock) -> None:
    before = time.monotonic()
    assert time.monotonic() == before
    await clock.advance(60)
    assert time.monotonic() == before + 60
