"""The triggers that keep columns in step while two versions of a program write a table.

One version knows the ``old`` columns, the other the ``new`` ones. What either writes becomes what the other
reads, in the same statement. A side that is what SQL makes of the other one is left as it is: so neither the
two triggers of SQLite nor a backfill go round in a circle, and a value that does not survive the way there
and back stays what it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from oxidite.db.sql.mentions import mentions
from oxidite.db.values.dialects import Dialect

__all__ = ["SYNC", "SyncTriggers"]

SYNC = "ox_sync"
"""How the triggers begin."""
_LONGEST = 63
_EVENTS = {"added": "INSERT", "changed": "UPDATE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTriggers:
    """The triggers of one sync in one kind of database; names are those in the database."""

    table: str
    name: str
    new: Mapping[str, str]
    """SQL over the old columns, by new column."""
    old: Mapping[str, str]
    """SQL over the new columns, by old column."""
    fill: Mapping[str, str]
    """Values as SQL, by a column that nobody leaves empty."""
    columns: Collection[str]
    texts: Collection[str]
    """Columns that hold text: a change of the case of a letter is one, whatever they are compared by."""
    keys: Collection[str]
    dialect: Dialect

    def create(self) -> list[str]:
        """Return what makes them, in place of those that are there."""
        if self.dialect.name == "sqlite":
            return [*self.drop(), *self._sqlite()]
        return self._postgresql() if self.dialect.name == "postgresql" else self._mysql()

    def drop(self) -> list[str]:
        """Return what drops them, whether or not they are there."""
        if self.dialect.name == "postgresql":
            return [f"DROP FUNCTION IF EXISTS {self._named()}() CASCADE"]
        return [f"DROP TRIGGER IF EXISTS {self._named(each)}" for each in _EVENTS]

    def names(self) -> set[str]:
        """Return the names of the triggers."""
        whats = ("",) if self.dialect.name == "postgresql" else tuple(_EVENTS)
        return {self._name(each) for each in whats}

    # Words.

    def _q(self, name: str) -> str:
        sign = "`" if self.dialect.is_mysql else '"'
        return f"{sign}{name.replace(sign, sign * 2)}{sign}"

    def _name(self, what: str = "") -> str:
        # Of "a_b" and "c" as of "a" and "b_c": only the digest tells these apart.
        digest = hashlib.sha256(f"{self.table}\0{self.name}\0{what}".encode()).hexdigest()[:8]
        words = "_".join([SYNC, self.table, self.name, *([what] if what else [])])
        return f"{words.encode()[: _LONGEST - 9].decode(errors='ignore')}_{digest}"

    def _named(self, what: str = "") -> str:
        return self._q(self._name(what))

    def _other(self, column: str, one: str, other: str) -> str:
        """Return the condition for two values of a column not to be the same, NULL being one of them."""
        is_text = column in self.texts
        if self.dialect.name == "sqlite":
            return f"{one} IS NOT ({other}){' COLLATE BINARY' if is_text else ''}"
        if self.dialect.name == "postgresql":
            cast = '::text COLLATE "C"' if is_text else ""
            return f"({one}){cast} IS DISTINCT FROM ({other}){cast}"
        if is_text:
            return f"NOT (CAST({one} AS BINARY) <=> CAST({other} AS BINARY))"
        return f"NOT ({one} <=> ({other}))"

    def _any(self, conditions: list[str]) -> str:
        return f"({' OR '.join(conditions)})"

    # The databases.

    def _sqlite(self) -> list[str]:
        # Its triggers cannot change the row that is about to be written, so they do so after that.
        here, same = self._q(self.table), self._key()
        made: list[str] = []
        for name, event in _EVENTS.items():
            steps: list[str] = []
            if self.new:
                ours, theirs = self._written(event, self.new), self._written(event, self.old)
                values = [
                    *self._cases(self.old, f"WHEN {ours}"),
                    *self._cases(self.new, f"WHEN NOT {ours}"),
                ]
                steps.append(
                    f"UPDATE {here} SET {', '.join(values)} WHERE {same} AND ({ours} OR {theirs});"  # noqa: S608 - names
                )
            steps += [
                f"UPDATE {here} SET {self._q(each)} = {value} "  # noqa: S608 - names
                f"WHERE {same} AND {self._q(each)} IS NULL;"
                for each, value in self.fill.items()
            ]
            made.append(
                f"CREATE TRIGGER {self._named(name)} AFTER {event} ON {here} BEGIN {' '.join(steps)} END"
            )
        return made

    def _key(self) -> str:
        return " AND ".join([f"{self._q(each)} = NEW.{self._q(each)}" for each in self.keys])

    def _cases(self, side: Mapping[str, str], when: str) -> list[str]:
        return [
            f"{self._q(each)} = CASE {when} THEN ({sql}) ELSE {self._q(each)} END"
            for each, sql in side.items()
        ]

    def _written(self, event: str, side: Mapping[str, str]) -> str:
        """Return the condition for columns to be changed, and not to what the other side makes of them."""
        before = {each: f"OLD.{self._q(each)}" if event == "UPDATE" else "NULL" for each in side}
        changed = [self._other(each, self._q(each), before[each]) for each in side]
        differ = [self._other(each, self._q(each), sql) for each, sql in side.items()]
        return f"({self._any(changed)} AND {self._any(differ)})"

    def _row(self, sql: str) -> str:
        """Return SQL over the columns of a row as a value of the row that is about to be written."""
        used = [each for each in self.columns if mentions(sql, each)]
        row = ", ".join([f"NEW.{self._q(each)} AS {self._q(each)}" for each in used])
        if not row:
            return f"({sql})"
        return f"(SELECT {sql} FROM (SELECT {row}) AS ox_row)"  # noqa: S608 - of the migration

    def _postgresql(self) -> list[str]:
        here, function = self._q(self.table), self._named()
        body = (
            "#variable_conflict use_column\nDECLARE ox_made record;\nBEGIN\nox_made := NEW;\n"
            # Assigned to a row like it, so that they are compared as the columns hold them.
            + "".join(
                f"ox_made.{self._q(each)} := {self._row(sql)};\n"
                for each, sql in {**self.new, **self.old}.items()
            )
            + self._steps(made="ox_made", before="OLD", assign="NEW.{0} := {1};", or_else="ELSIF")
            + "RETURN NEW;\nEND"
        )
        make = (
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
            f"SET search_path FROM CURRENT AS $ox$\n{body}\n$ox$"
        )
        watch = (
            f"CREATE TRIGGER {function} BEFORE INSERT OR UPDATE ON {here} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        return [make, f"DROP TRIGGER IF EXISTS {function} ON {here}", watch]

    def _mysql(self) -> list[str]:
        can_replace = self.dialect.name == "mariadb"
        create = "CREATE OR REPLACE TRIGGER" if can_replace else "CREATE TRIGGER"
        made = [] if can_replace else self.drop()
        for name, event in _EVENTS.items():
            before = "OLD" if event == "UPDATE" else None
            steps = self._steps(
                made=None, before=before, assign="SET NEW.{0} = {1};", or_else="ELSEIF"
            )
            made.append(
                f"{create} {self._named(name)} BEFORE {event} ON {self._q(self.table)} "
                f"FOR EACH ROW BEGIN {steps} END"
            )
        return made

    def _steps(self, *, made: str | None, before: str | None, assign: str, or_else: str) -> str:
        """Return what a trigger does before the row is written.

        ``made`` has the values of each side as the other one makes them, ``before`` those of the row that
        was there; in a new row of PostgreSQL all of these are NULL.
        """

        def set_(side: Mapping[str, str]) -> str:
            return " ".join(
                assign.format(self._q(each), f"{made}.{self._q(each)}" if made else self._row(sql))
                for each, sql in side.items()
            )

        def written(side: Mapping[str, str]) -> str:
            changed: list[str] = []
            differ: list[str] = []
            for each, sql in side.items():
                there, name = f"NEW.{self._q(each)}", self._q(each)
                changed.append(self._other(each, there, f"{before}.{name}" if before else "NULL"))
                differ.append(
                    self._other(each, there, f"{made}.{name}" if made else self._row(sql))
                )
            return f"{self._any(changed)} AND {self._any(differ)}"

        steps = ""
        if self.new:
            steps = (
                f"IF {written(self.new)} THEN {set_(self.old)}\n"
                f"{or_else} {written(self.old)} THEN {set_(self.new)}\nEND IF;\n"
            )
        for each, value in self.fill.items():
            steps += f"IF NEW.{self._q(each)} IS NULL THEN {assign.format(self._q(each), value)} END IF;\n"
        return steps
