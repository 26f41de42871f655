"""`python -m benchmarks`: measures, compares, writes a page. `… micro`: in-process, in seconds."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.contract import WORKLOADS
from benchmarks.environments import CONTROLS, OURS, REPOSITORY, STATE, peer_names
from benchmarks.measure import wrk_version
from benchmarks.plans import IDLE_TARGETS, PAIRED, SETS, comparisons, stream_targets
from benchmarks.results import Results
from benchmarks.runner import Fleet, run, run_idle, run_stream
from benchmarks.servers import raise_file_limit

PAGE = REPOSITORY / "docs" / "benchmarks.md"
PEERS = [name for name in peer_names() if name not in (OURS, CONTROLS)]


def main() -> int:
    """Run what was asked for, and write down what was found even if interrupted."""
    if sys.argv[1:2] == ["micro"]:
        from benchmarks import micro

        return micro.main(sys.argv[2:])
    options = _options()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two cores are needed: one for the server, one for the client")
    wrk_version()
    raise_file_limit()
    # So that being ended also unwinds, and stops the servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = Results()
    interrupted = False
    with _alone():
        try:
            with Fleet(results) as fleet:
                _run(options, fleet, results)
        except KeyboardInterrupt:
            interrupted = True
            # Half a run does not replace a whole one.
            if options.output == PAGE:
                options.output = STATE / "benchmarks.md"
    _write(options, results)
    return 130 if interrupted else 0


def _run(options: argparse.Namespace, fleet: Fleet, results: Results) -> None:
    planned = [
        comparison
        for name in options.set
        if name in PAIRED
        for comparison in comparisons(name, options.peers, options.workloads)
    ]
    cells = sum(len(comparison.cells) for comparison in planned)
    minutes = cells * (options.windows + 1) * (options.seconds + 0.15) / 60
    print(f"{cells} cells, about {minutes:.0f} minutes", file=sys.stderr, flush=True)
    for peer in [*options.peers, CONTROLS, OURS]:
        fleet.environment(peer)
    for comparison in planned:
        run(comparison, fleet, results, windows=options.windows, seconds=options.seconds)
    if "stream" in options.set:
        labels = stream_targets(options.peers)
        run_stream(fleet, results, labels, size=options.stream_bytes, rounds=options.stream_rounds)
    if "idle" in options.set:
        run_idle(fleet, results, IDLE_TARGETS, options.connections)


def _write(options: argparse.Namespace, results: Results) -> None:
    page = report.markdown(
        results, peers=options.peers, windows=options.windows, seconds=options.seconds
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page)
    if options.json is not None:
        options.json.write_text(json.dumps(results.as_json(), indent=1))
    print(page)
    print(f"written to {options.output}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--set", nargs="+", choices=SETS, default=list(SETS), help="what to run")
    parser.add_argument("--peers", nargs="+", choices=[*PEERS, "none"], default=PEERS)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--windows", type=int, default=9, help="rounds; a bar needs 9")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a window")
    parser.add_argument("--connections", type=int, default=10_000, help="of the idle set")
    parser.add_argument("--stream-bytes", type=int, default=2**30, help="of the stream set")
    parser.add_argument("--stream-rounds", type=int, default=3, help="of the stream set")
    parser.add_argument(
        "--output",
        type=Path,
        help=f"default: {PAGE.relative_to(REPOSITORY)} for a whole run, else .bench/benchmarks.md",
    )
    parser.add_argument("--json", type=Path, help="every window, for a closer look")
    options = parser.parse_args()
    whole = (options.set, options.peers, options.workloads) == (list(SETS), PEERS, list(WORKLOADS))
    if options.output is None:
        options.output = PAGE if whole and options.windows >= 9 else STATE / "benchmarks.md"
    if "none" in options.peers:
        options.peers = []
    return options


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the machine for one run at a time: two would measure each other."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another run of the benchmarks is going on; wait for it") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
