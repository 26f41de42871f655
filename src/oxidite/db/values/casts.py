"""Columns of a type of your own: two functions, to a value that a column holds and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Cast"]

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Cast(Generic[A, B]):
    """How a type of your own is kept: ``price: Col[Money] = col(cast=Cast(Money, int, cents, Money))``.

    ``of`` is your type, ``stored`` the one that the column holds, ``to_db`` and ``from_db`` lead from one
    to the other. Neither is called with ``None``. What the two make of a value must be equal to it, and
    what is ordered in Python should be so in the database, as ``<`` is asked there.
    """

    of: type[A]
    stored: type[B]
    to_db: Callable[[A], B]
    from_db: Callable[[B], A]
