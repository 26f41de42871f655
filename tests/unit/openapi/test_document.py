"""The document of an application: what is in it, under which names, and what is not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from oxidite import (
    Body,
    ConflictError,
    Controller,
    Cookie,
    Depends,
    Event,
    Events,
    FileResponse,
    ForbiddenError,
    Form,
    FormData,
    Handler,
    Header,
    HTMLResponse,
    HTTPError,
    Json,
    JSONResponse,
    Lines,
    NotFoundError,
    Oxidite,
    Query,
    RedirectResponse,
    Request,
    Response,
    Router,
    StreamingResponse,
    TextResponse,
    UnauthorizedError,
    Upload,
)
from oxidite.errors import ConfigError, RouteError
from oxidite.extract import Description
from oxidite.http import Declared, SecurityScheme, Version, declares
from oxidite.http.streams import EventStream
from oxidite.middleware import allowed_hosts, csrf, decompression, idempotency, rate_limit, timeout
from oxidite.openapi import OpenAPI, OpenAPIError, Tag
from oxidite.openapi.base import JSON
from oxidite.routing import Versioning


def document(app: Oxidite, **options: Any) -> JSON:
    return OpenAPI(**options).build(app).content


def operation(app: Oxidite, path: str = "/", method: str = "get", **options: Any) -> JSON:
    found: JSON = document(app, **options)["paths"][path][method]
    return found


def parameters(app: Oxidite, path: str = "/", method: str = "get") -> dict[str, JSON]:
    return {each["name"]: each for each in operation(app, path, method)["parameters"]}


def codes(app: Oxidite, status: str, path: str = "/", method: str = "get") -> set[str]:
    """Return the codes of the problem documents of a status."""
    whole = document(app)
    name = whole["paths"][path][method]["responses"][status]["$ref"].rpartition("/")[2]
    content = whole["components"]["responses"][name]["content"]
    schema = content["application/problem+json"]["schema"]
    if "$ref" in schema:
        return {"validation"}
    code = schema["allOf"][1]["properties"]["code"]
    return set(code.get("enum", ())) | {code.get("const")} - {None}


# The whole.


def test_what_a_document_says_of_itself() -> None:
    found = document(
        Oxidite(),
        title="Shop",
        version="2",
        summary="Short",
        description="Long",
        info={"contact": {"name": "Ann"}},
        servers=["/v1", {"url": "/v2", "description": "new"}],
        external_docs="https://example.org",
        security_schemes={"key": {"type": "apiKey", "in": "header", "name": "x"}},
        extra={"x-a": 1},
    )
    assert found == {
        "openapi": "3.1.1",
        "info": {
            "title": "Shop",
            "version": "2",
            "summary": "Short",
            "description": "Long",
            "contact": {"name": "Ann"},
        },
        "servers": [{"url": "/v1"}, {"url": "/v2", "description": "new"}],
        "externalDocs": {"url": "https://example.org"},
        "paths": {},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x"}}},
        "x-a": 1,
    }


def test_another_version_than_3_1_and_3_2_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"use '3\.1' or '3\.2'"):
        OpenAPI(spec="3.0")  # type: ignore[arg-type]  # that is the mistake


def test_tags_are_in_the_order_they_are_described_then_used() -> None:
    app = Oxidite()
    group = app.group("/a", tags=["second"])

    @group.get("/", tags=["third", "second"])
    async def index() -> None: ...

    tags = [
        Tag("first", "One.", external_docs="https://example.org"),
        Tag("second", parent="first"),
    ]
    assert document(app, tags=tags)["tags"] == [
        {"name": "first", "description": "One.", "externalDocs": {"url": "https://example.org"}},
        {"name": "second"},
        {"name": "third"},
    ]
    assert document(app, tags=tags, spec="3.2")["tags"][1] == {"name": "second", "parent": "first"}
    assert document(app, tags={"third": "Three."})["tags"][0]["description"] == "Three."
    assert operation(app, "/a")["tags"] == ["second", "third"]


# Names and texts.


def test_ids_are_the_names_of_routes_and_each_is_one_operation() -> None:
    app = Oxidite()
    posts = Router("/posts", name="posts")

    @posts.get("/")
    async def index() -> None: ...

    @posts.route("/many", ["GET", "POST"])
    async def many() -> None: ...

    app.include(posts)

    @app.get("/a", name="same")
    async def first() -> None: ...

    @app.get("/b", name="same")
    async def second() -> None: ...

    @app.get("/c", name="same")
    async def third() -> None: ...

    @app.get("/{id:int}/c", name="same")
    async def fourth() -> None: ...

    @app.get("/d", openapi={"id": "chosen"})
    async def fifth() -> None: ...

    paths = document(app)["paths"]
    ids = {f"{m} {p}": op["operationId"] for p, item in paths.items() for m, op in item.items()}
    assert ids == {
        "get /posts": "posts_index",
        "get /posts/many": "posts_many_get",
        "post /posts/many": "posts_many_post",
        "get /a": "same",
        "get /b": "same_get",
        "get /c": "same_get_c",
        "get /{id}/c": "same_get_id",
        "get /d": "chosen",
    }


def test_names_that_are_all_taken_are_numbered() -> None:
    app = Oxidite()
    for host in ("a.example", "b.example", "c.example", "d.example", "e.example"):
        router = app.group(host=host)

        @router.get(f"/{host[0]}", name="x")
        async def x() -> None: ...

        @router.get(f"/{host[0]}/{{id:int}}", name="x")
        async def y() -> None: ...

    paths = document(app)["paths"]
    ids = [op["operationId"] for item in paths.values() for op in item.values()]
    assert len(ids) == len(set(ids)) == 10


def test_the_docstring_is_summary_description_and_arguments() -> None:
    app = Oxidite()

    @app.get("/")
    async def list_all(limit: int = 10, x_mode: Header[str] = "") -> None:
        """List everything
        there is.

        In *pages*.

        - one
        - two

        Args:
            limit: How many,
                at most.
            x_mode (str): The mode.

        Raises:
            NotFoundError: never.
        """

    found = operation(app)
    assert found["summary"] == "List everything there is"
    assert found["description"] == "In *pages*.\n\n- one\n- two"
    assert parameters(app)["limit"]["description"] == "How many, at most."
    assert parameters(app)["x-mode"]["description"] == "The mode."


def test_without_a_docstring_the_name_is_the_summary() -> None:
    app = Oxidite()

    @app.get("/")
    async def list_all_of_it() -> None: ...

    assert operation(app)["summary"] == "List all of it"


def test_what_is_said_at_the_route_wins() -> None:
    app = Oxidite()

    @app.get(
        "/",
        openapi={
            "summary": "Short",
            "description": "Long",
            "deprecated": True,
            "external_docs": "https://example.org",
            "responses": {202: None, 207: list[int]},
            "extra": {"x-a": 1, "responses": {"200": {"description": "Mine"}}},
        },
        meta={"x-b": 2, "private": 3},
    )
    async def handler() -> int:
        """Nobody reads this."""
        return 1

    found = operation(app)
    assert (found["summary"], found["description"]) == ("Short", "Long")
    assert found["deprecated"] is True
    assert found["externalDocs"] == {"url": "https://example.org"}
    assert (found["x-a"], found["x-b"]) == (1, 2)
    assert "private" not in found
    assert found["responses"]["200"]["description"] == "Mine"
    assert found["responses"]["200"]["content"]
    assert "content" not in found["responses"]["202"]
    assert found["responses"]["207"]["content"]["application/json"]["schema"]["type"] == "array"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"hidden": True}, "openapi has no 'hidden'. Known: include, id"),
        ({"responses": {99: None}}, "is no status"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_place(said: Any, message: str) -> None:
    app = Oxidite()

    @app.get("/", openapi=said)
    async def handler() -> None: ...

    with pytest.raises(OpenAPIError, match=rf"test_document.py:\d+ .*handler\(\): .*{message}"):
        document(app)


# What is not there.


def test_hidden_routes_and_mounts_are_not_in_the_document() -> None:
    app = Oxidite()

    @app.get("/hidden", openapi={"include": False})
    async def hidden() -> None: ...

    @app.get("/internal", tags=["internal"])
    async def internal() -> None: ...

    app.mount("/other", Oxidite())
    assert list(document(app)["paths"]) == ["/internal"]
    assert document(app, only=lambda route: "internal" not in route.tags)["paths"] == {}


def test_paths_that_openapi_cannot_tell_apart_are_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Oxidite()

    @app.get("/posts/{id:int}")
    async def by_id(id: int) -> None: ...

    @app.get("/posts/{slug}")
    async def by_slug(slug: str) -> None: ...

    @app.delete("/posts/{id:int}")
    async def delete(id: int) -> None: ...

    @app.get("/same/{x:int}")
    async def number(x: int) -> None: ...

    @app.get("/same/{x:uuid}")
    async def key(x: UUID) -> None: ...

    with caplog.at_level(logging.WARNING, "oxidite.openapi"):
        built = OpenAPI().build(app)
    assert sorted(built.content["paths"]) == ["/posts/{id}", "/same/{x}"]
    assert sorted(built.content["paths"]["/posts/{id}"]) == ["delete", "get"]
    assert len(built.left_out) == len(caplog.records) == 2
    assert "GET /posts/{slug}" in built.left_out[0]
    assert "is '/posts/{id}' in" in built.left_out[0]
    assert "GET /same/{x} is number already" in built.left_out[1]


def test_methods_that_3_1_has_no_word_for_are_in_3_2() -> None:
    app = Oxidite()

    @app.route("/search", ["QUERY", "PURGE", "GET"])
    async def search() -> None: ...

    built = OpenAPI().build(app)
    assert list(built.content["paths"]["/search"]) == ["get"]
    assert [reason.rpartition("OpenAPI")[2] for reason in built.left_out] == [
        " 3.1 has no method QUERY; 3.2 has.",
        " 3.1 has no method PURGE; 3.2 has.",
    ]
    item = document(app, spec="3.2")["paths"]["/search"]
    assert sorted(item) == ["additionalOperations", "get", "query"]
    assert item["additionalOperations"]["PURGE"]["operationId"] == "search_purge"


# Parameters.


class Window(Struct):
    before: int | None = None
    limit: Annotated[int, Meta(ge=1, description="How many.")] = 10


class Wanted(Struct):
    x_kind: Literal["a", "b"]
    accept: str = ""


def test_every_argument_is_a_parameter_with_its_source_and_type() -> None:
    app = Oxidite()

    @app.get("/{name}/{rest:path}")
    async def handler(
        name: str,
        window: Query[Window],
        wanted: Header[Wanted],
        authorization: Header[str],
        ids: list[int] = [],  # noqa: B006 - it is not changed
        seen: Cookie[bool | None] = None,
        key: UUID | int | None = None,
    ) -> None: ...

    found = parameters(app, "/{name}/{rest}")
    assert {name: each["in"] for name, each in found.items()} == {
        "name": "path",
        "rest": "path",
        "before": "query",
        "limit": "query",
        "x-kind": "header",
        "ids": "query",
        "seen": "cookie",
        "key": "query",
    }
    assert {name for name, each in found.items() if each.get("required")} == {
        "name",
        "rest",
        "x-kind",
    }
    assert found["name"]["schema"] == {"type": "string", "minLength": 1}
    assert "slashes" in found["rest"]["description"]
    assert found["limit"]["description"] == "How many."
    assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "default": 10}
    assert found["before"]["schema"] == {"type": "integer"}
    assert found["seen"]["schema"] == {"type": "boolean"}
    assert found["ids"]["schema"] == {"type": "array", "items": {"type": "integer"}, "default": []}
    assert found["key"]["schema"] == {
        "anyOf": [{"type": "string", "format": "uuid"}, {"type": "integer"}]
    }


def test_parameters_of_dependencies_are_there_and_once() -> None:
    app = Oxidite()

    async def inner(page: int) -> int:
        return page

    async def outer(number: int = Depends(inner), page: int = 1) -> int:
        return number

    @app.get("/{id:int}")
    async def handler(value: int = Depends(outer)) -> None: ...

    found = parameters(app, "/{id}")
    assert list(found) == ["id", "page"]
    # One of the two that read it needs it.
    assert found["page"]["required"] is True


def test_an_example_of_a_parameter_is_checked() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler(limit: Annotated[int, Meta(ge=1, examples=[0])] = 1) -> None: ...

    with pytest.raises(OpenAPIError, match="limit: the example 0 does not fit"):
        document(app)


def test_the_parameters_of_a_host_are_of_the_server() -> None:
    app = Oxidite()
    tenants = app.group(host="{tenant}.example.com")

    @tenants.get("/{id:int}")
    async def handler(tenant: str, id: int) -> None: ...

    assert list(parameters(app, "/{id}")) == ["id"]
    assert operation(app, "/{id}")["servers"] == [
        {"url": "//{tenant}.example.com", "variables": {"tenant": {"default": "tenant"}}}
    ]


# Bodies.


@dataclass(slots=True)
class Point:
    x: int
    y: int = 0


class Picture(Struct):
    title: str
    file: Upload


class Album(Struct):
    files: list[Upload] | None = None


def test_each_kind_of_body_has_its_media_types() -> None:
    app = Oxidite()

    @app.post("/json")
    async def json(point: Point) -> None: ...

    @app.post("/optional")
    async def optional(point: Json[Point | None] = None) -> None: ...

    @app.post("/form")
    async def form(point: Form[Point]) -> None: ...

    @app.post("/files")
    async def files(picture: Form[Picture]) -> None: ...

    @app.post("/album")
    async def album(album: Form[Album]) -> None: ...

    @app.post("/any")
    async def any_format(point: Body[Point]) -> None: ...

    @app.post("/raw")
    async def raw(form: Form[FormData]) -> None: ...

    @app.post("/nothing")
    async def nothing(request: Request) -> None: ...

    paths = document(app)["paths"]
    bodies = {path: item["post"].get("requestBody") for path, item in paths.items()}
    urlencoded, multipart = "application/x-www-form-urlencoded", "multipart/form-data"
    assert {path: list(body["content"]) for path, body in bodies.items() if body} == {
        "/json": ["application/json"],
        "/optional": ["application/json"],
        "/form": [urlencoded, multipart],
        "/files": [multipart],
        "/album": [multipart],
        "/any": ["application/json", urlencoded, multipart, "application/msgpack"],
        "/raw": [multipart],
    }
    assert bodies["/nothing"] is None
    assert bodies["/json"]["required"] is True
    assert "required" not in bodies["/optional"]


def test_examples_are_written_as_json_and_checked() -> None:
    app = Oxidite()

    @app.post(
        "/",
        openapi={
            "request_examples": {"far": {"x": 9, "y": 9}, "near": Point(1)},
            "response_examples": {"same": Point(2)},
        },
    )
    async def handler(point: Point) -> Point:
        return point

    found = operation(app, method="post")
    assert found["requestBody"]["content"]["application/json"]["examples"] == {
        "far": {"value": {"x": 9, "y": 9}},
        "near": {"value": {"x": 1, "y": 0}},
    }
    answer = found["responses"]["200"]["content"]["application/json"]
    assert answer["examples"] == {"same": {"value": {"x": 2, "y": 0}}}


@pytest.mark.parametrize("kind", ["request_examples", "response_examples"])
@pytest.mark.parametrize("value", [{"x": "one"}, object()])
def test_an_example_that_does_not_fit_is_refused(kind: str, value: object) -> None:
    app = Oxidite()
    said: Any = {kind: {"wrong": value}}

    @app.post("/", openapi=said)
    async def handler(point: Point) -> Point:
        return point

    with pytest.raises(OpenAPIError, match=rf"handler\(\): {kind}\['wrong'\]: the example"):
        document(app)


# Answers.


def test_what_is_returned_is_what_is_answered() -> None:
    app = Oxidite()

    def add(path: str, type_: object, **options: Any) -> None:
        async def handler() -> Any: ...

        handler.__annotations__["return"] = type_
        app.get(path, **options)(handler)

    add("/data", Point)
    add("/created", Point, status=201)
    add("/none", None)
    add("/none-accepted", None, status=202)
    add("/text", str)
    add("/bytes", bytes)
    add("/html", HTMLResponse)
    add("/plain", TextResponse)
    add("/json", JSONResponse)
    add("/stream", StreamingResponse)
    add("/away", RedirectResponse)
    add("/response", Response)
    add("/unknown", Any)
    add("/maybe", Point | None)
    add("/either", Point | HTMLResponse | str)
    add("/wrapped", Annotated[HTMLResponse, "a page"])
    add("/iterator", AsyncIterator[int])
    add("/msgpack", Point, produces=["application/json", "application/msgpack"])
    add("/csv", str, produces={"text/csv": lambda _: b""})

    paths = document(app)["paths"]
    found = {
        path: {
            status: list(response.get("content", ()))
            for status, response in item["get"]["responses"].items()
            if "$ref" not in response
        }
        for path, item in paths.items()
    }
    assert found == {
        "/data": {"200": ["application/json"]},
        "/created": {"201": ["application/json"]},
        "/none": {"204": []},
        "/none-accepted": {"202": []},
        "/text": {"200": ["text/plain"]},
        "/bytes": {"200": ["application/octet-stream"]},
        "/html": {"200": ["text/html"]},
        "/plain": {"200": ["text/plain"]},
        "/json": {"200": ["application/json"]},
        "/stream": {"200": ["application/octet-stream"]},
        "/away": {"303": []},
        "/response": {"200": []},
        "/unknown": {"200": []},
        "/maybe": {"200": ["application/json"], "204": []},
        "/either": {"200": ["text/html", "text/plain", "application/json"]},
        "/wrapped": {"200": ["text/html"]},
        "/iterator": {"200": []},
        "/msgpack": {"200": ["application/json", "application/msgpack"]},
        "/csv": {"200": ["text/csv"]},
    }
    assert "Location" in paths["/away"]["get"]["responses"]["303"]["headers"]
    assert paths["/msgpack"]["get"]["responses"]["406"]


def test_an_entity_tag_is_a_header_and_a_304() -> None:
    app = Oxidite()

    @app.get("/", etag="weak")
    async def handler() -> int:
        return 1

    responses = operation(app)["responses"]
    assert "ETag" in responses["200"]["headers"]
    assert "content" not in responses["304"]


class Report(Response):
    media_type = "application/pdf"


def test_a_response_of_ones_own_says_what_it_is() -> None:
    app = Oxidite()

    @app.get("/report")
    async def report() -> Report:
        return Report(b"")

    content = operation(app, "/report", spec="3.2")["responses"]["200"]["content"]
    assert content == {"application/pdf": {}}


def test_a_file_may_be_answered_in_part_or_not_at_all() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler() -> FileResponse:
        return FileResponse("nowhere")

    responses = operation(app)["responses"]
    assert sorted(responses) == ["200", "206", "304", "404", "416"]
    assert "ETag" in responses["206"]["headers"]


def test_a_stream_says_what_its_items_are() -> None:
    app = Oxidite()

    @app.get("/lines")
    async def lines() -> Lines[Point]:
        yield Point(1)

    @app.get("/events")
    async def events() -> Events[Event[Point]]:
        yield Event(Point(1))

    @app.get("/response")
    async def response() -> EventStream[Point]:
        raise NotImplementedError

    @app.get("/any")
    async def untyped() -> Events[Any]:
        yield 1

    point = {"$ref": "#/components/schemas/Point"}

    def item(path: str, spec: str, media_type: str) -> JSON:
        media: JSON = operation(app, path, spec=spec)["responses"]["200"]["content"][media_type]
        assert len(media) == 1
        found: JSON = media["x-item-schema" if spec == "3.1" else "itemSchema"]
        return found

    for spec in ("3.1", "3.2"):
        assert item("/lines", spec, "application/jsonl") == point
        for path in ("/events", "/response"):
            event = item(path, spec, "text/event-stream")
            assert sorted(event["properties"]) == ["data", "event", "id", "retry"]
            assert event["properties"]["data"] == {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": point,
            }
    data = item("/any", "3.2", "text/event-stream")["properties"]["data"]
    assert data == {"type": "string"}


# Versions.


def test_a_version_has_a_document_of_its_own() -> None:
    app = Oxidite(
        versioning=Versioning(
            [Version("1", deprecated=date(2020, 1, 1)), Version("2")], header="x-version"
        )
    )

    @app.get("/posts", versions="1-2")
    async def posts() -> int:
        return 1

    @app.get("/old", versions="1")
    async def old() -> int:
        return 1

    @app.get("/health")
    async def health() -> None: ...

    assert sorted(document(app, api_version="1")["paths"]) == ["/health", "/old", "/posts"]
    assert sorted(document(app, api_version="2")["paths"]) == ["/health", "/posts"]
    first = operation(app, "/posts", api_version="1")
    second = operation(app, "/posts", api_version="2")
    assert first["deprecated"] is True
    assert "deprecated" not in second
    assert second["parameters"] == [
        {
            "name": "x-version",
            "in": "header",
            "description": "The version of the API.",
            "required": True,
            "schema": {"type": "string", "const": "2"},
        }
    ]


# Errors.


class SoldOutError(ConflictError):
    """There is nothing left.

    This is for programmers.
    """

    code = "sold_out"


class TakenError(ConflictError):
    """Somebody else has it."""

    code = "taken"


def test_errors_that_a_request_of_this_shape_can_get_are_there() -> None:
    app = Oxidite()

    @app.get("/bare")
    async def bare() -> None: ...

    @app.get("/text")
    async def text(q: str = "") -> None: ...

    @app.get("/query")
    async def query(limit: int = 1) -> None: ...

    @app.get("/cookie")
    async def cookie(seen: Cookie[str] = "") -> None: ...

    @app.get("/path/{id:int}")
    async def path(id: int) -> None: ...

    @app.get("/narrow/{id:int}")
    async def narrow(id: Annotated[int, Meta(ge=1)]) -> None: ...

    @app.post("/json")
    async def json(point: Point) -> None: ...

    @app.post("/form")
    async def form(point: Form[Point]) -> None: ...

    paths = document(app)["paths"]
    found = {
        path: [status for status in op["responses"] if status >= "400"]
        for path, item in paths.items()
        for op in item.values()
    }
    assert found == {
        "/bare": [],
        "/text": ["400"],
        "/query": ["400", "422"],
        "/cookie": ["400"],
        "/path/{id}": ["400", "404"],
        "/narrow/{id}": ["400", "404", "422"],
        "/json": ["400", "413", "415", "422"],
        "/form": ["400", "413", "415", "422"],
    }
    assert codes(app, "400", "/json", "post") == {"invalid_json"}
    assert codes(app, "400", "/form", "post") == {"invalid_form"}
    assert codes(app, "422", "/query") == {"validation"}


async def guard(request: Request, call_next: Handler) -> Response:
    return await call_next(request)


declares(raises=[ForbiddenError])(guard)


@declares(raises=[UnauthorizedError])
async def user() -> str:
    return "Ann"


class Ticket:
    """An extractor of somebody's own."""

    def extract(self, request: Request) -> str:
        return "ticket"

    def describe(self) -> Description:
        return Description("request", str, declared=Declared(raises=(TakenError,)))


