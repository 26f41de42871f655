"""Finds what in a migration would stop an application that goes on while it runs, or break it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from oxidite.db.migrations.history import Entry
from oxidite.db.migrations.lint_phases import SPLIT, is_rewritten, only_of_contract
from oxidite.db.migrations.operations import (
    AddColumn,
    Backfill,
    ChangeColumn,
    ChangeKey,
    CreateCheck,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropIndex,
    DropTable,
    Execute,
    Operation,
    RenameColumn,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.specs import ColumnSpec, code
from oxidite.db.migrations.sync_operations import is_to_write
from oxidite.db.values.dialects import DialectName

__all__ = ["Finding", "Severity", "lint"]

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to think of before a migration runs."""

    migration: str
    rule: str
    severity: Severity
    message: str
    instead: str
    """What to write instead, or to do first."""


_ALLOW = re.compile(r"#\s*lint:\s*allow\s+([\w\-, ]+)")
_VOLATILE = re.compile(
    r"\bADD\s+COLUMN\b.*\bDEFAULT\b.*\b(random|gen_random_uuid|uuid_generate_v\d|clock_timestamp|"
    r"timeofday|nextval|uuid|rand)\s*\(",
    re.IGNORECASE | re.DOTALL,
)
_REWRITES_ROWS = re.compile(r"^\s*(UPDATE|DELETE)\b", re.IGNORECASE)
_NO_TIMEOUT = re.compile(r"\bSET\b.*\block_timeout\b\s*(=|TO)\s*'?0", re.IGNORECASE)


def lint(entry: Entry, before: Schema, models: Schema, dialect: DialectName) -> list[Finding]:
    """Look at a migration that is done to the schema ``before``, in a database of a kind.

    ``models`` are the tables that the program has now. What a comment in the file allows, ``# lint:
    allow index-locks``, is left out.
    """
    look = _Look(entry, before, models, dialect)
    allowed = {
        word.strip()
        for found in _ALLOW.finditer(entry.file.read_text(encoding="utf-8"))
        for word in found.group(1).split(",")
    }
    return [each for each in look.findings() if each.rule not in allowed]


