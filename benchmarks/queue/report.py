"""The page of the benchmark of jobs."""

from __future__ import annotations

import platform
import sqlite3
import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.environments import Environment
from benchmarks.queue.results import WORK, Results
from benchmarks.queue.rows import ROWS, STORES, Row

__all__ = ["markdown"]

OURS = "oxidite"
IDLE = 0.01  # of a core
SLOWER = 1.2  # times an exchange may take of what it takes with few jobs waiting
DISTRIBUTIONS = {
    "oxidite": ("msgspec", "asyncpg", "redis", "hiredis", "uvloop"),
    "saq": ("saq", "redis", "psycopg"),
    "arq": ("arq", "redis"),
    "taskiq": ("taskiq", "taskiq-redis", "redis", "uvloop"),
    "celery": ("celery", "kombu", "gevent", "redis"),
    "dramatiq": ("dramatiq", "redis"),
    "procrastinate": ("procrastinate", "psycopg"),
}
_HEAD = """\
# Jobs side by side

`make bench-queue` makes this page: medians of {rounds} rounds, and the range of what was found in brackets. In each
round every row does each kind of work once, one row after the other, so that what disturbs the machine disturbs
all of them. The figures are of one machine and moved with what else it did; compare those of a column.

Every peer has an environment of its own and is used as its manual recommends. Jobs are pushed by one process, under
uvloop, and run by one worker process, started by the peer's own command, which logs warnings only; with Celery's
prefork it is as many processes as jobs run at once, and its hundred are greenlets of one. The jobs do nothing but
note the time at which they begin, in memory that all processes share. Both servers are the benchmark's own. What
is processed in a second is counted from the first beginning to the last. Latency is that of a job pushed every 10 ms
to a worker of ten places that has nothing else to do, from before the push to the beginning.
"""
_NOT_HERE = """\
taskiq has brokers for PostgreSQL too (taskiq-postgres). They are left out: a message is only announced to workers that
listen at that moment, so jobs that were pushed before a worker began are not run, and what a killed worker had is
not given to another.
"""


def markdown(results: Results, environments: Mapping[str, Environment]) -> str:
    """Return the page."""
    return "\n".join(_lines(results, environments)) + "\n"


def _lines(results: Results, environments: Mapping[str, Environment]) -> Iterator[str]:
    yield from _HEAD.format(rounds=results.rounds).splitlines()
    yield ""
    for is_durable, title in ((True, "What survives `kill -9`"), (False, "What does not")):
        rows = [row for row in _measured(results) if row.is_durable is is_durable]
        if not rows:
            continue
        yield f"## {title}"
        yield ""
        for store, words in STORES.items():
            yield from _table(results, [row for row in rows if row.store == store], words)
    yield from _NOT_HERE.splitlines()
    yield ""
    yield from _settings(results)
    yield from _bars(results)
    for what, problem in results.problems.items():
        yield f"Not measured: {what}: `{_short(problem)}`"
        yield ""
    yield "## Versions"
    yield ""
    yield f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}."
    yield ""
    for peer, environment in environments.items():
        versions = environment.versions()
        shown = [f"{name} {versions[name]}" for name in DISTRIBUTIONS[peer] if name in versions]
        yield f"- {peer}: {', '.join(shown)}"


def _measured(results: Results) -> list[Row]:
    return [row for row in ROWS if any((row.key, work) in results.samples for work in WORK)]


def _table(results: Results, rows: Sequence[Row], words: str) -> Iterator[str]:
    if not rows:
        return
    yield f"### {words}"
    yield ""
    yield f"| Jobs a second | {' | '.join(row.name for row in rows)} |"
    yield f"|---|{'---|' * len(rows)}"
    for work, what in WORK.items():
        cells = [_cell(results, row, work) for row in rows]
        unit = ", ms" if work in ("p50", "p99") else ""
        yield f"| {what}{unit} | {' | '.join(cells)} |"
    yield ""


