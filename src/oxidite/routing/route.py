"""A route: one handler, how to call it, and what surrounds it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from oxidite.errors import (
    HTTPError,
    RouteError,
)
from oxidite.extract.base import Context, Marker, Parameter, location
from oxidite.extract.depends import dependencies_of, path_parameters
from oxidite.extract.files import takes_files
from oxidite.extract.hints import resolve_hints
from oxidite.extract.plan import Plan
from oxidite.extract.streams import streamed
from oxidite.http.limits import FileRule, FormLimits
from oxidite.http.types import Handler, Middleware
from oxidite.http.version import Version
from oxidite.http.websocket import WEBSOCKET, WebSocketOptions
from oxidite.routing.documented import Documented
from oxidite.routing.endpoint import (
    SAFE_METHODS,
    Encoder,
    ending_scope,
    endpoint_of,
    may_stream,
    offers_of,
    with_etag,
)
from oxidite.routing.layers import RenderError, fold
from oxidite.routing.pattern import Converter, Pattern, bare_type, converter_for
from oxidite.routing.streams import check_stream
from oxidite.routing.values import finish_of
from oxidite.routing.versioning import Versioning, VersionSpec

__all__ = ["Definition", "Route", "RouteOptions"]

_BODY_METHODS = frozenset(("POST", "PUT", "PATCH", "QUERY"))
_ROOT = Pattern(("",))
_ANYTHING = (inspect.Parameter.empty, object, Any)


class RouteOptions(TypedDict, total=False):
    """What can be said of a route beside its path and methods.

    ``name`` is what ``url("name")`` finds it by (the function's name unless given); ``status`` that
    of a returned value; ``max_body`` in bytes; ``cancel`` whether the handler is cancelled when the
    client goes away (only safe methods, unless said); ``versions`` the versions it is in;
    ``form_limits`` what a form may have; ``etag`` computes one and answers 304, of the
    body or, with ``"version"``, of the version of the row that is returned;
    ``complete`` promises that a handler annotated ``-> Response`` never returns a stream;
    ``produces`` has the media types among which the client's ``Accept`` chooses, the first one
    without it, and their encoders for others than JSON and MessagePack; ``raises`` has the errors
    that the handler raises and ``openapi`` more for documents; ``meta`` is for middleware and
    policies.
    """

    name: str
    status: int
    tags: Sequence[str]
    middleware: Sequence[Middleware]
    meta: Mapping[str, object]
    max_body: int
    form_limits: FormLimits
    versions: VersionSpec
    cancel: bool
    etag: Literal["weak", "strong", "version"]
    complete: bool
    produces: Sequence[str] | Mapping[str, Encoder]
    raises: Sequence[type[HTTPError]]
    openapi: Documented


@dataclass(eq=False)
class Definition:
    """A route as it was registered, before it is known under which prefix it will stand."""

    pattern: Pattern
    methods: tuple[str, ...]
    handler: Callable[..., object]
    options: RouteOptions
    localns: Mapping[str, object] = field(repr=False)
    placed: Callable[[Route, Sequence[Route]], None] | None = field(default=None, repr=False)
    """Told at the start of the application as which of its routes this will answer."""
    websocket: WebSocketOptions | None = None
    """What was said of a WebSocket; ``None`` on every other route."""
    _plans: dict[object, tuple[Pattern, Plan]] = field(default_factory=dict, init=False, repr=False)

    @property
    def is_method(self) -> bool:
        """Whether the handler is a method, so that a controller must be made for it."""
        first = next(iter(inspect.signature(self.handler).parameters), None)
        return first == "self" and "." in getattr(self.handler, "__qualname__", "")

    def plan(
        self, prefix: Pattern, host: Pattern | None, given: Mapping[str, Marker] | None
    ) -> tuple[Pattern, Plan]:
        """Read the handler's signature under ``prefix``; return the whole pattern with its types."""
        if given is not None:
            return self._read(prefix, host, given)
        # Asked at registration, at the start, and whenever routes were added in between.
        if (prefix, host) not in self._plans:
            self._plans[prefix, host] = self._read(prefix, host, given)
        return self._plans[prefix, host]

    def _read(
        self, prefix: Pattern, host: Pattern | None, given: Mapping[str, Marker] | None
    ) -> tuple[Pattern, Plan]:
        try:
            pattern = prefix + self.pattern
        except RouteError as exc:
            raise RouteError(f"{location(self.handler)}: {exc.message}") from None
        hosts = host.types() if host else {}
        if both := hosts.keys() & pattern.types():
            raise RouteError(
                f"{location(self.handler)}: {min(both)!r} is in the host and in the path {str(pattern)!r}. "
                "Rename one."
            )
        hints = resolve_hints(self.handler, self.localns)
        has_body = bool(_BODY_METHODS & set(self.methods))

        def read(types: Mapping[str, object]) -> Plan:
            context = Context(
                {**hosts, **types},
                has_body=has_body,
                is_websocket=self.websocket is not None,
                localns=self.localns,
            )
            return Plan.of(self.handler, context, given=given, hints=hints)

        # The handler alone says the types, most times; what dependencies say is known only when their
        # signatures have been read, too.
        types = pattern.typed(hints).types()
        plan = read(types)
        pattern = pattern.typed(_declared_types(pattern, plan))
        if pattern.types() != types:
            plan = read(pattern.types())
        check_stream(plan)
        return pattern if pattern.segments else _ROOT, plan


def _declared_types(pattern: Pattern, plan: Plan) -> Mapping[str, object]:
    """Return the types that the handler and its dependencies declare of the path's parameters.

    Raises:
        RouteError: two of them differ, or one and the path.
    """
    converters = {param.name: param.converter for param in pattern.params}
    declared: dict[str, Parameter] = {}
    for parameter in path_parameters(plan) if converters else ():
        if parameter.name not in converters:
            continue  # it is in the host
        type_, converter = bare_type(parameter.type), converters[parameter.name]
        if type_ in _ANYTHING:
            continue
        if converter is None:
            first = declared.setdefault(parameter.name, parameter)
            if not _is_same(bare_type(first.type), type_):
                where = _path(pattern, plan, first, parameter)
                raise parameter.refuse(
                    f"is {_shown(type_)}, but {_shown(bare_type(first.type))} at "
                    f"{location(first.function)}, and both read {where}. Write the same type in both."
                )
        elif not _fits(converter, type_):
            raise parameter.refuse(
                f"is {_shown(type_)}, but {_path(pattern, plan, parameter)} says {converter.name}. "
                "Write the same in both, or no type in the path."
            )
    return {name: parameter.type for name, parameter in declared.items()}


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, type) and isinstance(other, type):
        return one is other
    # Something like a Literal: each reads the same text in its way.
    return converter_for(one).type is converter_for(other).type


