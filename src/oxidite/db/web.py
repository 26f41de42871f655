"""Rows in the signatures of handlers, in the state that the client saw; what a request costs the database.

::

    @app.get("/posts/{post}")
    async def show(post: Bound[Post]) -> Post:
        return post

Imported by those who use it: ``oxidite.db`` itself knows nothing of the web.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import quote

from oxidite.db.connections.watching import watched
from oxidite.db.database import database_of
from oxidite.db.errors import RowNotFoundError
from oxidite.db.models.model import Model
from oxidite.db.rules.rules import is_storable
from oxidite.db.statements.statements import Deleted, SelectStatement
from oxidite.db.tables.columns import Column
from oxidite.db.tables.references import referred_name
from oxidite.db.tables.table import Table
from oxidite.db.tables.tags import entity_tag, tag_maker
from oxidite.errors import FieldError, HTTPError, PreconditionFailedError, ValidationError
from oxidite.extract.base import Description, Extractor, Parameter
from oxidite.extract.hints import resolve_hints
from oxidite.extract.params import PathValue
from oxidite.http.declared import Declared
from oxidite.http.middleware import complete
from oxidite.http.negotiation import etag_matches
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.instrument import event

__all__ = [
    "Bound",
    "PreconditionRequiredError",
    "bound",
    "check_match",
    "entity_tag",
    "watch_queries",
]

T = TypeVar("T")
AnyColumn: TypeAlias = Column[Any, Any]

_logger = logging.getLogger("oxidite.db")

_ROWS = "oxidite.db.bound"
"""Where the rows of a request are kept in its state, by the names of their parameters."""


class PreconditionRequiredError(HTTPError):
    """Say in If-Match which state you want to change: the ETag of the answer that you saw."""

    code = "precondition_required"
    status = 428


def check_match(request: Request, row: Model, *, required: bool = True) -> None:
    """Return if ``If-Match`` names the state that a row is in.

    ``required`` refuses a request without the field; ``If-Match: *`` is any state. A tag that was made
    weak on the way (``W/"3"``) names the same state.

    Raises:
        PreconditionFailedError: it names another one (412).
        PreconditionRequiredError: the field is missing (428).
        ModelError: the model has neither ``Version`` nor ``Timestamps``.
    """
    named = ", ".join(request.headers.get_all("if-match"))
    if not named:
        if required:
            raise PreconditionRequiredError
        return
    # Compared weakly, although RFC 9110 section 13.1.1 wants it strong: the tag is of the row, not of
    # the bytes, and what compresses an answer on its way makes it weak.
    if not etag_matches(named, entity_tag(row), weak=True):
        raise PreconditionFailedError(
            "If-Match names another state than this row is in. Fetch it again and decide anew."
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class bound:  # noqa: N801 - read in signatures like `col`
    """Say how the row of a parameter is found: ``post: Annotated[Post, bound(by=Post.slug)]``.

    ``by`` is the column that the path has the value of; without it the primary key. ``path`` is the
    name of the parameter in the path: without it that of the argument, else that of the column.
    ``within`` is a column that refers to another row of the path: with ``within=Post.author_id``,
    ``/users/{user}/posts/{post}`` finds only posts whose author is that user. ``parent`` names the
    parameter of that row; without it, the one before. ``deleted`` is for models with ``SoftDeletes``.

    ``match="required"`` compares ``If-Match`` with the state of the row: 412 if the row is in another
    one, 428 if the field is missing; ``"optional"`` lets those pass who do not send it.
    """

    by: AnyColumn | None = None
    path: str | None = None
    within: AnyColumn | None = None
    parent: str | None = None
    deleted: Deleted = "without"
    match: Literal["required", "optional"] | None = None

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Return what finds the row.

        Raises:
            RouteError: the parameter is no model, or path and column do not fit.
            ModelError: ``match`` is asked for, and the model has no version.
        """
        return BoundRow(self, parameter)


Bound = Annotated[T, bound()]
"""The row whose primary key is in the path; 404 if there is none. ``bound`` says more of it."""


