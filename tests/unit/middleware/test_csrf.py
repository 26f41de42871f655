from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import FormData, HTMLResponse, Oxidite, Request, clock
from oxidite.clock import TravelClock
from oxidite.errors import ConfigError
from oxidite.extract import Form
from oxidite.http import Handler, Middleware, Response
from oxidite.middleware import CSRFToken, csrf, csrf_token
from oxidite.servers import choose_interface
from oxidite.testing import Client

OWN = {"sec-fetch-site": "same-origin"}
ELSEWHERE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}


def application(*middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=middleware or [csrf()], secret="sixteen bytes or more")

    @app.get("/form")
    async def form(token: CSRFToken) -> HTMLResponse:
        return HTMLResponse(f'<form method="post"><input name="csrf_token" value="{token}"></form>')

    @app.post("/form")
    async def send(data: Form[FormData]) -> list[str]:
        return sorted(data)

    @app.get("/")
    async def home() -> str:
        return "home"

    @app.delete("/")
    async def remove() -> str:
        return "removed"

    @app.post("/hook", meta={"csrf": False})
    async def hook() -> str:
        return "called"

    @app.post("/login", meta={"csrf": True})
    async def login() -> str:
        return "in"

    return app


def client_of(app: Oxidite | None = None, scheme: str = "https", **cookies: str) -> Client:
    return Client(app or application(), base_url=f"{scheme}://example.com", cookies=cookies)


