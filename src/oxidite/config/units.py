"""Numbers with a unit: ``Duration`` is seconds and ``Size`` is bytes, however they were written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, TypeAlias

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_LONGEST = 64  # characters; nobody writes more, and the arithmetic stays small

_SECONDS = {
    "w": Fraction(604_800),
    "d": Fraction(86_400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
}
# White space is only taken after a unit: one way to match, so the time is linear.
_DURATION = re.compile(
    "".join(rf"(?:(?P<{unit}>{_NUMBER}) *{unit}(?![a-z]) *)?" for unit in _SECONDS)
)
_PLAIN = re.compile(_NUMBER)

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(rf"({_NUMBER}) *(?:([kmgt])(i?))?b?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unit:
    """How a number in the settings may also be written as text."""

    read: Callable[[str], float]
    expected: str


def parse_duration(text: str) -> float:
    """Return the seconds in ``500ms``, ``90``, ``30s``, ``5m``, ``1h30m``, ``1.5d`` or ``2w``.

    Larger units come first and each at most once. Anything else is a ``ValueError``.
    """
    text = text.strip(" ")
    if len(text) <= _LONGEST:
        if _PLAIN.fullmatch(text):
            return float(text)
        found = _DURATION.fullmatch(text)
        if text and found:
            parts = found.groupdict(default="0")
            return float(sum(Fraction(parts[unit]) * scale for unit, scale in _SECONDS.items()))
    raise ValueError("Not a duration.")


def parse_size(text: str) -> int:
    """Return the bytes in ``512``, ``64kB``, ``10MB`` or ``1.5GiB``.

    ``k``, ``M``, ``G`` and ``T`` are powers of 1000, with an ``i`` of 1024; case does not matter,
    nor whether the ``B`` is there. Anything else, and part of a byte, is a ``ValueError``.
    """
    text = text.strip(" ")
    found = _SIZE.fullmatch(text) if len(text) <= _LONGEST else None
    if found:
        number, prefix, binary = found.groups(default="")
        size = Fraction(number) * (1024 if binary else 1000) ** _POWERS[prefix.lower()]
        if size.denominator == 1:
            return int(size)
    raise ValueError("Not a size.")


Duration: TypeAlias = Annotated[
    float, Unit(parse_duration, "a duration such as 500ms, 30s, 5m or 1h30m")
]
"""Seconds as ``float``; in settings also written with a unit."""

Size: TypeAlias = Annotated[int, Unit(parse_size, "a size such as 512, 64kB, 10MB or 1GiB")]
"""Bytes as ``int``; in settings also written with a unit."""