def test_declared_errors_are_collected_from_everything_on_the_way() -> None:
    app = Oxidite(middleware=[guard])

    @app.get("/", raises=[SoldOutError])
    @declares(raises=[NotFoundError])
    async def handler(ticket: Annotated[str, Ticket()], name: str = Depends(user)) -> None: ...

    assert sorted(operation(app)["responses"]) == ["204", "401", "403", "404", "409"]
    assert codes(app, "409") == {"sold_out", "taken"}
    found = document(app)["components"]["responses"]["SoldOutError_TakenError"]
    assert found["description"] == (
        "- `sold_out`: There is nothing left.\n- `taken`: Somebody else has it."
    )


def test_middleware_of_the_framework_says_what_it_raises() -> None:
    app = Oxidite(middleware=[rate_limit("10 per minute"), timeout(5)])

    @app.get("/")
    async def handler() -> None: ...

    assert codes(app, "429") == {"rate_limited"}
    assert codes(app, "504") == {"timeout"}


def test_errors_that_only_some_methods_have_are_only_there() -> None:
    app = Oxidite(
        middleware=[allowed_hosts(["*"]), decompression(), csrf(), idempotency()], secret="x" * 32
    )

    @app.get("/")
    async def show() -> None: ...

    @app.post("/")
    async def create() -> None: ...

    shown, created = (
        document(app)["paths"]["/"][method]["responses"] for method in ("get", "post")
    )
    assert sorted(shown) == ["204", "400", "421"]
    assert sorted(created) == ["204", "400", "403", "409", "413", "415", "421", "422"]
    assert codes(app, "403", method="post") == {"csrf"}


