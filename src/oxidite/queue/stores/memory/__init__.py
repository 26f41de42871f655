"""Jobs in the memory of one process."""

from oxidite.queue.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
