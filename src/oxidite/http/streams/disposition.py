"""The Content-Disposition of a download (RFC 6266)."""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["attachment"]

_NOT_PLAIN = re.compile(r"[^ !#$&+\-.^_`|~0-9A-Za-z(),;=@\[\]{}]")


def attachment(name: str) -> str:
    """Return the field that has a browser save a response as ``name``.

    A name beyond ASCII is given twice, the second time as RFC 8187 has it.

    Raises:
        ValueError: it is empty, or holds a slash, a backslash or a control character.
    """
    if not name.strip(". ") or any(c in "/\\" or ord(c) < 32 or ord(c) == 127 for c in name):
        raise ValueError(f"{name!r} is not the name of a file.")
    plain = _NOT_PLAIN.sub("_", name)
    field = f'attachment; filename="{plain}"'
    if plain == name:
        return field
    return f"{field}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
