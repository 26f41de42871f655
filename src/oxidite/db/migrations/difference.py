"""What has to be done to a schema for it to be another one, and what undoes that.

What is gone on one side and new on the other may be the same thing under another name; only a person
knows. So ``Questions`` is asked, and whoever cannot ask says it in advance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from oxidite.db.migrations.errors import MigrationError, QuestionError
from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    ChangeKey,
    CreateCheck,
    CreateHistory,
    CreateIndex,
    CreateTable,
    DropCheck,
    DropColumn,
    DropHistory,
    DropIndex,
    DropTable,
    Fill,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.quotes import as_written
from oxidite.db.migrations.reverse import reversed_operation
from oxidite.db.migrations.specs import ColumnSpec, IndexSpec, TableSpec, code
from oxidite.db.migrations.sync_operations import CreateSync, DropSync
from oxidite.db.sql.mentions import mentions
from oxidite.db.tables.history import history_name
from oxidite.db.tables.table import SQL

__all__ = ["Answers", "Asks", "Change", "difference"]


class Asks(Protocol):
    """Somebody who can be asked."""

    def renamed(self, what: str, old: str, candidates: Sequence[str]) -> str | None:
        """Return which of ``candidates`` the table or column ``old`` has become; ``None`` for none."""
        ...

    def fill(self, column: str, type_: str) -> Fill:
        """Return the value that the rows which are there get in a new column."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known in advance.

    ``renames`` are new names by old ones, of tables and of ``table.column``; ``fills`` are the values
    for rows that are there, by ``table.column``. With ``no_renames`` what is gone is dropped.
    """

    renames: Mapping[str, str] = field(default_factory=dict)
    fills: Mapping[str, Fill] = field(default_factory=dict)
    no_renames: bool = False
    ask: Asks | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The way forth and the way back."""

    forth: tuple[Operation, ...]
    back: tuple[Operation, ...]

    def __bool__(self) -> bool:
        return bool(self.forth)


def difference(old: Schema, new: Schema, answers: Answers) -> Change:
    """Return what makes ``new`` of ``old``.

    Raises:
        QuestionError: it takes an answer that nobody gives.
        MigrationError: it cannot be done, such as another primary key.
    """
    work = _Work(old, new, answers)
    work.rename_tables()
    for name in sorted(set(work.schema) & set(new)):
        work.rename_columns(name)
    work.new = {name: as_written(work.schema.get(name), new[name]) for name in new}
    for name in sorted(set(work.schema) & set(new)):
        work.drop_indexes(name)
        work.drop_checks(name)
    work.drop_histories()
    work.free_references()
    work.create_tables()
    for name in sorted(new):
        work.columns(name)
    work.refer_again()
    for name in sorted(new):
        work.create_indexes(name)
        work.create_checks(name)
    work.create_histories()
    work.create_syncs()
    work.drop_tables()
    back = [each for step in reversed(work.back) for each in step]
    return Change(tuple(work.forth), tuple(back))


