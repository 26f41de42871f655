"""What trusted proxies say of a request: the client's address, scheme, host and prefix.

It is believed from the right: the peer must be trusted, then the one that the peer names, and so on.
The first that is not trusted is the client, and what stands to the left of it is the client's own
invention.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

from oxidite.errors import ConfigError, HTTPError
from oxidite.http.forwarded import (
    InvalidForwardedError,
    parse_forwarded,
    parse_node,
    plain_address,
)
from oxidite.http.proxies import TrustedProxies
from oxidite.http.request import Address, Request
from oxidite.http.response import Response
from oxidite.http.types import Handler
from oxidite.http.url import URL

__all__ = ["before_proxies"]

UNIX = "unix"
_KEPT = 4096
RenderError: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
"""Makes the response of an exception."""

Before: TypeAlias = Callable[[Handler, RenderError], Handler]
"""Returns a handler that is to be asked before the other."""

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def before_proxies(networks: str | Sequence[str] | TrustedProxies) -> Before | None:
    """Return what makes of requests what their clients sent; ``None`` if there are no ``networks``.

    Text is a list with commas, as it stands in an environment variable.

    Raises:
        ConfigError: an entry is not a network.
    """
    if isinstance(networks, TrustedProxies):
        trusted = networks
    else:
        parts = networks.split(",") if isinstance(networks, str) else networks
        trusted = TrustedProxies(networks=[part for each in parts if (part := each.strip())])
    return _Proxies(trusted).before if trusted.networks else None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as exc:
        raise ConfigError(
            f"trusted_proxies: {text!r} is not a network ({exc}). Write addresses such as '10.0.0.1', "
            "networks such as '10.0.0.0/8', or 'unix'. To trust whoever connects, because nobody but "
            "the proxy can: TrustedProxies(networks=['0.0.0.0/0', '::/0'], hops=1)."
        ) from None


class _Proxies:
    def __init__(self, trusted: TrustedProxies) -> None:
        self._trusted = trusted
        self._unix = UNIX in trusted.networks
        self._networks = [_network(each) for each in trusted.networks if each != UNIX]
        self._known: dict[str, bool] = {}

    def before(self, handler: Handler, render: RenderError) -> Handler:
        """Return what believes the proxies, and has ``handler`` answer then."""

        def answer(request: Request) -> Awaitable[Response]:
            try:
                self.read(request)
            except HTTPError as exc:
                return render(request, exc)
            return handler(request)

        return answer

    def read(self, request: Request) -> None:
        """Believe what the peer says, if it is one to be believed."""
        peer = request.client or Address("", 0)
        if not self._trusts(peer.host):
            return
        told = self._forwarded if self._trusted.header == "forwarded" else self._x_forwarded
        chain, found = told(request, peer)
        if len(chain) == 1 and not found:
            return
        host = found.get("host")
        if host is not None:
            URL.from_parts("http", host, "/")  # or an InvalidHostError
        *proxies, client = chain
        request.root_path = found.get("prefix", "") + request.root_path
        request.forward(client, found.get("proto"), host, tuple(proxies))

    def _trusts(self, host: str) -> bool:
        if not host:
            return self._unix
        known = self._known.get(host)
        if known is None:
            known = self._looks_up(host)
            if len(self._known) < _KEPT:
                self._known[host] = known
        return known

    def _looks_up(self, host: str) -> bool:
        try:
            # An address of one link only has the name of that link behind it.
            address = plain_address(host.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _walk(self, peer: Address, nodes: Iterator[str]) -> tuple[list[Address], int]:
        """Return the peer, whom it names, whom that one names, to the first that is not trusted.

        And how many spoke: each of them, what it said of other things counts too.
        """
        chain, depth = [peer], 0
        while depth != self._trusted.hops and (node := next(nodes, None)) is not None:
            depth += 1
            address = parse_node(node)
            if address is None:
                break  # known to nobody: then it is the last one that is known
            chain.append(address)
            if not self._trusts(address.host):
                break
        return chain, max(1, depth)

    # X-Forwarded-*: a field each, and each may be a list, the nearest proxy's last.

    def _x_forwarded(self, request: Request, peer: Address) -> tuple[list[Address], dict[str, str]]:
        chain, depth = self._walk(peer, reversed(_list(request, "x-forwarded-for")))
        found: dict[str, str] = {}
        if proto := _nth(_list(request, "x-forwarded-proto"), depth):
            found["proto"] = _scheme(proto)
        host = _nth(_list(request, "x-forwarded-host"), depth) if self._trusted.host else None
        port = _nth(_list(request, "x-forwarded-port"), depth) if self._trusted.port else None
        if host or port:
            found["host"] = _with_port(host or request.headers.get("host", ""), port)
        if self._trusted.prefix and (prefix := _nth(_list(request, "x-forwarded-prefix"), depth)):
            found["prefix"] = _prefix(prefix)
        return chain, found

    # Forwarded: one field, an element for each proxy.

    def _forwarded(self, request: Request, peer: Address) -> tuple[list[Address], dict[str, str]]:
        elements: list[Mapping[str, str]] = []

        def nodes() -> Iterator[str]:
            # Field by field, so that a quote which a client left open ends with its own.
            for field in reversed(request.headers.get_all("forwarded")):
                for element in reversed(parse_forwarded(field)):
                    elements.append(element)
                    yield element.get("for", "unknown")

        chain, _ = self._walk(peer, nodes())
        found: dict[str, str] = {}
        # What the outermost proxy says counts, and where it says nothing what the next one does.
        for element in elements:
            if "proto" in element:
                found["proto"] = _scheme(element["proto"])
            if "host" in element:
                found["host"] = element["host"]
        return chain, found


def _list(request: Request, name: str) -> list[str]:
    values = request.headers.get_all(name)
    return [part for value in values for each in value.split(",") if (part := each.strip(" \t"))]


def _nth(values: list[str], depth: int) -> str | None:
    """Return what the proxy ``depth`` steps away said; or the one before it, if it said nothing."""
    return values[-min(depth, len(values))] if values else None


def _scheme(text: str) -> str:
    scheme = _SCHEMES.get(text.lower())
    if scheme is None:
        raise InvalidForwardedError(
            f"A trusted proxy said that the scheme is {text[:100]!r}, which is not http or https."
        )
    return scheme


def _with_port(host: str, port: str | None) -> str:
    if port is None or host.rpartition("]")[2].count(":"):
        return host
    if not (port.isascii() and port.isdigit()):
        raise InvalidForwardedError(f"A trusted proxy said that the port is {port[:100]!r}.")
    return f"{host}:{port}"


def _prefix(text: str) -> str:
    prefix = text.rstrip("/")
    # What is put before paths must not become a host, a query or another way up.
    if prefix and (
        prefix[0] != "/" or any(each in prefix for each in ("//", "?", "#", "\\", "/.", "%"))
    ):
        raise InvalidForwardedError(f"A trusted proxy said that the prefix is {text[:100]!r}.")
    return prefix
