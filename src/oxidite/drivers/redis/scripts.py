"""Programs in Lua that the server runs as one step."""

from __future__ import annotations

from hashlib import sha1

__all__ = ["Script"]


class Script:
    """A program: sent once, and named by its digest from then on."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        # The name that Redis has given scripts since its beginning; nothing is kept secret by it.
        self.digest: str = sha1(text.encode(), usedforsecurity=False).hexdigest()