def test_a_version_says_how_it_refuses() -> None:
    versions = [Version("1", sunset=date(2030, 1, 1)), Version("2")]
    app = Oxidite(versioning=Versioning(versions, path=True, header="api-version"))

    @app.get("/posts", versions="1-2")
    async def show() -> None: ...

    paths = document(app)["paths"]
    assert {"400", "410"} <= paths["/v1/posts"]["get"]["responses"].keys()
    assert "410" not in paths["/v2/posts"]["get"]["responses"]


def test_errors_of_one_name_are_told_apart() -> None:
    def make(status_code: str) -> type[HTTPError]:
        return type("OneError", (ConflictError,), {"code": status_code, "__doc__": "One."})

    app = Oxidite()

    @app.get("/a", raises=[make("a")])
    async def a() -> None: ...

    @app.get("/b", raises=[make("b")])
    async def b() -> None: ...

    assert codes(app, "409", "/a") == {"a"}
    assert codes(app, "409", "/b") == {"b"}


def test_what_is_no_error_is_refused() -> None:
    app = Oxidite()

    @app.get("/", raises=[ValueError])  # type: ignore[list-item]  # that is the mistake
    async def handler() -> None: ...

    with pytest.raises(RouteError, match=r"raises=\[<class 'ValueError'>\] is no subclass"):
        document(app)
    with pytest.raises(RouteError, match="is no subclass of HTTPError"):
        declares(raises=[ValueError])  # type: ignore[list-item]  # that is the mistake


