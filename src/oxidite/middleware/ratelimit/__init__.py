"""Limits: who may send how many requests in which time.

::

    app = Oxidite(middleware=[rate_limit("100/minute", "5000/day")])

    @app.get("/search", meta=limit("10/minute"))
    async def search(q: str) -> list[Hit]: ...
"""

from oxidite.middleware.ratelimit.fields import FieldStyle
from oxidite.middleware.ratelimit.keys import Key, by_address, by_header
from oxidite.middleware.ratelimit.limiter import rate_limit
from oxidite.middleware.ratelimit.plans import Cost, RateLimitedError, limit

__all__ = [
    "Cost",
    "FieldStyle",
    "Key",
    "RateLimitedError",
    "by_address",
    "by_header",
    "limit",
    "rate_limit",
]
