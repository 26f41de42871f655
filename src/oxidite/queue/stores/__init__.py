"""Stores of jobs by URL scheme. To add one: write the file, add the line."""

from oxidite.backends import BackendRegistry
from oxidite.queue.base import JobStore

__all__ = ["stores"]

stores: BackendRegistry[JobStore] = BackendRegistry(
    "queue",
    {
        "memory": ("oxidite.queue.stores.memory:MemoryStore", None),
        "db": ("oxidite.queue.stores.sql:SQLStore", "db"),
        "sqlite": ("oxidite.queue.stores.sql:SQLStore", "db"),
        "postgresql": ("oxidite.queue.stores.sql:SQLStore", "postgres"),
        "mysql": ("oxidite.queue.stores.sql:SQLStore", "mysql"),
        "mariadb": ("oxidite.queue.stores.sql:SQLStore", "mysql"),
        "redis": ("oxidite.queue.stores.redis:RedisStore", "redis"),
        "rediss": ("oxidite.queue.stores.redis:RedisStore", "redis"),
    },
)
