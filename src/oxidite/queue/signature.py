"""The signature of a task, read once: what a job carries, and what is given to it where it runs.

Parameters that a handler would take from the application, its resources and ``Depends``, are given by the
worker in the same way; ``JobContext`` is the job itself. All others are the arguments of the job.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, encode_msgpack
from oxidite.errors import RouteError
from oxidite.extract.base import Context, Description, Extractor, Parameter
from oxidite.extract.depends import dependencies_of
from oxidite.extract.plan import Plan
from oxidite.http.request import Request
from oxidite.lifespan import Lifespan
from oxidite.queue.context import JobContext, called_for
from oxidite.queue.errors import JobArgumentsError, TaskError
from oxidite.queue.verdicts import Cancel, Discard, RetryAt, Snooze

__all__ = ["Signature"]

_GIVEN = frozenset(("resource", "dependency"))
_JOB = "job"
_NO_RESULTS = (Snooze, RetryAt, Discard, Cancel, BaseException)
_PLAIN: Codec[Any] = codec_for(dict[str, Any])  # Any: of types that are no longer known


class Signature:
    """What a task takes. If it takes a list ``of_many`` jobs, each of these carries one element.

    Raises:
        TaskError: the function cannot be called by a worker; the message names the parameter.
    """

    def __init__(
        self, function: Callable[..., object], name: str, *, of_many: bool = False
    ) -> None:
        self.name: str = name
        hints = _hints(function)
        markers: dict[str, _Marker] = {}
        fields: list[tuple[str, object, object]] = []
        for parameter in inspect.signature(function).parameters.values():
            marker = _marker(function, parameter, hints)
            if marker is None:
                continue
            markers[parameter.name] = marker
            if isinstance(marker, _Argument):
                fields.append((parameter.name, hints[parameter.name], parameter.default))
        returns = hints.get("return", object)
        if of_many:
            fields, returns = [_element(function, fields, markers)], _each(function, returns)
        self.is_plain: bool = all(isinstance(each, _Argument) for each in markers.values()) and len(
            markers
        ) == len(inspect.signature(function).parameters)
        """Whether all that it takes is carried by the job, and nothing is given by the worker."""
        self._plan = _planned(_noticed(function), markers, hints)
        self._parameters = inspect.Signature(
            [
                each
                for each in inspect.signature(function).parameters.values()
                if isinstance(markers.get(each.name), _Argument)
            ]
        )
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        are_plain = all(each.kind in plain for each in self._parameters.parameters.values())
        self._positional: tuple[str, ...] | None = tuple(self.names) if are_plain else None
        self._codec = _codec(name, fields)
        self.returns: object = _result(returns)
        """What comes of a job, by the annotation of the function."""

    @property
    def names(self) -> list[str]:
        """The names of the arguments that a job carries."""
        return list(self._parameters.parameters)

    def encode(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """Return the arguments of a call as a job carries them, checked against their types.

        Raises:
            JobArgumentsError: one is missing, is too many, or is not what its annotation says.
        """
        try:
            data = encode_msgpack(self._bound(args, kwargs))
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise JobArgumentsError(self.name, [str(exc)]) from exc
        self.decode(data)
        return data

    def _bound(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> Mapping[str, object]:
        # PERF: most calls name nothing and leave nothing out; benchmark `queue`, pushed one by one.
        if not kwargs and self._positional is not None and len(args) == len(self._positional):
            return dict(zip(self._positional, args, strict=True))
        try:
            return self._parameters.bind(*args, **kwargs).arguments
        except TypeError as exc:
            raise JobArgumentsError(self.name, [str(exc)]) from None

    def encode_rest(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """Return the arguments of a call beside the first one, which comes later.

        Raises:
            JobArgumentsError: one is missing or too many, or none of its type can be carried.
        """
        first, *others = self._parameters.parameters.values()
        if first.name in kwargs:
            raise JobArgumentsError(self.name, [f"{first.name!r} is the result of the job before"])
        try:
            bound = self._parameters.replace(parameters=others).bind(*args, **kwargs)
            return encode_msgpack(bound.arguments)
        except (TypeError, ValueError, OverflowError) as exc:
            raise JobArgumentsError(self.name, [str(exc)]) from None

    def encode_json(self, json: bytes | str) -> bytes:
        """Return the arguments in a JSON object as a job carries them; defaults are filled in.

        Raises:
            JobArgumentsError: they do not fit, or it is no JSON.
        """
        try:
            return encode_msgpack(self._codec.decode_json(json))
        except (DecodeError, MismatchError) as exc:
            raise JobArgumentsError(self.name, [str(exc)]) from exc

    def decode(self, data: bytes) -> dict[str, object]:
        """Return the arguments that a job carries, by name, defaults included.

        Raises:
            JobArgumentsError: they do not fit, as those of another version of the task may not.
        """
        try:
            values = self._codec.decode_msgpack(data)
        except (DecodeError, MismatchError) as exc:
            raise JobArgumentsError(self.name, [str(exc)]) from exc
        return {name: getattr(values, name) for name in self._parameters.parameters}

    def default(self, name: str) -> object:
        """Return the default of an argument that has one."""
        return self._parameters.parameters[name].default

    def gathered(self, each: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """Return the arguments of one call for many jobs, of those that each of them carries."""
        (name,) = self._parameters.parameters
        return {name: [arguments[name] for arguments in each]}

    def upgrade(
        self,
        data: bytes,
        version: int,
        to: int,
        upgrades: Mapping[int, Callable[[dict[str, Any]], Mapping[str, object]]],
    ) -> dict[str, object]:
        """Return the arguments of a job of another version of the task.

        Raises:
            JobArgumentsError: nothing tells how, or what comes out does not fit.
        """
        values: Any = _PLAIN.decode_msgpack(data)
        if version > to:
            raise JobArgumentsError(self.name, [f"they are of version {version}, newer than {to}"])
        for each in range(version, to):
            if each not in upgrades:
                raise JobArgumentsError(
                    self.name, [f"they are of version {each}, and upgrades= has nothing for that"]
                )
            values = dict(upgrades[each](values))
        return self.decode(encode_msgpack(values))

    async def call(
        self, arguments: dict[str, object], job: JobContext, resources: Lifespan
    ) -> object:
        """Call the function with its arguments and with what is given to it."""
        request = Request("JOB", self.name, resources)
        request.params = MappingProxyType({**arguments, _JOB: job})
        error: BaseException | None = None
        try:
            return await self._plan.call(request)
        except BaseException as exc:
            error = exc
            raise
        finally:
            await _close(request, error)


async def _close(request: Request, error: BaseException | None) -> None:
    """Clean up after dependencies; they see the error, as those of handlers do."""
    if request.opened is None:
        return
    kind, trace = type(error) if error else None, error.__traceback__ if error else None
    opened = request.opened
    for stack in (opened.handler, opened.request, opened.stream):
        await stack.__aexit__(kind, error, trace)


def _noticed(function: Callable[..., object]) -> Callable[..., object]:
    """Let a job know when a thread is in its function: it cannot be stopped, only waited for."""
    if inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        job = called_for()
        if job is None:
            return function(*args, **kwargs)
        job.is_in_thread = True
        try:
            return function(*args, **kwargs)
        finally:
            job.is_in_thread = False

    return call


class _Argument:
    """A parameter that the job carries."""

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Return what finds it."""
        return _Carried(parameter.name, parameter.type)


