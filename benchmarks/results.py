"""What a run found out, and the few sums that are made with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from benchmarks.environments import Environment
from benchmarks.idle import Idle
from benchmarks.measure import Spread, Window
from benchmarks.plans import Cell, Comparison
from benchmarks.stream import Stream


@dataclass(slots=True)
class Measured:
    """The windows of a comparison: one mapping from cell to window for each round."""

    comparison: Comparison
    rounds: list[dict[Cell, Window]] = field(default_factory=list)

    def values(self, cell: Cell, name: str) -> list[float]:
        """One figure of every window of a cell."""
        return [getattr(r[cell], name) for r in self.rounds if cell in r]

    def median(self, cell: Cell, name: str) -> float:
        """The median of a figure; infinite where there is none, so that it sorts last."""
        values = self.values(cell, name)
        return Spread.of(values).median if values else float("inf")

    def ratio(self, slow: Cell, fast: Cell) -> Spread | None:
        """How many times the CPU of `fast` the cell `slow` needs, round by round."""
        both = [r for r in self.rounds if slow in r and fast in r]
        return Spread.of([r[slow].cpu_us / r[fast].cpu_us for r in both]) if both else None


@dataclass(slots=True)
class Results:
    """Everything a run found out."""

    measured: list[Measured] = field(default_factory=list)
    idle: list[Idle] = field(default_factory=list)
    streams: list[dict[str, Stream]] = field(default_factory=list)
    """For each round, what the download from each target showed."""
    failures: dict[str, str] = field(default_factory=dict)
    """What could not be measured (an environment, a server, a cell) and why."""
    environments: dict[str, Environment] = field(default_factory=dict)

    def of(self, set_name: str) -> list[Measured]:
        """The comparisons of a set that have windows."""
        return [m for m in self.measured if m.comparison.set == set_name and m.rounds]

    def windows(self) -> Iterator[Window]:
        """Every window there was."""
        return (w for m in self.measured for r in m.rounds for w in r.values())

    def streamed(self, target: str) -> list[Stream]:
        """What the downloads from a target showed."""
        return [r[target] for r in self.streams if target in r]

    def stream_ratio(self, slow: str, fast: str) -> Spread | None:
        """How many times the CPU of `fast` a stream from `slow` needs, round by round."""
        both = [r for r in self.streams if slow in r and fast in r]
        return Spread.of([r[slow].cpu / r[fast].cpu for r in both]) if both else None

    def as_json(self) -> dict[str, object]:
        """Every window, so that other questions can be asked of the same run."""
        return {
            "versions": {name: e.versions() for name, e in self.environments.items()},
            "failures": self.failures,
            "comparisons": [
                {
                    "set": m.comparison.set,
                    "title": m.comparison.title,
                    "rounds": [{cell.key: asdict(w) for cell, w in r.items()} for r in m.rounds],
                }
                for m in self.measured
            ],
            "idle": [asdict(found) for found in self.idle],
            "streams": [{k: asdict(s) for k, s in r.items()} for r in self.streams],
        }
