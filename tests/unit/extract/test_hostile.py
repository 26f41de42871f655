"""Whatever a client sends is answered, and never as an error of the server."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, TypeAlias
from urllib.parse import quote
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct
from pydantic import BaseModel

from oxidite import (
    Body,
    Cookie,
    Depends,
    File,
    Form,
    FormData,
    Header,
    Json,
    Oxidite,
    Query,
    Request,
    Response,
    Upload,
)


class Colour(Enum):
    RED = "red"


class Line(Struct, forbid_unknown_fields=True):
    sku: Annotated[str, Meta(pattern="^[a-z]+$")]
    count: int = 1
    at: datetime | None = None
    children: list[Line] = []


class Page(Struct):
    limit: int = 1
    tag: list[str] = []
    price: Decimal | None = None
    span: timedelta | None = None


class Files(Struct):
    file: Upload | None = None
    more: list[Upload] = []
    number: int = 0


PICTURE = Annotated[Upload, File(max_size=3, types=["text/*", "image/png"])]


class Model(BaseModel):
    number: int
    child: Model | None = None
    days: list[date] = []


Number: TypeAlias = Annotated[int, Meta(ge=1)]


async def provider(limit: Number = 1, x_token: Header[UUID] | None = None) -> int:
    return limit


def application() -> Oxidite:
    app = Oxidite(debug=False, trailing_slash="redirect")

    @app.get("/a/{id}/{day}/{colour}")
    async def a(id: Number, day: date, colour: Colour, price: Decimal = Decimal(1)) -> str:
        return f"{id} {day} {colour} {price}"

    @app.get("/b/{rest:path}")
    async def b(
        rest: str,
        page: Query[Page],
        numbers: set[float] | None = None,
        session: Cookie[int] = 1,
        accept: Header[list[str]] | None = None,
        made: int = Depends(provider),
    ) -> list[object]:
        return [rest, page, sorted(map(str, numbers or ())), session, accept, made]

    @app.post("/json")
    async def json(data: Line) -> Line:
        return data

    @app.post("/model")
    async def model(data: Json[list[Model]]) -> list[Model]:
        return data

    @app.post("/body")
    async def body(data: Body[Page], made: int = Depends(provider)) -> Page:
        return data

    @app.post("/form")
    async def form(data: Form[FormData]) -> list[str]:
        return list(data)

    @app.post("/upload")
    async def upload(file: PICTURE, number: list[Upload] | None = None) -> int:
        return file.size + len(number or ())

    @app.post("/parts")
    async def parts(request: Request) -> list[str]:
        return [part.name async for part in request.parts()]

    @app.post("/files")
    async def files(data: Form[Files]) -> int:
        return data.number

    return app


APP = application()

texts = st.sampled_from(
    [
        "",
        "1",
        "-1",
        "red",
        "2024-01-01",
        "true",
        "null",
        "[",
        "é",
        "%00",
        "%",
        "..",
        ".",
        "//",
        "a b",
    ]
)
texts |= st.sampled_from(["1", "2024-01-01", "red"])
texts |= st.text(max_size=6) | st.integers().map(str) | st.floats().map(str)
texts |= st.sampled_from(
    ["9" * 50, "9" * 5000, "1e999", "P999999999D", "0000-00-00", "\x00", "\ufffd"]
)
names = st.sampled_from(
    ["limit", "tag", "price", "span", "numbers", "id", "sku", "count", "number"]
)
paths = st.lists(st.sampled_from(["a", "b", "json", "posts"]) | texts, max_size=5).map("/".join)
queries = st.lists(st.tuples(names | texts, texts), max_size=5).map(
    lambda pairs: "&".join(
        f"{quote(k, errors='ignore')}={quote(v, errors='ignore')}" for k, v in pairs
    )
)
queries |= st.text(st.characters(max_codepoint=127), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names | st.sampled_from(["children", "child", "days"]), inner, max_size=3)
    ),
    max_leaves=8,
)
empty = st.just(b"")
multipart = st.lists(
    st.sampled_from(
        [
            *["--b\r\n", "--b--\r\n", "\r\n", "\r\n\r\n", "x", "--b"],
            'Content-Disposition: form-data; name="file"; filename="a"\r\n',
            'Content-Disposition: form-data; name="number"\r\n',
            "Content-Type: text/plain\r\n",
        ]
    ),
    max_size=12,
).map(lambda parts: "".join(parts).encode())
encoded = values.map(msgspec.json.encode) | st.binary(max_size=40)
packed = values.map(msgspec.msgpack.encode) | st.binary(max_size=40)
forms = queries.map(lambda query: query.encode()) | st.binary(max_size=40)
JSON, PACKED, FORM = "application/json", "application/msgpack", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def requests(
    methods: str, paths: st.SearchStrategy[str], content_type: str, bodies: st.SearchStrategy[bytes]
) -> st.SearchStrategy[tuple[str, str, str, bytes]]:
    return st.tuples(st.sampled_from(methods.split()), paths, st.just(content_type), bodies)


any_request = st.one_of(
    requests(
        "GET HEAD", st.tuples(texts, texts, texts).map(lambda t: "a/" + "/".join(t)), "", empty
    ),
    requests("GET", paths.map(lambda path: f"b/{path}"), "", empty),
    requests("POST", st.sampled_from(["json", "model", "body"]), JSON, encoded),
    requests("POST", st.just("body"), PACKED, packed),
    requests("POST", st.sampled_from(["body", "form", "files"]), FORM, forms),
    requests("POST", st.sampled_from(["body", "form", "files"]), MULTIPART, multipart),
    requests("POST", st.sampled_from(["upload", "parts"]), MULTIPART, multipart),
    requests("POST", st.sampled_from(["upload", "parts"]), FORM, forms),
    requests("POST", st.sampled_from(["json", "form", "body"]), "multipart/form-data", multipart),
    requests("POST", st.just("json"), "nonsense; =", encoded),
    requests("GET POST HEAD OPTIONS BREW", paths, "text/plain", encoded),
)


@settings(max_examples=300, deadline=None)
@given(
    any_request,
    queries,
    st.dictionaries(
        st.sampled_from(["accept", "cookie", "x-token", "host", "content-length"]), texts
    ),
)
def test_no_request_is_an_error_of_the_server(
    drawn: tuple[str, str, str, bytes], query: str, headers: dict[str, str]
) -> None:
    method, path, content_type, body = drawn
    request = Request.of(
        method,
        f"/{path}?{query}",
        headers={**headers, "content-type": content_type},
        body=body,
        resources=APP.lifespan,
    )

    response = asyncio.run(answer(request))

    assert response.status < 500
    if response.status >= 400:
        assert response.content_type in ("application/problem+json", "text/html; charset=utf-8")
        assert b"Traceback" not in response.body


async def answer(request: Request) -> Response:
    return await APP.handle(request)
