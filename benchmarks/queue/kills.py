"""Whether a job is run again whose worker is killed: each row tries it, with short time limits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.queue.processes import Client, FailedError, Place, Worker
from benchmarks.queue.results import Results

__all__ = ["probe"]

_SLOW = 60_000
"""The number of the job whose worker is killed."""


def probe(places: Sequence[Place], results: Results, patience: float) -> None:
    """Fill in after how many seconds each ran again, if it did within ``patience`` seconds."""

    results.patience = patience

    def tried(place: Place) -> float | None:
        with Client(place) as client:
            return _seconds(client, patience)

    # All at once: it is little work, and much waiting.
    with ThreadPoolExecutor(len(places)) as pool:
        for place, future in [(place, pool.submit(tried, place)) for place in places]:
            try:
                results.recovered[place.row.key] = future.result()
            except FailedError as exc:
                results.problems[f"{place.row.key}, killed"] = str(exc)


def _seconds(client: Client, patience: float) -> float | None:
    place = client.place
    client.push("slow", _SLOW, 0.0)
    with Worker(place, 2) as worker:
        first = _wait(place, 0.0, 30.0)
        if first is None:
            raise worker.failed("the job did not begin")
        time.sleep(0.5)
        worker.kill()
    killed = time.monotonic()
    with Worker(place, 2):
        while time.monotonic() < killed + patience:
            # Another job now and then: some look only then.
            client.push("one", 1, 1.0)
            again = _wait(place, first, 1.0)
            if again is not None:
                return again - killed
    return None


def _wait(place: Place, before: float, seconds: float) -> float | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (when := place.mark(_SLOW)) > before:
            return when
        time.sleep(0.05)
    return None
