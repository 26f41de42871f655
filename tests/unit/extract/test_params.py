from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType, TypedDict, get_args
from uuid import UUID

import attrs
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic import BaseModel

from oxidite import Cookie, Header, Name, Oxidite, Path, Query, Request
from oxidite.testing import Client


class Colour(Enum):
    RED = "red"


class Size(Enum):
    SMALL = 1


UserId = NewType("UserId", int)


class Page(Struct):
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    tag: list[str] = []


class Strict(Struct, forbid_unknown_fields=True):
    limit: int = 1


class Range(Struct):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class Patch(Struct):
    word: str | UnsetType | None = UNSET


@dataclasses.dataclass
class Filter:
    word: str
    day: date | None = None


class Options(TypedDict, total=False):
    size: int


@attrs.define
class Box:
    width: int


class Model(BaseModel):
    number: int
    tags: list[str] = []


class Tracing(Struct):
    x_request_id: str
    accept_language: str = "en"


class Session(Struct):
    session: str
    theme: str = "light"


async def ask(
    handler: Callable[..., object], target: str = "/", *, path: str = "/", **request: Any
) -> Any:
    """Return the value of a handler for one GET, or the errors of the answer."""
    app = Oxidite()
    app.get(path)(handler)
    async with Client(app) as client:
        response = await client.get(target, **request)
    if response.status_code == 422:
        assert response.headers["content-type"] == "application/problem+json"
        return [
            (error["in"], error.get("parameter"), error["code"])
            for error in response.json()["errors"]
        ]
    assert response.status_code == 200, response.text
    return response.json()


def reads(type_: object) -> Callable[..., object]:
    """Make a handler with one parameter of this type, which it returns as ``repr``."""

    async def handler(v: object) -> list[str]:
        return [repr(v)]

    handler.__annotations__["v"] = type_
    return handler


def query_of(type_: object) -> object:
    """Return ``Query[type_]``, made at run time."""
    return Annotated[(type_, *get_args(Query)[1:])]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (str, "a%20b+c", "a b c"),
        (str, "", ""),
        (int, "-3", -3),
        (int, "9007199254740993", 9007199254740993),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "0", False),
        (Decimal, "1.50", Decimal("1.50")),
        (UUID, "00000000000000000000000000000001", UUID(int=1)),
        (date, "2024-02-29", date(2024, 2, 29)),
        (datetime, "2024-02-29T01:02:03", datetime(2024, 2, 29, 1, 2, 3)),  # noqa: DTZ001
        (time, "01:02:00", time(1, 2)),
        (timedelta, "PT90S", timedelta(seconds=90)),
        (Colour, "red", Colour.RED),
        (Size, "1", Size.SMALL),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (UserId, "7", 7),
        (int | str, "x", "x"),
        (int | None, "3", 3),
        (str | None, "null", "null"),
        (Annotated[int, Meta(ge=1)], "1", 1),
    ],
)
async def test_a_scalar_is_read_from_the_query_by_its_name(
    type_: object, text: str, value: object
) -> None:
    assert await ask(reads(type_), f"/?v={text}") == [repr(value)]


@pytest.mark.parametrize(
    ("type_", "text", "code"),
    [
        (int, "x", "type"),
        (int, "", "type"),
        (int, "1.5", "type"),
        (int, "9" * 5000, "invalid"),
        (float, "one", "type"),
        (bool, "yes", "type"),
        (date, "2024-02-30", "invalid"),
        (UUID, "1", "invalid"),
        (Colour, "RED", "invalid"),
        (Literal["a"], "b", "invalid"),
        (Annotated[int, Meta(ge=1)], "0", "constraint"),
        (Annotated[str, Meta(max_length=1)], "ab", "constraint"),
        (Annotated[list[int], Meta(min_length=2)], "1", "constraint"),
    ],
)
async def test_text_that_is_no_such_value_is_an_error_with_the_name(
    type_: object, text: str, code: str
) -> None:
    assert await ask(reads(type_), f"/?v={text}") == [("query", "v", code)]


async def test_a_parameter_that_is_not_there_is_missing() -> None:
    assert await ask(reads(int)) == [("query", "v", "missing")]
    assert await ask(reads(int | None)) == [("query", "v", "missing")]
    assert await ask(reads(list[int])) == [("query", "v", "missing")]


async def test_a_default_stands_in_for_what_is_not_there() -> None:
    async def handler(
        a: int = 1,
        b: str | None = None,
        c: Query[float] = 2.5,
        d: Query[str] | None = None,
        e: Header[str] | None = None,
        f: Cookie[int] = 7,
        g: str | UnsetType = UNSET,
        h: Query[Page] | None = None,
    ) -> list[object]:
        return [a, b, c, d, e, f, g is UNSET, h]

    assert await ask(handler) == [1, None, 2.5, None, None, 7, True, None]