class _Look:
    def __init__(self, entry: Entry, before: Schema, models: Schema, dialect: DialectName) -> None:
        self._entry = entry
        self._schema = before
        self._models = models
        self._dialect = dialect
        self._is_postgresql = dialect == "postgresql"
        self._new: set[str] = set()
        """Tables made here: nobody uses them yet."""

    def findings(self) -> Iterator[Finding]:
        operations = self._entry.migration.forth()
        for operation in operations:
            if not operation.tables or not operation.tables <= self._new:
                yield from self._phase(operation)
                yield from self._look(operation)
            if isinstance(operation, CreateTable):
                self._new.add(operation.table.name)
            self._schema = operation.after(self._schema)
        yield from self._whole(operations)

    def _found(self, rule: str, severity: Severity, message: str, instead: str) -> Finding:
        return Finding(self._entry.name, rule, severity, message, instead)

    def _whole(self, operations: Sequence[Operation]) -> Iterator[Finding]:
        if not self._entry.migration.has_down:
            yield self._found(
                "no-way-back",
                "warning",
                "It has no down, so it cannot be undone.",
                "Write @migration.down; an empty one, if there is nothing to undo.",
            )
        mixed = [each for each in operations if not isinstance(each, Backfill | Execute)]
        if (
            mixed
            and len(mixed) < len(operations)
            and any(isinstance(each, Backfill) for each in operations)
        ):
            yield self._found(
                "backfill-with-schema",
                "warning",
                "A backfill beside changes of the schema: it is not done as a whole, and a deployment "
                "waits for it.",
                "Put the backfill into a migration of its own, between the one that adds the column and "
                "the one that needs it filled.",
            )

    def _phase(self, operation: Operation) -> Iterator[Finding]:
        for table in operation.tables if is_to_write(operation) else ():
            yield self._found(
                "to-write",
                "error",
                f"How columns of {table} are made of others is not written yet.",
                "Put SQL in the place of TO_WRITE: only you know what becomes of the values.",
            )
        why = only_of_contract(operation, self._schema)
        if why is not None and self._entry.migration.phase == "expand":
            yield self._found(
                "only-of-contract",
                "error",
                f"{why[:1].upper()}{why[1:]}, in a migration of the phase expand: the version of the "
                "application that runs until the new one does cannot live with that.",
                f'Move it to a migration with phase="contract", behind this one. {SPLIT}.',
            )

    def _look(self, operation: Operation) -> Iterator[Finding]:
        match operation:
            case AddColumn():
                yield from self._added(operation)
            case ChangeColumn():
                yield from self._changed(operation)
            case ChangeKey() if self._dialect != "sqlite":
                yield self._key(operation)
            case CreateIndex() | DropIndex():
                yield from self._index(operation)
            case CreateCheck() if self._is_postgresql:
                yield self._checked(operation)
            case DropColumn() | DropTable() | RenameColumn() | RenameTable():
                yield from self._gone(operation)
            case Execute():
                yield from self._sql(operation)
            case _:
                return

    # Columns.

    def _added(self, operation: AddColumn) -> Iterator[Finding]:
        table, column = operation.table, operation.column
        if self._is_postgresql and column.computed is not None:
            yield self._found(
                "computed-rewrites",
                "error",
                f"{table}.{column.name} is computed and kept: PostgreSQL writes the whole table anew, and "
                "nobody reads or writes it meanwhile.",
                "On a large table add a column that is not computed, let the application write it, and "
                "fill it with op.backfill(…).",
            )
        if not column.nullable and operation.fill is None and column.computed is None:
            yield self._found(
                "not-null-without-fill",
                "error",
                f"{table}.{column.name} may not be empty, and the rows that are there get no value: it "
                "fails unless the table is empty.",
                "Give them one: op.add_column(…, fill=…). Or add it nullable, fill it with "
                "op.backfill(…), and make it not null in a later migration.",
            )
        if self._is_postgresql and column.references:
            yield self._reference(table, column)

    def _reference(self, table: str, column: ColumnSpec) -> Finding:
        target = str(column.references).partition(".")
        return self._found(
            "foreign-key-locks",
            "warning",
            f"The foreign key of {table}.{column.name} is checked for all rows while both tables "
            "take no writes.",
            "Add the column without references=, then in two steps: op.execute('ALTER TABLE "
            f"{table} ADD CONSTRAINT fk_{table}_{column.name} FOREIGN KEY ({column.name}) REFERENCES "
            f"{target[0]} ({target[2]}) NOT VALID', only='postgresql') and, in the next migration, "
            f"op.execute('ALTER TABLE {table} VALIDATE CONSTRAINT fk_{table}_{column.name}', "
            "only='postgresql').",
        )

    def _changed(self, operation: ChangeColumn) -> Iterator[Finding]:
        table, new = operation.table, operation.column
        old = self._schema[table].find(new.name)
        if old is None:
            return
        if self._is_postgresql and is_rewritten(old, new):
            yield self._found(
                "type-rewrites",
                "error",
                f"{table}.{new.name} becomes {new.type_name}: PostgreSQL writes the whole table anew, and "
                "nobody reads or writes it meanwhile.",
                "Make it a second column of the new type: in the model col(name=…, renamed_from="
                f"{code(new.name)}). {SPLIT}, and triggers keep the two in step between them.",
            )
        if self._is_postgresql and old.nullable and not new.nullable:
            yield self._found(
                "not-null-scans",
                "warning",
                f"{table}.{new.name} may not be empty any more: all rows are looked at while nobody "
                "reads or writes the table.",
                f"First op.execute('ALTER TABLE {table} ADD CONSTRAINT nn CHECK ({new.name} IS NOT "
                "NULL) NOT VALID', only='postgresql'), then VALIDATE CONSTRAINT nn in a migration of "
                "its own; PostgreSQL then needs no look at the rows here.",
            )
        if self._is_postgresql and new.references and new.references != old.references:
            yield self._reference(table, new)
        gone = [each for each in old.values if each not in new.values] if new.values else []
        if gone:
            yield self._found(
                "enum-value-gone",
                "error",
                f"{table}.{new.name} loses {', '.join(map(str, gone))}: rows that have it make this fail.",
                "Give those rows another value before, with op.backfill(…) in an earlier migration.",
            )
        if self._is_postgresql and dict(new.check) != dict(old.check):
            yield self._found(
                "check-scans",
                "warning",
                f"The check of {table}.{new.name} is tried on all rows while nobody writes the table.",
                "On a large table add it with NOT VALID and validate it in the next migration, with "
                "op.execute(…, only='postgresql').",
            )

    def _checked(self, operation: CreateCheck) -> Finding:
        table, check = operation.table, operation.check
        return self._found(
            "check-scans",
            "warning",
            f"The check {check.name} of {table} is tried on all rows while nobody writes the table.",
            f"On a large table add it with op.execute('ALTER TABLE {table} ADD CONSTRAINT "
            f"ck_{table}_{check.name} CHECK (…) NOT VALID', only='postgresql'), and VALIDATE CONSTRAINT in "
            "the next migration.",
        )

    def _key(self, operation: ChangeKey) -> Finding:
        return self._found(
            "key-locks",
            "warning",
            f"The primary key of {operation.table} is made anew: nobody writes the table meanwhile, and the "
            "version of the application that runs until the new one does still goes by the old key.",
            "On a large table make a new one, op.create_table(…), let the application write both, copy the "
            "rows, and take the new one's name in a later release.",
        )

    # Indexes.

    def _index(self, operation: CreateIndex | DropIndex) -> Iterator[Finding]:
        if not self._is_postgresql or operation.concurrently:
            return
        is_new = isinstance(operation, CreateIndex)
        if isinstance(operation, CreateIndex) and operation.index.exclude:
            yield self._found(
                "exclusion-scans",
                "warning",
                f"The exclusion constraint {operation.index.name} of {operation.table} is made of all rows while "
                "nobody reads or writes the table, and fails if two of them are in each other's way.",
                "Look for such rows first. There is no way to make it beside the application: do it when few use the "
                "table.",
            )
            return
        name = operation.index.name if isinstance(operation, CreateIndex) else operation.name
        yield self._found(
            "index-locks",
            "error" if is_new else "warning",
            f"The index {name} of {operation.table} is {'made' if is_new else 'dropped'} while nobody "
            f"{'writes' if is_new else 'uses'} the table.",
            f"op.{'create' if is_new else 'drop'}_index(…, concurrently=True), best in a migration of "
            "its own.",
        )

    # What is gone.

    def _gone(
        self, operation: DropColumn | DropTable | RenameColumn | RenameTable
    ) -> Iterator[Finding]:
        if isinstance(operation, DropColumn) and self._is_made_again(operation):
            was = self._schema[operation.table].find(operation.name)
            if was is not None and was.computed is None:
                yield self._found(
                    "values-gone",
                    "error",
                    f"{operation.table}.{operation.name} is dropped and made anew: the values in it are "
                    "gone.",
                    "Keep them, if they matter, in a column of another name.",
                )
            return
        is_drop = isinstance(operation, DropColumn | DropTable)
        if isinstance(operation, DropColumn | RenameColumn):
            what = f"{operation.table}.{operation.name}"
            model = self._models.get(operation.table)
            is_used = model is not None and model.find(operation.name) is not None
        else:
            what = operation.name
            is_used = operation.name in self._models
        verb = "dropped" if is_drop else "renamed"
        if is_used:
            yield self._found(
                "used-by-a-model",
                "error",
                f"{what} is {verb}, and a model still has it.",
                "Take it out of the model first.",
            )
            return
        if self._entry.migration.phase is not None:
            return  # when no such version runs, or an error already
        yield self._found(
            "drop-in-use" if is_drop else "rename-in-use",
            "warning",
            f"{what} is {verb}: the version of the application that runs until the new one does may "
            "still use it.",
            self._instead(operation),
        )

    def _instead(self, operation: DropColumn | DropTable | RenameColumn | RenameTable) -> str:
        """Return how to do without what a version that runs still uses."""
        match operation:
            case DropColumn() | DropTable():
                return (
                    "Release the version that does not use it first, and drop it in the next, in a migration "
                    f"of the phase contract: {SPLIT}."
                )
            case RenameTable(name, new):
                return (
                    f"Make {new} beside {name}, write both, copy the rows, read {new}, and drop {name} in a "
                    "later release."
                )
            case RenameColumn(table, name, new):
                return self._in_steps(table, name, new)

    def _in_steps(self, table: str, name: str, new: str) -> str:
        """Return the migrations that give a column another name while the application runs."""
        was = self._schema[table].find(name)
        assert was is not None  # noqa: S101 - the operation is possible
        added = replace(was, name=new, nullable=True, primary_key=False, generated=False)
        value = code({new: name})
        return (
            f"In phases: {SPLIT}, and triggers keep {name} and {new} in step between them. Without "
            "triggers, in three releases, each with migrations of its own (oxidite db diff --empty …):\n"
            f"    1. op.add_column({code(table)}, {added!r})\n"
            f"       and the application writes both, and still reads {name}.\n"
            f"    2. op.backfill({code(table)}, {value}, where={code(f'{new} IS NULL')})\n"
            + (
                ""
                if was.nullable
                else f"       op.change_column({code(table)}, {replace(added, nullable=False)!r})\n"
            )
            + f"       and the application reads {new}, and still writes both.\n"
            f"    3. op.drop_column({code(table)}, {code(name)})\n"
            f"       once no version that runs knows {name}."
        )

    def _is_made_again(self, operation: DropColumn) -> bool:
        """Whether a column comes back in the same migration: what is computed is not changed in place."""
        return any(
            isinstance(each, AddColumn)
            and (each.table, each.column.name) == (operation.table, operation.name)
            for each in self._entry.migration.forth()
        )

    # SQL.

    def _sql(self, operation: Execute) -> Iterator[Finding]:
        if _VOLATILE.search(operation.sql):
            yield self._found(
                "volatile-default",
                "error",
                "The default of a new column is another one for each row, so the whole table is "
                "written anew while nobody uses it.",
                "Add the column nullable without a default, then op.backfill(…).",
            )
        if _REWRITES_ROWS.match(operation.sql):
            yield self._found(
                "rows-at-once",
                "warning",
                "Many rows may be changed in one transaction, which locks all of them until its end.",
                "op.backfill(…) does it some at a time, and goes on where it was stopped.",
            )
        if _NO_TIMEOUT.search(operation.sql):
            yield self._found(
                "no-lock-timeout",
                "error",
                "Without lock_timeout this waits for a table as long as it takes, and all others wait "
                "behind it.",
                "Leave lock_timeout as it is; `oxidite db up` tries again by itself.",
            )