def _fits(converter: Converter, type_: object) -> bool:
    if converter.name in ("str", "path") or not isinstance(type_, type):
        return True
    return issubclass(converter.type, type_)


def _path(pattern: Pattern, plan: Plan, *parameters: Parameter) -> str:
    """Return how to call the path in a message that has the places of ``parameters`` already."""
    is_told = any(parameter.function is plan.function for parameter in parameters)
    return f"the path {str(pattern)!r}" + ("" if is_told else f" of {location(plan.function)}")


def _shown(type_: object) -> str:
    return type_.__name__ if isinstance(type_, type) else repr(type_)


@dataclass(eq=False)
class Route:
    """A route of an application, under its whole path."""

    pattern: Pattern
    host: Pattern | None
    definition: Definition
    plan: Plan
    name: str
    tags: tuple[str, ...]
    middleware: tuple[Middleware, ...]
    version: Version | None = None
    """The version of the API that it belongs to; ``None`` for all of them."""
    versioning: Versioning | None = None
    """What lists that version."""
    version_at: str | None = None
    """The path before the version; ``None`` if that is not in the path."""
    path: str = field(init=False)
    """The pattern as text."""
    max_body: int | None = field(init=False)
    """Bytes of a request body accepted here, where that differs from the application's."""
    form_limits: FormLimits = field(init=False)
    """What a form may have."""
    websocket: WebSocketOptions | None = field(init=False, repr=False)
    """What holds for its WebSockets; ``None`` on every other route."""
    files: Mapping[str, FileRule] = field(init=False, repr=False)
    """The rules for the files of a form, by the names of their fields."""
    cancel: bool = field(init=False)
    """Whether the handler is cancelled when the client goes away."""
    handle: Handler = field(init=False, repr=False)
    """Answers a request of this route: its middleware around its handler, folded once."""

    def __post_init__(self) -> None:
        options = self.definition.options
        self.path = str(self.pattern)
        self.max_body = options.get("max_body")
        self.form_limits = options.get("form_limits", FormLimits())
        self.websocket = self.definition.websocket
        self.files = _file_rules(self.plan)
        self.cancel = options.get("cancel", set(self.methods) <= {*SAFE_METHODS, WEBSOCKET})

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods it was registered for; HEAD and OPTIONS come by themselves."""
        return self.definition.methods

    @property
    def selected(self) -> bool:
        """Whether something beside the path has to ask for its version."""
        return self.version is not None and self.version_at is None

    @property
    def handler(self) -> Callable[..., object]:
        """The function that answers."""
        return self.definition.handler

    @property
    def where(self) -> str:
        """File, line and name of the handler."""
        return location(self.handler)

    @property
    def is_websocket(self) -> bool:
        """Whether it answers the handshakes of WebSockets, and nothing else."""
        return self.methods == (WEBSOCKET,)

    @property
    def meta(self) -> Mapping[str, object]:
        """Whatever the application said of the route."""
        return self.definition.options.get("meta", {})

    @property
    def complete(self) -> bool:
        """Whether every response of the handler is known to be complete bytes."""
        if self.is_websocket:
            return False
        declared = self.definition.options.get("complete")
        if declared is not None:
            return declared
        return streamed(self.plan.returns) is None and not may_stream(self.plan.returns)

    def inherit(
        self, *, max_body: int, form_limits: FormLimits, websocket: WebSocketOptions
    ) -> None:
        """Take from the application what the route does not say: it has room for its files."""
        options = self.definition.options
        self.form_limits = options.get("form_limits", form_limits)
        if "max_body" not in options:
            of_files = _size_of(self.files, self.form_limits)
            self.max_body = None if of_files is None else max_body + of_files
        if self.definition.websocket is not None:
            self.websocket = {**websocket, **self.definition.websocket}

    def fold(self, render: RenderError) -> None:
        """Make ``handle``."""
        if self.websocket is None:
            handler = self._fold_http(render)
        else:
            # Imported only now: who has no WebSocket does not pay for it.
            from oxidite.websocket.endpoint import websocket_endpoint

            handler = websocket_endpoint(self.plan, self.websocket, render)
        handler = fold(handler, self.middleware, render)
        if dependencies_of(self.plan):
            handler = ending_scope(handler, render)
        self.handle = handler

    def _fold_http(self, render: RenderError) -> Handler:
        options = self.definition.options
        status = options.get("status", 200)
        offers = offers_of(options.get("produces"), self.where)
        if offers and streamed(self.plan.returns):
            raise RouteError(
                f"{self.where}: a stream has one form, which its annotation names. Leave produces= out, "
                "or write a route for each form."
            )
        etag = options.get("etag")
        finish = finish_of(self.plan.returns, self.where, with_version=etag == "version")
        handler = endpoint_of(self.plan, status, offers, finish, render)
        return handler if etag is None else with_etag(handler, render, etag)


def _file_rules(plan: Plan) -> Mapping[str, FileRule]:
    plans = (*(each.plan for each in dependencies_of(plan)), plan)
    extractors = [step.extractor for each in plans for step in each.steps]
    return {
        name: rule
        for extractor in extractors
        if takes_files(extractor)
        for name, rule in extractor.file_rules.items()
    }


def _size_of(files: Mapping[str, FileRule], limits: FormLimits) -> int | None:
    """Return the bytes that all files may have together; ``None`` if that is not said."""
    size = 0
    for rule in files.values():
        if rule.max_size is None:
            return None
        size += rule.max_size * (limits.max_files if rule.max_files is None else rule.max_files)
    return size or None
