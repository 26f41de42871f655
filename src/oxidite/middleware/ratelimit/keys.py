"""Who is limited: the address of a client, a key it sends, or whatever an application knows of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from oxidite.errors import ConfigError
from oxidite.http.headers import header_name
from oxidite.http.request import Request

__all__ = ["Key", "by_address", "by_header", "exempted", "stored"]

Key: TypeAlias = Callable[[Request], str | None]
"""Names the one that a request counts for; ``None`` leaves it to the address."""

_NETWORK = 64  # bits of an IPv6 address: one customer has at least all of the rest
_LONGEST = 64  # characters of a key that are kept as they are


def by_address(request: Request) -> str:
    """Name the address of the client: an IPv4 address, or the /64 network of an IPv6 one.

    Behind a proxy that is the proxy, unless the application was told to trust what it says.
    """
    client = request.client
    return "" if client is None else network_of(client.host)


def by_header(name: str) -> Key:
    """Name the value of a header, such as that of an API key; hashed, so that it is kept nowhere.

    Anybody can send any value. So use it inside of what refuses keys that do not exist, or beside a
    limit by address.
    """
    field = header_name(name)

    def key(request: Request) -> str | None:
        value = request.headers.get(field)
        return None if value is None else _digest(value)

    return key


def stored(prefix: str, key: str) -> str:
    """Return the key as it is kept: never longer than a store likes."""
    return prefix + (key if len(key) <= _LONGEST else _digest(key))


def _digest(value: str) -> str:
    data = value.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).hexdigest()


# PERF: reading an address takes longer than counting it; benchmark `middleware`.
@lru_cache(maxsize=4096)
def network_of(host: str) -> str:
    """Return the name of the network that an address is limited with; other text as it is."""
    address = _address(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> _NETWORK << _NETWORK, _NETWORK)))
    return host if address is None else str(address)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # A socket for both families tells IPv4 in this form.
    return getattr(address, "ipv4_mapped", None) or address


def exempted(networks: Iterable[str]) -> Callable[[Request], bool] | None:
    """Return what tells whether a request comes from one of ``networks``; nothing without any.

    Raises:
        ConfigError: one of them is no address and no network.
    """
    if isinstance(networks, str):
        raise ConfigError(f"exempt={networks!r} is one. Write a list: [{networks!r}].")
    known = [_network(text) for text in networks]
    if not known:
        return None

    @lru_cache(maxsize=4096)
    def is_inside(host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in network for network in known)

    def is_exempt(request: Request) -> bool:
        client = request.client
        return client is not None and is_inside(client.host)

    return is_exempt


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as exc:
        raise ConfigError(
            f"exempt= has {text!r}, which is no address and no network: {exc}"
        ) from None
