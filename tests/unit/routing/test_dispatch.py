from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from urllib.parse import urljoin
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import Oxidite, Path, Request, Response, Router
from oxidite.errors import RouteError
from oxidite.testing import Client

Policy = Literal["strict", "ignore", "redirect"]


class Colour(Enum):
    RED = "red"


async def get(app: Oxidite, path: str, method: str = "GET", *, host: str = "testserver") -> str:
    """Return the status and the text of an answer to a path that is already decoded."""
    request = Request.of(method, path, headers={"host": host}, resources=app.lifespan)
    response = await app.handle(request)
    return (
        f"{response.status} {response.body.decode()}"
        if response.status == 200
        else (str(response.status))
    )


def slashes(policy: Policy) -> Oxidite:
    app = Oxidite(trailing_slash=policy)

    @app.get("/")
    async def root() -> str:
        return "root"

    @app.get("/posts")
    async def posts() -> str:
        return "posts"

    @app.get("/tags/")
    async def tags() -> str:
        return "tags"

    @app.get("/users/{name}/posts")
    async def of_user(name: str) -> str:
        return name

    @app.get("/files/{name:path}")
    async def file(name: str) -> str:
        return f"file {name}"

    return app


async def of_int(v: int) -> str:
    return repr(v)


async def of_float(v: float) -> str:
    return repr(v)


async def of_decimal(v: Decimal) -> str:
    return repr(v)


async def of_date(v: date) -> str:
    return repr(v)


async def of_uuid(v: UUID) -> str:
    return repr(v)


async def of_enum(v: Colour) -> str:
    return repr(v)


async def of_str(v: str) -> str:
    return repr(v)


@pytest.mark.parametrize(
    ("pattern", "handler", "good", "value", "bad"),
    [
        ("/{v:int}", of_int, "-3", "-3", "x"),
        ("/{v:float}", of_float, "1.5", "1.5", "inf"),
        ("/{v:decimal}", of_decimal, "1.50", "Decimal('1.50')", "1e5"),
        ("/{v:date}", of_date, "2024-02-29", "datetime.date(2024, 2, 29)", "2024-02-30"),
        ("/{v:uuid}", of_uuid, str(UUID(int=1)), repr(UUID(int=1)), "1"),
        ("/{v}", of_enum, "red", "<Colour.RED: 'red'>", "RED"),
        ("/{v}", of_int, "3", "3", "x"),
        ("/{v}", of_date, "2024-02-29", "datetime.date(2024, 2, 29)", "today"),
        ("/{v}", of_str, "a%20b", "'a b'", "a/b"),
        ("/x/{v:path}", of_str, "../x/a%2Fb/c", "'a/b/c'", "../y"),
    ],
)
async def test_each_converter_gives_the_handler_a_value_of_its_type(
    pattern: str, handler: Callable[[Any], Awaitable[str]], good: str, value: str, bad: str
) -> None:
    app = Oxidite()
    app.get(pattern)(handler)

    async with Client(app) as client:
        response = await client.get(f"/{good}")
        assert (response.status_code, response.text) == (200, value)
        assert (await client.get(f"/{bad}")).status_code == 404


async def test_a_bare_parameter_is_matched_by_the_type_of_the_handler() -> None:
    app = Oxidite()

    @app.get("/a/{id}")
    async def number(id: int) -> str:
        return f"number {id}"

    @app.get("/a/{slug}")
    async def text(slug: Path[str]) -> str:
        return f"text {slug}"

    @app.get("/b/{id}")
    async def marked(id: Path[int]) -> str:
        return f"number {id}"

    assert await get(app, "/a/3") == "200 number 3"
    assert await get(app, "/a/x") == "200 text x"
    assert await get(app, "/b/3") == "200 number 3"
    assert await get(app, "/b/x") == "404"


async def test_an_encoded_slash_separates_like_any_other() -> None:
    app = slashes("strict")

    async with Client(app) as client:
        assert (await client.get("/users%2Fann%2Fposts")).text == "ann"
        assert (await client.get("/users/a%2Fb/posts")).status_code == 404


@pytest.mark.parametrize("path", ["/%00", "/posts%00", "/files/%00", "/%FF", "/files/a%C3"])
async def test_nul_and_broken_utf8_in_a_path_are_a_bad_request(path: str) -> None:
    async with Client(slashes("redirect")) as client:
        response = await client.get(path)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "invalid_path"


@pytest.mark.parametrize("policy", ["strict", "ignore", "redirect"])
@pytest.mark.parametrize(
    "path", ["/./posts", "/x/../posts", "//posts", "/posts//", "//", "/tags//", "/users/../posts"]
)
async def test_dots_and_empty_segments_are_never_taken_away(path: str, policy: Policy) -> None:
    assert await get(slashes(policy), path) == "404"