async def test_a_marked_parameter_that_may_be_absent_comes_from_where_it_is_marked() -> None:
    async def handler(
        token: Header[str] | None = None, theme: Cookie[str] | None = None
    ) -> list[str | None]:
        return [token, theme]

    answer = await ask(
        handler, "/?token=q&theme=q", headers={"token": "header", "cookie": "theme=cookie"}
    )

    assert answer == ["header", "cookie"]


async def test_a_repeated_parameter_is_a_list() -> None:
    async def handler(
        tag: list[str],
        number: set[int],
        pair: Query[tuple[int, str]],
        more: list[int] | None = None,
        few: Annotated[list[int], Meta(max_length=2)] | None = None,
    ) -> list[object]:
        return [tag, sorted(number), pair, more, few]

    answer = await ask(handler, "/?tag=a&tag=b&number=2&number=1&pair=1&pair=x&few=3")

    assert answer == [["a", "b"], [1, 2], [1, "x"], None, [3]]


async def test_a_bare_collection_is_one_of_text() -> None:
    assert await ask(reads(list), "/?v=a&v=1") == ["['a', '1']"]


async def test_a_cookie_is_there_once_at_most() -> None:
    async def handler(one: Cookie[list[int]], none: Cookie[list[int]] | None = None) -> object:
        return [one, none]

    assert await ask(handler, headers={"cookie": "one=3"}) == [[3], None]


async def test_a_list_with_wrong_items_is_one_error_of_its_name() -> None:
    assert await ask(reads(list[int]), "/?v=1&v=x") == [("query", "v", "type")]


@pytest.mark.parametrize(
    "query", ["v=1&v=2", "v=1&w=2&v=1", "v=1&%76=2", "v=&v=1", "a=1&" * 16 + "v=1&v=2"]
)
async def test_a_scalar_that_is_there_twice_is_refused(query: str) -> None:
    # What a proxy has checked may be the other one.
    for type_ in (int, str, int | None):
        assert await ask(reads(type_), f"/?{query}") == [("query", "v", "repeated")]


async def test_what_nobody_asks_for_may_be_there_twice() -> None:
    assert await ask(reads(int), "/?v=1&w=1&w=2&&") == ["1"]
    assert await ask(reads(Query[Page]), "/?after=1&tag=x&tag=y&utm=1&utm=2") == [
        repr(Page(after="1", tag=["x", "y"]))
    ]


async def test_a_field_of_a_struct_that_is_there_twice_is_refused_with_all_else_that_is_wrong() -> (
    None
):
    assert await ask(reads(Query[Page]), "/?limit=x&after=1&after=2&tag=x&tag=y") == [
        ("query", "after", "repeated"),
        ("query", "limit", "type"),
    ]
    assert await ask(reads(Query[Page]), "/?limit=1&limit=2") == [("query", "limit", "repeated")]


async def test_headers_and_cookies_are_read_by_their_names() -> None:
    async def handler(
        x_token: Header[str],
        key: Annotated[Header[int], Name("X-Api-Key")],
        theme: Cookie[str],
        id: Annotated[Cookie[int], Name("user-id")],
        accept: Header[list[str]],
        q: Annotated[int, Name("n")],
    ) -> list[object]:
        return [x_token, key, theme, id, accept, q]

    answer = await ask(
        handler,
        "/?n=4",
        headers=[
            ("X-Token", "t"),
            ("x-api-key", "3"),
            ("cookie", "theme=dark; user-id=5"),
            ("accept", "a/b"),
            ("Accept", "c/d"),
        ],
    )

    assert answer[:4] == ["t", 3, "dark", 5]
    assert answer[4][-2:] == ["a/b", "c/d"]
    assert answer[5] == 4


async def test_errors_are_named_as_on_the_wire() -> None:
    async def handler(
        x_token: Header[str],
        key: Annotated[Header[int], Name("X-Api-Key")],
        id: Annotated[Cookie[int], Name("user-id")],
        q: Annotated[Query[int], Name("n")],
    ) -> None: ...

    assert await ask(handler, headers={"x-api-key": "x"}) == [
        ("header", "x-token", "missing"),
        ("header", "x-api-key", "type"),
        ("cookie", "user-id", "missing"),
        ("query", "n", "missing"),
    ]


async def test_a_struct_is_filled_from_the_whole_query() -> None:
    async def handler(page: Query[Page]) -> Page:
        return page

    assert await ask(handler) == {"after": None, "limit": 20, "tag": []}
    assert await ask(handler, "/?limit=5&after=x&tag=a&tag=b&other=1") == {
        "after": "x",
        "limit": 5,
        "tag": ["a", "b"],
    }
    assert await ask(handler, "/?limit=500") == [("query", "limit", "constraint")]
    assert await ask(handler, "/?limit=x&after=1") == [("query", "limit", "type")]


@pytest.mark.parametrize(
    ("type_", "target", "value"),
    [
        (Filter, "/?word=a&day=2024-01-02", Filter("a", date(2024, 1, 2))),
        (Options, "/?size=3", {"size": 3}),
        (Options, "/", {}),
        (Box, "/?width=3", Box(3)),
        (Model, "/?number=3&tags=a", Model(number=3, tags=["a"])),
        (Patch, "/", Patch()),
        (Patch, "/?word=x", Patch("x")),
    ],
)
async def test_any_structured_type_is_filled_from_the_query(
    type_: Any, target: str, value: object
) -> None:
    assert await ask(reads(query_of(type_)), target) == [repr(value)]


