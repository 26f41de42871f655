"""What was measured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

__all__ = ["Results", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds for one operation: of CPU of the client, and that passed; and what was done in all."""

    cpu: float
    wall: float
    value: int


@dataclass
class Results:
    """All samples, by engine, workload and peer."""

    rounds: int
    samples: dict[tuple[str, str, str], list[Sample]] = field(
        default_factory=lambda: defaultdict(list)
    )
    problems: dict[str, str] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    """Seconds of the first query of a process that has just opened its database, by engine."""

    def add(self, engine: str, workload: str, peer: str, sample: Sample) -> None:
        """Keep a sample; all peers have to have done the same."""
        for (other_engine, other, _), found in self.samples.items():
            same = (other_engine, other.partition("_")[0]) == (engine, workload.partition("_")[0])
            if same and found[0].value != sample.value:
                raise SystemExit(
                    f"{engine} {workload}: {peer} did {sample.value}, another one {found[0].value}"
                )
        self.samples[engine, workload, peer].append(sample)

    def cpu(self, engine: str, workload: str, peer: str) -> list[float]:
        """Return the seconds of CPU of each round."""
        return [each.cpu for each in self.samples.get((engine, workload, peer), [])]

    def wall(self, engine: str, workload: str, peer: str) -> list[float]:
        """Return the seconds of each round."""
        return [each.wall for each in self.samples.get((engine, workload, peer), [])]