async def test_dots_and_empty_segments_are_left_to_a_path_parameter() -> None:
    app = slashes("redirect")

    for name in ("../etc", "a//b", "./x", "", "/"):
        assert await get(app, f"/files/{name}") == f"200 file {name}"


async def test_head_is_answered_as_get_without_the_body() -> None:
    async with Client(slashes("strict")) as client:
        response = await client.head("/posts")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "5"


async def test_options_lists_what_the_path_has() -> None:
    app = slashes("strict")

    @app.post("/posts")
    async def create() -> str:
        return ""

    async with Client(app) as client:
        response = await client.options("/posts")
        missing = await client.options("/nope")

    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert missing.status_code == 404


async def test_a_path_may_answer_options_itself() -> None:
    app = Oxidite()

    @app.route("/own", ["OPTIONS", "GET"])
    async def own(request: Request) -> str:
        return request.method

    assert await get(app, "/own", "OPTIONS") == "200 OPTIONS"


@pytest.mark.parametrize("method", ["POST", "DELETE", "TRACE", "BREW", "PROPFIND"])
async def test_a_method_that_a_path_has_not_is_answered_with_those_it_has(method: str) -> None:
    async with Client(slashes("strict")) as client:
        response = await client.request(method, "/users/ann/posts")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    assert response.json()["detail"] == (
        f"{method} is not allowed here. Allowed: GET, HEAD, OPTIONS."
    )


async def test_without_get_there_is_no_head() -> None:
    app = Oxidite()

    @app.delete("/x")
    async def remove() -> None: ...

    async with Client(app) as client:
        response = await client.head("/x")

    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, OPTIONS"


async def test_the_empty_path_is_the_root() -> None:
    app = Oxidite()

    @app.get("")
    async def root() -> str:
        return "root"

    assert await get(app, "/") == "200 root"
    assert await get(app, "/", "HEAD") == "200 root"
    assert await get(app, "/", "POST") == "405"
    assert app.url(root) == "/"
    app.get("/")(root)
    with pytest.raises(RouteError, match="registered twice"):
        _ = app.table


# Trailing slashes.


@pytest.mark.parametrize("path", ["/posts/", "/tags", "/users/ann/posts/"])
async def test_a_slash_more_or_less_is_another_path_when_strict(path: str) -> None:
    assert await get(slashes("strict"), path) == "404"


@pytest.mark.parametrize(
    ("path", "text"), [("/posts/", "posts"), ("/tags", "tags"), ("/users/ann/posts/", "ann")]
)
async def test_a_slash_more_or_less_makes_no_difference_when_ignored(path: str, text: str) -> None:
    assert await get(slashes("ignore"), path) == f"200 {text}"
    assert await get(slashes("ignore"), path, "HEAD") == f"200 {text}"
    assert await get(slashes("ignore"), path, "POST") == "405"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/posts/", "/posts"),
        ("/posts/?a=1&b=%C3%A9", "/posts?a=1&b=%C3%A9"),
        ("/tags", "/tags/"),
        ("/tags?x=%0D%0Aset-cookie:a", "/tags/?x=%0D%0Aset-cookie:a"),
        ("/users/ann/posts/", "/users/ann/posts"),
        ("/users/a%20b%3Fc/posts/", "/users/a%20b%3Fc/posts"),
    ],
)
async def test_a_slash_more_or_less_is_redirected_relative_to_where_the_client_is(
    asked: str, meant: str
) -> None:
    async with Client(slashes("redirect")) as client:
        response = await client.get(asked)

    assert response.status_code == 308
    location = response.headers["location"]
    assert location.startswith(("./", "../"))
    for base in ("http://testserver", "https://proxy.example/prefix/deeper"):
        assert urljoin(base + asked, location) == base + meant


async def test_a_redirect_keeps_the_method_and_leads_to_an_answer() -> None:
    app = slashes("redirect")

    @app.post("/things/")
    async def create(request: Request) -> str:
        return (await request.body()).decode()

    async with Client(app, follow_redirects=True) as client:
        response = await client.post("/things", content=b"body")

    assert response.text == "body"


async def test_a_path_that_is_there_is_never_redirected() -> None:
    app = slashes("redirect")

    @app.post("/tags")
    async def create() -> str:
        return "created"

    assert await get(app, "/tags") == "405"
    assert await get(app, "/tags/") == "200 tags"


@pytest.mark.parametrize("policy", ["ignore", "redirect"])
async def test_the_root_is_not_the_empty_path(policy: Policy) -> None:
    assert await get(slashes(policy), "/") == "200 root"
    assert await get(slashes(policy), "/nope/") == "404"


hostile = st.lists(
    st.sampled_from(["", "/", "//", "evil.example", "..", ".", "\\", "@", ":", "posts", "tags"]),
    max_size=6,
)