async def test_a_struct_from_the_query_may_forbid_what_it_does_not_know() -> None:
    assert await ask(reads(Query[Strict]), "/?limit=2&limits=3") == [("query", "limits", "unknown")]


async def test_what_a_struct_checks_itself_is_an_error_without_a_name() -> None:
    assert await ask(reads(Query[Range]), "/?low=2&high=1") == [("query", None, "invalid")]


async def test_a_model_reports_every_field_of_the_query() -> None:
    assert await ask(reads(Query[Model]), "/") == [("query", "number", "missing")]
    assert await ask(reads(Query[Model]), "/?number=x") == [("query", "number", "type")]


async def test_structs_are_filled_from_headers_and_cookies() -> None:
    async def handler(tracing: Header[Tracing], session: Cookie[Session]) -> list[object]:
        return [tracing, session]

    assert await ask(
        handler, headers={"X-Request-Id": "r", "Accept-Language": "de", "cookie": "session=s"}
    ) == [
        {"x_request_id": "r", "accept_language": "de"},
        {"session": "s", "theme": "light"},
    ]
    assert await ask(handler) == [
        ("header", "x-request-id", "missing"),
        ("cookie", "session", "missing"),
    ]


async def test_a_path_parameter_is_checked_against_its_constraints() -> None:
    async def handler(id: Annotated[int, Meta(ge=10)]) -> int:
        return id

    assert await ask(handler, "/12", path="/{id}") == 12
    assert await ask(handler, "/9", path="/{id}") == [("path", "id", "constraint")]
    assert await ask(handler, "/9", path="/{id:int}") == [("path", "id", "constraint")]


async def test_a_path_parameter_without_a_converter_of_its_kind_is_converted() -> None:
    async def handler(on: bool, at: Path[datetime], id: UserId) -> list[str]:
        return [f"{on} {at} {id}"]

    assert await ask(handler, "/true/2024-01-02T03:04:05/7", path="/{on}/{at}/{id}") == [
        "True 2024-01-02 03:04:05 7"
    ]
    assert await ask(handler, "/maybe/now/7", path="/{on}/{at}/{id}") == [
        ("path", "on", "type"),
        ("path", "at", "invalid"),
    ]


async def test_a_path_parameter_nobody_asks_for_is_in_the_request() -> None:
    async def handler(request: Request) -> dict[str, object]:
        return dict(request.params)

    assert await ask(handler, "/3", path="/{id:int}") == {"id": 3}


async def test_all_errors_of_a_request_come_at_once_in_the_order_of_the_signature() -> None:
    async def handler(
        id: Annotated[int, Meta(ge=10)],
        page: Query[Page],
        x_token: Header[str],
        theme: Cookie[Literal["dark"]],
        number: int,
    ) -> None: ...

    assert await ask(
        handler, "/3?limit=0&tag=a&number=x", path="/{id:int}", headers={"cookie": "theme=light"}
    ) == [
        ("path", "id", "constraint"),
        ("query", "limit", "constraint"),
        ("header", "x-token", "missing"),
        ("cookie", "theme", "invalid"),
        ("query", "number", "type"),
    ]


async def test_the_problem_document_of_a_wrong_request_is_as_rfc_9457_says() -> None:
    app = Oxidite(debug=False)

    @app.get("/")
    async def handler(number: int) -> None: ...

    async with Client(app) as client:
        response = await client.get("/?number=x")

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document == {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "1 error in the request.",
        "code": "validation",
        "errors": [
            {
                "in": "query",
                "parameter": "number",
                "detail": "Expected `int`, got `str`.",
                "code": "type",
            }
        ],
    }


@pytest.mark.parametrize("target", ["/?v=%00", "/?v=%FF", "/?v=%zz", "/?" + "v&" * 2000])
async def test_a_query_that_cannot_be_read_is_a_bad_request(target: str) -> None:
    app = Oxidite()

    @app.get("/")
    async def handler(v: int, page: Query[Page]) -> None: ...

    async with Client(app) as client:
        response = await client.get(target)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_query"


def test_annotations_that_are_no_text_work_as_well() -> None:
    # As in a module without the `__future__` import.
    namespace: dict[str, Any] = {}
    source = (
        "from oxidite import Header, Oxidite\n"
        "app = Oxidite()\n"
        "@app.get('/{id}')\n"
        "async def show(id: int, x: Header[str] | None = None, y: list[int] | None = None): ...\n"
    )
    exec(
        compile(source, "eager.py", "exec", dont_inherit=True), namespace
    )  # the point is the source

    (route,) = namespace["app"].routes
    assert route.path == "/{id:int}"
    assert [step.extractor.describe().source for step in route.plan.steps] == [
        "path",
        "header",
        "query",
    ]
