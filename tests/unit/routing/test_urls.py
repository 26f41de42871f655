from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from pydantic import BaseModel

from oxidite import Depends, Header, Name, Oxidite, Path, Query, Request
from oxidite.errors import ConfigError
from oxidite.http import QueryParams
from oxidite.routing import URLs
from oxidite.testing import Client


class Sort(Enum):
    NEW = "newest"


class Loud(str, Enum):  # noqa: UP042 - `str` of one is its name, unlike that of a StrEnum
    A = "a b"


class Page(Struct):
    after: str | None = None
    limit: int = 20


class Filter(BaseModel):
    word: str


class NewPost(Struct):
    title: str


app = Oxidite()


@app.get("/posts/{id:int}")
async def show(id: int) -> str:
    return ""


@app.get("/{year:int}/{name}", name="archive.one")
async def archive(
    year: int, name: str, sort: Sort | None = None, tag: list[str] | None = None
) -> str:
    return ""


@app.get("/posts")
async def index(page: Query[Page], word: Annotated[Query[str], Name("q")] = "") -> str:
    return ""


@app.get("/found")
async def found(filter: Query[Filter]) -> str:
    return ""


@app.post("/posts")
async def create(data: NewPost, dry: bool = False) -> str:
    return ""


def nobody() -> str:
    return ""


@app.get("/mine/{id}")
async def mine(
    request: Request, id: int, token: Header[str] = "", user: str = Depends(nobody)
) -> str:
    return ""


@app.get("/files/{name:path}")
async def file(name: Path[str]) -> str:
    return ""


@app.get("/times")
async def times(at: datetime, day: date, span: timedelta, price: Decimal, on: bool) -> str:
    return f"{at!r} {day!r} {span!r} {price!r} {on!r}"


tenants = app.group("/t", host="{tenant}.example.com", name="tenants")


@tenants.get("/{id:int}")
async def of_tenant(tenant: str, id: int) -> str:
    return ""


def test_a_url_is_made_by_handler_and_by_name() -> None:
    assert app.url(show, id=3) == "/posts/3"
    assert app.url(show, 3) == "/posts/3"
    assert app.url("show", id=3) == "/posts/3"
    assert app.url("archive.one", year=2024, name="a/b".replace("/", "-")) == "/2024/a-b"


def test_a_url_is_percent_encoded() -> None:
    assert app.url(archive, year=1, name="é ?#&") == "/1/%C3%A9%20%3F%23%26"
    assert app.url(file, name="a b/c?.txt") == "/files/a%20b/c%3F.txt"


def test_what_is_not_in_the_path_becomes_the_query() -> None:
    assert app.url(archive, year=1, name="x", sort=Sort.NEW) == "/1/x?sort=newest"
    assert app.url(archive, year=1, name="x", tag=["a&b", "c"]) == "/1/x?tag=a%26b&tag=c"
    assert app.url(archive, year=1, name="x", sort=None, tag=None) == "/1/x"
    assert app.url("show", id=3, utm="mail") == "/posts/3?utm=mail"


def test_a_struct_in_the_query_becomes_its_fields() -> None:
    assert app.url(index, page=Page(after="x", limit=5)) == "/posts?after=x&limit=5"
    assert app.url(index, page=Page()) == "/posts?limit=20"
    assert app.url(found, filter=Filter(word="a b")) in ("/found?word=a%20b", "/found?word=a+b")


def test_a_parameter_with_another_name_in_the_query_gets_that() -> None:
    assert app.url(index, page=Page(), word="x") == "/posts?limit=20&q=x"


def test_positions_are_those_of_path_and_query() -> None:
    assert app.url(mine, 3) == "/mine/3"
    with pytest.raises(ValueError, match=r"url of /mine/\{id:int\}: 2 values for 1 parameters"):
        cast("Any", app.url)(mine, 3, 4)


def test_a_parameter_that_only_a_dependency_takes_is_part_of_the_url() -> None:
    async def load(post_id: int) -> str:
        return ""

    app = Oxidite()

    @app.get("/posts/{post_id}")
    async def show(post: Annotated[str, Depends(load)]) -> str:
        return post

    # No type checker knows what a dependency takes.
    assert cast("Any", app.url)(show, post_id=3) == "/posts/3"
    assert app.url("show", post_id=3) == "/posts/3"
    with pytest.raises(ValueError, match="post_id: 'x' is not a int"):
        app.url("show", post_id="x")
    with pytest.raises(ValueError, match=r"url of /posts/\{post_id:int\}: post_id missing"):
        app.url("show")


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(ValueError, match=r"url of /\{year:int\}/\{name\}: name missing"):
        app.url("archive.one", year=3)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="id: '3' is not a int"):
        app.url("show", id="3")
    with pytest.raises(ValueError, match="cannot be one segment of a path"):
        app.url(archive, year=1, name="a/b")
    with pytest.raises(ValueError, match="every client takes out"):
        app.url(file, name="../secret")


