from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import ForbiddenError, Oxidite, Request, Response, Router
from oxidite.errors import ConfigError
from oxidite.http import Handler
from oxidite.middleware import OriginLike, cors
from oxidite.middleware.origins import Origins
from oxidite.testing import Client

SITE = "https://example.com"
PARTNER = "https://partner.example"
ELSEWHERE = "https://evil.example"


def application(*origins: OriginLike, credentials: bool = False) -> Oxidite:
    app = Oxidite(middleware=[cors(origins or [SITE], credentials=credentials)])

    @app.get("/posts")
    async def posts() -> list[str]:
        return ["first"]

    @app.delete("/posts")
    async def clear() -> None:
        return None

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError

    return app


def preflight(origin: str = SITE, method: str = "DELETE", **more: str) -> dict[str, str]:
    fields = {"origin": origin, "access-control-request-method": method}
    return fields | {name.replace("_", "-"): value for name, value in more.items()}


async def test_an_origin_that_is_allowed_may_read_the_answer() -> None:
    async with Client(application(SITE, PARTNER)) as client:
        response = await client.get("/posts", headers={"origin": SITE})

    assert response.json() == ["first"]
    assert response.headers["access-control-allow-origin"] == SITE
    assert response.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in response.headers


async def test_another_origin_gets_the_answer_and_no_leave_to_read_it() -> None:
    async with Client(application(SITE, PARTNER)) as client:
        response = await client.get("/posts", headers={"origin": ELSEWHERE})

    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["vary"] == "origin"


async def test_an_answer_without_origin_varies_too() -> None:
    async with Client(application(SITE, PARTNER)) as client:
        response = await client.get("/posts")

    assert response.headers["vary"] == "origin"
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", [SITE, ELSEWHERE, None])
async def test_one_origin_is_told_whoever_asks_so_that_caches_keep_one_answer(
    origin: str | None,
) -> None:
    async with Client(application(credentials=True)) as client:
        asked = {} if origin is None else {"origin": origin}
        response = await client.get("/posts", headers=asked)

    assert response.headers["access-control-allow-origin"] == SITE
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "vary" not in response.headers


@pytest.mark.parametrize(
    ("origin", "told"), [(SITE, SITE), (PARTNER, PARTNER), (ELSEWHERE, PARTNER), (None, PARTNER)]
)
async def test_what_is_open_to_another_origin_already_is_open_to_both(
    origin: str | None, told: str
) -> None:
    app = Oxidite(middleware=[cors([SITE])])

    @app.get("/", middleware=[cors([PARTNER])])
    async def home() -> str:
        return "home"

    async with Client(app) as client:
        response = await client.get("/", headers={} if origin is None else {"origin": origin})

    assert response.headers.get_list("access-control-allow-origin") == [told]
    assert response.headers["vary"] == "origin"


async def test_an_answer_that_a_handler_keeps_is_allowed_once() -> None:
    app = Oxidite(middleware=[cors([SITE], expose=["x-total"])])
    kept = Response("home", headers={"x-total": "3"})
    bare = Response("bare")

    @app.get("/kept")
    async def home() -> Response:
        return kept

    @app.get("/bare")
    async def plain() -> Response:
        return bare

    async with Client(app) as client:
        for path in ("/kept", "/bare") * 2:
            response = await client.get(path)

            assert response.headers.get_list("access-control-allow-origin") == [SITE]
            assert response.headers.get_list("access-control-expose-headers") == ["x-total"]
            assert "vary" not in response.headers


@pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/nowhere", 404)])
async def test_a_page_may_read_what_went_wrong(path: str, status: int) -> None:
    async with Client(application(), raise_errors=False) as client:
        response = await client.get(path, headers={"origin": SITE})

    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == SITE


async def test_everyone_is_told_so_and_nothing_varies() -> None:
    async with Client(application("*")) as client:
        answers = [
            await client.get("/posts", headers={"origin": ELSEWHERE}),
            await client.get("/posts"),
        ]

    for response in answers:
        assert response.headers["access-control-allow-origin"] == "*"
        assert "vary" not in response.headers


async def test_credentials_are_allowed_by_name() -> None:
    async with Client(application(SITE, PARTNER, credentials=True)) as client:
        allowed = await client.get("/posts", headers={"origin": SITE})
        other = await client.get("/posts", headers={"origin": ELSEWHERE})

    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-credentials" not in other.headers


async def test_exposed_headers_are_told_with_the_answer() -> None:
    app = Oxidite(middleware=[cors([SITE], expose=["X-Total", "Link"])])

    @app.get("/")
    async def home() -> str:
        return "home"

    async with Client(app) as client:
        response = await client.get("/", headers={"origin": SITE})

    assert response.headers["access-control-expose-headers"] == "x-total, link"


async def test_what_the_response_varies_by_stays() -> None:
    app = Oxidite(middleware=[cors([SITE, PARTNER])])

    @app.get("/")
    async def home() -> Response:
        return Response("home", headers={"vary": "Accept, Origin"})

    async with Client(app) as client:
        assert (await client.get("/")).headers["vary"] == "Accept, Origin"


