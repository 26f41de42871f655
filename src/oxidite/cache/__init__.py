"""Values that are kept for a time: in this process, and in a store that all processes share."""

from oxidite.cache.base import (
    CacheBackend,
    Claimed,
    Epochs,
    Item,
    Listener,
    Stats,
    Stored,
)
from oxidite.cache.s3fifo import S3FIFO

__all__ = [
    "S3FIFO",
    "CacheBackend",
    "Claimed",
    "Epochs",
    "Item",
    "Listener",
    "Stats",
    "Stored",
]
