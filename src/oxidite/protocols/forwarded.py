"""A server's own structure of a request, with what a trusted proxy told in place of what it saw."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from oxidite.http.request import Address

__all__ = ["PROXIES", "ForwardedScope", "forwarded"]

PROXIES = "oxidite.proxies"
_WEBSOCKET = {"http": "ws", "https": "wss"}


def forwarded(
    scope: MutableMapping[str, Any],  # a scope of ASGI is an open dictionary
    client: Address,
    scheme: str | None,
    host: str | None,
    proxies: tuple[Address, ...],
) -> MutableMapping[str, Any]:
    """Return a scope of ASGI with other values."""
    changed = {**scope, "client": tuple(client), PROXIES: proxies}
    if scheme is not None:
        changed["scheme"] = _WEBSOCKET[scheme] if scope["type"] == "websocket" else scheme
    if host is not None:
        others = [pair for pair in scope["headers"] if pair[0].lower() != b"host"]
        changed["headers"] = [(b"host", host.encode("latin-1")), *others]
    return changed


class ForwardedScope:
    """A scope of RSGI with other values; the server's own cannot be changed."""

    def __init__(
        self,
        scope: Any,  # the server's
        client: Address,
        scheme: str | None,
        host: str | None,
        proxies: tuple[Address, ...],
    ) -> None:
        self._scope = scope
        self.client: str = f"[{client.host}]:{client.port}"
        self.scheme: str = scheme or scope.scheme
        self.headers: Any = scope.headers if host is None else _Headers(scope.headers, host)
        self.proxies: tuple[Address, ...] = proxies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scope, name)


class _Headers:
    def __init__(self, fields: Any, host: str) -> None:
        self._fields = fields
        self._host = host

    def get(self, name: str, default: str | None = None) -> str | None:
        value: str | None = self._host if name == "host" else self._fields.get(name, default)
        return value

    def get_all(self, name: str) -> list[str]:
        values: list[str] = [self._host] if name == "host" else self._fields.get_all(name)
        return values

    def items(self) -> list[tuple[str, str]]:
        others = [pair for pair in self._fields.items() if pair[0] != "host"]
        return [("host", self._host), *others]
