"""How often S3-FIFO and the least recently used hit, on traces of 100,000 keys with room for 2,000."""

from __future__ import annotations

import itertools
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from oxidite.cache import S3FIFO

__all__ = ["TRACES", "hit_cost", "hit_rates"]

KEYS, ROOM, LENGTH = 100_000, 2_000, 1_000_000
_WEIGHTS = list(itertools.accumulate(1 / rank**0.9 for rank in range(1, KEYS + 1)))


def _drawn(chance: random.Random, count: int, keys: list[str]) -> list[str]:
    return chance.choices(keys, cum_weights=_WEIGHTS, k=count)


def _keys(chance: random.Random) -> list[str]:
    keys = [str(number) for number in range(KEYS)]
    chance.shuffle(keys)
    return keys


def zipf() -> Iterator[str]:
    """Yield keys as popular as their rank to the power of -0.9."""
    chance = random.Random(1)
    yield from _drawn(chance, LENGTH, _keys(chance))


def scans() -> Iterator[str]:
    """Yield the same, and after each 20,000 of them 5,000 that come once."""
    chance = random.Random(2)
    keys = _keys(chance)
    for number in range(LENGTH // 25_000):
        yield from _drawn(chance, 20_000, keys)
        yield from (f"scan {number} {each}" for each in range(5_000))


def shifting() -> Iterator[str]:
    """Yield the same, with another tenth of the keys as the popular ones after each 100,000."""
    chance = random.Random(3)
    keys = _keys(chance)
    for _ in range(LENGTH // 100_000):
        yield from _drawn(chance, 100_000, keys)
        keys = keys[KEYS // 10 :] + keys[: KEYS // 10]


TRACES: dict[str, tuple[Callable[[], Iterator[str]], float]] = {
    "Zipf 0.9": (zipf, 52.1),
    "Zipf and scans": (scans, 41.2),
    "shifting hot set": (shifting, 45.8),
}
"""Each trace, and the per cent of hits that are to be reached."""


def hit_rates(trace: Callable[[], Iterator[str]]) -> tuple[float, float]:
    """Return the per cent of hits of the least recently used, and of S3-FIFO."""
    recent: OrderedDict[str, None] = OrderedDict()
    kept: S3FIFO[bool] = S3FIFO(ROOM)
    total = theirs = ours = 0
    for key in trace():
        total += 1
        if key in recent:
            theirs += 1
            recent.move_to_end(key)
        else:
            recent[key] = None
            if len(recent) > ROOM:
                recent.popitem(last=False)
        if kept.get(key) is None:
            kept.set(key, True)
        else:
            ours += 1
    return 100 * theirs / total, 100 * ours / total


def hit_cost() -> float:
    """Return the seconds of a hit of S3-FIFO: the least of several rounds."""
    kept: S3FIFO[int] = S3FIFO(ROOM)
    keys = [str(number) for number in range(ROOM)]
    for key in keys:
        kept.set(key, 1)
    best = 1.0
    for _ in range(50):
        began = time.perf_counter()
        for key in keys:
            kept.get(key)
        best = min(best, (time.perf_counter() - began) / len(keys))
    return best
