"""A signature, read once: which extractor makes which argument, and how to call the function.

The plan is made when a route is registered, and mistakes are reported then, with the file, the
line, the parameter and what to do about it.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import (
    Annotated,
    Any,
    Protocol,
    Union,
    cast,
    get_args,
    get_origin,
    runtime_checkable,
)

from msgspec import Struct

from oxidite.concurrency import ThreadPool
from oxidite.encoding import codec_for
from oxidite.errors import BadRequestError, FieldError, RouteError, ValidationError
from oxidite.extract.base import (
    Context,
    Extractor,
    Marker,
    Parameter,
    is_marker,
    location,
)
from oxidite.extract.body import Json
from oxidite.extract.files import File, file_rule
from oxidite.extract.hints import UnresolvedHintError, is_source, parameter_of, resolve_hints
from oxidite.extract.params import Path, Query, is_text, without_none
from oxidite.extract.state import RequestItself, State, VersionItself
from oxidite.http.request import FORM_TYPES, Request
from oxidite.http.version import Version

__all__ = ["Plan", "Step"]


_FORMS = frozenset(FORM_TYPES)


@runtime_checkable
class Nested(Protocol):
    """An extractor with a plan of its own: a dependency."""

    async def request_errors(self, request: Request) -> list[FieldError]:
        """Return what is wrong with the request for that plan."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One argument: the parameter it is for and the extractor that makes it."""

    parameter: Parameter
    extractor: Extractor[object]
    keyword_only: bool
    is_async: bool

    async def errors(self, request: Request) -> Sequence[FieldError]:
        """Return what is wrong with the request here, without calling a dependency."""
        try:
            if isinstance(self.extractor, Nested):
                return await self.extractor.request_errors(request)
            value = self.extractor.extract(request)
            if self.is_async:
                await cast("Awaitable[object]", value)
        except ValidationError as exc:
            return exc.errors
        except BadRequestError as exc:
            return [FieldError("body", exc.message, pointer="", code=exc.code)]
        return ()


