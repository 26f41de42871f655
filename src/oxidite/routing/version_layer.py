"""What surrounds the routes of one version: its end, and what its answers say of it."""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime
from urllib.parse import quote

from oxidite.errors import HTTPError
from oxidite.http.declared import declares
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.http.version import Version
from oxidite.instrument import event, is_listening
from oxidite.routing.version_errors import ConflictingVersionsError, VersionGoneError
from oxidite.routing.versioning import Versioning

__all__ = ["version_layer"]


def version_layer(versioning: Versioning, version: Version, *, depth: int | None) -> Middleware:
    """Return the middleware of routes of ``version``.

    ``depth`` is how many segments of the path are before the version, ``None`` if it is not there.
    """
    layer = _Layer(versioning, version, depth)

    errors: list[type[HTTPError]] = []
    if depth is not None and versioning.selects:
        errors.append(ConflictingVersionsError)
    if version.sunset is not None:
        errors.append(VersionGoneError)

    @complete
    @declares(raises=errors)
    async def versioned(request: Request, call_next: Handler) -> Response:
        layer.check(request)
        response = await call_next(request)
        layer.mark(request, response)
        return response

    return versioned


class _Layer:
    def __init__(self, versioning: Versioning, version: Version, depth: int | None) -> None:
        self._versioning = versioning
        self._version = version
        self._depth = depth
        self._successor = versioning.successor(version)
        self._in_path = depth is not None
        self._fixed = dict(_announced(version))
        if versioning.answer_header:
            self._fixed[versioning.answer_header] = version.name
        self._vary = () if self._in_path else versioning.vary
        self._ends = version.deprecated is not None or version.sunset is not None

    def check(self, request: Request) -> None:
        """Refuse what contradicts the path, and what has ended."""
        versioning, version = self._versioning, self._version
        if self._in_path and versioning.selects:
            said = versioning.said(request)
            if any(name != version.name for name in said):
                names = list(dict.fromkeys([version.name, *said]))
                raise ConflictingVersionsError(names, versioning.supported)
        if self._ends:
            is_over = version.is_over
            if is_over or version.is_deprecated:
                client = versioning.client(request) if versioning.client else None
                versioning.count(version, client)
                if is_listening() and not is_over:
                    route = request.route.path if request.route else ""
                    event("http.deprecated", version=version.name, route=route, client=client)
            if is_over:
                answer = Response()
                self.mark(request, answer)
                raise VersionGoneError(version, self._successor, headers=dict(answer.headers))

    def mark(self, request: Request, response: Response) -> None:
        """Say in the response which version it is, and what becomes of it."""
        headers = response.headers
        for name, value in self._fixed.items():
            headers[name] = value
        if self._ends and (link := self._link(request)):
            headers.add("link", link)
        if self._vary:
            headers.add_vary(*self._vary)
        media_type = self._versioning.media_type
        is_json = media_type and headers.get("content-type") == "application/json"
        if media_type and is_json and self._versioning.accepted(request) is not None:
            headers["content-type"] = media_type.replace("{version}", self._version.name)

    def _link(self, request: Request) -> str | None:
        links = [f'<{self._version.docs}>; rel="deprecation"'] if self._version.docs else []
        url = self._successor
        if url is not None and "/" not in url:
            url = self._moved(request, url)
        if url is not None:
            links.append(f'<{url}>; rel="successor-version"')  # RFC 5829
        return ", ".join(links) or None

    def _moved(self, request: Request, successor: str) -> str | None:
        """Return the same path in another version, if the version is in the path."""
        if self._depth is None:
            return None
        here = self._versioning.prefix(self._version.name).split("/")[1:]
        there = self._versioning.prefix(successor).split("/")[1:]
        segments = request.path.split("/")
        at = self._depth + 1
        segments[at : at + len(here)] = there
        return quote(request.root_path + "/".join(segments))


def _announced(version: Version) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    if version.deprecated_at is not None:
        # RFC 9745: a date as a structured field (RFC 9651 section 3.3.7).
        fields.append(("deprecation", f"@{int(version.deprecated_at.timestamp())}"))
    if version.sunset_at is not None:
        fields.append(("sunset", format_datetime(version.sunset_at.astimezone(UTC), usegmt=True)))
    return fields
