"""Cache backends by URL scheme. To add one: write the file, add the line."""

from oxidite.backends import BackendRegistry
from oxidite.cache.base import CacheBackend

__all__ = ["backends"]

backends: BackendRegistry[CacheBackend] = BackendRegistry(
    "cache",
    {
        "memory": ("oxidite.cache.backends.memory:MemoryBackend", None),
        "db": ("oxidite.cache.backends.sql:SQLBackend", "db"),
        "sqlite": ("oxidite.cache.backends.sql:SQLBackend", "db"),
        "postgresql": ("oxidite.cache.backends.sql:SQLBackend", "postgres"),
        "redis": ("oxidite.cache.backends.redis:RedisBackend", "redis"),
        "redis+unix": ("oxidite.cache.backends.redis:RedisBackend", "redis"),
        "redis+sentinel": ("oxidite.cache.backends.redis:RedisBackend", "redis"),
        "rediss": ("oxidite.cache.backends.redis:RedisBackend", "redis"),
    },
)
