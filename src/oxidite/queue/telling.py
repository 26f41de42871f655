"""A wait that ends when something is told, or by the clock."""

from __future__ import annotations

import asyncio

from oxidite import clock

__all__ = ["until_told"]


async def until_told(told: asyncio.Event, seconds: float, *, within: float | None = None) -> bool:
    """Wait until ``told`` is set, which is the caller's own: ``seconds`` by the clock later it is in any case.

    Or ``within`` seconds of real time, as other processes do not travel: only then it returns false.
    """
    # PERF: from what is told to who waits it is one turn of the loop; benchmark `queue`, latency.
    sleeps = asyncio.ensure_future(clock.sleep(seconds))
    sleeps.add_done_callback(lambda sleep: None if sleep.cancelled() else told.set())
    try:
        async with asyncio.timeout(within):
            await told.wait()
    except TimeoutError:
        return False
    finally:
        sleeps.cancel()
    return True
