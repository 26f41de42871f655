"""What each middleware adds to a small request, in process: `python -m benchmarks micro middleware`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
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
_BARE = {_ASKED: "none", _POSTED: "none, POST"}


def show(
    loop: asyncio.AbstractEventLoop,
    rounds: int,
    in_turn: InTurn,
) -> None:
    """Print what the application takes alone, and what each middleware adds to that."""
    print(f"\nMiddleware, CPU µs added to a request with a small JSON answer (median of {rounds})")
    servers, ends = {}, []
    for name, (middleware, exchange, options) in _stacks().items():
        application = _application(middleware, options)
        ends.append(loop.run_until_complete(lifespan(application)))
        servers[name] = AsgiServer(application, exchange)
        status, _ = loop.run_until_complete(servers[name].collected())
        assert status == 200, (name, status)
    once: dict[str, Once] = {name: server.once for name, server in servers.items()}
    times = loop.run_until_complete(in_turn(once, rounds))
    for name, own in times.items():
        bare = times[_BARE[_stacks()[name][1]]]
        added = [mine - theirs for mine, theirs in zip(own, bare, strict=True)]
        print(f"  {name:<44}{median(own) * 1e6:>8.2f}{median(added) * 1e6:>+8.2f}")
    for end in ends:
        loop.run_until_complete(end())


def _stacks() -> dict[str, tuple[list[Any], Exchange, dict[str, Any]]]:
    # Only now: the other parts measure an application that has imported none of it.
    from oxidite.middleware import (
        CSP,
        NONCE,
        access_log,
        allowed_hosts,
        compression,
        cors,
        csrf,
        decompression,
        hsts,
        idempotency,
        rate_limit,
        request_id,
        security_headers,
        server_timing,
        timeout,
    )
    from oxidite.rates import Rule

    async def nothing(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    often = "900000000/second"
    null = Path("/dev/null")
    nonces = CSP(default_src="'self'", script_src=["'self'", NONCE])
    four = [request_id(), security_headers(), cors([ORIGIN]), rate_limit(often)]
    asked = {
        "none": [],
        "one that does nothing": [nothing],
        "request_id": [request_id()],
        "access_log, text": [access_log(to=null)],
        "access_log, json": [access_log("json", to=null)],
        "allowed_hosts": [allowed_hosts(["127.0.0.1"])],
        "hsts": [hsts()],
        "security_headers": [security_headers()],
        "security_headers, policy with nonces": [security_headers(csp=nonces)],
        "server_timing, not shown": [server_timing(show=False)],
        "timeout": [timeout(30)],
        "cors": [cors([ORIGIN])],
        "compression, too small": [compression()],
        "compression": [compression(min_size=1)],
        "rate_limit, sliding window": [rate_limit(often)],
        "rate_limit, fixed window": [rate_limit(Rule.parse(often, algorithm="fixed"))],
        "rate_limit, token bucket": [rate_limit(Rule.parse(often, algorithm="bucket"))],
        "rate_limit, two": [rate_limit(often, often)],
        "cors, security_headers, request_id, rate_limit": four,
        "the same, and compression of what is too small": [*four, compression()],
        "the same, and compression": [*four, compression(min_size=1)],
    }
    posted = {
        "none, POST": [],
        "csrf": [csrf()],
        "idempotency, no key": [idempotency()],
        "decompression, of what is not compressed": [decompression()],
    }
    trusted = {"trusted_proxies": "10.0.0.0/8"}
    return {
        **{name: (middleware, _ASKED, {}) for name, middleware in asked.items()},
        "trusted_proxies, none of them": ([], _ASKED, trusted),
        **{name: (middleware, _POSTED, {}) for name, middleware in posted.items()},
    }


def _application(middleware: list[Any], options: dict[str, Any]) -> Any:
    from msgspec import Struct

    from oxidite import Oxidite

    class Message(Struct):
        message: str

    app = Oxidite(middleware=middleware, secret="only-for-measuring", debug=False, **options)

    @app.route("/json", ["GET", "POST"])
    async def json() -> Message:
        return Message("Hello, World!")

    return app
