"""The bars that Oxidite has to pass, and whether a run passed them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from benchmarks.contract import FILES
from benchmarks.environments import OURS
from benchmarks.measure import Spread
from benchmarks.plans import BEST, COMPARED, SOCKET_PEERS, Cell
from benchmarks.results import Measured, Results
from benchmarks.targets import GRANIAN_ASGI, GRANIAN_RSGI, TARGETS, UVICORN, Target

_LATENCY_US = 1000
_IDLE_BYTES = 20_000
_STREAM_SHARE = 0.8
_STREAM_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """`ours` must be at least `at_least` times as fast as each of `others`, by CPU.

    `ceiling` is the bare callable on our server, which no framework there can be faster than.
    """

    text: str
    set: str
    ours: Cell
    others: tuple[Cell, ...]
    at_least: float
    ceiling: Cell | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar after a run; `passes` is `None` where it could not be measured."""

    text: str
    required: str
    measured: str = "not measured"
    ceiling: str = ""
    """What the bare callable on our server would have measured."""
    closest: str = ""
    """What came closest, of several that it was held against."""
    passes: bool | None = None
    beyond: str = ""
    """Why no framework could pass it on this machine, if that is so."""


def judge(results: Results, peers: Collection[str]) -> list[Verdict]:
    """Every bar of what was run."""
    done = {(m.comparison.set, c.workload) for m in results.measured for c in m.comparison.cells}
    judged = [_judged(b, results) for b in bars(peers) if (b.set, b.ours.workload) in done]
    return [*judged, *_latency(results), *_stream(results), *_idle(results)]


def _judged(bar: Bar, results: Results) -> Verdict:
    required = f"{bar.at_least:.2f}"
    ratios = [
        (found, other, measured)
        for other in bar.others
        for measured in results.of(bar.set)
        if (found := measured.ratio(other, bar.ours)) is not None
    ]
    if not ratios:
        return Verdict(bar.text, required)
    closest, other, measured = min(ratios, key=lambda found: found[0].median)
    highest = None
    if bar.ceiling is not None and bar.ceiling != other:
        highest = measured.ratio(other, bar.ceiling)
    return Verdict(
        bar.text,
        required,
        closest.text(),
        highest.text() if highest else "",
        other.target if other.workload == bar.ours.workload else other.workload,
        closest.median >= bar.at_least,
        _beyond(bar, measured, other) if highest and highest.median < bar.at_least else "",
    )


def _beyond(bar: Bar, measured: Measured, other: Cell) -> str:
    assert bar.ceiling is not None
    alone = measured.median(bar.ceiling, "cpu_us")
    theirs = measured.median(other, "cpu_us")
    return (
        f"{bar.text}: {other.target} takes {theirs:.1f} µs for a request, so the bar leaves"
        f" {theirs / bar.at_least:.1f} µs for the server and the framework together, and"
        f" `{bar.ceiling.target}`, without any framework, takes {alone:.1f} µs."
    )


def _bare(cell: Cell) -> Cell:
    return Cell(f"raw@{TARGETS[cell.target].server}", cell.workload)


def _latency(results: Results) -> Iterator[Verdict]:
    for measured in results.of("latency"):
        for cell in measured.comparison.cells:
            found = measured.values(cell, "p50_us")
            if TARGETS[cell.target].peer == OURS and found:
                spread = Spread.of(found)
                yield Verdict(
                    f"one connection, median of {cell.workload}, {cell.target}",
                    f"{_LATENCY_US:,} µs at most",
                    f"{spread.text(0)} µs",
                    passes=spread.median < _LATENCY_US,
                )


def _stream(results: Results) -> Iterator[Verdict]:
    """A stream against the bare callable on the same server, and the memory it takes."""
    for target in TARGETS.values():
        found = results.streamed(target.label)
        if target.peer != OURS or not found:
            continue
        ratio = results.stream_ratio(f"raw@{target.server}", target.label)
        size = f"{found[0].size / 1e6:,.0f} MB"
        yield Verdict(
            f"a stream of {size} on {target.server}, against `raw`",
            f"{_STREAM_SHARE:.2f}",
            ratio.text() if ratio else "not measured",
            closest=f"raw@{target.server}",
            passes=ratio.median >= _STREAM_SHARE if ratio else None,
        )
        most = max(stream.memory for stream in found)
        yield Verdict(
            f"memory that a stream of {size} takes, {target.label}",
            f"{_STREAM_BYTES / 1e6:.0f} MB at most",
            f"{most / 1e6:.1f} MB",
            passes=most < _STREAM_BYTES,
        )


def _idle(results: Results) -> Iterator[Verdict]:
    each = {found.target: found.bytes_each for found in results.idle}
    for found in results.idle:
        target = TARGETS[found.target]
        if target.peer != OURS:
            continue
        yield Verdict(
            f"idle connections answered, {found.target}",
            f"{found.asked:,}",
            f"{min(found.answered, found.still_answering):,}",
            passes=found.answered == found.still_answering == found.asked,
        )
        raw = each.get(f"raw@{target.server}")
        if raw is not None:
            above = found.bytes_each - raw
            yield Verdict(
                f"memory of an idle connection above the server's own, {found.target}",
                f"{_IDLE_BYTES / 1000:.0f} kB at most",
                f"{above / 1000:.1f} kB",
                passes=above < _IDLE_BYTES,
            )


