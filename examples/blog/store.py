"""Posts and comments. They live in memory: when the application stops, they are gone."""

from __future__ import annotations

import itertools
from collections import deque
from datetime import UTC, datetime
from types import TracebackType
from typing import Annotated, Self

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from oxidite import ConflictError, NotFoundError, clock

# Python and JavaScript differ in what white space is: written out, it means the same in both, and so
# in every client that checks by the OpenAPI document.
NOT_BLANK = r"[^\s\x1c-\x1f\x85\ufeff]"

Title = Annotated[str, Meta(min_length=1, max_length=120, pattern=NOT_BLANK)]
Summary = Annotated[str, Meta(max_length=200)]
Author = Annotated[str, Meta(max_length=60)]
Text = Annotated[str, Meta(min_length=1, max_length=20_000, pattern=NOT_BLANK)]

ANONYMOUS = "Anonymous"
MAX_POSTS = 500
MAX_COMMENTS = 200  # of one post


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


class Post(Struct, frozen=True):
    """A post as it is published."""

    id: int
    title: str
    author: str
    summary: str | None
    body: str
    created: datetime


class NewComment(Struct, forbid_unknown_fields=True):
    """What a client sends to comment on a post."""

    body: Annotated[str, Meta(min_length=1, max_length=2_000, pattern=NOT_BLANK)]
    author: Author = ""


class Comment(Struct, frozen=True):
    """A comment on a post."""

    id: int
    post_id: int
    author: str
    body: str
    created: datetime


class Page(Struct, frozen=True):
    """Some posts, newest first; ``next`` is where the following page begins, if there is one."""

    items: list[Post]
    next: int | None


class PostNotFoundError(NotFoundError):
    """There is no such post."""

    code = "post_not_found"


class FullError(ConflictError):
    """This demonstration keeps everything in memory, and there is no more room."""

    code = "full"


class Store:
    """All posts and comments; filled with three samples each time it is opened."""

    def __init__(self, *, samples: bool = True) -> None:
        self.samples = samples
        self._empty()

    async def __aenter__(self) -> Self:
        self._empty()
        if self.samples:
            self._add_samples()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._empty()

    def _empty(self) -> None:
        self._posts: dict[int, Post] = {}
        self._comments: dict[int, list[Comment]] = {}
        self._post_ids = itertools.count(1)
        self._comment_ids = itertools.count(1)

    def page(self, *, before: int | None = None, limit: int = 10) -> Page:
        """Return up to ``limit`` posts that are older than ``before``."""
        ids = [id for id in reversed(self._posts) if before is None or id < before]
        items = [self._posts[id] for id in ids[:limit]]
        return Page(items, items[-1].id if len(ids) > limit else None)

    def post(self, id: int) -> Post:
        """Return a post.

        Raises:
            PostNotFoundError: there is none with this id.
        """
        try:
            return self._posts[id]
        except KeyError:
            raise PostNotFoundError(f"There is no post {id}.") from None

    def publish(self, new: NewPost, *, created: datetime | None = None) -> Post:
        """Add a post.

        Raises:
            FullError: there are too many already.
        """
        if len(self._posts) >= MAX_POSTS:
            raise FullError
        post = Post(
            next(self._post_ids),
            new.title.strip(),
            new.author.strip() or ANONYMOUS,
            new.summary or None,
            new.body.strip(),
            created or clock.now(),
        )
        self._posts[post.id] = post
        self._comments[post.id] = []
        return post

    def change(self, id: int, change: PostChange) -> Post:
        """Change the fields of a post that are set in ``change``; return what it is now."""
        given = {key: value for key, value in structs.asdict(change).items() if value is not UNSET}
        changed = self._posts[id] = structs.replace(self.post(id), **given)
        return changed

    def delete(self, id: int) -> None:
        """Remove a post and its comments."""
        self.post(id)
        del self._posts[id], self._comments[id]

    def comments(self, post_id: int) -> list[Comment]:
        """Return the comments on a post, oldest first."""
        self.post(post_id)
        return list(self._comments[post_id])

    def comment(self, post_id: int, new: NewComment, *, created: datetime | None = None) -> Comment:
        """Add a comment to a post.

        Raises:
            PostNotFoundError: there is no such post.
            FullError: the post has too many already.
        """
        self.post(post_id)
        if len(self._comments[post_id]) >= MAX_COMMENTS:
            raise FullError
        comment = Comment(
            next(self._comment_ids),
            post_id,
            new.author.strip() or ANONYMOUS,
            new.body.strip(),
            created or clock.now(),
        )
        self._comments[post_id].append(comment)
        return comment

    def _add_samples(self) -> None:
        for day, new in enumerate(SAMPLES, start=5):
            self.publish(new, created=datetime(2026, 1, day, 9, 30, tzinfo=UTC))
        self.comment(
            2,
            NewComment(body="Two days for the cup, two years for the shelf.", author="Noor"),
            created=datetime(2026, 1, 6, 18, 5, tzinfo=UTC),
        )


SAMPLES = (
    NewPost(
        title="A kettle, a notebook, a window",
        author="Ines",
        summary="What a room needs before work can begin.",
        body="The kettle is for the pauses and the notebook for what they bring.\n\n"
        "The window is for everything else: weather, neighbours, the cat that is not ours.",
    ),
    NewPost(
        title="Mending a cup with lacquer",
        author="Tomas",
        summary="The break stays visible. That is the point.",
        body="Clean both edges. Paint a thin line of lacquer, press, and wait two days.\n\n"
        "Then rub gold dust into the seam & do not hurry: it is done when it is done.",
    ),
    NewPost(
        title="Rust is not the end of iron",
        author="Ines",
        body="A plough left in the rain for thirty years still cuts. What flakes off is what the "
        "air has taken, and under it the blade is as it was.\n\n"
        "Oil it, turn it, put it to work.",
    ),
)


class Outbox:
    """What would be mailed to authors: the last hundred messages."""

    def __init__(self) -> None:
        self.messages: deque[str] = deque(maxlen=100)

    async def __aenter__(self) -> Self:
        self.messages.clear()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.messages.clear()

    async def tell_author(self, post: Post, comment: Comment) -> None:
        """Write to the author of ``post`` that somebody commented."""
        self.messages.append(f"To {post.author}: {comment.author} commented on {post.title!r}.")