class _Job:
    """The parameter that is the job itself."""

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Return what finds it."""
        return _Carried(_JOB, parameter.type)


_Marker = _Argument | _Job


class _Carried:
    def __init__(self, name: str, type_: object) -> None:
        self._name = name
        self._type = type_

    def extract(self, request: Request) -> object:
        return request.params[self._name]

    def describe(self) -> Description:
        return Description("resource", self._type)


def _hints(function: Callable[..., object]) -> dict[str, object]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as exc:
        raise TaskError(
            f"{_where(function)}: an annotation names {exc.name!r}, which is not defined. A task is made "
            "when its function is defined, so what its annotations name comes before it."
        ) from exc


def _marker(
    function: Callable[..., object], raw: inspect.Parameter, hints: Mapping[str, object]
) -> _Marker | None:
    """Return what a parameter is, or ``None`` for one that is given as a handler's is."""
    if raw.kind in (raw.VAR_POSITIONAL, raw.VAR_KEYWORD):
        raise TaskError(
            f"{_where(function)}: {raw.name!r} collects arguments nobody names. Name them."
        )
    if raw.kind is raw.POSITIONAL_ONLY or (
        raw.name == _JOB and hints.get(raw.name) is not JobContext
    ):
        raise TaskError(
            f"{_where(function)}: {raw.name!r} cannot be the name of an argument of a job."
        )
    if raw.name not in hints:
        raise TaskError(
            f"{_where(function)}: {raw.name!r} has no type. Jobs are checked by the types of their arguments."
        )
    if hints[raw.name] is JobContext:
        return _Job()
    source = _source(raw, hints)
    if source in ("request", "websocket"):
        raise TaskError(f"{_where(function)}: {raw.name!r} is of a request, and a job has none.")
    return None if source in _GIVEN else _Argument()


