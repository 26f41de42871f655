"""Tells which files of a project changed.

What changed is told by looking at the files. When to look is told by the system's notices, if
watchfiles is there, and by the clock: notices get lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

from oxidite import clock

__all__ = ["is_watched", "watch"]

SETTLE = 0.08
"""Seconds without a further change before a batch counts: editors write in several steps."""
INTERVAL = 0.5
"""Seconds between two looks without notices."""
SELDOM = 2.0
"""Seconds between two looks with notices."""
_LONGEST = 2.0  # seconds that a batch may go on growing
_SHARE = 20  # part of the time that is spent on looking, at most: one in so many

_SUFFIXES = (".py", ".toml", ".html")
_IGNORED = frozenset(("__pycache__", "node_modules"))

Snapshot: TypeAlias = "dict[Path, tuple[int, int, int]]"


def is_watched(path: Path, root: Path) -> bool:
    """Tell whether a change of ``path`` matters: code, pages and settings, nothing hidden."""
    *folders, name = path.relative_to(root).parts
    if any(_is_ignored(folder) for folder in folders):
        return False
    return name == ".env" or (name.endswith(_SUFFIXES) and not name.startswith("."))


def _is_ignored(folder: str) -> bool:
    return folder.startswith(".") or folder in _IGNORED


def watch(
    root: Path, *, poll: bool = False
) -> AbstractAsyncContextManager[AsyncIterator[set[Path]]]:
    """Watch; what it opens yields the files below ``root`` that change from then on, in batches."""
    return _watch(root.resolve(), poll=poll)


@contextlib.asynccontextmanager
async def _watch(root: Path, *, poll: bool) -> AsyncIterator[AsyncIterator[set[Path]]]:
    woken = asyncio.Event()
    has_notices = not poll and importlib.util.find_spec("watchfiles") is not None
    notices = asyncio.create_task(_wake(root, woken)) if has_notices else None
    try:
        yield _changes(root, await asyncio.to_thread(_look, root), woken, notices)
    finally:
        if notices is not None:
            notices.cancel()
            await asyncio.wait((notices,))


async def _wake(root: Path, woken: asyncio.Event) -> None:
    """Set ``woken`` at each notice, as long as there are notices."""
    from watchfiles import awatch

    notices = awatch(
        root,
        watch_filter=lambda _, path: _may_matter(Path(path), root),
        debounce=int(_LONGEST * 1000),
        step=int(SETTLE * 1000),
        # With a time-out it drops what arrives in the moment that it ends.
        rust_timeout=0,
        # It would ignore every other error as well.
        ignore_permission_denied=False,
    )
    # The system has only so many watches, and watchfiles errors of its own; looking always works.
    with contextlib.suppress(OSError, RuntimeError, ExceptionGroup):
        async for _ in notices:
            woken.set()


def _may_matter(path: Path, root: Path) -> bool:
    """Tell whether to look after a notice; a name without a suffix may be that of a folder."""
    if path == root or not path.is_relative_to(root):
        return False
    is_hidden = any(map(_is_ignored, path.relative_to(root).parts))
    return is_watched(path, root) or not (path.suffix or is_hidden)


async def _changes(
    root: Path, seen: Snapshot, woken: asyncio.Event, notices: asyncio.Task[None] | None
) -> AsyncIterator[set[Path]]:
    took = 0.0
    while True:
        interval = INTERVAL if notices is None or notices.done() else SELDOM
        is_noticed = await _wait(woken, max(interval, took * _SHARE))
        started = clock.perf()
        now = await asyncio.to_thread(_look, root)
        took = clock.perf() - started
        changed = _difference(seen, now)
        # A notice comes when all is quiet again.
        for _ in range(int(_LONGEST / SETTLE) if changed and not is_noticed else 0):
            await clock.sleep(SETTLE)
            before, now = now, await asyncio.to_thread(_look, root)
            more = _difference(before, now)
            if not more:
                break
            changed |= more
        seen = now
        if changed:
            yield changed


async def _wait(woken: asyncio.Event, seconds: float) -> bool:
    """Wait until woken, but no longer than that; return whether it was."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()
    was_woken = woken.is_set()
    woken.clear()
    return was_woken


def _look(root: Path) -> Snapshot:
    """Return when each file was last changed, and its size and number."""
    return {
        path: (found.st_mtime_ns, found.st_size, found.st_ino) for path, found in _files(root, root)
    }


def _files(folder: Path, root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            if entry.is_dir(follow_symlinks=False):
                if not _is_ignored(entry.name):
                    yield from _files(path, root)
            elif is_watched(path, root):
                yield path, entry.stat()
        except OSError:
            # It went away between the list and the look.
            continue


def _difference(before: Snapshot, after: Snapshot) -> set[Path]:
    return {path for path, _ in before.items() ^ after.items()}
