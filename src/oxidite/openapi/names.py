"""Names and paths of operations: stable, readable, and legal in every generator of clients."""

from __future__ import annotations

import itertools
import re

from oxidite.routing.pattern import Param
from oxidite.routing.route import Route

__all__ = ["OperationIds", "host_of", "shape_of", "template_of"]

_ILLEGAL = re.compile(r"[^a-zA-Z0-9]+")


def template_of(route: Route) -> str:
    """Return the path as a template (RFC 6570): ``/posts/{id:int}`` is ``/posts/{id}``."""
    parts = (f"{{{s.name}}}" if isinstance(s, Param) else s for s in route.pattern.segments)
    return "".join(f"/{part}" for part in parts)


def shape_of(path: str) -> str:
    """Return a path without the names of its parameters: those of one shape are the same path."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def host_of(route: Route) -> tuple[str, tuple[str, ...]] | None:
    """Return the host of a route as a template, and the names of its parameters."""
    if route.host is None:
        return None
    parts = (f"{{{s.name}}}" if isinstance(s, Param) else s for s in route.host.segments)
    return ".".join(parts), tuple(param.name for param in route.host.params)


class OperationIds:
    """Gives each operation an id of its own, made of the name of its route.

    Of two routes of one name the first keeps it; the other gets its method and its path in it, so
    that what is added later changes no id that was there.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, route: Route, method: str) -> str:
        """Return the id of an operation."""
        name = _words(route.name) or "operation"
        several = f"{name}_{method.lower()}"
        candidates = [several] if len(route.methods) > 1 else [name, several]
        candidates.append(f"{several}_{_words(route.path.partition(':')[0])}")
        numbered = (f"{candidates[-1]}_{number}" for number in itertools.count(2))
        every = itertools.chain(candidates, numbered)
        chosen = next(each for each in every if each not in self._taken)
        self._taken.add(chosen)
        return chosen


def _words(text: str) -> str:
    return _ILLEGAL.sub("_", text).strip("_")
