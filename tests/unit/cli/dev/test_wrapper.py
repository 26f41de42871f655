"""``oxidite.cli.dev.wrapper``: the failure of newer code over the pages of the old."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx2
import pytest

from oxidite import HTMLResponse, Oxidite, Request, Response, StreamingResponse
from oxidite.cli.dev.wrapper import DevApp

PAGE = "<h1>old</h1>"


def wrapped(failure: str) -> DevApp:
    app = Oxidite()

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"etag": '"1"', "cache-control": "max-age=60"})

    @app.get("/json")
    async def json() -> dict[str, str]:
        return {}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "<p>"
            yield "</p>"

        return StreamingResponse(parts(), content_type="text/html")

    @app.get("/compressed")
    async def compressed() -> HTMLResponse:
        return HTMLResponse("not really", headers={"content-encoding": "gzip-like"})

    @app.get("/status/{status:int}")
    async def status(status: int) -> Response:
        return HTMLResponse("", status)

    @app.post("/echo")
    async def echo(request: Request) -> HTMLResponse:
        return HTMLResponse((await request.body()).decode())

    found = DevApp(app)
    found.failure = failure
    return found


def client(app: DevApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x")


async def test_without_a_failure_nothing_is_added() -> None:
    async with client(wrapped("")) as http:
        response = await http.get("/page")

    assert response.text == PAGE
    assert "x-oxidite-reload" not in response.headers
    assert response.headers["etag"] == '"1"'


async def test_a_page_gets_the_failure_escaped_and_its_new_length() -> None:
    async with client(wrapped("<b>&'\"")) as http:
        response = await http.get("/page")

    assert response.text.startswith(f"{PAGE}<div")
    assert "<pre" in response.text
    assert "&lt;b&gt;&amp;&#x27;&quot;</pre></div>" in response.text
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["x-oxidite-reload"] == "failed"


async def test_a_page_with_the_failure_is_not_kept() -> None:
    async with client(wrapped("failure")) as http:
        response = await http.get("/page")

    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers


@pytest.mark.parametrize(
    ("path", "content"),
    [("/json", b"{}"), ("/stream", b"<p></p>"), ("/compressed", b"not really")],
)
async def test_what_is_no_complete_page_is_only_marked(path: str, content: bytes) -> None:
    async with client(wrapped("failure")) as http:
        response = await http.get(path)

    assert response.content == content
    assert response.headers["x-oxidite-reload"] == "failed"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_gets_none(status: int) -> None:
    async with client(wrapped("failure")) as http:
        response = await http.get(f"/status/{status}")

    assert response.content == b""


async def test_head_gets_no_body() -> None:
    async with client(wrapped("failure")) as http:
        response = await http.head("/page")

    assert response.content == b""
    assert response.headers["x-oxidite-reload"] == "failed"


async def test_a_page_of_an_error_gets_the_failure_too() -> None:
    async with client(wrapped("failure")) as http:
        response = await http.get("/nowhere", headers={"accept": "text/html"})

    assert response.status_code == 404
    assert response.text.endswith("failure</pre></div>")


async def test_what_the_startup_raised_is_remembered() -> None:
    class Broken:
        async def __aenter__(self) -> Broken:
            raise LookupError("no database")

        async def __aexit__(self, *_: object) -> None: ...

    app = DevApp(Oxidite(resources=[Broken()]))
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"type": "lifespan"}, receive, send)

    assert isinstance(app.error, LookupError)
    assert app.message == sent[0]["message"] == "LookupError: no database"