# Security.

BEARER = SecurityScheme("bearer", {"type": "http", "scheme": "bearer"})
KEY = SecurityScheme("key", {"type": "apiKey", "in": "header", "name": "x-key"}, ("read",))
OTHER = SecurityScheme("other", {"type": "mutualTLS"})


def test_one_scheme_of_each_declaration_is_needed() -> None:
    app = Oxidite()

    @declares(security=[BEARER, KEY])
    async def somebody() -> str:
        return "Ann"

    @declares(security=[OTHER])
    async def machine(request: Request, call_next: Handler) -> Response:
        return await call_next(request)

    @app.get("/", middleware=[machine])
    async def handler(name: str = Depends(somebody)) -> None: ...

    @app.get("/open")
    async def open_() -> None: ...

    assert operation(app)["security"] == [
        {"bearer": [], "other": []},
        {"key": ["read"], "other": []},
    ]
    assert "security" not in operation(app, "/open")
    assert list(document(app)["components"]["securitySchemes"]) == ["bearer", "key", "other"]


def test_two_schemes_of_one_name_are_refused() -> None:
    app = Oxidite()

    @app.get("/")
    @declares(security=[BEARER, SecurityScheme("bearer", {"type": "http", "scheme": "basic"})])
    async def handler() -> None: ...

    with pytest.raises(OpenAPIError, match="There are two security schemes 'bearer'"):
        document(app)


