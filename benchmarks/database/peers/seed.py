"""What the tables of all peers hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

AUTHORS = 1000
WITH_POSTS = 100
POSTS = 10
BULK = 5000
START = datetime(2026, 1, 1, tzinfo=UTC)


def author(number: int) -> dict[str, object]:
    """Return the columns of an author but for its key."""
    return {
        "name": f"Author {number}",
        "email": f"author{number}@example.com",
        "age": 20 + number % 60,
        "score": number * 0.5,
        "active": number % 3 != 0,
        "bio": "An author of posts. " * 5,
        "created_at": START + timedelta(minutes=number),
    }


def post(number: int) -> dict[str, object]:
    """Return the columns of a post but for its key and its author."""
    return {"title": f"Post {number}", "body": "Text. " * 20, "likes": number % 50}


ITEMS = [(f"Item {n}", n, START + timedelta(minutes=n)) for n in range(BULK)]
"""The columns of what is inserted in bulk. To come by these is no work of an ORM, so it is not measured."""
