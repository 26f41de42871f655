"""What an object knows of its row, beside its columns: no response, and no comparison, ever has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["State", "exhaust", "forget_row", "keep_hidden", "keep_row", "row_of"]


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


def forget_row(one: object) -> None:
    """Take an object for one that is in no table."""
    keep_row(one, None)


exhaust: Callable[[Iterable[object]], object] = deque[object](maxlen=0).extend
"""Go through an iterator for what that does, and keep nothing of it."""
