"""How values of settings are shown: never a secret, never a password inside a URL."""

from __future__ import annotations

_LONGEST = 80  # characters


def shown(value: object) -> str:
    """Return ``value`` for a message or a table: on one line, short, without a URL's password."""
    text = repr(value)
    # From the first :// to the last @, as a password may contain either.
    head, separator, tail = text.partition("://")
    at = tail.rfind("@")
    if separator and at >= 0:
        text = f"{head}://***{tail[at:]}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