@given(hostile)
def test_no_redirect_leaves_the_host(parts: list[str]) -> None:
    app = slashes("redirect")
    path = "/" + "".join(parts)
    request = Request.of("GET", path, resources=app.lifespan)

    response = asyncio.run(_answer(app, request))

    if response.status == 308:
        target = urljoin(f"http://testserver{path}", response.headers["location"])
        assert target.startswith("http://testserver/")
        assert not target.removeprefix("http://testserver").startswith("//")


async def _answer(app: Oxidite, request: Request) -> Response:
    return await app.handle(request)


# Hosts.


def hosts() -> Oxidite:
    app = Oxidite()

    @app.get("/")
    async def anywhere() -> str:
        return "any host"

    @app.get("/shared")
    async def shared() -> str:
        return "shared"

    api = app.group(host="api.example.com", name="api")

    @api.get("/")
    async def index() -> str:
        return "api"

    tenants = app.group("/t", host="{tenant}.example.com", name="tenants")

    @tenants.get("/{id:int}")
    async def show(tenant: str, id: int) -> str:
        return f"{tenant} {id}"

    @tenants.get("/marked")
    async def marked(tenant: Path[str], request: Request) -> str:
        return f"{tenant} {request.params['tenant']}"

    return app


@pytest.mark.parametrize(
    ("host", "path", "answer"),
    [
        ("api.example.com", "/", "200 api"),
        ("API.Example.COM:8000", "/", "200 api"),
        ("api.example.com", "/shared", "200 shared"),
        ("example.com", "/", "200 any host"),
        ("", "/", "200 any host"),
        ("acme.example.com", "/t/3", "200 acme 3"),
        ("acme.example.com", "/t/marked", "200 acme acme"),
        ("acme.example.com", "/t/x", "404"),
        ("a.b.example.com", "/t/3", "404"),
        (".example.com", "/t/3", "404"),
        ("..example.com", "/t/3", "404"),
        ("apiXexample.com", "/", "200 any host"),
        ("api.example.com.evil.example", "/", "200 any host"),
        ("evil.example/api.example.com", "/", "200 any host"),
        ("[::1]:8000", "/", "200 any host"),
    ],
)
async def test_a_route_of_a_host_answers_for_that_host(host: str, path: str, answer: str) -> None:
    assert await get(hosts(), path, host=host) == answer


async def test_what_a_path_allows_is_what_host_and_any_host_allow_together() -> None:
    app = hosts()
    app.group(host="api.example.com").post("/shared")(_ping)

    async with Client(app, base_url="http://api.example.com") as client:
        response = await client.delete("/shared")

    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def _ping() -> str:
    return "pong"


@pytest.mark.parametrize("host", ["http://x.com", "x.com:80", "x.com/a", "{a}{b}.com", "{a:nope}"])
def test_a_host_that_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(RouteError):
        Router(host=host)


def test_the_same_hosts_under_two_names_are_refused_with_both_places() -> None:
    app = hosts()
    other = app.group(host="{customer}.example.com")

    @other.get("/")
    async def index(customer: str) -> str:
        return customer

    with pytest.raises(RouteError) as caught:
        _ = app.table

    assert "index()" in caught.value.message
    assert "show()" in caught.value.message
    assert "the same hosts" in caught.value.message


def test_a_name_in_host_and_path_is_refused() -> None:
    group = Router(host="{id}.example.com")

    with pytest.raises(
        RouteError, match=r"show\(\): 'id' is in the host and in the path '/\{id\}'"
    ):

        @group.get("/{id}")
        async def show(id: str) -> str:
            return id


# Duplicates.


def test_two_routes_that_hide_each_other_are_refused_with_both_source_lines() -> None:
    app = Oxidite()

    @app.get("/posts/{id:int}")
    async def first(id: int) -> str:
        return ""

    first_line = first.__code__.co_firstlineno

    @app.get("/posts/{number}")
    async def second(number: int) -> str:
        return ""

    second_line = second.__code__.co_firstlineno
    with pytest.raises(RouteError) as caught:
        _ = app.table

    message = caught.value.message
    assert "GET /posts/{number:int} is registered twice" in message
    assert f"test_dispatch.py:{first_line} " in message
    assert f"test_dispatch.py:{second_line} " in message


def test_the_same_path_on_two_hosts_or_for_two_methods_is_two_routes() -> None:
    app = Oxidite()
    app.get("/x")(_ping)
    app.post("/x")(_ping)
    app.group(host="a.example").get("/x")(_ping)
    app.group(host="b.example").get("/x")(_ping)

    assert len(app.routes) == 4


async def test_a_thousand_routes_do_not_change_what_one_answers() -> None:
    app = Oxidite()

    def handler(number: int) -> None:
        @app.get(f"/r{number}/{{id:int}}")
        async def show(id: int) -> str:
            return f"{number} {id}"

    for number in range(1000):
        handler(number)

    assert await get(app, "/r0/1") == "200 0 1"
    assert await get(app, "/r999/1") == "200 999 1"
    assert await get(app, "/r1000/1") == "404"
