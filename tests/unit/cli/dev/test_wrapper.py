"""``oxidite.cli.dev.wrapper``: the failure of newer code over the pages of the old."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, MutableMapping
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from oxidite import HTMLResponse, Oxidite, Request, Response, StreamingResponse
from oxidite.cli.dev.wrapper import DevApp

PAGE = "<h1>old</h1>"
META = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'">"""


def wrapped(failure: str) -> DevApp:
    app = Oxidite()

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"etag": '"1"', "cache-control": "max-age=60"})

    @app.get("/policy")
    async def policy(policy: str) -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"content-security-policy": policy})

    @app.get("/meta")
    async def meta() -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><title>x</title>{META}{PAGE}")

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

    assert response.text.startswith(f"{PAGE}<style>")
    assert response.text.endswith("<pre>&lt;b&gt;&amp;&#x27;&quot;</pre></div>")
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["x-oxidite-reload"] == "failed"


def style_of(page: str) -> str:
    """Return what is in the page's only ``<style>``; there is nothing else that a policy forbids."""
    before, style, after = re.split("</?style>", page)
    for each in (before, after):
        assert "style=" not in each
        assert "<script" not in each
        assert "<link" not in each
    return style


@pytest.mark.parametrize(
    ("policy", "governing"),
    [
        ("default-src 'self'", "default-src 'self'; style-src-elem 'self'"),
        ("style-src 'nonce-1'; script-src 'none'", "style-src 'nonce-1'"),
    ],
)
async def test_a_policy_lets_in_exactly_the_style_of_the_failure(
    policy: str, governing: str
) -> None:
    async with client(wrapped("failure")) as http:
        response = await http.get("/policy", params={"policy": policy})
    digest = b64encode(sha256(style_of(response.text).encode()).digest()).decode()

    assert response.headers["content-security-policy"] == policy.replace(
        policy.partition(";")[0], f"{governing} 'sha256-{digest}'"
    )


async def test_a_policy_is_only_touched_while_there_is_a_failure() -> None:
    async with client(wrapped("")) as http:
        response = await http.get("/policy", params={"policy": "default-src 'self'"})

    assert response.headers["content-security-policy"] == "default-src 'self'"


async def test_a_policy_in_the_page_comes_after_the_style_of_the_failure() -> None:
    async with client(wrapped("failure")) as http:
        response = await http.get("/meta")
    before, _, after = response.text.partition(META)

    assert before == f"<!doctype html><title>x</title><style>{style_of(response.text)}</style>"
    assert after.startswith(f"{PAGE}<div")
    assert int(response.headers["content-length"]) == len(response.content)


async def test_the_page_of_an_error_in_the_old_code_gets_the_style_of_the_failure_too() -> None:
    app = Oxidite(debug=True)

    @app.get("/")
    async def broken() -> None:
        raise LookupError

    found = DevApp(app)
    found.failure = "failure"
    async with client(found) as http:
        response = await http.get("/", headers={"accept": "text/html"})
    style, policy = response.text.find("#oxidite-reload{"), response.text.find("http-equiv")

    assert 0 < style < policy


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


async def test_it_says_when_only_the_resources_are_left_to_close() -> None:
    said: list[str] = []

    class Resource:
        async def __aenter__(self) -> Resource:
            said.append("opened")
            return self

        async def __aexit__(self, *_: object) -> None:
            said.append("closed")

    app = DevApp(Oxidite(resources=[Resource()]), lambda: said.append("closing"))
    events = iter(("startup", "shutdown"))

    async def receive() -> MutableMapping[str, Any]:
        return {"type": f"lifespan.{next(events)}"}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message["type"])

    await app({"type": "lifespan"}, receive, send)

    assert said == [
        "opened",
        "lifespan.startup.complete",
        "closing",
        "closed",
        "lifespan.shutdown.complete",
    ]
