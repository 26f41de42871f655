"""Posts and comments: the tables, and what clients send."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from oxidite.db import Col, Model, col

# Not every database keeps NUL in a text.
NO_NUL = r"^[^\x00]*$"
# Python and JavaScript differ in what white space is: written out, it means the same in both, and so
# in every client that checks by the OpenAPI document.
NOT_BLANK = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85\ufeff][^\x00]*$"

Title = Annotated[str, Meta(min_length=1, max_length=120, pattern=NOT_BLANK)]
Summary = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]
Author = Annotated[str, Meta(max_length=60, pattern=NO_NUL)]
Text = Annotated[str, Meta(min_length=1, max_length=20_000, pattern=NOT_BLANK)]

ANONYMOUS = "Anonymous"


class Post(Model, table="posts"):
    """A post as it is published."""

    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(max_length=120)
    author: Col[str] = col(max_length=60)
    summary: Col[str | None] = col(default=None, max_length=200)
    body: Col[str] = col()
    created: Col[datetime] = col()


class Comment(Model, table="comments"):
    """A comment on a post."""

    id: Col[int] = col(pk=True, init=False)
    post_id: Col[int] = col(references=Post.id, on_delete="cascade", index=True)
    author: Col[str] = col(max_length=60)
    body: Col[str] = col()
    created: Col[datetime] = col()


class NewPost(Struct, forbid_unknown_fields=True):
    """What a client sends to publish a post."""

    title: Title
    body: Text
    author: Author = ""
    summary: Summary | None = None


class PostChange(Struct, forbid_unknown_fields=True):
    """What a client sends to change a post: a field that is left out stays as it is.

    The summary may also be removed, with ``null``.
    """

    title: Title | UnsetType = UNSET
    body: Text | UnsetType = UNSET
    author: Author | UnsetType = UNSET
    summary: Summary | UnsetType | None = UNSET


class NewComment(Struct, forbid_unknown_fields=True):
    """What a client sends to comment on a post."""

    body: Annotated[str, Meta(min_length=1, max_length=2_000, pattern=NOT_BLANK)]
    author: Author = ""
