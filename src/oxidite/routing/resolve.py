"""From routers to routes: each under its whole path, with what it inherits from the routers around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from oxidite.errors import RouteError
from oxidite.extract.base import location
from oxidite.extract.depends import Dependency
from oxidite.extract.state import VersionItself
from oxidite.http.request import Request
from oxidite.http.response import MountedResponse
from oxidite.http.types import Middleware
from oxidite.http.version import Version
from oxidite.routing.definition import Definition
from oxidite.routing.pattern import Pattern
from oxidite.routing.route import Route
from oxidite.routing.router import Controller, Included, Inherited, Mount, Router
from oxidite.routing.tree import ANY_METHOD
from oxidite.routing.version_routes import remaining
from oxidite.routing.versioning import Versioning, VersionSpec

__all__ = ["resolve"]

_NOWHERE = Pattern(())


@dataclass(frozen=True)
class _Surroundings:
    """What routes inherit from the routers they are in."""

    prefix: Pattern = _NOWHERE
    host: Pattern | None = None
    name: str = ""
    tags: tuple[str, ...] = ()
    middleware: tuple[Middleware, ...] = ()
    controller: type[Controller] | None = None
    versioning: Versioning | None = None
    before: Pattern = _NOWHERE
    """The prefix outside of the router that has the versioning."""
    versions: VersionSpec | None = None
    inherited: bool = False
    """Whether these are the routes of another router, whose own versions do not count."""
    version: Version | None = None
    version_at: str | None = None


def resolve(router: Router) -> Iterator[Route]:
    """Yield the routes of a router and of those in it, under their whole paths.

    Raises:
        RouteError: a signature does not fit.
    """
    # This router's own middleware runs around all routes and around what no route answers, so
    # it is the application's to fold.
    yield from _resolve(router, _Surroundings(), middleware=())


def _resolve(
    router: Router, outer: _Surroundings, middleware: Sequence[Middleware]
) -> Iterator[Route]:
    around = replace(
        outer,
        prefix=outer.prefix + router.prefix,
        host=router.host or outer.host,
        name=_dotted(outer.name, router.name),
        tags=(*outer.tags, *router.tags),
        middleware=(*outer.middleware, *middleware),
        versions=outer.versions if outer.inherited else router.versions or outer.versions,
    )
    if router.versioning is not None:
        if around.versioning is not None:
            raise RouteError(f"The router of {str(around.prefix)!r} has versions inside of others.")
        around = replace(
            around, versioning=router.versioning, before=around.prefix, prefix=_NOWHERE
        )
    yield from _entries(router, around)


def _entries(router: Router, around: _Surroundings) -> Iterator[Route]:
    bases = [entry for entry in router.entries if isinstance(entry, Inherited)]
    if bases:
        own = tuple(_own_entries(router, around))
        for base in bases:
            found = _entries(base.router, replace(around, inherited=True))
            yield from remaining(found, own, base.without)
        yield from own
    else:
        yield from _own_entries(router, around)


def _own_entries(router: Router, around: _Surroundings) -> Iterator[Route]:
    for entry in router.entries:
        if isinstance(entry, Definition):
            for place in _places(around, entry):
                yield _resolved(entry, place)
        elif isinstance(entry, Mount):
            for place in _places(around, None):
                yield from _mounted(entry, place)
        elif isinstance(entry, Included):
            inner = replace(
                around, prefix=around.prefix + entry.prefix, controller=entry.controller
            )
            yield from _resolve(entry.router, inner, entry.router.middleware)


def _places(around: _Surroundings, definition: Definition | None) -> Iterator[_Surroundings]:
    """Yield where a route stands: once, or in each of its versions and, if it is there, in their paths."""
    own = None if definition is None or around.inherited else definition.options.get("versions")
    spec, versioning = own or around.versions, around.versioning
    if spec is None:
        yield replace(around, prefix=around.before + around.prefix)
        return
    where = f"{location(definition.handler)}: " if definition else ""
    if versioning is None:
        raise RouteError(
            f"{where}versions={spec!r}, but nothing says which versions there are. Give the application or "
            "a router around it versioning=Versioning([...])."
        )
    # Most applications have no versions, and this brings much with it.
    from oxidite.routing.version_layer import version_layer

    try:
        versions = versioning.pick(spec)
    except RouteError as exc:
        raise RouteError(f"{where}{exc.message}") from None
    for version in versions:
        for prefix in versioning.prefixes(version.name):
            depth = len(around.before.segments) if prefix else None
            yield replace(
                around,
                prefix=around.before + Pattern.parse(prefix) + around.prefix,
                middleware=(version_layer(versioning, version, depth=depth), *around.middleware),
                version=version,
                version_at=str(around.before).rstrip("/") if prefix else None,
            )


def _resolved(definition: Definition, around: _Surroundings) -> Route:
    given = None
    if definition.is_method:
        if around.controller is None:
            raise RouteError(
                f"{location(definition.handler)} is a method. Include its class, which must be a "
                "Controller, not the router in it."
            )
        given = {"self": Dependency(around.controller)}
    pattern, plan = definition.plan(around.prefix, around.host, given)
    options = definition.options
    for step in plan.steps:
        if isinstance(step.extractor, VersionItself):
            step.extractor.check(around.version)
    name = options.get("name") or str(getattr(definition.handler, "__name__", ""))
    if around.version_at is not None:
        name = f"{name}@{around.version}"
    return Route(
        pattern,
        around.host,
        definition,
        plan,
        _dotted(around.name, name),
        (*around.tags, *options.get("tags", ())),
        (*around.middleware, *options.get("middleware", ())),
        around.version,
        around.versioning if around.version else None,
        around.version_at,
    )


def _mounted(mount: Mount, around: _Surroundings) -> Iterator[Route]:
    """A mount is two routes for all methods: the prefix itself, and everything below it."""
    below = mount.pattern + Pattern.parse("/{mounted_path:path}")

    async def answer(request: Request) -> MountedResponse:
        path = request.path
        rest = "/" + request.params.get("mounted_path", "")
        root_path = request.root_path + path.removesuffix(rest)
        return MountedResponse(mount.app, root_path, rest, mount.state)

    for pattern in (mount.pattern, below):
        definition = Definition(pattern, (ANY_METHOD,), answer, {"cancel": False}, {})
        whole, plan = definition.plan(around.prefix, around.host, None)
        name = _dotted(around.name, str(getattr(mount.app, "__name__", type(mount.app).__name__)))
        yield Route(
            whole,
            around.host,
            definition,
            plan,
            name,
            around.tags,
            around.middleware,
            around.version,
            around.versioning if around.version else None,
            around.version_at,
        )


def _dotted(*parts: str) -> str:
    return ".".join(filter(None, parts))
