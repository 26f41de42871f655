"""What an object knows of its row, beside its columns: no response, and no comparison, ever has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

from msgspec.structs import force_setattr

__all__ = [
    "State",
    "exhaust",
    "forget_row",
    "keep_hidden",
    "keep_row",
    "keep_rows",
    "put_all",
    "row_of",
    "rows_of",
]


class State:
    """The slots of a model that are no columns. msgspec does not see them."""

    __slots__ = ("_hidden", "_pairs", "_peers", "_row")

    _row: (
        Any  # a sequence of the columns' values as the driver has them; unset for what is not saved
    )
    _peers: Any  # the objects of the same query (`peers.py`)
    _pairs: Any  # by relation: what it leads to with the pivots
    _hidden: dict[str, Any]  # the values of hidden columns; unset where there are none


keep_row = State.__dict__["_row"].__set__
"""Remember the row that an object was read from or written to."""


keep_hidden = State.__dict__["_hidden"].__set__
"""Give an object the values of its hidden columns."""


def row_of(one: object) -> Any:
    """Return the row of an object, ``None`` if it has none."""
    return getattr(one, "_row", None)


def rows_of(many: Iterable[object]) -> list[Any]:
    """Return the rows of objects, ``None`` for those that have none."""
    return list(map(getattr, many, repeat("_row"), repeat(None)))


def put_all(many: Iterable[Any], name: str, values: Iterable[object]) -> None:
    """Set an attribute of each of many objects."""
    # PERF: half the time of a slot's own setter, and unlike `setattr` it makes no object known to the garbage
    # collector that was not. Benchmark `db rows`.
    exhaust(map(force_setattr, many, repeat(name), values))


def keep_rows(many: Iterable[Any], rows: Iterable[object]) -> None:
    """Remember the rows that objects were read from or written to."""
    put_all(many, "_row", rows)


def forget_row(one: object) -> None:
    """Take an object for one that is in no table."""
    keep_row(one, None)


exhaust: Callable[[Iterable[object]], object] = deque[object](maxlen=0).extend
"""Go through an iterator for what that does, and keep nothing of it."""
