"""Which paths belong to the other routes, so that no page of a single-page application answers there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from oxidite.routing.pattern import Pattern

__all__ = ["Territory"]


class Territory:
    """What lies below the fixed parts of some patterns.

    ``/api/posts/{id}`` has what is below ``/api/posts``, and ``/api/health`` what is below ``/api``:
    who mistypes a path there has mistyped the path of an interface. A pattern of one segment has
    itself alone, and that is the router's to see.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self.prefixes: tuple[str, ...] = tuple(sorted(set(filter(None, map(_fixed, patterns)))))

    def has(self, path: str) -> bool:
        """Tell whether a path lies in it."""
        return any(path == prefix or path.startswith(prefix + "/") for prefix in self.prefixes)


def _fixed(pattern: Pattern) -> str:
    texts = list(_leading(pattern))
    if len(texts) == len(pattern.segments):
        texts = texts[:-1]
    return "".join(f"/{text}" for text in texts)


def _leading(pattern: Pattern) -> Iterator[str]:
    for segment in pattern.segments:
        if not isinstance(segment, str):
            return
        yield segment
