"""Tortoise ORM."""

import asyncio

from seed import AUTHORS, ITEMS, POSTS, WITH_POSTS, author, post
from tortoise import Tortoise, fields
from tortoise.models import Model
from tortoise.transactions import in_transaction


class Author(Model):
    id = fields.IntField(primary_key=True)
    name = fields.TextField()
    email = fields.TextField()
    age = fields.IntField()
    score = fields.FloatField()
    active = fields.BooleanField()
    bio = fields.TextField()
    created_at = fields.DatetimeField()
    posts: fields.ReverseRelation["Post"]

    class Meta:
        table = "authors"


class Post(Model):
    id = fields.IntField(primary_key=True)
    author = fields.ForeignKeyField("models.Author", related_name="posts")
    title = fields.TextField()
    body = fields.TextField()
    likes = fields.IntField()

    class Meta:
        table = "posts"


class Item(Model):
    id = fields.IntField(primary_key=True)
    name = fields.TextField()
    likes = fields.IntField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "items"


async def start(url: str) -> None:
    url = url.replace("sqlite:////", "sqlite:///").replace("postgresql://", "asyncpg://")
    if url.startswith("asyncpg"):
        url += "?minsize=1&maxsize=10"
    await Tortoise.init(db_url=url, modules={"models": ["peer"]}, use_tz=True)
    await Tortoise.generate_schemas()
    await Author.bulk_create([Author(**author(n)) for n in range(AUTHORS)])
    authors = await Author.all().order_by("id").limit(WITH_POSTS)
    await Post.bulk_create([Post(author_id=a.id, **post(n)) for a in authors for n in range(POSTS)])


async def stop() -> None:
    await Tortoise.close_connections()


async def get(count: int) -> int:
    found = 0
    for number in range(count):
        found += (await Author.get(id=number % AUTHORS + 1)).id > 0
    return found


async def rows(count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(await Author.filter(age__gte=20).order_by("id").limit(100))
    return found


async def eager(count: int) -> int:
    found = 0
    for _ in range(count):
        for each in await Author.all().order_by("id").limit(WITH_POSTS).prefetch_related("posts"):
            found += len(each.posts)
    return found


async def insert(count: int) -> int:
    found = 0
    for _ in range(count):
        async with in_transaction():
            await Item.all().delete()
            items = [Item(name=name, likes=likes, created_at=at) for name, likes, at in ITEMS]
            await Item.bulk_create(items)
        found += len(items)
    return found


async def update(count: int) -> int:
    for number in range(count):
        one = await Author.get(id=number % AUTHORS + 1)
        one.age = one.age + 1 if one.age < 90 else 20
        await one.save(update_fields=["age"])
    return count


async def page(count: int) -> int:
    found = 0
    for number in range(count):
        query = Author.filter(active=True, id__lt=AUTHORS - number % 500)
        found += len(await query.order_by("-id").limit(20))
    return found


async def count_(count: int) -> int:
    found = 0
    for number in range(count):
        found += await Author.filter(age__gt=number % 60).count()
    return found


async def together(count: int) -> int:
    found = 0
    for _ in range(count):
        many = await asyncio.gather(*(Author.get(id=number + 1) for number in range(200)))
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