def bars(peers: Collection[str]) -> list[Bar]:
    """Every bar on CPU per request; those of sets that were not run stay unmeasured."""
    compared = [t for t in TARGETS.values() if t.is_peer and t.peer in peers]
    return [
        *_above_controls(),
        *_against_itself(),
        *_files(),
        *_best_interface(compared),
        *_same_server(compared),
        *_sockets(compared),
    ]


def _sockets(compared: list[Target]) -> Iterator[Bar]:
    for server in (GRANIAN_ASGI, UVICORN):
        others = [t for t in compared if t.server == server and t.peer in SOCKET_PEERS]
        ours = Cell(f"{OURS}@{server}", "ws")
        yield Bar(
            f"ws on {server}, against every peer there",
            "ws",
            ours,
            tuple(Cell(t.label, "ws") for t in others),
            1.0,
            _bare(ours),
        )


def _above_controls() -> list[Bar]:
    def bar(workload: str, control: str, server: str, at_least: float) -> Bar:
        ours = Cell(f"{OURS}@{server}", workload)
        return Bar(
            f"{workload} on {server}, against `{control}`",
            "rsgi" if server == GRANIAN_RSGI else "asgi",
            ours,
            (Cell(f"{control}@{server}", workload),),
            at_least,
            _bare(ours),
        )

    return [
        bar("json", "raw", GRANIAN_RSGI, 0.88),
        bar("users", "raw", GRANIAN_RSGI, 0.82),
        bar("items", "thin", GRANIAN_RSGI, 0.88),
        bar("json", "raw", GRANIAN_ASGI, 0.85),
        bar("json", "raw", UVICORN, 0.85),
    ]


def _against_itself() -> list[Bar]:
    def bar(server: str, workload: str, other: str, text: str, within: float) -> Bar:
        ours = f"{OURS}@{server}"
        return Bar(
            f"{text}, on {server}",
            "routes" if workload == "routes" else "mw",
            Cell(ours, workload),
            (Cell(ours, other),),
            1 / within,
        )

    each = [
        made
        for server in (GRANIAN_RSGI, GRANIAN_ASGI, UVICORN)
        for made in (
            bar(server, "routes", "route-alone", "300 routes within 5 % of the route alone", 1.05),
            bar(server, "routes", "json", "300 routes within 10 % of json", 1.10),
            bar(server, "layers", "json", "five middlewares within 10 % of json", 1.10),
        )
    ]
    # CORS brings a field each way, and what those cost is the server's: so on the best interface.
    text = "five middlewares and CORS within 10 % of json"
    return [*each, bar(GRANIAN_RSGI, "mw", "json", text, 1.10)]


def _files() -> list[Bar]:
    def bar(workload: str, server: str, other: str, at_least: float, text: str) -> Bar:
        ours = Cell(f"{OURS}@{server}", workload)
        others = (Cell(other, workload),)
        return Bar(
            f"file of {workload} on {server}, against {text}", "files", ours, others, at_least
        )

    return [
        made
        for workload in (each.name for each in FILES)
        for made in (
            bar(workload, GRANIAN_RSGI, f"raw@{GRANIAN_RSGI}", 0.8, "`raw`, which only names it"),
            bar(workload, GRANIAN_ASGI, f"raw@{GRANIAN_ASGI}", 0.8, "`raw`, which only names it"),
            bar(workload, GRANIAN_ASGI, f"starlette@{GRANIAN_ASGI}", 1.0, "Starlette on it"),
            bar(workload, UVICORN, f"starlette@{UVICORN}", 1.0, "Starlette on it"),
        )
    ]


def _best_interface(compared: list[Target]) -> list[Bar]:
    def bar(workload: str, text: str, others: tuple[Cell, ...], at_least: float) -> Bar:
        ours = Cell(BEST, workload)
        text = f"{workload} on {GRANIAN_RSGI}, against {text}"
        return Bar(text, "peers", ours, others, at_least, _bare(ours))

    found = []
    for workload in COMPARED:
        others = tuple(Cell(t.label, workload) for t in compared)
        at_least = 1.3 if workload == "items" else 1.0
        found.append(bar(workload, "the best peer on any server", others, at_least))
    fastapi = Cell(f"fastapi@{UVICORN}", "json")
    return [*found, bar("json", f"FastAPI on {UVICORN}", (fastapi,), 7.0)]


def _same_server(compared: list[Target]) -> list[Bar]:
    return [
        Bar(
            f"{workload} on {server}, against the best peer on it",
            "peers",
            Cell(f"{OURS}@{server}", workload),
            tuple(Cell(t.label, workload) for t in compared if t.server == server),
            1.0,
            Cell(f"raw@{server}", workload),
        )
        for server in (GRANIAN_ASGI, UVICORN)
        for workload in COMPARED
    ]
