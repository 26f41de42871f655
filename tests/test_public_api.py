"""The public names, so that a change to them is seen, and what their signatures promise."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import version
from types import ModuleType
from typing import ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import pytest

import oxidite

NAMES: dict[str, list[str]] = {
    "oxidite": [
        "BadRequestError",
        "Body",
        "ConflictError",
        "Controller",
        "Cookie",
        "Depends",
        "Event",
        "Events",
        "FieldError",
        "File",
        "FileResponse",
        "ForbiddenError",
        "Form",
        "FormData",
        "HTMLResponse",
        "HTTPError",
        "Handler",
        "Header",
        "JSONResponse",
        "Json",
        "Lines",
        "Middleware",
        "Name",
        "NotFoundError",
        "Oxidite",
        "OxiditeError",
        "Path",
        "Query",
        "RedirectResponse",
        "Request",
        "Response",
        "Router",
        "Rows",
        "State",
        "StreamingResponse",
        "TextResponse",
        "UnauthorizedError",
        "Upload",
        "ValidationError",
        "__version__",
    ],
    "oxidite.app": [
        "Oxidite",
    ],
    "oxidite.backends": [
        "BackendFactory",
        "BackendRegistry",
        "Builtin",
    ],
    "oxidite.cache": [
        "Cache",
        "CacheBackend",
        "CacheEntry",
        "CacheOptions",
        "CacheStats",
        "Cached",
        "Claimed",
        "Counter",
        "Counts",
        "Epochs",
        "Inspected",
        "Item",
        "L1",
        "Listener",
        "Lock",
        "LockLostError",
        "LockTimeoutError",
        "Options",
        "S3FIFO",
        "Seconds",
        "Stats",
        "Stored",
        "TagsOf",
        "Warmed",
        "Warmer",
        "reads",
    ],
    "oxidite.cache.backends": [
        "backends",
    ],
    "oxidite.cache.web": [
        "CacheControl",
        "CacheReplies",
        "RouteCaching",
        "TagsOfRequest",
        "http_cache",
        "http_cache_for",
        "memoized",
    ],
    "oxidite.cache.backends.sql": [
        "SQLBackend",
    ],
    "oxidite.carried": [
        "Capture",
        "Carried",
        "Restore",
        "captured",
        "carry",
        "locale",
        "restored",
        "together",
        "user",
    ],
    "oxidite.clock": [
        "Clock",
        "TravelClock",
        "current",
        "monotonic",
        "now",
        "perf",
        "process",
        "sleep",
        "timestamp",
        "travelled",
        "use",
    ],
    "oxidite.concurrency": [
        "BackgroundTasks",
        "ThreadPool",
        "call",
        "current_task",
        "finished",
    ],
    "oxidite.config": [
        "Dotenv",
        "Duration",
        "Environment",
        "Loaded",
        "Origin",
        "Problem",
        "Row",
        "Secret",
        "SettingsError",
        "Size",
        "env",
        "environment",
        "load",
        "load_with_origins",
        "parse_duration",
        "parse_size",
    ],
    "oxidite.db": [
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
        "SQL",
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
    ],
    "oxidite.db.drivers": [
        "drivers",
    ],
    "oxidite.db.migrations": [
        "Applied",
        "Bound",
        "CheckSpec",
        "ColumnSpec",
        "Entry",
        "Fill",
        "History",
        "HistoryError",
        "IndexSpec",
        "Line",
        "LockTimeoutError",
        "Migration",
        "MigrationError",
        "MigrationFailedError",
        "Migrator",
        "NOW",
        "Operation",
        "Ops",
        "PendingMigrationsError",
        "Phase",
        "Planned",
        "Progress",
        "QuestionError",
        "Schema",
        "Standing",
        "SyncSpec",
        "TO_WRITE",
        "TableSpec",
        "check",
        "column",
        "index",
    ],
    "oxidite.drivers.redis": [
        "Argument",
        "Redis",
        "RedisFullError",
        "RedisOptions",
        "Script",
    ],
    "oxidite.encoding": [
        "Codec",
        "DecodeError",
        "Field",
        "MismatchError",
        "Problem",
        "codec_for",
        "encode_json",
        "encode_msgpack",
        "json_text",
        "to_plain",
    ],
    "oxidite.errors": [
        "BackendError",
        "BackendTimeoutError",
        "BackendUnavailableError",
        "BadRequestError",
        "ConfigError",
        "ConflictError",
        "ErrorMap",
        "FieldError",
        "ForbiddenError",
        "GatewayTimeoutError",
        "GoneError",
        "HTTPError",
        "InsufficientStorageError",
        "InternalServerError",
        "InvalidPathError",
        "LengthRequiredError",
        "MethodNotAllowedError",
        "MissingExtraError",
        "NotAcceptableError",
        "NotFoundError",
        "OxiditeError",
        "PayloadTooLargeError",
        "PreconditionFailedError",
        "RequestTimeoutError",
        "RouteError",
        "ServiceUnavailableError",
        "TooManyRequestsError",
        "UnauthorizedError",
        "UnknownBackendError",
        "UnsupportedMediaTypeError",
        "UpgradeRequiredError",
        "ValidationError",
        "translate",
    ],
    "oxidite.extract": [
        "Body",
        "Context",
        "Cookie",
        "Depends",
        "Description",
        "Events",
        "Extractor",
        "File",
        "Form",
        "Header",
        "InvalidBodyError",
        "Json",
        "LastEventID",
        "Lines",
        "Marker",
        "MaxLine",
        "Name",
        "Parameter",
        "Path",
        "Plan",
        "Query",
        "Rows",
        "Scope",
        "State",
        "Step",
        "StreamFormat",
        "Streamed",
        "streamed",
    ],
    "oxidite.http": [
        "ASGIApp",
        "Address",
        "ClientDisconnectError",
        "Declared",
        "FilePart",
        "FileRule",
        "FixedHeaders",
        "FormData",
        "FormLimitError",
        "FormLimits",
        "FormValue",
        "HTMLResponse",
        "Handler",
        "Headers",
        "InvalidFormError",
        "InvalidJSONError",
        "JSONResponse",
        "MatchedRoute",
        "Middleware",
        "MountedResponse",
        "MutableHeaders",
        "Part",
        "Parts",
        "QueryParams",
        "RedirectResponse",
        "Request",
        "Response",
        "SameSite",
        "Scopes",
        "SecurityScheme",
        "Sink",
        "Spool",
        "StoredResponse",
        "StreamingResponse",
        "TextResponse",
        "TrustedProxies",
        "URL",
        "URLParts",
        "UnsupportedFileError",
        "Upload",
        "Version",
        "complete",
        "declared_by",
        "declares",
        "ordered",
        "to_response",
    ],
    "oxidite.http.streams": [
        "CSVStream",
        "Event",
        "EventStream",
        "JSONLines",
    ],
    "oxidite.http.files": [
        "FileChangedError",
        "FileResponse",
        "RangeNotSatisfiableError",
        "StoredFile",
        "Validators",
    ],
    "oxidite.ids": [
        "ulid",
        "uuid7",
    ],
    "oxidite.instrument": [
        "Listener",
        "Span",
        "current_span",
        "event",
        "is_listening",
        "listen",
        "span",
    ],
    "oxidite.lifespan": [
        "Late",
        "Lifespan",
        "Resource",
        "opened_before",
    ],
    "oxidite.middleware": [
        "AccessEntry",
        "AccessFormat",
        "Attempt",
        "BrowserReport",
        "CSP",
        "CSPDirectives",
        "CSPNonce",
        "CSRFError",
        "CSRFToken",
        "Coding",
        "EmbedderPolicy",
        "ErrorHandler",
        "ErrorRenderer",
        "FrameOptions",
        "HostNotAllowedError",
        "Hosts",
        "IdempotencyConflictError",
        "IdempotencyKeyError",
        "IdempotencyMismatchError",
        "Identity",
        "IdentityFilter",
        "InvalidContentCodingError",
        "InvalidReportError",
        "MemoryReplies",
        "NONCE",
        "OpenerPolicy",
        "OriginLike",
        "OriginNotAllowedError",
        "Outcome",
        "Problem",
        "ReferrerPolicy",
        "Reply",
        "ReplyStore",
        "ReportHandler",
        "RequestID",
        "ResourcePolicy",
        "StreamTimeoutError",
        "Trace",
        "TraceContext",
        "UnsupportedContentCodingError",
        "access_log",
        "allowed_hosts",
        "collect_reports",
        "compression",
        "cors",
        "csp_nonce",
        "csrf",
        "csrf_token",
        "current_identity",
        "decompression",
        "hsts",
        "https_redirect",
        "idempotency",
        "limit",
        "rate_limit",
        "request_id",
        "security_headers",
        "server_timing",
        "timeout",
    ],
    "oxidite.middleware.access": [
        "AccessEntry",
        "AccessFormat",
        "Outcome",
        "access_log",
    ],
    "oxidite.middleware.debug": [
        "debug_markdown",
        "debug_page",
    ],
    "oxidite.middleware.ratelimit": [
        "Cost",
        "FieldStyle",
        "Key",
        "RateLimitedError",
        "by_address",
        "by_header",
        "limit",
        "rate_limit",
    ],
    "oxidite.openapi": [
        "About",
        "Built",
        "Choose",
        "JSON",
        "OpenAPI",
        "OpenAPIError",
        "PageHeaders",
        "Spec",
        "Tag",
        "build",
        "documents_of",
    ],
    "oxidite.openapi.diff": [
        "Change",
        "compare",
    ],
    "oxidite.plugin": [
        "AnyPlugin",
        "Plugin",
        "discover",
    ],
    "oxidite.protocols": [
        "Application",
        "BodyPace",
        "InFlight",
        "Message",
        "MountedLifespan",
        "Receive",
        "Send",
        "Watched",
        "serve_asgi",
    ],
    "oxidite.protocols.wsgi": [
        "WSGI",
    ],
    "oxidite.queue": [
        "Asked",
        "AsyncTask",
        "Batch",
        "BatchState",
        "Call",
        "Cancel",
        "Capture",
        "Carried",
        "Chunk",
        "ChunkDecorator",
        "ChunkTask",
        "Claim",
        "Count",
        "Cron",
        "Decorator",
        "Discard",
        "EventKey",
        "Failure",
        "Filter",
        "Handle",
        "JobArgumentsError",
        "JobCancelledError",
        "JobContext",
        "JobFailedError",
        "JobLostError",
        "JobMaker",
        "JobNotFoundError",
        "JobProcessError",
        "JobPusher",
        "JobState",
        "JobStepNotFoundError",
        "JobStore",
        "JobTimeoutError",
        "JobTooLargeError",
        "JobUnreadableError",
        "JobUpdate",
        "Keeper",
        "Limits",
        "Link",
        "Missed",
        "NewBatch",
        "NewJob",
        "Options",
        "Outcome",
        "OutcomeKind",
        "Overlap",
        "Planned",
        "Progress",
        "Pushed",
        "Queue",
        "QueueState",
        "Rate",
        "Ready",
        "Recycle",
        "Restore",
        "Retry",
        "RetryAt",
        "Schedule",
        "ScheduleNotFoundError",
        "Schedules",
        "Signal",
        "Signature",
        "Snooze",
        "StoredJob",
        "SyncTask",
        "Task",
        "TaskError",
        "TaskMinute",
        "Tasks",
        "Unique",
        "Uniqueness",
        "UnknownTaskError",
        "Upgrade",
        "Worker",
        "WorkerHealth",
        "WorkerState",
        "carry",
        "current_job",
        "failures_of",
        "given",
        "last_failure",
        "task",
    ],
    "oxidite.queue.stores.memory": [
        "MemoryStore",
    ],
    "oxidite.queue.stores.sql": [
        "SQLStore",
    ],
    "oxidite.queue.stores": [
        "stores",
    ],
    "oxidite.queue.stores.redis": [
        "RedisStore",
    ],
    "oxidite.rates": [
        "Algorithm",
        "Claim",
        "MemoryRates",
        "RateStore",
        "Rule",
        "Verdict",
    ],
    "oxidite.routing": [
        "Controller",
        "Converter",
        "Definition",
        "Documented",
        "Encoder",
        "Entry",
        "Included",
        "Inherited",
        "Mount",
        "Param",
        "Pattern",
        "PlacedRoute",
        "RenderError",
        "Route",
        "RouteOptions",
        "RouteTable",
        "Router",
        "TrailingSlash",
        "URLs",
        "Version",
        "VersionSpec",
        "VersionedTable",
        "Versioning",
        "based_on",
        "resolve",
        "routes_of",
    ],
    "oxidite.routing.static": [
        "Assets",
    ],
    "oxidite.security": [
        "BadSignatureError",
        "ExpiredSignatureError",
        "SecretLike",
        "Signer",
        "Signers",
        "development_secret",
    ],
    "oxidite.servers": [
        "AccessLog",
        "Announce",
        "Application",
        "HTTPVersions",
        "ImportFailedError",
        "Interface",
        "ListenError",
        "Renewal",
        "SERVERS",
        "Server",
        "Settings",
        "TLS",
        "Target",
        "TargetError",
        "WorkerPlan",
        "choose_interface",
        "choose_server",
        "examine",
        "installed_servers",
    ],
    "oxidite.testing": [
        "Client",
        "LiveServer",
        "QueryAssertion",
        "Received",
        "ReceivedEvent",
        "WebSocketDeniedError",
        "WebSocketSession",
        "assert_no_repeats",
        "assert_queries",
    ],
    "oxidite.testing.contracts": [
        "CacheBackendContract",
        "FairQueueContract",
        "JobEventsContract",
        "JobStoreContract",
        "RateStoreContract",
        "ReplyStoreContract",
    ],
    "oxidite.websocket": [
        "CloseCode",
        "ClosedError",
        "Closing",
        "InvalidMessageError",
        "InvalidSubprotocolError",
        "MessageFormat",
        "MessageTooLargeError",
        "OriginError",
        "RateExceededError",
        "SlowClientError",
        "WebSocket",
        "WebSocketError",
        "WebSocketOptions",
        "WebSocketResponse",
    ],
}


def packages() -> Iterator[str]:
    """Yield every place that users import from: the packages, and the files beside them."""
    yield "oxidite"
    for found in pkgutil.walk_packages(oxidite.__path__, "oxidite."):
        if found.ispkg or found.name.count(".") == 1:
            yield found.name


def public() -> dict[str, ModuleType]:
    modules = {name: importlib.import_module(name) for name in packages() if "__main__" not in name}
    return {name: module for name, module in modules.items() if hasattr(module, "__all__")}


def test_the_public_names_are_known() -> None:
    assert {name: sorted(module.__all__) for name, module in public().items()} == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_once(name: str) -> None:
    module = importlib.import_module(name)

    assert [each for each in module.__all__ if not hasattr(module, each)] == []
    assert len(set(module.__all__)) == len(module.__all__)
    assert set(module.__all__) <= set(dir(module))


def test_what_a_first_application_needs_is_little() -> None:
    assert len(oxidite.__all__) <= 40


def test_the_version_is_that_of_the_package() -> None:
    assert oxidite.__version__ == version("oxidite")


# Signatures.


def annotated(thing: object) -> Iterator[tuple[str, object]]:
    """Yield every annotation of a function or of a class and its public methods, and an alias."""
    if not isinstance(thing, type):
        if inspect.isroutine(thing):
            yield from hints(thing)
        elif get_origin(thing) is not None:
            yield "stands for it", thing
        return
    yield from hints(thing)
    for name, member in vars(thing).items():
        if name.startswith("_") and name not in ("__init__", "__call__", "__aenter__"):
            continue
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)
        if inspect.isfunction(function):
            yield from ((f"{name}.{where}", type_) for where, type_ in hints(function))


def hints(thing: Callable[..., object]) -> Iterator[tuple[str, object]]:
    for name, type_ in get_type_hints(thing, include_extras=True).items():
        if not name.startswith("_"):
            yield name, type_


def classes(type_: object) -> Iterator[type]:
    if isinstance(type_, type) and get_origin(type_) is None:
        yield type_
    for part in (get_origin(type_), *get_args(type_)):
        if isinstance(part, list):
            for each in part:
                yield from classes(each)
        elif part is not None:
            yield from classes(part)


def test_every_type_in_a_public_signature_is_public() -> None:
    modules = public()
    known = {id(getattr(module, name)) for module in modules.values() for name in module.__all__}
    missing: dict[str, str] = {}
    for package, module in modules.items():
        for name in module.__all__:
            for where, type_ in annotated(getattr(module, name)):
                for cls in classes(type_):
                    if cls.__module__.startswith("oxidite") and id(cls) not in known:
                        full_name = f"{cls.__module__}.{cls.__qualname__}"
                        missing[full_name] = f"{package}.{name} {where}"

    assert missing == {}


# As they are written: aliases, which are gone at run time, and attributes that constructors declare.


def written(node: ast.AST, name: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield every annotation of a function's parameters, or of a class's public members."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            for each in ast.walk(node.args):
                if isinstance(each, ast.arg) and each.annotation is not None:
                    yield f"{name}({each.arg})", each.annotation
            if node.returns is not None:
                yield f"{name}()", node.returns
        case ast.ClassDef():
            for member in node.body:
                yield from members(member, name)


def members(member: ast.stmt, name: str) -> Iterator[tuple[str, ast.expr]]:
    match member:
        case ast.AnnAssign(target=ast.Name(id=attribute)) if not attribute.startswith("_"):
            yield f"{name}.{attribute}", member.annotation
        case ast.FunctionDef(name=method) | ast.AsyncFunctionDef(name=method):
            if not method.startswith("_") or method.endswith("__"):
                yield from written(member, f"{name}.{method}")
            if method == "__init__":
                yield from attributes(member, name)


def attributes(constructor: ast.AST, name: str) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(constructor):
        match node:
            case ast.AnnAssign(target=ast.Attribute(attr=attribute)):
                if not attribute.startswith("_"):
                    yield f"{name}.{attribute}", node.annotation


def words(annotation: ast.expr) -> Iterator[str]:
    """Yield the names in an annotation, those in quotes too."""
    for node in ast.walk(annotation):
        match node:
            case ast.Name(id=name):
                yield name
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text


def own_names(module: ModuleType) -> set[str]:
    """Return what a module defines, or imports from another of ours."""
    names: set[str] = set()
    for node in ast.parse(inspect.getsource(module)).body:
        match node:
            case ast.ImportFrom(module=str(source)) if source.startswith("oxidite"):
                names.update(each.asname or each.name for each in node.names)
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign():
                names.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return names


def definitions(thing: object) -> Iterator[type | Callable[..., object]]:
    """Yield the function, or the class and those of ours that it inherits from."""
    if isinstance(thing, type):
        yield from (cls for cls in thing.__mro__ if cls.__module__.startswith("oxidite"))
    elif inspect.isfunction(thing):
        yield inspect.unwrap(thing)


def test_every_name_in_a_public_signature_is_public() -> None:
    modules = public()
    known = {
        (name, id(getattr(module, name))) for module in modules.values() for name in module.__all__
    }
    missing: dict[str, str] = {}
    for package, module in modules.items():
        for public_name in module.__all__:
            for thing in definitions(getattr(module, public_name)):
                home = importlib.import_module(thing.__module__)
                own = own_names(home)
                tree = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
                for where, annotation in written(tree, public_name):
                    for word in own.intersection(words(annotation)):
                        value = getattr(home, word)
                        if (
                            not isinstance(value, TypeVar | ParamSpec)
                            and (word, id(value)) not in known
                        ):
                            missing[f"{home.__name__}.{word}"] = f"{package}: {where}"

    assert missing == {}
