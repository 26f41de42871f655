"""Text as it can be shown: nothing in it moves the cursor, turns the line around or breaks UTF-8."""

from __future__ import annotations

import re

__all__ = ["printable"]

# Control characters but tab and line feed, line separators, bidirectional controls, surrogates.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Return ``text`` with what cannot be seen written as an escape."""
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)