def _source(raw: inspect.Parameter, hints: Mapping[str, object]) -> str | None:
    """Tell where a handler would have the parameter from."""

    def alone(**_: object) -> None: ...

    # inspect reads it, and so sees the one parameter.
    setattr(alone, "__signature__", inspect.Signature([raw.replace(kind=raw.KEYWORD_ONLY)]))  # noqa: B010 - functions have no such attribute for checkers
    try:
        plan = Plan.of(alone, Context(), hints={raw.name: hints[raw.name]})
    except RouteError:
        return None  # no handler could have it, so it can only be data
    (step,) = plan.steps
    return step.extractor.describe().source


def _element(
    function: Callable[..., object],
    fields: list[tuple[str, object, object]],
    markers: Mapping[str, _Marker],
) -> tuple[str, object, object]:
    """Return the argument that a job of a chunk carries: an element of the one list that the task takes."""
    if any(isinstance(each, _Job) for each in markers.values()):
        raise TaskError(
            f"{_where(function)}: it runs the jobs of a chunk, and JobContext is of one. Take it out."
        )
    if len(fields) == 1:
        ((name, hint, default),) = fields
        if get_origin(hint) in (list, Sequence) and default is inspect.Parameter.empty:
            return name, get_args(hint)[0], default
    raise TaskError(
        f"{_where(function)}: with chunk= it takes one list of what the jobs carry, without a default, such "
        "as items: list[Doc]; beside that only what the worker gives."
    )


def _each(function: Callable[..., object], hint: object) -> object:
    """Return the result of each job of a chunk; an error in the list is none."""
    if hint in (None, NoneType, object, Any):
        return None if hint is None else hint
    if get_origin(hint) not in (list, Sequence):
        raise TaskError(
            f"{_where(function)}: with chunk= it returns nothing, or a list with what became of each job."
        )
    (element,) = get_args(hint)
    return element


def _result(hint: object) -> object:
    """Return what is kept of what a function returns: what is to become of a job, or why not, is no result."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    kept: list[Any] = [
        each
        for each in get_args(hint)
        if not (isinstance(each, type) and issubclass(each, _NO_RESULTS))
    ]
    return functools.reduce(operator.or_, kept) if kept else object


def _planned(
    function: Callable[..., object], markers: Mapping[str, _Marker], hints: Mapping[str, object]
) -> Plan:
    plan = Plan.of(function, Context(), given=markers, hints=hints)
    for dependency in dependencies_of(plan):
        for step in dependency.plan.steps:
            source = step.extractor.describe().source
            if source not in _GIVEN:
                raise TaskError(
                    f"{_where(function)}: the dependency {dependency.describe().name} takes "
                    f"{step.parameter.name!r} from a request ({source}), and a job has none."
                )
    return plan


def _codec(name: str, fields: list[tuple[str, object, object]]) -> Codec[Any]:  # Any: made here
    empty = inspect.Parameter.empty
    try:
        made = msgspec.defstruct(
            "Arguments",
            [
                (field, type_) if default is empty else (field, type_, _default(default))
                for field, type_, default in fields
            ],
            kw_only=True,
            forbid_unknown_fields=True,
        )
        return codec_for(made)
    except TypeError as exc:
        raise TaskError(f"{name}: an argument cannot be carried by a job, as {exc}.") from exc


def _default(value: object) -> object:
    # One for each job, as calls of a function share what is mutable in its defaults.
    return msgspec.field(default_factory=lambda: deepcopy(value))


def _where(function: Callable[..., object]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return repr(function)
    return f"{code.co_filename}:{code.co_firstlineno}, {function.__qualname__}"