class _Work:
    """Goes from one schema to the other, one operation after the other."""

    def __init__(self, old: Schema, new: Schema, answers: Answers) -> None:
        self.schema = old
        self.new = new
        self.answers = answers
        self.forth: list[Operation] = []
        self.back: list[list[Operation]] = []
        self.histories: set[str] = {
            history_name(name) for each in (old, new) for name, one in each.items() if one.history
        }
        """The tables of versions: what happens to them is what happens to the tables of the rows."""
        self.filled: dict[str, Fill] = {}
        """What the rows that are there get, by ``table.column``."""
        self.freed: list[tuple[str, str]] = []
        """Columns whose foreign keys are away while what they refer to is changed."""

    def do(self, operation: Operation) -> None:
        """Take one step."""
        self.back.append(reversed_operation(operation, self.schema))
        self.schema = operation.after(self.schema)
        self.forth.append(operation)

    # Names.

    def rename_tables(self) -> None:
        for name in sorted(set(self.schema) - set(self.new)):
            table = self.schema[name]
            added = sorted(set(self.new) - set(self.schema) - self.histories)
            likely = [each for each in added if _alike(table, self.new[each])]
            chosen = self._renamed("table", name, name, added, likely)
            if chosen is not None:
                self.do(RenameTable(name, chosen))

    def rename_columns(self, name: str) -> None:
        new = self.new[name]
        for old in self.schema[name].columns:
            if new.find(old.name) is not None:
                continue
            table = self.schema[name]
            added = [each for each in new.columns if table.find(each.name) is None]
            names = [each.name for each in added]
            likely = [each.name for each in added if each.type_name == old.type_name]
            chosen = self._renamed("column", f"{name}.{old.name}", old.name, names, likely)
            if chosen is not None:
                self.do(RenameColumn(name, old.name, chosen))

    def _renamed(
        self, what: str, key: str, old: str, added: Sequence[str], likely: Sequence[str]
    ) -> str | None:
        if key.partition(".")[0] in self.histories:
            return self._with_table(what, key)
        said = self.answers.renames.get(key)
        if said is not None:
            if said not in added:
                raise MigrationError(
                    f"{key} cannot have become {said!r}. New there: {', '.join(added) or 'nothing'}."
                )
            return said
        # What a model says itself is never a candidate for another one.
        taken = {new for other, new in self.answers.renames.items() if _beside(other, key)}
        likely = [each for each in likely if each not in taken]
        if not likely or self.answers.no_renames:
            return None
        if self.answers.ask is None:
            raise QuestionError(
                f"The {what} {key} is gone, and {', '.join(likely)} is new. Is it the same under "
                f"another name? Say so, --rename {key}:{likely[0]}, or that it is not: --no-renames"
            )
        return self.answers.ask.renamed(what, key, likely) if old not in taken else None

    def _with_table(self, what: str, key: str) -> str | None:
        """Return what a table of versions, or a column of one, has become: what that of the rows has."""
        for step in self.forth:
            match step:
                case RenameTable(name, new) if what == "table" and key == history_name(name):
                    return history_name(new) if history_name(new) in self.new else None
                case RenameColumn(table, name, new) if key == f"{history_name(table)}.{name}":
                    return new
        return None

    # Tables.

    def create_tables(self) -> None:
        left = {name: self.new[name] for name in sorted(set(self.new) - set(self.schema))}
        while left:
            ready = [each for each in left.values() if not each.references & set(left)]
            for each in ready:
                self.do(CreateTable(_bare(each)))
                del left[each.name]
            if not ready:
                # They refer to each other: the keys come when both are there.
                name = next(iter(left))
                self.do(CreateTable(_bare(left.pop(name).without_references())))

    def drop_tables(self) -> None:
        left = set(self.schema) - set(self.new)
        while left:
            tables = [self.schema[name] for name in sorted(left)]
            needed = {name for each in tables for name in each.references}
            ready = [each for each in tables if each.name not in needed]
            for each in ready:
                for sync in each.syncs:
                    self.do(DropSync(each.name, sync.name))
                self.do(DropTable(each.name))
                left.discard(each.name)
            if not ready:
                for column in tables[0].columns:
                    if column.references:
                        self.do(ChangeColumn(tables[0].name, _free(column)))

    # Columns.

    def free_references(self) -> None:
        """Take away the foreign keys to columns of which the type changes: MariaDB wants both sides alike."""
        for name, table in self.schema.items():
            for column in table.columns:
                target, _, other = (column.references or "").partition(".")
                old = self.schema[target].find(other) if target in self.schema else None
                new = self.new[target].find(other) if target in self.new else None
                if old is not None and new is not None and _is_other(old, new):
                    self.do(ChangeColumn(name, _free(column)))
                    self.freed.append((name, column.name))

    def refer_again(self) -> None:
        """Add the foreign keys that were away for a while."""
        for name, key in self.freed:
            old = self.schema[name].find(key) if name in self.schema else None
            new = self.new[name].find(key) if name in self.new else None
            if old is not None and new is not None and old != new:
                self.do(ChangeColumn(name, new))

    def columns(self, name: str) -> None:
        """Add, change and drop columns, and between them change the primary key."""
        self._drop_computed(name)
        table, new = self.schema[name], self.new[name]
        # What is computed comes when all that it is made of is there.
        for column in sorted(new.columns, key=lambda each: each.computed is not None):
            old = table.find(column.name)
            wanted = _free(column) if (name, column.name) in self.freed else column
            if old is None:
                if column.generated:
                    raise _other_key(table, new)
                added = replace(column, primary_key=False)
                self.do(AddColumn(name, added, self._fill(name, column)))
            elif old.generated != column.generated:
                raise _other_key(table, new)
            else:
                self._change(name, old, wanted)
        if any(each.generated and new.find(each.name) is None for each in table.columns):
            raise _other_key(table, new)
        key = tuple(each.name for each in new.columns if each.primary_key)
        if set(key) != {each.name for each in self.schema[name].columns if each.primary_key}:
            self.do(ChangeKey(name, key))
        for each in table.columns:
            if new.find(each.name) is None:
                self._drop_column(name, each.name)

    def _change(self, table: str, old: ColumnSpec, new: ColumnSpec) -> None:
        new = replace(new, primary_key=old.primary_key)
        if old != new:
            is_needed = old.nullable and not new.nullable
            self.do(ChangeColumn(table, new, fill=self._fill(table, new) if is_needed else None))

    def _drop_column(self, name: str, column: str) -> None:
        """Drop a column, and before it what speaks of it, which some databases would drop with it."""
        for check in self.schema[name].checks:
            if mentions(check.sql, column):
                self.do(DropCheck(name, check.name))
        for index in self.schema[name].indexes:
            texts = [each for each in index.on if isinstance(each, SQL)]
            if any(mentions(each, column) for each in (*texts, index.where or "")):
                self.do(DropIndex(name, index.name))
        for sync in self.schema[name].syncs:
            if column in sync.columns:
                self.do(DropSync(name, sync.name))
        self.do(DropColumn(name, column))

    def _drop_computed(self, name: str) -> None:
        """Drop the computed columns that are others now, or are made of one that is."""
        table, new = self.schema[name], self.new[name]
        others = {each.name for each in table.columns if _is_other(each, new.find(each.name))}
        for column in table.columns:
            wanted = new.find(column.name)
            was, now = column.computed, None if wanted is None else wanted.computed
            is_of_other = any(mentions(was or "", each) for each in others - {column.name})
            if was != now or (was is not None and (wanted != column or is_of_other)):
                self._drop_column(name, column.name)

    def _fill(self, table: str, column: ColumnSpec) -> Fill:
        if column.nullable or column.computed is not None:
            return None
        key = f"{table}.{column.name}"
        if table in self.histories:
            # Versions of before get what the rows get, or nobody could read them.
            of = next(each for each in self.new if history_name(each) == table)
            return self.filled.get(f"{of}.{column.name}")
        self.filled[key] = self._fill_of(key, column)
        return self.filled[key]

    def _fill_of(self, key: str, column: ColumnSpec) -> Fill:
        if key in self.answers.fills:
            return self.answers.fills[key]
        if self.answers.ask is None:
            raise QuestionError(
                f"{key} may not be empty and has no default, so the rows that are there need a value: "
                f"--fill {key}=VALUE. Or let it be empty: Col[… | None]."
            )
        return self.answers.ask.fill(key, column.type_name)

    # Histories.

    def drop_histories(self) -> None:
        for name, table in sorted(self.schema.items()):
            if table.history and not (name in self.new and self.new[name].history):
                self.do(DropHistory(name))

    def create_histories(self) -> None:
        for name, table in sorted(self.new.items()):
            if table.history and not self.schema[name].history:
                self.do(CreateHistory(name))

    def create_syncs(self) -> None:
        # Models have none, and what they do not know of is left alone, as other triggers are.
        for name, table in sorted(self.new.items()):
            for each in table.syncs:
                if self.schema[name].find_sync(each.name) is None:
                    self.do(CreateSync(name, each))

    # Indexes.

    def drop_indexes(self, name: str) -> None:
        new = self.new[name]
        for index in self.schema[name].indexes:
            found = new.find_index(index.name)
            if found == index:
                continue
            other = next((each for each in new.indexes if _same(each, index)), None)
            if found is None and other is not None and not self._has(name, other):
                self.do(RenameIndex(name, index.name, other.name))
            else:
                self.do(DropIndex(name, index.name))

    def _has(self, table: str, index: IndexSpec) -> bool:
        return self.schema[table].find_index(index.name) is not None

    def create_indexes(self, name: str) -> None:
        for index in self.new[name].indexes:
            if not self._has(name, index):
                self.do(CreateIndex(name, index))

    # Checks.

    def drop_checks(self, name: str) -> None:
        for check in self.schema[name].checks:
            if self.new[name].find_check(check.name) != check:
                self.do(DropCheck(name, check.name))

    def create_checks(self, name: str) -> None:
        for check in self.new[name].checks:
            if self.schema[name].find_check(check.name) is None:
                self.do(CreateCheck(name, check))


