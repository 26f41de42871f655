"""Path, query, header and cookie parameters: text out of the request, converted to its type."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec

from oxidite.encoding import Codec, Field, MismatchError, codec_for
from oxidite.errors import FieldError, RouteError, ValidationError
from oxidite.extract.base import Description, Extractor, Parameter, default_of, refuse_calls
from oxidite.extract.conversion import conversion
from oxidite.http.headers import Headers
from oxidite.http.request import Request
from oxidite.http.url import QueryParams

__all__ = [
    "REPEATED",
    "Cookie",
    "Header",
    "Name",
    "Path",
    "PathValue",
    "Query",
    "UnknownPathParameterError",
    "field_errors",
    "is_collection",
    "is_scalar",
    "is_text",
    "without_none",
]

T = TypeVar("T")

REPEATED = "This is given more than once, and may be there only once."


class UnknownPathParameterError(RouteError):
    """A handler wants a parameter that the path does not have, at least not yet."""

    code = "unknown_path_parameter"


_SCALARS = (str, int, float, bool, bytes, UUID, Decimal, date, datetime, time, timedelta, Enum)
_COLLECTIONS = (list, set, frozenset, tuple)
_ABSENT = (type(None), msgspec.UnsetType)
_ANYTHING = (inspect.Parameter.empty, object, Any)


@dataclass(frozen=True, slots=True)
class Name:
    """Gives a parameter another name in the request than in code.

    ``token: Annotated[Header[str], Name("X-Api-Token")]``
    """

    value: str


def is_scalar(type_: object) -> bool:
    """Tell whether one piece of text can be a ``type_``."""
    origin = get_origin(type_)
    if origin is Annotated:
        return is_scalar(get_args(type_)[0])
    if origin is Literal:
        return True
    if origin is Union or origin is types.UnionType:
        return all(is_scalar(arg) or arg in _ABSENT for arg in get_args(type_))
    if isinstance(type_, NewType):
        return is_scalar(type_.__supertype__)
    return isinstance(type_, type) and issubclass(type_, _SCALARS)


def is_text(type_: object) -> bool:
    """Tell whether text, or repeated text, can be a ``type_``."""
    return is_scalar(type_) or _item_type(type_) is not None


def _item_type(type_: object) -> object | None:
    """Return the type of the items if ``type_`` is a collection of scalars."""
    type_ = without_none(type_)
    origin = get_origin(type_)
    if origin is Annotated:
        return _item_type(get_args(type_)[0])
    if origin in _COLLECTIONS:
        items = [arg for arg in get_args(type_) if arg is not Ellipsis]
        return items[0] if all(is_scalar(item) for item in items) else None
    return str if type_ in _COLLECTIONS else None


def is_collection(type_: object) -> bool:
    """Tell whether a ``type_`` holds many values, of whatever kind."""
    type_ = without_none(type_)
    origin = get_origin(type_)
    if origin is Annotated:
        return is_collection(get_args(type_)[0])
    return (origin or type_) in _COLLECTIONS


def without_none(type_: object) -> object:
    """``int | None`` → ``int``: absence is what makes it ``None``, not the word "null"."""
    if get_origin(type_) in (Union, types.UnionType):
        rest = tuple(arg for arg in get_args(type_) if arg not in _ABSENT)
        return Union[rest] if rest else type_  # noqa: UP007 - made at run time
    return type_


# Reading: what the four sources offer.


class _Source:
    """Where text comes from: the query, the header fields or the cookies, by name."""

    __slots__ = ("kind", "values")

    def __init__(self, kind: str, attribute: str) -> None:
        self.kind = kind
        # PERF: a getter in C; benchmark `users`.
        self.values: Callable[[Request], Mapping[str, str]] = attrgetter(attribute)

    def key(self, name: str) -> str:
        """Return the name on the wire of a parameter called ``name`` in code."""
        return name.replace("_", "-").lower() if self.kind == "header" else name

    def all(self, request: Request, key: str) -> list[str]:
        """Return every value of a name."""
        values = self.values(request)
        if isinstance(values, QueryParams | Headers):
            return values.get_all(key)
        return [values[key]] if key in values else []


class _Single:
    """One parameter, given once or not at all."""

    def __init__(self, parameter: Parameter, source: _Source, key: str) -> None:
        self._parameter = parameter
        self._source = source
        self._key = key
        self._values = source.values
        self._type = without_none(parameter.type)
        self._convert = (
            None if self._type is str else conversion(parameter, self._type, source.kind)
        )
        self._absent = _absence(parameter, source, key)
        self.extract: Callable[[Request], object] = (
            self._of_query() if source.kind == "query" else self._of_others
        )

    def _of_others(self, request: Request) -> object:
        raw = self._values(request).get(self._key)
        return self._absent() if raw is None else self._converted(raw)

    def _of_query(self) -> Callable[[Request], object]:
        # PERF: the values in cells, and the usual numbers without a call; benchmark `users`.
        key, is_text, is_int = self._key, self._convert is None, self._type is int

        def extract(request: Request) -> object:
            values = request.single_values
            raw = (request.load_values() if values is None else values).get(key)
            if raw is None:
                if key in request.repeated:
                    raise ValidationError([_repeated(self._source, key)])
                return self._absent()
            if is_text:
                return raw
            if is_int and raw.isdigit() and raw.isascii() and len(raw) < 19:
                return int(raw)
            return self._converted(raw)

        return extract

    def _converted(self, raw: str) -> object:
        if self._convert is None:
            return raw
        try:
            return self._convert(raw)
        except MismatchError as exc:
            raise _invalid(exc, self._source, self._key) from None

    def describe(self) -> Description:
        p = self._parameter
        return Description(self._source.kind, p.type, self._key, p.required, default=p.default)


class _Repeated:
    """One parameter that may be given many times."""

    def __init__(self, parameter: Parameter, source: _Source, key: str) -> None:
        self._parameter = parameter
        self._source = source
        self._key = key
        self._convert = conversion(parameter, without_none(parameter.type), source.kind)
        self._absent = _absence(parameter, source, key)

    def extract(self, request: Request) -> object:
        raw = self._source.all(request, self._key)
        if not raw:
            return self._absent()
        try:
            return self._convert(raw)
        except MismatchError as exc:
            raise _invalid(exc, self._source, self._key) from None

    def describe(self) -> Description:
        p = self._parameter
        return Description(self._source.kind, p.type, self._key, p.required, default=p.default)


class _Whole:
    """A structured type filled from every parameter of a source."""

    def __init__(
        self, parameter: Parameter, source: _Source, codec: Codec[object], fields: tuple[Field, ...]
    ) -> None:
        self._parameter = parameter
        self._source = source
        self._codec = codec
        self._default = default_of(parameter)
        self._keys = {source.key(field.key): field.key for field in fields}
        self._repeated = {field.key for field in fields if _item_type(field.type) is not None}

    def extract(self, request: Request) -> object:
        values = self._collect(request)
        if not values and not self._parameter.required:
            return self._default()
        errors = self._given_twice(request) if self._source.kind == "query" else []
        try:
            value = self._codec.convert(values, strict=False)
        except MismatchError as exc:
            raise ValidationError([*errors, *self._errors(exc)]) from None
        if errors:
            raise ValidationError(errors)
        return value

    def _given_twice(self, request: Request) -> list[FieldError]:
        if request.single_values is None:
            request.load_values()
        many = request.repeated
        once = (key for key, field in self._keys.items() if field not in self._repeated)
        return [_repeated(self._source, key) for key in once if key in many] if many else []

    def _errors(self, error: MismatchError) -> Iterator[FieldError]:
        source = self._source
        for p in error.problems:
            name = source.key(_first(p.pointer)) if p.pointer else None
            yield FieldError(source.kind, p.message, name=name, code=p.code)

    def _collect(self, request: Request) -> Mapping[str, object]:
        source = self._source
        values: dict[str, object] = {}
        for key in source.values(request):
            field = self._keys.get(key)
            if field in self._repeated:
                values[field] = source.all(request, key)
            elif field is not None or source.kind == "query":
                # Unknown query parameters too: the type may forbid them. Headers and cookies of
                # other people are always there.
                values[field or key] = source.values(request)[key]
        return values

    def describe(self) -> Description:
        return Description(self._source.kind, self._parameter.type, None, self._parameter.required)


def _repeated(source: _Source, key: str) -> FieldError:
    """Say that there are two answers to one question, of which a proxy may have checked the other."""
    return FieldError(source.kind, REPEATED, name=key, code="repeated")


def _first(pointer: str) -> str:
    return pointer.lstrip("/").partition("/")[0].replace("~1", "/").replace("~0", "~")


def _absence(parameter: Parameter, source: _Source, key: str) -> Callable[[], object]:
    """Return what answers for a parameter that is not there: its default, or the error."""
    if not parameter.required:
        return default_of(parameter)

    def missing() -> object:
        error = FieldError(source.kind, "This parameter is required.", name=key, code="missing")
        raise ValidationError([error])

    return missing


def _invalid(error: MismatchError, source: _Source, key: str) -> ValidationError:
    return ValidationError(field_errors(error, source.kind, name=key))


def field_errors(error: MismatchError, source: str, *, name: str | None = None) -> list[FieldError]:
    """Return what is wrong with the data as errors of a request; with a pointer unless named."""
    return [
        FieldError(source, p.message, name=name, pointer=None if name else p.pointer, code=p.code)
        for p in error.problems
    ]


class PathValue:
    """A parameter of the path, converted by the pattern already, or by its type."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self._name = name = parameter.name
        declared = parameter.context.path_params[name]
        as_it_is = parameter.type in (declared, inspect.Parameter.empty)
        self._convert = (
            None
            if as_it_is or parameter.type is str
            else conversion(parameter, parameter.type, "path")
        )
        # PERF: nothing but the look-up, most times; benchmark `users`.
        self.extract: Callable[[Request], object] = (
            self._converted if self._convert else lambda request: request.params[name]
        )

    def _converted(self, request: Request) -> object:
        assert self._convert is not None  # noqa: S101
        try:
            return self._convert(request.params[self._name])
        except MismatchError as exc:
            raise ValidationError(field_errors(exc, "path", name=self._name)) from None

    def describe(self) -> Description:
        return Description("path", self._parameter.type, self._name)


