"""Turns results into a page of Markdown tables, and into JSON for whoever wants to look closer."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.contract import DESCRIPTIONS
from benchmarks.environments import OURS
from benchmarks.idle import Idle
from benchmarks.measure import CONNECTIONS, DISTURBED, Spread, Window, wrk_version
from benchmarks.plans import BEST, SETS, Bar, Cell, bars
from benchmarks.runner import Measured, Results
from benchmarks.targets import TARGETS

_SHOWN = (
    *("fastapi", "starlette", "litestar", "blacksheep", "falcon", "emmett55", "sanic", "robyn"),
    *("aiohttp", "granian", "uvicorn", "uvloop", "httptools", "msgspec", "pydantic", "orjson"),
)
_IDLE_LIMIT = 20_000


def markdown(results: Results, *, peers: Collection[str], windows: int, seconds: int) -> str:
    """The whole page."""
    parts = [
        _introduction(results, windows, seconds),
        _bars_section(results, peers),
        *(_set_section(results, name) for name in SETS if name not in ("latency", "idle")),
        _latency_section(results),
        _idle_section(results),
        _failures_section(results),
        _versions_section(results),
    ]
    return "\n".join(part for part in parts if part)


def as_json(results: Results) -> dict[str, object]:
    """Every window, so that other questions can be asked of the same run."""
    return {
        "machine": dict(_machine()),
        "versions": {name: e.versions() for name, e in results.environments.items()},
        "failures": results.failures,
        "comparisons": [
            {
                "set": m.comparison.set,
                "title": m.comparison.title,
                "rounds": [{cell.key: asdict(w) for cell, w in r.items()} for r in m.rounds],
            }
            for m in results.measured
        ],
        "idle": [asdict(found) for found in results.idle],
    }


def ratio(measured: Measured, slow: Cell, fast: Cell) -> Spread | None:
    """How many times the CPU of `fast` the cell `slow` needs, window by window."""
    pairs = [r[slow].cpu_us / r[fast].cpu_us for r in measured.rounds if slow in r and fast in r]
    return Spread.of(pairs) if pairs else None


def _introduction(results: Results, windows: int, seconds: int) -> str:
    disturbed = [w for w in _windows(results) if w.disturbed]
    machine = "\n".join(f"- {name}: {value}" for name, value in _machine())
    workloads = "\n".join(f"- **{name}**: {text}" for name, text in DESCRIPTIONS.items())
    return f"""# Benchmarks

Written by `make bench`. Every application answers the same requests with the same bytes, one
worker each, no access log. The server has one core to itself and the client
(wrk, one thread, {CONNECTIONS} kept connections) another. Before it is
measured, each application must give every answer byte for byte, and must refuse a wrong path, a
wrong query and five kinds of wrong body.

What counts is **CPU per request**: the CPU time of the server's whole process group in a window, by
the requests that were answered in it. All servers of a comparison are up at once, all but the one
under load suspended; {windows} rounds of {seconds} s windows in changing order. Every ratio is made
inside a round; the tables show the median and, in brackets, the range over the rounds. Requests per
second are there for a feeling of scale: they vary more. A window in which something else took more
than {DISTURBED:.0%} of either core is taken again, twice at most; {len(disturbed)} of
{sum(1 for _ in _windows(results))} windows stayed disturbed.

`raw` is one bare callable that answers with ready bytes: the server's own cost. `thin` is a
dispatcher of about a hundred lines (a dict, a trie, msgspec): the least a framework can do.

{workloads}

