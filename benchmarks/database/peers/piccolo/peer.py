"""Piccolo. It has no eager loading of the many side, so that is two queries by hand, as its users write it."""

import asyncio

from piccolo.columns import Boolean, Float, ForeignKey, Integer, Serial, Text, Timestamptz
from piccolo.engine import Engine
from piccolo.table import Table
from seed import AUTHORS, BULK, ITEMS, POSTS, WITH_POSTS, author, post


class Author(Table, tablename="authors"):
    id = Serial(primary_key=True)
    name = Text()
    email = Text()
    age = Integer()
    score = Float()
    active = Boolean()
    bio = Text()
    created_at = Timestamptz()


class Post(Table, tablename="posts"):
    id = Serial(primary_key=True)
    author = ForeignKey(Author)
    title = Text()
    body = Text()
    likes = Integer()


class Item(Table, tablename="items"):
    id = Serial(primary_key=True)
    name = Text()
    likes = Integer()
    created_at = Timestamptz()


engine: Engine


async def start(url: str) -> None:
    global engine
    if url.startswith("sqlite"):
        from piccolo.engine.sqlite import SQLiteEngine

        engine = SQLiteEngine(path=url.removeprefix("sqlite:///"))
    else:
        from piccolo.engine.postgres import PostgresEngine

        engine = PostgresEngine(config={"dsn": url})
        await engine.start_connection_pool(min_size=1, max_size=10)
    for table in (Author, Post, Item):
        table._meta._db = engine
        await table.create_table(if_not_exists=True)
    for first in range(0, AUTHORS, 100):
        await Author.insert(*(Author(**author(n)) for n in range(first, first + 100)))
    authors = await Author.objects().order_by(Author.id).limit(WITH_POSTS)
    for each in authors:
        await Post.insert(*(Post(author=each.id, **post(n)) for n in range(POSTS)))


async def stop() -> None:
    if hasattr(engine, "close_connection_pool"):
        await engine.close_connection_pool()


async def get_one(number: int) -> Author:
    found = await Author.objects().get(Author.id == number)
    assert found is not None
    return found


async def get(count: int) -> int:
    found = 0
    for number in range(count):
        found += (await get_one(number % AUTHORS + 1)).id > 0
    return found


async def rows(count: int) -> int:
    found = 0
    for _ in range(count):
        query = Author.objects().where(Author.age >= 20).order_by(Author.id).limit(100)
        found += len(await query)
    return found


async def eager(count: int) -> int:
    found = 0
    for _ in range(count):
        authors = await Author.objects().order_by(Author.id).limit(WITH_POSTS)
        by_author: dict[int, list[Post]] = {each.id: [] for each in authors}
        for each in await Post.objects().where(Post.author.is_in(list(by_author))):
            by_author[each.author].append(each)
        found += sum(map(len, by_author.values()))
    return found


async def insert(count: int) -> int:
    found = 0
    # It binds each value of each row: SQLite takes 32,766 of them, PostgreSQL 32,767.
    step = 5000
    for _ in range(count):
        async with engine.transaction():
            await Item.delete(force=True)
            items = [Item(name=name, likes=likes, created_at=at) for name, likes, at in ITEMS]
            for first in range(0, BULK, step):
                await Item.insert(*items[first : first + step])
        found += len(items)
    return found


async def update(count: int) -> int:
    for number in range(count):
        one = await get_one(number % AUTHORS + 1)
        one.age = one.age + 1 if one.age < 90 else 20
        await one.save([Author.age])
    return count


async def page(count: int) -> int:
    found = 0
    for number in range(count):
        query = (
            Author.objects()
            .where(Author.active == True, Author.id < AUTHORS - number % 500)  # noqa: E712
            .order_by(Author.id, ascending=False)
            .limit(20)
        )
        found += len(await query)
    return found


async def count_(count: int) -> int:
    found = 0
    for number in range(count):
        found += await Author.count().where(Author.age > number % 60)
    return found


async def together(count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(await asyncio.gather(*(get_one(number + 1) for number in range(200))))
    return found


WORKLOADS = {
    "get": get,
    "rows": rows,
    "eager": eager,
    "insert": insert,
    "update": update,
    "page": page,
    "count": count_,
    "together": together,
}
