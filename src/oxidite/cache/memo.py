"""What was read once in a request, or any other scope, is not asked for again in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar

from oxidite.cache.l1 import Entry
from oxidite.concurrency import left_behind

__all__ = ["Memo", "current_memo", "forgetting", "remembering"]

_MOST = 10_000  # values that one scope remembers; it is no place to keep them


class Memo:
    """What a scope has read of the caches in it; ``None`` where there was nothing."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str], Entry | None] = {}

    def has(self, cache: object, key: str) -> bool:
        """Tell whether a key was read."""
        return (id(cache), key) in self._entries

    def get(self, cache: object, key: str) -> Entry | None:
        """Return what was read."""
        return self._entries.get((id(cache), key))

    def put(self, cache: object, key: str, entry: Entry | None) -> None:
        """Remember what was read."""
        if len(self._entries) < _MOST:
            self._entries[id(cache), key] = entry

    def forget(self, cache: object, key: str) -> None:
        """Ask for a key again."""
        self._entries.pop((id(cache), key), None)

    def forget_all(self) -> None:
        """Ask for everything again."""
        self._entries.clear()


_current: ContextVar[Memo | None] = ContextVar("oxidite.cache.memo", default=None)
left_behind.append(_current)
current_memo: Callable[[], Memo | None] = _current.get


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Remember what is read in the block; one within another is the outer one."""
    before = _current.get()
    if before is None:
        _current.set(Memo())
    try:
        yield
    finally:
        _current.set(before)


def forgetting(context: Context) -> None:
    """Let what runs in a context know nothing of before: what it makes is for all, and from now on."""
    context.run(_current.set, None)