# Preflight.


async def test_a_preflight_is_told_the_methods_of_the_path() -> None:
    async with Client(application()) as client:
        response = await client.options("/posts", headers=preflight())

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == SITE
    assert response.headers["access-control-allow-methods"] == "DELETE, GET, HEAD"
    assert response.headers["access-control-allow-headers"] == "authorization, content-type"
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["vary"].startswith("origin")


async def test_a_preflight_for_a_path_that_leads_nowhere_is_404() -> None:
    async with Client(application()) as client:
        response = await client.options("/nowhere", headers=preflight())

    assert response.status_code == 404
    assert response.headers["access-control-allow-origin"] == SITE


async def test_a_preflight_of_another_origin_is_refused_with_the_reason() -> None:
    async with Client(application()) as client:
        response = await client.options("/posts", headers=preflight(ELSEWHERE))

    assert response.status_code == 403
    assert response.json()["code"] == "origin_not_allowed"
    assert "origin" in response.headers["vary"]
    assert "access-control-allow-origin" not in response.headers


async def test_a_preflight_does_not_reach_what_asks_who_the_user_is() -> None:
    async def only_users(request: Request, call_next: Handler) -> Response:
        if "authorization" not in request.headers:
            raise ForbiddenError
        return await call_next(request)

    app = Oxidite(middleware=[cors([SITE]), only_users])

    @app.get("/")
    async def home() -> str:
        return "home"

    async with Client(app) as client:
        assert (await client.options("/", headers=preflight(method="GET"))).status_code == 204
        assert (await client.get("/", headers={"origin": SITE})).status_code == 403


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_preflight_reaches_the_cors_of_a_group(slash: str) -> None:
    app = Oxidite(trailing_slash="ignore")
    public = Router("/public", middleware=[cors(["*"])])

    @public.get("/{id:int}")
    async def show(id: int) -> int:
        return id

    @public.put("/{id:int}", middleware=[cors([SITE])])
    async def change(id: int) -> int:
        return id

    @app.post("/public/{id:int}")
    async def private(id: int) -> int:
        return id

    app.include(public)
    async with Client(app) as client:
        path = "/public/3" + slash
        get = await client.options(path, headers=preflight(ELSEWHERE, "GET"))
        post = await client.options(path, headers=preflight(ELSEWHERE, "POST"))
        plain = await client.options(path)

    assert get.headers["access-control-allow-origin"] == "*"
    assert get.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT"
    assert "access-control-allow-origin" not in post.headers
    assert plain.headers["allow"] == "GET, HEAD, OPTIONS, POST, PUT"


async def test_a_route_for_options_of_ones_own_is_not_asked_in_a_preflight() -> None:
    app = Oxidite(middleware=[cors([SITE])])

    @app.route("/", ["OPTIONS", "PUT"])
    async def own() -> str:
        return "own"

    async with Client(app) as client:
        asked = await client.options("/", headers=preflight(method="PUT"))
        plain = await client.options("/")

    assert asked.headers["access-control-allow-methods"] == "OPTIONS, PUT"
    assert plain.text == "own"


async def test_a_mounted_application_has_every_method() -> None:
    app = Oxidite(middleware=[cors([SITE])])
    inner = Oxidite()

    @inner.patch("/x")
    async def change() -> str:
        return "changed"

    app.mount("/inner", inner)
    async with Client(app) as client:
        asked = await client.options("/inner/x", headers=preflight(method="PATCH"))
        done = await client.patch("/inner/x", headers={"origin": SITE})

    assert asked.headers["access-control-allow-methods"] == "PATCH"
    assert done.headers["access-control-allow-origin"] == SITE


async def test_methods_that_are_said_hold_for_every_path() -> None:
    app = Oxidite(middleware=[cors([SITE], methods=["GET", "put"], max_age=60)])
    async with Client(app) as client:
        response = await client.options("/nowhere", headers=preflight(method="GET"))

    assert response.headers["access-control-allow-methods"] == "GET, HEAD, PUT"
    assert response.headers["access-control-max-age"] == "60"


async def test_any_header_may_be_asked_for_by_its_name() -> None:
    app = Oxidite(middleware=[cors([SITE], headers=["*"], credentials=True)])

    @app.get("/")
    async def home() -> str:
        return "home"

    async with Client(app) as client:
        named = await client.options(
            "/", headers=preflight(method="GET", access_control_request_headers="x-a, x-b")
        )
        broken = await client.options(
            "/", headers=preflight(method="GET", access_control_request_headers='x-a"; evil')
        )

    assert named.headers["access-control-allow-headers"] == "x-a, x-b"
    assert "access-control-allow-headers" not in broken.headers


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_private_network_is_open_only_where_that_was_said(allowed: bool) -> None:
    app = Oxidite(middleware=[cors([SITE], private_network=allowed)])

    @app.get("/")
    async def home() -> str:
        return "home"

    async with Client(app) as client:
        asked = preflight(method="GET", access_control_request_private_network="true")
        response = await client.options("/", headers=asked)

    assert ("access-control-allow-private-network" in response.headers) is allowed


