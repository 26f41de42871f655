"""`python -m benchmarks.queue`: our jobs beside other queues, on Redis, PostgreSQL and SQLite.

Each row is a peer on a store: a process that pushes, and workers that are started by the peer's own command.
Servers are the benchmark's own, set so that they lose nothing that matters here; the page says how.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.environments import REPOSITORY, Environment, prepare
from benchmarks.queue.kills import probe
from benchmarks.queue.ours import claims, idle
from benchmarks.queue.peers import marks
from benchmarks.queue.processes import Client, FailedError, Place
from benchmarks.queue.report import markdown
from benchmarks.queue.results import Results
from benchmarks.queue.rounds import KINDS, Lengths, run_rounds
from benchmarks.queue.rows import ROWS, Row
from benchmarks.queue.stores import Stores, own_stores

FOLDER = Path(__file__).parent / "peers"
PAGE = REPOSITORY / "docs" / "benchmarks-queue.md"
PARTS = ("rounds", "kills", "claims", "idle")


def main() -> int:
    """Run what was asked for and write the page."""
    # Whatever ends it, its servers and workers end too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options = _options()
    rows = [row for row in ROWS if row.key in options.only]
    environments = {
        peer: prepare(peer, FOLDER, prefix="queue-")
        for peer in dict.fromkeys(row.peer for row in rows)
    }
    results = Results(options.rounds)
    for row in rows:
        if (problem := environments[row.peer].problem) is not None:
            results.problems[row.key] = problem
    ready = [row for row in rows if environments[row.peer].problem is None]
    with own_stores() as stores, tempfile.TemporaryDirectory() as folder:
        _measure(options, ready, environments, stores, Path(folder), results)
    page = markdown(results, environments)
    options.output.write_text(page)
    print(page)
    return 0


def _measure(
    options: argparse.Namespace,
    rows: Sequence[Row],
    environments: dict[str, Environment],
    stores: Stores,
    folder: Path,
    results: Results,
) -> None:
    def place(row: Row, *, is_hasty: bool = False) -> Place:
        url = stores.make(row.store)
        return Place(row, environments[row.peer], url, folder, is_hasty=is_hasty)

    ours = [row for row in rows if row.peer == "oxidite"]
    if "rounds" in options.parts:
        with ExitStack() as stack:
            clients = []
            for row in rows:
                try:
                    clients.append(stack.enter_context(Client(place(row))))
                except FailedError as exc:
                    results.problems[row.key] = str(exc)
            lengths = Lengths(options.jobs, options.seconds)
            run_rounds(clients, stores, options.kinds, lengths, results)
    if "kills" in options.parts:
        probe([place(row, is_hasty=True) for row in rows], results, options.patience)
    if "claims" in options.parts and ours:
        kinds = [row.store for row in ours]
        claims(environments["oxidite"], stores, kinds, options.waiting, results)
    if "idle" in options.parts and ours:
        idle([place(row) for row in ours], options.idle, results)


def _options() -> argparse.Namespace:
    keys = [row.key for row in ROWS]
    parser = argparse.ArgumentParser(prog="benchmarks.queue", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=keys, default=keys, metavar="ROW")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=10_000, help="of one kind of work, at most")
    parser.add_argument("--seconds", type=float, default=1.5, help="of one kind of work, about")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="jobs to claim out of")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds that workers wait")
    parser.add_argument("--patience", type=float, default=40.0, help="seconds after a kill")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    if not 2 <= options.jobs < marks.NUMBERS or options.rounds < 1 or options.seconds <= 0:
        parser.error(f"--jobs are 2 to {marks.NUMBERS - 1}, --rounds from 1, --seconds above 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
