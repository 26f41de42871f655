"""The cache for HTTP: answers that are kept for idempotency. The only part of it that knows of requests."""

from oxidite.cache.web.replies import CacheReplies

__all__ = ["CacheReplies"]