class BoundRow:
    """Finds the row of one parameter."""

    def __init__(self, options: bound, parameter: Parameter) -> None:
        model = parameter.type
        table = getattr(model, "__table__", None)
        if not isinstance(table, Table):
            raise parameter.refuse(
                "is bound to a row, so its type is a model with a table: post: Bound[Post]."
            )
        self._options = options
        self._table = table
        self._model = getattr(model, "__name__", table.name)
        self._column = _column_of(options, parameter, table)
        self._name = _path_name(options, parameter, self._column)
        self._key = _PathKey(self._name, self._column, parameter)
        self._parent = None
        if options.within is not None:
            self._parent = _Parent(options, parameter, self._name, options.within, table)
        if options.match is not None:
            tag_maker(table)
        keys = [self._key, *([] if self._parent is None else self._parent.keys)]
        self.path_parameters: Sequence[Parameter] = [key.parameter for key in keys]
        """What it reads from the path, and as which types: the pattern is made to match."""

    async def extract(self, request: Request) -> object:
        """Return the row.

        Raises:
            RowNotFoundError: there is none.
        """
        key = self._key.extract(request)
        wanted = [(self._column, key)]
        if self._parent is not None:
            wanted.append((self._parent.column, self._parent.value(request)))
        # What does not fit into a column is in none of its rows.
        row = await self._find(wanted) if all(is_storable(each) for _, each in wanted) else None
        if row is None:
            raise RowNotFoundError(f"There is no {self._model} {key}.")
        if self._options.match is not None:
            check_match(request, row, required=self._options.match == "required")
        rows: Any = request.state.setdefault(_ROWS, {})
        rows[self._name] = row
        return row

    async def _find(self, wanted: Sequence[tuple[AnyColumn, object]]) -> Any:
        statement = SelectStatement(
            table=self._table,
            source=self._table.key,
            where=(*(column == value for column, value in wanted), *self._table.scoped()),
            limit=1,
            deleted=self._options.deleted,
        )
        found = await database_of(self._table).fetch(statement)
        return found[0] if found else None

    async def request_errors(self, request: Request) -> list[FieldError]:
        """Return what is wrong with the path, without asking the database."""
        try:
            self._key.extract(request)
        except ValidationError as exc:
            return list(exc.errors)
        return []

    def url_value(self, value: object) -> tuple[str, object]:
        """Return what a URL has for a row, and under which name: ``url(show, post)``."""
        if isinstance(value, Model) and type(value).__table__ is self._table:
            return self._name, getattr(value, self._column.name)
        return self._name, value

    def describe(self) -> Description:
        """Say where the row comes from: the path, and for ``match`` a header field."""
        raises: list[type[HTTPError]] = [RowNotFoundError]
        parts = [key.describe() for key in (self._parent.keys if self._parent else ())]
        if self._options.match is not None:
            is_required = self._options.match == "required"
            parts.append(Description("header", str, "If-Match", required=is_required, default=None))
            raises.append(PreconditionFailedError)
            if is_required:
                raises.append(PreconditionRequiredError)
        return replace(
            self._key.describe(), parts=tuple(parts), declared=Declared(raises=tuple(raises))
        )


class _PathKey(PathValue):
    """The value of a column, as the path has it."""

    def __init__(self, name: str, column: AnyColumn, parameter: Parameter) -> None:
        if column.kind.name not in _KINDS:
            raise parameter.refuse(
                f"is found by {column!r}, whose values ({column.kind.name}) a path does not have. Use a "
                "column of whole numbers, text, UUIDs, dates or an enum."
            )
        if name not in parameter.context.path_params:
            known = ", ".join(f"{{{each}}}" for each in parameter.context.path_params) or "nothing"
            raise parameter.refuse(
                f"is bound to a row by {{{name}}}, and the path has {known}. Name it so in the path, or "
                "say which one it is: bound(path=…)."
            )
        self.parameter = replace(parameter, name=name, type=column.kind.type)
        super().__init__(self.parameter)


