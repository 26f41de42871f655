"""A change in phases, for two versions of an application that run beside each other.

What is new comes first, and triggers keep it in step with what is old. What is old goes last, with the
rules that only the new version keeps. Nothing of ``expand`` breaks the version that runs already; where that
cannot be had, the change is refused and the message says what can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from oxidite.db.migrations.conversions import conversion
from oxidite.db.migrations.difference import Answers, Change, difference
from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.migration import Phase
from oxidite.db.migrations.operations import (
    AddColumn,
    Backfill,
    ChangeColumn,
    ChangeKey,
    CreateHistory,
    CreateIndex,
    CreateTable,
    DropCheck,
    DropColumn,
    Fill,
    Operation,
    RenameColumn,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.reverse import reversed_operation
from oxidite.db.migrations.specs import ColumnSpec, IndexSpec, SyncSpec
from oxidite.db.migrations.sync_operations import CreateSync, DropSync
from oxidite.db.sql.mentions import named
from oxidite.db.tables.history import history_name

__all__ = ["Part", "joined", "split"]


@dataclass(frozen=True, slots=True)
class Part:
    """One migration of several."""

    phase: Phase
    word: str
    """What it is called after the words of the whole."""
    change: Change


def split(old: Schema, new: Schema, whole: Change) -> list[Part]:
    """Return the migrations that make ``new`` of ``old`` while both are used: ``whole`` does it at once.

    Raises:
        MigrationError: it cannot be split.
    """
    work = _Split(old, new, whole)
    for operation in whole.forth:
        work.expand(operation)
    parts = [
        Part("expand", "expand", work.taken()),
        Part("expand", "backfill", work.backfill()),
        Part("expand", "indexes", work.indexes()),
        Part("contract", "contract", work.contract()),
    ]
    return [each for each in parts if each.change]


def joined(parts: Sequence[Part]) -> Change:
    """Return the whole of several migrations."""
    return Change(
        tuple(each for part in parts for each in part.change.forth),
        tuple(each for part in reversed(parts) for each in part.change.back),
    )


class _Split:
    """Goes the way as far as the old version can, and then to the end."""

    def __init__(self, old: Schema, new: Schema, whole: Change) -> None:
        self.schema = old
        self.old = old
        self.new = new
        self.forth: list[Operation] = []
        self.back: list[list[Operation]] = []
        self.renamed: dict[tuple[str, str], str] = {}
        """Old names of columns by table and new name."""
        self.fills: dict[str, Fill] = {}
        """What the contract gives to rows that have nothing, by ``table.column``."""
        self.filling: list[Backfill] = []
        self.filling_back: list[Backfill] = []
        self.histories = {
            history_name(name) for each in (old, new) for name, one in each.items() if one.history
        }
        for operation in whole.forth:
            if isinstance(operation, RenameColumn):
                self.renamed[operation.table, operation.new] = operation.name

    def do(self, operation: Operation) -> None:
        """Take one step."""
        self.back.append(reversed_operation(operation, self.schema))
        self.schema = operation.after(self.schema)
        self.forth.append(operation)

    def taken(self) -> Change:
        """Return the steps since the last time, and what undoes them."""
        forth, back = self.forth, self.back
        self.forth, self.back = [], []
        return Change(tuple(forth), tuple(each for step in reversed(back) for each in step))

    # What the old version can live with.

    def expand(self, operation: Operation) -> None:
        """Do as much of one step of the change as the old version can live with."""
        match operation:
            case CreateTable() | CreateHistory():
                self.do(operation)
            case RenameTable(name, new):
                raise _renamed_table(name, new)
            case ChangeKey(table):
                raise _changed_key(table)
            case AddColumn():
                self._added(operation)
            case RenameColumn():
                self._renamed(operation)
            case ChangeColumn():
                self._changed(operation)
            case DropColumn(table, name):
                self._loosened(table, name)
            case DropCheck(table, name) if self.schema[table].find_check(name) is not None:
                self.do(operation)
            case _:
                # New checks, and what is gone: when no old version runs.
                return

    def _added(self, operation: AddColumn) -> None:
        table, column = operation.table, operation.column
        if self.schema[table].find(column.name) is not None:
            return  # computed otherwise: dropped and made anew, at the end
        is_new = table not in self.old
        if is_new or column.nullable or column.computed is not None:
            self.do(operation)
            return
        # Rows of the old version have no value for it, until triggers give them one.
        self.do(replace(operation, column=replace(column, nullable=True)))
        self._filled(table, column.name, operation.fill)

    def _filled(self, table: str, name: str, fill: Fill) -> None:
        self.fills[f"{table}.{name}"] = fill
        if fill is not None and table not in self.histories:
            self.do(CreateSync(table, SyncSpec(name=name, fill={name: fill})))

    def _renamed(self, operation: RenameColumn) -> None:
        table, name, new = operation.table, operation.name, operation.new
        was, wanted = self.schema[table].find(name), self.new[table].find(new)
        assert was is not None  # noqa: S101 - the difference has found them
        assert wanted is not None  # noqa: S101 - as above
        if was.primary_key or was.generated:
            raise _renamed_key(table, name, new)
        if was.computed is not None or wanted.computed is not None:
            self.do(AddColumn(table, wanted))
            return
        forth, back = conversion(was, wanted)
        kind = replace(wanted, check={})
        if was.type_name == wanted.type_name:
            kind = replace(_widest(was, wanted), nullable=True)
            if kind != was:
                self.do(ChangeColumn(table, kind))
        else:
            self._loosened(table, name)
        self.do(AddColumn(table, replace(kind, name=new, nullable=True)))
        self.fills[f"{table}.{new}"] = None
        if table not in self.histories:
            self.do(CreateSync(table, SyncSpec(name=new, new={new: forth}, old={name: back})))
        self.filling.append(Backfill(table, {new: forth}, f"{named(new)} IS NULL"))
        self.filling_back.append(Backfill(table, {name: back}, f"{named(name)} IS NULL"))

    def _changed(self, operation: ChangeColumn) -> None:
        table, new = operation.table, operation.column
        if (table, new.name) in self.renamed:
            return  # a part of what it was renamed with
        was = self.schema[table].find(new.name)
        if was is None or table not in self.old:
            return
        if was.type_name != new.type_name or was.native != new.native:
            raise _changed_type(table, was, new)
        wider = _widest(was, new)
        if wider != was:
            self.do(ChangeColumn(table, wider))
        if was.nullable and not new.nullable:
            self._filled(table, new.name, operation.fill)
            if operation.fill is not None and table not in self.histories:
                # The triggers see to the value: a row only has to be written.
                here = named(new.name)
                self.filling.append(Backfill(table, {new.name: here}, f"{here} IS NULL"))

    def _loosened(self, table: str, name: str) -> None:
        """Let a column be empty that the new version does not know."""
        was = self.schema[table].find(name)
        if was is None or was.nullable or was.primary_key or was.computed is not None:
            return
        if table not in self.old:
            return
        self.do(ChangeColumn(table, replace(was, nullable=True)))

    def backfill(self) -> Change:
        """Return what fills the rows that are there."""
        for each in self.filling:
            self.do(each)
        return self.taken()

    def indexes(self) -> Change:
        """Return the indexes that the new version may need at once, and the old one does not mind."""
        for name in sorted(set(self.new) & set(self.old)):
            table = self.schema[name]
            for index in self.new[name].indexes:
                if table.find_index(index.name) is None and self._is_harmless(name, index):
                    self.do(CreateIndex(name, index, concurrently=True))
        return self.taken()

    def _is_harmless(self, table: str, index: IndexSpec) -> bool:
        """Whether no row that the old version writes is refused for an index."""
        if index.exclude:
            return False
        if not index.unique:
            return True
        names = [each for each in index.columns if self.old[table].find(each) is None]
        if any((table, each) not in self.renamed for each in names):
            return True
        was = {self.renamed.get((table, each), each) for each in index.columns}
        return any(each.unique and set(each.columns) <= was for each in self.old[table].indexes)

    # What only the new version can live with.

    def contract(self) -> Change:
        """Return what is left."""
        for name, table in sorted(self.schema.items()):
            for sync in table.syncs:
                if name not in self.old or self.old[name].find_sync(sync.name) is None:
                    self.do(DropSync(name, sync.name))
        # SQLite has two versions of a row that it adds, one of them from before the triggers.
        again = [each for each in self.filling if each.table in self.histories]
        for each in again:
            self.do(each)
        said: Mapping[str, Fill] = _Fills(self.fills)
        rest = difference(self.schema, self.new, Answers(no_renames=True, fills=said))
        if not rest and not self.forth:
            return Change((), ())
        off = self.taken()
        forth = (*off.forth, *rest.forth)
        back: Iterator[Operation] = (
            each
            for each in self.filling_back
            if any(
                isinstance(one, DropColumn) and one.table == each.table and one.name in each.values
                for one in rest.forth
            )
        )
        return Change(forth, (*rest.back, *off.back, *back))


class _Fills(dict[str, Fill]):
    """What columns get in the contract; those that nothing is said of are full by then."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Fill:
        return None


