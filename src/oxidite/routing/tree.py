"""Finds the route of a path: one dictionary look-up a segment, however many routes there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from oxidite.errors import InvalidPathError
from oxidite.routing.pattern import PATH, Converter, Param, Pattern

__all__ = ["ANY_METHOD", "Match", "Tree"]

R = TypeVar("R")

ANY_METHOD = "*"
"""Stands for every method: an application mounted here answers them all."""


class _Node(Generic[R]):
    __slots__ = ("params", "rest", "routes", "statics")

    def __init__(self) -> None:
        self.statics: dict[str, _Node[R]] = {}
        self.params: list[tuple[Callable[[str], object], _Node[R], Converter]] = []
        # Routes that end here by method, and those whose `path` parameter starts here.
        self.routes: dict[str, tuple[R, tuple[str, ...]]] = {}
        self.rest: dict[str, tuple[R, tuple[str, ...]]] = {}


class Match(Generic[R]):
    """The route of a path and the values in it, or the methods the path does have."""

    __slots__ = ("allowed", "params", "route")

    def __init__(self, route: R | None, params: dict[str, object], allowed: set[str]) -> None:
        self.route: R | None = route
        self.params: dict[str, object] = params
        self.allowed: set[str] = allowed


class Tree(Generic[R]):
    """Routes by path and method."""

    def __init__(self) -> None:
        self._root: _Node[R] = _Node()
        # Every path starts with an empty segment; one that does not, such as "*", leads nowhere.
        self._start: _Node[R] = _Node()
        self._start.statics[""] = self._root
        self._shapes: dict[tuple[object, ...], R] = {}
        # PERF: the routes of paths without parameters, as `walk` would find them; benchmark `json`.
        self.statics: dict[str, dict[str, tuple[R, tuple[str, ...]]]] = {}
        # The nodes of literal text that a parameter follows, by that text.
        self._before_param: dict[str, _Node[R]] = {}

    def add(self, pattern: Pattern, methods: Iterable[str], route: R) -> R | None:
        """Add a route; return the one it would hide or be hidden by, and then do not add it."""
        methods = tuple(methods)
        shape = tuple(_shape(segment) for segment in pattern.segments)
        for method in methods:
            if (shape, method) in self._shapes:
                return self._shapes[shape, method]
        self._shapes.update(((shape, method), route) for method in methods)
        node = self._root
        names = tuple(param.name for param in pattern.params)
        ends_with_rest = False
        text: str | None = ""
        for segment in pattern.segments:
            if isinstance(segment, Param):
                if segment.converter is PATH:
                    ends_with_rest = True
                    break
                if text is not None:
                    self._before_param[text] = node
                    text = None
                node = _param_child(node, segment)
            else:
                text = None if text is None else f"{text}/{segment}"
                node = node.statics.setdefault(segment, _Node())
        routes = node.rest if ends_with_rest else node.routes
        for method in methods:
            routes[method] = (route, names)
        if not names:
            path = "/" + "/".join(map(str, pattern.segments))
            self.statics[path] = routes
        return None

    def walk(self, path: str, method: str) -> tuple[R, dict[str, object]] | None:
        """Find the route of a path the straight way: at every segment the narrowest that fits.

        What this finds, ``find`` finds too. What it does not find may still have a route: a way
        that was not the narrowest, a ``path`` parameter, another method.
        """
        # PERF: no look back and no function of our own per segment; and one look-up for a path that
        # is literal up to its last segment. Benchmarks `routes` and `users`.
        before, slash, last = path.rpartition("/")
        near = self._before_param.get(before)
        if near is not None and slash and last not in near.statics:
            return _last_param(near, last, method)
        node = self._start
        values: list[object] = []
        for segment in path.split("/"):
            child = node.statics.get(segment)
            if child is None:
                for parse, child, _ in node.params:  # noqa: B007 - used after the loop
                    try:
                        values.append(parse(segment))
                    except ValueError:
                        continue
                    break
                else:
                    return None
            node = child
        found = node.routes.get(method)
        if found is None:
            return None
        route, names = found
        if len(names) == 1:
            return route, {names[0]: values[0]}
        return route, dict(zip(names, values, strict=True))

    def find(self, path: str, method: str) -> Match[R]:
        """Find the route of a decoded path; that of GET for HEAD, unless HEAD has its own.

        Raises:
            InvalidPathError: the path has NUL in it, or was not UTF-8.
        """
        if "\x00" in path or "\ufffd" in path:
            raise InvalidPathError
        allowed: set[str] = set()
        values: list[object] = []
        found = _find(self._start, path.split("/"), 0, method, values, allowed)
        if found is None:
            return Match(None, {}, allowed)
        route, names = found
        return Match(route, dict(zip(names, values, strict=True)), allowed)

    def __iter__(self) -> Iterator[R]:
        seen: dict[int, R] = {}
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            for route, _ in (*node.routes.values(), *node.rest.values()):
                seen[id(route)] = route
            nodes.extend(node.statics.values())
            nodes.extend(child for _, child, _ in node.params)
        return iter(seen.values())


def _last_param(node: _Node[R], text: str, method: str) -> tuple[R, dict[str, object]] | None:
    for parse, child, _ in node.params:
        try:
            value = parse(text)
        except ValueError:
            continue
        found = child.routes.get(method)
        if found is None:
            return None
        route, names = found
        return route, {names[0]: value}
    return None


def _shape(segment: str | Param) -> object:
    """Segments that match the same text have one shape, whatever their parameters are called."""
    if isinstance(segment, str):
        return segment
    return (segment.converter.language if segment.converter else "str",)


def _param_child(node: _Node[R], param: Param) -> _Node[R]:
    assert param.converter is not None, "patterns are typed before they are added"  # noqa: S101
    for _, child, converter in node.params:
        # Two enums may have one name.
        if converter.name == param.converter.name and converter.type is param.converter.type:
            return child
    child = _Node()
    node.params.append((param.converter.parse, child, param.converter))
    node.params.sort(key=lambda each: each[2].rank)
    return child


def _find(
    node: _Node[R],
    segments: list[str],
    at: int,
    method: str,
    values: list[object],
    allowed: set[str],
) -> tuple[R, tuple[str, ...]] | None:
    """Walk down one segment at a time, the narrowest way first; ``values`` holds the way's values."""
    if at == len(segments):
        return _of_method(node.routes, method, allowed)
    segment = segments[at]
    child = node.statics.get(segment)
    if child is not None:
        found = _find(child, segments, at + 1, method, values, allowed)
        if found is not None:
            return found
    for parse, child, _ in node.params:
        try:
            value = parse(segment)
        except ValueError:
            continue
        values.append(value)
        found = _find(child, segments, at + 1, method, values, allowed)
        if found is not None:
            return found
        values.pop()
    if node.rest:
        found = _of_method(node.rest, method, allowed)
        if found is not None:
            values.append("/".join(segments[at:]))
            return found
    return None


def _of_method(
    routes: dict[str, tuple[R, tuple[str, ...]]], method: str, allowed: set[str]
) -> tuple[R, tuple[str, ...]] | None:
    found = routes.get(method)
    if found is None and method == "HEAD":
        found = routes.get("GET")
    if found is None and not allowed:
        # What answers every method has no say where a narrower path is there without this one.
        found = routes.get(ANY_METHOD)
    if found is None:
        allowed.update(routes.keys() - {ANY_METHOD})
    return found
