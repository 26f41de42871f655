"""URLs (RFC 3986) and query strings: taken apart, put together, and never trusted.

Nothing in a ``URL`` can change where it points once it is made: each part is checked, or encoded,
so a hostile Host field or path stays a host or a path. Text of a query is UTF-8 or refused.
"""

from __future__ import annotations

import dataclasses
import re
import socket
from binascii import a2b_qp
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypedDict, TypeVar, Unpack, overload
from urllib.parse import quote

from oxidite.errors import BadRequestError, InvalidPathError

__all__ = [
    "MAX_QUERY_FIELDS",
    "URL",
    "InvalidHostError",
    "InvalidQueryError",
    "QueryParams",
    "URLParts",
    "decode_pairs",
    "parse_query",
    "quote_path",
    "quote_path_segment",
    "quote_query",
    "single_values",
]

T = TypeVar("T")

MAX_QUERY_FIELDS = 1000
"""Fields of one query string, empty ones included."""

_NO_NAMES: frozenset[str] = frozenset()
_PCHAR = "!$&'()*+,;=:@"  # beside letters, digits and -._~ (RFC 3986 section 3.3)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")
# Names as DNS has them, "_" included: other characters that RFC 3986 allows only serve confusion.
_HOST = re.compile(r"[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)*+\.?")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{0,5}))?")
_MAX_AUTHORITY = 262  # a name of 253 characters, brackets or a last dot, a port
_REFERENCE = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+\-.]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?"
)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_IN_PATH = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_NOT_IN_QUERY = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class InvalidHostError(BadRequestError):
    """The host of the request is not a host name or an address with an optional port."""

    code = "invalid_host"


class InvalidQueryError(BadRequestError):
    """The query string of the request is not valid."""

    code = "invalid_query"


class URLParts(TypedDict, total=False):
    """What ``URL.replace`` can change."""

    scheme: str
    host: str | None
    port: int | None
    path: str
    query: str | None
    fragment: str | None


@dataclass(frozen=True, slots=True)
class URL:
    """A URL or a relative reference; immutable, and equal to another with the same parts.

    Scheme and host are in lower case, an IPv6 address has no brackets, and a port that is the
    scheme's own is ``None``. ``xn--`` names stay as they are. ``path``, ``query`` and ``fragment``
    are percent-encoded; ``query`` and ``fragment`` are ``None`` where there is none, which is not
    the same as empty.

    Raises:
        ValueError: the parts are not those of a URL, or not of one that reads back the same.
    """

    scheme: str = ""
    host: str | None = None
    port: int | None = None
    path: str = ""
    # Queries and fragments carry tokens, and a repr ends in logs.
    query: str | None = dataclasses.field(default=None, repr=False)
    fragment: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.scheme and not _SCHEME.fullmatch(self.scheme):
            raise ValueError(f"{self.scheme[:100]!r} is not the scheme of a URL")
        scheme = self.scheme.lower()
        path = _encode(self.path, _NOT_IN_PATH)
        port = _check_port(self.port)
        if self.host is None:
            _check_bare_path(scheme, path, port)
        elif path and path[0] != "/":
            raise ValueError(f"a path after a host begins with '/', {path[:100]!r} does not")
        # The only way to normalise the fields of a frozen dataclass.
        put = object.__setattr__
        put(self, "scheme", scheme)
        put(self, "host", None if self.host is None else _check_host(self.host))
        put(self, "port", None if port == _DEFAULT_PORTS.get(scheme) else port)
        put(self, "path", path)
        put(self, "query", None if self.query is None else _encode(self.query, _NOT_IN_QUERY))
        put(
            self,
            "fragment",
            None if self.fragment is None else _encode(self.fragment, _NOT_IN_QUERY),
        )

    @classmethod
    def parse(cls, text: str) -> URL:
        """Take a URL or relative reference apart.

        A user and password are not accepted: they belong in a header field, and here they only
        disguise a host.

        Raises:
            ValueError: it is not one, or it has a space, a control character or a backslash, which
                browsers remove or take for a slash.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None or _UNSAFE.search(text):
            raise ValueError(
                f"{text[:100]!r} is not a URL: encode spaces, control characters and backslashes"
            )
        scheme, authority, path, query, fragment = match.groups()
        host, port = (None, None) if authority is None else _split_authority(authority)
        return cls(scheme or "", host, port, path, query, fragment)

    @classmethod
    def from_parts(cls, scheme: str, authority: str, path: str, query: str = "") -> URL:
        """Put together the URL of a request.

        ``authority`` is the Host field (or ``:authority``) as it came, ``path`` the *decoded* path,
        ``query`` the raw text after the question mark. The path of ``OPTIONS *`` is empty.

        Raises:
            InvalidHostError: ``authority`` is anything but a host name or an address with an
                optional port: empty, with a user, a slash, a space.
            InvalidPathError: ``path`` does not begin with a slash, or is not Unicode.
        """
        try:
            host, port = _split_authority(authority)
        except ValueError:
            raise InvalidHostError(
                f"The host of the request, {authority[:100]!r}, is not a host name or an address "
                "with an optional port."
            ) from None
        if path == "*":
            path = ""
        if path and path[0] != "/":
            raise InvalidPathError("The path of the request does not begin with '/'.")
        try:
            path = quote_path(path)
        except UnicodeEncodeError:
            raise InvalidPathError from None
        try:
            return cls(scheme, host, port, path, query or None)
        except UnicodeEncodeError:
            raise InvalidQueryError("The query string is not valid: it is not UTF-8.") from None

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL and in a Host field; empty without a host."""
        if self.host is None:
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def replace(self, **changes: Unpack[URLParts]) -> URL:
        """Return a copy with some parts changed.

        Raises:
            ValueError: the parts do not make a URL.
        """
        return dataclasses.replace(self, **changes)

    def join(self, reference: str | URL) -> URL:
        """Return what ``reference`` means on the page that is this URL (RFC 3986 section 5.2).

        The result may be on another host: compare ``host`` before you send anybody there.

        Raises:
            ValueError: ``reference`` is not a URL, or the result is not.
        """
        ref = reference if isinstance(reference, URL) else URL.parse(reference)
        if ref.scheme:
            return ref.replace(path=_remove_dot_segments(ref.path))
        if ref.host is not None:
            return ref.replace(scheme=self.scheme, path=_remove_dot_segments(ref.path))
        if not ref.path:
            query = self.query if ref.query is None else ref.query
            return self.replace(query=query, fragment=ref.fragment)
        path = ref.path if ref.path[0] == "/" else self._merge(ref.path)
        path = _remove_dot_segments(path)
        return self.replace(path=path, query=ref.query, fragment=ref.fragment)

    def _merge(self, path: str) -> str:
        if self.host is not None and not self.path:
            return "/" + path
        directory, slash, _ = self.path.rpartition("/")
        return directory + slash + path

    def __str__(self) -> str:
        parts = []
        if self.scheme:
            parts.append(self.scheme + ":")
        if self.host is not None:
            parts.append("//" + self.authority)
        parts.append(self.path)
        if self.query is not None:
            parts.append("?" + self.query)
        if self.fragment is not None:
            parts.append("#" + self.fragment)
        return "".join(parts)


