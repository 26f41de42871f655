"""A migration as it stands in its file, and what its functions say with ``op``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.operations import (
    AddColumn,
    Backfill,
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
    Execute,
    Fill,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
)
from oxidite.db.migrations.specs import (
    Bound,
    CheckSpec,
    ColumnSpec,
    IndexSpec,
    SyncSpec,
    TableSpec,
    index,
)
from oxidite.db.migrations.sync_operations import CreateSync, DropSync
from oxidite.db.tables.table import SQL
from oxidite.db.values.dialects import DialectName

__all__ = ["PHASES", "Migration", "Ops", "Phase"]

Phase: TypeAlias = Literal["expand", "contract"]
"""When a migration is run: before the new version of an application is started, or when no old one runs."""

PHASES: tuple[Phase, ...] = get_args(Phase)


class Ops:
    """What a migration can do. Nothing is done at once: it is noted, and done as a whole."""

    def __init__(self) -> None:
        self.noted: list[Operation] = []

    # Tables.

    def create_table(self, name: str, *parts: ColumnSpec | IndexSpec | CheckSpec) -> None:
        """Make a table of columns, indexes over them and checks of them."""
        self.noted.append(
            CreateTable(
                TableSpec(
                    name=name,
                    columns=tuple(each for each in parts if isinstance(each, ColumnSpec)),
                    indexes=tuple(each for each in parts if isinstance(each, IndexSpec)),
                    checks=tuple(each for each in parts if isinstance(each, CheckSpec)),
                )
            )
        )

    def drop_table(self, name: str) -> None:
        """Drop a table, with all that is in it."""
        self.noted.append(DropTable(name))

    def rename_table(self, name: str, new: str) -> None:
        """Give a table another name."""
        self.noted.append(RenameTable(name, new))

    # Columns.

    def add_column(self, table: str, column: ColumnSpec, *, fill: Fill = None) -> None:
        """Add a column; the rows that are there get ``fill``.

        That is a number, a text or a truth; ``NOW`` for the time of the migration, seconds for an
        interval, JSON for what is stored as it and for arrays, and ISO 8601 for dates.
        """
        self.noted.append(AddColumn(table, column, fill))

    def drop_column(self, table: str, name: str) -> None:
        """Drop a column, with the values in it and the indexes over it."""
        self.noted.append(DropColumn(table, name))

    def rename_column(self, table: str, name: str, new: str) -> None:
        """Give a column another name; indexes and foreign keys go with it."""
        self.noted.append(RenameColumn(table, name, new))

    def change_column(
        self, table: str, column: ColumnSpec, *, using: str | None = None, fill: Fill = None
    ) -> None:
        """Make a column what ``column`` says: its type, its rules, whether it may be empty.

        ``using`` is SQL that makes the new value of the old one; ``fill`` stands where there is none.
        """
        self.noted.append(ChangeColumn(table, column, using, fill))

    def change_key(self, table: str, columns: Sequence[str]) -> None:
        """Make other columns the primary key, in the order that they have in the table."""
        self.noted.append(ChangeKey(table, tuple(columns)))

    # Indexes.

    def create_index(
        self,
        name: str,
        table: str,
        on: Sequence[str | SQL],
        *,
        unique: bool = False,
        where: str | None = None,
        using: str | None = None,
        exclude: Sequence[str] = (),
        concurrently: bool = False,
    ) -> None:
        """Make an index over columns, or over ``SQL("lower(name)")``.

        ``exclude`` makes it an exclusion constraint: it has the operator of each column. ``where`` makes it partial. ``concurrently`` lets others write meanwhile, on PostgreSQL, and is
        done outside of a transaction.
        """
        made = index(name, on, unique=unique, where=where, using=using, exclude=exclude)
        self.noted.append(CreateIndex(table, made, concurrently))

    def drop_index(self, name: str, table: str, *, concurrently: bool = False) -> None:
        """Drop an index."""
        self.noted.append(DropIndex(table, name, concurrently))

    def rename_index(self, name: str, table: str, new: str) -> None:
        """Give an index another name."""
        self.noted.append(RenameIndex(table, name, new))

    # Checks.

    def create_check(self, name: str, table: str, sql: str) -> None:
        """Add a rule over columns of a row; the rows that are there have to keep it."""
        self.noted.append(CreateCheck(table, CheckSpec(name=name, sql=sql)))

    def drop_check(self, name: str, table: str) -> None:
        """Drop a rule."""
        self.noted.append(DropCheck(table, name))

    # Versions.

    def create_history(self, table: str) -> None:
        """Keep the versions of the rows of ``table`` in ``<table>_history``, which is made before.

        Triggers write them, with the columns that both have; whatever changes one of the two makes them
        anew. The rows that are there get a first version.
        """
        self.noted.append(CreateHistory(table))

    def drop_history(self, table: str) -> None:
        """Keep no more versions of the rows of a table; those that are there stay."""
        self.noted.append(DropHistory(table))

    # Columns in step.

    def create_sync(
        self,
        name: str,
        table: str,
        *,
        new: Mapping[str, str] | None = None,
        old: Mapping[str, str] | None = None,
        fill: Mapping[str, Bound | bool] | None = None,
    ) -> None:
        """Keep columns in step while two versions of the application write a table: by triggers.

        ``new`` are the columns that the new version knows, each with SQL that makes it of the old ones;
        ``old`` the other way round. What one side is given, the other one gets in the same statement;
        given both, the new ones count. ``fill`` are values, as in ``add_column``, that a column gets
        where one version leaves it empty. All of these columns are nullable, those of ``fill`` may be.
        """
        sync = SyncSpec(name=name, new=dict(new or {}), old=dict(old or {}), fill=dict(fill or {}))
        self.noted.append(CreateSync(table, sync))

    def drop_sync(self, name: str, table: str) -> None:
        """Keep columns in step no more."""
        self.noted.append(DropSync(table, name))

    # Rows.

    def execute(
        self, sql: str, *, only: DialectName | None = None, transactional: bool = True
    ) -> None:
        """Run one statement of SQL as it stands.

        ``only`` names the kind of database that it is for; ``transactional=False`` is for what the
        database does not do inside of a transaction.
        """
        self.noted.append(Execute(sql, only, transactional))

    def backfill(
        self,
        table: str,
        values: dict[str, str],
        *,
        where: str | None = None,
        batch: int = 1000,
        pause: float = 0.05,
    ) -> None:
        """Set columns of the rows that are there, ``batch`` at a time in the order of their key.

        ``values`` are SQL, by column; ``where`` says which rows. ``pause`` are the seconds between two
        batches, for the others. Stopped in between, it goes on where it was.
        """
        if batch < 1 or pause < 0:
            raise MigrationError("A backfill has batch= of 1 or more, and pause= of 0 or more.")
        self.noted.append(Backfill(table, dict(values), where, batch, pause))


class Migration:
    """One step of the history of a schema.

    ``id`` is the number in the name of its file, ``after`` that of the one before, ``None`` in the
    first. ``transactional=False`` runs each of its statements by itself. ``replaces`` are the names of
    those that it takes the place of, with what their checksums begin with: ``oxidite db squash``.

    ``phase`` is ``"expand"`` for what the version of the application that runs can live with, and
    ``"contract"`` for what only the next one can, or ``None`` if that does not matter.

    Raises:
        MigrationError: there is no such phase.
    """

    def __init__(
        self,
        *,
        id: str,
        after: str | None,
        transactional: bool = True,
        replaces: Mapping[str, str] | None = None,
        phase: Phase | None = None,
    ) -> None:
        if phase not in (None, *PHASES):
            raise MigrationError(
                f"The migration {id} has the phase {phase!r}. There is: {', '.join(PHASES)}."
            )
        self.id: str = id
        self.after: str | None = after
        self.transactional: bool = transactional
        self.replaces: Mapping[str, str] = replaces or {}
        self.phase: Phase | None = phase
        self._up: Callable[[Ops], object] | None = None
        self._down: Callable[[Ops], object] | None = None

    def up(self, function: Callable[[Ops], object]) -> Callable[[Ops], object]:
        """Take a function as the way forth."""
        self._up = function
        return function

    def down(self, function: Callable[[Ops], object]) -> Callable[[Ops], object]:
        """Take a function as the way back."""
        self._down = function
        return function

    @property
    def has_down(self) -> bool:
        """Whether there is a way back."""
        return self._down is not None

    def forth(self) -> list[Operation]:
        """Return what it does.

        Raises:
            MigrationError: it says nothing of it.
        """
        return self._noted(self._up, "up")

    def back(self) -> list[Operation]:
        """Return what undoes it.

        Raises:
            MigrationError: it cannot be undone.
        """
        return self._noted(self._down, "down")

    def _noted(self, function: Callable[[Ops], object] | None, name: str) -> list[Operation]:
        if function is None:
            raise MigrationError(
                f"The migration {self.id} has no {name}: write `@migration.{name}` above a function."
            )
        op = Ops()
        function(op)
        return op.noted
