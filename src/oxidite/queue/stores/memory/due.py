"""What is due in a queue in memory: one line for all, or one for each group, which take turns."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import TypeAlias
from uuid import UUID

__all__ = ["Due", "Entry"]

Entry: TypeAlias = tuple[int, float, int, UUID]
"""A place: by priority, by when it was due, by its number; and whose it is."""


class Due:
    """Places that sort as they are to be claimed; ``turn`` is the group of which a job began last."""

    def __init__(self, *, fair: bool = False, turn: str | None = None) -> None:
        self.turn: str | None = turn
        self._fair = fair
        self._lines: dict[str, list[Entry]] = {}
        self._names: list[str] = []

    def push(self, group: str | None, entry: Entry) -> None:
        """Add a place."""
        name = (group or "") if self._fair else ""
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = []
            insort(self._names, name)
        heappush(line, entry)

    def taken(self, is_valid: Callable[[Entry], bool]) -> Iterator[Entry]:
        """Take one place after the other, each of the group whose turn it is; what is not valid is dropped."""
        turn = self.turn
        while self._names:
            at = 0 if turn is None else bisect_right(self._names, turn)
            turn = self._names[at % len(self._names)]
            line = self._lines[turn]
            while line and not is_valid(line[0]):
                heappop(line)
            entry = heappop(line) if line else None
            if not line:
                del self._lines[turn]
                self._names.remove(turn)
            if entry is not None:
                yield entry

    def began(self, group: str | None) -> None:
        """Note that a job of a group has begun."""
        if self._fair:
            self.turn = group or ""
