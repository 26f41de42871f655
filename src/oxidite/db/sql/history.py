"""The triggers that keep the versions of rows, and what they are told of who changes something.

They are the database's, so nothing is missed: neither what a foreign key does nor SQL that a person wrote.
When, by whom and why is told to them for one transaction: on PostgreSQL by settings that end with it, on
SQLite by the row of a table that is gone before the commit, elsewhere by variables of the session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oxidite.db.errors import ModelError
from oxidite.db.tables.history import BY, CHANGE, FROM, REASON, UNTIL, history_name
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect

__all__ = [
    "HISTORY",
    "HistoryTriggers",
    "follows",
    "trigger_name",
    "trigger_names",
    "triggers",
    "triggers_of",
]

HISTORY = "ox_history"
"""How the triggers begin, and the name of SQLite's table of who changes something just now."""
_LONGEST = 63
_EVENTS = {"added": "INSERT", "changed": "UPDATE", "gone": "DELETE"}


@dataclass(frozen=True, slots=True)
class HistoryTriggers:
    """The triggers of one table in one kind of database; names are those in the database."""

    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    dialect: Dialect

    def create(self, *, guarded: bool = False) -> list[str]:
        """Return what makes them; ``guarded``: if they are not there, else in place of those there."""
        if self.dialect.name == "sqlite":
            return self._sqlite(guarded=guarded)
        if self.dialect.name == "postgresql":
            return self._postgresql(guarded=guarded)
        return self._mysql(guarded=guarded)

    def drop(self) -> list[str]:
        """Return what drops them, whether or not they are there."""
        if self.dialect.name == "postgresql":
            return [f"DROP FUNCTION IF EXISTS {self._q(trigger_name(self.table))}() CASCADE"]
        return [f"DROP TRIGGER IF EXISTS {self._named(each)}" for each in _EVENTS]

    def begin(self) -> str:
        """Return what makes a first version of the rows that have none."""
        here = self._q(history_name(self.table))
        moment = {
            "sqlite": _SQLITE_MOMENT,
            "postgresql": "clock_timestamp()",
        }.get(self.dialect.name, "UTC_TIMESTAMP(6)")
        columns = ", ".join(map(self._q, self.columns))
        rows = ", ".join([f"t.{self._q(each)}" for each in self.columns])
        same = " AND ".join([f"h.{self._q(each)} = t.{self._q(each)}" for each in self.keys])
        return (
            f"INSERT INTO {here} ({FROM}, {CHANGE}, {columns}) "  # noqa: S608 - names
            f"SELECT {moment}, 'begin', {rows} FROM {self._q(self.table)} AS t "
            f"WHERE NOT EXISTS (SELECT 1 FROM {here} AS h WHERE {same} AND h.{UNTIL} IS NULL)"
        )

    # Words.

    def _q(self, name: str) -> str:
        sign = "`" if self.dialect.is_mysql else '"'
        return f"{sign}{name.replace(sign, sign * 2)}{sign}"

    def _named(self, what: str) -> str:
        return self._q(trigger_name(self.table, what))

    def _is(self, row: str) -> str:
        """Return the condition for versions of the row ``row``."""
        return " AND ".join([f"h.{self._q(each)} = {row}.{self._q(each)}" for each in self.keys])

    def _last(self, row: str) -> str:
        """Return the moment of the last change of a row, NULL if there is none."""
        here = self._q(history_name(self.table))
        return f"SELECT max(coalesce(h.{UNTIL}, h.{FROM})) FROM {here} AS h WHERE {self._is(row)}"  # noqa: S608 - names

    def _insert(self, *values: str, row: str) -> str:
        """Return what writes a version, of the columns of ``row``."""
        here = self._q(history_name(self.table))
        own = f"{FROM}, {UNTIL}, {CHANGE}, {BY}, {REASON}"
        columns = ", ".join(map(self._q, self.columns))
        copied = ", ".join([f"{row}.{self._q(each)}" for each in self.columns])
        return f"INSERT INTO {here} ({own}, {columns}) SELECT {', '.join(values)}, {copied}"

    # The databases.

    def _sqlite(self, *, guarded: bool) -> list[str]:
        told, by, why = [
            f"(SELECT {each} FROM {HISTORY})"  # noqa: S608 - names
            for each in ("moment", "changed_by", "reason")
        ]
        moment = f"coalesce({told}, {_SQLITE_MOMENT})"
        here = self._q(history_name(self.table))

        def close(row: str) -> str:
            # Its triggers take no other name for a table that they change.
            same = " AND ".join([f"{self._q(each)} = {row}.{self._q(each)}" for each in self.keys])
            return (
                f"UPDATE {here} SET {UNTIL} = max({moment}, {FROM}) "  # noqa: S608 - names
                f"WHERE {same} AND {UNTIL} IS NULL; "
            )

        def since(*rows: str) -> str:
            lasts = "".join([f", coalesce(({self._last(each)}), '')" for each in rows])
            return f"max({moment}{lasts})"

        def write(change: str, row: str, *rows: str) -> str:
            begin, kind = since(*rows), f"'{change}'"
            end = begin if change == "delete" else "NULL"
            return f"{self._insert(begin, end, kind, by, why, row=row)};"

        bodies = {
            # An INSERT OR REPLACE deletes without a word.
            "added": close("new") + write("insert", "new", "new"),
            "changed": close("old") + close("new") + write("update", "new", "old", "new"),
            "gone": close("old") + write("delete", "old", "old"),
        }
        table = (
            f"CREATE TABLE IF NOT EXISTS {HISTORY} (id INTEGER PRIMARY KEY CHECK (id = 1), "
            "moment TEXT, changed_by TEXT, reason TEXT)"
        )
        made = [table, *([] if guarded else self.drop())]
        return made + [
            f"CREATE TRIGGER IF NOT EXISTS {self._named(name)} AFTER {event} ON {self._q(self.table)} "
            f"BEGIN {bodies[name]} END"
            for name, event in _EVENTS.items()
        ]

    def _postgresql(self, *, guarded: bool) -> list[str]:
        here, of = self._q(history_name(self.table)), self._q(self.table)
        function, trigger = self._q(trigger_name(self.table)), self._named("all")
        who = [
            f"nullif(current_setting('oxidite.{each}', true), '')" for each in ("user", "reason")
        ]

        def close(row: str) -> str:
            later = f"ox_moment := greatest(ox_moment, ({self._last(row)}));"
            same = f"{self._is(row)} AND h.{UNTIL} IS NULL"
            return f"{later} UPDATE {here} AS h SET {UNTIL} = ox_moment WHERE {same};"  # noqa: S608 - names

        gone = self._insert("ox_moment", "ox_moment", "'delete'", *who, row="OLD")
        kept = self._insert("ox_moment", "NULL", "lower(TG_OP)", *who, row="NEW")
        body = (
            "#variable_conflict use_variable\n"
            "DECLARE ox_moment timestamptz := coalesce(nullif(current_setting('oxidite.moment', true), "
            "'')::timestamptz, clock_timestamp());\n"
            f"BEGIN\nIF TG_OP <> 'INSERT' THEN {close('OLD')} END IF;\n"
            f"IF TG_OP = 'DELETE' THEN {gone}; RETURN NULL; END IF;\n"
            f"{close('NEW')}\n{kept};\nRETURN NULL;\nEND"
        )
        create = "CREATE" if guarded else "CREATE OR REPLACE"
        make = (
            f"{create} FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
            f"SET search_path FROM CURRENT AS $ox$\n{body}\n$ox$"
        )
        watch = (
            f"CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {of} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        if guarded:
            none = "EXCEPTION WHEN duplicate_function OR duplicate_object THEN NULL"
            return [f"DO $do$ BEGIN {each}; {none}; END $do$" for each in (make, watch)]
        return [make, f"DROP TRIGGER IF EXISTS {trigger} ON {of}", watch]

    def _mysql(self, *, guarded: bool) -> list[str]:
        here = self._q(history_name(self.table))
        who = ["@oxidite_user", "@oxidite_reason"]
        begin = (
            "DECLARE ox_moment DATETIME(6) DEFAULT "
            "coalesce(CAST(@oxidite_moment AS DATETIME(6)), UTC_TIMESTAMP(6)); "
        )

        def later(row: str) -> str:
            # Reads without a lock: one of a gap would keep others from adding rows.
            return (
                f"SET ox_moment = greatest(ox_moment, coalesce(({self._last(row)}), ox_moment)); "
            )

        def close(row: str) -> str:
            return (
                # First the change, which waits for others and sees what they did.
                f"UPDATE {here} AS h SET h.{UNTIL} = greatest(ox_moment, h.{FROM}) "  # noqa: S608 - names
                f"WHERE {self._is(row)} AND h.{UNTIL} IS NULL; {later(row)}"
            )

        def write(change: str, row: str) -> str:
            end, kind = ("ox_moment" if change == "delete" else "NULL"), f"'{change}'"
            return f"{self._insert('ox_moment', end, kind, *who, row=row)}; "

        bodies = {
            "added": later("NEW") + write("insert", "NEW"),
            "changed": close("OLD") + later("NEW") + write("update", "NEW"),
            "gone": close("OLD") + write("delete", "OLD"),
        }
        can_replace = self.dialect.name == "mariadb"
        made = [] if guarded or can_replace else self.drop()
        create = "CREATE OR REPLACE TRIGGER" if can_replace and not guarded else "CREATE TRIGGER"
        unless = "IF NOT EXISTS " if guarded else ""
        return made + [
            f"{create} {unless}{self._named(name)} AFTER {event} ON {self._q(self.table)} "
            f"FOR EACH ROW BEGIN {begin}{bodies[name]}END"
            for name, event in _EVENTS.items()
        ]


_SQLITE_MOMENT = "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"


def trigger_name(table: str, what: str = "") -> str:
    """Return the name of a trigger of a table, or of the function that all of them call."""
    name = f"{HISTORY}_{table}{f'_{what}' if what else ''}"
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: _LONGEST - 9].decode(errors='ignore')}_{digest}"