def test_what_is_no_part_of_a_url_is_refused() -> None:
    with pytest.raises(ValueError, match=r"url of /posts: 'data' is no part of a URL"):
        app.url("create", data=NewPost("a"))
    with pytest.raises(ValueError, match="'token' is no part of a URL"):
        app.url("mine", id=3, token="x")
    with pytest.raises(ValueError, match="'user' is no part of a URL"):
        app.url("mine", id=3, user="x")


def test_the_parameters_of_the_host_are_left_out() -> None:
    assert app.url(of_tenant, tenant="acme", id=3) == "/t/3"
    assert app.url("tenants.of_tenant", id=3) == "/t/3"


def test_a_handler_that_is_no_route_is_named_with_its_place() -> None:
    async def stranger() -> str:
        return ""

    with pytest.raises(ConfigError, match=r"No route of this application is .*stranger\(\)"):
        app.url(stranger)
    with pytest.raises(ConfigError, match="No route of this application is 'nope'"):
        app.url("nope")


def test_a_handler_of_several_paths_is_named_by_its_names() -> None:
    app = Oxidite()

    async def both() -> str:
        return ""

    app.get("/a", name="first")(both)
    app.get("/b", name="second")(both)
    app.post("/c", name="third")(both)

    with pytest.raises(ConfigError) as caught:
        app.url(both)

    assert "'first' (/a), 'second' (/b), 'third' (/c)" in caught.value.message
    assert app.url("second") == "/b"


def test_several_methods_of_one_path_are_one_url() -> None:
    app = Oxidite()

    @app.get("/x")
    @app.post("/x")
    async def both() -> str:
        return ""

    assert app.url(both) == "/x"


async def test_a_handler_may_ask_for_the_urls() -> None:
    app = Oxidite()

    @app.get("/posts/{id:int}")
    async def show(id: int) -> str:
        return ""

    @app.get("/")
    async def index(url: URLs) -> str:
        return url(show, id=3)

    async with Client(app) as client:
        assert (await client.get("/")).text == "/posts/3"


async def test_the_values_of_a_url_are_read_back_as_they_were() -> None:
    values: dict[str, Any] = {
        "at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "day": date(2024, 1, 2),
        "span": timedelta(hours=25),
        "price": Decimal("1.50"),
        "on": False,
    }

    async with Client(app) as client:
        response = await client.get(app.url("times", **values))

    assert response.status_code == 200, response.text
    assert response.text.endswith(
        "datetime.date(2024, 1, 2) datetime.timedelta(days=1, seconds=3600) Decimal('1.50') False"
    )
    assert response.text.startswith("datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=")


def test_an_enum_that_is_text_too_is_written_as_its_value() -> None:
    assert app.url("archive.one", year=1, name=Loud.A, tag=Loud.A) in (
        "/1/a%20b?tag=a%20b",
        "/1/a%20b?tag=a+b",
    )


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(st.dictionaries(words.filter(lambda word: word not in ("", "id")), words, max_size=4))
def test_any_query_is_read_back(query: dict[str, str]) -> None:
    url = app.url("show", id=3, **query)

    assert url.isascii()
    assert dict(QueryParams(url.partition("?")[2])) == query


async def test_an_address_with_scheme_and_host_is_signed_by_its_path_and_query() -> None:
    app = Oxidite(secret="s" * 32)

    @app.get("/letters/{id:int}", middleware=[app.url.require_signature])
    async def letter(id: int, word: str = "") -> str:
        return f"{id} {word}"

    async with Client(app) as client:
        link = app.url.signed("https://shop.example/letters/7?word=tea%20%26", ttl=60)
        assert link.startswith("https://shop.example/letters/7?word=tea%20%26&signature=")
        assert (await client.get(link)).text == "7 tea &"
        assert (await client.get(link.replace("/7", "/8"))).status_code == 403
        marked = app.url.signed("/letters/7#end", ttl=60)
        assert marked.endswith("#end")
        assert (await client.get(marked)).text == "7 "
