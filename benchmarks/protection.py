"""What each middleware adds to a small request, in process: `python -m benchmarks micro protection`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.contract import ORIGIN, Exchange
from benchmarks.fakes import AsgiServer, lifespan

Once = Callable[[], Awaitable[object]]
InTurn = Callable[[dict[str, Once], int], Awaitable[dict[str, list[float]]]]

_ASKED = Exchange(
    "GET", "/json", headers=(("Origin", ORIGIN), ("Accept-Encoding", "gzip, br, zstd"))
)
_POSTED = Exchange(
    "POST", "/json", b"{}", headers=(("Origin", ORIGIN), ("Content-Type", "application/json"))
)


def show(
    loop: asyncio.AbstractEventLoop,
    rounds: int,
    in_turn: InTurn,
    row: Callable[[str, list[str]], str],
) -> None:
    """Print what the application takes alone, and what each middleware adds to that."""
    print(f"\nMiddleware, CPU µs added to a request with a small JSON answer (median of {rounds})")
    print(row("", ["whole", "added"]))
    servers, ends = {}, []
    for name, (middleware, exchange) in _stacks().items():
        application = _application(middleware)
        ends.append(loop.run_until_complete(lifespan(application)))
        servers[name] = AsgiServer(application, exchange)
        status, _ = loop.run_until_complete(servers[name].collected())
        assert status == 200, (name, status)
    once: dict[str, Once] = {name: server.once for name, server in servers.items()}
    times = loop.run_until_complete(in_turn(once, rounds))
    for name, own in times.items():
        bare = times["bare POST" if _stacks()[name][1] is _POSTED else "bare"]
        added = [mine - theirs for mine, theirs in zip(own, bare, strict=True)]
        print(row(name, [f"{median(own) * 1e6:.2f}", f"{median(added) * 1e6:+.2f}"]))
    for end in ends:
        loop.run_until_complete(end())


def _stacks() -> dict[str, tuple[list[Any], Exchange]]:
    from oxidite.middleware import (
        compression,
        cors,
        csrf,
        decompression,
        idempotency,
        rate_limit,
    )
    from oxidite.middleware.ratelimit import Rule

    async def noop(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    often = "900000000/second"
    together = [cors([ORIGIN]), rate_limit(often), compression()]
    return {
        "bare": ([], _ASKED),
        "nothing": ([noop], _ASKED),
        "cors": ([cors([ORIGIN])], _ASKED),
        "compression": ([compression()], _ASKED),
        "of a body": ([compression(min_size=1)], _ASKED),
        "sliding": ([rate_limit(often)], _ASKED),
        "fixed": ([rate_limit(Rule.parse(often, algorithm="fixed"))], _ASKED),
        "bucket": ([rate_limit(Rule.parse(often, algorithm="bucket"))], _ASKED),
        "two limits": ([rate_limit(often, often)], _ASKED),
        "together": (together, _ASKED),
        "bare POST": ([], _POSTED),
        "csrf": ([csrf()], _POSTED),
        "idempotency": ([idempotency()], _POSTED),
        "decompression": ([decompression()], _POSTED),
    }


def _application(middleware: list[Any]) -> Any:
    from msgspec import Struct

    from oxidite import Oxidite

    class Message(Struct):
        message: str

    app = Oxidite(middleware=middleware, secret="only-for-measuring", debug=False)

    @app.route("/json", ["GET", "POST"])
    async def json() -> Message:
        return Message("Hello, World!")

    return app
