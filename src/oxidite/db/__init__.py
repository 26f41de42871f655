"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db import (
    functions as fn,
)
from oxidite.db.aliases import (
    alias,
    optional,
)
from oxidite.db.arrays import (
    DeleteArrays,
    InsertArrays,
    UpdateArrays,
)
from oxidite.db.base import (
    Connection,
    Done,
    Driver,
    Isolation,
)
from oxidite.db.choosing import (
    Allowed,
    filter_by,
    sort_by,
)
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
from oxidite.db.correlated import (
    Hop,
)
from oxidite.db.database import (
    Database,
    HasTable,
)
from oxidite.db.dialects import (
    Dialect,
    DialectName,
    Placeholders,
    Returning,
)
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
from oxidite.db.explaining import (
    BoundSQL,
)
from oxidite.db.expressions import (
    Condition,
    Expr,
    IsJson,
    Order,
    Selectable,
    Shape,
    Subselect,
    every,
    some,
)
from oxidite.db.functions import (
    DatePart,
    TruncatedTo,
)
from oxidite.db.kinds import (
    Kind,
)
from oxidite.db.mixins import (
    SoftDeletes,
    Timestamps,
    Version,
)
from oxidite.db.model import (
    Model,
)
from oxidite.db.paths import (
    JsonPath,
    JsonScalar,
)
from oxidite.db.peers import (
    Counted,
    Lazy,
    Load,
)
from oxidite.db.plan import (
    Plan,
    Plans,
    Rows,
)
from oxidite.db.query import (
    Derived,
    Select,
)
from oxidite.db.raw import (
    CoreStatement,
    RawOwner,
    RawQuery,
)
from oxidite.db.relations.declare import (
    BelongsTo,
    HasMany,
    HasOne,
    ManyToMany,
    rel,
)
from oxidite.db.relations.definition import (
    DeclaredRelation,
    Definition,
    Keys,
    Link,
    RelationKind,
    RelationType,
)
from oxidite.db.relations.handles import (
    Handle,
    Many,
    One,
    OwnedOne,
)
from oxidite.db.relations.linked import (
    Linked,
    Synced,
)
from oxidite.db.relations.loading import (
    Wanted,
)
from oxidite.db.relations.relation import (
    Relation,
    ToMany,
    ToOne,
)
from oxidite.db.rows import (
    RowReader,
)
from oxidite.db.selects import (
    DerivedColumn,
    DerivedTable,
    Part,
    SetOperator,
)
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
from oxidite.db.subqueries import (
    HasStatement,
    exists,
)
from oxidite.db.table import (
    AnyColumn,
    Index,
    Table,
    index,
)
from oxidite.db.transaction import (
    Owner,
    Transaction,
    TransactionBlock,
    Turns,
)
from oxidite.db.upserts import (
    Upserted,
    excluded,
)
from oxidite.db.windows import (
    Aggregate,
    Frame,
    Window,
)

__all__ = [
    "Aggregate",
    "Allowed",
    "AnyColumn",
    "AnyExpr",
    "Assignment",
    "BelongsTo",
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
    "Counted",
    "Database",
    "DatabaseError",
    "DatePart",
    "Declared",
    "DeclaredRelation",
    "Definition",
    "DeleteArrays",
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
    "Frame",
    "Handle",
    "HasMany",
    "HasOne",
    "HasStatement",
    "HasTable",
    "Hop",
    "Index",
    "InsertArrays",
    "InsertStatement",
    "IsJson",
    "Isolation",
    "Join",
    "JsonPath",
    "JsonScalar",
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
    "Part",
    "Placeholders",
    "Plan",
    "Plans",
    "PoolTimeoutError",
    "QueryError",
    "RawOwner",
    "RawQuery",
    "Relation",
    "RelationError",
    "RelationKind",
    "RelationType",
    "Returning",
    "RowNotFoundError",
    "RowReader",
    "Rows",
    "Select",
    "SelectStatement",
    "Selectable",
    "SetOperator",
    "Shape",
    "SoftDeletes",
    "StaleRowError",
    "Statement",
    "Subselect",
    "Synced",
    "Table",
    "TableKey",
    "Timestamps",
    "ToMany",
    "ToOne",
    "Transaction",
    "TransactionBlock",
    "TransactionError",
    "TruncatedTo",
    "Turns",
    "UniqueError",
    "UpdateArrays",
    "UpdateStatement",
    "Upserted",
    "Version",
    "Wanted",
    "Window",
    "alias",
    "col",
    "every",
    "excluded",
    "exists",
    "filter_by",
    "fn",
    "index",
    "optional",
    "rel",
    "some",
    "sort_by",
]
