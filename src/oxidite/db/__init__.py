"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db import functions as fn
from oxidite.db.aliases import alias, optional
from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.choosing import Allowed, filter_by, sort_by
from oxidite.db.columns import Col, Column, ColumnRules, Declared, OnDelete, TableKey, col
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
from oxidite.db.expressions import (
    Call,
    Condition,
    Expr,
    IsDataclass,
    IsJson,
    Order,
    Selectable,
    Shape,
    Subselect,
    every,
    some,
)
from oxidite.db.functions import DatePart, TruncatedTo
from oxidite.db.kinds import Kind
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model
from oxidite.db.paths import JsonPath
from oxidite.db.plan import Plan, Plans, Rows
from oxidite.db.query import Derived, Select, Selected
from oxidite.db.selects import DerivedColumn, DerivedTable, Part, SetOperator
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
from oxidite.db.subqueries import HasStatement, exists
from oxidite.db.table import AnyColumn, Index, Table, index
from oxidite.db.transaction import Owner, Transaction, TransactionBlock, Turns
from oxidite.db.windows import Aggregate, Exprs, Frame, Orders, Window

__all__ = [
    "Aggregate",
    "Allowed",
    "AnyColumn",
    "AnyExpr",
    "Call",
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
    "DatePart",
    "Declared",
    "DeleteStatement",
    "Deleted",
    "Derived",
    "DerivedColumn",
    "DerivedTable",
    "Dialect",
    "DialectName",
    "Done",
    "Driver",
    "Expr",
    "Exprs",
    "Frame",
    "HasStatement",
    "HasTable",
    "Index",
    "InsertStatement",
    "IsDataclass",
    "IsJson",
    "Isolation",
    "Join",
    "JsonPath",
    "Kind",
    "Lock",
    "ManyRowsError",
    "MissingReferenceError",
    "Model",
    "ModelError",
    "NotNullError",
    "OnDelete",
    "Order",
    "Orders",
    "OverlapError",
    "Owner",
    "Part",
    "Plan",
    "Plans",
    "PoolTimeoutError",
    "QueryError",
    "RowNotFoundError",
    "Rows",
    "Select",
    "SelectStatement",
    "Selectable",
    "Selected",
    "SetOperator",
    "Shape",
    "SoftDeletes",
    "StaleRowError",
    "Statement",
    "Subselect",
    "Table",
    "TableKey",
    "Timestamps",
    "Transaction",
    "TransactionBlock",
    "TransactionError",
    "TruncatedTo",
    "Turns",
    "UniqueError",
    "UpdateStatement",
    "Version",
    "Window",
    "alias",
    "col",
    "every",
    "exists",
    "filter_by",
    "fn",
    "index",
    "optional",
    "some",
    "sort_by",
]
