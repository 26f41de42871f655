"""The routes of one version, and those that it takes over from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from oxidite.errors import RouteError
from oxidite.extract.base import location
from oxidite.routing.pattern import PATH, Param
from oxidite.routing.route import Route

__all__ = ["remaining", "routes_of"]


def routes_of(routes: Iterable[Route], version: str | None) -> list[Route]:
    """Return the routes that answer in a version: its own, and those that belong to none.

    Where the version may be in the path and elsewhere, those with it in the path. With ``None``, only
    those that belong to no version.
    """
    found = [each for each in routes if each.version is None or each.version.name == version]
    in_path = any(each.version_at is not None for each in found)
    return [each for each in found if not (in_path and each.selected)]


def remaining(
    base: Iterable[Route], own: Iterable[Route], without: Sequence[Callable[..., object]]
) -> Iterator[Route]:
    """Yield what of ``base`` is neither replaced by ``own`` nor of a handler in ``without``.

    Raises:
        RouteError: a handler in ``without`` has no route.
    """
    base = list(base)
    for handler in without:
        if all(route.handler is not handler for route in base):
            raise RouteError(
                f"without: {location(handler)} is no route of the router it is taken from."
            )
    replaced = {(_place(route), method) for route in own for method in route.methods}
    for route in base:
        methods = tuple(each for each in route.methods if (_place(route), each) not in replaced)
        if route.handler in without or not methods:
            continue
        if methods == route.methods:
            yield route
        else:
            yield replace(route, definition=replace(route.definition, methods=methods))


def _place(route: Route) -> tuple[object, ...]:
    """Return what two routes share of which one replaces the other: parameters are alike."""
    segments = tuple(
        each if isinstance(each, str) else "{path}" if _is_path(each) else "{}"
        for each in route.pattern.segments
    )
    return (str(route.host), segments, route.version and route.version.name, route.selected)


def _is_path(param: Param) -> bool:
    return param.converter is PATH
