"""`python -m benchmarks.cache`: our cache beside others, in memory; and how often its map hits.

Each peer is a process in an environment of its own. In each round every peer does the same work, in
turn and for the same time, so that what disturbs the machine disturbs all of them. What counts is CPU time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cache.traces import TRACES, hit_cost, hit_rates
from benchmarks.environments import REPOSITORY, Environment, prepare

FOLDER = Path(__file__).parent / "peers"
PEERS = ("oxidite", "cashews", "aiocache", "django")
WORKLOADS = {
    "get": "a hit: `get` of a Struct of five fields",
    "cached": "a hit of a decorated function",
    "together": "1,000 who miss one key at once, for each",
}
SECONDS = 0.05
PAGE = REPOSITORY / "docs" / "benchmarks-cache.md"

Samples = dict[tuple[str, str], list[tuple[float, int]]]


def main() -> int:
    """Run what was asked for and write the page."""
    parser = argparse.ArgumentParser(prog="benchmarks.cache", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    environments = {peer: prepare(peer, FOLDER, prefix="cache-") for peer in options.peers}
    samples = _measured(environments, options.rounds)
    page = "\n".join(_page(samples, environments, options.rounds)) + "\n"
    options.output.write_text(page)
    print(page)
    return 0


def _measured(environments: dict[str, Environment], rounds: int) -> Samples:
    samples: Samples = defaultdict(list)
    processes = {
        peer: subprocess.Popen(
            [str(each.bin / "python"), str(Path(__file__).with_name("harness.py")), peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for peer, each in environments.items()
        if each.problem is None
    }
    try:
        can = {peer: _read(process) for peer, process in processes.items()}
        for number in range(rounds + 1):
            for workload in WORKLOADS:
                for peer, process in processes.items():
                    if workload not in can[peer]:
                        continue
                    assert process.stdin is not None
                    process.stdin.write(json.dumps([workload, SECONDS]) + "\n")
                    process.stdin.flush()
                    seconds, made = _read(process)
                    if number:  # the first one warms up
                        samples[workload, peer].append((seconds, made))
    finally:
        for process in processes.values():
            process.communicate()
    return samples


def _read(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a peer ended; its error is above")
    found: list[float] = json.loads(line)
    return found


def _page(samples: Samples, environments: dict[str, Environment], rounds: int) -> Iterator[str]:
    yield "# The cache side by side"
    yield ""
    yield f"`python -m benchmarks.cache` makes this page: CPU time of {rounds} rounds, in which every peer does the same work"
    yield "in turn, in a process and an environment of its own, under uvloop. All keep their values in memory; Django's `get` is"
    yield "the sync one, and it has no decorator of functions. The times are first quartiles, as what else the machine does only"
    yield 'adds to them; the ratios under "What was to be reached" are medians of the rounds\' own.'
    yield ""
    peers = list(environments)
    yield f"| Microseconds | {' | '.join(peers)} |"
    yield f"|---|{'---|' * len(peers)}"
    for workload, what in WORKLOADS.items():
        cells = [_cell(samples, workload, peer) for peer in peers]
        yield f"| {what} | {' | '.join(cells)} |"
    yield ""
    yield "Of 1,000 who miss at once the factory ran so often: " + ", ".join(
        f"{peer} {max(made for _, made in found)}"
        for (workload, peer), found in samples.items()
        if workload == "together"
    )
    yield ""
    yield "## What was to be reached"
    yield ""
    yield "| | At least | Found | |"
    yield "|---|---|---|---|"
    yield from _bars(samples)
    yield ""
    yield "The traces are of 100,000 keys, a million requests, and room for 2,000; `benchmarks/cache/traces.py` makes them."
    yield ""
    versions = ", ".join(
        f"{peer} {each.versions().get(peer, '')}".strip() for peer, each in environments.items()
    )
    yield f"CPython {platform.python_version()}, {platform.machine()}; {versions}."
    for peer, each in environments.items():
        if each.problem is not None:
            yield ""
            yield f"Not measured: {peer}: `{each.problem}`"


def _usual(samples: Samples, workload: str, peer: str) -> float:
    # The first quartile: what disturbs a machine only ever adds to the time.
    return statistics.quantiles(seconds for seconds, _ in samples[workload, peer])[0]


def _cell(samples: Samples, workload: str, peer: str) -> str:
    if (workload, peer) not in samples:
        return ""
    value = _usual(samples, workload, peer)
    times = value / _usual(samples, workload, "oxidite")
    return f"{value * 1e6:.2f}" + ("" if peer == "oxidite" else f" ({times:.1f}x)")


def _bars(samples: Samples) -> Iterator[str]:
    for workload, name in (("get", "a hit of `get`"), ("cached", "a hit of a decorated function")):
        value = _usual(samples, workload, "oxidite") * 1e6
        yield f"| {name} | < 1 µs | {value:.2f} µs | {_verdict(value < 1)} |"
        if (workload, "cashews") in samples:
            pairs = zip(samples[workload, "oxidite"], samples[workload, "cashews"], strict=True)
            ratio = statistics.median(theirs[0] / ours[0] for ours, theirs in pairs)
            yield f"| {name}, than cashews | 10x | {ratio:.1f}x | {_verdict(ratio >= 10)} |"
    made = max(made for _, made in samples["together", "oxidite"])
    yield f"| 1,000 who miss at once make it | once | {made} | {_verdict(made == 1)} |"
    for name, (trace, least) in TRACES.items():
        theirs, ours = hit_rates(trace)
        verdict = _verdict(round(ours, 1) >= least)
        yield f"| hits, {name} (least recently used: {theirs:.1f} %) | {least} % | {ours:.1f} % | {verdict} |"
    cost = hit_cost() * 1e9
    yield f"| a hit of the map alone | < 270 ns | {cost:.0f} ns | {_verdict(cost < 270)} |"


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "**missed**"


if __name__ == "__main__":
    sys.exit(main())
