"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db.base import Isolation
from oxidite.db.columns import Col, Column, ColumnRules, OnDelete, col
from oxidite.db.database import Database
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
from oxidite.db.expressions import Condition, Expr, Order, every, some
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model
from oxidite.db.query import Select
from oxidite.db.table import Index, Table, index
from oxidite.db.transaction import Transaction

__all__ = [
    "CheckError",
    "Col",
    "Column",
    "ColumnRules",
    "Condition",
    "ConflictingTransactionsError",
    "ConstraintError",
    "Database",
    "DatabaseError",
    "Expr",
    "Index",
    "Isolation",
    "ManyRowsError",
    "MissingReferenceError",
    "Model",
    "ModelError",
    "NotNullError",
    "OnDelete",
    "Order",
    "OverlapError",
    "PoolTimeoutError",
    "QueryError",
    "RowNotFoundError",
    "Select",
    "SoftDeletes",
    "StaleRowError",
    "Table",
    "Timestamps",
    "Transaction",
    "TransactionError",
    "UniqueError",
    "Version",
    "col",
    "every",
    "index",
    "some",
]
