"""URLs by handler are checked: a name, a type or a value too many is an error of the checker."""

from __future__ import annotations

from typing import assert_type

from msgspec import Struct

from oxidite import Controller, Form, Json, Oxidite, Query, Request, Router
from oxidite.routing import URLs


class Post(Struct):
    title: str


class Page(Struct):
    limit: int = 20


class Store:
    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *_: object) -> None: ...


app = Oxidite()
url = app.url


@app.get("/posts/{id:int}")
async def show(id: int, full: bool = False) -> Post:
    return Post("")


@app.get("/{year:int}/{name}")
def archive(year: int, name: str) -> str:
    return ""


@app.get("/posts")
async def index() -> list[Post]:
    return []


@app.get("/search")
async def search(page: Query[Page], word: str = "") -> list[Post]:
    return []


@app.post("/posts")
async def create(data: Post) -> Post:
    return data


@app.put("/posts/{id:int}")
async def change(id: int, data: Json[Post], store: Store) -> Post:
    return data


@app.put("/{year:int}/{name}")
async def write(year: int, name: str, data: Form[Post]) -> None: ...


@app.get("/mine/{id:int}")
async def mine(request: Request, id: int, name: str = "") -> None: ...


@app.get("/mine/{year:int}/{name}")
async def by_name(request: Request, year: int, name: str) -> None: ...


@app.get("/now")
async def now(request: Request) -> None: ...


class Posts(Controller):
    routes = Router("/c")

    @routes.get("/{id:int}")
    async def show(self, id: int, full: bool = False) -> Post:
        return Post("")


assert_type(url, URLs)

# By keyword, or by position.
assert_type(url(show, id=3), str)
assert_type(url(show, id=3, full=True), str)
assert_type(url(show, 3), str)
assert_type(url(archive, year=2024, name="a"), str)
assert_type(url(index), str)
assert_type(url(search, page=Page(), word="x"), str)
assert_type(url(Posts.show, id=3), str)
assert_type(url(Posts.show, 3, full=True), str)

# With a body, a resource or the request: by position.
assert_type(url(create), str)
assert_type(url(change, 3), str)
assert_type(url(write, 2024, "a"), str)
assert_type(url(now), str)
assert_type(url(mine, 3), str)
assert_type(url(by_name, 2024, "a"), str)

# By name, for templates: whatever is said.
assert_type(url("posts.show", id="3", anything=None), str)
assert_type(url.signed(url(show, id=3), ttl=60.0), str)

url(show)  # type: ignore[type-var]
url(show, id="3")  # type: ignore[call-overload]
url(show, number=3)  # type: ignore[call-overload]
url(show, id=3, half=True)  # type: ignore[call-overload]
url(show, "3")  # type: ignore[arg-type, type-var]
url(archive, year=2024)  # type: ignore[call-overload]
url(archive, 2024, 3)  # type: ignore[arg-type]
url(index, page=1)  # type: ignore[call-overload]
url(Posts.show)  # type: ignore[type-var]
url(Posts.show, id="3")  # type: ignore[call-overload]
url(change, "3")  # type: ignore[arg-type]
url(write, 2024)  # type: ignore[type-var]
url(mine, "3")  # type: ignore[arg-type, type-var]
url(3)  # type: ignore[call-overload]
