"""Small files that were asked for a moment ago."""

from __future__ import annotations

from dataclasses import dataclass

from oxidite.clock import monotonic
from oxidite.http.headers import checked_headers
from oxidite.http.response import Response
from oxidite.routing.static.directory import Found

__all__ = ["Kept", "Memory"]

_ENTRY = 1024  # bytes, about, that an entry takes beside its body


@dataclass(frozen=True, slots=True)
class Kept:
    """A file, the whole answer that was made of it, and until when it is good."""

    found: Found
    fields: tuple[tuple[str, str], ...]
    body: bytes
    until: float

    def response(self) -> Response:
        """Return the answer anew."""
        response = Response(self.body)
        response.made_headers = checked_headers(self.fields)
        return response


class Memory:
    """Keeps at most ``limit`` bytes of answers, the newest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._size = 0
        self._kept: dict[object, Kept] = {}

    def get(self, key: object) -> Kept | None:
        """Return what is kept and still good."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.until > monotonic() else None

    def keep(self, key: object, found: Found, response: Response, *, ttl: float) -> None:
        """Keep a complete answer for ``ttl`` seconds, and forget the oldest for it."""
        if found.file.content is None:
            return
        until = monotonic() + ttl
        self._forget(key)
        fields = tuple(response.headers.multi_items())
        self._kept[key] = Kept(found, fields, response.body, until)
        self._size += len(response.body) + _ENTRY
        while self._size > self.limit:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: object) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= len(kept.body) + _ENTRY