def _widest(was: ColumnSpec, new: ColumnSpec) -> ColumnSpec:
    """Return a column that has room for all that both versions write."""
    made = replace(was, nullable=was.nullable or new.nullable, comment=new.comment)
    if new.check != was.check:
        # What only the new one allows may be written; what only it forbids is forbidden at the end.
        made = replace(made, check={})
    lengths = (was.max_length, new.max_length)
    made = replace(made, max_length=None if None in lengths else max(x or 0 for x in lengths))
    bits = max(was.bits or 64, new.bits or 64)
    made = replace(made, bits=None if bits == 64 else bits)
    if was.values and new.values:
        made = replace(made, values=(*was.values, *(x for x in new.values if x not in was.values)))
    elif not new.values:
        made = replace(made, values=())
    if (was.precision, was.scale) != (new.precision, new.scale) and _is_room(was, new):
        made = replace(made, precision=new.precision, scale=new.scale)
    if was.references is not None and new.references != was.references:
        made = replace(made, references=None, on_delete="restrict", on_key_update=None)
    return made


def _is_room(was: ColumnSpec, new: ColumnSpec) -> bool:
    """Whether a decimal has as many places before and behind the point as it had."""
    if new.precision is None or was.precision is None:
        return new.precision is None
    before = new.precision - (new.scale or 0) >= was.precision - (was.scale or 0)
    return before and (new.scale or 0) >= (was.scale or 0)


