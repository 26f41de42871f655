"""The Cookie field of a request, and Set-Cookie fields of a response (RFC 6265 and 6265bis).

What clients send is read with tolerance: any text gives a dictionary. What we send is checked:
a cookie that a browser would drop without a word, or that could break a header, is refused.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from oxidite.errors import BadRequestError
from oxidite.http.dates import format_date

__all__ = [
    "MAX_COOKIES",
    "SameSite",
    "TooManyCookiesError",
    "format_delete_cookie",
    "format_set_cookie",
    "parse_cookies",
]

SameSite: TypeAlias = Literal["Lax", "Strict", "None"]

MAX_COOKIES = 256
"""Cookies in one request. Browsers keep about 180 per site."""

_MAX_PAIR_SIZE = 4096  # name and value; browsers drop a longer cookie (RFC 6265bis section 5.6)
_MAX_ATTRIBUTE_SIZE = 1024  # and ignore a longer attribute
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")  # printable ASCII without space " , ; \
_PATH = re.compile(r"/[ -:<-~]*")
_DOMAIN = re.compile(r"\.?[0-9A-Za-z](?:[0-9A-Za-z\-.]*[0-9A-Za-z])?")


class TooManyCookiesError(BadRequestError):
    """The request has too many cookies."""

    code = "too_many_cookies"


def parse_cookies(header: str, *, max_cookies: int = MAX_COOKIES) -> dict[str, str]:
    """Return the cookies of a Cookie header field; several fields are joined with ``"; "`` first.

    Of two cookies with one name the first wins: browsers send the one with the longest path first.
    A cookie without a name is ignored, so ``=__Host-id=1`` sets nothing. One pair of double quotes
    around a value is removed; a semicolon always ends a value, inside quotes too.

    Only spaces and tabs are trimmed: other blanks stay part of the name, so nothing that merely
    looks like ``__Host-id`` becomes it.

    Raises:
        TooManyCookiesError: more than ``max_cookies`` pairs, repeated names included. Nothing else
            is ever raised.
    """
    pieces = header.split(";")
    if len(pieces) > max_cookies and sum("=" in piece for piece in pieces) > max_cookies:
        raise TooManyCookiesError(f"The request has more than {max_cookies} cookies.")
    cookies: dict[str, str] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        name = name.strip(" \t")
        if not name or name in cookies or "=" not in piece:
            continue
        value = value.strip(" \t")
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        cookies[name] = value
    return cookies


def format_set_cookie(
    name: str,
    value: str,
    *,
    max_age: float | None = None,
    expires: datetime | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = True,
    samesite: SameSite | None = "Lax",
    partitioned: bool = False,
) -> str:
    """Return the value of a Set-Cookie header field.

    ``max_age`` is in seconds, rounded up to a whole one, and wins over ``expires`` in every
    browser; without either the cookie ends with the browser's session. ``expires`` needs a time
    zone.

    Raises:
        ValueError: a name, value or attribute that is not allowed in a cookie, or a combination
            that browsers drop: ``SameSite=None`` or ``Partitioned`` without ``secure``, a
            ``__Host-`` or ``__Secure-`` name without what the prefix promises, more than 4096
            bytes.
    """
    _check_pair(name, value)
    _check_prefix(name, path=path, domain=domain, secure=secure)
    parts = [f"{name}={value}"]
    if path is not None:
        parts.append("Path=" + _attribute("path", path, _PATH))
    if domain is not None:
        parts.append("Domain=" + _attribute("domain", domain, _DOMAIN))
    if max_age is not None:
        if not 0 <= max_age < math.inf:
            raise ValueError(
                f"max_age of cookie {name} is {max_age}; it is a number of seconds, from 0"
            )
        # Rounded up: half a second is short, but it is not "delete now".
        parts.append(f"Max-Age={math.ceil(max_age)}")
    if expires is not None:
        parts.append("Expires=" + format_date(expires))
    parts += _flags(name, secure, httponly, samesite, partitioned)
    return "; ".join(parts)


def format_delete_cookie(
    name: str,
    *,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = True,
    samesite: SameSite | None = "Lax",
    partitioned: bool = False,
) -> str:
    """Return the value of a Set-Cookie header field that makes the client forget a cookie.

    ``path``, ``domain`` and ``partitioned`` have to be those the cookie was set with, or the client
    keeps it. ``secure`` is added where the name or another attribute demands it.
    """
    return format_set_cookie(
        name,
        "",
        max_age=0,
        expires=_EPOCH,
        path=path,
        domain=domain,
        secure=secure or partitioned or samesite == "None" or _prefix(name) != "",
        httponly=httponly,
        samesite=samesite,
        partitioned=partitioned,
    )


def _check_pair(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a cookie name: use letters, digits, '-' and '_'")
    if not _VALUE.fullmatch(value):
        # The value itself stays out of the message: cookies are credentials.
        raise ValueError(
            f"the value of cookie {name} has a character that cookies cannot hold (a space, "
            'a control character, one of " , ; \\ or one outside ASCII): encode it first, for '
            "example with urllib.parse.quote or base64"
        )
    if len(name) + len(value) > _MAX_PAIR_SIZE:
        raise ValueError(
            f"cookie {name} has {len(name) + len(value)} bytes, and browsers drop what is over "
            f"{_MAX_PAIR_SIZE}: keep the data on the server and an identifier in the cookie"
        )


def _prefix(name: str) -> str:
    # Browsers compare the prefixes without regard to case (RFC 6265bis section 5.4).
    lower = name.lower()
    return next(
        (prefix for prefix in ("__Host-", "__Secure-") if lower.startswith(prefix.lower())), ""
    )


def _check_prefix(name: str, *, path: str | None, domain: str | None, secure: bool) -> None:
    prefix = _prefix(name)
    if prefix and not secure:
        raise ValueError(f"cookie {name} needs secure=True, which {prefix} promises")
    if prefix == "__Host-" and (path != "/" or domain is not None):
        raise ValueError(f"cookie {name} needs path='/' and no domain, which __Host- promises")


def _attribute(label: str, value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value) or len(value) > _MAX_ATTRIBUTE_SIZE:
        raise ValueError(f"{value[:80]!r} is not the {label} of a cookie")
    return value


def _flags(
    name: str, secure: bool, httponly: bool, samesite: SameSite | None, partitioned: bool
) -> list[str]:
    if samesite not in ("Lax", "Strict", "None", None):
        raise ValueError(f"samesite of cookie {name} is {samesite!r}; use Lax, Strict, None")
    if samesite == "None" and not secure:
        raise ValueError(f"cookie {name} has samesite='None', which needs secure=True")
    if partitioned and not secure:
        raise ValueError(f"cookie {name} is partitioned, which needs secure=True")
    parts = []
    if secure:
        parts.append("Secure")
    if httponly:
        parts.append("HttpOnly")
    if samesite is not None:
        parts.append(f"SameSite={samesite}")
    if partitioned:
        parts.append("Partitioned")
    return parts
