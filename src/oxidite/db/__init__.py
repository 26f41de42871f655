"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.columns import Col, Column, ColumnRules, Declared, OnDelete, TableKey, col
from oxidite.db.cursors import InvalidCursorError
from oxidite.db.database import Database, HasTable
from oxidite.db.dialects import Dialect, DialectName
from oxidite.db.errors import (
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    ManyRowsError,
    MissingReferenceError,
    ModelError,
    NotNullError,
    OverlapError,
    PoolTimeoutError,
    QueryError,
    RowNotFoundError,
    StaleRowError,
    TransactionError,
    UniqueError,
)
from oxidite.db.expressions import Condition, Expr, Order, Shape, every, some
from oxidite.db.kinds import Kind
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model
from oxidite.db.pagination import CursorPage, Page
from oxidite.db.plan import Plan, Plans, Rows
from oxidite.db.query import Select
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
from oxidite.db.table import AnyColumn, Index, Table, index
from oxidite.db.transaction import Owner, Transaction, TransactionBlock, Turns

__all__ = [
    "AnyColumn",
    "AnyExpr",
    "CheckError",
    "Col",
    "Column",
    "ColumnRules",
    "Condition",
    "ConflictingTransactionsError",
    "Connection",
    "ConstraintError",
    "CursorPage",
    "Database",
    "DatabaseError",
    "Declared",
    "DeleteStatement",
    "Deleted",
    "Dialect",
    "DialectName",
    "Done",
    "Driver",
    "Expr",
    "HasTable",
    "Index",
    "InsertStatement",
    "InvalidCursorError",
    "Isolation",
    "Join",
    "Kind",
    "Lock",
    "ManyRowsError",
    "MissingReferenceError",
    "Model",
    "ModelError",
    "NotNullError",
    "OnDelete",
    "Order",
    "OverlapError",
    "Owner",
    "Page",
    "Plan",
    "Plans",
    "PoolTimeoutError",
    "QueryError",
    "RowNotFoundError",
    "Rows",
    "Select",
    "SelectStatement",
    "Shape",
    "SoftDeletes",
    "StaleRowError",
    "Statement",
    "Table",
    "TableKey",
    "Timestamps",
    "Transaction",
    "TransactionBlock",
    "TransactionError",
    "Turns",
    "UniqueError",
    "UpdateStatement",
    "Version",
    "col",
    "every",
    "index",
    "some",
]
