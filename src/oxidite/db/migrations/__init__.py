"""Migrations: the history of a schema as files, and what brings a database to a point of it.

::

    from oxidite.db.migrations import Migration, Ops, column

    migration = Migration(id="0007", after="0006")

    @migration.up
    def up(op: Ops) -> None:
        op.add_column("users", column("age", "integer", nullable=True))

    @migration.down
    def down(op: Ops) -> None:
        op.drop_column("users", "age")
"""

from oxidite.db.migrations.errors import (
    HistoryError,
    MigrationError,
    MigrationFailedError,
    PendingMigrationsError,
    QuestionError,
)
from oxidite.db.migrations.history import Entry, History
from oxidite.db.migrations.lock import LockTimeoutError
from oxidite.db.migrations.migration import Migration, Ops, Phase
from oxidite.db.migrations.migrator import Line, Migrator, Planned, Standing
from oxidite.db.migrations.operations import Fill, Operation, Schema
from oxidite.db.migrations.runner import Progress
from oxidite.db.migrations.specs import (
    NOW,
    TO_WRITE,
    Bound,
    CheckSpec,
    ColumnSpec,
    IndexSpec,
    SyncSpec,
    TableSpec,
    check,
    column,
    index,
)
from oxidite.db.migrations.tracking import Applied

__all__ = [
    "NOW",
    "TO_WRITE",
    "Applied",
    "Bound",
    "CheckSpec",
    "ColumnSpec",
    "Entry",
    "Fill",
    "History",
    "HistoryError",
    "IndexSpec",
    "Line",
    "LockTimeoutError",
    "Migration",
    "MigrationError",
    "MigrationFailedError",
    "Migrator",
    "Operation",
    "Ops",
    "PendingMigrationsError",
    "Phase",
    "Planned",
    "Progress",
    "QuestionError",
    "Schema",
    "Standing",
    "SyncSpec",
    "TableSpec",
    "check",
    "column",
    "index",
]
