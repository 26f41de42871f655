"""Pushes the jobs of one peer, told by lines on standard input: ``python harness.py``.

It runs in the peer's own environment, where ``peer`` is its program, so it imports nothing but the standard
library, the peer and uvloop. A line is a JSON array of what to do and how often; the answer is a JSON object
with how many jobs were pushed, the seconds that took, and those of CPU of this process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Protocol, cast

import marks
import uvloop

SLICE = 500  # jobs that are pushed at once when there are many


class Peer(Protocol):
    """What ``peer.py`` of a peer has, beside what its own command for workers asks for."""

    async def start(self) -> None:
        """Open the store, and make its tables."""

    async def stop(self) -> None:
        """Close the store."""

    async def one(self, number: int) -> None:
        """Push a job that marks its beginning, and wait until the store has it."""

    async def many(self, numbers: range) -> None:
        """Push many of these, as its manual does that."""

    async def slow(self, number: int) -> None:
        """Push a job that marks its beginning and then takes some seconds."""


async def one(peer: Peer, most: int, seconds: float) -> int:
    """Push jobs one after the other."""
    end = time.monotonic() + seconds
    for number in range(most):
        await peer.one(number)
        if time.monotonic() > end:
            return number + 1
    return most


async def many(peer: Peer, most: int, seconds: float) -> int:
    """Push jobs by slices."""
    end = time.monotonic() + seconds
    done = 0
    while done < most and time.monotonic() < end:
        numbers = range(done, min(done + SLICE, most))
        await peer.many(numbers)
        done = numbers.stop
    return done


async def paced(peer: Peer, most: int, pause: float) -> int:
    """Push a job from time to time, and note when."""
    for number in range(most):
        marks.pushed(number)
        await peer.one(number)
        await asyncio.sleep(pause)
    return most


async def slow(peer: Peer, number: int, _: float) -> int:
    """Push a slow job."""
    await peer.slow(number)
    return 1


WORK = {"one": one, "many": many, "paced": paced, "slow": slow}


async def main() -> None:
    """Answer lines until there are none."""
    import peer as module

    peer = cast(Peer, module)
    await peer.start()
    say({"ready": True})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        work, most, seconds = json.loads(line)
        gc.collect()
        cpu, wall = time.process_time(), time.monotonic()
        count = await WORK[work](peer, most, seconds)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        say({"count": count, "seconds": wall, "cpu": cpu})
    await peer.stop()


def say(value: object) -> None:
    """Answer with a line."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
