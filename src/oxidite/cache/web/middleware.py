"""The middleware that keeps answers: a shared cache in front of handlers (RFC 9111)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from oxidite.cache.cache import Cache
from oxidite.cache.envelope import MOST_TAGS
from oxidite.cache.freshness import Seconds, seconds
from oxidite.cache.web.fields import Status, read_strings
from oxidite.cache.web.pages import named_key, page_key
from oxidite.cache.web.policy import Limits
from oxidite.cache.web.shelf import Shelf
from oxidite.cache.web.visit import Visit
from oxidite.errors import BackendError, ConfigError
from oxidite.http.headers import header_name
from oxidite.http.middleware import complete, ordered
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware

__all__ = ["http_cache", "memoized"]

_logger = logging.getLogger("oxidite.cache")

_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "QUERY"))


def http_cache(
    cache: Cache,
    *,
    max_body: int = 1024 * 1024,
    keep: Seconds = 3600.0,
    patience: Seconds = 10.0,
    heuristic: bool = False,
    obey_requests: bool = True,
    ignore_query: Iterable[str] = (),
    targets: Iterable[str] = ("cdn-cache-control",),
    name: str = "Oxidite",
) -> Middleware:
    """Keep answers that say that they may be kept, and give them to whoever asks for the same.

    Only answers to GET that say for how long they are fresh: by Cache-Control, Expires, the first of
    ``targets`` that they have, or ``meta=http_cache_for(...)`` of their route; with ``heuristic`` those
    that have a Last-Modified, too. Never what sets a cookie, is private, a stream, a part, or has more
    than ``max_body`` bytes; nor what a handler made of cookies, unless it is public or varies by them.
    ``meta={"http_cache": False}`` keeps a route out.

    Of several who ask at once, in all processes, one is answered by the handler, and the others wait for
    that for up to ``patience`` seconds. What has a validator is kept for ``keep`` seconds after it became
    stale, to be asked for with that. ``obey_requests=False`` lets no client go around the cache.
    Parameters in ``ignore_query`` make no difference; a handler must not, either.

    A request that changes something makes what is kept of its URL stale, and what is in the groups that
    its answer names. If the store fails, handlers answer. Each answer has a Cache-Status, with ``name``.

    Raises:
        ConfigError: a number makes no sense.
    """
    if max_body < 1:
        raise ConfigError("max_body= of http_cache is 1 or more: nothing else would be kept.")
    limits = Limits(max_body, heuristic, tuple(header_name(each) for each in targets))
    shelf = Shelf(
        cache,
        limits,
        keep=seconds("keep", keep, zero=True),
        patience=seconds("patience", patience, zero=True),
    )
    ignored = frozenset(ignore_query)

    # What these write is of one request, and what they refuse is not to be answered here.
    @complete
    @ordered(inside=["request_id", "access_log", "rate_limit", "cors", "csrf", "allowed_hosts"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        key = page_key(request, ignored)
        if request.method in _SAFE:
            visit = Visit(shelf, key, request, call_next, name=name, obeys=obey_requests)
            return await visit.answer()
        response = await call_next(request)
        if 200 <= response.status < 400:
            await _invalidate(cache, key, request, response, ignored)
        Status("method", response.status).write(response.headers, name)
        return response

    return middleware


async def _invalidate(
    cache: Cache, key: str, request: Request, response: Response, ignored: frozenset[str]
) -> None:
    """Let nothing count that a request has changed (RFC 9111 section 4.4, RFC 9875 section 3)."""
    tags = [key]
    for field in ("location", "content-location"):
        named = response.headers.get(field)
        other = None if named is None else named_key(request, named, ignored)
        if other is not None:
            tags.append(other)
    tags += read_strings(response.headers.get_all("cache-group-invalidation")) or ()
    try:
        # No limit to what may be named: each call of the store has as many as a value may have.
        for start in range(0, len(tags), MOST_TAGS):
            await cache.invalidate_tags(*tags[start : start + MOST_TAGS])
    except BackendError:
        _logger.exception("what a request has changed may be served until it is stale")


def memoized(cache: Cache) -> Middleware:
    """Ask the cache for nothing twice while one request is answered."""

    @complete
    async def middleware(request: Request, call_next: Handler) -> Response:
        with cache.memo():
            return await call_next(request)

    return middleware
