from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, TypedDict

import attrs
import msgspec
import pytest
from msgspec import Struct
from pydantic import BaseModel

from oxidite import (
    Depends,
    HTMLResponse,
    Json,
    JSONResponse,
    Oxidite,
    Request,
    Response,
    StreamingResponse,
    TextResponse,
)
from oxidite.errors import RouteError
from oxidite.extract.base import location
from oxidite.http import Handler
from oxidite.testing import Client


class Post(Struct):
    id: int


@dataclasses.dataclass
class Point:
    x: int


@attrs.define
class Box:
    width: int


class Model(BaseModel):
    name: str


class Options(TypedDict):
    size: int


def answering(value: object, **options: Any) -> Oxidite:
    """Make an application whose only handler returns ``value``."""
    app = Oxidite()

    @app.route("/", ["GET", "POST"], **options)
    async def handler() -> object:
        return value

    return app


JSON = "application/json"


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        (Post(1), JSON, b'{"id":1}'),
        ([Post(1)], JSON, b'[{"id":1}]'),
        (Point(1), JSON, b'{"x":1}'),
        (Box(1), JSON, b'{"width":1}'),
        (Model(name="a"), JSON, b'{"name":"a"}'),
        (Options(size=1), JSON, b'{"size":1}'),
        ({"a": None}, JSON, b'{"a":null}'),
        ([], JSON, b"[]"),
        (3, JSON, b"3"),
        (True, JSON, b"true"),
        ("text é", "text/plain; charset=utf-8", "text é".encode()),
        (b"\x00\xff", "application/octet-stream", b"\x00\xff"),
        (HTMLResponse("<p>"), "text/html; charset=utf-8", b"<p>"),
    ],
)
async def test_whatever_a_handler_returns_is_an_answer(
    value: object, content_type: str, body: bytes
) -> None:
    async with Client(answering(value)) as client:
        response = await client.get("/")

    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.content == body
    assert response.headers["content-length"] == str(len(body))


async def test_nothing_is_answered_without_a_body() -> None:
    async with Client(answering(None)) as client:
        response = await client.get("/")

    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert "content-length" not in response.headers


@pytest.mark.parametrize(("value", "status"), [(Post(1), 201), ("a", 202), (None, 202)])
async def test_a_route_has_the_status_of_what_its_handler_returns(
    value: object, status: int
) -> None:
    async with Client(answering(value, status=status)) as client:
        assert (await client.get("/")).status_code == status


async def test_a_response_keeps_its_own_status() -> None:
    async with Client(answering(TextResponse("x", 418), status=201)) as client:
        assert (await client.get("/")).status_code == 418


@pytest.mark.parametrize("options", [{}, {"produces": ["application/json"]}])
async def test_a_tuple_is_refused_with_what_to_write_instead(options: dict[str, object]) -> None:
    async with Client(answering(({"a": 1}, 201), **options)) as client:
        with pytest.raises(TypeError, match=r"returned a tuple\. For a status use status="):
            await client.get("/")


async def test_a_value_that_cannot_be_encoded_is_a_server_error_that_names_its_type() -> None:
    async with Client(answering({"a": object()})) as client:
        with pytest.raises(TypeError, match=r"builtins\.object cannot be encoded"):
            await client.get("/")


async def test_a_sync_handler_runs_in_a_thread() -> None:
    app = Oxidite()

    @app.get("/{id:int}")
    def show(id: int, request: Request) -> str:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return f"{id} {request.method}"

    async with Client(app) as client:
        assert (await client.get("/3")).text == "3 GET"


async def test_a_sync_handler_that_raises_stop_iteration_is_an_error_and_no_hang() -> None:
    app = Oxidite()

    @app.get("/")
    def stop() -> str:
        return next(iter(()))

    async with Client(app) as client, asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            await client.get("/")


# Entity tags.


