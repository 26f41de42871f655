"""Which names below a served directory may be asked for."""

from __future__ import annotations

import re

__all__ = ["is_servable"]

# What editors and people leave beside a file: its old text, which may be a program's.
_LEFTOVERS = ("~", ".bak", ".old", ".orig", ".swp", ".tmp")
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")


def is_servable(path: str) -> bool:
    """Tell whether a path relative to the directory names something that may be public.

    Not hidden files, nor what is in a hidden directory; no way up; nothing that is another path to
    some system, such as a backslash or a drive; no left-over of an editor.
    """
    return all(map(_is_plain, path.split("/")))


def _is_plain(segment: str) -> bool:
    return bool(
        segment
        and segment[0] != "."
        and not segment.lower().endswith(_LEFTOVERS)
        and not _REFUSED.search(segment)
    )
