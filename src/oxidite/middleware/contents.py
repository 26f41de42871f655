"""The content of a stream, passed on part by part with something said about each."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

__all__ = ["PassedContent"]


class PassedContent:
    """Iterates over ``content``, once, and closes it: also when it was never asked for a part.

    Not a generator: closing one of those that has not begun runs nothing in it.
    """

    def __init__(self, content: AsyncIterable[bytes | str]) -> None:
        self._content = content
        self._parts: AsyncIterator[bytes | str] | None = None

    @property
    def is_begun(self) -> bool:
        """Whether somebody has begun to read it."""
        return self._parts is not None

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        self._parts = aiter(self._content)
        return self

    async def __anext__(self) -> bytes | str:
        if self._parts is None:
            self._parts = aiter(self._content)
        return await anext(self._parts)

    async def aclose(self) -> None:
        """Close what is passed on, if it can be closed."""
        close = getattr(self._parts or self._content, "aclose", None)
        if close is not None:
            await close()
