"""The document: every route of an application that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from oxidite.http.types import Middleware
from oxidite.openapi.base import JSON
from oxidite.openapi.components import Components
from oxidite.openapi.names import shape_of, template_of
from oxidite.openapi.operations import Operations
from oxidite.openapi.schemas import Schemas
from oxidite.routing.route import Route
from oxidite.routing.tree import ANY_METHOD

__all__ = ["About", "Built", "Spec", "Tag", "build"]

Spec: TypeAlias = Literal["3.1", "3.2"]
"""A version of OpenAPI."""

_VERSIONS: Mapping[Spec, str] = {"3.1": "3.1.1", "3.2": "3.2.0"}
_NO_OPERATION = frozenset((ANY_METHOD, "WEBSOCKET"))
"""A mounted application, a directory of files, a conversation: OpenAPI has no words for them."""
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class Tag:
    """A group of operations. ``parent`` is the tag it is part of, in OpenAPI 3.2."""

    name: str
    description: str = ""
    parent: str | None = None
    external_docs: str | None = None


@dataclass(frozen=True, kw_only=True)
class About:
    """What a document says beside the routes."""

    title: str
    version: str
    spec: Spec = "3.1"
    summary: str | None = None
    description: str | None = None
    info: Mapping[str, object] = field(default_factory=dict)
    servers: Sequence[str | Mapping[str, object]] = ()
    tags: Sequence[Tag] = ()
    external_docs: str | None = None
    security_schemes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A document, and what could not be put into it."""

    content: JSON
    left_out: tuple[str, ...] = ()
    """Why a route is missing: two paths that OpenAPI cannot tell apart, a method it has no word for."""


def build(
    about: About,
    routes: Iterable[Route],
    *,
    middleware: Sequence[Middleware] = (),
    webhooks: Iterable[Route] = (),
) -> Built:
    """Return the document of ``routes``; ``middleware`` is what runs around all of them.

    Raises:
        OpenAPIError: something said of a route cannot be.
    """
    operations = Operations(Schemas(Components(), about.spec))
    paths = _Paths(operations, about.spec, middleware)
    for route in routes:
        paths.add(route, template_of(route))
    hooks = _Paths(operations, about.spec, (), is_webhook=True)
    for route in webhooks:
        hooks.add(route, route.name)
    content: JSON = {"openapi": _VERSIONS[about.spec], "info": _info(about)}
    if about.servers:
        content["servers"] = [{"url": s} if isinstance(s, str) else dict(s) for s in about.servers]
    if tags := _tags(about, [*paths.tags, *hooks.tags]):
        content["tags"] = tags
    if about.external_docs:
        content["externalDocs"] = {"url": about.external_docs}
    content["paths"] = dict(sorted(paths.items.items()))
    if hooks.items:
        content["webhooks"] = hooks.items
    components: JSON = {}
    if operations.problems.responses:
        components["responses"] = dict(sorted(operations.problems.responses.items()))
    schemes = {**about.security_schemes, **operations.security_schemes}
    if schemes:
        components["securitySchemes"] = {key: dict(each) for key, each in sorted(schemes.items())}
    if components:
        content["components"] = components
    content.update(about.extra)
    resolved = operations.components.resolve(content)
    return Built(resolved, (*paths.left_out, *hooks.left_out))


def _info(about: About) -> JSON:
    info: JSON = {"title": about.title, "version": about.version}
    if about.summary:
        info["summary"] = about.summary
    if about.description:
        info["description"] = about.description
    return {**info, **about.info}


def _tags(about: About, used: Iterable[str]) -> list[JSON]:
    """Return the tags that are described, in their order, then the others that are used."""
    described = {tag.name: tag for tag in about.tags}
    every = dict.fromkeys((*described, *used))
    return [_tag(described.get(name, Tag(name)), about.spec) for name in every]


def _tag(tag: Tag, spec: Spec) -> JSON:
    found: JSON = {"name": tag.name}
    if tag.description:
        found["description"] = tag.description
    if tag.parent and spec == "3.2":
        found["parent"] = tag.parent
    if tag.external_docs:
        found["externalDocs"] = {"url": tag.external_docs}
    return found


class _Paths:
    """Operations by path; and why one is not there."""

    def __init__(
        self,
        operations: Operations,
        spec: Spec,
        around: Sequence[Middleware],
        *,
        is_webhook: bool = False,
    ) -> None:
        self._is_webhook = is_webhook
        self.items: dict[str, JSON] = {}
        self.tags: dict[str, None] = {}
        self.left_out: list[str] = []
        self._operations = operations
        self._spec = spec
        self._around = around
        self._by_shape: dict[str, tuple[str, Route]] = {}

    def add(self, route: Route, path: str) -> None:
        """Add what a route answers, each of its methods."""
        said = route.definition.options.get("openapi", {})
        if not said.get("include", True) or not _NO_OPERATION.isdisjoint(route.methods):
            return
        path, first = self._by_shape.setdefault(shape_of(path), (path, route))
        if first.pattern.params and _params(first) != _params(route):
            self._leave_out(route, f"its path is {path!r} in {first.where} already")
            return
        for method, key, place in self._places(route):
            item = self.items.setdefault(path, {})
            where = item.setdefault(place, {}) if place else item
            if key in where:
                self._leave_out(route, f"{method} {path} is {where[key]['operationId']} already")
            else:
                where[key] = self._operations.of(
                    route, method, self._around, is_webhook=self._is_webhook
                )
                self.tags.update(dict.fromkeys(route.tags))

    def _places(self, route: Route) -> Iterator[tuple[str, str, str | None]]:
        """Yield each method, its key, and where in the path item that is."""
        for method in route.methods:
            key = method.lower()
            if key in _METHODS or (key == "query" and self._spec == "3.2"):
                yield method, key, None
            elif self._spec == "3.2":
                yield method, method, "additionalOperations"
            else:
                self._leave_out(route, f"OpenAPI 3.1 has no method {method}; 3.2 has")

    def _leave_out(self, route: Route, reason: str) -> None:
        self.left_out.append(f"{' '.join(route.methods)} {route.path} ({route.where}): {reason}.")


def _params(route: Route) -> list[str]:
    return [param.name for param in route.pattern.params]