@pytest.mark.parametrize("kind", ["weak", "strong"])
async def test_an_unchanged_answer_is_not_sent_again(kind: Literal["weak", "strong"]) -> None:
    async with Client(answering({"a": 1}, etag=kind)) as client:
        first = await client.get("/")
        etag = first.headers["etag"]
        again = await client.get("/", headers={"if-none-match": etag})
        other = await client.get("/", headers={"if-none-match": '"something else"'})
        head = await client.head("/", headers={"if-none-match": etag})

    assert etag.startswith('W/"') == (kind == "weak")
    assert (first.status_code, first.json()) == (200, {"a": 1})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert "content-type" not in again.headers
    assert "content-length" not in again.headers
    assert other.status_code == 200
    assert head.status_code == 304


async def test_the_tag_is_that_of_the_content() -> None:
    async def tag(value: object) -> str:
        async with Client(answering(value, etag="strong")) as client:
            return str((await client.get("/")).headers["etag"])

    assert await tag({"a": 1}) == await tag({"a": 1})
    assert await tag({"a": 1}) != await tag({"a": 2})


@pytest.mark.parametrize("wanted", ["*", '"x", {}', "{strong}", '"a,b",{}'])
async def test_a_list_of_tags_a_star_and_the_strong_form_of_a_weak_tag_match(wanted: str) -> None:
    async with Client(answering("text", etag="weak")) as client:
        etag = (await client.get("/")).headers["etag"]
        asked = wanted.replace("{}", etag).replace("{strong}", etag.removeprefix("W/"))
        assert (await client.get("/", headers={"if-none-match": asked})).status_code == 304


async def test_a_handlers_own_tag_is_kept() -> None:
    app = Oxidite()

    @app.get("/", etag="strong")
    async def handler() -> Response:
        return TextResponse("x", headers={"etag": '"mine"', "vary": "cookie", "x-other": "y"})

    async with Client(app) as client:
        response = await client.get("/", headers={"if-none-match": '"mine"'})

    assert response.status_code == 304
    assert (response.headers["etag"], response.headers["vary"]) == ('"mine"', "cookie")


async def test_a_response_that_is_kept_and_returned_again_is_still_whole() -> None:
    kept = JSONResponse({"a": 1})

    async with Client(answering(kept, etag="strong")) as client:
        first = await client.get("/", headers={"if-none-match": "*"})
        second = await client.get("/")

    assert (first.status_code, second.status_code) == (304, 200)
    assert second.json() == {"a": 1}
    assert second.headers["content-type"] == JSON


async def test_cookies_are_sent_with_an_unchanged_answer() -> None:
    app = Oxidite()

    @app.get("/", etag="weak")
    async def handler() -> Response:
        response = TextResponse("x")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async with Client(app) as client:
        response = await client.get("/", headers={"if-none-match": "*"})

    assert [each.partition(";")[0] for each in response.headers.get_list("set-cookie")] == [
        "a=1",
        "b=2",
    ]


async def test_only_a_complete_answer_to_a_safe_method_gets_a_tag() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"

    app = Oxidite()

    @app.get("/stream", etag="weak")
    async def stream() -> Response:
        return StreamingResponse(chunks())

    @app.get("/error", etag="weak")
    async def error() -> Response:
        return TextResponse("gone", 410)

    @app.post("/change", etag="weak")
    async def change() -> str:
        return "changed"

    async with Client(app) as client:
        for method, path in (("GET", "/stream"), ("GET", "/error"), ("POST", "/change")):
            response = await client.request(method, path, headers={"if-none-match": "*"})
            assert "etag" not in response.headers
            assert response.status_code != 304


