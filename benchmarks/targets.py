"""What is measured: each application on each server it is usually run on, and how to start it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.environments import CONTROLS, OURS, Environment

UVICORN = "uvicorn"
GRANIAN_ASGI = "granian-asgi"
GRANIAN_RSGI = "granian-rsgi"
OWN = "own"

# Granian counts idle connections against its back-pressure, so its default refuses all others once
# 1,024 are open; both are given everywhere.
_CONNECTIONS = "16384"


@dataclass(frozen=True, slots=True)
class Target:
    """One application on one server.

    `control` is code that is not a framework: what a server (`raw`) or a dispatcher (`thin`)
    costs by itself.
    """

    label: str
    peer: str
    server: str
    application: str = "app:app"
    control: bool = False

    @property
    def validates(self) -> bool:
        return self.application.partition(":")[0] != "raw"

    @property
    def is_peer(self) -> bool:
        return not self.control and self.peer != OURS

    def command(self, environment: Environment, port: int) -> list[str]:
        """The command that serves this application on a port, one worker, no access log."""
        if self.server == OWN:
            return [str(environment.bin / "python"), "app.py", str(port)]
        if self.server == UVICORN:
            return [str(environment.bin / "python"), *_uvicorn(self.application, port)]
        interface = self.server.removeprefix("granian-")
        return [str(environment.bin / "granian"), *_granian(self.application, port, interface)]


def _uvicorn(application: str, port: int) -> list[str]:
    return [
        *("-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        *("--log-level", "warning", "--backlog", _CONNECTIONS, "--timeout-keep-alive", "600"),
    ]


def _granian(application: str, port: int, interface: str) -> list[str]:
    return [
        *(application, "--interface", interface, "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--loop", "uvloop", "--runtime-mode", "st", "--no-access-log"),
        *("--log-level", "warning", "--backlog", _CONNECTIONS, "--backpressure", _CONNECTIONS),
    ]


def _control(kind: str, server: str) -> Target:
    interface = "rsgi" if server == GRANIAN_RSGI else "asgi"
    return Target(f"{kind}@{server}", CONTROLS, server, f"{kind}:{interface}", control=True)


def _on(peer: str, *servers: str) -> list[Target]:
    return [Target(peer if s == OWN else f"{peer}@{s}", peer, s) for s in servers]


TARGETS = {
    target.label: target
    for target in [
        *(_control("raw", server) for server in (GRANIAN_RSGI, GRANIAN_ASGI, UVICORN)),
        *(_control("thin", server) for server in (GRANIAN_RSGI, GRANIAN_ASGI, UVICORN)),
        *_on(OURS, GRANIAN_RSGI, GRANIAN_ASGI, UVICORN),
        *_on("fastapi", UVICORN, GRANIAN_ASGI),
        *_on("starlette", UVICORN, GRANIAN_ASGI),
        *_on("litestar", UVICORN, GRANIAN_ASGI),
        *_on("blacksheep", UVICORN, GRANIAN_ASGI),
        *_on("falcon", UVICORN, GRANIAN_ASGI),
        *_on("emmett55", GRANIAN_RSGI),
        *_on("sanic", OWN),
        *_on("robyn", OWN),
        *_on("aiohttp", OWN),
    ]
}
