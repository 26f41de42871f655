"""An application that has a bit of everything, for documents to be made of."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Generic, Literal, NotRequired, TypedDict, TypeVar
from uuid import UUID

import attrs
import pydantic
from msgspec import UNSET, Meta, Struct, UnsetType

from oxidite import (
    Body,
    ConflictError,
    Controller,
    Cookie,
    Depends,
    Event,
    Events,
    File,
    FileResponse,
    Form,
    Header,
    HTMLResponse,
    Json,
    Lines,
    Oxidite,
    Path,
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
from oxidite.http import SecurityScheme, declares
from oxidite.openapi import OpenAPI, Tag

T = TypeVar("T")

bearer = SecurityScheme("bearer", {"type": "http", "scheme": "bearer"})
api_key = SecurityScheme("key", {"type": "apiKey", "in": "header", "name": "x-api-key"})


class Page(Struct, Generic[T]):
    """Some of many."""

    items: list[T]
    next: int | None = None


class Colour(enum.Enum):
    """What it is painted with."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Node(Struct):
    """A tree."""

    name: Annotated[str, Meta(min_length=1, max_length=20)]
    children: list[Node] = []


class Circle(Struct, tag="circle", tag_field="kind"):
    radius: Annotated[float, Meta(gt=0, le=1000)]


class Square(Struct, tag="square", tag_field="kind"):
    side: Annotated[int, Meta(ge=1, le=1000)]


class Everything(Struct):
    """One field of each kind."""

    flag: bool
    count: Annotated[int, Meta(ge=0, lt=10, description="How many.", examples=[3])]
    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    """Three capital letters."""
    colour: Colour
    level: Level
    answer: Literal["yes", "no"]
    key: UUID
    day: date
    moment: Annotated[datetime, Meta(tz=True)]
    at: time
    price: Decimal
    pair: tuple[int, str]
    shape: Circle | Square
    numbers: Annotated[list[int], Meta(max_length=5)]
    words: Annotated[dict[str, int], Meta(max_length=5)]
    note: str | None = None
    maybe: int | UnsetType = UNSET


@dataclass
class Point:
    """A place in the plane."""

    x: float
    y: float = 0.0


class Options(TypedDict):
    size: int
    label: NotRequired[str]


@attrs.define
class Box:
    width: int
    height: int = 1


class Pet(pydantic.BaseModel):
    """A pydantic model."""

    name: str = pydantic.Field(min_length=1, max_length=10)
    friends: list[Pet] = []


class Filter(Struct):
    tags: list[str] = []
    colour: Colour | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class Address(Struct, forbid_unknown_fields=True):
    street: Annotated[str, Meta(max_length=50)]
    number: int = 1


class Picture(Struct):
    title: Annotated[str, Meta(max_length=20)]
    file: Upload
    more: list[Upload] = []


class Paid(Struct):
    order: int
    amount: Decimal


class SoldOutError(ConflictError):
    """There is nothing left."""

    code = "sold_out"


@declares(raises=[UnauthorizedError], security=[bearer, api_key])
async def current_user(
    authorization: Header[str | None] = None, x_api_key: Header[str | None] = None
) -> str:
    """Whoever asks."""
    if authorization != "Bearer right" and x_api_key != "right":
        raise UnauthorizedError(headers={"www-authenticate": "Bearer"})
    return "somebody"


webhooks = Router()


@webhooks.post("/paid", name="order.paid")
async def order_paid(event: Paid) -> None:
    """An order was paid."""


app = Oxidite(
    plugins=[
        OpenAPI(
            title="Large",
            version="1",
            only=lambda route: "internal" not in route.tags,
            tags=[Tag("data", "What goes in and out.")],
            webhooks=webhooks,
            servers=["/"],
        ),
        OpenAPI(
            title="Large, all of it, in 3.2",
            version="1",
            name="internal",
            path="/internal/openapi.json",
            docs="/internal/docs",
            spec="3.2",
        ),
    ]
)


@app.get("/scalars/{name}/{number:int}", tags=["data"])
async def scalars(
    name: Annotated[Path[str], Meta(max_length=10)],
    number: int,
    day: date | None = None,
    ratio: Annotated[Query[float], Meta(ge=0, le=1)] = 0.5,
    many: Annotated[list[int], Meta(max_length=3)] = [],  # noqa: B006 - it is not changed
    flag: bool = False,
    x_level: Header[Level] = Level.LOW,
    session: Cookie[str | None] = None,
) -> dict[str, int]:
    """Take one of each.

    This is the description.

    Args:
        day: When it was.
    """
    return {name: number}


