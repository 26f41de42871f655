"""Which paths belong to the other routes, so that no page of a single-page application answers there."""

from __future__ import annotations

from collections.abc import Iterable

from oxidite.routing.pattern import Pattern

__all__ = ["Territory"]


class Territory:
    """What lies below the first segment of other routes, among those below ``prefix``.

    ``/api/posts/{id}`` has all that is below ``/api``: who mistypes a path there has mistyped that of an
    interface. A pattern of one segment has itself alone, and that is the router's to see.
    """

    def __init__(self, prefix: Pattern, patterns: Iterable[Pattern]) -> None:
        depth = len(prefix.segments)
        self.names: frozenset[str] = frozenset(
            name
            for pattern in patterns
            if pattern.segments[:depth] == prefix.segments and len(pattern.segments) > depth + 1
            if isinstance(name := pattern.segments[depth], str)
        )

    def has(self, path: str) -> bool:
        """Tell whether a path, relative to the prefix, lies in it."""
        return path.partition("/")[0] in self.names
