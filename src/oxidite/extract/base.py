"""What makes an argument: an extractor, and the marker in a signature that leads to one."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeGuard, TypeVar, runtime_checkable

from oxidite.errors import RouteError
from oxidite.http.declared import NOTHING_DECLARED, Declared
from oxidite.http.request import Request

__all__ = [
    "CallRefused",
    "Context",
    "Description",
    "Extractor",
    "Marker",
    "Parameter",
    "default_of",
    "is_extractor",
    "is_generator",
    "is_marker",
    "location",
    "refuse_calls",
]

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Description:
    """Where an argument comes from: for documents, the routes command and error messages.

    ``source`` is ``path``, ``query``, ``header``, ``cookie``, ``body``, ``resource``, ``dependency``,
    ``request`` or ``websocket``; ``name`` is its name there, ``default`` what the argument is without it. ``parts``
    are what a dependency itself needs. ``declared`` is what ``declares`` said: errors beside those
    of data that does not fit, and how a client authenticates.
    """

    source: str
    type: object
    name: str | None = None
    required: bool = True
    media_types: tuple[str, ...] = ()
    parts: tuple[Description, ...] = ()
    default: object = inspect.Parameter.empty
    declared: Declared = NOTHING_DECLARED


@runtime_checkable
class Extractor(Protocol[T_co]):
    """Makes one argument out of a request.

    Write one and put an instance into ``Annotated``: ``user: Annotated[User, CurrentUser()]``.
    ``extract`` may be async. It raises a ``ValidationError`` when the request does not hold what it
    should: the answer then lists these errors together with those of all other arguments.
    """

    def extract(self, request: Request, /) -> T_co | Awaitable[T_co]:
        """Return the argument."""
        ...

    def describe(self) -> Description:
        """Say where the argument comes from."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a route while its signature is read.

    ``path_params`` has the name and type of every parameter in the pattern, the host's too;
    ``localns`` are names that annotations may use beside those of their module; ``providers`` are
    the dependencies being read, outermost first.
    """

    path_params: Mapping[str, object] = field(default_factory=dict)
    has_body: bool = False
    is_websocket: bool = False
    localns: Mapping[str, object] = field(default_factory=dict)
    providers: tuple[Callable[..., object], ...] = ()

    def within(self, provider: Callable[..., object]) -> Context:
        """Return the context inside ``provider``."""
        return replace(self, providers=(*self.providers, provider))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function: its name, its type without markers, and its default.

    ``default`` is ``inspect.Parameter.empty`` if there is none.
    """

    name: str
    type: object
    default: object
    function: Callable[..., object]
    context: Context
    metadata: tuple[object, ...] = ()

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty

    def refuse(self, problem: str) -> RouteError:
        """Return the error that says what is wrong with this parameter and where it stands."""
        return RouteError(f"{location(self.function)}: {self.name!r} {problem}")


def default_of(parameter: Parameter) -> Callable[[], object]:
    """Return what gives the default of a parameter: a copy each time, where it can be changed.

    Else what a handler appends to a list would be there in the next request, which is somebody else's.
    """
    default = parameter.default
    try:
        is_fixed = copy.deepcopy(default) is default
    except Exception:  # noqa: BLE001 - what cannot be copied is given as it is
        is_fixed = True
    return (lambda: default) if is_fixed else (lambda: copy.deepcopy(default))


@runtime_checkable
class Marker(Protocol):
    """Stands in ``Annotated`` and makes the extractor once the parameter is known."""

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Return the extractor for ``parameter``."""
        ...


class CallRefused:
    """What a marker is before it has its type: ``Query("x")``, a habit from elsewhere, says what to write."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Refuse to be called.

        Raises:
            RouteError: always.
        """
        name = self._name
        default = args[0] if args else kwargs.get("default", ...)
        says = "" if default is ... else f" = {default!r}"
        raise RouteError(
            f"{name}({'...' if args or kwargs else ''}) is a call, and {name} goes around a type: write "
            f"`x: {name}[T]{says}`, where T is the type. For another name Annotated[{name}[T], Name(...)], "
            "for limits Annotated[int, msgspec.Meta(ge=1)] as T."
        )


def refuse_calls(**aliases: object) -> None:
    """Let each alias of ``Annotated[T, marker]`` say what to write where it is called."""
    for name, alias in aliases.items():
        # That is what typing calls; brackets replace the arguments, which stay as they are.
        alias.__origin__ = CallRefused(name)  # type: ignore[attr-defined]  # of an alias


def is_marker(value: object) -> TypeGuard[Marker]:
    """Tell whether ``value`` is a marker; ``isinstance`` takes fifty times as long for a protocol."""
    return hasattr(value, "bind")


def is_extractor(value: object) -> TypeGuard[Extractor[object]]:
    """Tell whether ``value`` is an extractor; for its cost see ``is_marker``."""
    return hasattr(value, "extract") and hasattr(value, "describe")


def is_generator(function: Callable[..., object]) -> bool:
    """Tell whether a function, or the one that a partial or an object calls, yields."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return False
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        function = getattr(function, "__call__", function)  # noqa: B004 - the method itself is asked about
    return inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)


def location(function: Callable[..., object]) -> str:
    """Return ``file:line name()`` of a function, the file relative to where the program runs."""
    function = inspect.unwrap(function)
    name = getattr(function, "__qualname__", repr(function)).replace("<locals>.", "")
    code = getattr(function, "__code__", None)
    if code is None:
        try:
            file = inspect.getsourcefile(function)
            line = inspect.getsourcelines(function)[1]
        except (TypeError, OSError):
            return f"{getattr(function, '__module__', '?')}.{name}()"
    else:
        file, line = code.co_filename, code.co_firstlineno
    path = Path(file or "?")
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line} {name}()"
