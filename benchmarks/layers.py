"""One middleware each around the application of the workload `json`, over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.contract import WORKLOADS
from benchmarks.fakes import AsgiServer, lifespan
from oxidite import Handler, Middleware, Oxidite, Request, Response
from oxidite.middleware import (
    CSP,
    NONCE,
    access_log,
    allowed_hosts,
    hsts,
    request_id,
    security_headers,
    server_timing,
    timeout,
)

POLICY = CSP(default_src="'self'", script_src=["'self'", NONCE])


async def no_op(request: Request, call_next: Handler) -> Response:
    return await call_next(request)


def _layers() -> Iterator[tuple[str, Sequence[Middleware]]]:
    yield "none", ()
    yield "one that does nothing", (no_op,)
    yield "request_id", (request_id(),)
    yield "access_log, text", (access_log(to=Path("/dev/null")),)
    yield "access_log, json", (access_log("json", to=Path("/dev/null")),)
    yield "allowed_hosts", (allowed_hosts(["127.0.0.1"]),)
    yield "hsts", (hsts(),)
    yield "security_headers", (security_headers(),)
    yield "security_headers, policy with nonces", (security_headers(csp=POLICY),)
    yield "server_timing, not shown", (server_timing(show=False),)
    yield "timeout", (timeout(30),)


def _application(middleware: Sequence[Middleware], *, trusted: str = "") -> Oxidite:
    app = Oxidite(debug=False, middleware=middleware, trusted_proxies=trusted)

    @app.get("/json")
    async def json() -> dict[str, str]:
        return {"message": "Hello, World!"}

    return app


@asynccontextmanager
async def servers() -> AsyncIterator[dict[str, AsgiServer]]:
    """Open one application for each layer."""
    applications = {name: _application(middleware) for name, middleware in _layers()}
    applications["trusted_proxies, none of them"] = _application((), trusted="10.0.0.0/8")
    ends = [await lifespan(app) for app in applications.values()]
    yield {name: AsgiServer(app, WORKLOADS["json"].request) for name, app in applications.items()}
    for end in ends:
        await end()
