"""The page of the database's benchmark."""

from __future__ import annotations

import platform
import sqlite3
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.database.results import Results
from benchmarks.environments import Environment

__all__ = ["markdown"]

WORKLOADS = {
    "get": "a row by its key",
    "rows": "100 rows of 8 columns as objects",
    "eager": "100 authors with 10 posts each",
    "insert": "5,000 objects made and inserted, with their keys",
    "insert_core": "5,000 dictionaries inserted, no objects (SQLAlchemy's `insert()`)",
    "update": "a row read, changed and saved",
    "page": "a page of 20 rows after a key",
    "count": "rows counted",
    "together": "200 `get`s at once, on 10 connections",
}
DISTRIBUTIONS = {
    "oxidite": ("msgspec", "asyncpg", "aiosqlite"),
    "sqlalchemy": ("sqlalchemy", "asyncpg", "aiosqlite"),
    "sqlmodel": ("sqlmodel", "sqlalchemy", "pydantic"),
    "tortoise": ("tortoise-orm", "asyncpg"),
    "piccolo": ("piccolo", "asyncpg"),
    "django": ("django", "psycopg"),
    "controls": ("asyncpg", "aiosqlite"),
}


@dataclass(frozen=True)
class Bar:
    """How many times less than a peer; ``peer`` is ``None`` for the best one."""

    workload: str
    peer: str | None
    times: float
    engines: tuple[str, ...] = ("sqlite", "postgresql")
    against: str | None = None
    """The workload of the peer, where it is another one."""
    wall: bool = False


BARS = (
    Bar("get", "sqlalchemy", 5),
    Bar("rows", "sqlalchemy", 5),
    Bar("eager", "sqlalchemy", 5),
    Bar("insert", "sqlalchemy", 10),
    Bar("insert", "sqlalchemy", 1.5, against="insert_core"),
    Bar("update", None, 1),
    Bar("page", None, 1),
    Bar("count", None, 1),
    Bar("together", "controls", 2, engines=("postgresql",), wall=True),
)


def markdown(results: Results, environments: Mapping[str, Environment]) -> str:
    """Return the page."""
    return "\n".join(_lines(results, environments)) + "\n"


def _lines(results: Results, environments: Mapping[str, Environment]) -> Iterator[str]:
    yield "# The database side by side"
    yield ""
    yield f"`python -m benchmarks.database` makes this page: medians of {results.rounds} rounds. In each, every"
    yield "peer does the same work in turn, in a process and an environment of its"
    yield "own, under uvloop. The figures are of one machine and moved with what else it did; compare those of a row."
    yield "`controls` is no ORM but the drivers, asyncpg with its pool and aiosqlite, with a statement for each `get`,"
    yield "and rows that stay tuples: what an ORM can come near to, and not below."
    yield ""
    engines = list(dict.fromkeys(engine for engine, _, _ in results.samples))
    for engine in engines:
        yield from _table(results, engine, "CPU time of the client", wall=False)
        yield from _table(results, engine, "Time that passed", wall=True)
    yield "## What was to be reached"
    yield ""
    yield "| Engine | Work | Than | At least | Found | |"
    yield "|---|---|---|---|---|---|"
    for bar in BARS:
        for engine in bar.engines:
            if engine in engines:
                yield from _bar(results, engine, bar)
    for engine, seconds in results.first.items():
        verdict = "reached" if seconds < 0.02 else "**missed**"
        yield (
            f"| {engine} | first query of a process that has opened its database | | < 20 ms | "
            f"{seconds * 1000:.1f} ms | {verdict} |"
        )
    yield ""
    for what, problem in results.problems.items():
        yield f"Not measured: {what}: `{problem.strip().splitlines()[-1]}`"
        yield ""
    yield "## Versions"
    yield ""
    yield f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}."
    yield ""
    for peer, environment in environments.items():
        versions = environment.versions()
        shown = ", ".join(
            f"{name} {versions[name]}" for name in DISTRIBUTIONS[peer] if name in versions
        )
        yield f"- {peer}: {shown}"


def _peers(results: Results) -> list[str]:
    return list(dict.fromkeys(peer for _, _, peer in results.samples))


def _table(results: Results, engine: str, title: str, *, wall: bool) -> Iterator[str]:
    peers = _peers(results)
    yield f"## {engine}: {title}"
    yield ""
    yield "Microseconds for one of each; beside it how many times ours."
    yield ""
    yield f"| | {' | '.join(peers)} |"
    yield f"|---|{'---|' * len(peers)}"
    of = results.wall if wall else results.cpu
    for workload, what in WORKLOADS.items():
        ours = of(engine, workload.partition("_")[0], "oxidite")
        cells = []
        for peer in peers:
            found = of(engine, workload, peer)
            if not found:
                cells.append("")
                continue
            value = statistics.median(found)
            times = (
                f" ({value / statistics.median(ours):.1f}x)" if ours and peer != "oxidite" else ""
            )
            cells.append(f"{value * 1e6:,.0f}{times}")
        if any(cells):
            yield f"| {what} | {' | '.join(cells)} |"
    yield ""


def _bar(results: Results, engine: str, bar: Bar) -> Iterator[str]:
    of = results.wall if bar.wall else results.cpu
    ours = of(engine, bar.workload, "oxidite")
    peers = (
        [bar.peer] if bar.peer else [p for p in _peers(results) if p not in ("oxidite", "controls")]
    )
    theirs = {
        peer: found for peer in peers if (found := of(engine, bar.against or bar.workload, peer))
    }
    if not ours or not theirs:
        return
    # Round by round, as what disturbs one round disturbs all in it.
    ratios = {
        peer: statistics.median(t / o for t, o in zip(found, ours, strict=True))
        for peer, found in theirs.items()
    }
    peer = min(ratios, key=ratios.__getitem__)
    times = ratios[peer]
    verdict = "reached" if times >= bar.times else "**missed**"
    what = WORKLOADS[bar.workload] + (", time passed" if bar.wall else "")
    than = peer + (" `insert()`" if bar.against else "")
    yield f"| {engine} | {what} | {than} | {bar.times:g}x | {times:.1f}x | {verdict} |"