def _cell(results: Results, row: Row, work: str) -> str:
    found = results.samples.get((row.key, work))
    if not found:
        return ""
    if work in ("p50", "p99"):
        low, middle, high = (each * 1000 for each in _spread(found))
        return f"{middle:.1f} ({low:.1f} to {high:.1f})"
    low, middle, high = _spread(found)
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def _spread(found: Sequence[float]) -> tuple[float, float, float]:
    return min(found), statistics.median(found), max(found)


def _settings(results: Results) -> Iterator[str]:
    yield "## How each is set, and whether it survives"
    yield ""
    yield "In the last column the worker was killed by `kill -9` half a second into a job, another one was started, and"
    yield "that is when the job ran again. For this the time limits were set to 4 s, where there are any; with those that a peer"
    yield "has by itself it may take minutes (arq 5, Dramatiq 1, taskiq 10, Celery 60)."
    yield ""
    yield "| | Store | Set | By its manual | Ran again |"
    yield "|---|---|---|---|---|"
    for row in ROWS:
        if row.key in results.recovered:
            seconds = results.recovered[row.key]
            never = f"not within {results.patience:g} s"
            found = never if seconds is None else f"after {seconds:.1f} s"
            yield f"| {row.name} | {row.store} | {row.settings} | {row.manual} | {found} |"
    yield ""


def _bars(results: Results) -> Iterator[str]:
    yield "## What was to be reached"
    yield ""
    yield "Of what survives `kill -9`: more in a second, or less latency, than the best peer on the same store."
    yield "Medians of the ratios of each round."
    yield ""
    yield "| Store | | Best peer | Ours | Times | |"
    yield "|---|---|---|---|---|---|"
    for row in ROWS:
        if row.peer == OURS:
            for work in WORK:
                yield from _bar(results, row, work)
    if results.claims:
        yield ""
        yield f"| An exchange that claims ten jobs | few wait | {results.waiting:,} wait | Times, at most {SLOWER:g} | |"
        yield "|---|---|---|---|---|"
        for store, (few, many) in results.claims.items():
            verdict = _verdict(many <= few * SLOWER)
            times = f"{many / few:.2f}"
            yield f"| {store} | {few * 1000:.2f} ms | {many * 1000:.2f} ms | {times} | {verdict} |"
    if results.idle:
        yield ""
        yield f"| A worker with nothing to do | CPU, less than {IDLE:.0%} of a core | |"
        yield "|---|---|---|"
        for store, share in results.idle.items():
            yield f"| {store} | {share:.2%} | {_verdict(share < IDLE)} |"
    yield ""


def _bar(results: Results, row: Row, work: str) -> Iterator[str]:
    ours = results.samples.get((row.key, work), [])
    is_time = work in ("p50", "p99")
    best: tuple[float, Row] | None = None
    for peer in ROWS:
        theirs = results.samples.get((peer.key, work), [])
        # By its manual, whatever the probe found: a machine that is slow that day makes no bar lower.
        if peer.peer == OURS or peer.store != row.store or not peer.is_durable:
            continue
        if len(theirs) != len(ours) or not ours:
            continue
        # Round by round, as what disturbs one round disturbs all in it.
        pairs = zip(ours, theirs, strict=True)
        times = statistics.median(their / our if is_time else our / their for our, their in pairs)
        if best is None or times < best[0]:
            best = times, peer
    if best is None:
        return
    times, peer = best
    cells = (_cell(results, each, work).partition(" ")[0] for each in (peer, row))
    theirs_shown, ours_shown = cells
    unit = " ms" if is_time else ""
    yield (
        f"| {row.store} | {WORK[work]} | {peer.name}, {theirs_shown}{unit} | {ours_shown}{unit} "
        f"| {times:.2f} | {_verdict(times > 1)} |"
    )


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "**missed**"


def _short(problem: str) -> str:
    """The beginning, which says what failed, and the end, which says why."""
    words = " ".join(problem.split())
    return words if len(words) < 300 else f"{words[:100]} … {words[-200:]}"
