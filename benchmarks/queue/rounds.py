"""The workloads. In each round every row does each of them once, one row after the other."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.queue.processes import Client, FailedError, Place, Worker
from benchmarks.queue.results import PLACES, Results
from benchmarks.queue.stores import Stores

__all__ = ["KINDS", "Lengths", "run_rounds"]

_PAUSE = 0.01  # seconds between two jobs whose latency is measured
_LONGER = 4  # times as long as other kinds: of few jobs the 99th percentile is chance
_SETTLE = 3.0  # seconds after a worker's first job: some start processes, and import, behind it


@dataclass(frozen=True, slots=True)
class Lengths:
    """How much is done of each: at most ``jobs``, and for at most ``seconds``."""

    jobs: int
    seconds: float


def run_rounds(
    clients: Sequence[Client],
    stores: Stores,
    kinds: Sequence[str],
    lengths: Lengths,
    results: Results,
) -> None:
    """Fill in the samples of some ``KINDS``; a row that fails takes part no more."""
    left = list(clients)
    for client in clients:
        # The first connects, and imports what is imported late.
        client.push("one", 1, 10.0)
    for number in range(results.rounds):
        for kind in kinds:
            # Another one begins each time, so that none always follows the same.
            for client in left[number % len(left) :] + left[: number % len(left)]:
                try:
                    client.place.clear()
                    stores.empty(client.place.url)
                    KINDS[kind](client, lengths, results)
                except FailedError as exc:
                    results.problems[client.place.row.key] = str(exc)
                    left.remove(client)
            if not left:
                return
        print(f"round {number + 1} of {results.rounds}", file=sys.stderr, flush=True)


def _one(client: Client, lengths: Lengths, results: Results) -> None:
    pushed = client.push("one", lengths.jobs, lengths.seconds / 2)
    results.add(client.place.row.key, "one", pushed.count / pushed.seconds)


def _processed(places: int) -> Callable[[Client, Lengths, Results], None]:
    """Return what fills a queue and lets a worker empty it, from the first start to the last."""

    def work(client: Client, lengths: Lengths, results: Results) -> None:
        key = client.place.row.key
        pushed = client.push("many", lengths.jobs, lengths.seconds / 2)
        results.add(key, "many", pushed.count / pushed.seconds)
        with Worker(client.place, places) as worker:
            begun = worker.wait_for(pushed.count, lengths.seconds)
            if len(begun) < 2 or begun[-1] <= begun[0]:
                raise worker.failed(f"{len(begun)} jobs began")
        results.add(key, f"process{places}", (len(begun) - 1) / (begun[-1] - begun[0]))

    return work


def _latency(client: Client, lengths: Lengths, results: Results) -> None:
    place: Place = client.place
    count = min(lengths.jobs, max(int(lengths.seconds * _LONGER / _PAUSE), 10))
    with Worker(place, 10) as worker:
        client.push("one", 1, 1.0)
        worker.wait_for(1, 0.0)
        time.sleep(_SETTLE)
        place.clear()
        client.push("paced", count, _PAUSE)
        worker.wait_for(count, 10.0 + count * _PAUSE)
        waits = place.waits(count)
        if len(waits) < count:
            raise worker.failed(f"of {count} jobs only {len(waits)} began")
    results.add(place.row.key, "p50", statistics.median(waits))
    results.add(place.row.key, "p99", sorted(waits)[min(int(count * 0.99), count - 1)])


KINDS: dict[str, Callable[[Client, Lengths, Results], None]] = {
    "one": _one,
    **{f"process{places}": _processed(places) for places in PLACES},
    "latency": _latency,
}
"""What is done in a round, by name; those that process push in bulk before."""
