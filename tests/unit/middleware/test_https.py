from __future__ import annotations

import pytest

from oxidite import Oxidite, Request
from oxidite.errors import ConfigError
from oxidite.http import Middleware
from oxidite.middleware import hsts, https_redirect
from oxidite.testing import Client


def application(*middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=middleware)

    @app.route("/posts/{title}", ["GET", "POST"])
    async def post(title: str) -> str:
        return title

    @app.get("/health")
    async def health() -> str:
        return "well"

    return app


async def test_plain_http_is_sent_to_the_same_url_over_https() -> None:
    app = application(https_redirect("testserver"))

    async with Client(app) as client:
        response = await client.post("/posts/a%20b?x=1&y=%2F", content="body")

    assert response.status_code == 308
    assert response.headers["location"] == "https://testserver/posts/a%20b?x=1&y=%2F"


async def test_https_is_answered() -> None:
    app = application(https_redirect("testserver"))

    async with Client(app, base_url="https://testserver") as client:
        assert (await client.get("/posts/a")).text == "a"


async def test_the_port_of_plain_http_is_not_that_of_https() -> None:
    headers = {"host": "testserver:8080"}

    async with Client(application(https_redirect("testserver"))) as client:
        assert (await client.get("/", headers=headers)).headers["location"] == "https://testserver/"
    async with Client(application(https_redirect("testserver", port=8443))) as client:
        response = await client.get("/", headers=headers)
        assert response.headers["location"] == "https://testserver:8443/"


async def test_an_address_keeps_its_brackets() -> None:
    async with Client(application(https_redirect("[::1]"))) as client:
        response = await client.get("/", headers={"host": "[::1]:8000"})

    assert response.headers["location"] == "https://[::1]/"


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 421), ("a b", 400), ("testserver@evil.example", 400)]
)
async def test_nobody_is_sent_to_a_host_that_is_not_ours(host: str, status: int) -> None:
    async with Client(application(https_redirect("testserver"))) as client:
        response = await client.get("/", headers={"host": host})

    assert response.status_code == status
    assert "location" not in response.headers


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "/%0d%0ax:y", "/%2F%2Fevil.example"]
)
async def test_no_path_leads_to_another_host(path: str) -> None:
    async with Client(application(https_redirect("testserver"))) as client:
        response = await client.get(f"http://testserver{path}")

    assert response.headers["location"].startswith("https://testserver/")
    assert "\r" not in response.headers["location"]


async def test_what_is_excluded_is_answered_without() -> None:
    app = application(https_redirect("testserver", exclude=["/health", "/.well-known/*"]))

    async with Client(app) as client:
        assert (await client.get("/health")).text == "well"
        assert (await client.get("/.well-known/acme-challenge/x")).status_code == 404
        assert (await client.get("/health/more")).status_code == 308


@pytest.mark.parametrize("path", ["health", "/a*b", "*"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="is not a path"):
        https_redirect("testserver", exclude=[path])


async def test_a_proxy_that_ends_tls_is_taken_at_its_word() -> None:
    app = Oxidite(middleware=[https_redirect("testserver"), hsts()], trusted_proxies="127.0.0.1")

    @app.get("/")
    async def index(request: Request) -> str:
        return str(request.url)

    async with Client(app) as client:
        response = await client.get("/", headers={"x-forwarded-proto": "https"})
        assert response.text == "https://testserver/"
        assert response.headers["strict-transport-security"] == "max-age=31536000"
        assert (await client.get("/", headers={"x-forwarded-proto": "http"})).status_code == 308


async def test_browsers_are_told_over_https_only() -> None:
    app = application(hsts(86_400, include_subdomains=True))

    async with Client(app) as client:
        plain = await client.get("/health")
        secure = await client.get("https://testserver/health")
        nowhere = await client.get("https://testserver/nowhere")

    assert "strict-transport-security" not in plain.headers
    assert secure.headers["strict-transport-security"] == "max-age=86400; includeSubDomains"
    assert nowhere.headers["strict-transport-security"] == "max-age=86400; includeSubDomains"


async def test_browsers_can_be_told_to_forget_it() -> None:
    async with Client(application(hsts(0))) as client:
        response = await client.get("https://testserver/health")

    assert response.headers["strict-transport-security"] == "max-age=0"


async def test_a_preloaded_host_says_so() -> None:
    app = application(hsts(63_072_000, include_subdomains=True, preload=True))

    async with Client(app) as client:
        response = await client.get("https://testserver/health")

    value = response.headers["strict-transport-security"]
    assert value == "max-age=63072000; includeSubDomains; preload"


def test_a_promise_that_would_not_be_preloaded_is_refused() -> None:
    with pytest.raises(ConfigError, match="preload needs"):
        hsts(preload=True)
    with pytest.raises(ConfigError, match="preload needs"):
        hsts(86_400, include_subdomains=True, preload=True)
    with pytest.raises(ConfigError, match="negative"):
        hsts(-1)
