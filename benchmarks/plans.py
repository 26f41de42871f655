"""What each set compares with what, and the bars that Oxidite has to pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from benchmarks.environments import OURS
from benchmarks.targets import GRANIAN_ASGI, GRANIAN_RSGI, TARGETS, UVICORN, Target

BASIC = ("plaintext", "json", "users", "items")
COMPARED = (*BASIC, "routes", "mw")
BEST = f"{OURS}@{GRANIAN_RSGI}"
SETS = {
    "rsgi": "Granian RSGI: the framework above the bare interface",
    "asgi": "ASGI: the framework above the bare interface",
    "routes": "300 routes",
    "mw": "Five middlewares and CORS",
    "peers": "Peers",
    "latency": "One connection",
    "idle": "Idle connections",
}
PAIRED = tuple(name for name in SETS if name != "idle")
IDLE_TARGETS = (f"raw@{GRANIAN_RSGI}", BEST, f"raw@{UVICORN}", f"{OURS}@{UVICORN}")


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One application under one workload."""

    target: str
    workload: str

    @property
    def key(self) -> str:
        return f"{self.target} {self.workload}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cells whose windows are taken in turn, so that they may be set against each other."""

    set: str
    title: str
    cells: tuple[Cell, ...]
    connections: int = 64


@dataclass(frozen=True, slots=True)
class Bar:
    """`ours` must be at least `at_least` times as fast as each of `others`, by CPU."""

    text: str
    set: str
    ours: Cell
    others: tuple[Cell, ...]
    at_least: float


def comparisons(
    set_name: str, peers: Collection[str], workloads: Collection[str]
) -> list[Comparison]:
    """The comparisons of a set, narrowed to some peers and workloads."""
    if set_name in ("rsgi", "asgi"):
        servers = (GRANIAN_RSGI,) if set_name == "rsgi" else (GRANIAN_ASGI, UVICORN)
        labels = [t.label for t in TARGETS.values() if t.server in servers and not t.is_peer]
        return [_one(set_name, w, labels) for w in BASIC if w in workloads]
    if set_name == "peers":
        labels = [t.label for t in TARGETS.values() if not t.is_peer or t.peer in peers]
        return [_one(set_name, w, labels) for w in COMPARED if w in workloads]
    if set_name == "latency":
        labels = [t.label for t in TARGETS.values() if not t.is_peer or t.peer in peers]
        return [_one(set_name, "json", labels, connections=1)] if "json" in workloads else []
    pairs = {"routes": ("json", "route-alone", "routes"), "mw": ("json", "mw")}[set_name]
    labels = [t.label for t in TARGETS.values() if t.peer == OURS]
    labels += [f"thin@{GRANIAN_RSGI}"]
    if set_name not in workloads:
        return []
    cells = tuple(Cell(label, w) for label in labels for w in pairs)
    return [Comparison(set_name, "windows", cells)]


def bars(peers: Collection[str]) -> list[Bar]:
    """Every bar on CPU per request; those of sets that were not run stay unmeasured."""
    compared = [t for t in TARGETS.values() if t.is_peer and t.peer in peers]
    return [
        *_above_controls(),
        *_against_itself(),
        *_best_interface(compared),
        *_same_server(compared),
    ]


def _one(set_name: str, workload: str, labels: list[str], connections: int = 64) -> Comparison:
    cells = tuple(Cell(label, workload) for label in labels)
    return Comparison(set_name, workload, cells, connections)


def _above_controls() -> list[Bar]:
    def bar(workload: str, control: str, server: str, at_least: float) -> Bar:
        return Bar(
            f"{workload} on {server}, against `{control}`",
            "rsgi" if server == GRANIAN_RSGI else "asgi",
            Cell(f"{OURS}@{server}", workload),
            (Cell(f"{control}@{server}", workload),),
            at_least,
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
            "mw" if workload == "mw" else "routes",
            Cell(ours, workload),
            (Cell(ours, other),),
            1 / within,
        )

    return [
        made
        for server in (GRANIAN_RSGI, GRANIAN_ASGI, UVICORN)
        for made in (
            bar(server, "routes", "route-alone", "300 routes within 5 % of the route alone", 1.05),
            bar(server, "routes", "json", "300 routes within 10 % of json", 1.10),
            bar(server, "mw", "json", "five middlewares within 10 % of json", 1.10),
        )
    ]


def _best_interface(compared: list[Target]) -> list[Bar]:
    fastapi = Cell(f"fastapi@{UVICORN}", "json")
    found = []
    for workload in COMPARED:
        others = tuple(Cell(t.label, workload) for t in compared)
        at_least = 1.3 if workload == "items" else 1.0
        text = f"{workload} on {GRANIAN_RSGI}, against the best peer on any server"
        found.append(Bar(text, "peers", Cell(BEST, workload), others, at_least))
    text = f"json on {GRANIAN_RSGI}, against FastAPI on {UVICORN}"
    return [*found, Bar(text, "peers", Cell(BEST, "json"), (fastapi,), 7.0)]


def _same_server(compared: list[Target]) -> list[Bar]:
    return [
        Bar(
            f"{workload} on {server}, against the best peer on it",
            "peers",
            Cell(f"{OURS}@{server}", workload),
            tuple(Cell(t.label, workload) for t in compared if t.server == server),
            1.0,
        )
        for server in (GRANIAN_ASGI, UVICORN)
        for workload in COMPARED
    ]