# Webhooks and controllers.


def test_webhooks_are_by_name() -> None:
    hooks = Router()

    @hooks.post("/paid", name="order.paid")
    async def order_paid(event: Point) -> None:
        """An order was paid."""

    found = document(Oxidite(), webhooks=hooks)
    assert list(found["webhooks"]) == ["order.paid"]
    hook = found["webhooks"]["order.paid"]["post"]
    assert hook["summary"] == "An order was paid"
    assert hook["requestBody"]["required"] is True
    # What the application sends has all its fields, and no error of the framework answers it.
    assert list(hook["responses"]) == ["204"]
    assert found["components"] == {"schemas": {"Point": found["components"]["schemas"]["Point"]}}
    assert found["components"]["schemas"]["Point"]["required"] == ["x", "y"]


def test_controllers_are_read_like_functions() -> None:
    class Posts(Controller):
        routes = Router("/posts", name="posts")

        def __init__(self, mode: str = "a") -> None:
            self.mode = mode

        @routes.get("/{id:int}")
        async def show(self, id: int) -> Point:
            """Show a post."""
            return Point(id)

    app = Oxidite()
    app.include(Posts)
    assert operation(app, "/posts/{id}")["operationId"] == "posts_show"
    # What its constructor takes comes from the request as well.
    assert list(parameters(app, "/posts/{id}")) == ["id", "mode"]
