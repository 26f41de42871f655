"""Origins: the site that a page comes from, as a browser names it in the Origin field (RFC 6454).

A set of origins has exact ones, those below a domain, and regular expressions. Whatever is written
in a way that could never match, or that would match too much, is refused when the set is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from oxidite.errors import ConfigError

__all__ = ["OriginLike", "Origins"]

OriginLike: TypeAlias = str | re.Pattern[str]
"""``https://example.com``, ``https://*.example.com`` for what is below it, or a regular expression."""

_LONGEST = 300  # characters: a scheme, a name of 253, a port
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])"
_ORIGIN = re.compile(rf"([a-z][a-z0-9+.-]*)://(\*\.)?({_HOST})(?::([0-9]{{1,5}}))?")
_SENT = re.compile(rf"[a-z][a-z0-9+.-]*://{_HOST}(?::[0-9]{{1,5}})?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_PROBE = "https://origin-that-nobody-has.invalid"


class Origins:
    """Those origins that are trusted with something; ``"https://example.com" in origins``.

    ``credentials`` says that it is the browser's cookies that they are trusted with: then neither
    ``*`` nor ``null`` nor an expression that matches everything is accepted.

    Raises:
        ConfigError: one of them is no origin, or trusts everybody.
    """

    __slots__ = ("_exact", "_patterns", "everyone", "only")

    def __init__(self, origins: Iterable[OriginLike], *, credentials: bool) -> None:
        if isinstance(origins, str | re.Pattern):
            raise ConfigError(f"origins={origins!r} is one. Write a list: origins=[{origins!r}].")
        exact: set[str] = set()
        patterns: list[re.Pattern[str]] = []
        for origin in origins:
            if isinstance(origin, re.Pattern):
                patterns.append(_checked_pattern(origin, credentials=credentials))
            elif "*." in origin:
                patterns.append(_below(origin))
            else:
                exact.add(_checked(origin))
        self.everyone: bool = "*" in exact
        if self.everyone and (patterns or len(exact) > 1):
            raise ConfigError('The origin "*" is everyone. Write it alone, or leave it out.')
        if credentials and exact & {"*", "null"}:
            raise ConfigError(
                'Everyone can have a page with the origin "null", and "*" is everyone: with '
                "credentials they could do all that the user can. Name the origins, or leave the "
                "credentials out."
            )
        self.only: str | None = next(iter(exact)) if len(exact) == 1 and not patterns else None
        """The one there is; everyone counts as one."""
        self._exact = frozenset(exact)
        self._patterns = tuple(patterns)

    def __contains__(self, origin: str) -> bool:
        if self.everyone or origin in self._exact:
            return True
        if not self._patterns or len(origin) > _LONGEST or not _SENT.fullmatch(origin):
            return False
        # Whole, whatever the expression says: what only begins like an origin is somebody else's.
        return any(pattern.fullmatch(origin) for pattern in self._patterns)


def _checked(origin: str) -> str:
    if origin in ("*", "null"):
        return origin
    lower = origin.lower()
    found = _ORIGIN.fullmatch(lower)
    if found is None:
        raise ConfigError(
            f"{origin!r} is not an origin as browsers send it: scheme, host and perhaps a port, such "
            'as "https://example.com" or "http://localhost:5173", and no slash at the end. Names '
            "beyond ASCII are written in punycode."
        )
    scheme, _, _, port = found.groups()
    if port == _DEFAULT_PORTS.get(scheme, ""):
        raise ConfigError(
            f"{origin!r} never comes: browsers leave the port {port} out. Write "
            f"{lower.removesuffix(f':{port}')!r}."
        )
    return lower


def _below(origin: str) -> re.Pattern[str]:
    lower = _checked(origin)
    scheme, _, rest = lower.partition("://*.")
    host, colon, port = rest.partition(":")
    if not rest or ("." not in host and host != "localhost"):
        raise ConfigError(
            f"{origin!r} trusts whoever has a name there. Write at least a domain of yours: "
            '"https://*.example.com".'
        )
    return re.compile(
        rf"{re.escape(scheme)}://(?:{_LABEL}\.)+{re.escape(host)}{re.escape(colon + port)}"
    )


def _checked_pattern(pattern: re.Pattern[str], *, credentials: bool) -> re.Pattern[str]:
    if credentials and pattern.fullmatch(_PROBE):
        raise ConfigError(
            f"The expression {pattern.pattern!r} matches {_PROBE}, and so, it seems, every origin: "
            "with credentials they could do all that the user can. Write the domain into it."
        )
    return pattern
