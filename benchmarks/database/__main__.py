"""`python -m benchmarks.database`: our database beside other ORMs, on SQLite and PostgreSQL.

Each peer is a process in its own environment with its own tables of the same content. In each round every
peer does the same workload once, in turn, so that what disturbs the machine disturbs all of them. What
counts is the CPU time of the client; the time that passed, which has the server's work in it, is told too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.database.peers_process import PeerProcess, first_query, postgresql_database
from benchmarks.database.report import markdown
from benchmarks.database.results import Results
from benchmarks.environments import REPOSITORY, Environment, prepare

FOLDER = Path(__file__).parent / "peers"
PEERS = ("oxidite", "sqlalchemy", "sqlmodel", "tortoise", "piccolo", "django", "controls")
COUNTS = {
    "get": 300,
    "rows": 40,
    "eager": 12,
    "insert": 1,
    "insert_core": 1,
    "update": 120,
    "page": 100,
    "count": 200,
    "together": 3,
}
POSTGRESQL = os.environ.get(
    "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)
PAGE = REPOSITORY / "docs" / "benchmarks-database.md"


def main() -> int:
    """Run what was asked for and write the page."""
    options = _options()
    environments = {peer: prepare(peer, FOLDER, prefix="database-") for peer in options.peers}
    results = Results(options.rounds)
    for peer, environment in environments.items():
        if environment.problem is not None:
            results.problems[peer] = environment.problem
    ready = {peer: each for peer, each in environments.items() if each.problem is None}
    for engine in options.engines:
        with _started(engine, ready, results) as processes:
            _measure(engine, processes, options, results)
            if "oxidite" in processes:
                ours = processes["oxidite"]
                results.first[engine] = first_query(ready["oxidite"], ours.url)
    page = markdown(results, ready)
    options.output.write_text(page)
    print(page)
    return 0


@contextmanager
def _started(
    engine: str, environments: dict[str, Environment], results: Results
) -> Iterator[dict[str, PeerProcess]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = {}
        for peer, environment in environments.items():
            if engine == "sqlite":
                url = f"sqlite:///{directory / peer}.db"
            else:
                url = stack.enter_context(postgresql_database(POSTGRESQL, f"ox_bench_{peer}"))
            try:
                processes[peer] = stack.enter_context(PeerProcess(peer, environment, url))
            except RuntimeError as exc:
                results.problems[f"{peer} on {engine}"] = str(exc)
        yield processes


def _measure(
    engine: str,
    processes: dict[str, PeerProcess],
    options: argparse.Namespace,
    results: Results,
) -> None:
    for workload in options.workloads:
        takes_part = [peer for peer, each in processes.items() if workload in each.workloads]
        for number in range(options.rounds + 1):
            for peer in takes_part:
                sample = processes[peer].run(workload, COUNTS[workload])
                if number:  # the first one warms up
                    results.add(engine, workload, peer, sample)
        cpu = {peer: statistics.median(results.cpu(engine, workload, peer)) for peer in takes_part}
        shown = ", ".join(f"{peer} {value * 1e6:.0f} us" for peer, value in cpu.items())
        print(f"{engine} {workload}: {shown}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.database", description=__doc__)
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--workloads", nargs="+", choices=list(COUNTS), default=list(COUNTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=PAGE)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