# Which origins.


@pytest.mark.parametrize(
    ("origins", "inside", "outside"),
    [
        ([SITE], [SITE], ["http://example.com", SITE + "/", SITE + ":444", "null", ""]),
        (["HTTPS://Example.COM"], [SITE], []),
        (["http://localhost:5173"], ["http://localhost:5173"], ["http://localhost"]),
        (["http://[::1]:8000"], ["http://[::1]:8000"], ["http://[::1]"]),
        (["capacitor://localhost"], ["capacitor://localhost"], []),
        (["null"], ["null"], [SITE]),
        (
            ["https://*.example.com"],
            ["https://a.example.com", "https://a.b.example.com"],
            [
                SITE,
                "http://a.example.com",
                "https://a.example.com:8443",
                "https://example.com.evil.example",
                "https://evilexample.com",
                "https://a.example.com.evil.example",
                "https://.example.com",
                "https://a.exampleXcom",
                "https://evil.example/.example.com",
                "https://evil.example#.example.com",
                "https://evil.example?.example.com",
                "https://user@a.example.com",
                "https://a.example.com\n",
                "null",
            ],
        ),
        (["https://*.localhost:8443"], ["https://a.localhost:8443"], ["https://a.localhost"]),
        (
            [re.compile(r"https://pr-\d+\.example\.com")],
            ["https://pr-12.example.com"],
            ["https://pr-12.example.com.evil.example", "xhttps://pr-12.example.com"],
        ),
    ],
)
def test_an_origin_is_compared_whole(
    origins: list[OriginLike], inside: list[str], outside: list[str]
) -> None:
    known = Origins(origins, credentials=False)

    assert [each for each in inside if each not in known] == []
    assert [each for each in outside if each in known] == []


@pytest.mark.parametrize(
    ("origin", "hint"),
    [
        ("example.com", "scheme, host"),
        ("https://example.com/", "no slash at the end"),
        ("https://example.com/path", "no slash at the end"),
        ("https://bücher.example", "punycode"),
        ("https://example.com:443", "Write 'https://example.com'"),
        ("http://example.com:80", "Write 'http://example.com'"),
        ("https://*", "scheme, host"),
        ("https://*.com", "at least a domain"),
        ("https://a.*.example.com", "scheme, host"),
        ("https://user@example.com", "scheme, host"),
        ("", "scheme, host"),
    ],
)
def test_an_origin_that_could_not_match_or_would_match_too_much_is_refused(
    origin: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(hint)):
        cors([origin])


@pytest.mark.parametrize("origin", ["*", "null", re.compile(".*"), re.compile(r"https?://.+")])
def test_credentials_are_not_for_everyone(origin: OriginLike) -> None:
    with pytest.raises(ConfigError, match="credentials"):
        cors([origin], credentials=True)


def test_other_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="Write a list"):
        cors("https://example.com")
    with pytest.raises(ConfigError, match="Write it alone"):
        cors(["*", SITE])
    with pytest.raises(ConfigError, match="are lists"):
        cors([SITE], methods="GET")
    with pytest.raises(ConfigError, match="max_age"):
        cors([SITE], max_age=-1)
    with pytest.raises(ConfigError, match="no wildcard"):
        cors([SITE], expose=["*"], credentials=True)
    with pytest.raises(ValueError, match="not a header name"):
        cors([SITE], headers=["x y"])


def test_a_million_origins_are_looked_up_at_once() -> None:
    many = Origins((f"https://{n}.example.com" for n in range(1_000_000)), credentials=True)

    assert "https://999999.example.com" in many
    assert "https://1000000.example.com" not in many


@pytest.mark.parametrize(
    "origin",
    [
        b"https://a.example.com\r\nset-cookie: a=b",
        b"https://a.example.com\x00",
        b"https://\xff.example.com",
        b"https://" + b"a" * 1_000_000 + b".example.com",
        b"a." * 500_000,
        b"",
    ],
)
async def test_whatever_stands_in_origin_gets_nowhere(origin: bytes) -> None:
    app = application("https://*.example.com", re.compile(r"https://[^.]+\.example\.(com|net)"))
    sent: list[dict[str, object]] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/posts",
        "query_string": b"",
        "headers": [(b"origin", origin)],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    await app(scope, receive, send)

    assert sent[0]["status"] == 200
    fields = dict(sent[0]["headers"])  # type: ignore[call-overload]  # messages are open dictionaries
    assert b"access-control-allow-origin" not in fields
    assert b"set-cookie" not in fields


@given(st.text(max_size=40))
def test_only_what_ends_in_the_domain_is_below_it(text: str) -> None:
    known = Origins(["https://*.example.com"], credentials=True)
    origin = f"https://{text}.example.com"

    if origin in known:
        assert re.fullmatch(r"[a-z0-9_.-]+", text)
