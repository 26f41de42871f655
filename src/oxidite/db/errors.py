"""What can go wrong with a database, whichever it is.

The tree::

    ModelError                  a model cannot work: fix the program (ConfigError)
    QueryError                  a query cannot be written: fix the program
    DatabaseError               the database said no
    ├── RowNotFoundError        also a NotFoundError: 404 in a handler
    ├── ManyRowsError           one row was asked for, and there are more
    ├── StaleRowError           somebody else saved first: 409
    ├── MissingTenantError      whose rows are meant, nobody said
    ├── OtherTenantError        a row of somebody else was to be written
    ├── DecryptionError         an encrypted value was changed, or its key is not known
    ├── ConstraintError         also a ValidationError: names the field
    │   ├── UniqueError         ├── MissingReferenceError  ├── NotNullError  └── CheckError
    │   └── ExclusionError      another row is in the way
    ├── RelationError           a relation was used in a way it cannot be
    │   └── NotLoadedError      it is not loaded, and is not to be loaded by itself
    ├── TransactionError        a transaction was used in a way it cannot be
    │   └── OverlapError        two statements at once in one transaction
    ├── ConflictingTransactionsError   deadlock or serialisation failure: try again
    ├── LockTimeoutError        a lock was not free in time: 503
    ├── DiskFullError           the database has no room: 507
    ├── ReadOnlyError           the database, or the transaction, takes no changes
    └── SchemaError             our own tables are of a newer version of this package

A database that cannot be reached raises ``BackendUnavailableError``, a pool that has no connection in
time ``PoolTimeoutError`` (503), as every backend does.
"""

from __future__ import annotations

from oxidite.errors import (
    ConfigError,
    ConflictError,
    FieldError,
    InsufficientStorageError,
    NotFoundError,
    OxiditeError,
    ServiceUnavailableError,
    ValidationError,
)

__all__ = [
    "CheckError",
    "ConflictingTransactionsError",
    "ConstraintError",
    "DatabaseError",
    "DecryptionError",
    "DiskFullError",
    "ExclusionError",
    "LockTimeoutError",
    "ManyRowsError",
    "MissingReferenceError",
    "MissingTenantError",
    "ModelError",
    "NotLoadedError",
    "NotNullError",
    "OtherTenantError",
    "OverlapError",
    "PoolTimeoutError",
    "QueryError",
    "ReadOnlyError",
    "RelationError",
    "RowNotFoundError",
    "SchemaError",
    "StaleRowError",
    "TransactionError",
    "UniqueError",
]


class ModelError(ConfigError):
    """A model cannot work as it is written."""

    code = "model"


class QueryError(OxiditeError):
    """A query cannot be written as it is."""

    code = "query"


class DatabaseError(OxiditeError):
    """The database did not do what was asked."""

    code = "database"


class RowNotFoundError(DatabaseError, NotFoundError):
    """There is no such row."""

    code = "row_not_found"


class ManyRowsError(DatabaseError):
    """One row was asked for, and there is more than one."""

    code = "many_rows"


class StaleRowError(DatabaseError, ConflictError):
    """Somebody else has changed this row since it was read. Read it again and repeat the change."""

    code = "stale_row"


class DecryptionError(DatabaseError):
    """An encrypted value cannot be read: it was changed, or its key is not known."""

    code = "decryption"


class MissingTenantError(DatabaseError):
    """It is not said whose rows are meant, so none are seen: ``with tenancy.of(...):``."""

    code = "missing_tenant"


class OtherTenantError(DatabaseError):
    """A row belongs to another tenant than the current one."""

    code = "other_tenant"


class ConstraintError(DatabaseError, ValidationError):
    """The database refused a value.

    ``constraint`` is the name of the rule, where the database tells.
    """

    code = "constraint"

    def __init__(self, errors: list[FieldError], *, constraint: str | None = None) -> None:
        ValidationError.__init__(self, errors)
        self.constraint = constraint


class UniqueError(ConstraintError):
    """The value is taken."""

    code = "unique"


class MissingReferenceError(ConstraintError):
    """The row that is referred to does not exist, or is still referred to."""

    code = "reference"


class NotNullError(ConstraintError):
    """A value is missing."""

    code = "not_null"


class CheckError(ConstraintError):
    """A value breaks a rule of the table."""

    code = "check"


class ExclusionError(ConstraintError):
    """Another row is in the way: it is the same in some columns and overlaps in others."""

    code = "exclusion"


IN_THE_WAY = "is in the way of another row"
"""What a driver says where an exclusion constraint is broken."""
BEYOND_INDEX = "is too long for an index"
"""What a driver says of a value when it is not told of which column."""


class RelationError(DatabaseError):
    """A relation was used in a way it cannot be."""

    code = "relation"


class NotLoadedError(RelationError):
    """A relation is not loaded, and is not to be loaded by itself here."""

    code = "not_loaded"


class TransactionError(DatabaseError):
    """A transaction was used in a way it cannot be."""

    code = "transaction"


class OverlapError(TransactionError):
    """Two statements at once in one transaction."""

    code = "overlapping_statements"


class ConflictingTransactionsError(DatabaseError):
    """Two transactions stood in each other's way, and this one was undone. Try it again."""

    code = "conflicting_transactions"


class PoolTimeoutError(ServiceUnavailableError):
    """All database connections are in use, and none came back in time."""

    code = "pool_timeout"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers={"retry-after": "1"})


class LockTimeoutError(DatabaseError, ServiceUnavailableError):
    """Somebody else holds the lock, and did not let go of it in time. Try it again."""

    code = "lock_timeout"

    def __init__(self, message: str | None = None) -> None:
        ServiceUnavailableError.__init__(self, message, headers={"retry-after": "1"})


class DiskFullError(DatabaseError, InsufficientStorageError):
    """The database has no room left, so nothing was written."""

    code = "disk_full"


class ReadOnlyError(DatabaseError):
    """The database takes no changes: its file, the server or the transaction is read-only."""

    code = "read_only"


class SchemaError(DatabaseError):
    """A table of ours is of a newer version than this process knows. Deploy the newer one here, too."""

    code = "schema"
