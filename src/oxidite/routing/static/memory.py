"""Files that were asked for a moment ago."""

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
    """A file, the answer that was made of it if it is small, and until when it is good."""

    found: Found
    fields: tuple[tuple[str, str], ...]
    body: bytes | None
    until: float
    immutable: bool

    def is_current(self) -> bool:
        """Tell whether the file is still as it was.

        This asks the file system on the event loop, and may: what was looked at within the last second
        is in the kernel's memory, on a network's file system too.
        """
        return self.immutable or self.found.file.is_current()

    def response(self) -> Response | None:
        """Return the answer anew, if it is here."""
        if self.body is None:
            return None
        response = Response(self.body)
        response.made_headers = checked_headers(self.fields)
        return response

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return _ENTRY + len(self.body or b"")


class Memory:
    """Keeps at most ``limit`` bytes of answers, the newest; each for a second, immutable ones for ever."""

    def __init__(self, limit: int, *, ttl: float = 1.0) -> None:
        self.limit = limit
        self.ttl = ttl
        self._size = 0
        self._kept: dict[object, Kept] = {}

    def get(self, key: object) -> Kept | None:
        """Return what is kept and still good."""
        kept = self._kept.get(key)
        if kept is None or not (kept.immutable or kept.until > monotonic()):
            return None
        return kept if kept.is_current() else None

    def keep(self, key: object, found: Found, response: Response, *, immutable: bool) -> None:
        """Keep a file and the answer that was made of it, and forget the oldest for it."""
        body = response.body if response.complete else None
        fields = tuple(response.headers.multi_items())
        self._forget(key)
        kept = Kept(found, fields, body, monotonic() + self.ttl, immutable)
        self._kept[key] = kept
        self._size += kept.size
        while self._size > self.limit:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: object) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size
