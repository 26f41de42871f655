"""Whether many waiting jobs make a claim slower: ``python waiting.py FEW_URL MANY_URL MANY``.

It runs in our environment. Two stores are filled, one with as few jobs as are claimed and one with many;
then a worker claims ten from each in turn, handing in the ten before, so that what disturbs one disturbs both.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

from oxidite.ids import uuid7
from oxidite.queue import JobStore, NewJob, Outcome
from oxidite.queue.stores import stores

_TURNS = 150
_AT_ONCE = 10
_STEP = 5_000  # jobs of one push


async def fill(store: JobStore, count: int) -> None:
    """Push jobs."""
    for first in range(0, count, _STEP):
        numbers = range(first, min(first + _STEP, count))
        await store.push(
            [NewJob(id=uuid7(), queue="default", task="no_op", args=b"\x91\x00") for _ in numbers]
        )


async def turn(store: JobStore, ended: list[Outcome]) -> tuple[float, list[Outcome]]:
    """Claim some, and return the seconds that took and what is to be handed in next."""
    began = time.perf_counter()
    claim = await store.exchange("bench", ended, ["default"], _AT_ONCE)
    seconds = time.perf_counter() - began
    assert len(claim.jobs) == _AT_ONCE, claim
    assert not claim.refused, claim
    return seconds, [Outcome(id=j.id, attempt=j.attempt, kind="completed") for j in claim.jobs]


async def main(few_url: str, many_url: str, many: int) -> None:
    """Print the medians as a line of JSON."""
    async with stores.create(few_url) as few_store, stores.create(many_url) as many_store:
        both = (few_store, many_store)
        counts = (_TURNS * _AT_ONCE, max(many, _TURNS * _AT_ONCE))
        for store, count in zip(both, counts, strict=True):
            await fill(store, count)
            await store.enter("bench", b"", 3600.0)
        ended: list[list[Outcome]] = [[], []]
        times: list[list[float]] = [[], []]
        for _ in range(_TURNS):
            for index, store in enumerate(both):
                seconds, ended[index] = await turn(store, ended[index])
                times[index].append(seconds)
    # The first ones make plans and scripts.
    few, much = (statistics.median(found[10:]) for found in times)
    print(json.dumps({"few": few, "many": much}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