class _Parent:
    """What the row of another parameter says of this one."""

    def __init__(
        self, options: bound, parameter: Parameter, name: str, within: AnyColumn, table: Table
    ) -> None:
        if table.by_name.get(within.name) is not within:
            raise parameter.refuse(f"is within {within!r}, which is no column of {table!r}.")
        self.column = within
        self._name = options.parent or _name_before(parameter, name)
        # Where the other row is an argument too, it says what is referred to; else the path does.
        is_bound = _is_bound(self._name, parameter)
        self.keys = [] if is_bound else [_PathKey(self._name, within, parameter)]

    def value(self, request: Request) -> object:
        """Return what the column has in the rows that belong to the other one."""
        rows: Any = request.state.get(_ROWS, {})
        row = rows.get(self._name)
        if row is not None:
            table: Table = type(row).__table__
            return getattr(row, referred_name(self.column, table) or table.pk[0].name)
        return self.keys[0].extract(request)


_KINDS = frozenset(("integer", "text", "uuid", "date", "decimal", "enum"))


def _column_of(options: bound, parameter: Parameter, table: Table) -> AnyColumn:
    if options.by is not None:
        if table.by_name.get(options.by.name) is not options.by:
            raise parameter.refuse(f"is found by {options.by!r}, which is no column of {table!r}.")
        return options.by
    if len(table.pk) != 1:
        raise parameter.refuse(
            f"is bound to a row of {table!r}, whose primary key is not one column. Say which column the "
            "path has: bound(by=…)."
        )
    return table.pk[0]


def _path_name(options: bound, parameter: Parameter, column: AnyColumn) -> str:
    """Return what the parameter is called in the path."""
    if options.path is not None:
        return options.path
    names = (parameter.name, column.name, f"{parameter.name}_{column.name}")
    return next((each for each in names if each in parameter.context.path_params), parameter.name)


def _name_before(parameter: Parameter, name: str) -> str:
    names = list(parameter.context.path_params)
    place = names.index(name) if name in names else 0
    if place == 0:
        raise parameter.refuse(
            "is within another row, and no parameter stands before it in the path. Say which one it is: "
            "bound(within=…, parent=…)."
        )
    return names[place - 1]


def _is_bound(name: str, parameter: Parameter) -> bool:
    """Tell whether an argument before this one is the row that ``{name}`` leads to."""
    others = resolve_hints(parameter.function, parameter.context.localns)
    place = list(others).index(parameter.name) if parameter.name in others else 0
    for index, (other, hint) in enumerate(others.items()):
        options = [each for each in get_args(hint)[1:] if isinstance(each, bound)]
        table = getattr(get_args(hint)[0], "__table__", None) if options else None
        if other == parameter.name or not isinstance(table, Table):
            continue
        described = replace(parameter, name=other)
        if _path_name(options[0], described, _column_of(options[0], described, table)) != name:
            continue
        if index > place:
            raise parameter.refuse(
                f"is within {other!r}, which comes later. Put it before this one."
            )
        return True
    return False


def watch_queries(
    *, seconds: float = 1.0, statements: int = 100, comments: bool = False
) -> Middleware:
    """Log a request whose statements together take longer than ``seconds`` or are more than ``statements``.

    With ``comments`` each statement ends with the route, as ``/*route='%2Fposts%2F{id}'*/``, for whoever
    looks at the database's own list of what runs. It is the pattern, not the address: one text for each
    route stays prepared, and nothing of the client's is in it.
    """

    @complete
    async def middleware(request: Request, call_next: Handler) -> Response:
        route = request.route.path if request.route is not None else ""
        comment = f" /*route='{quote(route, safe='{}:')}'*/" if comments and route else ""
        made = watched(comment)
        try:
            return await call_next(request)
        finally:
            if made.seconds > seconds or made.statements > statements:
                _logger.warning(
                    "%s %s ran %d statements, which took %.3f s",
                    request.method,
                    route or "(no route)",
                    made.statements,
                    made.seconds,
                )
                event(
                    "db.queries.many",
                    route=route,
                    statements=made.statements,
                    seconds=made.seconds,
                )

    return middleware
