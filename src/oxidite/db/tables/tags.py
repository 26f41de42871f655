"""Entity tags of rows: a short text that changes whenever the row does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from oxidite.db.errors import ModelError
from oxidite.db.tables.table import Table

__all__ = ["entity_tag", "tag_maker"]


def entity_tag(row: Any) -> str:
    """Return the entity tag of a row, as it is written in ``ETag``: ``"3"`` for version 3.

    Without a ``Version`` it is made of ``updated_at``; two changes in one microsecond look the same then.

    Raises:
        ModelError: the model has neither.
    """
    return tag_maker(type(row).__table__)(row)


def tag_maker(table: Table) -> Callable[[Any], str]:
    """Return what makes the tags of the rows of a table.

    Raises:
        ModelError: nothing in it tells when a row changes.
    """
    if table.version is not None:
        version = table.version.name
        return lambda row: f'"{getattr(row, version)}"'
    if "updated_at" in table.by_name and "on_update" in table.by_name["updated_at"].rules:
        return lambda row: f'"{_microseconds(row.updated_at):x}"'
    raise ModelError(
        f"{table!r} has nothing to make an entity tag of. Give the model Version, or Timestamps: "
        "class Post(Model, Version, table=…)."
    )


def _microseconds(moment: datetime) -> int:
    # By whole numbers: a float of today's seconds has no room for microseconds.
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
