"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db.arrays import DeleteArrays, InsertArrays, UpdateArrays
from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.columns import (
    Assignment,
    Col,
    Column,
    ColumnRules,
    Declared,
    OnDelete,
    TableKey,
    col,
)
from oxidite.db.database import Database, HasTable
from oxidite.db.dialects import Dialect, DialectName, Placeholders, Returning
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
from oxidite.db.explaining import BoundSQL
from oxidite.db.expressions import Condition, Expr, Order, Shape, every, some
from oxidite.db.kinds import Kind
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model
from oxidite.db.plan import Plan, Plans, Rows
from oxidite.db.query import Select
from oxidite.db.raw import CoreStatement, RawOwner, RawQuery
from oxidite.db.rows import RowReader
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
from oxidite.db.upserts import Upserted, excluded

__all__ = [
    "AnyColumn",
    "AnyExpr",
    "Assignment",
    "BoundSQL",
    "CheckError",
    "Col",
    "Column",
    "ColumnRules",
    "Condition",
    "ConflictingTransactionsError",
    "Connection",
    "ConstraintError",
    "CoreStatement",
    "Database",
    "DatabaseError",
    "Declared",
    "DeleteArrays",
    "DeleteStatement",
    "Deleted",
    "Dialect",
    "DialectName",
    "Done",
    "Driver",
    "Expr",
    "HasTable",
    "Index",
    "InsertArrays",
    "InsertStatement",
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
    "Placeholders",
    "Plan",
    "Plans",
    "PoolTimeoutError",
    "QueryError",
    "RawOwner",
    "RawQuery",
    "Returning",
    "RowNotFoundError",
    "RowReader",
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
    "UpdateArrays",
    "UpdateStatement",
    "Upserted",
    "Version",
    "col",
    "every",
    "excluded",
    "index",
    "some",
]
