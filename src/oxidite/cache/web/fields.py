"""Fields of caches that are structured: Cache-Status, Cache-Groups, Cache-Group-Invalidation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from oxidite.http.headers import MutableHeaders

__all__ = ["Status", "read_strings", "write_strings"]

_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_STRING = re.compile(
    r'[ \t]*+"((?:[ !#-\[\]-~]|\\["\\])*+)"(?:;[ \t]*+[a-z*][^;,"]*+)*+[ \t]*+(,|\Z)'
)


class Status(NamedTuple):
    """What a cache did with a request, for Cache-Status (RFC 9211).

    ``fwd`` says why it was forwarded, and then ``fwd_status`` what came back; without it was a hit.
    """

    fwd: str = ""
    fwd_status: int | None = None
    stored: bool = False
    collapsed: bool = False
    ttl: int | None = None
    detail: str = ""

    def write(self, headers: MutableHeaders, name: str) -> None:
        """Add the field: caches that are nearer to the handler have written theirs before."""
        parts = [name if _TOKEN.fullmatch(name) else _quoted(name)]
        parts.append(f"fwd={self.fwd}" if self.fwd else "hit")
        if self.fwd_status is not None:
            parts.append(f"fwd-status={self.fwd_status}")
        if self.ttl is not None:
            parts.append(f"ttl={self.ttl}")
        if self.stored:
            parts.append("stored")
        if self.collapsed:
            parts.append("collapsed")
        if self.detail:
            parts.append(f"detail={_quoted(self.detail)}")
        before = headers.get_all("cache-status")
        headers["cache-status"] = ", ".join((*before, "; ".join(parts)))


def read_strings(fields: Iterable[str]) -> list[str] | None:
    """Read a list of strings (RFC 9651); ``None`` if it is none, which is as no field."""
    text = ", ".join(fields)
    found: list[str] = []
    position = 0
    separator = ""
    while position < len(text):
        match = _STRING.match(text, position)
        if match is None:
            return None
        position, separator = match.end(), match[2]
        found.append(re.sub(r"\\(.)", r"\1", match[1]))
    return None if separator else found


def write_strings(strings: Iterable[str]) -> str:
    """Write a list of strings.

    Raises:
        ValueError: one has a character that such a field cannot have.
    """
    found = []
    for each in strings:
        if not (each.isascii() and each.isprintable()):
            raise ValueError(f"{each!r} cannot be sent as a group: it is printable ASCII.")
        found.append(_quoted(each))
    return ", ".join(found)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
