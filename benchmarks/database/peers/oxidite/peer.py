"""Oxidite."""

from __future__ import annotations

import asyncio
from datetime import datetime

from seed import AUTHORS, ITEMS, POSTS, WITH_POSTS, author, post

from oxidite.db import BelongsTo, Col, Database, HasMany, Model, col, rel


class Author(Model, table="authors"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    email: Col[str]
    age: Col[int]
    score: Col[float]
    active: Col[bool]
    bio: Col[str]
    created_at: Col[datetime]
    posts: HasMany[Post] = rel(fk="author_id")


class Post(Model, table="posts"):
    id: Col[int] = col(pk=True, init=False)
    author_id: Col[int] = col(references=Author.id)
    title: Col[str]
    body: Col[str]
    likes: Col[int]
    author: BelongsTo[Author] = rel(fk="author_id")


class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    likes: Col[int]
    created_at: Col[datetime]


db: Database


async def start(url: str) -> None:
    global db
    db = Database.from_url(url)
    await db.__aenter__()
    await db.push(Author, Post, Item)
    authors = await Author.create_many([Author(**author(n)) for n in range(AUTHORS)])
    posts = [Post(author_id=a.id, **post(n)) for a in authors[:WITH_POSTS] for n in range(POSTS)]
    await Post.create_many(posts)


async def stop() -> None:
    await db.__aexit__(None, None, None)


async def get(count: int) -> int:
    found = 0
    for number in range(count):
        found += (await Author.get(number % AUTHORS + 1)).id > 0
    return found


async def rows(count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(await Author.where(Author.age >= 20).order_by(Author.id).limit(100).all())
    return found


async def eager(count: int) -> int:
    found = 0
    for _ in range(count):
        query = Author.query().with_(Author.posts).order_by(Author.id).limit(WITH_POSTS)
        for each in await query.all():
            found += len(each.posts.value)
    return found


async def insert(count: int) -> int:
    found = 0
    for _ in range(count):
        async with db.transaction():
            await Item.query().delete()
            items = [Item(name=name, likes=likes, created_at=at) for name, likes, at in ITEMS]
            await Item.create_many(items)
        found += sum(each.id > 0 for each in items)
    return found


async def update(count: int) -> int:
    for number in range(count):
        one = await Author.get(number % AUTHORS + 1)
        one.age = one.age + 1 if one.age < 90 else 20
        await one.save()
    return count


async def page(count: int) -> int:
    found = 0
    for number in range(count):
        query = Author.where(Author.active == True).order_by(Author.id.desc())  # noqa: E712
        found += len(await query.where(Author.id < AUTHORS - number % 500).limit(20).all())
    return found


async def count_(count: int) -> int:
    found = 0
    for number in range(count):
        found += await Author.where(Author.age > number % 60).count()
    return found


async def together(count: int) -> int:
    found = 0
    for _ in range(count):
        many = await asyncio.gather(*(Author.get(number + 1) for number in range(200)))
        found += len(many)
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