def trigger_names(table: str, dialect: Dialect) -> set[str]:
    """Return the names of all the triggers of a table."""
    events = ["all"] if dialect.name == "postgresql" else list(_EVENTS)
    return {trigger_name(table, each) for each in events}


def triggers_of(table: Table, dialect: Dialect) -> HistoryTriggers:
    """Return the triggers of a table.

    Raises:
        ModelError: the database would not run them for all that happens.
    """
    return triggers(
        table.name,
        [each.column_name for each in table.columns],
        [each.column_name for each in table.pk],
        [each.column_name for each in table.columns if _follows(each.rules)],
        dialect,
    )


def _follows(rules: object) -> bool:
    found = rules if isinstance(rules, dict) else {}
    return "references" in found and follows(found.get("on_delete"), found.get("on_key_update"))


def follows(on_delete: str | None, on_key_update: str | None) -> bool:
    """Tell whether a foreign key changes rows by itself."""
    return bool({on_delete, on_key_update} & {"cascade", "set null"})


def triggers(
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
    following: Iterable[str],
    dialect: Dialect,
) -> HistoryTriggers:
    """Return the triggers of a table by the names of its columns; of ``following`` foreign keys change them.

    Raises:
        ModelError: the database would not run them for all that happens.
    """
    left = sorted(following)
    if dialect.is_mysql and left:
        raise ModelError(
            f"{table}.{left[0]} is changed by its foreign key, and {dialect.product} runs no trigger for "
            "that: the history of the row would miss it. Declare it on_delete='restrict', and delete what "
            "belongs to a row before the row, in one transaction."
        )
    return HistoryTriggers(table, tuple(columns), tuple(keys), dialect)
