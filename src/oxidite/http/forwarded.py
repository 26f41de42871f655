"""The ``Forwarded`` field (RFC 7239) and the names of nodes in it and in ``X-Forwarded-For``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from oxidite.errors import BadRequestError
from oxidite.http.request import Address

__all__ = ["InvalidForwardedError", "parse_forwarded", "parse_node"]

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# All quantifiers are possessive: whatever a client sent, it is read once.
_PAIR = re.compile(
    rf'({_WORD})=(?:({_WORD})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x1f])*+)")'
)
_SPACE = re.compile(r"[ \t]*+")
_QUOTED = re.compile(r"\\(.)")
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]++)\]|([^\[\]:]++))(?::([0-9]{1,5}|_[A-Za-z0-9._-]++))?")
_OBFUSCATED = re.compile(r"_[A-Za-z0-9._-]++")


class InvalidForwardedError(BadRequestError):
    """A trusted proxy said where the request came from in a way that cannot be read."""

    code = "invalid_forwarded"


def parse_forwarded(value: str) -> list[Mapping[str, str]]:
    """Return the elements of one ``Forwarded`` field, each with its parameters in lower case.

    Raises:
        InvalidForwardedError: it is not what RFC 7239 section 4 says, or a parameter comes twice.
    """
    elements: list[Mapping[str, str]] = []
    current: dict[str, str] = {}
    position, end = _skip(value, 0), len(value)
    while position < end:
        pair = _PAIR.match(value, position)
        if pair is not None:
            name, token, quoted = pair.groups()
            text = token if quoted is None else _QUOTED.sub(r"\1", quoted)
            if name.lower() in current:
                raise _unreadable("Forwarded", value)
            current[name.lower()] = text
            position = _skip(value, pair.end())
        # An element, and a list, may have empty parts (RFC 9110 section 5.6.1.2).
        if position < end and value[position] not in ",;":
            raise _unreadable("Forwarded", value)
        if position >= end or value[position] == ",":
            if current:
                elements.append(current)
            current = {}
        position = _skip(value, position + 1)
    return [*elements, current] if current else elements


def _skip(value: str, position: int) -> int:
    space = _SPACE.match(value, position)
    return position if space is None else space.end()


def parse_node(text: str) -> Address | None:
    """Return the address of a node; ``None`` if it is ``unknown`` or hidden (RFC 7239 section 6).

    The port is 0 where there is none. An IPv6 address may stand without brackets, as many write it.

    Raises:
        InvalidForwardedError: it is none of that.
    """
    bare = _address(text)
    if bare is not None:
        return Address(bare, 0)
    match = _NODE.fullmatch(text)
    if match is None:
        raise _unreadable("the address", text)
    six, four, port = match.groups()
    if six is None and (four.lower() == "unknown" or _OBFUSCATED.fullmatch(four)):
        return None
    host = _address(six or four)
    number = int(port) if port is not None and port.isdigit() else 0
    if host is None or (six is not None and ":" not in six) or number > 65535:
        raise _unreadable("the address", text)
    return Address(host, number)


def _address(text: str) -> str | None:
    try:
        return str(plain_address(text))
    except ValueError:
        return None


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address; one of IPv4 in the clothes of IPv6, as sockets for both have it, is IPv4.

    Raises:
        ValueError: it is none.
    """
    address = ip_address(text)
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _unreadable(what: str, value: str) -> InvalidForwardedError:
    return InvalidForwardedError(
        f"A trusted proxy said where the request came from, but {what} {value[:100]!r} cannot be read."
    )