{machine}
"""


def _bars_section(results: Results, peers: Collection[str]) -> str:
    done = {(m.comparison.set, c.workload) for m in results.measured for c in m.comparison.cells}
    lines = [_judged(b, results) for b in bars(peers) if (b.set, b.ours.workload) in done]
    lines += list(_latency_bars(results)) + list(_idle_bars(results))
    if not lines:
        return ""
    head = "| bar | at least | measured | closest | passes |\n| --- | ---: | ---: | --- | --- |"
    return f"## Bars\n\nSpeed of Oxidite by CPU, as a multiple of the other's.\n\n{head}\n" + (
        "\n".join(lines) + "\n"
    )


def _judged(bar: Bar, results: Results) -> str:
    ratios = [
        (found, other)
        for other in bar.others
        for measured in results.measured
        if measured.comparison.set == bar.set
        and (found := ratio(measured, other, bar.ours)) is not None
    ]
    if not ratios:
        return f"| {bar.text} | {bar.at_least:.2f} | not measured | | |"
    closest, other = min(ratios, key=lambda pair: pair[0].median)
    verdict = "yes" if closest.median >= bar.at_least else "**no**"
    name = other.target if other.workload == bar.ours.workload else other.workload
    return f"| {bar.text} | {bar.at_least:.2f} | {_spread(closest)} | {name} | {verdict} |"


def _latency_bars(results: Results) -> Iterator[str]:
    for measured in _of(results, "latency"):
        for cell in measured.comparison.cells:
            found = _column(measured, cell, "p50_us")
            if TARGETS[cell.target].peer == OURS and found:
                spread = Spread.of(found)
                verdict = "yes" if spread.median < 1000 else "**no**"
                yield (
                    f"| one connection, median under 1 ms, {cell.target} | 1,000 µs at most |"
                    f" {_spread(spread, 0)} µs | | {verdict} |"
                )


def _idle_bars(results: Results) -> Iterator[str]:
    each = {found.target: found.bytes_each for found in results.idle}
    for found in results.idle:
        target = TARGETS[found.target]
        if target.peer != OURS:
            continue
        verdict = "yes" if found.answered == found.still_answering == found.asked else "**no**"
        yield (
            f"| idle connections answered, {found.target} | {found.asked:,} |"
            f" {min(found.answered, found.still_answering):,} | | {verdict} |"
        )
        raw = each.get(f"raw@{target.server}")
        if raw is not None:
            above = found.bytes_each - raw
            verdict = "yes" if above < _IDLE_LIMIT else "**no**"
            yield (
                f"| memory per idle connection above the server's own, {found.target} |"
                f" 20 kB at most | {above / 1000:.1f} kB | | {verdict} |"
            )


def _set_section(results: Results, name: str) -> str:
    found = _of(results, name)
    if not found:
        return ""
    parts = [f"## {SETS[name]}\n"]
    if name == "peers":
        parts += [_overview(found, "Requests per second", _per_second)]
        parts += [_overview(found, "CPU, µs per request", _cpu)]
    parts += [_detail(measured) for measured in found]
    return "\n".join(parts)


def _overview(found: list[Measured], title: str, show: Callable[[Measured, Cell], str]) -> str:
    columns = [m.comparison.cells[0].workload for m in found]
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for label in dict.fromkeys(c.target for m in found for c in m.comparison.cells):
        values = [show(m, Cell(label, m.comparison.cells[0].workload)) for m in found]
        lines.append(f"| {_name(label)} | {' | '.join(values)} |")
    return f"### {title}, median\n\n" + "\n".join(lines) + "\n"


def _detail(measured: Measured) -> str:
    comparison = measured.comparison
    rows = sorted(comparison.cells, key=lambda cell: _median(measured, cell, "cpu_us"))
    several = len({cell.workload for cell in rows}) > 1
    lines = [
        "| | requests/s | CPU, µs per request | share of `raw`'s speed | CPU, times ours |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for cell in rows:
        name = f"{_name(cell.target)}, {cell.workload}" if several else _name(cell.target)
        lines.append(f"| {name} | {' | '.join(_detail_values(measured, cell))} |")
    return f"### {comparison.title}\n\n" + "\n".join(lines) + "\n"


def _detail_values(measured: Measured, cell: Cell) -> list[str]:
    cpu = _column(measured, cell, "cpu_us")
    if not cpu:
        return ["not measured", "", "", ""]
    raw = ratio(measured, Cell(f"raw@{TARGETS[cell.target].server}", cell.workload), cell)
    best = next((c for c in _ours(measured, cell) if _column(measured, c, "cpu_us")), None)
    times = ratio(measured, cell, best) if best is not None else None
    return [
        _per_second(measured, cell),
        _spread(Spread.of(cpu), 1),
        _spread(raw) if raw else "",
        _spread(times) if times else "",
    ]


def _ours(measured: Measured, cell: Cell) -> Iterator[Cell]:
    """Our cells of the same workload, the best interface first."""
    labels = [
        BEST,
        *(c.target for c in measured.comparison.cells if TARGETS[c.target].peer == OURS),
    ]
    return (Cell(label, cell.workload) for label in labels)


def _latency_section(results: Results) -> str:
    found = _of(results, "latency")
    if not found:
        return ""
    lines = [
        f"## {SETS['latency']}\n\nTime to the answer of `json` on a single kept connection.\n",
        "| | median, µs | 99th percentile, µs |\n| --- | ---: | ---: |",
    ]
    for measured in found:
        for cell in sorted(measured.comparison.cells, key=lambda c: _median(measured, c, "p50_us")):
            p50, p99 = _column(measured, cell, "p50_us"), _column(measured, cell, "p99_us")
            values = (
                f"{_spread(Spread.of(p50), 0)} | {_spread(Spread.of(p99), 0)}"
                if p50
                else "not measured |"
            )
            lines.append(f"| {_name(cell.target)} | {values} |")
    return "\n".join(lines) + "\n"


def _idle_section(results: Results) -> str:
    if not results.idle:
        return ""
    head = (
        "| | asked | answered | memory before → with, MB | kB each | requests/s alone → beside |"
        " held, s | still answering |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    text = (
        "Kept connections that had one request answered and then do nothing, while wrk's 64 are\n"
        "served beside them. Memory is that of the server's processes (proportional set size).\n\n"
    )
    rows = "\n".join(_idle_row(found) for found in results.idle)
    return f"## {SETS['idle']}\n\n{text}{head}{rows}\n"


def _idle_row(found: Idle) -> str:
    values = (
        _name(found.target),
        f"{found.asked:,}",
        f"{found.answered:,}",
        f"{found.memory_before / 1e6:.0f} → {found.memory_with / 1e6:.0f}",
        f"{found.bytes_each / 1e3:.1f}",
        f"{found.per_second_alone:,.0f} → {found.per_second_beside:,.0f}",
        f"{found.held_seconds:.0f}",
        f"{found.still_answering:,}",
    )
    return f"| {' | '.join(values)} |"


def _failures_section(results: Results) -> str:
    if not results.failures:
        return ""
    lines = [f"- {what}: {why}" for what, why in results.failures.items()]
    return "## Not measured\n\n" + "\n".join(lines) + "\n"


def _versions_section(results: Results) -> str:
    lines = []
    for peer, environment in sorted(results.environments.items()):
        installed = environment.versions()
        shown = ", ".join(f"{n} {installed[n]}" for n in (OURS, *_SHOWN) if n in installed)
        lines.append(f"| {peer} | {environment.problem or shown} |")
    return "## Versions\n\n| environment | installed |\n| --- | --- |\n" + "\n".join(lines) + "\n"


def _machine() -> Iterator[tuple[str, str]]:
    information = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((li.partition(":")[2].strip() for li in information if "model name" in li), "?")
    yield "processor", f"{model}, {os.cpu_count()} cores"
    yield "system", f"{platform.system()} {platform.release()}"
    yield "Python", platform.python_version()
    yield "client", f"wrk {wrk_version()}"


def _windows(results: Results) -> Iterator[Window]:
    return (w for m in results.measured for r in m.rounds for w in r.values())


def _of(results: Results, set_name: str) -> list[Measured]:
    return [m for m in results.measured if m.comparison.set == set_name and m.rounds]


def _column(measured: Measured, cell: Cell, field: str) -> list[float]:
    return [getattr(r[cell], field) for r in measured.rounds if cell in r]


def _median(measured: Measured, cell: Cell, field: str) -> float:
    values = _column(measured, cell, field)
    return Spread.of(values).median if values else float("inf")


def _per_second(measured: Measured, cell: Cell) -> str:
    return _whole(_column(measured, cell, "per_second"))


def _cpu(measured: Measured, cell: Cell) -> str:
    return _whole(_column(measured, cell, "cpu_us"))


def _whole(values: Iterable[float]) -> str:
    values = list(values)
    return f"{Spread.of(values).median:,.0f}" if values else ""


def _spread(spread: Spread, digits: int = 2) -> str:
    low, high = (f"{v:,.{digits}f}" for v in (spread.low, spread.high))
    return f"{spread.median:,.{digits}f} [{low}-{high}]"


def _name(label: str) -> str:
    target = TARGETS[label]
    if target.peer == OURS:
        return f"**{label}**"
    return f"`{label}`" if target.control else label