def _split_authority(authority: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(authority) if len(authority) <= _MAX_AUTHORITY else None
    if match is None:
        raise ValueError(f"{authority[:100]!r} is not a host name or an address with a port")
    address, name, digits = match.groups()
    port = int(digits) if digits else None
    return _check_host(address or name, bracketed=name is None), _check_port(port)


def _check_host(host: str, *, bracketed: bool | None = None) -> str:
    is_address = ":" in host
    if bracketed is None:
        bracketed = is_address
    try:
        if bracketed:
            socket.inet_pton(socket.AF_INET6, host)
            return host.lower()
    except (OSError, ValueError):
        pass
    else:
        if _HOST.fullmatch(host) and len(host) <= 254:
            return host.lower()
    raise ValueError(f"{host[:100]!r} is not a host name or an address")


def _check_port(port: int | None) -> int | None:
    if port is not None and not 0 <= port <= 65535:
        raise ValueError(f"{port} is not a port")
    return port


def _check_bare_path(scheme: str, path: str, port: int | None) -> None:
    """Refuse what would read back as something else, without a host in front."""
    if port is not None:
        raise ValueError(f"port {port} has no host")
    if path.startswith("//"):
        raise ValueError(f"a path without a host may not begin with '//', as {path[:100]!r} does")
    if not scheme and ":" in path.partition("/")[0]:
        raise ValueError(f"{path[:100]!r} would be read as a scheme: put './' in front")


def _remove_dot_segments(path: str) -> str:
    kept: list[str] = []
    root = 1 if path.startswith("/") else 0
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(root, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _encode(text: str, illegal: re.Pattern[str]) -> str:
    return illegal.sub(lambda match: quote(match.group(), safe=""), text)


def quote_path(path: str) -> str:
    """Percent-encode a decoded path; slashes stay."""
    return quote(path, safe=_PCHAR + "/")


def quote_path_segment(value: str) -> str:
    """Percent-encode a value for one segment of a path, slashes included.

    Raises:
        ValueError: it is ``.`` or ``..``, which every client removes, encoded or not.
    """
    if value in (".", ".."):
        raise ValueError(f"{value!r} cannot be a segment of a path: put it in the query")
    return quote(value, safe=_PCHAR)


def quote_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Make a query string, without the question mark; a space becomes ``%20``."""
    return "&".join(
        f"{quote(name, safe='/:@')}={quote(value, safe='/:@')}" for name, value in pairs
    )


def parse_query(raw: str, *, max_fields: int = MAX_QUERY_FIELDS) -> list[tuple[str, str]]:
    """Return the fields of a query string in order, decoded; ``+`` is a space, ``;`` is nothing.

    ``a`` and ``a=`` are both ``("a", "")``; empty fields (``&&``) are left out.

    Raises:
        InvalidQueryError: more than ``max_fields`` fields, empty ones included; a ``%`` without two
            hexadecimal digits; NUL; or text that is not UTF-8.
    """
    # PERF: split here, not in a function: benchmark `typed parameters`.
    if not _is_plain(raw):
        try:
            return decode_pairs(raw, max_fields=max_fields)
        except ValueError as exc:
            raise InvalidQueryError(f"The query string is not valid: {exc}.") from None
    pieces = raw.split("&", max_fields)
    if len(pieces) > max_fields:
        raise InvalidQueryError(f"The query string has more than {max_fields} fields.")
    pairs = []
    for piece in pieces:
        name, _, value = piece.partition("=")
        if name or value:
            pairs.append((name, value))
    return pairs


def single_values(raw: str) -> tuple[dict[str, str], frozenset[str]]:
    """Return the fields that a query string has once, decoded, and the names that it repeats.

    Raises:
        InvalidQueryError: as ``parse_query``.
    """
    if not raw:
        return {}, _NO_NAMES
    # PERF: without an escape in sight, no list of pairs; benchmark `users`.
    if raw.isascii() and not ("%" in raw or "+" in raw or "\0" in raw):
        pieces = raw.split("&", 16)
        if len(pieces) <= 16:
            values: dict[str, str] = {}
            for piece in pieces:
                name, _, value = piece.partition("=")
                if name or value:
                    values[name] = value
            if len(values) == len(pieces):
                return values, _NO_NAMES
    pairs = parse_query(raw)
    counts = Counter(name for name, _ in pairs)
    repeated = frozenset(name for name, count in counts.items() if count > 1)
    return {name: value for name, value in pairs if name not in repeated}, repeated


def decode_pairs(raw: str, *, max_fields: int) -> list[tuple[str, str]]:
    """Return the fields of ``application/x-www-form-urlencoded`` text, as ``parse_query`` does.

    Raises:
        ValueError: what is wrong, in words that end a sentence.
    """
    if "\0" in raw or "%00" in raw:
        raise ValueError("it contains NUL")
    if _BAD_ESCAPE.search(raw):
        raise ValueError("a '%' is not followed by two hexadecimal digits")
    pieces = raw.replace("+", " ").split("&", max_fields)
    if len(pieces) > max_fields:
        raise ValueError(f"it has more than {max_fields} fields")
    pairs = []
    try:
        if not raw.isascii():
            raw.encode()  # half a surrogate pair is not text
        for piece in pieces:
            name, _, value = piece.partition("=")
            if "%" in piece:
                name, value = _unquote(name), _unquote(value)
            if name or value:
                pairs.append((name, value))
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None
    return pairs


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    # PERF: quoted-printable is the same encoding with another sign, and binascii decodes it in C.
    # Every sign has its two digits here, so nothing else of that format can come up.
    return a2b_qp(text.encode().replace(b"=", b"=3D").replace(b"%", b"=")).decode()


class QueryParams(Mapping[str, str]):
    """The fields of a query string, by name; decoded when first asked for.

    ``params["tag"]`` is the first value of a repeated field, ``get_all`` gives every one. As a
    mapping it has each name once; ``multi_items`` has everything. ``str`` gives the query string.

    Every look-up raises ``InvalidQueryError`` if the query string is not valid.
    """

    __slots__ = ("_first", "_max_fields", "_pairs", "_raw")
    _raw: str
    _max_fields: int
    _pairs: list[tuple[str, str]] | None
    _first: dict[str, str] | None

    def __init__(self, raw: str | bytes = "", *, max_fields: int = MAX_QUERY_FIELDS) -> None:
        # Bytes outside ASCII are encoded here and judged with the rest, when they are decoded.
        self._raw = quote(raw, safe=_ASCII) if isinstance(raw, bytes) else raw
        self._max_fields = max_fields
        self._first = None
        self._pairs = None

    def _by_name(self) -> dict[str, str]:
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self._all()))
        return first

    def _all(self) -> list[tuple[str, str]]:
        pairs = self._pairs
        if pairs is None:
            pairs = self._pairs = parse_query(self._raw, max_fields=self._max_fields)
        return pairs

    def __getitem__(self, name: str) -> str:
        return self._by_name()[name]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: T, /) -> str | T: ...
    def get(self, name: str, default: object = None, /) -> object:
        """Return the first value of ``name``, or ``default``."""
        return self._by_name().get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name()

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.multi_items()))  # in the order of first appearance

    def __len__(self) -> int:
        return len(self._by_name())

    def get_all(self, name: str) -> list[str]:
        """Return every value of ``name``, in order; an empty list without one."""
        return [value for key, value in self.multi_items() if key == name]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all fields in order, repeated ones included."""
        return list(self._all())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, QueryParams):
            return self.multi_items() == other.multi_items()
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.multi_items()))

    def __str__(self) -> str:
        return self._raw

    def __repr__(self) -> str:
        # Only names: values carry tokens, and a repr ends in logs, of errors too.
        try:
            return f"QueryParams({', '.join(self)})"
        except InvalidQueryError:
            return "QueryParams(invalid)"


_ASCII = "".join(map(chr, range(128)))


def _is_plain(raw: str) -> bool:
    """Tell whether a query string stands for itself: nothing to decode and nothing to refuse."""
    return raw.isascii() and "%" not in raw and "+" not in raw and "\0" not in raw
