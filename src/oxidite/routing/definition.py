"""A route as it was registered: what was said of it, checked, before it is known under which prefix it stands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, Protocol, TypedDict

from oxidite.errors import HTTPError, RouteError
from oxidite.extract.base import Context, Marker, Parameter, location
from oxidite.extract.depends import path_parameters
from oxidite.extract.hints import resolve_hints
from oxidite.extract.plan import Plan
from oxidite.http.limits import FormLimits
from oxidite.http.types import Middleware
from oxidite.http.websocket import WEBSOCKET, WebSocketOptions
from oxidite.routing.documented import Documented
from oxidite.routing.endpoint import Encoder
from oxidite.routing.pattern import Converter, Pattern, bare_type, converter_for
from oxidite.routing.streams import check_stream
from oxidite.routing.versioning import VersionSpec

__all__ = [
    "Definition",
    "PlacedRoute",
    "RouteOptions",
    "check_options",
    "define",
    "define_websocket",
]

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
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


class PlacedRoute(Protocol):
    """A route of an application, as what was registered hears of it."""

    @property
    def pattern(self) -> Pattern:
        """Its whole path."""
        ...

    @property
    def handler(self) -> Callable[..., object]:
        """The function that answers."""
        ...


@dataclass(eq=False)
class Definition:
    """A route as it was registered, before it is known under which prefix it will stand."""

    pattern: Pattern
    methods: tuple[str, ...]
    handler: Callable[..., object]
    options: RouteOptions
    localns: Mapping[str, object] = field(repr=False)
    placed: Callable[[PlacedRoute, Sequence[PlacedRoute]], None] | None = field(
        default=None, repr=False
    )
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


def define(
    path: str,
    methods: Iterable[str],
    handler: Callable[..., object],
    options: RouteOptions,
    localns: Mapping[str, object],
) -> Definition:
    """Check what was said of a route, and return it.

    Raises:
        RouteError: path, methods or options are none.
    """
    where = location(handler)
    pattern = _parse(path, handler)
    if isinstance(methods, str):
        raise RouteError(f"{where}: methods={methods!r} is one text. Write [{methods!r}].")
    verbs = tuple(dict.fromkeys(method.upper() for method in methods))
    if not verbs or not all(map(_METHOD.fullmatch, verbs)):
        raise RouteError(
            f"{where}: methods={list(verbs)!r} are no methods, such as ['GET', 'POST']."
        )
    if WEBSOCKET in verbs:
        raise RouteError(f"{where}: a WebSocket is no method. Use @app.websocket({path!r}).")
    check_options(options, RouteOptions, "a route", where)
    return Definition(pattern, verbs, handler, options, localns)


def define_websocket(
    path: str,
    handler: Callable[..., object],
    options: WebSocketOptions,
    localns: Mapping[str, object],
) -> Definition:
    """Check the path of a WebSocket, and return what was said of it.

    Raises:
        RouteError: the path is none.
    """
    shared: RouteOptions = {
        "name": options.get("name", ""),
        "tags": options.get("tags", ()),
        "middleware": options.get("middleware", ()),
        "meta": options.get("meta", {}),
    }
    if "versions" in options:
        shared["versions"] = options["versions"]
    pattern = _parse(path, handler)
    return Definition(pattern, (WEBSOCKET,), handler, shared, localns, websocket=options)


def _parse(path: str, handler: Callable[..., object]) -> Pattern:
    try:
        return Pattern.parse(path)
    except RouteError as exc:
        raise RouteError(f"{location(handler)}: {exc.message}") from None


def check_options(options: Mapping[str, object], known: type, what: str, where: str) -> None:
    """Refuse an option that there is not: a limit that is misspelt is none.

    Raises:
        RouteError: there is one.
    """
    for name in options.keys() - known.__annotations__.keys():
        close = get_close_matches(name, known.__annotations__, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "Whatever is yours goes into meta={...}."
        raise RouteError(f"{where}: there is no option {name!r} of {what}. {hint}")
