"""Any text becomes a key that every store takes, the same text always the same one."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import unquote_to_bytes

from oxidite.errors import ConfigError

__all__ = ["LONGEST", "given_key", "stored_key", "stored_prefix"]

LONGEST = 200
"""Characters of a key as it was given, beyond which it is cut and has a digest at its end."""

_LONGEST_PREFIX = 100  # as stored, so that what begins with it still does when it is cut
_PLAIN = re.compile(r"[!-$&-~]{1,200}")  # no space, and no %, which begins what is escaped


@lru_cache(maxsize=4096)
def stored_key(key: str) -> str:
    """Return ``key`` as printable ASCII without spaces, of at most 250 characters.

    Other characters are escaped as in URLs. What is too long then ends in a digest of 128 bits, so two
    keys are the same only if they are equal, and one that is readable stays so. The empty key is ``%``.
    """
    if _PLAIN.fullmatch(key):
        return key
    # Half a surrogate is a character like any other here.
    data = key.encode("utf-8", "surrogatepass")
    text = "".join(
        chr(byte) if 33 <= byte <= 126 and byte != 37 else f"%{byte:02X}" for byte in data
    )
    if len(text) <= LONGEST:
        return text or "%"
    return f"{text[: LONGEST - 34]}%%{blake2b(data, digest_size=16).hexdigest()}"


def given_key(stored: str) -> str | None:
    """Return what ``stored_key`` was given; ``None`` if it was too long to be kept whole."""
    if "%%" in stored:
        return None
    if stored == "%":
        return ""
    return unquote_to_bytes(stored).decode("utf-8", "surrogatepass")


def stored_prefix(prefix: str) -> str:
    """Return what the stored forms of keys with a prefix begin with.

    Raises:
        ConfigError: it is longer than what is kept of a key that is cut.
    """
    stored = stored_key(prefix) if prefix else ""
    if len(stored) > _LONGEST_PREFIX:
        raise ConfigError(
            f"A prefix has at most {_LONGEST_PREFIX} characters, those that are escaped counting as "
            f"three; {prefix[:_LONGEST_PREFIX]!r}… has more."
        )
    return stored
