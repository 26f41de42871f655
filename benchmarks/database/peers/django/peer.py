"""Django, by its asynchronous methods, which run in a thread."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from seed import AUTHORS, ITEMS, POSTS, WITH_POSTS, author, post

Author: Any
Post: Any
Item: Any


async def start(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
    else:
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.removeprefix("/"),
            "USER": parts.username or "",
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
        }
    # Connections are kept, as its documentation recommends.
    database["CONN_MAX_AGE"] = None  # type: ignore[assignment]  # it is so
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=[], USE_TZ=True)
    django.setup()
    _define()
    await sync_to_async(_create)()
    await Author.objects.abulk_create([Author(**author(n)) for n in range(AUTHORS)])
    authors = [each async for each in Author.objects.order_by("id")[:WITH_POSTS]]
    await Post.objects.abulk_create(
        [Post(author_id=a.id, **post(n)) for a in authors for n in range(POSTS)]
    )


def _define() -> None:
    """Define the models, which cannot be before the settings are known."""
    from django.db import models

    global Author, Post, Item

    class Author(models.Model):  # type: ignore[no-redef]  # declared above, for those that use it
        name = models.TextField()
        email = models.TextField()
        age = models.IntegerField()
        score = models.FloatField()
        active = models.BooleanField()
        bio = models.TextField()
        created_at = models.DateTimeField()

        class Meta:
            app_label, db_table = "peer", "authors"

    class Post(models.Model):  # type: ignore[no-redef]  # as above
        author = models.ForeignKey(Author, models.CASCADE, related_name="posts")
        title = models.TextField()
        body = models.TextField()
        likes = models.IntegerField()

        class Meta:
            app_label, db_table = "peer", "posts"

    class Item(models.Model):  # type: ignore[no-redef]  # as above
        name = models.TextField()
        likes = models.IntegerField()
        created_at = models.DateTimeField()

        class Meta:
            app_label, db_table = "peer", "items"


def _create() -> None:
    from django.db import connection

    with connection.schema_editor() as editor:
        for each in (Author, Post, Item):
            editor.create_model(each)


async def stop() -> None:
    from django.db import connections

    await sync_to_async(connections.close_all)()


async def get(count: int) -> int:
    found = 0
    for number in range(count):
        found += (await Author.objects.aget(pk=number % AUTHORS + 1)).id > 0
    return found


async def rows(count: int) -> int:
    found = 0
    for _ in range(count):
        query = Author.objects.filter(age__gte=20).order_by("id")[:100]
        found += len([each async for each in query])
    return found


async def eager(count: int) -> int:
    found = 0
    for _ in range(count):
        query = Author.objects.order_by("id").prefetch_related("posts")[:WITH_POSTS]
        async for each in query:
            found += len(each.posts.all())
    return found


def _insert() -> int:
    from django.db import transaction

    with transaction.atomic():
        Item.objects.all().delete()
        items = [Item(name=name, likes=likes, created_at=at) for name, likes, at in ITEMS]
        Item.objects.bulk_create(items)
    return len(items)


async def insert(count: int) -> int:
    found = 0
    for _ in range(count):
        # It has no transactions for asynchronous code.
        found += await sync_to_async(_insert)()
    return found


async def update(count: int) -> int:
    for number in range(count):
        one = await Author.objects.aget(pk=number % AUTHORS + 1)
        one.age = one.age + 1 if one.age < 90 else 20
        await one.asave(update_fields=["age"])
    return count


async def page(count: int) -> int:
    found = 0
    for number in range(count):
        query = Author.objects.filter(active=True, id__lt=AUTHORS - number % 500)
        found += len([each async for each in query.order_by("-id")[:20]])
    return found


async def count_(count: int) -> int:
    found = 0
    for number in range(count):
        found += await Author.objects.filter(age__gt=number % 60).acount()
    return found


async def together(count: int) -> int:
    import asyncio

    found = 0
    for _ in range(count):
        many = await asyncio.gather(*(Author.objects.aget(pk=number + 1) for number in range(200)))
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
