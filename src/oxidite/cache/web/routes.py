"""What a route says of how its answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from oxidite.cache.freshness import Seconds
from oxidite.cache.web.control import CacheControl
from oxidite.cache.web.fields import write_strings
from oxidite.errors import ConfigError
from oxidite.http.headers import header_name
from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = ["RouteCaching", "TagsOfRequest", "caching_of", "http_cache_for"]

TagsOfRequest = Iterable[str] | Callable[[Request], Iterable[str]]
"""Tags, or a function of the request that returns them."""

_META = "http_cache"


@dataclass(frozen=True, eq=False)
class RouteCaching:
    """What a route says; made by ``http_cache_for``."""

    control: str
    cdn: str
    vary: tuple[str, ...]
    tags: TagsOfRequest
    groups: TagsOfRequest

    def apply(self, request: Request, response: Response) -> None:
        """Write the fields of an answer that has none of its own and may be kept."""
        headers = response.headers
        if response.status >= 400 or "set-cookie" in headers:
            return
        if "cache-control" not in headers:
            headers["cache-control"] = self.control
        if self.cdn:
            headers.setdefault("cdn-cache-control", self.cdn)
        if self.vary:
            headers.add_vary(*self.vary)
        groups = _tags(self.groups, request)
        if groups:
            headers.setdefault("cache-groups", write_strings(groups))

    def tags_of(self, request: Request) -> list[str]:
        """Return the tags of the answer to a request, beside its groups."""
        return _tags(self.tags, request)


def _tags(tags: TagsOfRequest, request: Request) -> list[str]:
    return list(tags(request) if callable(tags) else tags)


def http_cache_for(
    *,
    s_maxage: Seconds | None = None,
    max_age: Seconds | None = None,
    swr: Seconds | None = None,
    sie: Seconds | None = None,
    public: bool = False,
    must_revalidate: bool = False,
    control: CacheControl | None = None,
    cdn: CacheControl | None = None,
    vary: Sequence[str] = (),
    tags: TagsOfRequest = (),
    groups: TagsOfRequest = (),
) -> dict[str, object]:
    """Return what a route has in ``meta=`` so that its answers are kept by ``http_cache`` around it.

    Times are in seconds: ``swr`` is how long a stale answer is served while a new one is made,
    ``sie`` how long if that fails. ``control`` is a whole field in their place, ``cdn`` one for content
    delivery networks. An answer that has a Cache-Control of its own, an error, and one that sets a cookie
    stay as they are. ``tags`` are those of the cache, for ``invalidate_tags``; ``groups`` are tags that
    are sent as Cache-Groups, too.

    Raises:
        ConfigError: it contradicts itself, or says nothing.
    """
    short = (s_maxage, max_age, swr, sie)
    if control is not None and (public or must_revalidate or any(x is not None for x in short)):
        raise ConfigError("control= is the whole field: say all of it there.")
    if control is None and s_maxage is None and max_age is None:
        raise ConfigError("http_cache_for needs to know for how long: give s_maxage= or max_age=.")
    for each in (tags, groups):
        if isinstance(each, str):
            raise ConfigError(f"tags is a list of texts, not one: write [{each!r}].")
    written = control or CacheControl(
        s_maxage=s_maxage,
        max_age=max_age,
        swr=swr,
        sie=sie,
        public=public,
        must_revalidate=must_revalidate,
    )
    names = tuple(header_name(name) for name in vary)
    found = RouteCaching(str(written), "" if cdn is None else str(cdn), names, tags, groups)
    return {_META: found}


def caching_of(request: Request) -> RouteCaching | bool | None:
    """Return what the route of a request says; ``False`` for one that is never kept."""
    route = request.route
    own = None if route is None else route.meta.get(_META)
    return own if isinstance(own, RouteCaching) or own is False else None
