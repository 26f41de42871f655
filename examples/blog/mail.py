"""Mail that is not sent: it is kept, to be looked at."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from .models import Comment, Post


class Outbox:
    """What would be mailed: the last hundred messages."""

    def __init__(self) -> None:
        self.messages: deque[str] = deque(maxlen=100)

    async def __aenter__(self) -> Self:
        self.messages.clear()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.messages.clear()

    async def send(self, to: str, text: str) -> None:
        """Write to somebody."""
        self.messages.append(f"To {to}: {text}")

    async def tell_author(self, post: Post, comment: Comment) -> None:
        """Write to the author of ``post`` that somebody commented."""
        await self.send(post.author, f"{comment.author} commented on {post.title!r}.")
