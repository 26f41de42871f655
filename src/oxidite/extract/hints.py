"""From the annotations of a signature to its parameters: types, and what is said beside them."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from msgspec import Struct

from oxidite.encoding.aliases import spelt_out
from oxidite.errors import RouteError
from oxidite.extract.base import (
    CallRefused,
    Context,
    Parameter,
    is_extractor,
    is_marker,
    location,
)

__all__ = ["UnresolvedHintError", "is_source", "parameter_of", "resolve_hints"]


class UnresolvedHintError(RouteError):
    """An annotation names something that is not defined yet."""

    code = "unresolved_hint"


def resolve_hints(
    function: Callable[..., object], localns: Mapping[str, object]
) -> dict[str, object]:
    """Return the annotations of a function, or of a class's constructor, as objects.

    Raises:
        UnresolvedHintError: one names something that does not exist (yet).
    """
    target: Any = function  # a function, a class, a partial or an object with __call__
    while isinstance(target, functools.partial):
        target = target.func
    # What a decorator made of a function may be an object: it says what it stands for.
    target = inspect.unwrap(target)
    if isinstance(target, type):
        target = _annotated(target)
    elif not (inspect.isfunction(target) or inspect.ismethod(target)):
        target = type(target).__call__
    try:
        hints = get_type_hints(target, localns=dict(localns), include_extras=True)
        return {name: spelt_out(hint) for name, hint in hints.items()}
    except NameError as exc:
        raise UnresolvedHintError(
            f"{location(function)}: an annotation names {exc.name!r}, which is not defined. Import "
            "it outside `if TYPE_CHECKING:`, where it can be looked up at run time."
        ) from exc
    except RouteError as exc:
        raise RouteError(f"{location(function)}: {exc.message}") from None
    except TypeError as exc:
        raise RouteError(f"{location(function)}: an annotation is no type: {exc}.") from exc


def _annotated(cls: type[object]) -> object:
    """Return what has the annotations of a class's constructor."""
    init, new = cast("Any", cls).__init__, cls.__new__
    if inspect.isfunction(init):
        return init
    # Their constructors are made of the annotations of the class.
    if issubclass(cls, Struct | tuple):
        return cls
    return new if inspect.isfunction(new) else init


def parameter_of(
    raw: inspect.Parameter,
    hints: Mapping[str, object],
    function: Callable[..., object],
    context: Context,
) -> Parameter:
    """Return a parameter of ``function``.

    Raises:
        RouteError: something is said of it that would be ignored.
    """
    # Of a `__signature__` that somebody has set, the annotations are there only.
    own = inspect.Parameter.empty if isinstance(raw.annotation, str) else raw.annotation
    type_, metadata = _split(hints.get(raw.name, own))
    parameter = Parameter(raw.name, type_, raw.default, function, context, metadata)
    _refuse_foreign(parameter)
    return parameter


def _split(hint: object) -> tuple[object, tuple[object, ...]]:
    """Return the type of an annotation, and what was said beside it."""
    origin = get_origin(hint)
    if origin is Annotated:
        # Markers and extractors are ours; the rest, such as msgspec.Meta, belongs to the type.
        type_, *extras = get_args(hint)
        # `Annotated[str, Header]` means what `Header[str]` does: the marker is in the alias.
        metadata = [
            each
            for extra in extras
            for each in (get_args(extra)[1:] if get_origin(extra) is Annotated else (extra,))
        ]
        rest = tuple(extra for extra in metadata if _belongs_to_type(extra))
        return Annotated[(type_, *rest)] if rest else type_, tuple(metadata)
    if origin is Union or origin is types.UnionType:
        # `Header[str] | None` is the same as `Header[str | None]`.
        parts = [_split(member) for member in get_args(hint)]
        metadata = [extra for _, extras in parts for extra in extras]
        return Union[tuple(type_ for type_, _ in parts)], tuple(metadata)  # noqa: UP007 - at run time
    return hint, ()


def _belongs_to_type(extra: object) -> bool:
    return type(extra).__module__.partition(".")[0] == "msgspec"


def _refuse_foreign(parameter: Parameter) -> None:
    if isinstance(parameter.type, TypeVar | CallRefused):
        raise parameter.refuse("is of no type. A marker has one in brackets, such as Query[int].")
    if get_origin(parameter.default) is Annotated:
        raise parameter.refuse(
            "has a marker as its default. It belongs to the type: `q: Query[int] = 1`."
        )
    if getattr(parameter.default, "__name__", "") == "Depends":
        raise parameter.refuse("has Depends as its default. Say of what: Depends(provider).")
    for extra in parameter.metadata:
        if isinstance(extra, type) and is_source(extra):
            raise parameter.refuse(
                f"is marked with the class {extra.__name__}. Give an instance: {extra.__name__}(...)."
            )
        if inspect.isroutine(extra):
            raise parameter.refuse(
                f"is marked with the function {extra.__name__}, which would be ignored. Did you mean "
                f"{'Depends(...)' if extra.__name__ == 'Depends' else f'Depends({extra.__name__})'}?"
            )
        if type(extra).__module__.partition(".")[0] in ("pydantic", "annotated_types"):
            raise parameter.refuse(
                f"is constrained with {extra!r}, which would be ignored here. "
                "Use msgspec.Meta(ge=..., max_length=...) instead."
            )


def is_source(extra: object) -> bool:
    """Tell whether something says where an argument comes from."""
    return is_marker(extra) or is_extractor(extra)
