"""What a client gives becomes a struct, and of a struct a model takes what it may."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct

from oxidite import Form, Json, Oxidite, Query
from oxidite.db import (
    Col,
    Database,
    Model,
    ModelError,
    SoftDeletes,
    Timestamps,
    Version,
    col,
    computed,
)
from oxidite.errors import RouteError
from oxidite.testing import Client


class Article(Model, Timestamps, SoftDeletes, Version, table="articles"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(
        min_length=1, max_length=20, pattern="^[A-Z]", comment="What it is called."
    )
    body: Col[str | None] = col(default=None)
    words: Col[int] = col(default=0, ge=0, bits=16)
    price: Col[Decimal | None] = col(default=None, ge=0, precision=6, scale=2)
    tags: Col[list[str]] = col(json=True, default_factory=list)
    author_id: Col[int] = col(readonly=True)
    draft: Col[str] = col(default="", hidden=True)

    @computed
    def shout(self) -> str:
        """The title, louder."""
        return f"{self.title}!"


class Coin(Model, table="coins"):
    code: Col[str] = col(pk=True)
    name: Col[str] = col(name="coin_name")
    at: Col[datetime | None] = col(default=None)


def _schema(struct: Any) -> dict[str, Any]:
    (_,), components = msgspec.json.schema_components([struct])
    found: dict[str, Any] = components[struct.__name__]
    return found


def test_what_a_client_may_give() -> None:
    assert Article.Create.__struct_fields__ == ("title", "body", "words", "price", "tags")
    assert Article.Create is Article.Create
    assert Article.Create.__name__ == "ArticleCreate"
    schema = _schema(Article.Create)
    assert schema["required"] == ["title"]
    assert schema["properties"]["title"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 20,
        "pattern": "^[A-Z]",
        "description": "What it is called.",
    }
    assert schema["properties"]["words"]["minimum"] == 0
    assert schema["properties"]["words"]["maximum"] == 2**15 - 1


def test_what_a_client_may_change() -> None:
    assert Article.Patch.__struct_fields__ == ("title", "body", "words", "price", "tags")
    assert "required" not in _schema(Article.Patch) or not _schema(Article.Patch)["required"]
    patch = msgspec.json.decode(b'{"body":null}', type=Article.Patch)
    assert (patch.title, patch.body) == (UNSET, None)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"title":null}', type=Article.Patch)
    assert Coin.Create.__struct_fields__ == ("code", "name", "at")
    assert Coin.Patch.__struct_fields__ == ("name", "at")


def test_what_a_response_shows() -> None:
    assert set(Article.Out.__struct_fields__) == {
        *Article.Create.__struct_fields__,
        *("id", "author_id", "created_at", "updated_at", "deleted_at", "version", "shout"),
    }
    article = Article(title="Tea", author_id=1)
    article.id = 4
    assert article.out().shout == "Tea!"
    assert b'"shout":"Tea!"' in msgspec.json.encode(article.out())


def test_a_moment_of_a_client_has_a_zone() -> None:
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.json.decode(b'{"code":"x","name":"y","at":"2026-01-01T00:00:00"}', type=Coin.Create)


async def test_a_row_is_made_of_what_a_client_gave(db: Database) -> None:
    await db.push(Article)
    data = msgspec.json.decode(b'{"title":"Tea","author_id":9,"version":7}', type=Article.Create)
    made = await Article.create_from(data, author_id=3)
    found = await Article.get(made.id)
    assert (found.title, found.author_id, found.version) == ("Tea", 3, 1)

    patch = msgspec.json.decode(b'{"words":5,"author_id":9,"id":77}', type=Article.Patch)
    assert await found.apply(patch).save() is found
    again = await Article.get(made.id)
    assert (again.words, again.title, again.author_id) == (5, "Tea", 3)


async def test_what_a_client_gave_is_no_column() -> None:
    data = msgspec.json.decode(b'{"title":"Tea","author_id":9,"version":7}', type=Article.Create)
    create: Any = Article.create  # type checkers know it
    with pytest.raises(ModelError, match=r"Article\.create_from\("):
        await create(data)


async def test_a_struct_of_the_programs_own(db: Database) -> None:
    class Rename(Struct):
        title: Annotated[str, Meta(max_length=5)]
        body: str | msgspec.UnsetType | None = UNSET

    await db.push(Article)
    made = await Article.create_from(Rename("Tea"), author_id=3, body="x")
    made.apply(Rename("Cup"))
    assert (made.title, made.body) == ("Cup", "x")
    assert made.changed() == ["title"]


def test_a_struct_with_more_than_it_may_have_is_refused() -> None:
    class Mine(Struct):
        titel: str = ""

    class Own(Struct):
        author_id: int = 0

    class Stamp(Struct):
        created_at: int = 0

    class Key(Struct):
        code: str = ""

    article = Article(title="Tea", author_id=1)
    with pytest.raises(
        ModelError, match=r"Mine: Article has no column 'titel'. Did you mean 'title'"
    ):
        article.apply(Mine())
    with pytest.raises(ModelError, match="Own has author_id, which is not taken from a client"):
        article.apply(Own())
    with pytest.raises(ModelError, match="created_at, which is not taken"):
        article.apply(Stamp())
    with pytest.raises(ModelError, match="the primary key of Coin"):
        Coin(code="x", name="y").apply(Key("z"))
    with pytest.raises(ModelError, match="no column 'autor'"):
        article.apply(Article.Patch(), autor=3)
    with pytest.raises(ModelError, match="is no input"):
        article.apply(article)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="dict is no msgspec Struct"):
        article.apply({"title": "x"})  # type: ignore[arg-type]
    assert article.title == "Tea"


class Holding(Struct):
    articles: list[Article]


@pytest.mark.parametrize(
    "annotation",
    [
        Json[Article],
        Json[list[Article]],
        Json[Holding],
        Json[dict[str, Holding | None]],
        Form[Article],
    ],
)
def test_a_body_never_becomes_a_model(annotation: Any) -> None:
    app = Oxidite()

    async def create(data: Any) -> None: ...

    create.__annotations__["data"] = annotation
    with pytest.raises(RouteError, match=r"Article is a model.*Json\[Article\.Create\]"):
        app.post("/articles")(create)


def test_nor_without_a_marker_nor_of_the_query() -> None:
    app = Oxidite()

    async def implied(data: Article) -> None: ...

    async def asked(data: Query[Article]) -> None: ...

    with pytest.raises(RouteError, match="Article is a model"):
        app.post("/articles")(implied)
    with pytest.raises(RouteError, match="Article is a model"):
        app.get("/articles")(asked)


async def test_an_application(db: Database) -> None:
    await db.push(Article)
    app = Oxidite()

    @app.post("/articles", status=201)
    async def create(data: Json[Article.Create]) -> Article:
        return await Article.create_from(data, author_id=1)

    @app.patch("/articles/{id:int}")
    async def change(id: int, data: Json[Article.Patch]) -> Article:
        return await (await Article.get(id)).apply(data).save()

    async with Client(app) as client:
        made = await client.post("/articles", json={"title": "Tea", "version": 9, "draft": "x"})
        assert made.status_code == 201
        assert made.json()["version"] == 1
        assert "draft" not in made.json()
        wrong = await client.post("/articles", json={"title": "tea", "words": 2**15})
        assert wrong.status_code == 422
        assert {each["pointer"] for each in wrong.json()["errors"]} == {"#/title", "#/words"}
        changed = await client.patch(f"/articles/{made.json()['id']}", json={"words": 3, "id": 8})
        assert (changed.json()["words"], changed.json()["title"]) == (3, "Tea")


def test_an_abstract_model_has_none() -> None:
    class Base(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)

    with pytest.raises(ModelError, match="Base is abstract"):
        _ = Base.Create
