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
from oxidite.db.batch import (
    Batch,
    Later,
)
from oxidite.db.casts import (
    Cast,
)
from oxidite.db.choosing import (
    Allowed,
    filter_by,
    sort_by,
)
from oxidite.db.columns import (
    AnyCast,
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
from oxidite.db.cursors import (
    InvalidCursorError,
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
    DecryptionError,
    DiskFullError,
    LockTimeoutError,
    ManyRowsError,
    MissingReferenceError,
    MissingTenantError,
    ModelError,
    NotLoadedError,
    NotNullError,
    OtherTenantError,
    OverlapError,
    PoolTimeoutError,
    QueryError,
    ReadOnlyError,
    RelationError,
    RowNotFoundError,
    SchemaError,
    StaleRowError,
    TransactionError,
    UniqueError,
)
from oxidite.db.explaining import (
    BoundSQL,
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
from oxidite.db.functions import (
    DatePart,
    TruncatedTo,
)
from oxidite.db.hooks import (
    Change,
    Event,
    Hooks,
    Lifecycle,
    observe,
)
from oxidite.db.ids import (
    ulid,
    uuid7,
)
from oxidite.db.inputs import (
    computed,
)
from oxidite.db.keys import (
    Keys,
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
    Scope,
)
from oxidite.db.options import (
    DatabaseOptions,
    OptionValue,
    PoolOptions,
)
from oxidite.db.outbox import (
    Message,
    Outbox,
    OutboxStats,
)
from oxidite.db.own_tables import (
    OwnDatabase,
    OwnTables,
)
from oxidite.db.pagination import (
    CursorPage,
    Page,
)
from oxidite.db.paths import (
    JsonPath,
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
from oxidite.db.pooled import (
    PoolStats,
)
from oxidite.db.pruning import (
    prune,
)
from oxidite.db.query import (
    Derived,
    Select,
    Selected,
)
from oxidite.db.raw import (
    CoreStatement,
    RawOwner,
    RawQuery,
)
from oxidite.db.reencryption import (
    reencrypt,
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
    ForeignKeys,
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
from oxidite.db.relay import (
    MessageHandler,
    Relay,
)
from oxidite.db.rows import (
    RowReader,
)
from oxidite.db.scopes import (
    Tenancy,
    TenantScope,
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
    SQL,
    AnyColumn,
    Check,
    Index,
    Indexed,
    Table,
    check,
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
from oxidite.db.validators import (
    validates,
)
from oxidite.db.watching import (
    DatabaseStats,
    QueryTime,
    query_time,
    watch_queries,
)
from oxidite.db.windows import (
    Aggregate,
    Exprs,
    Frame,
    Orders,
    Window,
)

__all__ = [
    "SQL",
    "Aggregate",
    "Allowed",
    "AnyCast",
    "AnyColumn",
    "AnyExpr",
    "Assignment",
    "Batch",
    "BelongsTo",
    "BoundSQL",
    "Call",
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
    "CoreStatement",
    "Counted",
    "CursorPage",
    "Database",
    "DatabaseError",
    "DatabaseOptions",
    "DatabaseStats",
    "DatePart",
    "Declared",
    "DeclaredRelation",
    "DecryptionError",
    "Definition",
    "DeleteArrays",
    "DeleteStatement",
    "Deleted",
    "Derived",
    "DerivedColumn",
    "DerivedTable",
    "Dialect",
    "DialectName",
    "DiskFullError",
    "Done",
    "Driver",
    "Event",
    "Expr",
    "Exprs",
    "ForeignKeys",
    "Frame",
    "Handle",
    "HasMany",
    "HasOne",
    "HasStatement",
    "HasTable",
    "Hooks",
    "Hop",
    "Index",
    "Indexed",
    "InsertArrays",
    "InsertStatement",
    "InvalidCursorError",
    "IsDataclass",
    "IsJson",
    "Isolation",
    "Join",
    "JsonPath",
    "Keys",
    "Kind",
    "Later",
    "Lazy",
    "Lifecycle",
    "Link",
    "Linked",
    "Load",
    "Lock",
    "LockTimeoutError",
    "Many",
    "ManyRowsError",
    "ManyToMany",
    "Message",
    "MessageHandler",
    "MissingReferenceError",
    "MissingTenantError",
    "Model",
    "ModelError",
    "NotLoadedError",
    "NotNullError",
    "OnDelete",
    "One",
    "OptionValue",
    "Order",
    "Orders",
    "OtherTenantError",
    "Outbox",
    "OutboxStats",
    "OverlapError",
    "OwnDatabase",
    "OwnTables",
    "OwnedOne",
    "Owner",
    "Page",
    "Part",
    "Placeholders",
    "Plan",
    "Plans",
    "PoolOptions",
    "PoolStats",
    "PoolTimeoutError",
    "QueryError",
    "QueryTime",
    "RawOwner",
    "RawQuery",
    "ReadOnlyError",
    "Relation",
    "RelationError",
    "RelationKind",
    "RelationType",
    "Relay",
    "Returning",
    "RowNotFoundError",
    "RowReader",
    "Rows",
    "SchemaError",
    "Scope",
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
    "Synced",
    "Table",
    "TableKey",
    "Tenancy",
    "TenantScope",
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
    "check",
    "col",
    "computed",
    "every",
    "excluded",
    "exists",
    "filter_by",
    "fn",
    "index",
    "observe",
    "optional",
    "prune",
    "query_time",
    "reencrypt",
    "rel",
    "some",
    "sort_by",
    "ulid",
    "uuid7",
    "validates",
    "watch_queries",
]
