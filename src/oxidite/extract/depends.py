"""Dependencies: functions that make arguments, and clean up after them.

======== ============================================ ===========================================
scope    one value for                                cleaned up
======== ============================================ ===========================================
app      the whole application, made on first use     when the application stops
stream   one request                                  after the last byte was sent
request  one request                                  when the response is ready; for a stream,
                                                      when it has ended
handler  one call of the handler                      when the handler has returned or raised
======== ============================================ ===========================================

A dependency may use others of its own scope and of those above it in this table.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    _AsyncGeneratorContextManager,
    _GeneratorContextManager,
)
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, overload

from oxidite.concurrency import ThreadPool
from oxidite.errors import FieldError, RouteError
from oxidite.extract.base import Description, Extractor, Parameter, is_generator, location
from oxidite.extract.params import PathValue
from oxidite.extract.plan import Plan
from oxidite.http.declared import declared_by
from oxidite.http.request import Request, Scopes

__all__ = ["Dependency", "Depends", "Scope", "dependencies_of", "forget", "path_parameters"]

T = TypeVar("T")

Scope: TypeAlias = Literal["app", "stream", "request", "handler"]

_ORDER: tuple[Scope, ...] = ("app", "stream", "request", "handler")
_OF_A_REQUEST = ("path", "query", "header", "cookie", "body", "request", "websocket")


@overload
def Depends(
    provider: Callable[..., _AsyncGeneratorContextManager[T]], *, scope: Scope = "request"
) -> T: ...
@overload
def Depends(
    provider: Callable[..., _GeneratorContextManager[T]], *, scope: Scope = "request"
) -> T: ...
@overload
def Depends(provider: Callable[..., AsyncIterator[T]], *, scope: Scope = "request") -> T: ...
@overload
def Depends(provider: Callable[..., Iterator[T]], *, scope: Scope = "request") -> T: ...
@overload
def Depends(provider: Callable[..., Awaitable[T]], *, scope: Scope = "request") -> T: ...
@overload
def Depends(provider: Callable[..., T], *, scope: Scope = "request") -> T: ...
def Depends(provider: Callable[..., Any], *, scope: Scope = "request") -> Any:  # noqa: N802 - named like the types beside it
    """Let a provider make an argument.

    ``user: User = Depends(current_user)``

    The provider's own parameters are made like a handler's. It may be a function, sync (then it
    runs in a thread) or async, a generator that yields once and cleans up after, with or without
    ``contextlib.asynccontextmanager`` or ``contextmanager`` around it, or a class. Both forms mean the same: as a default, and ``user: Annotated[User, Depends(current_user)]``.
    """
    if not callable(provider):
        raise RouteError(f"Depends({provider!r}): this cannot be called, so it makes nothing.")
    if scope not in _ORDER:
        raise RouteError(f"Depends(scope={scope!r}): use one of {', '.join(_ORDER)}.")
    return Dependency(provider, scope)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A provider and its scope: what ``Depends`` leaves in a signature."""

    provider: Callable[
        ..., Any
    ]  # a function, a generator or a class; what it makes is checked by type
    scope: Scope = "request"

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Read the provider's signature.

        Raises:
            RouteError: the providers go round in a circle, or one outlives what it uses.
        """
        context = parameter.context
        if self.provider in context.providers:
            circle = [*context.providers[context.providers.index(self.provider) :], self.provider]
            raise parameter.refuse(
                "depends on itself: " + " → ".join(location(each) for each in circle) + "."
            )
        plan = Plan.of(self.provider, context.within(self.provider))
        _check_scope(self, plan)
        return _Provided(self, plan, parameter)


def forget(scopes: Scopes, scope: Scope) -> None:
    """Forget what was made in a scope that ends: a middleware may call the handler again."""
    for key in [key for key in scopes.values if isinstance(key, tuple) and key[0] == scope]:
        del scopes.values[key]


def dependencies_of(plan: Plan) -> list[_Provided]:
    """Return all dependencies of a plan, those of dependencies included, innermost first."""
    found: list[_Provided] = []
    for step in plan.steps:
        if isinstance(step.extractor, _Provided):
            found.extend(dependencies_of(step.extractor.plan))
            found.append(step.extractor)
    return found


def path_parameters(plan: Plan) -> Iterator[Parameter]:
    """Yield the parameters that come from the path: the function's own, then its dependencies'."""
    for step in plan.steps:
        if isinstance(step.extractor, PathValue):
            yield step.parameter
        else:
            # Of an extractor that reads the path in its own way: what it reads, and as which types.
            yield from getattr(step.extractor, "path_parameters", ())
    for step in plan.steps:
        if isinstance(step.extractor, _Provided):
            yield from path_parameters(step.extractor.plan)


def _check_scope(dependency: Dependency, plan: Plan) -> None:
    mine = _ORDER.index(dependency.scope)
    for step in plan.steps:
        source = step.extractor.describe().source
        if isinstance(step.extractor, _Provided):
            other = step.extractor.dependency.scope
            if _ORDER.index(other) > mine:
                raise step.parameter.refuse(
                    f"has scope {other!r} and ends before {dependency.scope!r}, the scope of what "
                    "uses it. Give both the same scope."
                )
        elif dependency.scope == "app" and source in _OF_A_REQUEST:
            raise step.parameter.refuse(
                f"comes from the request ({source}), but the dependency has scope 'app' and is made "
                "once for all requests."
            )


class _Provided:
    """Makes the argument by calling the provider, once per scope."""

    def __init__(self, dependency: Dependency, plan: Plan, parameter: Parameter) -> None:
        self.dependency = dependency
        self.plan = plan
        self._parameter = parameter
        self._replacements: dict[Callable[..., object], Plan] = {}

    async def extract(self, request: Request) -> object:
        provider = self.dependency.provider
        plan = self._plan_for(request)
        if self.dependency.scope == "app":
            return await request.resources.once(provider, lambda stack: _make(plan, request, stack))
        scopes = request.scopes
        key = (self.dependency.scope, provider)
        if key not in scopes.values:
            stack = getattr(scopes, self.dependency.scope)
            scopes.values[key] = await _make(plan, request, stack)
        return scopes.values[key]

    async def request_errors(self, request: Request) -> list[FieldError]:
        """Return what is wrong with the request for the provider's own parameters."""
        return await self._plan_for(request).errors(request)

    def describe(self) -> Description:
        parts = tuple(step.extractor.describe() for step in self.plan.steps)
        function = self.plan.function
        return Description(
            "dependency",
            self._parameter.type,
            location(function),
            parts=parts,
            declared=declared_by(function),
        )

    def _plan_for(self, request: Request) -> Plan:
        replacement = request.resources.replacement(self.dependency.provider)
        if replacement is None:
            return self.plan
        if replacement not in self._replacements:
            context = self._parameter.context.within(self.dependency.provider)
            self._replacements[replacement] = Plan.of(replacement, context)
        return self._replacements[replacement]


