"""Vectors: rows of numbers that stand for a text or a picture, and how far two of them are apart."""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import mul
from typing import Any, ClassVar, Literal, TypeAlias, overload

__all__ = [
    "METRICS",
    "MOST_DIMENSIONS",
    "SIZE",
    "Vector",
    "VectorMetric",
    "distances",
    "vector_problem",
]

VectorMetric: TypeAlias = Literal["cosine", "l2", "inner_product"]
"""How the distance of two vectors is measured; in each, less is nearer.

``cosine`` is 1 less the cosine of the angle between them, from 0 to 2. ``l2`` is the length of their
difference. ``inner_product`` is their inner product with the other sign, for vectors of length 1 the
quickest.
"""

METRICS: tuple[VectorMetric, ...] = ("cosine", "l2", "inner_product")
MOST_DIMENSIONS = 16_000
"""As many as pgvector keeps."""
SIZE = 4
"""Bytes of a number."""
_Floats: TypeAlias = tuple[float, ...]


class Vector(Sequence[float]):
    """Numbers of 32 bits that do not change, such as the embedding of a text.

    Made of a list, an ``array`` or a NumPy array of one dimension. Each number is rounded to 32 bits. Two
    are equal if all their numbers are.

    Raises:
        TypeError: something in it is no number.
        ValueError: it is an array of more than one dimension.
    """

    __slots__ = ("_data",)

    __plain_schema__: ClassVar[Mapping[str, object]] = {
        "type": "array",
        "items": {"type": "number"},
    }

    def __init__(self, values: Iterable[float]) -> None:
        self._data: bytes = bytes(values) if isinstance(values, Vector) else _packed(values)

    @classmethod
    def from_bytes(cls, data: bytes) -> Vector:
        """Return the vector whose ``bytes()`` these are: 32-bit floats, the lowest byte first.

        Raises:
            ValueError: their number is no multiple of 4.
        """
        if len(data) % SIZE:
            raise ValueError(f"{len(data)} bytes are no numbers of {SIZE} bytes each.")
        made = cls.__new__(cls)
        made._data = _without_signs(bytes(data))  # noqa: SLF001 - its own
        return made

    def __bytes__(self) -> bytes:
        return self._data

    def tolist(self) -> list[float]:
        """Return its numbers as a list."""
        return list(_floats(self._data))

    def distance(self, other: Iterable[float], *, metric: VectorMetric = "cosine") -> float:
        """Return how far it is from another one; less is nearer.

        With ``cosine`` that is not-a-number where one of them is all zeros.

        Raises:
            ValueError: the other one has another number of dimensions.
        """
        theirs = Vector(other)
        if len(theirs) != len(self):
            raise ValueError(
                f"A vector of {len(self)} dimensions is compared with one of {len(theirs)}."
            )
        found = distances[metric](self._data, theirs._data)
        return math.nan if found is None else found

    def __len__(self) -> int:
        return len(self._data) // SIZE

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> Vector: ...
    def __getitem__(self, place: int | slice) -> float | Vector:
        found = _floats(self._data)[place]
        return Vector(found) if isinstance(found, tuple) else found

    def __iter__(self) -> Iterator[float]:
        return iter(_floats(self._data))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vector):
            return NotImplemented
        return self._data == bytes(other)

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        shown = ", ".join([format(each, ".7g") for each in self[:_SHOWN]])
        return f"Vector([{shown}{', …' if len(self) > _SHOWN else ''}])"

    # As JSON, MessagePack and OpenAPI have it, see `encoding/json.py`.

    def __plain__(self) -> list[float]:
        return self.tolist()

    @classmethod
    def __from_plain__(cls, value: object) -> Vector:
        if isinstance(value, Vector):
            return value
        if not isinstance(value, list | tuple):
            raise ValueError("Expected `array` of numbers")
        if not all(type(each) in (int, float) for each in value):
            raise ValueError("Expected `array` of numbers, and something in it is none")
        return cls(value)


_SHOWN = 8
"""Numbers that are shown of one."""


def _packed(values: Iterable[float]) -> bytes:
    if isinstance(values, str | bytes | bytearray):
        raise TypeError(
            f"A {type(values).__name__} is no vector: give a list of numbers, or Vector.from_bytes(...)."
        )
    try:
        numbers = array("f", _listed(values))
    except OverflowError:
        raise ValueError("A number of a vector is too large for a float.") from None
    except TypeError as exc:
        raise TypeError(f"A vector is made of numbers: {exc}.") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return _without_signs(numbers.tobytes())


def _without_signs(data: bytes) -> bytes:
    """Return numbers without zeros that have a sign: equal ones are equal bytes to a database."""
    if b"\0\0\0\x80" not in data:
        return data
    found = _floats(data)
    return struct.pack(f"<{len(found)}f", *[each or 0.0 for each in found])


def _listed(values: Any) -> Iterable[float]:  # Any: whatever holds numbers
    """Return numbers in the form that is read the fastest: of a NumPy array, each is an object."""
    numbers: Iterable[float] = values
    try:
        view: memoryview[Any] = memoryview(values)
    except TypeError:
        return numbers
    if view.ndim != 1:
        raise ValueError(
            f"An array of {view.ndim} dimensions is no vector: give one of its rows, or its ravel()."
        )
    try:
        return view.tolist()
    except NotImplementedError:  # in the order of another machine
        return numbers


def _floats(data: bytes) -> _Floats:
    return struct.unpack(f"<{len(data) // SIZE}f", data)


# Distances, of the bytes of two vectors. SQLite calls these for each row, with what is searched for second.


@lru_cache(maxsize=16)
def _known(data: bytes) -> tuple[_Floats, float]:
    """Return the numbers and the length of a vector that is compared with many."""
    found = _floats(data)
    return found, math.hypot(*found)


if sys.version_info >= (3, 12):
    _product = math.sumprod
else:

    def _product(one: _Floats, other: _Floats) -> float:
        found: float = sum(map(mul, one, other))
        return found


def _cosine(one: bytes | None, other: bytes | None) -> float | None:
    if one is None or other is None or len(one) != len(other):
        return None
    floats, (others, length) = _floats(one), _known(other)
    length *= math.hypot(*floats)
    # What is rounded may be a little outside of what there is.
    return min(max(1.0 - _product(floats, others) / length, 0.0), 2.0) if length else None


def _l2(one: bytes | None, other: bytes | None) -> float | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return math.dist(_floats(one), _known(other)[0])


def _inner_product(one: bytes | None, other: bytes | None) -> float | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return -_product(_floats(one), _known(other)[0])


distances: Mapping[VectorMetric, Callable[[bytes | None, bytes | None], float | None]] = {
    "cosine": _cosine,
    "l2": _l2,
    "inner_product": _inner_product,
}
"""By metric: the distance of two vectors as bytes; ``None`` where there is none."""


def vector_problem(vector: Vector, dimensions: int, metric: VectorMetric) -> str | None:
    """Return what is wrong with a vector for a column, if anything is."""
    if len(vector) != dimensions:
        return f"must have {dimensions} dimensions, not {len(vector)}"
    floats = _floats(bytes(vector))
    if not math.isfinite(sum(floats)) and not all(map(math.isfinite, floats)):
        return "must be made of finite numbers of 32 bits"
    if metric == "cosine" and not any(floats):
        return "must not be all zeros, as that has no direction for the metric cosine"
    return None
