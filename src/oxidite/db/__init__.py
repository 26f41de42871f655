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
from oxidite.db.correlated import Hop
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
    NotLoadedError,
    NotNullError,
    OverlapError,
    PoolTimeoutError,
    QueryError,
    RelationError,
    RowNotFoundError,
    StaleRowError,
    TransactionError,
    UniqueError,
)
from oxidite.db.expressions import Condition, Expr, Order, Shape, every, some
from oxidite.db.kinds import Kind
from oxidite.db.mixins import SoftDeletes, Timestamps, Version
from oxidite.db.model import Model
from oxidite.db.peers import Counted, Lazy, Load
from oxidite.db.plan import Plan, Plans, Rows
from oxidite.db.query import Select
from oxidite.db.relations.declare import BelongsTo, HasMany, HasOne, ManyToMany, rel
from oxidite.db.relations.definition import (
    DeclaredRelation,
    Definition,
    Keys,
    Link,
    RelationKind,
    RelationType,
)
from oxidite.db.relations.handles import Handle, Many, One, OwnedOne
from oxidite.db.relations.linked import Linked, Synced
from oxidite.db.relations.loading import Wanted
from oxidite.db.relations.relation import Relation, ToMany, ToOne
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
    "BelongsTo",
    "CheckError",
    "Col",
    "Column",
    "ColumnRules",
    "Condition",
    "ConflictingTransactionsError",
    "Connection",
    "ConstraintError",
    "Counted",
    "Database",
    "DatabaseError",
    "Declared",
    "DeclaredRelation",
    "Definition",
    "DeleteStatement",
    "Deleted",
    "Dialect",
    "DialectName",
    "Done",
    "Driver",
    "Expr",
    "Handle",
    "HasMany",
    "HasOne",
    "HasTable",
    "Hop",
    "Index",
    "InsertStatement",
    "Isolation",
    "Join",
    "Keys",
    "Kind",
    "Lazy",
    "Link",
    "Linked",
    "Load",
    "Lock",
    "Many",
    "ManyRowsError",
    "ManyToMany",
    "MissingReferenceError",
    "Model",
    "ModelError",
    "NotLoadedError",
    "NotNullError",
    "OnDelete",
    "One",
    "Order",
    "OverlapError",
    "OwnedOne",
    "Owner",
    "Plan",
    "Plans",
    "PoolTimeoutError",
    "QueryError",
    "Relation",
    "RelationError",
    "RelationKind",
    "RelationType",
    "RowNotFoundError",
    "Rows",
    "Select",
    "SelectStatement",
    "Shape",
    "SoftDeletes",
    "StaleRowError",
    "Statement",
    "Synced",
    "Table",
    "TableKey",
    "Timestamps",
    "ToMany",
    "ToOne",
    "Transaction",
    "TransactionBlock",
    "TransactionError",
    "Turns",
    "UniqueError",
    "UpdateStatement",
    "Version",
    "Wanted",
    "col",
    "every",
    "index",
    "rel",
    "some",
]
