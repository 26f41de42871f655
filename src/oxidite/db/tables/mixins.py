"""Columns that many models have: mixins, whose columns the model copies."""

from __future__ import annotations

from datetime import datetime

from oxidite.clock import now
from oxidite.db.tables.columns import Col, col

__all__ = ["SoftDeletes", "Timestamps", "Version"]


class Timestamps:
    """When a row was made, and when it was last changed."""

    __slots__ = ()

    created_at: Col[datetime] = col(init=False, default_factory=now)
    updated_at: Col[datetime] = col(init=False, default_factory=now, on_update=now)


class SoftDeletes:
    """Rows that only seem to be deleted.

    ``delete`` notes when; from then on queries do not see the row, unless they say ``with_deleted``.
    A unique column is unique among those that are not deleted.
    """

    __slots__ = ()

    deleted_at: Col[datetime | None] = col(init=False, default=None)


class Version:
    """A number that each save makes one larger; whoever saves what is no longer the newest is told so.

    That is optimistic locking: nobody waits, and no change is lost.
    """

    __slots__ = ()

    version: Col[int] = col(init=False, default=1)
