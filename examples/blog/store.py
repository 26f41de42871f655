"""What can be done with posts and comments."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from msgspec import UNSET, structs

from oxidite import ConflictError, clock
from oxidite.db import CursorPage

from .database import db, queue
from .jobs import welcome
from .models import ANONYMOUS, Comment, NewComment, NewPost, Post, PostChange

MAX_POSTS = 500
MAX_COMMENTS = 200  # of one post


class FullError(ConflictError):
    """Anybody may write to this demonstration, so there is an end to it: there is no more room."""

    code = "full"


async def newest(*, after: str | None, limit: int) -> CursorPage[Post]:
    """Return up to ``limit`` posts, the newest first, from the cursor of another page on."""
    return await Post.order_by(Post.id.desc()).keyset(after=after, limit=limit)


async def publish(new: NewPost) -> Post:
    """Add a post; whoever has written their first one is welcomed, by a job.

    Raises:
        FullError: there are too many already.
    """
    async with db.transaction():
        if await Post.count() >= MAX_POSTS:
            raise FullError
        post = await add(new, clock.now())
        written = await Post.where(Post.author == post.author).count()
        if written == 1 and post.author != ANONYMOUS:
            # In the same transaction: there is no welcome for a post that is not kept.
            await queue.enqueue(welcome, post.author)
        return post


async def add(new: NewPost, created: datetime) -> Post:
    return await Post.create(
        title=new.title.strip(),
        author=new.author.strip() or ANONYMOUS,
        summary=new.summary or None,
        body=new.body.strip(),
        created=created,
    )


async def change(post: Post, change: PostChange) -> Post:
    """Change the fields of a post that are set in ``change``."""
    for name, value in structs.asdict(change).items():
        if value is not UNSET:
            setattr(post, name, value)
    return await post.save()


async def comments_on(post: Post) -> list[Comment]:
    """Return the comments on a post, oldest first."""
    return await Comment.where(Comment.post_id == post.id).order_by(Comment.id).all()


async def comment(post: Post, new: NewComment, *, created: datetime | None = None) -> Comment:
    """Add a comment to a post.

    Raises:
        FullError: the post has too many already.
    """
    async with db.transaction():
        if await Comment.where(Comment.post_id == post.id).count() >= MAX_COMMENTS:
            raise FullError
        return await Comment.create(
            post_id=post.id,
            author=new.author.strip() or ANONYMOUS,
            body=new.body.strip(),
            created=created or clock.now(),
        )


class Tables:
    """Makes the tables where they are not there yet, and three samples in an empty one."""

    def __init__(self, *, samples: bool) -> None:
        self.samples = samples

    async def __aenter__(self) -> Self:
        await db.push(Post, Comment)
        if self.samples:
            await add_samples()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None: ...


# As a whole, and again if another process of this application does the same just now.
@db.transaction(isolation="serializable", retry=5)
async def add_samples() -> None:
    if await Post.count():
        return
    posts = [
        await add(new, datetime(2026, 1, day, 9, 30, tzinfo=UTC))
        for day, new in enumerate(SAMPLES, start=5)
    ]
    await comment(
        posts[1],
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