async def _make(plan: Plan, request: Request, stack: AsyncExitStack) -> object:
    function = plan.function
    yields = is_generator(function)
    if yields or isinstance(function, type):
        args, kwargs = await plan.arguments(request)
        made: object = function(*args, **kwargs)  # of a generator nothing runs yet
    else:
        made = await plan.call(request)
    if not yields and not _is_around_generator(function):
        return made
    manager = _manager(made)
    if isinstance(manager, AbstractAsyncContextManager):
        return await stack.enter_async_context(manager)
    if isinstance(manager, AbstractContextManager):
        return await stack.enter_async_context(
            _in_thread(manager, request.resources.get(ThreadPool))
        )
    return made  # a decorator has made something else of the generator


def _manager(made: object) -> object:
    """Return the context manager of a generator; what somebody made of it already stays as it is."""
    if inspect.isasyncgen(made):
        return contextlib.asynccontextmanager(lambda: made)()
    if inspect.isgenerator(made):
        return contextlib.contextmanager(lambda: made)()
    return made


def _is_around_generator(function: Callable[..., object]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return is_generator(inspect.unwrap(function))


@contextlib.asynccontextmanager
async def _in_thread(
    manager: AbstractContextManager[object], threads: ThreadPool
) -> AsyncIterator[object]:
    value = await threads.run(manager.__enter__)
    try:
        yield value
    except BaseException as exc:
        if not await threads.run(manager.__exit__, type(exc), exc, exc.__traceback__):
            raise
    else:
        await threads.run(manager.__exit__, None, None, None)
