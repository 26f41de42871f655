"""Runs the workloads of one peer, told by lines on standard input: ``python harness.py PEER URL``.

It runs in the peer's own environment, so it imports nothing but the standard library, the peer and uvloop.
A line is a JSON array of a workload and how often it is to be done; the answer is a JSON object with the
seconds of CPU of this process, all its threads included, the seconds that passed, and a number that tells
whether the work was done: rows or objects that were read or written.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import uvloop

PEERS = Path(__file__).parent / "peers"


class Peer(Protocol):
    """What ``peer.py`` of a peer has."""

    WORKLOADS: dict[str, Callable[[int], Awaitable[int]]]

    async def start(self, url: str) -> None:
        """Open the database, make empty tables, and fill them: 1,000 authors, 10 posts for 100 of them."""

    async def stop(self) -> None:
        """Close the database."""


def load(name: str) -> Peer:
    """Import the peer of that name."""
    folder = PEERS / name
    sys.path.insert(0, str(folder))
    sys.path.insert(0, str(PEERS))
    spec = importlib.util.spec_from_file_location("peer", folder / "peer.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} has no peer.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["peer"] = module
    spec.loader.exec_module(module)
    peer: Peer = module  # type: ignore[assignment]  # modules satisfy protocols
    return peer


async def main(name: str, url: str) -> None:
    """Answer lines until there are none."""
    peer = load(name)
    await peer.start(url)
    say({"workloads": list(peer.WORKLOADS)})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        workload, count = json.loads(line)
        run = peer.WORKLOADS[workload]
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        value = await run(count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        say({"cpu": cpu / count, "wall": wall / count, "value": value})
    await peer.stop()


def say(value: object) -> None:
    """Answer with a line."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
