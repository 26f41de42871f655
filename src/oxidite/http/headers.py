"""Header fields: what a request carried, and what a response will.

Names are lower case everywhere. A value that would break the framing of a message (CR, LF, NUL,
or what Latin-1 cannot hold) is refused when it is set, so nothing downstream has to look again
(RFC 9110 section 5.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, cast, overload

__all__ = ["Headers", "MutableHeaders"]

T = TypeVar("T")

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")

# Header names that were checked once. Bounded: a program that builds names from data must not grow it.
_names: dict[str, str] = {}
_NAMES_KEPT = 1024


def header_name(name: str) -> str:
    """Return ``name`` in lower case.

    Raises:
        ValueError: it is not a token of RFC 9110 section 5.6.2.
    """
    known = _names.get(name)
    if known is not None:
        return known
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name")
    lower = name.lower()
    if len(_names) < _NAMES_KEPT:
        _names[name] = lower
    return lower


def header_value(value: str) -> str:
    """Return ``value``.

    Raises:
        ValueError: it holds a control character, or one outside Latin-1.
    """
    # PERF: almost every value passes the first test, in C.
    if value.isascii() and value.isprintable():
        return value
    if bad := _FORBIDDEN.search(value):
        raise ValueError(f"a header value may not contain {bad.group()!r}")
    return value


class Headers(Mapping[str, str]):  # noqa: PLW1641 - equal by content, and a subclass is mutable
    """Header fields in the order they came; look-up ignores case.

    ``headers["x"]`` is the first value of a repeated field; ``get_all`` gives every one.
    """

    __slots__ = ("_first", "_items")
    _items: list[tuple[str, str]]
    _first: dict[str, str] | None

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = list(items)
        self._first = None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.multi_items()))

    def __len__(self) -> int:
        return len(dict(self.multi_items()))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: T, /) -> str | T: ...
    def get(self, name: str, default: object = None, /) -> object:
        """Return the first value of ``name``, or ``default``."""
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self.multi_items()))
        value = first.get(name)
        if value is None:
            value = first.get(name.lower())
        return default if value is None else value

    def get_all(self, name: str) -> list[str]:
        """Return every value of ``name``, in order; an empty list without one."""
        lower = name.lower()
        return [value for key, value in self.multi_items() if key == lower]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all fields as they came, repeated ones included. Not a copy: do not change it."""
        return self._items

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return sorted(self.multi_items()) == sorted(other.multi_items())
        return NotImplemented

    def __repr__(self) -> str:
        # Only names: values carry cookies and tokens, and a repr ends in logs.
        return f"{type(self).__name__}({', '.join(self)})"


class MutableHeaders(Headers):
    """Header fields of a response under construction."""

    __slots__ = ()

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._items = []
        self._first = None
        if items:
            self._items.extend(
                (header_name(name), header_value(value)) for name, value in _pairs(items)
            )

    def __setitem__(self, name: str, value: str) -> None:
        # PERF: the checks inline, and no copy where nothing is replaced; benchmark `mw`.
        key = _names.get(name) or header_name(name)
        if not (value.isascii() and value.isprintable()):
            header_value(value)
        items = self._items
        for item in items:
            if item[0] == key:
                self._drop(key)
                items = self._items
                break
        items.append((key, value))
        self._first = None

    def __delitem__(self, name: str) -> None:
        if not self._drop(name.lower()):
            raise KeyError(name)

    def setdefault(self, name: str, value: str) -> str:
        """Set ``name`` unless it is there; return what is there now."""
        present = self.get(name)
        if present is not None:
            return present
        self[name] = value
        return value

    def pop(self, name: str, default: str | None = None) -> str | None:
        """Remove every field called ``name``; return the first value, or ``default``."""
        value = self.get(name, default)
        self._drop(name.lower())
        return value

    def add(self, name: str, value: str) -> None:
        """Append a field, beside those of the same name (``Set-Cookie``, ``Link``)."""
        self._items.append((header_name(name), header_value(value)))
        self._first = None

    def update(self, other: Mapping[str, str]) -> None:
        """Set every field of ``other``; those that it has more than once stay repeated."""
        if not isinstance(other, Headers):
            for name, value in other.items():
                self[name] = value
            return
        fields = MutableHeaders(other).multi_items()
        names = {name for name, _ in fields}
        self._items = [item for item in self._items if item[0] not in names] + fields
        self._first = None

    def add_missing(self, fields: FixedHeaders) -> None:
        """Append the fields that are not here by name."""
        present = {name for name, _ in self._items}
        self._items += [item for item in fields.items if item[0] not in present]
        self._first = None

    def add_vary(self, *names: str) -> None:
        """Name request headers that this response depends on (RFC 9110 section 12.5.5)."""
        # PERF: most responses depend on nothing yet; benchmark `middleware`.
        if len(names) == 1:
            for item in self._items:
                if item[0] == "vary":
                    break
            else:
                self._items.append(("vary", header_value(names[0])))
                self._first = None
                return
        present = [part.strip() for value in self.get_all("vary") for part in value.split(",")]
        if "*" in present:
            return
        # Whatever its case, a name counts once: as it was written first.
        wanted: dict[str, str] = {}
        for name in filter(None, (*present, *names)):
            wanted.setdefault(name.lower(), name)
        self["vary"] = "*" if "*" in names else ", ".join(wanted.values())

    def _drop(self, name: str) -> bool:
        self._first = None
        before = len(self._items)
        if before:
            self._items = [item for item in self._items if item[0] != name]
        return len(self._items) < before


class FixedHeaders:
    """Header fields that many responses have, checked and encoded once: see ``Response.add_fixed``.

    Raises:
        ValueError: a field is none, or is about the body, which every response says for itself.
    """

    __slots__ = ("items", "wire")

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        self.items: tuple[tuple[str, str], ...] = tuple(MutableHeaders(items).multi_items())
        for name, _ in self.items:
            if name in ("content-type", "content-length"):
                raise ValueError(f"{name!r} is about a body, so it cannot be fixed")
        self.wire: tuple[tuple[bytes, bytes], ...] = tuple(
            (name.encode(), value.encode("latin-1")) for name, value in self.items
        )


def content_headers(content_type: str | None) -> MutableHeaders:
    """Make the header fields of a response that has its checked content type and no other."""
    # PERF: a third of what the constructor costs; benchmark `mw`.
    headers = _new(MutableHeaders)
    headers._items = [] if content_type is None else [("content-type", content_type)]  # noqa: SLF001
    headers._first = None  # noqa: SLF001
    return headers


def checked_headers(items: Iterable[tuple[str, str]]) -> MutableHeaders:
    """Make the header fields of a response from fields that another had, without looking at them."""
    headers = _new(MutableHeaders)
    headers._items = list(items)  # noqa: SLF001
    headers._first = None  # noqa: SLF001
    return headers


_new = object.__new__


def _pairs(items: Mapping[str, str] | Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    if isinstance(items, Headers):
        # Its `items` are those of a mapping: one value a name.
        return items.multi_items()
    return cast("Mapping[str, str]", items).items() if isinstance(items, Mapping) else items
