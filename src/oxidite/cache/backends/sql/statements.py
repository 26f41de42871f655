"""How the SQL of a cache is written for a kind of database, and its values given to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from oxidite.db.connections.steps import Steps, changed, fetched
from oxidite.db.outbox.own_tables import written
from oxidite.db.values.dialects import Dialect

__all__ = ["Statements"]

# A list of names is one value, so that any number of them has one text: `{names}` is a table of it.
_LISTS = {
    "sqlite": "(SELECT value AS name FROM json_each(:names))",
    "postgresql": "(SELECT unnest(:names::text[]) AS name)",
    "mysql": (
        "(SELECT listed.name FROM JSON_TABLE(:names, '$[*]' COLUMNS (name VARCHAR(250) "
        "CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS listed)"
    ),
}
_IGNORE = {
    "sqlite": "INSERT OR IGNORE",
    "postgresql": "INSERT",
    "mysql": "INSERT IGNORE",
}


class Statements:
    """Asks for statements whose values are named, as ``own_tables`` has them.

    ``{names}`` is a table of the names in the value ``names``, ``{ignore}`` an INSERT that leaves alone
    what is there, and ``{lives}`` is true of a value whose time is not over. ``{for update}`` locks rows where a transaction is not alone.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kind: str = dialect.name if dialect.name in _LISTS else "mysql"
        self._texts: dict[str, str] = {}

    def _fetched(self, sql: str, *, apart: bool = False, **values: object) -> Steps[Sequence[Any]]:
        return fetched(*self._bound(sql, values), apart=apart)

    def _changed(self, sql: str, *, apart: bool = False, **values: object) -> Steps[int]:
        return changed(*self._bound(sql, values), apart=apart)

    def _bound(self, sql: str, values: dict[str, object]) -> tuple[str, Sequence[object]]:
        text = self._texts.get(sql)
        if text is None:
            text = self._texts[sql] = (
                sql.replace("{names}", _LISTS[self._kind])
                .replace("{lives}", "(ends IS NULL OR ends > {now})")
                .replace("{ignore}", _IGNORE[self._kind])
                .replace("{for update}", " FOR UPDATE" if self._dialect.locks_rows else "")
            )
        names = values.get("names")
        if isinstance(names, list | tuple):
            ordered = sorted(set(names))
            values["names"] = ordered if self._kind == "postgresql" else json.dumps(ordered)
        return written(text, self._dialect, values)
