"""Cache-Control: written with types, and read as it comes (RFC 9111, 5861, 8246, 9213)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

from msgspec import Struct

from oxidite.cache.freshness import Seconds
from oxidite.errors import ConfigError

__all__ = ["CacheControl", "Directives", "read_control", "read_targeted"]

_LONGEST = 2**31  # seconds; what is more is that much (RFC 9111 section 1.2.2)

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_DIRECTIVE = re.compile(rf'[\s,]*+({_NAME})(?:=(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]*+)))?[^,]*+')
_MEMBER = re.compile(
    rf'[ \t]*+([a-z*][a-z0-9_\-.*]*+)(?:=(-?\d{{1,15}}(?:\.\d{{1,3}})?|\?[01]|"[^"\\]*+"|{_NAME}))?'
    r"(?:;[ \t]*+[a-z*][a-z0-9_\-.*]*+(?:=[^;,]*+)?)*+[ \t]*+(?:,|\Z)"
)


class CacheControl(Struct, frozen=True, kw_only=True):
    """A Cache-Control field: ``str()`` writes it.

    Times are in seconds. ``swr`` is ``stale-while-revalidate`` and ``sie`` ``stale-if-error``.

    Raises:
        ConfigError: what it says makes no sense, or is not what somebody can mean.
    """

    public: bool = False
    private: bool = False
    no_store: bool = False
    no_cache: bool = False
    max_age: Seconds | None = None
    s_maxage: Seconds | None = None
    swr: Seconds | None = None
    sie: Seconds | None = None
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    no_transform: bool = False
    immutable: bool = False

    def __post_init__(self) -> None:
        for name in ("max_age", "s_maxage", "swr", "sie"):
            value: Seconds | None = getattr(self, name)
            if value is not None and _whole(value) < 0:
                raise ConfigError(f"{name}={value!r} is before now; give seconds from 0.")
        for wrong, reason in self._contradictions():
            if wrong:
                raise ConfigError(f"Cache-Control: {reason}")

    def _contradictions(self) -> Iterable[tuple[bool, str]]:
        shared = self.s_maxage is not None or self.proxy_revalidate
        has_time = self.max_age is not None or self.s_maxage is not None
        stale = bool(self.swr or self.sie)
        yield self.public and self.private, "it is either public or private."
        yield (
            self.private and shared,
            "what is private is in no shared cache, which s_maxage and proxy_revalidate are for.",
        )
        yield (
            self.no_store
            and (has_time or stale or self.no_cache or self.immutable)
            and not self.must_understand,
            "with no_store nothing is kept, so nothing else about keeping it means anything.",
        )
        yield (
            self.must_understand and not self.no_store,
            "must_understand goes with no_store, for caches that do not know it (RFC 9111 5.2.2.3).",
        )
        yield (
            stale and (self.must_revalidate or self.proxy_revalidate or self.no_cache),
            "swr and sie allow what must_revalidate, proxy_revalidate and no_cache forbid.",
        )
        yield (
            self.immutable and (self.no_cache or not has_time),
            "what is immutable is so for a time: give max_age, and not no_cache.",
        )

    def __str__(self) -> str:
        return ", ".join(self._directives())

    def _directives(self) -> Iterable[str]:
        for name in (
            *("public", "private", "no_store", "no_cache", "must_revalidate", "proxy_revalidate"),
            *("must_understand", "no_transform", "immutable"),
        ):
            if getattr(self, name):
                yield name.replace("_", "-")
        for directive, value in (
            ("max-age", self.max_age),
            ("s-maxage", self.s_maxage),
            ("stale-while-revalidate", self.swr),
            ("stale-if-error", self.sie),
        ):
            if value is not None:
                yield f"{directive}={_whole(value)}"


def _whole(value: Seconds) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # Rounded down: never fresh for longer than was said.
    return int(seconds // 1)


class Directives(Struct, frozen=True):
    """Directives as they were read, names in lower case; the first one of a name counts."""

    values: Mapping[str, str | None]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def seconds(self, name: str) -> int | None:
        """Return a time; 0 for one that cannot be read, so that it is stale rather than too fresh."""
        if name not in self.values:
            return None
        value = self.values[name]
        if value is None or not (value.isascii() and value.isdigit()):
            return 0
        return _LONGEST if len(value) > 10 else min(int(value), _LONGEST)


def read_control(fields: Iterable[str]) -> Directives:
    """Read Cache-Control fields."""
    found: dict[str, str | None] = {}
    for field in fields:
        for name, quoted, bare in _DIRECTIVE.findall(field):
            value = re.sub(r"\\(.)", r"\1", quoted) or bare
            found.setdefault(name.lower(), value or None)
    return Directives(found)


def read_targeted(fields: Iterable[str]) -> Directives | None:
    """Read a field such as CDN-Cache-Control; ``None`` if it is to be ignored (RFC 9213 section 2.1)."""
    text = ", ".join(fields)
    found: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _MEMBER.match(text, position)
        if match is None:
            return None
        position = match.end()
        name, value = match.groups()
        # A Boolean, a number; what has another type is no directive that is known.
        if value is None or value == "?1":
            found[name] = None
        elif re.fullmatch(r"\d+", value):
            found[name] = value
        else:
            found.pop(name, None)
    if text.rstrip(" \t").endswith(","):
        return None
    return Directives(found) if position else None  # an empty field is none
