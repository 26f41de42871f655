"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.casts import Cast
from oxidite.db.columns import AnyCast, Col, Column, ColumnRules, Declared, OnDelete, TableKey, col
from oxidite.db.database import Database, HasTable
from oxidite.db.dialects import Dialect, DialectName
from oxidite.db.errors import (
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    DecryptionError,
    ManyRowsError,
    MissingReferenceError,
    MissingTenantError,
    ModelError,
    NotNullError,
    OtherTenantError,
    OverlapError,
    PoolTimeoutError,
    QueryError,
    RowNotFoundError,
    StaleRowError,
    TransactionError,
    UniqueError,
)
from oxidite.db.expressions import Condition, Expr, Order, Shape, every, some
from oxidite.db.hooks import Change, Event, Hooks, Lifecycle, observe
from oxidite.db.ids import ulid, uuid7
from oxidite.db.inputs import computed
from oxidite.db.keys import Keys
from oxidite.db.kinds import Kind
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model, Scope
from oxidite.db.plan import Plan, Plans, Rows
from oxidite.db.pruning import prune
from oxidite.db.query import Select
from oxidite.db.reencryption import reencrypt
from oxidite.db.scopes import Tenancy, TenantScope
from oxidite.db.statements import (
    AnyExpr,
    Deleted,
    DeleteStatement,
    InsertStatement,
    Join,
    Lock,
    SelectStatement,
    Statement,
    UpdateStatement,
)
from oxidite.db.table import AnyColumn, Check, Index, Indexed, Table, check, index
from oxidite.db.transaction import Owner, Transaction, TransactionBlock, Turns
from oxidite.db.validators import validates

__all__ = [
    "AnyCast",
    "AnyColumn",
    "AnyExpr",
    "Cast",
    "Change",
    "Check",
    "CheckError",
    "Col",
    "Column",
    "ColumnRules",
    "Condition",
    "ConflictingTransactionsError",
    "Connection",
    "ConstraintError",
    "Database",
    "DatabaseError",
    "Declared",
    "DecryptionError",
    "DeleteStatement",
    "Deleted",
    "Dialect",
    "DialectName",
    "Done",
    "Driver",
    "Event",
    "Expr",
    "HasTable",
    "Hooks",
    "Index",
    "Indexed",
    "InsertStatement",
    "Isolation",
    "Join",
    "Keys",
    "Kind",
    "Lifecycle",
    "Lock",
    "ManyRowsError",
    "MissingReferenceError",
    "MissingTenantError",
    "Model",
    "ModelError",
    "NotNullError",
    "OnDelete",
    "Order",
    "OtherTenantError",
    "OverlapError",
    "Owner",
    "Plan",
    "Plans",
    "PoolTimeoutError",
    "QueryError",
    "RowNotFoundError",
    "Rows",
    "Scope",
    "Select",
    "SelectStatement",
    "Shape",
    "SoftDeletes",
    "StaleRowError",
    "Statement",
    "Table",
    "TableKey",
    "Tenancy",
    "TenantScope",
    "Timestamps",
    "Transaction",
    "TransactionBlock",
    "TransactionError",
    "Turns",
    "UniqueError",
    "UpdateStatement",
    "Version",
    "check",
    "col",
    "computed",
    "every",
    "index",
    "observe",
    "prune",
    "reencrypt",
    "some",
    "ulid",
    "uuid7",
    "validates",
]
