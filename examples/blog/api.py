"""The JSON API, under ``/api``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from oxidite import Controller, Query, Request, Router
from oxidite.db import CursorPage, InvalidCursorError
from oxidite.db.web import Bound

from . import store
from .mail import Outbox
from .models import Comment, NewComment, NewPost, Post, PostChange
from .store import FullError

api = Router("/api", tags=["api"], name="api")


class Window(Struct):
    """Which posts of many: the ``next`` of one page is the ``after`` of the following."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class Posts(Controller):
    """Posts and their comments."""

    routes = Router("/posts", name="posts")

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    @routes.get("/", raises=[InvalidCursorError])
    async def index(self, window: Query[Window]) -> CursorPage[Post]:
        """List posts, the newest first."""
        return await store.newest(after=window.after, limit=window.limit)

    @routes.post("/", status=201, raises=[FullError])
    async def publish(self, new: NewPost) -> Post:
        """Publish a post."""
        return await store.publish(new)

    @routes.get("/{id:int}", etag="weak")
    async def show(self, post: Bound[Post]) -> Post:
        """Show a post."""
        return post

    @routes.patch("/{id:int}")
    async def change(self, post: Bound[Post], change: PostChange) -> Post:
        """Change a post."""
        return await store.change(post, change)

    @routes.delete("/{id:int}")
    async def delete(self, post: Bound[Post]) -> None:
        """Delete a post, and its comments."""
        await post.delete()

    @routes.get("/{id:int}/comments")
    async def comments(self, post: Bound[Post]) -> list[Comment]:
        """List the comments on a post."""
        return await store.comments_on(post)

    @routes.post("/{id:int}/comments", status=201, raises=[FullError])
    async def comment(self, post: Bound[Post], new: NewComment, request: Request) -> Comment:
        """Comment on a post; its author is told."""
        comment = await store.comment(post, new)
        request.after_response(self.outbox.tell_author, post, comment)
        return comment


api.include(Posts)


@api.get("/outbox")
async def outbox(outbox: Outbox) -> list[str]:
    """List what would have been mailed."""
    return list(outbox.messages)
