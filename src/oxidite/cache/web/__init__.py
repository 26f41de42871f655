"""The cache for HTTP: the only part of it that knows of requests.

::

    cache = Cache.from_url("redis://localhost")
    app = Oxidite(resources=[cache], middleware=[http_cache(cache)])

    @app.get("/articles/{id:int}", meta=http_cache_for(s_maxage=600, swr=3600))
    async def article(id: int) -> Article: ...
"""

from oxidite.cache.web.control import CacheControl
from oxidite.cache.web.middleware import http_cache, memoized
from oxidite.cache.web.replies import CacheReplies
from oxidite.cache.web.routes import RouteCaching, TagsOfRequest, http_cache_for

__all__ = [
    "CacheControl",
    "CacheReplies",
    "RouteCaching",
    "TagsOfRequest",
    "http_cache",
    "http_cache_for",
    "memoized",
]
