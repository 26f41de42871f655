"""The plugin: what it serves, when it makes it, and to whom."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pytest
from msgspec import Struct

from oxidite import ForbiddenError, Handler, Oxidite, Request, Response
from oxidite.http import complete
from oxidite.openapi import OpenAPI, documents_of, pages
from oxidite.servers import choose_interface
from oxidite.testing import Client, LiveServer


class Item(Struct):
    name: str


def shop(**options: object) -> Oxidite:
    app = Oxidite(plugins=[OpenAPI(title="Shop", version="1", **options)])  # type: ignore[arg-type]

    @app.get("/items")
    async def items() -> list[Item]:
        return []

    return app


async def test_the_document_is_served_with_an_entity_tag() -> None:
    async with Client(shop()) as client:
        response = await client.get("/openapi.json")
        assert response.headers["content-type"] == "application/json"
        assert response.json()["info"] == {"title": "Shop", "version": "1"}
        assert list(response.json()["paths"]) == ["/items"]
        again = await client.get(
            "/openapi.json", headers={"if-none-match": response.headers["etag"]}
        )
        assert again.status_code == 304


async def test_a_path_of_yaml_serves_yaml() -> None:
    async with Client(shop(path="/api.yaml", docs="/reference/docs")) as client:
        response = await client.get("/api.yaml")
        assert response.headers["content-type"] == "application/yaml"
        assert response.text.startswith('openapi: "3.1.1"\ninfo:\n  title: Shop\n')
        assert 'data-document="../api.yaml"' in (await client.get("/reference/docs")).text


async def test_the_document_is_made_once_and_anew_when_routes_are_added() -> None:
    app = shop()
    api = documents_of(app)["public"]
    built = api.build(app)
    assert api.build(app) is built

    @app.get("/more")
    async def more() -> None: ...

    assert list(api.build(app).content["paths"]) == ["/items", "/more"]


async def test_behind_a_prefix_the_document_says_where_paths_begin() -> None:
    outer = Oxidite()
    outer.mount("/shop", shop())
    outer.mount("/said", shop(servers=["https://example.org"]))
    async with Client(outer) as client:
        assert (await client.get("/shop/openapi.json")).json()["servers"] == [{"url": "/shop"}]
        said = (await client.get("/said/openapi.json")).json()["servers"]
        assert said == [{"url": "https://example.org"}]


@complete
async def staff_only(request: Request, call_next: Handler) -> Response:
    if "x-staff" not in request.headers:
        raise ForbiddenError
    return await call_next(request)


async def test_documents_have_paths_and_guards_of_their_own() -> None:
    app = Oxidite(
        plugins=[
            OpenAPI(only=lambda route: "internal" not in route.tags, docs=None),
            OpenAPI(
                name="internal",
                path="/internal/api.json",
                docs="/internal/docs",
                middleware=[staff_only],
            ),
        ]
    )

    @app.get("/secret", tags=["internal"])
    async def secret() -> None: ...

    assert list(documents_of(app)) == ["public", "internal"]
    async with Client(app) as client:
        assert (await client.get("/openapi.json")).json()["paths"] == {}
        assert (await client.get("/docs")).status_code == 404
        for path in ("/internal/api.json", "/internal/docs", "/internal/docs/page.js"):
            assert (await client.get(path)).status_code == 403
            assert (await client.get(path, headers={"x-staff": "1"})).status_code == 200
        page = (await client.get("/internal/docs", headers={"x-staff": "1"})).text
        assert 'data-document="api.json"' in page


async def test_a_mistake_is_an_error_of_the_document_alone() -> None:
    app = shop()

    @app.get("/wrong", openapi={"wrong": 1})  # type: ignore[typeddict-unknown-key]  # the mistake
    async def wrong() -> str:
        return "fine"

    async with Client(app, raise_errors=False) as client:
        assert (await client.get("/wrong")).text == "fine"
        assert (await client.get("/openapi.json")).status_code == 500


async def test_the_page_and_its_files() -> None:
    async with Client(shop(page_headers=lambda request: {"x-path": f'"{request.path}'})) as client:
        page = await client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert policy == pages.POLICY
        assert "script-src 'self';" in policy
        assert "<script>" not in page.text
        assert page.headers["cache-control"] == "no-store"
        assert 'data-document="openapi.json"' in page.text
        assert 'data-headers="{&quot;x-path&quot;:&quot;\\&quot;/docs&quot;}"' in page.text

        script = await client.get("/docs/swagger-ui-bundle.js")
        assert script.headers["content-encoding"] == "gzip"
        assert script.headers["vary"] == "accept-encoding"
        assert "immutable" in script.headers["cache-control"]
        plain = await client.get(
            "/docs/swagger-ui-bundle.js", headers={"accept-encoding": "identity"}
        )
        assert "content-encoding" not in plain.headers
        assert plain.content == script.content

        assert (await client.get("/docs/page.css")).headers["content-type"].startswith("text/css")
        assert (await client.get("/docs/favicon-32x32.png")).content.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["nothing.js", "LICENSE", "..%2Fplugin.py", "page.js%00"])
async def test_nothing_else_is_served(name: str) -> None:
    async with Client(shop()) as client:
        assert (await client.get(f"/docs/{name}")).status_code in (400, 404)


async def test_without_its_files_the_page_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "PACKAGE", "oxidite-docs-ui-elsewhere")
    async with Client(shop()) as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "pip install oxidite-docs-ui" in page.text
        assert "<script" not in page.text
        assert (await client.get("/openapi.json")).status_code == 200


def test_it_works_over_a_real_server() -> None:
    with LiveServer(shop()) as server:
        import httpx2

        assert httpx2.get(f"{server.url}/openapi.json").json()["openapi"] == "3.1.1"


def test_an_application_with_documents_can_still_be_served_over_rsgi() -> None:
    assert choose_interface(shop(), rsgi=True)[0] == "rsgi"


def test_nothing_of_it_is_imported_by_the_core() -> None:
    code = (
        "import sys, oxidite; sys.exit(any(m.startswith('oxidite.openapi') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_files_are_compressed_the_same_everywhere() -> None:
    # A time in them would make each wheel another one.
    from importlib import resources

    content = (resources.files("oxidite_docs_ui") / "static" / "swagger-ui.css.gz").read_bytes()
    assert content[4:8] == b"\0\0\0\0"
    assert b".swagger-ui" in gzip.decompress(content)
