"""Values that are kept for a time: in this process, and in a store that all processes share.

::

    cache = Cache.from_url("redis://localhost", ttl=300)

    @cache.cached(ttl=600, grace=86400, tags=lambda uid: [f"user:{uid}"])
    async def profile(uid: int) -> Profile: ...

    await profile(7)
    await cache.invalidate_tags("user:7")
"""

from oxidite.cache.base import (
    CacheBackend,
    Claimed,
    Epochs,
    Item,
    Listener,
    Stats,
    Stored,
)
from oxidite.cache.cache import Cache, CacheOptions
from oxidite.cache.cached import Cached, TagsOf
from oxidite.cache.counts import CacheStats, Counts
from oxidite.cache.entry import CacheEntry
from oxidite.cache.freshness import Options, Seconds
from oxidite.cache.inspection import Inspected
from oxidite.cache.l1 import L1
from oxidite.cache.locks import Counter, Lock, LockLostError, LockTimeoutError
from oxidite.cache.recording import reads
from oxidite.cache.s3fifo import S3FIFO
from oxidite.cache.warmer import Warmer
from oxidite.cache.warming import Warmed

__all__ = [
    "L1",
    "S3FIFO",
    "Cache",
    "CacheBackend",
    "CacheEntry",
    "CacheOptions",
    "CacheStats",
    "Cached",
    "Claimed",
    "Counter",
    "Counts",
    "Epochs",
    "Inspected",
    "Item",
    "Listener",
    "Lock",
    "LockLostError",
    "LockTimeoutError",
    "Options",
    "Seconds",
    "Stats",
    "Stored",
    "TagsOf",
    "Warmed",
    "Warmer",
    "reads",
]
