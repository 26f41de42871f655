"""What a cache has done in this process, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from oxidite.cache.base import Stats

__all__ = ["CacheStats", "Counts"]


# PERF: each hit counts, and counting in the field of a Struct takes ten times as long; benchmark `cache`.
@dataclass(slots=True)
class Counts:
    """How often what happened since the process began. Cheap enough to be kept always."""

    hits: int = 0
    """Answered out of this process."""
    shared_hits: int = 0
    """Answered by the store."""
    misses: int = 0
    stale: int = 0
    """Answered with a value that was no longer fresh, within its grace."""
    made: int = 0
    """Values that were made here."""
    waits: int = 0
    """Times that this process waited for a value that another one made."""
    joined: int = 0
    """Times that a call waited for a value that another one was making in this process."""
    early: int = 0
    """Values that were made anew before their time."""
    refused: int = 0
    """Values that were made and not kept: what they were made of had changed meanwhile."""
    written: int = 0
    """Values that the store was given."""
    written_bytes: int = 0
    """Their bytes, as they are stored."""
    undecodable: int = 0
    """Values of the store that could not be read, and counted as misses."""
    errors: int = 0
    """Calls of the store that failed."""

    @property
    def hit_ratio(self) -> float | None:
        """Which part of what was asked for was there, stale or not; ``None`` if nothing was."""
        found = self.hits + self.shared_hits + self.stale
        return found / (found + self.misses) if found + self.misses else None


class CacheStats(Struct, frozen=True):
    """What a cache holds: in the store, unless that fails, and in this process."""

    store: Stats | None
    entries: int
    weight: int
    counts: Counts
    is_failing: bool
    """Whether the store is not asked at present, because it failed too often."""
