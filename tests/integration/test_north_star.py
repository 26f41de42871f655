"""The application that the whole design is drawn from: what it needs of the database, on each kind of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import pytest
from msgspec import Meta, Struct

from oxidite import Json, Oxidite, Query
from oxidite.db import Col, CursorPage, Database, Model, SoftDeletes, Timestamps, col
from oxidite.db.drivers import drivers
from oxidite.openapi import OpenAPI
from oxidite.testing import Client
from oxidite.testing.db import run_apart

POSTGRES = os.environ.get(
    "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)


class User(Model, Timestamps, table="users"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(unique=True, max_length=254)


class Post(Model, Timestamps, SoftDeletes, table="posts"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(min_length=1, max_length=200)
    author_id: Col[int] = col(references=User.id)


class NewPost(Struct):
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    author_id: int


class PageQuery(Struct):
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


db = Database.from_url("sqlite://")
app = Oxidite(
    resources=[db],
    secret="a secret of more than sixteen bytes",
    plugins=[OpenAPI(title="North star", version="1")],
)


announced: list[int] = []
"""What a job would tell others, once the transaction is committed."""


@app.get("/posts")
async def index(page: Query[PageQuery]) -> CursorPage[Post]:
    return await Post.order_by(Post.id.desc()).keyset(after=page.after, limit=page.limit)


@app.get("/posts/{id:int}")
async def show(id: int) -> Post:
    return await Post.get(id)


@app.post("/posts", status=201)
async def create(data: Json[NewPost]) -> Post:
    async with db.transaction() as transaction:
        post = await Post.create(title=data.title, author_id=data.author_id)
        transaction.on_commit(lambda: announced.append(post.id))
    return post


@pytest.fixture(
    params=["memory", "file", pytest.param("postgresql", marks=pytest.mark.service("postgres"))]
)
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of the application on a database of each kind: nothing but the URL differs."""
    schema = f"north_star_{uuid4().hex}"
    is_server = request.param == "postgresql"
    urls = {
        "memory": "sqlite://",
        "file": f"sqlite:///{tmp_path / 'app.db'}",
        "postgresql": f"{POSTGRES}?search_path={schema}",
    }
    if is_server:
        run_apart(POSTGRES, f"CREATE SCHEMA {schema}")
    announced.clear()
    before = db.driver
    db.driver = drivers.create(urls[request.param])
    try:
        async with Client(app) as opened:
            await db.push(User, Post)
            await User.create(email="ann@example.com")
            yield opened
    finally:
        db.driver = before
        if is_server:
            run_apart(POSTGRES, f"DROP SCHEMA {schema} CASCADE")


async def test_a_post_is_made_and_shown(client: Client) -> None:
    made = await client.post("/posts", json={"title": "Tea", "author_id": 1})
    assert made.status_code == 201
    assert made.json()["title"] == "Tea"
    assert announced == [1]
    shown = await client.get("/posts/1")
    assert shown.json() == made.json()
    assert shown.json().keys() == {
        *("id", "title", "author_id", "created_at", "updated_at", "deleted_at"),
    }


@pytest.mark.parametrize("key", [9, 0, -1, 2**63, 10**39])
async def test_a_post_that_is_not_there_is_a_problem(client: Client, key: int) -> None:
    response = await client.get(f"/posts/{key}")
    assert (response.status_code, response.json()["code"]) == (404, "row_not_found")
    assert response.headers["content-type"] == "application/problem+json"


async def test_posts_come_in_pages(client: Client) -> None:
    for number in range(5):
        await client.post("/posts", json={"title": f"Post {number}", "author_id": 1})
    await (await Post.get(2)).delete()
    seen: list[int] = []
    response = await client.get("/posts?limit=2")
    while True:
        seen += [post["id"] for post in response.json()["items"]]
        if "next" not in response.links:
            break
        response = await client.get(response.links["next"]["url"])
    assert seen == [5, 4, 3, 1]
    assert (await client.get("/posts?after=x")).status_code == 400
    assert (await client.get("/posts?limit=0")).status_code == 422


async def test_what_is_wrong_with_a_post_names_the_field(client: Client) -> None:
    wrong = await client.post("/posts", json={"title": ""})
    assert [each["pointer"] for each in wrong.json()["errors"]] == ["#/title", "#/author_id"]
    foreign = await client.post("/posts", json={"title": "Tea", "author_id": 7})
    assert (foreign.status_code, foreign.json()["code"]) == (422, "reference")
    assert await Post.count() == 0
    assert announced == []


async def test_its_document_has_pages_and_rows(client: Client) -> None:
    document = (await client.get("/openapi.json")).json()
    answer = document["paths"]["/posts"]["get"]["responses"]["200"]
    assert answer["headers"].keys() == {"Link"}
    post = document["components"]["schemas"]["Post"]["properties"]
    assert post["id"]["readOnly"]
    assert (post["title"]["minLength"], post["title"]["maxLength"]) == (1, 200)
