"""Turns results into a page of Markdown tables."""

from __future__ import annotations

import ast
import os
import platform
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from benchmarks.bars import Verdict, judge
from benchmarks.contract import DESCRIPTIONS
from benchmarks.environments import OURS, PEERS
from benchmarks.idle import Idle
from benchmarks.measure import CONNECTIONS, DISTURBED, Spread, wrk_version
from benchmarks.plans import BEST, PAIRED, SETS, Cell
from benchmarks.results import Measured, Results
from benchmarks.targets import TARGETS

_SHOWN = (
    *("fastapi", "starlette", "litestar", "blacksheep", "falcon", "emmett55", "sanic", "robyn"),
    *("aiohttp", "granian", "uvicorn", "uvloop", "httptools", "msgspec", "pydantic", "orjson"),
)


def markdown(results: Results, *, peers: Collection[str], windows: int, seconds: float) -> str:
    """The whole page."""
    parts = [
        _introduction(results, windows, seconds),
        _bars_section(judge(results, peers)),
        *(_set_section(results, name) for name in PAIRED if name != "latency"),
        _latency_section(results),
        _stream_section(results),
        _idle_section(results),
        _failures_section(results),
        _applications_section(results),
        _versions_section(results),
    ]
    return "\n".join(part for part in parts if part)


def _introduction(results: Results, windows: int, seconds: float) -> str:
    disturbed = [w.disturbed for w in results.windows()]
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
under load suspended; {windows} rounds of {seconds:g} s windows in changing order. Every ratio is made
inside a round; the tables show the median and, in brackets, the range over the rounds. Requests per
second are there for a feeling of scale: they vary more. A window in which something else took more
than {DISTURBED:.0%} of either core is taken again, twice at most; {sum(disturbed)} of
{len(disturbed)} windows stayed disturbed.

`raw` is one bare callable that answers with ready bytes: the server's own cost. `thin` is a
minimal dispatcher (a dict, a trie, msgspec, nothing else): the least a framework can do.

{workloads}

{machine}
"""


def _bars_section(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return ""
    shown = {True: "yes", False: "**no**", None: ""}
    rows = [
        f"| {v.text} | {v.required} | {v.measured} | {v.ceiling} | {v.closest} | {shown[v.passes]} |"
        for v in verdicts
    ]
    return (
        "## Bars\n\nSpeed of Oxidite by CPU per request, as a multiple of the other's, unless a"
        " unit is given. The ceiling is that figure for `raw` on the same server, taken in the same"
        " rounds: what a framework could reach that cost nothing at all.\n\n"
        "| bar | at least | measured | ceiling | closest | passes |\n"
        "| --- | ---: | ---: | ---: | --- | --- |\n" + "\n".join(rows) + "\n"
    ) + _beyond_section(verdicts)


def _beyond_section(verdicts: list[Verdict]) -> str:
    lines = [f"- {v.beyond}" for v in verdicts if v.beyond]
    head = "\nOn this machine no framework on that server could pass these:\n\n"
    return head + "\n".join(lines) + "\n" if lines else ""


def _set_section(results: Results, name: str) -> str:
    found = results.of(name)
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
    rows = sorted(comparison.cells, key=lambda cell: measured.median(cell, "cpu_us"))
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
    cpu = measured.values(cell, "cpu_us")
    if not cpu:
        return ["not measured", "", "", ""]
    raw = measured.ratio(Cell(f"raw@{TARGETS[cell.target].server}", cell.workload), cell)
    best = next((c for c in _ours(measured, cell) if measured.values(c, "cpu_us")), None)
    times = measured.ratio(cell, best) if best is not None else None
    return [
        _per_second(measured, cell),
        Spread.of(cpu).text(1),
        raw.text() if raw else "",
        times.text() if times else "",
    ]


def _ours(measured: Measured, cell: Cell) -> Iterator[Cell]:
    """Our cells of the same workload, the best interface first."""
    labels = [
        BEST,
        *(c.target for c in measured.comparison.cells if TARGETS[c.target].peer == OURS),
    ]
    return (Cell(label, cell.workload) for label in labels)


def _latency_section(results: Results) -> str:
    found = results.of("latency")
    if not found:
        return ""
    lines = [
        f"## {SETS['latency']}\n\nTime to the answer of `json` on a single kept connection.\n",
        "| | median, µs | 99th percentile, µs |\n| --- | ---: | ---: |",
    ]
    for measured in found:
        for cell in sorted(measured.comparison.cells, key=lambda c: measured.median(c, "p50_us")):
            p50, p99 = measured.values(cell, "p50_us"), measured.values(cell, "p99_us")
            values = (
                f"{Spread.of(p50).text(0)} | {Spread.of(p99).text(0)}" if p50 else "not measured |"
            )
            lines.append(f"| {_name(cell.target)} | {values} |")
    return "\n".join(lines) + "\n"


def _stream_section(results: Results) -> str:
    if not results.streams:
        return ""
    labels = dict.fromkeys(label for r in results.streams for label in r)
    seconds = {label: Spread.of([s.cpu for s in results.streamed(label)]) for label in labels}
    size = next(stream.size for r in results.streams for stream in r.values())
    head = (
        f"{size / 1e6:,.0f} MB in pieces of 64 KiB, to one reader that takes what it gets. Memory is by how\n"
        "much the server's processes grew at their largest.\n\n"
        "| | MB/s | CPU, s | share of `raw`'s speed by CPU | memory, MB |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
    )
    rows = []
    for label in sorted(labels, key=lambda label: seconds[label].median):
        found = results.streamed(label)
        share = results.stream_ratio(f"raw@{TARGETS[label].server}", label)
        values = (
            _name(label),
            Spread.of([s.per_second / 1e6 for s in found]).text(0),
            seconds[label].text(),
            share.text() if share else "",
            f"{max(s.memory for s in found) / 1e6:.1f}",
        )
        rows.append(f"| {' | '.join(values)} |")
    return f"## {SETS['stream']}\n\n{head}" + "\n".join(rows) + "\n"


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


def _applications_section(results: Results) -> str:
    lines = []
    for peer in sorted(results.environments):
        source = PEERS / peer / "app.py"
        if source.is_file():
            words = ast.get_docstring(ast.parse(source.read_text())) or ""
            lines.append(f"- {' '.join(words.split())}")
    return "## How each is written\n\n" + "\n".join(lines) + "\n" if lines else ""


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


def _per_second(measured: Measured, cell: Cell) -> str:
    return _whole(measured.values(cell, "per_second"))


def _cpu(measured: Measured, cell: Cell) -> str:
    return _whole(measured.values(cell, "cpu_us"))


def _whole(values: Iterable[float]) -> str:
    values = list(values)
    return f"{Spread.of(values).median:,.0f}" if values else ""


def _name(label: str) -> str:
    target = TARGETS[label]
    if target.peer == OURS:
        return f"**{label}**"
    return f"`{label}`" if target.control else label
