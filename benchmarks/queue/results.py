"""What was measured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

__all__ = ["PLACES", "WORK", "Results"]

PLACES = (1, 10, 100)
WORK = {
    "one": "pushed one by one",
    "many": "pushed in bulk",
    **{f"process{places}": f"processed, {places} at once" for places in PLACES},
    "p50": "from push to start, p50",
    "p99": "from push to start, p99",
}
"""Jobs a second, and seconds of latency, by what the tables call them."""


@dataclass
class Results:
    """All samples, by row and work."""

    rounds: int
    samples: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: dict[str, str] = field(default_factory=dict)
    recovered: dict[str, float | None] = field(default_factory=dict)
    """Seconds after which a job ran again whose worker was killed; ``None``: it did not."""
    patience: float = 0.0
    """Seconds for which that was waited for."""
    claims: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Seconds of an exchange with nearly nothing waiting, and with much, by store of ours."""
    waiting: int = 0
    """How many jobs that much was."""
    idle: dict[str, float] = field(default_factory=dict)
    """The share of a core that an idle worker of ours takes, by store."""

    def add(self, row: str, work: str, value: float) -> None:
        """Keep a sample."""
        self.samples[row, work].append(value)
