"""Pages: some rows of many, and the way to the others.

Both kinds are Structs, so a handler returns one as it is: it is encoded in one go, and the answer has
a ``Link`` field (RFC 8288) with the pages beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

__all__ = ["CursorPage", "Page"]

T = TypeVar("T")


class _Parameter:
    """The query parameter that names a page. A slot that msgspec does not see: it is not encoded."""

    __slots__ = ("_parameter",)

    _parameter: str

    def set_parameter(self, name: str) -> None:
        """Say which query parameter of the request names the page, for the ``Link`` field."""
        self._parameter = name


class CursorPage(_Parameter, Struct, Generic[T], kw_only=True):
    """Some rows, and cursors of the pages beside them.

    Give ``next`` or ``previous`` back as it is, as ``after`` of the following request; where there is
    no such page, it is null. They are signed, but not secret.
    """

    __header_docs__: ClassVar[Mapping[str, str]] = {
        "Link": "The pages beside this one: next, prev and first (RFC 8288)."
    }

    items: list[T]
    next: str | None = None
    previous: str | None = None

    def __page_links__(self) -> Mapping[str, Mapping[str, str | None]]:
        """Return for each page beside this one what its query has instead."""
        name = getattr(self, "_parameter", "after")
        pages: dict[str, Mapping[str, str | None]] = {}
        if self.next is not None:
            pages["next"] = {name: self.next}
        if self.previous is not None:
            pages["prev"] = {name: self.previous}
        pages["first"] = {name: None}
        return pages


class Page(_Parameter, Struct, Generic[T], kw_only=True):
    """The rows of one page of numbered ones, the first being 1, with ``size`` rows at most.

    ``total`` is how many rows there are and ``pages`` how many pages, null if they were not counted.
    ``next`` and ``previous`` are the numbers of the pages beside this one, null where there is none.
    """

    __header_docs__: ClassVar[Mapping[str, str]] = {
        "Link": "The pages beside this one: next, prev, first and last (RFC 8288)."
    }

    items: list[T]
    number: int
    size: int
    total: int | None = None
    pages: int | None = None
    next: int | None = None
    previous: int | None = None

    def __page_links__(self) -> Mapping[str, Mapping[str, str | None]]:
        """Return for each page beside this one what its query has instead."""
        name = getattr(self, "_parameter", "page")
        numbers = {"next": self.next, "prev": self.previous, "first": 1, "last": self.pages or None}
        return {
            relation: {name: str(number)}
            for relation, number in numbers.items()
            if number is not None
        }
