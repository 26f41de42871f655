"""A bounded map that keeps what is used: S3-FIFO.

Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023. New keys
enter a small queue. Those that were used again by the time they reach its end go on to the main queue,
the others leave, and are remembered for a while by key alone; if they come back then, they enter the main
queue at once. A hit moves nothing, it only counts: that is what makes it cheap.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from oxidite.errors import ConfigError

__all__ = ["MOST_USES", "S3FIFO", "Kept"]

V = TypeVar("V")

MOST_USES = 3
"""What is counted of the hits of a key, as in the paper."""

# The paper gives the small queue a tenth of the room, promotes what was used twice in it, and remembers as
# many keys as the main queue holds. On the traces of benchmark `cache` these are 0.5 to 1 % of hits better.
_SMALL = 50  # a 50th of the room is the small queue's
_GHOSTS = 2  # half as much as there is room for is remembered by key


class Kept(Generic[V]):
    """A value in the map. ``uses`` is for whoever reads it to raise, as ``S3FIFO.get`` does."""

    __slots__ = ("is_main", "key", "uses", "value", "weight")

    def __init__(self, key: str, value: V, weight: int) -> None:
        self.key: str | None = key
        """``None`` once it was deleted, as it is still somewhere in a queue."""
        self.value: V = value
        self.weight: int = weight
        self.uses: int = 0
        self.is_main: bool = False


class S3FIFO(Generic[V]):
    """Keeps values of ``room`` in all, each of the weight that it is set with.

    ``evicted`` hears which key made room for another.
    """

    def __init__(self, room: int, *, evicted: Callable[[str, V], None] | None = None) -> None:
        if room < 1:
            raise ConfigError(f"A cache needs room for something, not for {room}.")
        self.room: int = room
        self._evicted = evicted
        self._kept: dict[str, Kept[V]] = {}
        self._small: deque[Kept[V]] = deque()
        self._main: deque[Kept[V]] = deque()
        self._small_weight = 0
        self._weight = 0
        # Keys that left the small queue, with their weight.
        self._ghosts: OrderedDict[str, int] = OrderedDict()
        self._ghost_weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    @property
    def weight(self) -> int:
        """What is kept weighs so much."""
        return self._weight

    def get(self, key: str) -> V | None:
        """Return the value of a key and count the use."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.uses < MOST_USES:
            kept.uses += 1
        return kept.value

    def peek(self, key: str) -> V | None:
        """Return the value of a key as if nobody had asked."""
        kept = self._kept.get(key)
        return None if kept is None else kept.value

    def set(self, key: str, value: V, weight: int = 1) -> None:
        """Keep a value; what weighs more than there is room for is not kept at all."""
        kept = self._kept.get(key)
        if weight > self.room:
            self.delete(key)
            return
        if kept is None:
            kept = self._kept[key] = Kept(key, value, weight)
            self._enter(kept)
        else:
            change = weight - kept.weight
            kept.value = value
            kept.weight = weight
            self._weight += change
            if not kept.is_main:
                self._small_weight += change
        while self._weight > self.room:
            self._evict()

    def delete(self, key: str) -> V | None:
        """Forget a key; return what was kept of it."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        self._leave(kept)
        # It goes when it reaches the end of its queue; what it held goes now.
        kept.key = None
        value = kept.value
        del kept.value
        if len(self._small) + len(self._main) > 2 * len(self._kept) + 64:
            self._sweep()
        return value

    def clear(self) -> None:
        """Forget everything."""
        for queue in (self._kept, self._small, self._main, self._ghosts):
            queue.clear()
        self._small_weight = self._weight = self._ghost_weight = 0

    def _enter(self, kept: Kept[V]) -> None:
        key = kept.key
        assert key is not None  # noqa: S101 - it is new
        self._weight += kept.weight
        ghost = self._ghosts.pop(key, None)
        if ghost is None:
            self._small.append(kept)
            self._small_weight += kept.weight
        else:
            self._ghost_weight -= ghost
            kept.is_main = True
            self._main.append(kept)

    def _leave(self, kept: Kept[V]) -> None:
        self._weight -= kept.weight
        if not kept.is_main:
            self._small_weight -= kept.weight

    def _evict(self) -> None:
        """Take one step towards having room again."""
        if self._small_weight * _SMALL >= self.room or not self._main:
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        kept = self._small.popleft()
        if kept.key is None:
            return
        if kept.uses:
            self._small_weight -= kept.weight
            kept.is_main = True
            kept.uses = 0
            self._main.append(kept)
            return
        self._remember(kept.key, kept.weight)
        self._drop(kept)

    def _evict_main(self) -> None:
        kept = self._main.popleft()
        if kept.key is None:
            return
        if kept.uses:
            kept.uses -= 1
            self._main.append(kept)
            return
        self._drop(kept)

    def _drop(self, kept: Kept[V]) -> None:
        key = kept.key
        assert key is not None  # noqa: S101 - deleted ones were passed over
        del self._kept[key]
        self._leave(kept)
        if self._evicted is not None:
            self._evicted(key, kept.value)

    def _remember(self, key: str, weight: int) -> None:
        self._ghosts[key] = weight
        self._ghost_weight += weight
        while self._ghost_weight * _GHOSTS > self.room:
            _, gone = self._ghosts.popitem(last=False)
            self._ghost_weight -= gone

    def _sweep(self) -> None:
        self._small = deque(kept for kept in self._small if kept.key is not None)
        self._main = deque(kept for kept in self._main if kept.key is not None)
