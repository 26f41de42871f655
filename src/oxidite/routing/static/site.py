"""Answers requests with the files of a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from oxidite.concurrency import ThreadPool
from oxidite.errors import MethodNotAllowedError, NotFoundError
from oxidite.http.conditional import is_conditional
from oxidite.http.files import FileResponse
from oxidite.http.files.media_types import media_type_of
from oxidite.http.negotiation import accepted_codings, best_match
from oxidite.http.request import Request
from oxidite.http.response import RedirectResponse, Response
from oxidite.http.types import Middleware
from oxidite.routing.definition import Definition, PlacedRoute, RouteOptions
from oxidite.routing.pattern import Pattern
from oxidite.routing.static.assets import Assets
from oxidite.routing.static.directory import SUFFIXES, Directory, Found, IsDirectoryError
from oxidite.routing.static.memory import Memory
from oxidite.routing.static.territory import Territory
from oxidite.routing.tree import ANY_METHOD

__all__ = ["Site"]

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATED = "no-cache"
_CODINGS = tuple(SUFFIXES)
_METHODS = ("GET", "HEAD", "OPTIONS")
_MEMORY = 16 * 1024 * 1024
PARAMETER = "file_path"


class Site:
    """The files of one directory, at one place of an application."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        index: str | None,
        spa: bool | str,
        immutable: bool,
        cache_control: str | None,
        precompressed: bool,
    ) -> None:
        self.assets: Assets | None = directory if isinstance(directory, Assets) else None
        self.directory: Directory = Directory(directory)
        self._index = index
        self._page = (index or "index.html") if spa is True else spa or None
        self._immutable = immutable
        self._cache_control = cache_control or (IMMUTABLE if immutable else REVALIDATED)
        self._codings = _CODINGS if precompressed else ()
        self._memory = Memory(_MEMORY)
        self._territory = Territory(Pattern(()), ())

    def definitions(
        self, prefix: str, *, name: str, middleware: Sequence[Middleware]
    ) -> Iterator[Definition]:
        """Yield the routes: everything below ``prefix``, and the prefix itself, which leads there.

        For all methods, like a mount: so a narrower route has its say first, and a method that it does
        not have is its 405.

        Raises:
            RouteError: the prefix is none.
        """
        pattern = Pattern.parse(prefix)
        name = name or prefix.strip("/").replace("/", ".") or "static"
        options: RouteOptions = {"middleware": middleware, "cancel": True, "complete": True}
        below = pattern + Pattern.parse(f"/{{{PARAMETER}:path}}")
        yield Definition(
            below, (ANY_METHOD,), self.serve, {**options, "name": name}, {}, self._placed
        )
        if pattern.segments not in ((), ("",)):
            options = {**options, "name": f"{name}.directory"}
            yield Definition(pattern, (ANY_METHOD,), self.serve, options, {})

    def _placed(self, route: PlacedRoute, routes: Sequence[PlacedRoute]) -> None:
        """Get ready to answer.

        Raises:
            ConfigError: the directory, or the manifest of its assets, is not there.
        """
        pattern = Pattern(route.pattern.segments[:-1])
        prefix = str(pattern)
        self.directory.check(prefix)
        others = [each.pattern for each in routes if each.handler != self.serve]
        self._territory = Territory(pattern, others)
        if self.assets is not None:
            self.assets.placed(prefix.rstrip("/"))

    async def serve(self, request: Request) -> Response:
        """Answer with the file that the rest of the path names."""
        path: str = request.params.get(PARAMETER, "")
        codings = accepted_codings(request.headers.get("accept-encoding"), self._codings)
        key = (path, codings)
        kept = self._memory.get(key) if PARAMETER in request.params else None
        if kept is None:
            return await self._find(key, request)
        if request.method == "GET" and not _is_special(request):
            response = kept.response()
            if response is not None:
                return response
        return await self._answer(path, kept.found, request)

    async def _find(self, key: tuple[str, Sequence[str]], request: Request) -> Response:
        path, codings = key
        threads = request.resources.get(ThreadPool)
        try:
            found = await threads.run(self._look, path, codings)
        except IsDirectoryError:
            return _to_directory(request)
        except NotFoundError:
            if self._page is None or self._territory.has(path) or not _wants_page(request):
                raise
            found = await threads.run(self.directory.find, self._page, codings)
            return await self._answer(self._page, found, request)
        if PARAMETER not in request.params:
            return _to_directory(request)
        response = await self._answer(path, found, request)
        if response.status == 200 and request.method == "GET" and _is_settled(response):
            immutable = self._cache_control_of(path) == IMMUTABLE
            self._memory.keep(key, found, response, immutable=immutable)
        return response

    def _look(self, path: str, codings: Sequence[str]) -> Found:
        if self.assets is not None:
            path = self.assets.original(path)
        if path == "" or path.endswith("/"):
            if self._index is None:
                raise NotFoundError
            return self._file(path + self._index, codings)
        try:
            return self.directory.find(path, codings)
        except IsDirectoryError:
            if self._index is None:
                raise NotFoundError from None
            self._file(f"{path}/{self._index}", ())
            raise

    def _file(self, path: str, codings: Sequence[str]) -> Found:
        try:
            return self.directory.find(path, codings)
        except IsDirectoryError:
            raise NotFoundError from None

    async def _answer(self, path: str, found: Found, request: Request) -> Response:
        method = request.method
        if method not in ("GET", "HEAD"):
            if method == "OPTIONS":
                return Response(status=204, headers={"allow": ", ".join(_METHODS)})
            raise MethodNotAllowedError(method, _METHODS)
        response = FileResponse(found.file.path, content_type=media_type_of(found.name))
        headers = response.headers
        headers["cache-control"] = self._cache_control_of(path)
        if self._codings:
            headers["vary"] = "accept-encoding"
        if found.coding is not None:
            headers["content-encoding"] = found.coding
            # Bytes of another coding must not be taken for these (RFC 9110 section 8.8.3).
            headers["etag"] = str(found.file.validators(f"-{found.coding}").etag)
        return await response.answer(found.file, request, request.resources.get(ThreadPool))

    def _cache_control_of(self, path: str) -> str:
        if self.assets is None:
            # A page is what leads to immutable files, so it never is one.
            is_page = path == "" or path.endswith((".html", ".htm", "/"))
            return REVALIDATED if is_page and self._immutable else self._cache_control
        return IMMUTABLE if self.assets.is_immutable(path) else REVALIDATED


def _wants_page(request: Request) -> bool:
    """Tell whether a browser goes to a page."""
    if request.method not in ("GET", "HEAD"):
        return False
    headers = request.headers
    if headers.get("sec-fetch-mode", "navigate") != "navigate":
        return False
    accept = headers.get("accept", "")
    # Named, not covered by "*/*": a program that accepts anything wants to be told the truth.
    return "text/html" in accept and best_match(accept, ("text/html",)) is not None


def _is_settled(response: Response) -> bool:
    # A weak tag becomes a strong one in a second; kept for ever it would never.
    return not response.headers.get("etag", "").startswith("W/")


def _is_special(request: Request) -> bool:
    return request.headers.get("range") is not None or is_conditional(request.headers)


def _to_directory(request: Request) -> Response:
    # Relative to where the client is, so neither scheme, host nor a proxy's prefix can be wrong.
    last = quote(request.path.rpartition("/")[2])
    query = f"?{request.query_string}" if request.query_string else ""
    return RedirectResponse(f"./{last}/{query}", 308)
