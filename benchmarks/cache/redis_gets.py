"""`python -m benchmarks.cache.redis_gets`: reads from Redis by many callers, beside redis-py used directly.

In each round each way does the same reads once, in turn, so that what disturbs the machine disturbs all.
What counts is the CPU time of this process; the time that passed, which has the server's work in it, is
told too. The bar is three times redis-py's asyncio client with 100 callers, in both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median
from uuid import uuid4

from redis import asyncio as theirs

from oxidite.cache import Item
from oxidite.cache.backends.redis import RedisBackend
from oxidite.drivers.redis import Redis, RedisOptions

URL = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
BAR = 3.0
VALUE = b"v" * 200
PEER = "redis-py, its client and pool"
BARRED = ("oxidite.drivers.redis, run", "RedisBackend, get_many of one key")

Read = Callable[[], Awaitable[object]]
Times = dict[str, list[tuple[float, float]]]


async def reads(read: Read, callers: int, each: int) -> tuple[float, float]:
    """Return the microseconds of CPU and of time that one read takes."""

    async def caller() -> None:
        for _ in range(each):
            await read()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    count = callers * each / 1e6
    return (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count


async def ways(stack: AsyncExitStack) -> dict[str, Read]:
    prefix = f"{uuid4().hex}:"
    options, _ = RedisOptions.from_url(URL)
    redis = await stack.enter_async_context(Redis(options))
    backend = RedisBackend(options, prefix=prefix)
    await stack.enter_async_context(backend)
    pool = theirs.ConnectionPool.from_url(URL)
    peer = theirs.Redis.from_pool(pool)
    stack.push_async_callback(peer.aclose)
    await redis.run("SET", f"{prefix}plain", VALUE, "EX", 600)
    await backend.set_many([Item("key", VALUE, 600.0)])

    plain = f"{prefix}plain"
    found: dict[str, Read] = {
        PEER: lambda: peer.get(plain),
        BARRED[0]: lambda: redis.run("GET", plain, safe=True),
        BARRED[1]: lambda: backend.get_many(["key"]),
    }
    assert await found[PEER]() == await found[BARRED[0]]() == VALUE
    assert await found[BARRED[1]]() == [VALUE]
    return found


async def measure(callers: int, rounds: int, each: int) -> Times:
    async with AsyncExitStack() as stack:
        found = await ways(stack)
        times: Times = {name: [] for name in found}
        for read in found.values():
            await reads(read, callers, 3)  # so that connections are made before
        for _ in range(rounds):
            for name, read in found.items():
                times[name].append(await reads(read, callers, each))
        return times


def show(callers: int, times: Times) -> dict[str, tuple[float, float]]:
    """Print what was measured, and return how many times faster than the peer each is."""
    print(f"\n{callers} callers: µs of CPU and of time for one read, and the ratio to redis-py")
    ratios: dict[str, tuple[float, float]] = {}
    for name, own in times.items():
        pairs = list(zip(times[PEER], own, strict=True))
        cpu = [peer[0] / mine[0] for peer, mine in pairs]
        wall = [peer[1] / mine[1] for peer, mine in pairs]
        ratios[name] = (median(cpu), median(wall))
        print(
            f"  {name:<36}{median(each[0] for each in own):>8.1f}{median(each[1] for each in own):>8.1f}"
            f"   CPU {median(cpu):>5.1f} ({min(cpu):.1f}-{max(cpu):.1f})"
            f"   time {median(wall):>5.1f} ({min(wall):.1f}-{max(wall):.1f})"
        )
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--each", type=int, default=30, help="reads of each caller in a round")
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    factory = None
    if options.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        for callers in (1, 10):
            each = options.each * 100 // callers // 4
            show(callers, runner.run(measure(callers, options.rounds, each)))
        ratios = show(100, runner.run(measure(100, options.rounds, options.each)))
    missed = [name for name in BARRED if min(ratios[name]) < BAR]
    print(
        f"\nThe bar of {BAR:g} times is {'missed by ' + ', '.join(missed) if missed else 'passed'}."
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
