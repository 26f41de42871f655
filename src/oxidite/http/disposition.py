"""The name that a download is saved under (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

__all__ = ["content_disposition"]

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\"\\/:*?<>|%]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def content_disposition(name: str) -> str:
    """Return the field that has ``name`` saved rather than shown.

    Only the last part of a path counts. What could end the field, hide the end of the name or be read
    as a path is replaced; a name outside ASCII is sent in UTF-8 too, with the nearest ASCII for
    clients that read nothing else.

    Raises:
        ValueError: nothing is left of the name.
    """
    name = re.split(r"[\\/]", name)[-1]
    name = _CONTROL.sub("_", name.encode("utf-8", "replace").decode()).strip()
    if name in ("", ".", ".."):
        raise ValueError("a download needs a name, such as 'report.pdf'")
    # The parts of "é" are "e" and an accent, and the accent is what ASCII cannot say.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _UNSAFE.sub("_", plain).strip()
    if not plain.strip("._ ") or (plain.startswith(".") and not name.startswith(".")):
        plain = "download" + (plain if plain.startswith(".") else "")
    field = f'attachment; filename="{plain}"'
    if plain != name:
        field += f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return field
