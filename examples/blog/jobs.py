"""What is done later, by a worker: ``oxidite queue list`` and ``oxidite cron list`` show it."""

from __future__ import annotations

from oxidite.queue import given, task

from .database import queue
from .mail import Outbox
from .models import Comment, Post


@task
async def welcome(author: str, outbox: Outbox = given()) -> None:
    """Write to somebody who has published something for the first time."""
    await outbox.send(author, "Welcome! Your first post is there for all to read.")


@task
async def count(outbox: Outbox = given()) -> None:
    """Write to the editors how much there is."""
    posts, comments = await Post.count(), await Comment.count()
    await outbox.send("the editors", f"There are {posts} posts and {comments} comments.")


queue.cron("0 3 * * *", count.job(), name="nightly")
