"""The sets of comparisons, and which applications under which workloads are in each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from benchmarks.contract import FILES
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
    "ws": "WebSockets",
    "files": "Files",
    "peers": "Peers",
    "latency": "One connection",
    "stream": "A stream",
    "idle": "Idle connections",
}
SOCKET_PEERS = ("fastapi", "starlette", "litestar")
PAIRED = tuple(name for name in SETS if name not in ("stream", "idle"))
IDLE_TARGETS = (f"raw@{GRANIAN_RSGI}", BEST, f"raw@{UVICORN}", f"{OURS}@{UVICORN}")
STREAM_SERVERS = (GRANIAN_ASGI, UVICORN)
STREAM_PEERS = ("fastapi", "starlette", "litestar")


def stream_targets(peers: Collection[str]) -> list[str]:
    """Who streams: the bare callable, ourselves, and peers, over ASGI."""
    streaming = {OURS, *STREAM_PEERS} & {OURS, *peers}
    return [
        t.label
        for t in TARGETS.values()
        if t.server in STREAM_SERVERS and (t.peer in streaming or t.label.startswith("raw@"))
    ]


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
    if set_name == "ws":
        labels = [t.label for t in TARGETS.values() if _has_socket(t, peers)]
        return [_one(set_name, "ws", labels, connections=16)] if "ws" in workloads else []
    if set_name == "latency":
        labels = [t.label for t in TARGETS.values() if not t.is_peer or t.peer in peers]
        return [_one(set_name, "json", labels, connections=1)] if "json" in workloads else []
    if set_name == "files":
        servers = (GRANIAN_RSGI, GRANIAN_ASGI, UVICORN)
        labels = [f"{OURS}@{server}" for server in servers]
        labels += [f"raw@{server}" for server in servers[:2]]
        labels += [f"starlette@{server}" for server in servers[1:]]
        return [_one(set_name, w.name, labels) for w in FILES if w.name in workloads]
    if set_name not in workloads:
        return []
    ours = [t.label for t in TARGETS.values() if t.peer == OURS]
    if set_name == "routes":
        pairs: tuple[str, ...] = ("json", "route-alone", "routes")
        cells = _cells([*ours, f"thin@{GRANIAN_RSGI}"], pairs)
    else:
        pairs = ("json", "layers", "mw")
        bare = [t.label for t in TARGETS.values() if t.label.startswith("raw@")]
        cells = _cells([*ours, f"thin@{GRANIAN_RSGI}"], pairs) + _cells(bare, ("json", "mw"))
    return [Comparison(set_name, ", ".join(pairs), cells)]


def _cells(labels: list[str], workloads: tuple[str, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(label, w) for label in labels for w in workloads)


def _has_socket(target: Target, peers: Collection[str]) -> bool:
    if target.server not in (GRANIAN_ASGI, UVICORN):
        return False
    if target.is_peer:
        return target.peer in peers and target.peer in SOCKET_PEERS
    return not target.label.startswith("thin")


def _one(set_name: str, workload: str, labels: list[str], connections: int = 64) -> Comparison:
    cells = tuple(Cell(label, workload) for label in labels)
    return Comparison(set_name, workload, cells, connections)