async def token_from(client: Client) -> str:
    page = (await client.get("/form")).text
    found = re.search(r'value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def reason(client: Client, **headers: str) -> str | None:
    """Return why a DELETE was refused, if it was."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.delete("/", headers=sent)
    if response.status_code == 200:
        return None
    assert response.status_code == 403
    assert response.json()["code"] == "csrf"
    return str(response.json()["reason"])


# A form.


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_form_of_ours_is_accepted(scheme: str) -> None:
    async with client_of(scheme=scheme) as client:
        token = await token_from(client)
        response = await client.post("/form", data={"csrf_token": token, "a": "1"}, headers=OWN)

    assert response.json() == ["a", "csrf_token"]


async def test_a_form_with_a_file_is_accepted() -> None:
    async with client_of() as client:
        token = await token_from(client)
        response = await client.post(
            "/form", data={"csrf_token": token}, files={"file": b"content"}, headers=OWN
        )
        other = await client.post("/form", files={"csrf_token": token.encode()}, headers=OWN)

    assert response.json() == ["csrf_token", "file"]
    assert other.json()["reason"] == "token_missing"


async def test_a_mounted_application_gets_its_forms_whole() -> None:
    outer = application()
    outer.mount("/inner", application(csrf(token="fallback")))
    async with client_of(outer) as client:
        token = await token_from(client)
        path, fields = "/inner/form", {**OWN, "x-csrf-token": token}
        plain = await client.post(path, data={"csrf_token": token, "a": "1"}, headers=OWN)
        files = await client.post(path, files={"file": b"content"}, headers=fields)
        without = await client.post(path, data={"csrf_token": token}, files={"f": b""}, headers=OWN)

    assert plain.json() == ["a", "csrf_token"]
    assert files.json() == ["file"]
    assert without.json()["reason"] == "token_missing"


async def test_a_script_sends_the_token_in_a_header() -> None:
    async with client_of() as client:
        token = await token_from(client)

        assert await reason(client, x_csrf_token=token, **OWN_KEYWORDS) is None
        assert await reason(client, x_csrf_token=token) is None


OWN_KEYWORDS = {"sec_fetch_site": "same-origin"}


async def test_the_cookie_of_the_token_is_for_this_host_alone() -> None:
    async with client_of() as client:
        response = await client.get("/form")
        again = await client.get("/form")
    async with client_of(scheme="http") as client:
        plain = await client.get("/form")

    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-csrf=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert plain.headers["set-cookie"].startswith("csrf=")
    assert "set-cookie" not in again.headers


async def test_a_page_with_a_token_is_for_one_user_and_another_page_is_not_changed() -> None:
    async with client_of() as client:
        page = await client.get("/form")
        home = await client.get("/")

    assert page.headers["vary"] == "cookie"
    assert page.headers["cache-control"] == "private"
    assert not {"vary", "cache-control", "set-cookie"} & set(home.headers)


async def test_each_token_is_another_one_and_all_are_good() -> None:
    async with client_of() as client:
        tokens = {await token_from(client) for _ in range(5)}

        assert len(tokens) == 5
        assert [await reason(client, x_csrf_token=each) for each in tokens] == [None] * 5


async def test_a_page_may_have_two_forms_and_one_cookie() -> None:
    app = application()

    @app.get("/two")
    async def two(first: CSRFToken, second: CSRFToken) -> list[str]:
        return [first, second]

    async with client_of(app) as client:
        response = await client.get("/two")
        tokens: list[str] = response.json()

        assert len(set(tokens)) == 2
        assert len(response.headers.get_list("set-cookie")) == 1
        assert [await reason(client, x_csrf_token=each) for each in tokens] == [None, None]


async def test_without_a_host_there_is_no_origin_of_ours() -> None:
    fields = {"cookie": "id=1", "origin": "https://"}
    app = application()
    async with app.running():
        request = Request.of("DELETE", "/", headers=fields, resources=app.lifespan)
        response = await app.handle(request)

    assert b"cross_site" in response.body


async def test_a_token_can_be_made_in_any_layer() -> None:
    async def in_header(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        response.headers["x-token"] = csrf_token(request)
        return response

    async with client_of(application(csrf(), in_header)) as client:
        token = (await client.get("/")).headers["x-token"]

        assert await reason(client, x_csrf_token=token) is None


# What is refused, and what is said about it.


async def test_a_request_of_another_site_is_refused_whatever_it_has() -> None:
    async with client_of() as client:
        token = await token_from(client)

        for headers in (
            {"sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
            {"sec_fetch_site": "nonsense"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "http://example.com"},
            {"origin": "https://example.com.evil.example"},
            {"origin": "https://example.com:8443"},
            {"origin": ""},
        ):
            assert await reason(client, x_csrf_token=token, **headers) == "cross_site"


@pytest.mark.parametrize(
    ("base", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("http://example.com", "http://example.com"),
        ("http://example.com:8000", "http://example.com:8000"),
        ("http://example.com", "https://example.com"),  # a proxy ends TLS
    ],
)
async def test_an_older_browser_is_judged_by_its_origin(base: str, origin: str) -> None:
    async with Client(application(), base_url=base) as client:
        token = await token_from(client)

        assert await reason(client, x_csrf_token=token, origin=origin) is None


async def test_a_host_with_its_usual_port_is_the_same_origin() -> None:
    async with client_of() as client:
        token = await token_from(client)
        headers = {"host": "EXAMPLE.com:443", "origin": "https://example.com"}

        assert await reason(client, x_csrf_token=token, **headers) is None


async def test_without_a_token_it_is_said_where_to_put_it() -> None:
    async with client_of(session="1") as client:
        response = await client.post("/form", data={"a": "1"}, headers=OWN)

    assert response.status_code == 403
    assert response.json()["detail"] == (
        "The CSRF token is missing. Send it in the header x-csrf-token or in the form field csrf_token."
    )


async def test_a_token_without_its_cookie_or_of_somebody_else_is_refused() -> None:
    app = application()
    async with client_of(app) as client, client_of(app) as other:
        theirs = await token_from(other)
        assert await reason(client, cookie="id=1", x_csrf_token=theirs) == "cookie_missing"
        await token_from(client)
        assert await reason(client, x_csrf_token=theirs) == "token_invalid"


async def test_a_token_ends() -> None:
    with clock.use(TravelClock()) as travel:
        async with client_of(application(csrf(ttl=60))) as client:
            token = await token_from(client)
            travel.jump(59)
            assert await reason(client, x_csrf_token=token) is None
            travel.jump(1)
            assert await reason(client, x_csrf_token=token) == "token_invalid"


async def test_a_token_of_another_application_is_refused() -> None:
    async with client_of() as client:
        token = await token_from(client)
        cookies = dict(client.cookies)
    other = application()
    other._secret = "another secret, as long"
    async with client_of(other, **cookies) as client:
        assert await reason(client, x_csrf_token=token) == "token_invalid"


async def test_a_cookie_that_somebody_planted_is_not_taken() -> None:
    # Not ours by its form: what is bound to it would be bound to something that others chose.
    async with client_of() as client:
        client.cookies.set("__Host-csrf", "short", domain="example.com")
        token = await token_from(client)

        assert client.cookies.get("__Host-csrf", domain="example.com") != "short"
        assert (
            await reason(client, x_csrf_token=token, cookie="__Host-csrf=short") == "cookie_missing"
        )


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=300))
def test_whatever_stands_for_a_token_is_refused(text: str) -> None:
    async def ask() -> str | None:
        async with client_of() as client:
            await token_from(client)
            return await reason(client, x_csrf_token=text)

    assert asyncio.run(ask()) == "token_invalid"


async def test_a_token_of_a_megabyte_and_one_that_was_changed_are_refused() -> None:
    async with client_of() as client:
        token = await token_from(client)

        assert await reason(client, x_csrf_token="a" * 1_000_000) == "token_invalid"
        for place in range(len(token)):
            letter = "A" if token[place] != "A" else "B"
            changed = token[:place] + letter + token[place + 1 :]
            assert await reason(client, x_csrf_token=changed) == "token_invalid"


# What is not looked at.


async def test_without_cookies_there_is_nothing_to_abuse() -> None:
    async with client_of() as client:
        assert await reason(client, sec_fetch_site="cross-site") is None
        assert await reason(client, authorization="Bearer token", cookie="id=1") is None


async def test_passwords_that_browsers_remember_are_looked_at_like_cookies() -> None:
    async with client_of() as client:
        basic = "Basic YTpi"
        assert (
            await reason(client, authorization=basic, sec_fetch_site="cross-site") == "cross_site"
        )
        # A program has no browser that would tell.
        assert await reason(client, authorization=basic) is None
        assert await reason(client, authorization=basic, cookie="id=1") == "token_missing"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_methods_that_change_nothing_are_not_looked_at(method: str) -> None:
    async with client_of(id="1") as client:
        response = await client.request(method, "/", headers=ELSEWHERE)

    assert response.status_code in (200, 204)


async def test_a_route_may_be_exempt_or_looked_at_always() -> None:
    async with client_of(id="1") as client:
        assert (await client.post("/hook", headers=ELSEWHERE)).status_code == 200
    async with client_of() as client:
        assert (await client.post("/login", headers=ELSEWHERE)).json()["reason"] == "cross_site"
        assert (await client.post("/login", headers=OWN)).json()["reason"] == "token_missing"
        fields = {"x-csrf-token": "a.b"}
        missing = await client.post("/login", headers=fields)
        assert missing.json()["reason"] == "cookie_missing"
        fields = {"x-csrf-token": await token_from(client)}
        assert (await client.post("/login", headers=fields)).status_code == 200


async def test_other_cookies_than_the_session_do_not_matter_if_it_is_named() -> None:
    async with client_of(application(csrf(session="id")), theme="dark") as client:
        assert await reason(client, sec_fetch_site="cross-site") is None
    async with client_of(application(csrf(session="id")), id="1") as client:
        assert await reason(client, sec_fetch_site="cross-site") == "cross_site"


async def test_a_token_belongs_to_the_session_where_that_is_named() -> None:
    app = application(csrf(session="id"))
    async with client_of(app) as client:
        before = await token_from(client)
        assert await reason(client, x_csrf_token=before) is None
        client.cookies.set("id", "session-1", domain="example.com")
        assert await reason(client, x_csrf_token=before) == "token_invalid"
        during = await client.get("/form")
        assert "set-cookie" not in during.headers
        token = await token_from(client)
        assert await reason(client, x_csrf_token=token) is None
        client.cookies.set("id", "session-2", domain="example.com")
        assert await reason(client, x_csrf_token=token) == "token_invalid"


async def test_a_trusted_origin_may_send_but_still_needs_a_token() -> None:
    app = application(csrf(trusted_origins=["https://*.partner.example"]))
    headers = {"origin": "https://shop.partner.example", "sec_fetch_site": "cross-site"}
    async with client_of(app) as client:
        token = await token_from(client)

        assert await reason(client, x_csrf_token=token, **headers) is None
        assert await reason(client, **headers) == "token_missing"


async def test_a_token_may_be_needed_only_where_the_browser_is_silent() -> None:
    async with client_of(application(csrf(token="fallback")), id="1") as client:
        assert await reason(client, sec_fetch_site="same-origin") is None
        assert await reason(client, sec_fetch_site="none") is None
        assert await reason(client, origin="https://example.com") is None
        assert await reason(client) == "token_missing"
        assert await reason(client, sec_fetch_site="cross-site") == "cross_site"


# Setting it up.


async def test_a_token_without_the_middleware_says_what_to_do() -> None:
    app = Oxidite(secret="sixteen bytes or more")

    @app.get("/")
    async def form(token: CSRFToken) -> str:
        return token

    async with Client(app) as client:
        with pytest.raises(ConfigError, match=r"Add csrf\(\)"):
            await client.get("/")


@pytest.mark.parametrize("origin", ["*", "null", "example.com"])
def test_not_everybody_is_trusted(origin: str) -> None:
    with pytest.raises(ConfigError):
        csrf(trusted_origins=[origin])


def test_complete_bodies_stay_complete() -> None:
    app = Oxidite(middleware=[csrf()])

    @app.get("/")
    async def home(token: CSRFToken) -> str:
        return token

    assert choose_interface(app, rsgi=True)[0] == "rsgi"


async def test_a_form_that_is_none_is_an_error_of_the_client() -> None:
    body: dict[str, Any] = {"content": b"x", "headers": {"content-type": "multipart/form-data"}}
    async with client_of(id="1") as client:
        response = await client.post("/form", **body)

    assert response.status_code == 400
