"""Rows and pages on their way through an application: found, compared, linked, documented."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pytest
from msgspec import Meta, Struct

from oxidite import Depends, ForbiddenError, Json, Oxidite, Query, Request
from oxidite.db import (
    Col,
    CursorPage,
    Database,
    Model,
    ModelError,
    Page,
    PoolTimeoutError,
    SoftDeletes,
    Timestamps,
    Version,
    col,
)
from oxidite.db.web import Bound, bound, check_match, entity_tag
from oxidite.errors import BackendUnavailableError, RouteError
from oxidite.middleware import compression
from oxidite.openapi import OpenAPI
from oxidite.testing import Client, WebSocketDeniedError
from oxidite.websocket import WebSocket

SECRET = "a secret with more than sixteen bytes"


class User(Model, table="web_users"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, min_length=1, max_length=40, pattern="^[a-z]+$")


class Post(Model, SoftDeletes, Version, table="web_posts"):
    id: Col[int] = col(pk=True, init=False)
    slug: Col[str] = col(unique=True)
    likes: Col[int] = col(default=0, ge=0)
    summary: Col[str | None] = col(default=None, comment="In one line.")
    author_id: Col[int] = col(references=User.id)


class Note(Model, Timestamps, table="web_notes"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)
    kind: Col[Literal["short", "long"]] = col(default="short")


class Pair(Model, table="web_pairs"):
    left: Col[int] = col(pk=True)
    right: Col[float] = col(pk=True)


class PageQuery(Struct):
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 2


class Change(Struct):
    likes: Annotated[int, Meta(ge=0)]


def application(db: Database, **options: Any) -> Oxidite:
    return Oxidite(resources=[db], secret=SECRET, **options)


async def filled(db: Database) -> None:
    await db.push(User, Post, Note)
    for name in ("ann", "bo"):
        await User.create(name=name)
    for number in range(5):
        await Post.create(slug=f"post-{number}", author_id=1 + number % 2)


# Bound.


@pytest.fixture
async def posts(db: Database) -> Oxidite:
    await filled(db)
    app = application(db)

    @app.get("/posts/{post}")
    async def show(post: Bound[Post]) -> Post:
        return post

    @app.get("/by-id/{id:int}")
    async def by_id(post: Bound[Post]) -> str:
        return post.slug

    @app.get("/by-slug/{slug}")
    async def by_slug(post: Annotated[Post, bound(by=Post.slug)]) -> int:
        return post.id

    @app.get("/all/{post}")
    async def with_deleted(post: Annotated[Post, bound(deleted="with")]) -> str:
        return post.slug

    @app.get("/users/{user}/posts/{post}")
    async def scoped(
        user: Bound[User], post: Annotated[Post, bound(within=Post.author_id)]
    ) -> list[str]:
        return [user.name, post.slug]

    @app.get("/names/{user}/posts/{slug}")
    async def named(
        user: Annotated[User, bound(by=User.name)],
        post: Annotated[Post, bound(by=Post.slug, within=Post.author_id)],
    ) -> list[str]:
        return [user.name, post.slug]

    @app.get("/only/{user_id}/{post_id}")
    async def alone(
        post: Annotated[Post, bound(within=Post.author_id, parent="user_id")],
    ) -> str:
        return post.slug

    @app.get("/notes/{note}")
    async def note(note: Bound[Note]) -> str:
        return note.kind

    @app.post("/posts/{post}")
    async def change(post: Bound[Post], change: Json[Change], *, loud: bool = False) -> Post:
        post.likes = change.likes
        return await post.save()

    return app


async def test_the_path_names_a_row(posts: Oxidite) -> None:
    async with Client(posts) as client:
        assert (await client.get("/posts/2")).json()["slug"] == "post-1"
        assert (await client.get("/by-id/3")).text == "post-2"
        assert (await client.get("/by-slug/post-4")).json() == 5
        note = await Note.create()
        assert (await client.get(f"/notes/{note.id}")).text == "short"
        assert (await client.post("/posts/1", json={"likes": 4})).json()["likes"] == 4


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/posts/99",
            "/posts/x",
            "/posts/-1",
            "/posts/0",
            f"/posts/{2**63}",
            f"/posts/{'9' * 40}",
        ),
        *("/by-slug/none", "/by-slug/%27%20OR%201=1", "/notes/1", f"/notes/{UUID(int=1)}"),
        *("/posts/1%20", "/posts/%D9%A1", "/posts/1_0", "/posts/1.0"),
    ],
)
async def test_a_row_that_is_not_there_is_not_found(posts: Oxidite, path: str) -> None:
    async with Client(posts) as client:
        response = await client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] in ("row_not_found", "not_found")


async def test_a_key_that_is_no_text_is_refused(posts: Oxidite) -> None:
    async with Client(posts) as client:
        for path in ("/posts/%00", "/by-slug/%00", "/by-slug/%FF"):
            assert (await client.get(path)).status_code == 400


async def test_a_deleted_row_is_not_found_unless_asked_for(posts: Oxidite) -> None:
    async with Client(posts) as client:
        await (await Post.get(1)).delete()
        assert (await client.get("/posts/1")).status_code == 404
        assert (await client.get("/all/1")).text == "post-0"


async def test_a_row_within_another_one_belongs_to_it(posts: Oxidite) -> None:
    async with Client(posts) as client:
        assert (await client.get("/users/1/posts/3")).json() == ["ann", "post-2"]
        assert (await client.get("/users/2/posts/3")).status_code == 404
        assert (await client.get("/users/9/posts/3")).status_code == 404
        assert (await client.get("/names/bo/posts/post-1")).json() == ["bo", "post-1"]
        assert (await client.get("/names/ann/posts/post-1")).status_code == 404
        assert (await client.get("/only/1/1")).text == "post-0"
        assert (await client.get("/only/2/1")).status_code == 404
        assert (await client.get(f"/only/{2**64}/1")).status_code == 404


async def test_a_dependency_and_a_websocket_have_bound_rows(db: Database) -> None:
    await filled(db)
    app = application(db)

    async def published(post: Bound[Post], user: Annotated[User, bound(path="author")]) -> Post:
        if post.author_id != user.id:
            raise ForbiddenError
        return post

    @app.get("/users/{author}/posts/{post}")
    async def show(post: Annotated[Post, Depends(published)]) -> str:
        return post.slug

    @app.websocket("/live/{post}")
    async def live(socket: WebSocket, post: Bound[Post]) -> None:
        await socket.send_text(post.slug)

    async with Client(app) as client:
        assert (await client.get("/users/1/posts/1")).text == "post-0"
        assert (await client.get("/users/2/posts/1")).status_code == 403
        assert (await client.get("/users/x/posts/1")).status_code == 404
        async with client.websocket("/live/2") as socket:
            assert await socket.receive_text() == "post-1"
        with pytest.raises(WebSocketDeniedError):
            await client.websocket("/live/99").__aenter__()


async def test_urls_are_made_of_rows(posts: Oxidite) -> None:
    def handler(name: str) -> Callable[..., object]:
        return next(route.handler for route in posts.routes if route.name == name)

    async with Client(posts) as client:
        user, post = await User.get(1), await Post.get(3)
        assert posts.url(handler("show"), post) == "/posts/3"
        assert posts.url(handler("show"), post=3) == "/posts/3"
        assert posts.url(handler("by_id"), post) == "/by-id/3"
        assert posts.url("by_id", id=3) == "/by-id/3"
        assert posts.url("by_slug", post=post) == "/by-slug/post-2"
        assert posts.url(handler("named"), user, post) == "/names/ann/posts/post-2"
        assert (await client.get(posts.url("scoped", user=user, post=post))).status_code == 200
        with pytest.raises(ValueError, match="not a int"):
            posts.url("show", post=user)


async def test_a_body_that_is_wrong_is_told_with_the_row(posts: Oxidite) -> None:
    async with Client(posts) as client:
        wrong = await client.post("/posts/1?loud=7", json={"likes": -1})
        assert wrong.status_code == 422
        assert {each["in"] for each in wrong.json()["errors"]} == {"body", "query"}
        assert (await client.post("/posts/99", json={"likes": -1})).status_code == 404


async def no_model(id: Bound[int]) -> None: ...
async def no_name(post: Bound[Post]) -> None: ...
async def two_keys(pair: Bound[Pair]) -> None: ...
async def no_text(pair: Annotated[Pair, bound(by=Pair.right)]) -> None: ...
async def foreign(post: Annotated[Post, bound(by=User.name)]) -> None: ...
async def alone(post: Annotated[Post, bound(within=Post.author_id)]) -> None: ...
async def not_there(
    post: Annotated[Post, bound(within=Post.author_id, parent="user")],
) -> None: ...
async def later(post: Annotated[Post, bound(within=Post.author_id)], user: Bound[User]) -> None: ...


@pytest.mark.parametrize(
    ("path", "handler", "message"),
    [
        ("/{id}", no_model, "its type is a model"),
        ("/posts/{slug}", no_name, r"the path has \{slug\}"),
        ("/posts/{id:uuid}", no_name, "is int, but the path .* says uuid"),
        ("/pairs/{pair}", two_keys, "not one column"),
        ("/pairs/{pair}", no_text, "whose values"),
        ("/posts/{post}", foreign, "no column of"),
        ("/posts/{post}", alone, "no parameter stands before it"),
        ("/posts/{post}", not_there, r"by \{user\}"),
        ("/users/{user}/{post}", later, "comes later"),
    ],
)
def test_a_binding_that_cannot_work_is_refused_at_registration(
    path: str, handler: Callable[..., Awaitable[None]], message: str
) -> None:
    with pytest.raises(RouteError, match=message):
        Oxidite().get(path)(handler)


def test_a_state_is_asked_only_of_what_has_one() -> None:
    app = Oxidite()
    with pytest.raises(ModelError, match="entity tag"):

        @app.put("/users/{user}")
        async def change(user: Annotated[User, bound(match="required")]) -> None: ...


# The state that a client saw.


@pytest.fixture
async def versioned(db: Database) -> Oxidite:
    await filled(db)
    app = application(db)

    @app.get("/posts/{post}", etag="version")
    async def show(post: Bound[Post]) -> Post:
        return post

    @app.patch("/posts/{post}", etag="version")
    async def change(post: Annotated[Post, bound(match="required")], change: Json[Change]) -> Post:
        post.likes = change.likes
        return await post.save()

    @app.delete("/posts/{post}")
    async def delete(post: Annotated[Post, bound(match="optional")]) -> None:
        await post.delete()

    @app.put("/posts/{post}")
    async def by_hand(post: Bound[Post], request: Request) -> None:
        check_match(request, post)

    @app.get("/notes/{note}", etag="version", produces=["application/json", "application/msgpack"])
    async def note(note: Bound[Note]) -> Note | None:
        return note

    return app


async def test_a_row_that_did_not_change_is_not_sent_again(versioned: Oxidite) -> None:
    async with Client(versioned) as client:
        first = await client.get("/posts/1")
        assert first.headers["etag"] == '"1"'
        same = await client.get("/posts/1", headers={"if-none-match": '"1"'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"1"')
        assert (await client.head("/posts/1")).headers["etag"] == '"1"'
        await client.patch("/posts/1", json={"likes": 3}, headers={"if-match": '"1"'})
        other = await client.get("/posts/1", headers={"if-none-match": '"1"'})
        assert (other.status_code, other.headers["etag"]) == (200, '"2"')
        assert (await client.get("/posts/1", headers={"if-match": '"1"'})).status_code == 412


async def test_a_change_names_the_state_it_is_of(versioned: Oxidite) -> None:
    async with Client(versioned) as client:
        missing = await client.patch("/posts/1", json={"likes": 3})
        assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
        changed = await client.patch("/posts/1", json={"likes": 3}, headers={"if-match": '"1"'})
        assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
        for tag in ('"1"', 'W/"1"', '"7", "8"', "2", '"'):
            stale = await client.patch("/posts/1", json={"likes": 4}, headers={"if-match": tag})
            assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
        assert (await Post.get(1)).likes == 3
        for tag in ("*", '"1", "2"', 'W/"2"'):
            assert (await client.put("/posts/1", headers={"if-match": tag})).status_code == 204
        assert (await client.put("/posts/1")).status_code == 428


async def test_a_tag_that_compression_made_weak_names_the_state(db: Database) -> None:
    await filled(db)
    await Post.create(slug="long", summary="long" * 300, author_id=1)
    app = application(db, middleware=[compression()])

    @app.get("/posts/{post}", etag="version")
    async def show(post: Bound[Post]) -> Post:
        return post

    @app.put("/posts/{post}")
    async def change(post: Annotated[Post, bound(match="required")]) -> None: ...

    async with Client(app, headers={"accept-encoding": "gzip"}) as client:
        tag = (await client.get("/posts/6")).headers["etag"]
        assert tag == 'W/"1"'
        assert (await client.put("/posts/6", headers={"if-match": tag})).status_code == 204


async def test_a_client_that_names_no_state_may_be_let_pass(versioned: Oxidite) -> None:
    async with Client(versioned) as client:
        stale = await client.delete("/posts/1", headers={"if-match": '"9"'})
        assert stale.status_code == 412
        assert (await client.delete("/posts/1")).status_code == 204
        assert (await client.delete("/posts/2", headers={"if-match": '"1"'})).status_code == 204


async def test_without_a_version_the_last_change_is_the_state(versioned: Oxidite) -> None:
    async with Client(versioned) as client:
        note = await Note.create()
        first = await client.get(f"/notes/{note.id}")
        assert re.fullmatch('"[0-9a-f]+"', first.headers["etag"])
        assert first.headers["etag"] == entity_tag(await Note.get(note.id))
        note.kind = "long"
        await note.save()
        packed = await client.get(
            f"/notes/{note.id}",
            headers={
                "if-none-match": first.headers["etag"],
                "accept": "application/msgpack",
            },
        )
        assert packed.status_code == 200
        assert packed.headers["content-type"] == "application/msgpack"


def test_a_version_of_what_has_none_is_refused() -> None:
    app = Oxidite()

    @app.get("/users", etag="version")
    async def many() -> list[Post]:
        return []

    with pytest.raises(RouteError, match="tag of one row"):
        app.table  # noqa: B018 - it is made now
    other = Oxidite()

    @other.get("/users/{user}", etag="version")
    async def one(user: Bound[User]) -> User:
        return user

    with pytest.raises(ModelError, match="entity tag"):
        other.table  # noqa: B018 - as above


async def test_who_comes_second_is_told_so(db: Database) -> None:
    await filled(db)
    app = application(db)

    @app.post("/posts/{post}")
    async def change(post: Bound[Post]) -> Post:
        other = await Post.get(post.id)
        other.likes += 1
        await other.save()
        post.likes += 5
        return await post.save()

    async with Client(app) as client:
        response = await client.post("/posts/1")
        assert (response.status_code, response.json()["code"]) == (409, "stale_row")


# Pages.


@pytest.fixture
async def paged(db: Database) -> Oxidite:
    await filled(db)
    app = application(db, plugins=[OpenAPI(title="Paged", version="1")])

    @app.get("/posts")
    async def index(page: Query[PageQuery], likes: int = 0) -> CursorPage[Post]:
        query = Post.where(Post.likes >= likes).order_by(Post.id.desc())
        return await query.keyset(after=page.after, limit=page.limit)

    @app.get("/numbered", produces=["application/json", "application/msgpack"])
    async def numbered(page: int = 1) -> Page[Post]:
        return await Post.query().page(number=page, size=2)

    @app.get("/unannotated")
    async def unannotated(cursor: str | None = None) -> object:
        return await Post.query().keyset(after=cursor, limit=2, parameter="cursor")

    @app.get("/posts/{post}", etag="version")
    async def show(post: Annotated[Post, bound(match="optional")]) -> Post:
        return post

    @app.get("/users/{user}/posts/{slug}")
    async def scoped(
        user: Bound[User],
        post: Annotated[Post, bound(by=Post.slug, within=Post.author_id)],
    ) -> list[Post]:
        return [post]

    return app


async def test_links_lead_through_all_the_pages(paged: Oxidite) -> None:
    async with Client(paged) as client:
        response = await client.get("/posts?likes=0&limit=2")
        assert response.headers["link"].startswith("</posts?likes=0&limit=2&after=")
        assert 'rel="prev"' not in response.headers["link"]
        seen, way = [], [response]
        while "next" in way[-1].links:
            way.append(await client.get(way[-1].links["next"]["url"]))
        for each in way:
            seen += [row["id"] for row in each.json()["items"]]
            assert each.links["first"]["url"] == "/posts?likes=0&limit=2"
        assert seen == [5, 4, 3, 2, 1]
        back = await client.get(way[-1].links["prev"]["url"])
        assert back.json()["items"] == way[-2].json()["items"]
        again = await client.get("/posts", params={"after": back.json()["previous"], "limit": 2})
        assert again.json()["items"] == way[0].json()["items"]


async def test_numbered_pages_link_to_the_last_one(paged: Oxidite) -> None:
    async with Client(paged) as client:
        response = await client.get("/numbered?page=2")
        assert response.headers["link"] == (
            '</numbered?page=3>; rel="next", </numbered?page=1>; rel="prev", '
            '</numbered?page=1>; rel="first", </numbered?page=3>; rel="last"'
        )
        assert response.json()["total"] == 5
        packed = await client.get("/numbered", headers={"accept": "application/msgpack"})
        assert packed.headers["content-type"] == "application/msgpack"
        assert packed.links["next"]["url"] == "/numbered?page=2"


async def test_links_name_the_parameter_of_the_handler(paged: Oxidite) -> None:
    async with Client(paged) as client:
        response = await client.get("/unannotated?x=%3E%3B%22")
        url = response.links["next"]["url"]
        assert url.startswith("/unannotated?x=%3E%3B%22&cursor=")
        assert (await client.get(url)).json()["items"][0]["id"] == 3


async def test_links_stay_below_where_an_application_is_mounted(paged: Oxidite) -> None:
    outer = Oxidite()
    outer.mount("/api", paged)
    async with Client(outer) as client:
        response = await client.get("/api/numbered")
        assert response.links["next"]["url"] == "/api/numbered?page=2"


async def test_a_cursor_of_a_client_is_a_problem_document(paged: Oxidite) -> None:
    async with Client(paged) as client:
        cursor = (await client.get("/posts")).json()["next"]
        for bad in ("", "x", cursor[:-1], cursor + "x", "é", "' OR 1=1"):
            response = await client.get("/posts", params={"after": bad})
            assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")
        other = await client.get("/unannotated", params={"cursor": cursor})
        assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")
        assert (await client.get("/posts?limit=101")).status_code == 422


async def test_the_applications_secret_signs(db: Database) -> None:
    await filled(db)

    def made(secret: str) -> Oxidite:
        app = Oxidite(resources=[db], secret=secret)

        @app.get("/posts")
        async def index(after: str | None = None) -> CursorPage[Post]:
            return await Post.query().keyset(after=after, limit=2)

        return app

    async with Client(made(SECRET)) as client:
        cursor = (await client.get("/posts")).json()["next"]
    async with Client(made(SECRET)) as client:
        assert (await client.get("/posts", params={"after": cursor})).status_code == 200
    async with Client(made("another secret of sixteen bytes")) as client:
        assert (await client.get("/posts", params={"after": cursor})).status_code == 400


# Failures of the database.


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PoolTimeoutError("All 3 connections were in use."), "pool_timeout"),
        (BackendUnavailableError("PostgreSQL cannot be reached."), "unavailable"),
    ],
)
async def test_a_database_that_cannot_answer_is_503(
    db: Database, error: Exception, code: str
) -> None:
    app = application(db, debug=False)

    @app.get("/")
    async def index() -> None:
        raise error

    async with Client(app, raise_errors=False) as client:
        response = await client.get("/")
        assert (response.status_code, response.json()["code"]) == (503, code)
        assert response.headers["retry-after"] == "1"


async def test_a_pool_that_is_exhausted_is_503(tmp_path: Any) -> None:
    db = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}")
    app = application(db)

    @app.get("/")
    async def index() -> int:
        return await User.count()

    async with Client(app) as client:
        await db.push(User)
        pool = db.driver._readers  # type: ignore[attr-defined]  # SQLite's
        pool.size, pool.timeout = 1, 0.01
        async with pool.connection():
            response = await client.get("/")
        assert (response.status_code, response.json()["code"]) == (503, "pool_timeout")
        assert response.headers["retry-after"] == "1"
        assert (await client.get("/")).json() == 0


# Documents.


async def test_pages_and_rows_are_documented(paged: Oxidite) -> None:
    async with Client(paged) as client:
        document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    post = schemas["Post"]["properties"]
    assert post["id"] == {"type": "integer", "readOnly": True}
    assert post["likes"] == {"type": "integer", "minimum": 0, "default": 0}
    assert post["summary"] == {
        "type": ["string", "null"],
        "default": None,
        "description": "In one line.",
    }
    assert post["version"]["readOnly"]
    assert schemas["CursorPage_Post"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/Post"
    }
    index = document["paths"]["/posts"]["get"]["responses"]["200"]
    assert index["headers"]["Link"]["schema"] == {"type": "string"}
    assert index["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/CursorPage_Post"
    }
    assert document["paths"]["/numbered"]["get"]["responses"]["200"]["headers"]["Link"]
    show = document["paths"]["/posts/{post}"]["get"]
    assert show["parameters"] == [
        {"name": "post", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "If-Match", "in": "header", "schema": {"type": "string"}},
    ]
    assert {"200", "304", "404", "412"} <= show["responses"].keys()
    assert show["responses"]["200"]["headers"]["ETag"]
    scoped = document["paths"]["/users/{user}/posts/{slug}"]["get"]["parameters"]
    assert [(each["name"], each["schema"]["type"]) for each in scoped] == [
        ("user", "integer"),
        ("slug", "string"),
    ]
