"""Signed and expiring URLs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oxidite import Oxidite
from oxidite.clock import TravelClock, use
from oxidite.errors import ConfigError
from oxidite.routing import URLs
from oxidite.testing import Client

SECRET = "a secret of enough characters"


def make(secret: str | None = SECRET) -> Oxidite:
    app = Oxidite(secret=secret, debug=False)

    @app.get("/files/{name}", middleware=[app.url.require_signature])
    async def download(name: str, page: int = 1) -> str:
        return f"{name} {page}"

    @app.get("/link/{name}")
    async def link(name: str, url: URLs) -> str:
        return url.signed(url("download", name=name))

    return app


async def test_a_signed_url_opens_the_door() -> None:
    app = make()
    async with Client(app) as client:
        url = app.url.signed(app.url("download", name="a b/ü.txt".replace("/", "-"), page=2))
        response = await client.get(url)
        assert (response.status_code, response.text) == (200, "a b-ü.txt 2")


async def test_a_handler_makes_urls_with_what_it_asks_for() -> None:
    async with Client(make()) as client:
        url = (await client.get("/link/report")).text
        assert (await client.get(url)).text == "report 1"


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.partition("?")[0],
        lambda url: url.replace("report", "secret"),
        lambda url: url.replace("page=2", "page=3"),
        lambda url: url.replace("page=2&", ""),
        lambda url: url.replace("?", "?extra=1&"),
        lambda url: url + "&page=9",
        lambda url: url[:-1] + ("A" if url[-1] != "A" else "B"),
        lambda url: url.replace("signature=", "xsignature="),
        lambda url: url + "&signature=",
    ],
)
async def test_a_changed_url_is_refused(change: Callable[[str], str]) -> None:
    app = make()
    async with Client(app) as client:
        url = change(app.url.signed(app.url("download", name="report", page=2)))
        response = await client.get(url)
        assert response.status_code == 403
        assert response.json()["code"] == "bad_signature"


async def test_an_expired_url_says_so() -> None:
    app = make()
    clock = TravelClock()
    with use(clock):
        url = app.url.signed("/files/report", ttl=60)
        async with Client(app) as client:
            clock.jump(59)
            assert (await client.get(url)).status_code == 200
            clock.jump(2)
            response = await client.get(url)
            assert response.status_code == 403
            assert response.json()["code"] == "expired_signature"


async def test_a_url_signed_elsewhere_is_refused() -> None:
    url = make("another secret of enough characters").url.signed("/files/report")
    async with Client(make()) as client:
        assert (await client.get(url)).status_code == 403


def test_without_a_secret_nothing_is_signed_in_production() -> None:
    app = make(secret=None)
    with pytest.raises(ConfigError, match="there is no secret"):
        app.url.signed("/files/report")
