"""The reference page in a real browser, under its own policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
from msgspec import Struct

from oxidite import Oxidite
from oxidite.middleware import csrf, csrf_token
from oxidite.openapi import OpenAPI
from oxidite.testing import LiveServer

pytestmark = pytest.mark.service("chromium")

Page: TypeAlias = Any  # of browser.py, which is found only once the tests run


class Order(Struct):
    product: str
    quantity: int = 1


def shop() -> Oxidite:
    api = OpenAPI(
        title="Shop", version="7.1", page_headers=lambda r: {"x-csrf-token": csrf_token(r)}
    )
    app = Oxidite(plugins=[api], middleware=[csrf()], secret="k" * 32)

    @app.post("/orders", tags=["orders"], status=201)
    async def place_order(order: Order) -> Order:
        """Place an order."""
        return order

    return app


async def test_the_page_shows_the_document_and_breaks_no_rule(
    browser: Page, blog: Oxidite, tmp_path: Path
) -> None:
    with LiveServer(blog) as server:
        await browser.open(f"{server.url}/docs")
        await browser.until("document.querySelectorAll('.opblock').length === 8")
        title = await browser.run("document.querySelector('.info .title').textContent")
        await browser.click("#operations-api-api_posts_index .opblock-summary-control")
        await browser.until("document.querySelector('.opblock.is-open .parameters')")
        await browser.screenshot(tmp_path / "docs.png")
    assert title.startswith("The Oxide Notebook")
    # Neither a violation of the policy, nor a failed request, nor an error of a script.
    assert browser.log == []
    hosts = {urlsplit(url).netloc for url in browser.requests if not url.startswith("data:")}
    assert hosts == {urlsplit(server.url).netloc}


async def test_an_operation_is_tried_out_with_the_token_against_csrf(browser: Page) -> None:
    with LiveServer(shop()) as server:
        await browser.open(f"{server.url}/docs")
        await browser.click("#operations-orders-place_order .opblock-summary-control")
        await browser.click(".try-out__btn")
        await browser.click(".execute")
        status = await browser.until(
            "document.querySelector('.live-responses-table tbody .response-col_status')?.textContent"
        )
        body = await browser.run(
            "document.querySelector('.live-responses-table .highlight-code').textContent"
        )
    assert status.startswith("201")
    assert '"product": "string"' in body
    assert browser.log == []


async def test_the_page_is_dark_where_the_browser_is(browser: Page) -> None:
    with LiveServer(shop()) as server:
        await browser.open(f"{server.url}/docs")
        await browser.until("document.querySelector('.opblock')")
        colour = "getComputedStyle(document.body).backgroundColor"
        assert await browser.run(colour) == "rgb(250, 250, 250)"
        await browser.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark"}],
        )
        await browser.until("document.documentElement.classList.contains('dark-mode')")
        assert await browser.run(colour) == "rgb(28, 32, 34)"


async def test_text_of_the_document_is_text_on_the_page(browser: Page) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    app = Oxidite(plugins=[OpenAPI(title=hostile, description=hostile)])

    @app.get("/", tags=[hostile], openapi={"summary": hostile, "description": hostile})
    async def handler(q: str = hostile) -> None: ...

    with LiveServer(app) as server:
        await browser.open(f"{server.url}/docs")
        await browser.click(".opblock-summary-control")
        await browser.until("document.querySelector('.opblock.is-open .parameters')")
        assert await browser.run("document.querySelectorAll('script:not([src])').length") == 0
        assert await browser.run("document.querySelectorAll('[onerror]').length") == 0
        assert await browser.run("document.title") == hostile
