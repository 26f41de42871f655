"""Which server: the one asked for, else the best that is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Final, cast

from oxidite.errors import ConfigError, MissingExtraError
from oxidite.servers.base import Server

__all__ = ["SERVERS", "choose_server", "installed_servers"]

SERVERS: Final = {
    "granian": ("oxidite.servers.granian:GranianServer", "standard"),
    "uvicorn": ("oxidite.servers.uvicorn:UvicornServer", ""),
    "hypercorn": ("oxidite.servers.hypercorn:HypercornServer", "http3"),
}
"""Name to class and the extra that installs it; the first one installed is the default."""


def installed_servers() -> list[str]:
    """Return the names of the servers that are installed, the default first."""
    return [name for name in SERVERS if importlib.util.find_spec(name) is not None]


def choose_server(name: str | None = None) -> Server:
    """Return the server of this name, or the default.

    Raises:
        MissingExtraError: it is not installed.
        ConfigError: there is no such server.
    """
    if name is None:
        name = installed_servers()[0]
    if name not in SERVERS:
        raise ConfigError(f"There is no server {name!r}. Known: {', '.join(SERVERS)}.")
    target, extra = SERVERS[name]
    if importlib.util.find_spec(name) is None:
        raise MissingExtraError(extra, needed_by=f"The server {name}")
    module, _, attribute = target.partition(":")
    return cast("Server", getattr(importlib.import_module(module), attribute)())