def _other_key(table: TableSpec, new: TableSpec) -> MigrationError:
    """Return what says how a key is changed by hand, where the database makes its values before or after."""
    made = f"{new.name}_new"
    kept = ", ".join(
        each.name for each in new.columns if table.find(each.name) and not each.computed
    )
    parts = "".join(f"        {each!r},\n" for each in (*new.columns, *new.indexes, *new.checks))
    return MigrationError(
        f"The primary key of {new.name} is another one now, and the database makes the values of the one "
        "or the other by itself: that cannot be changed in place. Make a migration by hand, oxidite db "
        'diff --empty "another key", which copies the rows:\n\n'
        f"    op.create_table(\n        {code(made)},\n{parts}    )\n"
        f"    op.execute({code(f'INSERT INTO {made} ({kept}) SELECT {kept} FROM {new.name}')})\n"
        f"    op.drop_table({code(new.name)})\n    op.rename_table({code(made)}, {code(new.name)})\n\n"
        "Say in the INSERT what a new column gets. Columns of other tables that refer to this one are "
        "first changed without references=, and again with it at the end."
    )


def _bare(table: TableSpec) -> TableSpec:
    """Return a table without what is made after it."""
    return replace(table, history=False, syncs=())


def _free(column: ColumnSpec) -> ColumnSpec:
    return replace(column, references=None, on_delete="restrict", on_key_update=None)


def _is_other(column: ColumnSpec, new: ColumnSpec | None) -> bool:
    """Whether a column is gone, or holds other values."""
    if new is None:
        return True
    if column.computed is not None or new.computed is not None:
        return column != new
    changed = (column.type_name, column.bits, column.precision, column.scale, column.max_length)
    return changed != (new.type_name, new.bits, new.precision, new.scale, new.max_length)


def _same(one: IndexSpec, other: IndexSpec) -> bool:
    return replace(one, name="") == replace(other, name="")


def _beside(one: str, other: str) -> bool:
    """Whether two keys are of tables both, or of columns of one table."""
    return one.rpartition(".")[0] == other.rpartition(".")[0]


def _alike(one: TableSpec, other: TableSpec) -> bool:
    """Whether most of the columns of two tables are the same."""
    old = {(each.name, each.type_name) for each in one.columns}
    new = {(each.name, each.type_name) for each in other.columns}
    return len(old & new) * 2 >= max(len(old), len(new))
