"""What is measured of ours alone: claims out of a million, and workers that have nothing to do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.environments import Environment
from benchmarks.queue.processes import Client, FailedError, Place, Worker
from benchmarks.queue.results import Results
from benchmarks.queue.stores import Stores

__all__ = ["claims", "idle"]


def claims(
    environment: Environment, stores: Stores, kinds: Sequence[str], many: int, results: Results
) -> None:
    """Fill in what an exchange takes with few and with many jobs waiting, by store."""
    results.waiting = many
    script = Path(__file__).with_name("waiting.py")
    for kind in kinds:
        urls = [stores.make(kind), stores.make(kind)]
        done = subprocess.run(
            [str(environment.bin / "python"), str(script), *urls, str(many)],
            capture_output=True,
            text=True,
            check=False,
        )
        for url in urls:
            stores.empty(url)
        if done.returncode:
            results.problems[f"claims on {kind}"] = done.stderr
            continue
        found = json.loads(done.stdout)
        results.claims[kind] = found["few"], found["many"]
        print(f"claims on {kind}: {found}", file=sys.stderr, flush=True)


def idle(places: Sequence[Place], seconds: float, results: Results) -> None:
    """Fill in the share of a core that a worker takes that waits, its supervisor included."""
    with ExitStack() as stack:
        workers = []
        for place in places:
            client = stack.enter_context(Client(place))
            worker = stack.enter_context(Worker(place, 10))
            client.push("one", 1, 1.0)
            try:
                worker.wait_for(1, 0.0)
            except FailedError as exc:
                results.problems[f"idle on {place.row.store}"] = str(exc)
                continue
            workers.append(worker)
        time.sleep(2)
        before = [worker.cpu() for worker in workers]
        began = time.monotonic()
        time.sleep(seconds)
        after = [worker.cpu() for worker in workers]
        took = time.monotonic() - began
        for worker, first, last in zip(workers, before, after, strict=True):
            results.idle[worker.place.row.store] = (last - first) / took
