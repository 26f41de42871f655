"""The process of a peer: does workloads as they are asked for, and tells how long one of each took."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from pathlib import Path

import uvloop
from msgspec import Struct

_TOGETHER = 1000
_BATCH = 500


class User(Struct, frozen=True):
    id: int
    name: str = "Ann"
    email: str = "ann@example.com"
    age: int = 42
    active: bool = True


class Factory:
    """Makes users slowly, and counts how many."""

    def __init__(self) -> None:
        self.made = 0

    async def __call__(self, uid: int) -> User:
        self.made += 1
        await asyncio.sleep(0.005)
        return User(uid)


async def main(name: str) -> None:
    sys.path.insert(0, str(Path(__file__).parent / "peers" / name))
    sys.modules["harness"] = sys.modules["__main__"]
    peer = importlib.import_module("peer")
    await peer.start()
    kinds = {"get": "get", "cached": "hit", "together": "miss"}
    _tell([kind for kind, function in kinds.items() if hasattr(peer, function)])
    misses = 1000
    for line in sys.stdin:
        workload, seconds = json.loads(line)
        misses += 1
        if workload == "together":
            before = peer.factory.made
            began = time.process_time()
            await asyncio.gather(*(peer.miss(misses) for _ in range(_TOGETHER)))
            spent = (time.process_time() - began) / _TOGETHER
            _tell([spent, peer.factory.made - before])
            continue
        function = peer.get if workload == "get" else peer.hit
        assert (await function()).id == 7
        calls, spent, began = 0, 0.0, time.process_time()
        while spent < seconds:
            for _ in range(_BATCH):
                await function()
            calls += _BATCH
            spent = time.process_time() - began
        _tell([spent / calls, 1])


def _tell(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