class Plan:
    """How to call one function with arguments out of a request."""

    def __init__(self, function: Callable[..., object], steps: tuple[Step, ...], returns: object):
        self.function = function
        self.steps = steps
        self.returns = returns
        """The return annotation; ``inspect.Parameter.empty`` without one."""
        self.is_async: bool = _is_async(function)
        self.call: Callable[[Request], Awaitable[object]] = self._compile()
        """Call the function; await what comes back.

        A ValidationError out of the call itself, before anything is awaited, is the first one only;
        ``with_others`` finds the rest.
        """

    @property
    def only(self) -> Callable[[Request], Awaitable[object]] | None:
        """Make the one argument there is, where that has to be awaited, for who calls the function."""
        # PERF: without the coroutine of `call`; benchmark `items`.
        if not self.is_async or len(self.steps) != 1:
            return None
        [step] = self.steps
        if not step.is_async or step.keyword_only:
            return None
        return cast("Callable[[Request], Awaitable[object]]", step.extractor.extract)

    @classmethod
    def of(
        cls,
        function: Callable[..., object],
        context: Context,
        *,
        given: Mapping[str, Marker] | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Plan:
        """Read the signature of ``function``.

        ``given`` has markers for parameters that carry none: a controller's ``self``; ``hints`` are
        the annotations, if they were resolved already.

        Raises:
            RouteError: a parameter cannot be made out of a request.
            UnresolvedHintError: an annotation is not defined, at least not yet.
        """
        if hints is None:
            hints = resolve_hints(function, context.localns)
        try:
            signature = inspect.signature(function)
        except ValueError:
            raise RouteError(
                f"{location(function)} does not tell its parameters. Call it in a function of yours."
            ) from None
        bound = _bound(function)
        steps: list[Step] = []
        for name, raw in signature.parameters.items():
            if name in bound:
                continue  # said by a `partial`: not for a client to say otherwise
            parameter = parameter_of(raw, hints, function, context)
            marker = (given or {}).get(name)
            if marker is None and raw.kind in (raw.VAR_POSITIONAL, raw.VAR_KEYWORD):
                raise parameter.refuse(
                    "collects arguments nobody names. Name the parameters, or take the Request."
                )
            try:
                extractor = marker.bind(parameter) if marker else _extractor(parameter)
            except NameError as exc:
                raise _undefined(parameter, exc) from exc
            steps.append(
                Step(
                    parameter,
                    extractor,
                    raw.kind is raw.KEYWORD_ONLY,
                    inspect.iscoroutinefunction(extractor.extract),
                )
            )
        _check(function, steps, context)
        return cls(function, tuple(steps), hints.get("return", inspect.Parameter.empty))

    async def arguments(self, request: Request) -> tuple[list[object], dict[str, object]]:
        """Return the positional and the keyword arguments for one call."""
        args: list[object] = []
        kwargs: dict[str, object] = {}
        try:
            for step in self.steps:
                value = step.extractor.extract(request)
                if step.is_async:
                    value = await cast("Awaitable[object]", value)
                if step.keyword_only:
                    kwargs[step.parameter.name] = value
                else:
                    args.append(value)
        except ValidationError as exc:
            raise await self.with_others(exc, request) from None
        return args, kwargs

    async def errors(self, request: Request) -> list[FieldError]:
        """Return everything wrong with the request, without calling a dependency."""
        return [error for step in self.steps for error in await step.errors(request)]

    async def with_others(self, first: ValidationError, request: Request) -> ValidationError:
        """Return the error that has what else is wrong with the request, too."""
        found = await self.errors(request)
        if all(error in first.errors for error in found):
            return first
        # What a dependency itself said of the request is not found by looking at its arguments.
        return ValidationError(found + [error for error in first.errors if error not in found])

    def _compile(self) -> Callable[[Request], Awaitable[object]]:
        if not self.is_async:
            return self._call_in_thread
        if any(step.keyword_only for step in self.steps):
            return self._call_async
        if any(step.is_async for step in self.steps):
            return self._compile_async()
        return self._compile_sync()

    def _compile_sync(self) -> Callable[[Request], Awaitable[object]]:
        # PERF: nothing to wait for, so no coroutine of our own, and no list for the usual numbers of
        # arguments; benchmarks `json` and `users`.
        function = cast("Callable[..., Awaitable[object]]", self.function)
        match [step.extractor.extract for step in self.steps]:
            case []:
                return lambda _: function()
            case [first]:
                return lambda request: function(first(request))
            case [first, second]:
                return lambda request: function(first(request), second(request))
            case [first, second, third]:
                return lambda request: function(first(request), second(request), third(request))
            case extracts:
                return lambda request: function(*[extract(request) for extract in extracts])

    def _compile_async(self) -> Callable[[Request], Awaitable[object]]:
        function = cast("Callable[..., Awaitable[object]]", self.function)
        # Any: a `cast` where it is awaited is a call for each request.
        extracts: list[tuple[Callable[[Request], Any], bool]] = [
            (step.extractor.extract, step.is_async) for step in self.steps
        ]

        async def call(request: Request) -> object:
            # PERF: `arguments` without its coroutine and its keywords; benchmark `items`.
            args = []
            try:
                for extract, is_async in extracts:
                    value = extract(request)
                    args.append(await value if is_async else value)
            except ValidationError as exc:
                raise await self.with_others(exc, request) from None
            return await function(*args)

        return call

    async def _call_async(self, request: Request) -> object:
        args, kwargs = await self.arguments(request)
        return await cast("Callable[..., Awaitable[object]]", self.function)(*args, **kwargs)

    async def _call_in_thread(self, request: Request) -> object:
        args, kwargs = await self.arguments(request)
        made = await request.resources.get(ThreadPool).run(self.function, *args, **kwargs)
        # A decorator that is not async itself, around a function that is.
        return await made if inspect.iscoroutine(made) else made


def _is_async(function: Callable[..., object]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is asked about
    )


def _bound(function: Callable[..., object]) -> set[str]:
    """Return the names of the arguments that a `partial` has given by keyword."""
    names: set[str] = set()
    while isinstance(function, functools.partial):
        names |= function.keywords.keys()
        function = function.func
    return names


def _extractor(parameter: Parameter) -> Extractor[object]:
    sources = [extra for extra in (parameter.default, *parameter.metadata) if is_source(extra)]
    if not sources:
        return _inferred(parameter)
    if len(sources) > 1:
        raise parameter.refuse("is said to come from several places. Keep one.")
    source = sources[0]
    if not is_marker(source):
        return cast("Extractor[object]", source)
    if source is parameter.default:
        parameter = replace(parameter, default=inspect.Parameter.empty)
    return source.bind(parameter)


def _inferred(parameter: Parameter) -> Extractor[object]:
    """Choose by name and type for a parameter that carries no marker."""
    type_ = parameter.type
    if parameter.name in parameter.context.path_params:
        return _marker(Path).bind(parameter)
    if type_ is inspect.Parameter.empty:
        raise parameter.refuse("has no annotation, so nothing says where it comes from.")
    if (known := _of_known_type(parameter)) is not None:
        return known
    if is_text(type_):
        return _marker(Query).bind(parameter)
    bare = without_none(type_)
    if isinstance(bare, type) and hasattr(bare, "__aenter__"):
        return _marker(State).bind(parameter)
    if _is_data(type_):
        if parameter.context.has_body:
            return _marker(Json).bind(parameter)
        raise parameter.refuse(
            f"is data ({_name(type_)}), but requests of this method have no body. {_instead(type_)}"
        )
    if isinstance(bare, type):
        return _marker(State).bind(parameter)
    raise parameter.refuse(
        f"cannot be made from a request: {type_!r}. Use a list, a tuple or a dict for data, a class for a "
        "resource, or say what makes it: Depends(...)."
    )


def _instead(type_: object) -> str:
    """Return where data may come from if there is no body."""
    try:
        is_whole = codec_for(without_none(type_)).fields() is not None
    except TypeError:
        is_whole = False
    if is_whole:
        return f"Use Query[{_name(type_)}] to read it from the query, or post, put or patch."
    return (
        "Use post, put or patch; a query holds scalars, lists of these, or a Struct in Query[...]."
    )


def _of_known_type(parameter: Parameter) -> Extractor[object] | None:
    """Choose for a type that can come from one place only."""
    type_ = parameter.type
    bare = without_none(type_)
    if isinstance(bare, type) and issubclass(bare, Request):
        return RequestItself()
    if bare is Version:
        return VersionItself(parameter)
    own = getattr(get_origin(type_) or type_, "__argument__", None)
    if is_marker(own):
        return own.bind(parameter)  # a class that says itself how it is made: a WebSocket
    return None if file_rule(type_) is None else File().bind(parameter)


def _marker(alias: object) -> Marker:
    """Return the marker inside ``Query``, ``Json`` and the like."""
    return cast("Marker", get_args(alias)[1])


def _is_data(type_: object) -> bool:
    origin = get_origin(type_)
    if origin is Annotated:
        return _is_data(get_args(type_)[0])
    if origin is Union or origin is types.UnionType:
        members = [arg for arg in get_args(type_) if arg is not type(None)]
        return all(_is_data(member) or is_text(member) for member in members)
    if origin in (list, dict, set, tuple, frozenset) or type_ in (list, dict, Any):
        return True
    try:
        return codec_for(type_).fields() is not None
    except TypeError:
        # One that cannot be decoded is told so, and is not taken for a resource.
        return isinstance(bare := origin or type_, type) and issubclass(bare, Struct)


def _undefined(parameter: Parameter, error: NameError) -> UnresolvedHintError:
    """Return what to say of a class of data that names something that is not there."""
    why = "not defined"
    if error.name in parameter.context.localns:
        why = "local to a function. They are looked up in the module: define it there"
    return UnresolvedHintError(
        parameter.refuse(
            f"is a {_name(parameter.type)}, whose own annotations name {error.name!r}, which is {why}."
        ).message
    )


def _name(type_: object) -> str:
    if get_origin(type_) in (Union, types.UnionType):
        return " | ".join(map(_name, get_args(type_)))
    return "None" if type_ is types.NoneType else getattr(type_, "__name__", repr(type_))


def _check(function: Callable[..., object], steps: list[Step], context: Context) -> None:
    described = {step.parameter.name: step.extractor.describe() for step in steps}
    bodies = {name: each for name, each in described.items() if each.source == "body"}
    # A form may be read by several: each takes its fields or files out of it.
    if len(bodies) > 1 and any(not set(each.media_types) <= _FORMS for each in bodies.values()):
        raise RouteError(
            f"{location(function)}: {' and '.join(map(repr, bodies))} both read the request body. "
            "Join them in one Struct."
        )
    taken = {step.parameter.name for step in steps}
    missing = [name for name in context.path_params if name not in taken]
    for step in steps:
        parameter = step.parameter
        guessed = not any(map(is_source, parameter.metadata))
        if guessed and step.extractor.describe().source == "query":
            close = get_close_matches(parameter.name, missing, n=1, cutoff=0.75)
            if close:
                raise parameter.refuse(
                    f"is not in the path, which has {{{close[0]}}}. Did you mean {close[0]!r}? If it "
                    f"is a query parameter, say so: Query[{_name(parameter.type)}]."
                )
