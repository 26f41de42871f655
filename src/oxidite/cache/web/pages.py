"""Answers as they are kept, and the keys that they are kept under."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import TypeAlias
from urllib.parse import quote, unquote

from msgspec import Struct

from oxidite.errors import HTTPError
from oxidite.http.conditional import Validators, not_modified
from oxidite.http.dates import parse_date
from oxidite.http.files.ranges import parse_ranges
from oxidite.http.headers import Headers, checked_headers
from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = [
    "Kept",
    "Page",
    "Varies",
    "kept_fields",
    "named_key",
    "names_of",
    "page_key",
    "variant_key",
]

# Of one connection or one request, and not of what is kept (RFC 9111 section 3.1); Age and Cache-Status
# are written anew for each hit.
_NOT_KEPT = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"),
        *("trailer", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization"),
        *("age", "cache-status", "set-cookie", "server-timing", "x-request-id"),
    )
)


class Page(Struct, frozen=True, tag="page"):
    """An answer that is kept. Times are those of the store, in seconds.

    ``born`` is when its age was 0; it is fresh for ``lifetime``, may be served stale for ``swr`` and
    ``sie`` after that, or never if ``must`` says that it has to be asked for then.
    """

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    born: float
    lifetime: float
    swr: float = 0.0
    sie: float = 0.0
    must: bool = False

    @property
    def headers(self) -> Headers:
        """Its header fields."""
        return Headers(self.fields)

    @property
    def etag(self) -> str | None:
        """Its entity tag."""
        return self.headers.get("etag")

    @property
    def modified(self) -> str | None:
        """When it was changed last, as it says itself."""
        return self.headers.get("last-modified")

    def answer(self, request: Request, age: int) -> Response:
        """Return it as the answer to a request: 304 or a part of it, if that is asked for.

        Raises:
            RangeNotSatisfiableError: a part is asked for that there is not.
        """
        response = Response(self.body, self.status)
        response.made_headers = checked_headers(self.fields)
        response.headers["age"] = str(age)
        modified = None if self.modified is None else parse_date(self.modified)
        validators = Validators(self.etag, modified)
        if self.status != 200:
            return response
        if validators.check("GET", _reads(request.headers)) == "same":
            return not_modified(response)
        return self._part(request, response, validators)

    def _part(self, request: Request, response: Response, validators: Validators) -> Response:
        wanted = request.headers.get("range")
        if wanted is None or request.method != "GET" or not validators.allow_range(request.headers):
            return response
        ranges = parse_ranges(wanted, len(self.body))
        if len(ranges) != 1:
            return response  # a Range may be ignored (RFC 9110 section 14.2)
        (only,) = ranges
        response.status, response.body = 206, self.body[only.start : only.stop]
        response.headers["content-range"] = only.content_range(len(self.body))
        return response


class Varies(Struct, frozen=True, tag="varies"):
    """What is at a key of which there are several answers: the request fields that tell them apart."""

    names: tuple[str, ...]


Kept: TypeAlias = Page | Varies


def _reads(headers: Headers) -> Headers:
    """Return the conditions that a cache judges by itself (RFC 9111 section 4.3.2)."""
    wanted = ("if-none-match", "if-modified-since")
    return Headers(item for item in headers.multi_items() if item[0] in wanted)


def kept_fields(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return the fields of an answer that are kept with it."""
    named = {
        name.strip().lower() for value in headers.get_all("connection") for name in value.split(",")
    }
    return tuple(
        (name, value)
        for name, value in headers.multi_items()
        if name not in _NOT_KEPT and name not in named
    )


def names_of(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the names in Vary fields, each once, in lower case and in order."""
    names = {name.strip().lower() for field in fields for name in field.split(",")}
    return tuple(sorted(names - {""}))


def page_key(request: Request, ignored: Collection[str]) -> str:
    """Return the key of what a request asks for: the same for whatever handlers cannot tell apart.

    Parameters of the query are put in order by their names, so that ``?a=1&b=2`` is ``?b=2&a=1``.
    """
    path = request.root_path + request.path
    return _key(request.scheme, request.host, path, request.query_string, ignored)


def named_key(request: Request, reference: str, ignored: Collection[str]) -> str | None:
    """Return the key of a URL that an answer names; ``None`` for one of another origin."""
    try:
        base = request.url
        url = base.join(reference)
    except (ValueError, HTTPError):
        return None
    if (url.scheme, url.authority) != (base.scheme, base.authority):
        return None
    path = unquote(url.path, errors="surrogatepass")
    return _key(request.scheme, request.host, path, url.query or "", ignored)


def _key(scheme: str, host: str, path: str, query: str, ignored: Collection[str]) -> str:
    parts = [part for part in query.split("&") if part]
    if ignored:
        parts = [part for part in parts if part.partition("=")[0] not in ignored]
    parts.sort(key=lambda part: part.partition("=")[0])
    # Escaped, as no text may be taken for that of another part: /a%3Fb is not /a?b.
    host = quote(host.lower(), safe=":[]")
    path = quote(path, safe="/:@!$&'()*+,;=", errors="surrogatepass")
    query = "&".join(parts).replace("#", "%23")
    return f"http:{scheme}://{host}{path}?{query}"


def variant_key(key: str, names: Iterable[str], headers: Headers) -> str:
    """Return the key of the answer to a request among several (RFC 9111 section 4.1)."""
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        values = [_normal(value) for value in headers.get_all(name)]
        text = f"{name}:{len(values) > 0}:{','.join(values)}".encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(4, "big"))
        digest.update(text)
    return f"{key}#{digest.hexdigest()}"


def _normal(value: str) -> str:
    return ",".join(part.strip(" \t") for part in value.split(","))
