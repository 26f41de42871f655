"""The name of a file that a client sent, made safe."""

from __future__ import annotations

import re

__all__ = ["safe_filename"]

_MAX_FILENAME = 200  # bytes; file systems take 255, and names get prefixes

_RESERVED = str.maketrans(dict.fromkeys('<>:"|?*', "_"))  # on Windows, and in shells
_DEVICE = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\..*)?")


def safe_filename(name: str) -> str:
    """Return a name that stays in the directory it is used in, whatever a client sent.

    It is the last part of the path in ``name``, on any system, without control characters, marks
    that reverse or hide text, reserved characters, or dots and blanks at its ends. It is not the
    name of a device, and has at most 200 bytes of UTF-8, the extension kept. If nothing is left it
    is ``upload``.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    # Not printable: control and format characters, half surrogate pairs, blanks but the space.
    base = "".join(filter(str.isprintable, base)).translate(_RESERVED).lstrip(" .-").rstrip(" .")
    if _DEVICE.fullmatch(base):
        base = "_" + base
    return _shortened(base) or "upload"


def _shortened(name: str) -> str:
    data = name.encode()
    if len(data) <= _MAX_FILENAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not 0 < len(extension.encode()) <= 16 or not dot:
        stem, extension = name, ""
    suffix = dot + extension if extension else ""
    kept = stem.encode()[: _MAX_FILENAME - len(suffix.encode())].decode(errors="ignore")
    return kept.rstrip(" .") + suffix
