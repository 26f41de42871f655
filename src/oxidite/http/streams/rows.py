"""CSV (RFC 4180) out of typed rows, made while it is sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from oxidite.encoding import encode_json, to_plain
from oxidite.http.disposition import content_disposition
from oxidite.http.response import CSV, StreamingResponse
from oxidite.http.streams.feed import Feed

__all__ = ["CSVStream"]

T = TypeVar("T")

_FORMULA = re.compile(r"[=@\t\r\n\uff1d\uff0b\uff0d\uff20]|[+-](?!\d+(\.\d+)?\Z)")
"""The beginnings that spreadsheets take for one, in full width too. A number with a sign is none."""


class CSVStream(StreamingResponse, Generic[T]):
    """Structs, dataclasses, models or mappings as CSV with a header row, made while it is sent.

    ``columns`` are the names and their order, those of the first row unless given; without a row
    there is no header then. What is missing in a row, or ``None``, is an empty field; what is not a
    scalar is written as JSON. ``download`` is the name under which a browser saves it.

    Text that begins like a formula gets an apostrophe before it: a spreadsheet would run what
    somebody wrote into a form. ``escape_formulas=False`` leaves it as it is, for programs.
    """

    __slots__ = ()

    media_type: ClassVar[str | None] = CSV

    def __init__(
        self,
        items: AsyncIterable[T] | Iterable[T],
        status: int = 200,
        *,
        columns: Sequence[str] | None = None,
        header: bool = True,
        escape_formulas: bool = True,
        download: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        table = _Table(columns, header=header, escape=escape_formulas)
        feed = Feed(items, table.row, closing=table.end)
        parameter = "present" if header else "absent"
        kind = f"{CSV}; charset=utf-8; header={parameter}"
        super().__init__(feed, status, content_type=kind, headers=headers)
        if download is not None:
            self.headers["content-disposition"] = content_disposition(download)


class _Table:
    """Makes the lines of one table."""

    def __init__(self, columns: Sequence[str] | None, *, header: bool, escape: bool) -> None:
        import csv  # it takes a millisecond, and few need it

        self._columns = columns
        self._header = header
        self._escape = escape
        # What `write` returns comes back from `writerow`.
        self._line: Callable[[Iterable[object]], str] = csv.writer(_Echo()).writerow

    def row(self, item: object) -> bytes:
        """Return a row, the first time after the header."""
        values = to_plain(item)
        if not isinstance(values, dict):
            raise TypeError(
                f"a row of CSV is a Struct, a dataclass, a model or a mapping, not a {type(item).__name__}"
            )
        if self._columns is None:
            self._columns = [str(name) for name in values]
        line = self._line([self._cell(values.get(name)) for name in self._columns]).encode()
        return self._head() + line if self._header else line

    def end(self) -> bytes:
        """Return the header if there was no row."""
        return self._head() if self._header and self._columns is not None else b""

    def _head(self) -> bytes:
        self._header = False
        return self._line([self._cell(name) for name in self._columns or ()]).encode()

    def _cell(self, value: object) -> object:
        if isinstance(value, str):
            return f"'{value}" if self._escape and _FORMULA.match(value) else value
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        return encode_json(value).decode()


class _Echo:
    def write(self, line: str) -> str:
        return line
