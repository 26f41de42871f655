"""The plugin: makes the document of an application and serves it, with a page to read it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from oxidite.app import Oxidite
from oxidite.encoding import encode_json
from oxidite.errors import ConfigError
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Middleware
from oxidite.openapi.base import JSON
from oxidite.openapi.document import About, Built, Spec, Tag, build
from oxidite.openapi.pages import Page, PageHeaders
from oxidite.openapi.yaml import to_yaml
from oxidite.routing.resolve import resolve
from oxidite.routing.route import Route
from oxidite.routing.router import Router
from oxidite.routing.version_routes import routes_of

__all__ = ["Choose", "OpenAPI", "documents_of"]

_logger = logging.getLogger("oxidite.openapi")

Choose: TypeAlias = Callable[[Route], bool]
"""Tells whether a route belongs into a document."""

META = "openapi.document"
"""Where the route of a document keeps the plugin it is of."""


class OpenAPI:
    """Serves the OpenAPI document of an application at ``path``, and a page for it at ``docs``.

    ``Oxidite(plugins=[OpenAPI(title="Shop", version="1.4")])``. The document is made when somebody
    first asks for it; a ``path`` that ends with ``.yaml`` makes it YAML. For several,
    such as a public and an internal one, use several of these, each with a ``name``, its own paths, and
    ``only``: which routes it is about, or ``api_version``: whose. ``middleware`` runs around what this
    adds, to keep people out. ``docs=None`` is for no page.

    ``webhooks`` is a router with what the application sends to others: each route is one, called as
    its handler is, which is never called. ``security_schemes`` are those that no route declares.
    ``info`` are further members of the document's ``info``, ``extra`` of the whole. ``page_headers`` makes
    header fields that unsafe requests of the page carry, such as a token against CSRF.
    """

    def __init__(
        self,
        *,
        title: str = "API",
        version: str = "0.1.0",
        name: str = "public",
        path: str = "/openapi.json",
        docs: str | None = "/docs",
        spec: Spec = "3.1",
        only: Choose | None = None,
        api_version: str | None = None,
        summary: str | None = None,
        description: str | None = None,
        servers: Sequence[str | Mapping[str, object]] = (),
        tags: Sequence[Tag] | Mapping[str, str] = (),
        webhooks: Router | None = None,
        external_docs: str | None = None,
        security_schemes: Mapping[str, Mapping[str, object]] | None = None,
        info: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | None = None,
        middleware: Sequence[Middleware] = (),
        page_headers: PageHeaders | None = None,
    ) -> None:
        if spec not in ("3.1", "3.2"):
            raise ConfigError(f"OpenAPI(spec={spec!r}): use '3.1' or '3.2'.")
        self.document_name = name
        self.path = path
        self.docs = docs
        self.middleware: tuple[Middleware, ...] = tuple(middleware)
        self._page_headers = page_headers
        self._only = only
        self._api_version = api_version
        self._webhooks = webhooks
        self.about: About = About(
            title=title,
            version=version,
            spec=spec,
            summary=summary,
            description=description,
            servers=servers,
            tags=_tags(tags),
            external_docs=external_docs,
            security_schemes=security_schemes or {},
            info=info or {},
            extra=extra or {},
        )
        self._lock = threading.Lock()
        self._made: tuple[object, Built] | None = None

    @property
    def name(self) -> str:
        """The plugin's name; it has that of the document in it."""
        return f"openapi-{self.document_name}"

    def install(self, app: Oxidite) -> None:
        """Add the routes."""

        # In a thread: hundreds of routes take a good part of a second, once.
        def openapi(request: Request) -> Response:
            return self._answer(app, request)

        app.get(
            self.path,
            name=self.name,
            etag="strong",
            complete=True,
            middleware=self.middleware,
            meta={META: self},
            openapi={"include": False},
        )(openapi)
        if self.docs is not None:
            page = Page(self.about.title, self.docs, self.path, self._page_headers, self.middleware)
            page.add_to(app, f"{self.name}-docs")

    def build(self, app: Oxidite) -> Built:
        """Return the document of ``app``; it is made anew only when routes were added.

        Raises:
            OpenAPIError: something said of a route cannot be.
        """
        table = app.table
        with self._lock:
            if self._made is None or self._made[0] is not table:
                found: Sequence[Route] = app.routes
                if self._api_version is not None:
                    found = routes_of(found, self._api_version)
                routes = [route for route in found if self._only is None or self._only(route)]
                webhooks = resolve(self._webhooks) if self._webhooks else ()
                built = build(self.about, routes, middleware=app.middleware, webhooks=webhooks)
                for reason in built.left_out:
                    _logger.warning("not in the document %r: %s", self.document_name, reason)
                self._made = (table, built)
            return self._made[1]

    def _answer(self, app: Oxidite, request: Request) -> Response:
        content: JSON = self.build(app).content
        if request.root_path and "servers" not in content:
            # Behind a prefix that the application does not see, paths begin there.
            content = {**content, "servers": [{"url": request.root_path}]}
        if self.path.endswith((".yaml", ".yml")):
            return Response(to_yaml(content).encode(), content_type="application/yaml")
        return Response(encode_json(content), content_type="application/json")


def _tags(tags: Sequence[Tag] | Mapping[str, str]) -> Sequence[Tag]:
    if isinstance(tags, Mapping):
        return [Tag(name, description) for name, description in tags.items()]
    return tuple(tags)


def documents_of(app: Oxidite) -> dict[str, OpenAPI]:
    """Return what makes the documents of an application, by the document's name."""
    found = (route.meta.get(META) for route in app.routes)
    return {each.document_name: each for each in found if isinstance(each, OpenAPI)}
