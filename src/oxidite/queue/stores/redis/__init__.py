"""Jobs in Redis."""

from oxidite.queue.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