def _renamed_table(name: str, new: str) -> MigrationError:
    return MigrationError(
        f"The table {name} is {new} now, which cannot be split: no view stands for a table in all that an "
        "application does with one, such as keys that refer to it and rows that come back from a write. Keep "
        f'its name, class …(Model, table="{name}"), whatever the model is called; or make the change '
        "while no version runs, oxidite db diff without --split."
    )


def _changed_key(table: str) -> MigrationError:
    return MigrationError(
        f"The primary key of {table} is another one now, which cannot be split: the two versions would "
        "not mean the same row. Make the change while no version runs, oxidite db diff without --split; or "
        "make a new table, and copy the rows with a later release."
    )


def _renamed_key(table: str, name: str, new: str) -> MigrationError:
    return MigrationError(
        f"{table}.{name} is {new} now, and in the primary key: that cannot be split, as triggers find a row "
        f'by it. Keep the name in the database, {new}: … = col(pk=True, name="{name}"), or make the '
        "change while no version runs, oxidite db diff without --split."
    )


def _changed_type(table: str, was: ColumnSpec, new: ColumnSpec) -> MigrationError:
    name = was.name
    return MigrationError(
        f"{table}.{name} was {was.type_name} and is {new.type_name} now: one column cannot be both for two "
        "versions. Let the new one have a column of its own, and the model may go on calling it so: "
        f'{name}: … = col(name="{name}_{new.type_name}", renamed_from="{name}"). Or make the change while '
        "no version runs, oxidite db diff without --split."
    )