async def test_middleware_of_the_route_sees_the_answer_without_a_body() -> None:
    seen: list[int] = []

    async def watch(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        seen.append(response.status)
        return response

    async with Client(answering("x", etag="weak", middleware=[watch])) as client:
        await client.get("/", headers={"if-none-match": "*"})

    assert seen == [304]


# What is known of a route.


def test_a_route_says_where_it_is_written() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler() -> str:
        return ""

    (route,) = app.routes
    assert route.where == (
        f"tests/unit/routing/test_route.py:{handler.__code__.co_firstlineno} "
        "test_a_route_says_where_it_is_written.handler()"
    )


def test_safe_methods_are_cancelled_when_the_client_goes_away_and_others_are_not() -> None:
    app = Oxidite()

    async def handler() -> str:
        return ""

    app.get("/a")(handler)
    app.post("/b")(handler)
    app.route("/c", ["GET", "POST"])(handler)
    app.post("/d", cancel=True)(handler)
    app.get("/e", cancel=False)(handler)

    assert [route.cancel for route in app.routes] == [True, False, False, True, False]


async def test_a_body_may_be_larger_where_the_route_says_so() -> None:
    app = Oxidite(max_body=10)

    @app.post("/small")
    async def small(data: Json[list[int]]) -> int:
        return len(data)

    @app.post("/large", max_body=1000)
    async def large(data: Json[list[int]]) -> int:
        return len(data)

    async with Client(app) as client:
        body = msgspec.json.encode(list(range(20)))
        headers = {"content-type": JSON}
        assert (await client.post("/small", content=body, headers=headers)).status_code == 413
        assert (await client.post("/large", content=body, headers=headers)).text == "20"


@pytest.mark.parametrize(
    ("returned", "complete"),
    [
        (Post, True),
        (dict[str, int], True),
        (str | None, True),
        (Literal["a"], True),
        (JSONResponse, True),
        (JSONResponse | HTMLResponse, True),
        (Annotated[TextResponse, "documented"], True),
        (Annotated[Response, "documented"], False),
        (Response, False),
        (str | Response, False),
        (Post | None | StreamingResponse, False),
        (AsyncIterator[bytes], False),
        (Any, False),
        (object, False),
    ],
)
def test_what_a_handler_returns_says_whether_it_may_stream(returned: Any, complete: bool) -> None:
    async def handler() -> None: ...

    handler.__annotations__["return"] = returned
    app = Oxidite()
    app.get("/")(handler)

    assert [route.complete for route in app.routes] == [complete]


def test_a_handler_that_does_not_say_what_it_returns_may_stream() -> None:
    async def handler() -> object: ...

    del handler.__annotations__["return"]
    app = Oxidite()
    app.get("/")(handler)

    assert [route.complete for route in app.routes] == [False]


async def test_a_body_may_be_larger_where_the_route_of_a_host_says_so() -> None:
    app = Oxidite(max_body=10)
    group = app.group(host="files.example.com")

    @group.post("/", max_body=1000)
    async def large(data: Json[list[int]]) -> int:
        return len(data)

    async with Client(app) as client:
        headers = {"host": "files.example.com"}
        assert (await client.post("/", json=list(range(20)), headers=headers)).text == "20"


def test_a_parameter_twice_in_prefix_and_path_is_refused_with_the_place_of_the_handler() -> None:
    group = Oxidite().group("/posts/{id}")

    async def show(id: int) -> None: ...

    with pytest.raises(RouteError) as caught:
        group.get("/comments/{id}")(show)
    assert caught.value.message == (
        f"{location(show)}: The path '/posts/{{id}}/comments/{{id}}' has 'id' twice."
    )


async def test_a_clean_up_that_fails_when_a_handler_is_cancelled_is_logged_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[str] = []
    running = asyncio.Event()

    async def failing() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise LookupError("of the clean-up")

    async def other() -> AsyncIterator[int]:
        try:
            yield 2
        except asyncio.CancelledError:
            log.append("rolled back")
            raise

    app = Oxidite()

    @app.get("/")
    async def handler(a: int = Depends(other), b: int = Depends(failing, scope="handler")) -> None:
        running.set()
        await asyncio.Event().wait()

    async with app.running():
        request = Request.of("GET", "/", resources=app.lifespan)
        task = asyncio.ensure_future(app.handle(request))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert log == ["rolled back"]
    assert "clean-up of a cancelled request failed" in caplog.text
    assert "LookupError: of the clean-up" in caplog.text
