"""Opens resources in order, closes them in reverse, and finds one by its type.

A resource is any async context manager: a connection pool, a worker, a loop of your own. There is
no second lifecycle. What ``__aenter__`` returns is what handlers get.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self, TypeAlias, TypeVar, runtime_checkable

from oxidite.errors import ConfigError

__all__ = ["Late", "Lifespan", "Resource", "opened_before"]

T = TypeVar("T")

_logger = logging.getLogger("oxidite")

Resource: TypeAlias = AbstractAsyncContextManager[object, bool | None]


_opened: ContextVar[Sequence[object]] = ContextVar("oxidite.lifespan", default=())


def opened_before() -> Sequence[object]:
    """Return what the lifespan that is being opened has opened so far; nothing outside of one.

    For a resource that stands on another one, as a cache in ``db`` does on the database before it.
    """
    return tuple(_opened.get())


@contextlib.contextmanager
def _opening(opened: Sequence[object]) -> Iterator[None]:
    token = _opened.set(opened)
    try:
        yield
    finally:
        _opened.reset(token)


@runtime_checkable
class Late(Protocol):
    """A resource that works with the others: it begins when all are open, and ends before any closes.

    One in a lifespan is begun and ended by these, and not entered.
    """

    async def begin(self, resources: Lifespan) -> None:
        """Begin, with the resources of the application."""
        ...

    async def end(self) -> None:
        """End; the resources are still open."""
        ...


def _checked(resource: Resource | Late) -> Resource | Late:
    name = getattr(resource, "__name__", type(resource).__name__)
    if isinstance(resource, type):
        raise ConfigError(f"The class {name} is no resource. Give an instance: {name}(...).")
    if not hasattr(type(resource), "__aenter__") and not isinstance(resource, Late):
        raise ConfigError(
            f"{name} is no resource: it needs the async methods __aenter__ and __aexit__, which open and "
            "close it."
        )
    return resource


class Lifespan:
    """The resources of an application.

    It may be opened again after it was closed. While it is open, ``get(SomeType)`` returns the
    resource of that type; two of one type need a subclass each, so that the type tells them apart.
    """

    def __init__(self, resources: Iterable[Resource | Late] = ()) -> None:
        self.resources: list[Resource | Late] = [_checked(each) for each in resources]
        self._opened: list[object] = []
        self._offered: list[object] = []
        self._by_type: dict[object, object] = {}
        self._overrides: dict[object, object] = {}
        self._replacements: dict[Callable[..., object], Callable[..., object]] = {}
        self._once: dict[object, object] = {}
        self._locks: dict[object, asyncio.Lock] = {}
        self._stack = AsyncExitStack()
        self._is_open = False
        self._late: list[Late] = []

    @property
    def is_open(self) -> bool:
        """Whether the resources are open."""
        return self._is_open

    async def __aenter__(self) -> Self:
        if self._is_open:
            raise ConfigError("The lifespan is open already: one application, one lifespan.")
        opened: list[object] = []
        stack = AsyncExitStack()
        try:
            with _opening(opened):
                for resource in self._effective():
                    if isinstance(resource, Late):
                        opened.append(resource)
                        continue
                    value = await stack.enter_async_context(resource)
                    opened.append(resource if value is None else value)
        except BaseException as exc:
            # What was opened is closed, in reverse; and no resource may swallow that one failed.
            await stack.__aexit__(type(exc), exc, exc.__traceback__)
            raise
        self._stack = stack
        self._opened = opened
        self._by_type.clear()
        self._is_open = True
        await self._begin_late()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self._end_late()
        finally:
            # Also when that was cancelled: what was opened must not stay open.
            self._is_open = False
            self._opened = []
            self._by_type.clear()
            self._once.clear()
            self._locks.clear()
            stack, self._stack = self._stack, AsyncExitStack()
            await stack.__aexit__(kind, exc, tb)

    def __iter__(self) -> Iterator[object]:
        yield from self._offered
        yield from self._opened or self.resources

    def offer(self, value: object) -> None:
        """Have ``get`` find ``value`` too: something that needs neither opening nor closing."""
        self._offered.append(value)

    def add(self, resource: Resource | Late) -> None:
        """Add a resource; before the lifespan is opened."""
        if self._is_open:
            raise ConfigError("A resource cannot be added while the application runs.")
        self.resources.append(_checked(resource))

    def override(self, type_: type[object], value: object) -> None:
        """Answer ``get(type_)`` with ``value``; for tests. The resource it replaces is not opened."""
        self._overrides[type_] = value
        self._by_type.clear()

    def remove_override(self, type_: type[object]) -> None:
        """Undo ``override``."""
        self._overrides.pop(type_, None)
        self._by_type.clear()

    def offers(self, type_: object) -> bool:
        """Tell whether ``get(type_)`` has something to return, once open."""
        return bool(self._candidates(type_))

    def get(self, type_: type[T]) -> T:
        """Return the resource of this type.

        Raises:
            ConfigError: there is none, or more than one.
        """
        try:
            return self._by_type[type_]  # type: ignore[return-value]  # stored under its own type
        except KeyError:
            found = self._by_type[type_] = self._find(type_)
            return found

    async def once(self, key: object, make: Callable[[AsyncExitStack], Awaitable[T]]) -> T:
        """Return what ``make`` made for ``key`` while this lifespan is open; make it if nobody has.

        ``make`` gets the stack that is unwound, before the resources close, when the lifespan does.
        """
        if key not in self._once:
            async with self._locks.setdefault(key, asyncio.Lock()):
                if key not in self._once:
                    self._once[key] = await make(self._stack)
        return self._once[key]  # type: ignore[return-value]  # stored under its own key

    def replace(
        self, provider: Callable[..., object], replacement: Callable[..., object] | None
    ) -> None:
        """Call ``replacement`` where a dependency names ``provider``; ``None`` undoes it. For tests."""
        if replacement is None:
            self._replacements.pop(provider, None)
        else:
            self._replacements[provider] = replacement
        self._once.pop(provider, None)

    def replacement(self, provider: Callable[..., object]) -> Callable[..., object] | None:
        """Return what stands in for ``provider``, if anything does."""
        return self._replacements.get(provider) if self._replacements else None

    async def _begin_late(self) -> None:
        try:
            for resource in self._effective():
                if isinstance(resource, Late):
                    await resource.begin(self)
                    self._late.append(resource)
        except BaseException as exc:
            await self.__aexit__(type(exc), exc, exc.__traceback__)
            raise

    async def _end_late(self) -> None:
        if not self._late:
            return
        resource = self._late.pop()
        try:
            await resource.end()
        except Exception:
            _logger.exception("%s did not end as it should", type(resource).__name__)
        finally:
            # The others are to end all the same, also when this was cancelled.
            await self._end_late()

    def _find(self, type_: type[T]) -> T:
        candidates = self._candidates(type_)
        exact = [each for each in candidates if type(each) is type_]
        chosen = exact or candidates
        if len(chosen) == 1:
            return chosen[0]  # type: ignore[return-value]  # _candidates checked it
        name = getattr(type_, "__qualname__", repr(type_))
        if not chosen:
            raise ConfigError(f"There is no {name}. Add one to resources=[…].")
        raise ConfigError(
            f"There are {len(chosen)} resources of type {name}. Give each a subclass of its own "
            f"(class Other({name}): ...) and ask for that."
        )

    def _candidates(self, type_: object) -> list[object]:
        if type_ in self._overrides:
            return [self._overrides[type_]]
        if not isinstance(type_, type):
            return []
        return [each for each in self if isinstance(each, type_)]

    def _effective(self) -> Iterator[Resource | Late]:
        replaced = tuple(key for key in self._overrides if isinstance(key, type))
        for resource in self.resources:
            if not isinstance(resource, replaced):
                yield resource
