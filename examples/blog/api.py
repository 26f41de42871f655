"""The JSON API, under ``/api``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from oxidite import Controller, Depends, Query, Request, Router
from oxidite.http import declares

from .store import (
    Comment,
    FullError,
    NewComment,
    NewPost,
    Outbox,
    Page,
    Post,
    PostChange,
    PostNotFoundError,
    Store,
)

api = Router("/api", tags=["api"], name="api")


class Window(Struct):
    """Which posts of many: the ``next`` of one page is the ``before`` of the following."""

    before: int | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


@declares(raises=[PostNotFoundError])
async def wanted_post(id: int, store: Store) -> Post:
    """The post whose id is in the path; 404 if there is none."""
    return store.post(id)


Wanted = Annotated[Post, Depends(wanted_post)]


class Posts(Controller):
    """Posts and their comments."""

    routes = Router("/posts", name="posts")

    def __init__(self, store: Store) -> None:
        self.store = store

    @routes.get("/")
    async def index(self, window: Query[Window]) -> Page:
        """List posts, the newest first."""
        return self.store.page(before=window.before, limit=window.limit)

    @routes.post("/", status=201, raises=[FullError])
    async def publish(self, new: NewPost) -> Post:
        """Publish a post."""
        return self.store.publish(new)

    @routes.get("/{id:int}", etag="weak")
    async def show(self, post: Wanted) -> Post:
        """Show a post."""
        return post

    @routes.patch("/{id:int}")
    async def change(self, post: Wanted, change: PostChange) -> Post:
        """Change a post."""
        return self.store.change(post.id, change)

    @routes.delete("/{id:int}")
    async def delete(self, post: Wanted) -> None:
        """Delete a post, and its comments."""
        self.store.delete(post.id)

    @routes.get("/{id:int}/comments")
    async def comments(self, post: Wanted) -> list[Comment]:
        """List the comments on a post."""
        return self.store.comments(post.id)

    @routes.post("/{id:int}/comments", status=201, raises=[FullError])
    async def comment(
        self, post: Wanted, new: NewComment, outbox: Outbox, request: Request
    ) -> Comment:
        """Comment on a post; its author is told."""
        comment = self.store.comment(post.id, new)
        request.after_response(outbox.tell_author, post, comment)
        return comment


api.include(Posts)


@api.get("/outbox")
async def outbox(outbox: Outbox) -> list[str]:
    """List what would have been mailed."""
    return list(outbox.messages)
