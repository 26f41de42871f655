"""Which queues a worker asks, and in which order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from oxidite import clock
from oxidite.errors import ConfigError
from oxidite.queue.base import JobStore

__all__ = ["Weights"]

_LOOKS = 1.0  # seconds between two looks at which queues there are


class Weights:
    """The names of queues with their weights, or all that the store has."""

    def __init__(self, queues: Mapping[str, int] | Sequence[str] | None) -> None:
        self.finds: bool = queues is None
        known = ("default",) if queues is None else queues
        self.weights: dict[str, int] = (
            dict(known) if isinstance(known, Mapping) else dict.fromkeys(known, 1)
        )
        self._looked_at = 0.0
        if not self.weights or min(self.weights.values()) < 1:
            raise ConfigError("A worker needs the name of a queue; weights are from 1.")

    @property
    def names(self) -> list[str]:
        """The names, in no order."""
        return list(self.weights)

    def order(self) -> list[str]:
        """Return the queues in the order in which they are asked: by chance, the heavier the earlier."""
        if len(self.weights) == 1:
            return list(self.weights)
        keys = {name: random.random() ** (1 / weight) for name, weight in self.weights.items()}
        return sorted(keys, key=keys.__getitem__, reverse=True)

    async def find(self, store: JobStore) -> None:
        """Learn which queues there are, if all are meant."""
        now = clock.perf()
        if not self.finds or (self._looked_at and now - self._looked_at < _LOOKS):
            return
        self._looked_at = now
        names = [each.name for each in await store.queues()]
        self.weights = dict.fromkeys(("default", *names), 1)
