"""A handler keeps its type through the decorators; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, assert_type

from msgspec import Struct

from oxidite import (
    Body,
    Controller,
    Cookie,
    File,
    Form,
    FormData,
    Handler,
    Header,
    Json,
    Middleware,
    Name,
    Oxidite,
    Path,
    Query,
    Request,
    Response,
    Router,
    State,
    Upload,
)
from oxidite.http import FormLimits, Part
from oxidite.routing import Version


class Post(Struct):
    title: str


class Page(Struct):
    limit: int = 20


class Store: ...


app = Oxidite()
router = Router("/posts", tags=["posts"])


@app.get("/{id:int}")
async def show(id: int, full: bool = False) -> Post:
    return Post("")


@router.post("/", status=201, etag="weak", meta={"right": "write"})
def create(data: Json[Post]) -> Post:
    assert_type(data, Post)
    return data


@app.route("/both", ["GET", "POST"])
async def both(request: Request) -> Response:
    assert_type(request, Request)
    assert_type(request.method, str)
    assert_type(await request.body(), bytes)
    assert_type(await request.json(Post), Post)
    assert_type(await request.json(list[Post]), list[Post])
    assert_type(request.query.get("a"), str | None)
    return Response()


async def calls() -> None:
    # What is decorated can be called and awaited as before.
    assert_type(await show(3), Post)
    assert_type(await show(id=3, full=True), Post)
    assert_type(create(Post("")), Post)
    assert_type(await both(Request.of("GET", "/")), Response)
    assert_type(await decorated(Request.of("GET", "/")), Response)
    await show("3")  # type: ignore[arg-type]
    await show(number=3)  # type: ignore[call-arg]
    create()  # type: ignore[call-arg]


kept: Callable[[int, bool], Coroutine[Any, Any, Post]] = show


@app.get("/extractors/{id}")
async def extractors(
    id: Path[int],
    page: Query[Page],
    tags: Query[list[str]],
    token: Annotated[Header[str], Name("x-api-token")],
    theme: Cookie[str] | None,
    store: State[Store],
    trace: Header[str] | None = None,
) -> None:
    assert_type(id, int)
    assert_type(page, Page)
    assert_type(tags, list[str])
    assert_type(token, str)
    assert_type(theme, str | None)
    assert_type(store, Store)
    assert_type(trace, str | None)


@app.post("/bodies")
async def bodies(a: Json[list[Post]], b: Form[FormData], c: Body[Post]) -> None:
    assert_type(a, list[Post])
    assert_type(b, FormData)
    assert_type(c, Post)


@app.put("/files/{id}", versions=["1", "2"], form_limits=FormLimits(max_files=3))
async def files(
    id: int,
    photo: Annotated[Upload, File(max_size=10, types=["image/*"])],
    more: list[Upload],
    version: Version,
    request: Request,
) -> None:
    assert_type(photo, Upload)
    assert_type(photo.sniffed, str | None)
    assert_type(more, list[Upload])
    assert_type(version.name, str)
    assert_type(request.version, Version | None)
    async for part in request.parts():
        assert_type(part, Part)
        assert_type(await part.read(10), bytes)
        async for chunk in part:
            assert_type(chunk, bytes)


async def middleware(request: Request, call_next: Handler) -> Response:
    response = await call_next(request)
    assert_type(response, Response)
    return response


typed_middleware: Middleware = middleware
handler: Handler = both


async def no_middleware(request: Request) -> Response:
    return Response()


refused_middleware: Middleware = no_middleware  # type: ignore[assignment]
Oxidite(middleware=[no_middleware])  # type: ignore[list-item]


class Posts(Controller):
    routes = Router("/posts")

    def __init__(self, store: Store) -> None:
        self.store = store

    @routes.get("/{id:int}")
    async def show(self, id: int) -> Post:
        assert_type(self.store, Store)
        return Post("")


app.include(Posts)
app.include(router, "/v1")
assert_type(app.group("/admin", host="admin.example.com", name="admin"), Router)
app.include(Store)  # type: ignore[arg-type]


async def controllers(posts: Posts) -> None:
    assert_type(await posts.show(3), Post)


async def answer(request: Request) -> Response:
    return Response()


decorated = app.get("/x")(answer)
awaitable: Callable[[Request], Awaitable[Response]] = decorated

app.get("/x", statuss=201)  # type: ignore[call-arg]
app.get("/x", status="201")  # type: ignore[arg-type]
app.get("/x", etag="strict")  # type: ignore[arg-type]
app.get(3)  # type: ignore[arg-type]
app.get("/x")(3)  # type: ignore[type-var]
Oxidite(trailing_slash="sometimes")  # type: ignore[arg-type]
Oxidite(debugg=True)  # type: ignore[call-arg]
Oxidite([])  # type: ignore[call-arg]
