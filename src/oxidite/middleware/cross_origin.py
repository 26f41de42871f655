"""CORS: lets pages of other origins use this application (https://fetch.spec.whatwg.org/#http-cors-protocol).

It protects nothing by itself: a request of an origin that is not allowed is answered like any other,
and it is the browser that keeps the answer from the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from oxidite.errors import ConfigError, ForbiddenError
from oxidite.http.headers import FixedHeaders, header_name
from oxidite.http.methods import PathMethods
from oxidite.http.middleware import complete, ordered
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.origins import OriginLike, Origins

__all__ = ["OriginNotAllowedError", "cors"]

_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}")
_NAMES = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z, ]{1,4096}")


class OriginNotAllowedError(ForbiddenError):
    """Pages of this origin may not use this application."""

    code = "origin_not_allowed"


def cors(
    origins: Iterable[OriginLike],
    *,
    methods: Iterable[str] | None = None,
    headers: Iterable[str] = ("authorization", "content-type"),
    expose: Iterable[str] = (),
    credentials: bool = False,
    max_age: float = 600.0,
    private_network: bool = False,
) -> Middleware:
    """Let pages of ``origins`` use what this surrounds, errors included.

    ``"*"`` is every origin, ``"https://*.example.com"`` every one below that domain, and a regular
    expression has to match the whole. ``headers`` are those of a request that pages may set, ``"*"``
    all of them; ``expose`` those of a response that they may read. With ``credentials`` browsers send
    cookies along. One origin, or ``"*"``, is told whoever asks, and of several the one that asked. A
    browser asks before it sends what a form could not: the answer, good for
    ``max_age`` seconds, names the methods that the path has, or ``methods``, for every path then.
    ``private_network`` lets public pages reach an application in a private network.

    Raises:
        ConfigError: an origin is none, or everyone would be trusted with the user's credentials.
    """
    allowed = Origins(origins, credentials=credentials)
    exposed = ", ".join(map(header_name, expose))
    if credentials and "*" in exposed:
        raise ConfigError('With credentials "*" is no wildcard: name the headers in expose=.')
    fixed: list[tuple[str, str]] = []
    if credentials:
        fixed.append(("access-control-allow-credentials", "true"))
    answer = _Preflight(methods, headers, max_age, fixed, private_network=private_network)
    to_read = [*fixed, ("access-control-expose-headers", exposed)] if exposed else fixed
    everyone, only = allowed.everyone, allowed.only
    # One origin is told whoever asks, as the standard has it for caches: they keep one answer then.
    always = None if only is None else FixedHeaders([(_ALLOW, only), *to_read])

    # What these refuse has to be readable for the page, too.
    @complete
    @ordered(outside=["rate_limit", "csrf", "decompression", "idempotency"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        if request.method == "OPTIONS":
            told = answer.of(request, allowed)
            if told is not None:
                return told
        response = await call_next(request)
        # PERF: most responses have no fields of their own yet; benchmark `mw`.
        if always is not None and response.fixed is None and response.made_headers is None:
            response.fixed = always
            return response
        opened = None if always is None else response.headers.get(_ALLOW)
        if always is not None and opened is None:
            response.add_fixed(always)
        elif always is not None and opened == only:
            _allow(response, only, to_read)
        else:
            # One that is open to another origin already, for a group or a route, depends on who asks.
            origin = request.headers.get("origin")
            is_allowed = origin is not None and origin in allowed
            if not everyone:
                # Without an Origin too: a cache must not give that answer to a page.
                response.headers.add_vary("origin")
            _allow(response, "*" if everyone else origin if is_allowed else None, to_read)
        return response

    return middleware


def _allow(response: Response, origin: str | None, to_read: Iterable[tuple[str, str]]) -> None:
    """Say that a page of ``origin`` may read a response; of nowhere if it is ``None``."""
    if origin is None:
        return
    fields = response.headers
    fields[_ALLOW] = origin
    for name, value in to_read:
        fields[name] = value


_ALLOW = "access-control-allow-origin"


class _Preflight:
    """Answers what a browser asks before it sends the request itself."""

    def __init__(
        self,
        methods: Iterable[str] | None,
        headers: Iterable[str],
        max_age: float,
        fixed: list[tuple[str, str]],
        *,
        private_network: bool,
    ) -> None:
        if isinstance(methods, str) or isinstance(headers, str):
            raise ConfigError("methods= and headers= of cors are lists.")
        if not 0 <= max_age <= 10**9:
            raise ConfigError(f"max_age={max_age} is not a time that an answer is good for.")
        self._methods = None if methods is None else frozenset(map(str.upper, methods))
        names = sorted(set(map(header_name, headers)))
        self._any_header = "*" in names
        self._headers = ", ".join(names)
        self._fixed = [*fixed, ("access-control-max-age", str(int(max_age)))]
        self._private_network = private_network

    def of(self, request: Request, allowed: Origins) -> Response | None:
        """Return the answer to such a question; ``None`` if it is another, or the path leads nowhere."""
        origin = request.headers.get("origin")
        method = request.headers.get("access-control-request-method")
        methods = "" if origin is None or method is None else self._methods_of(request, method)
        if origin is None or not methods:
            return None
        if origin not in allowed:
            raise OriginNotAllowedError(headers={"vary": "origin"})
        return self._allowing(request, allowed.only or origin, methods)

    def _methods_of(self, request: Request, asked: str) -> str:
        """Return the methods of the path, as a field; nothing if the path leads nowhere."""
        found = (
            request.resources.get(PathMethods)(request) if self._methods is None else self._methods
        )
        if "*" in found:
            # Another application answers there, or all were allowed: who asks is told yes.
            return asked if _METHOD.fullmatch(asked) else "GET, HEAD, POST"
        return ", ".join(sorted({*found, "HEAD"} if "GET" in found else found))

    def _allowing(self, request: Request, origin: str, methods: str) -> Response:
        answer = Response(status=204)
        fields = answer.headers
        fields["vary"] = "origin, access-control-request-method, access-control-request-headers"
        fields["access-control-allow-origin"] = origin
        fields["access-control-allow-methods"] = methods
        names = self._headers
        if self._any_header:
            # As they were asked for: "*" would not mean Authorization, nor anything with credentials.
            names = request.headers.get("access-control-request-headers", "")
        if names and _NAMES.fullmatch(names):
            fields["access-control-allow-headers"] = names
        for name, value in self._fixed:
            fields[name] = value
        if self._private_network and "access-control-request-private-network" in request.headers:
            fields["access-control-allow-private-network"] = "true"
        return answer
