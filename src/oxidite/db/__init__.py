"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.batch import Batch, Later
from oxidite.db.columns import Col, Column, ColumnRules, Declared, OnDelete, TableKey, col
from oxidite.db.database import Database, HasTable
from oxidite.db.dialects import Dialect, DialectName
from oxidite.db.errors import (
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    DiskFullError,
    LockTimeoutError,
    ManyRowsError,
    MissingReferenceError,
    ModelError,
    NotNullError,
    OverlapError,
    PoolTimeoutError,
    QueryError,
    ReadOnlyError,
    RowNotFoundError,
    SchemaError,
    StaleRowError,
    TransactionError,
    UniqueError,
)
from oxidite.db.expressions import Condition, Expr, Order, Shape, every, some
from oxidite.db.kinds import Kind
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model
from oxidite.db.options import DatabaseOptions, OptionValue, PoolOptions
from oxidite.db.outbox import Message, Outbox, OutboxStats
from oxidite.db.own_tables import OwnDatabase, OwnTables
from oxidite.db.plan import Plan, Plans, Rows
from oxidite.db.pooled import PoolStats
from oxidite.db.query import Select
from oxidite.db.relay import MessageHandler, Relay
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
from oxidite.db.watching import DatabaseStats, QueryTime, query_time, watch_queries

__all__ = [
    "AnyColumn",
    "AnyExpr",
    "Batch",
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
    "DatabaseOptions",
    "DatabaseStats",
    "Declared",
    "DeleteStatement",
    "Deleted",
    "Dialect",
    "DialectName",
    "DiskFullError",
    "Done",
    "Driver",
    "Expr",
    "HasTable",
    "Index",
    "InsertStatement",
    "Isolation",
    "Join",
    "Kind",
    "Later",
    "Lock",
    "LockTimeoutError",
    "ManyRowsError",
    "Message",
    "MessageHandler",
    "MissingReferenceError",
    "Model",
    "ModelError",
    "NotNullError",
    "OnDelete",
    "OptionValue",
    "Order",
    "Outbox",
    "OutboxStats",
    "OverlapError",
    "OwnDatabase",
    "OwnTables",
    "Owner",
    "Plan",
    "Plans",
    "PoolOptions",
    "PoolStats",
    "PoolTimeoutError",
    "QueryError",
    "QueryTime",
    "ReadOnlyError",
    "Relay",
    "RowNotFoundError",
    "Rows",
    "SchemaError",
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
    "query_time",
    "some",
    "watch_queries",
]