@app.get("/ids/{key:uuid}")
async def by_uuid(key: UUID) -> UUID:
    return key


@app.get("/colours/{colour}")
async def by_colour(colour: Colour) -> Colour:
    return colour


@app.get("/files/{rest:path}")
async def rest_of_path(rest: str) -> str:
    return rest


@app.get("/filtered", tags=["data"])
async def filtered(wanted: Query[Filter]) -> Page[Node]:
    return Page([])


@app.post("/everything", tags=["data"], status=201)
async def everything(data: Everything) -> Everything:
    return data


@app.post("/trees")
async def trees(tree: Node) -> Node:
    return tree


@app.post("/points")
async def points(point: Point) -> Point:
    return point


@app.post("/options")
async def options(given: Options) -> Options:
    return given


@app.post("/boxes")
async def boxes(box: Box) -> Box:
    return box


@app.post("/pets")
async def pets(pet: Pet) -> Pet:
    return pet


@app.put("/shapes")
async def shapes(shape: Circle | Square) -> Circle | Square:
    return shape


@app.post("/lists")
async def lists(points: Json[Annotated[list[Point], Meta(max_length=3)]]) -> int:
    return len(points)


@app.post("/addresses")
async def addresses(address: Form[Address]) -> Address:
    return address


@app.post("/any-format")
async def any_format(point: Body[Point]) -> Point:
    return point


@app.post("/pictures")
async def pictures(picture: Form[Picture]) -> str:
    return picture.file.filename


@app.post("/avatar")
async def avatar(
    picture: Annotated[Upload, File(max_size=100_000)],
    others: list[Upload] = [],  # noqa: B006 - it is not changed
) -> int:
    return picture.size + len(others)


@app.get("/events")
async def events(count: Annotated[int, Meta(ge=0, le=5)] = 2) -> Events[Event[Point]]:
    for number in range(count):
        yield Event(Point(number), id=str(number))


@app.get("/lines")
async def lines() -> Lines[Point]:
    yield Point(1)


@app.get("/source")
async def source() -> FileResponse:
    return FileResponse(__file__)


@app.get("/mine", raises=[SoldOutError])
async def mine(user: Annotated[str, Depends(current_user)]) -> str | None:
    return user or None


@app.get("/either")
async def either(which: Literal["html", "text", "away"] = "text") -> HTMLResponse | TextResponse:
    return HTMLResponse("<p>") if which == "html" else TextResponse("text")


@app.get("/away")
async def away() -> RedirectResponse:
    return RedirectResponse("/either")


@app.get("/raw")
async def raw(request: Request) -> Response:
    return Response(b"raw")


@app.get("/numbers")
async def numbers() -> StreamingResponse:
    async def content() -> AsyncIterator[bytes]:
        yield b"1"

    return StreamingResponse(content())


@app.get("/table", produces={"application/json": lambda _: b"[]", "text/csv": lambda _: b"a,b\r\n"})
async def table() -> list[Point]:
    return []


@app.get("/tagged", etag="strong")
async def tagged() -> list[int]:
    return [1]


@app.route("/both", ["GET", "DELETE"])
async def both() -> None: ...


@app.route("/search", ["QUERY"], tags=["internal"])
async def search(wanted: Json[Filter]) -> list[Node]:
    return []


@app.post(
    "/old",
    openapi={
        "deprecated": True,
        "id": "theOldWay",
        "summary": "The old way",
        "request_examples": {"small": {"street": "Elm", "number": 3}},
        "response_examples": {"same": Address("Elm", 3)},
        "responses": {202: None},
        "external_docs": "https://example.org/old",
        "extra": {"x-level": 1},
    },
    meta={"x-owner": "post", "private": True},
)
async def old(address: Address) -> Address:
    return address


@app.get("/secret", openapi={"include": False})
async def secret() -> str:
    return "never shown"


class Things(Controller):
    """Things."""

    routes = Router("/things", tags=["internal"], name="things")

    @routes.get("/{id:int}")
    async def show(self, id: int) -> Point:
        return Point(id)

    @routes.delete("/{id:int}")
    async def delete(self, id: int) -> None: ...


app.include(Things)
