"""Parts of a representation: the Range field read, and Content-Range written (RFC 9110 section 14).

A field is read in linear time, and what may be asked for is bounded: overlapping ranges are merged,
so that nothing is sent twice, and more than 32 of them are refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from oxidite.errors import HTTPError

__all__ = ["Range", "RangeNotSatisfiableError", "Segments", "multipart", "parse_ranges"]

MOST_RANGES = 32
_RANGE = re.compile(r"[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*", re.ASCII)
_DIGITS = 18  # of a position; more are beyond the end of any file


class Range(NamedTuple):
    """Bytes from ``start`` up to and without ``stop``."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """Return the Content-Range field of this part of ``size`` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


Segments: TypeAlias = tuple[bytes | Range, ...]
"""A body: ready bytes, and parts of the representation."""


class RangeNotSatisfiableError(HTTPError):
    """None of the bytes that were asked for exist."""

    code = "range_not_satisfiable"
    status = 416

    def __init__(self, size: int, message: str | None = None) -> None:
        super().__init__(message, headers={"content-range": f"bytes */{size}"})

    @property
    def title(self) -> str:
        """The phrase of RFC 9110, the same on every Python."""
        return "Range Not Satisfiable"


def parse_ranges(field: str, size: int) -> list[Range]:
    """Return the ranges of a Range field that exist in ``size`` bytes; none if it is to be ignored.

    Overlapping and adjacent ones are merged; the order is that in which they were asked for.

    Raises:
        RangeNotSatisfiableError: it asks for nothing that is there, or for more than 32 ranges.
    """
    unit, _, text = field.partition("=")
    if unit.strip(" \t").lower() != "bytes" or size == 0:
        return []  # no Content-Range can say that something is a part of nothing
    if text.count(",") >= MOST_RANGES:
        raise RangeNotSatisfiableError(size, f"Ask for at most {MOST_RANGES} ranges at once.")
    asked = [_read(spec, size) for spec in text.split(",") if spec.strip(" \t")]
    if not asked or None in asked:
        return []
    found = [each for each in asked if each is not None and each.start < each.stop]
    if found:
        return _merged(found)
    raise RangeNotSatisfiableError(size, f"There are {size} bytes, and none of those asked for.")


def _read(spec: str, size: int) -> Range | None:
    """Return one range, empty if it lies outside, or ``None`` for what is no range."""
    match = _RANGE.fullmatch(spec)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return Range(max(0, size - _position(suffix, size)), size)
    start = _position(first, size)
    if not last:
        return Range(min(start, size), size)
    end = _position(last, size)
    if _order(last) < _order(first):
        return None
    return Range(min(start, size), min(end + 1, size))


def _order(digits: str) -> tuple[int, str]:
    digits = digits.lstrip("0")
    return len(digits), digits


def _position(digits: str, size: int) -> int:
    # Python refuses to read thousands of digits, and takes its time for hundreds.
    digits = digits.lstrip("0")
    return size if len(digits) > _DIGITS else int(digits or "0")


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Merge what overlaps or touches; each stands where the first of its parts stood."""
    groups: list[tuple[int, Range]] = []
    for place, each in sorted(enumerate(ranges), key=lambda item: item[1]):
        if groups and each.start <= groups[-1][1].stop:
            first, last = groups[-1]
            groups[-1] = (min(first, place), Range(last.start, max(last.stop, each.stop)))
        else:
            groups.append((place, each))
    return [each for _, each in sorted(groups)]


def multipart(ranges: Iterable[Range], size: int, content_type: str) -> tuple[str, Segments]:
    """Return the content type and the body of several ranges (RFC 9110 section 14.6)."""
    boundary = secrets.token_hex(16)
    segments: list[bytes | Range] = []
    for each in ranges:
        head = (
            f"--{boundary}\r\ncontent-type: {content_type}\r\n"
            f"content-range: {each.content_range(size)}\r\n\r\n"
        )
        segments += [(head if not segments else "\r\n" + head).encode("latin-1"), each]
    segments.append(f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", tuple(segments)


def length(segments: Segments) -> int:
    """Return how many bytes a body has."""
    return sum(
        len(each) if isinstance(each, bytes) else each.stop - each.start for each in segments
    )
