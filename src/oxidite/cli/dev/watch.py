"""Tells which files of a project changed: by the system's notices if watchfiles is there, else by looking."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias

from oxidite import clock

__all__ = ["is_watched", "watch"]

SETTLE = 0.08
"""Seconds without a further change before a batch counts: editors write in several steps."""
INTERVAL = 0.5
"""Seconds between two looks."""
_LONGEST = 2.0  # seconds that a batch may go on growing

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


def watch(root: Path, *, poll: bool = False) -> AsyncIterator[set[Path]]:
    """Yield the files below ``root`` that changed, batch by batch, as long as it is asked."""
    return _watch(root.resolve(), poll=poll)


async def _watch(root: Path, *, poll: bool) -> AsyncIterator[set[Path]]:
    if not poll and importlib.util.find_spec("watchfiles") is not None:
        try:
            async for batch in _notified(root):
                yield batch
        except OSError:
            # The system has only so many watches; looking always works.
            pass
        else:
            return
    async for batch in _polled(root):
        yield batch


async def _notified(root: Path) -> AsyncIterator[set[Path]]:
    from watchfiles import awatch

    changes = awatch(
        root,
        watch_filter=lambda _, path: is_watched(Path(path), root),
        debounce=int(_LONGEST * 1000),
        step=int(SETTLE * 1000),
        ignore_permission_denied=True,
    )
    async for batch in changes:
        yield {Path(path) for _, path in batch}


async def _polled(root: Path) -> AsyncIterator[set[Path]]:
    seen = await asyncio.to_thread(_look, root)
    while True:
        await clock.sleep(INTERVAL)
        now = await asyncio.to_thread(_look, root)
        changed = _difference(seen, now)
        for _ in range(int(_LONGEST / SETTLE) if changed else 0):
            await clock.sleep(SETTLE)
            before, now = now, await asyncio.to_thread(_look, root)
            more = _difference(before, now)
            if not more:
                break
            changed |= more
        seen = now
        if changed:
            yield changed


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