class _ParamMarker:
    """``Query[T]``, ``Header[T]``, ``Cookie[T]`` and ``Path[T]`` in a signature."""

    def __init__(self, kind: str, attribute: str) -> None:
        self._source = _Source(kind, attribute)

    def bind(self, parameter: Parameter) -> Extractor[object]:
        source = self._source
        if source.kind == "path":
            if parameter.name not in parameter.context.path_params:
                known = ", ".join(f"{{{name}}}" for name in parameter.context.path_params)
                there = f", which has {known}" if known else ""
                raise UnknownPathParameterError(
                    parameter.refuse(f"is not in the path of the route{there}.").message
                )
            if not is_scalar(parameter.type) and parameter.type not in _ANYTHING:
                raise parameter.refuse(
                    f"is in the path, which is text, and that cannot be a {parameter.type!r}."
                )
            return PathValue(parameter)
        names = [each.value for each in parameter.metadata if isinstance(each, Name)]
        key = names[0].lower() if names and source.kind == "header" else names[0] if names else None
        key = key or source.key(parameter.name)
        if is_scalar(parameter.type):
            return _Single(parameter, source, key)
        if _item_type(parameter.type) is not None:
            return _Repeated(parameter, source, key)
        type_ = without_none(parameter.type)
        try:
            codec = codec_for(type_, finite=True)
        except TypeError as exc:
            raise parameter.refuse(f"cannot be read from a {source.kind}: {exc}.") from None
        fields = codec.fields()
        if fields is None:
            raise parameter.refuse(
                f"cannot be read from a {source.kind}: {parameter.type!r} is neither a scalar, nor a "
                "list of scalars, nor a Struct, dataclass, TypedDict or model."
            )
        return _Whole(parameter, source, codec, fields)


Path = Annotated[T, _ParamMarker("path", "params")]
"""A parameter of the path. Not needed where the name is in the pattern."""

Query = Annotated[T, _ParamMarker("query", "query")]
"""A query parameter, or a Struct filled from all of them."""

Header = Annotated[T, _ParamMarker("header", "headers")]
"""A header field (``x_token`` reads ``X-Token``), or a Struct filled from several."""

Cookie = Annotated[T, _ParamMarker("cookie", "cookies")]
"""A cookie, or a Struct filled from several."""

refuse_calls(Path=Path, Query=Query, Header=Header, Cookie=Cookie)
