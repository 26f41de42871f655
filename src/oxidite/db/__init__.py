"""The database: tables as typed classes, queries that are checked before they run, transactions.

::

    class User(Model, Timestamps, table="users"):
        id: Col[int] = col(pk=True, init=False)
        email: Col[str] = col(unique=True, max_length=254)

    async with Database.from_url("sqlite:///app.db"):
        found = await User.where(User.email.endswith("@example.com")).all()
"""

from oxidite.db.connections.base import (
    Connection,
    Done,
    Driver,
    Isolation,
)
from oxidite.db.connections.batch import (
    Batch,
    Later,
)
from oxidite.db.connections.noting import reason
from oxidite.db.connections.options import (
    DatabaseOptions,
    OptionValue,
    PoolOptions,
)
from oxidite.db.connections.pooled import (
    PoolStats,
)
from oxidite.db.connections.steps import Ask, Steps
from oxidite.db.connections.transaction import (
    Owner,
    Transaction,
    TransactionBlock,
    Turns,
)
from oxidite.db.connections.watching import (
    DatabaseStats,
    QueryTime,
    query_time,
)
from oxidite.db.database import (
    Database,
    HasTable,
)
from oxidite.db.errors import (
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    DecryptionError,
    DiskFullError,
    ExclusionError,
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
from oxidite.db.expressions.expressions import (
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
from oxidite.db.expressions.paths import (
    JsonPath,
)
from oxidite.db.expressions.search import (
    Search,
    search,
)
from oxidite.db.expressions.vectors import (
    Distance,
)
from oxidite.db.expressions.windows import (
    Aggregate,
    Exprs,
    Frame,
    Orders,
    Window,
)
from oxidite.db.models.history import (
    History,
    Revision,
)
from oxidite.db.models.hooks import (
    Change,
    Event,
    Hooks,
    Lifecycle,
    observe,
)
from oxidite.db.models.inputs import (
    computed,
)
from oxidite.db.models.metaclass import (
    Scope,
)
from oxidite.db.models.model import (
    Model,
)
from oxidite.db.models.pruning import (
    prune,
)
from oxidite.db.models.reencryption import (
    reencrypt,
)
from oxidite.db.outbox.outbox import (
    Message,
    Outbox,
    OutboxStats,
)
from oxidite.db.outbox.own_tables import (
    OwnDatabase,
    OwnTables,
)
from oxidite.db.outbox.relay import (
    MessageHandler,
    Relay,
)
from oxidite.db.queries.explaining import (
    BoundSQL,
)
from oxidite.db.queries.pagination import (
    CursorPage,
    Page,
)
from oxidite.db.queries.past import PastSelect
from oxidite.db.queries.query import (
    Derived,
    Select,
    Selected,
)
from oxidite.db.raw.raw import (
    CoreStatement,
    RawOwner,
    RawQuery,
)
from oxidite.db.raw.rows import (
    RowReader,
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
from oxidite.db.rules.scopes import (
    Tenancy,
    TenantScope,
)
from oxidite.db.rules.validators import (
    validates,
)
from oxidite.db.sql.plan import (
    Plan,
    Plans,
    Rows,
)
from oxidite.db.statements import functions as fn
from oxidite.db.statements.aliases import (
    alias,
    optional,
)
from oxidite.db.statements.arrays import (
    DeleteArrays,
    InsertArrays,
    UpdateArrays,
)
from oxidite.db.statements.choosing import (
    Allowed,
    filter_by,
    sort_by,
)
from oxidite.db.statements.correlated import (
    Hop,
)
from oxidite.db.statements.cursors import (
    InvalidCursorError,
)
from oxidite.db.statements.functions import (
    DatePart,
    TruncatedTo,
)
from oxidite.db.statements.peers import (
    Counted,
    Lazy,
    Load,
)
from oxidite.db.statements.selects import (
    DerivedColumn,
    DerivedTable,
    Part,
    SetOperator,
)
from oxidite.db.statements.statements import (
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
from oxidite.db.statements.subqueries import (
    HasStatement,
    exists,
)
from oxidite.db.tables.columns import (
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
from oxidite.db.tables.mixins import (
    SoftDeletes,
    Timestamps,
    Version,
)
from oxidite.db.tables.table import (
    SQL,
    AnyColumn,
    Check,
    Index,
    Indexed,
    Operator,
    Table,
    check,
    exclude,
    index,
)
from oxidite.db.values.casts import (
    Cast,
)
from oxidite.db.values.dialects import (
    Dialect,
    DialectName,
    Placeholders,
    Returning,
)
from oxidite.db.values.keys import (
    Keys,
)
from oxidite.db.values.kinds import (
    Kind,
)
from oxidite.db.values.ranges import (
    Bounds,
    Range,
)
from oxidite.db.values.vectors import (
    Vector,
    VectorMetric,
)
from oxidite.db.writes.upserts import (
    Upserted,
    excluded,
)
from oxidite.ids import (
    ulid,
    uuid7,
)

__all__ = [
    "SQL",
    "Aggregate",
    "Allowed",
    "AnyCast",
    "AnyColumn",
    "AnyExpr",
    "Ask",
    "Assignment",
    "Batch",
    "BelongsTo",
    "BoundSQL",
    "Bounds",
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
    "Distance",
    "Done",
    "Driver",
    "Event",
    "ExclusionError",
    "Expr",
    "Exprs",
    "ForeignKeys",
    "Frame",
    "Handle",
    "HasMany",
    "HasOne",
    "HasStatement",
    "HasTable",
    "History",
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
    "Operator",
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
    "PastSelect",
    "Placeholders",
    "Plan",
    "Plans",
    "PoolOptions",
    "PoolStats",
    "PoolTimeoutError",
    "QueryError",
    "QueryTime",
    "Range",
    "RawOwner",
    "RawQuery",
    "ReadOnlyError",
    "Relation",
    "RelationError",
    "RelationKind",
    "RelationType",
    "Relay",
    "Returning",
    "Revision",
    "RowNotFoundError",
    "RowReader",
    "Rows",
    "SchemaError",
    "Scope",
    "Search",
    "Select",
    "SelectStatement",
    "Selectable",
    "Selected",
    "SetOperator",
    "Shape",
    "SoftDeletes",
    "StaleRowError",
    "Statement",
    "Steps",
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
    "Vector",
    "VectorMetric",
    "Version",
    "Wanted",
    "Window",
    "alias",
    "check",
    "col",
    "computed",
    "every",
    "exclude",
    "excluded",
    "exists",
    "filter_by",
    "fn",
    "index",
    "observe",
    "optional",
    "prune",
    "query_time",
    "reason",
    "reencrypt",
    "rel",
    "search",
    "some",
    "sort_by",
    "ulid",
    "uuid7",
    "validates",
]
