"""The page that shows a document: Swagger UI, whose files are in the package ``oxidite-docs-ui``.

Everything comes from the application itself, and the page runs under a Content-Security-Policy
that allows no inline script.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from posixpath import basename, dirname, relpath
from typing import TypeAlias

from oxidite.app import Oxidite
from oxidite.encoding import encode_json
from oxidite.errors import NotFoundError
from oxidite.http.request import Request
from oxidite.http.response import HTMLResponse, Response
from oxidite.http.types import Middleware

__all__ = ["POLICY", "Page", "PageHeaders"]

PageHeaders: TypeAlias = Callable[[Request], Mapping[str, str]]
"""Makes header fields for the unsafe requests of a page, when the page is made."""

PACKAGE = "oxidite-docs-ui"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""No script but the files of the page. Swagger UI sets styles on its elements."""

_JS, _CSS = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_OURS = {"page.js": _JS, "page.css": _CSS}
_THEIRS = {"swagger-ui-bundle.js": _JS, "swagger-ui.css": _CSS}
_PNG = {"favicon-32x32.png": "image/png"}
_HEADERS = {
    "cache-control": "no-store",  # it may have a token in it
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Page:
    """The page at ``path`` that shows the document at ``document``.

    ``headers`` makes the fields that unsafe requests of the page carry, such as a token against CSRF.
    """

    title: str
    path: str
    document: str
    headers: PageHeaders | None
    middleware: tuple[Middleware, ...]

    def add_to(self, app: Oxidite, name: str) -> None:
        """Add the page and its files."""

        def docs(request: Request) -> HTMLResponse:
            return HTMLResponse(self.html(request), headers=_HEADERS)

        def docs_file(request: Request, file: str) -> Response:
            return _file(request, file)

        routes = ((self.path, docs, name), (f"{self.path}/{{file}}", docs_file, f"{name}-file"))
        for path, handler, route_name in routes:
            app.get(
                path,
                name=route_name,
                complete=True,
                middleware=self.middleware,
                openapi={"include": False},
            )(handler)

    def html(self, request: Request) -> str:
        """Return the page; without the files, what to install."""
        # Relative, so that it holds behind a proxy's prefix: from where the page is.
        files = basename(self.path)
        try:
            stamp = version(PACKAGE)
        except PackageNotFoundError:
            return _document(self.title, f"{files}/page.css", "", _MISSING)
        return _document(
            self.title,
            f"{files}/page.css?{stamp}",
            f'<link rel="stylesheet" href="{files}/swagger-ui.css?{stamp}">'
            f'<link rel="icon" href="{files}/favicon-32x32.png?{stamp}">',
            f'<div id="reference"></div><script src="{files}/swagger-ui-bundle.js?{stamp}"></script>'
            f'<script src="{files}/page.js?{stamp}"></script>',
            {
                "document": relpath(self.document, dirname(self.path)),
                "headers": self._fields(request),
            },
        )

    def _fields(self, request: Request) -> str:
        return encode_json({} if self.headers is None else self.headers(request)).decode()


_MISSING = (
    '<div class="message"><h1>The page needs one more package</h1><p>Install it, and start the '
    f"application again: <code>pip install {PACKAGE}</code></p><p>The document itself is there "
    "without it.</p></div>"
)


def _document(
    title: str, style: str, head: str, body: str, data: Mapping[str, str] | None = None
) -> str:
    attributes = "".join(f' data-{key}="{escape(each)}"' for key, each in (data or {}).items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'{head}<link rel="stylesheet" href="{style}"></head><body{attributes}>{body}</body></html>'
    )


def _file(request: Request, name: str) -> Response:
    try:
        if name in _OURS:
            content = (resources.files("oxidite.openapi") / "page" / name).read_bytes()
            return _answer(content, _OURS[name])
        files = resources.files("oxidite_docs_ui") / "static"
        if name in _THEIRS:
            return _packed(request, (files / f"{name}.gz").read_bytes(), _THEIRS[name])
        return _answer((files / name).read_bytes(), _PNG[name])
    except (KeyError, OSError, ModuleNotFoundError):
        raise NotFoundError from None


def _packed(request: Request, content: bytes, content_type: str) -> Response:
    if "gzip" in request.headers.get("accept-encoding", ""):
        response = _answer(content, content_type)
        response.headers["content-encoding"] = "gzip"
    else:
        response = _answer(gzip.decompress(content), content_type)
    response.headers.add_vary("accept-encoding")
    return response


def _answer(content: bytes, content_type: str) -> Response:
    headers = {"cache-control": _FOREVER, "x-content-type-options": "nosniff"}
    return Response(content, content_type=content_type, headers=headers)
