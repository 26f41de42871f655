"""What a program does around the saving of objects: methods of the model, and observers from outside.

They are called by ``create``, ``save`` and ``delete`` of an object, never by statements over many rows.
With one that comes after, the saving and all that is done in it are one transaction: what fails in a
hook undoes the row. ``after_commit`` is called once everything is committed.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias, TypeVar, get_args, overload

from oxidite.db.errors import ModelError
from oxidite.db.tables.making import TWIN

__all__ = ["Change", "Event", "Hooks", "Lifecycle", "observe"]

T = TypeVar("T")
Event: TypeAlias = Literal[
    "before_save",
    "before_create",
    "before_update",
    "before_delete",
    "after_create",
    "after_update",
    "after_save",
    "after_delete",
]
"""Before or after what a hook is called. Saving is creating or updating."""

Change: TypeAlias = Literal["create", "update", "delete"]
"""What was done to a row."""

EVENTS: tuple[str, ...] = (*get_args(Event), "after_commit")


class Lifecycle:
    """The hooks of a model: override those that are needed, as ``async def`` or ``def``.

    A mixin that has hooks inherits from this one, and calls ``super()`` for those of others.
    """

    __slots__ = ()

    def before_save(self) -> Awaitable[object] | None:
        """Called before the object is checked and written; may change it."""

    def before_create(self) -> Awaitable[object] | None:
        """Called after ``before_save`` when there is no row yet."""

    def before_update(self) -> Awaitable[object] | None:
        """Called after ``before_save`` when there is a row that will change."""

    def before_delete(self) -> Awaitable[object] | None:
        """Called before the row is deleted, or marked as deleted."""

    def after_create(self) -> Awaitable[object] | None:
        """Called when the row was made."""

    def after_update(self) -> Awaitable[object] | None:
        """Called when the row was changed."""

    def after_save(self) -> Awaitable[object] | None:
        """Called after ``after_create`` or ``after_update``."""

    def after_delete(self) -> Awaitable[object] | None:
        """Called when the row was deleted, or marked as deleted."""

    def after_commit(self, change: Change, /) -> Awaitable[object] | None:
        """Called once for each change, when all that was done with it is committed.

        What it raises is logged: the change cannot be undone any more.
        """


class Hooks:
    """The hooks of one model."""

    def __init__(self, model: Any) -> None:
        self.model: Any = model
        self.methods: dict[str, Callable[..., Any]] = {
            event: method
            for event in EVENTS
            if (method := getattr(model, event)) is not getattr(Lifecycle, event)
        }
        for base in model.__mro__[model.__mro__.index(Lifecycle) + 1 :]:
            lost = next((event for event in EVENTS if event in vars(base)), None)
            if lost is not None:
                raise ModelError(
                    f"{model.__name__}: {base.__name__}.{lost} would never be called, as a model has "
                    f"one of its own. Write: class {base.__name__}(Lifecycle)."
                )
        self.observers: dict[str, list[Callable[..., Any]]] = {}
        for base in model.__mro__[1:]:
            for event, found in getattr(vars(base).get("__hooks__"), "observers", {}).items():
                known = self.observers.setdefault(event, [])
                known += [each for each in found if each not in known]

    @property
    def has_after(self) -> bool:
        """Whether anything is called after a change."""
        return any(event.startswith("after") for event in (*self.methods, *self.observers))

    def __bool__(self) -> bool:
        return bool(self.methods or self.observers)

    async def call(self, event: str, one: object, *args: object) -> None:
        """Call the method of an event, and then its observers in the order in which they came."""
        method = self.methods.get(event)
        for hook in (*(() if method is None else (method,)), *self.observers.get(event, ())):
            result = hook(one, *args)
            if inspect.isawaitable(result):
                await result


@overload
def observe(
    model: type[T], event: Literal["after_commit"], /
) -> Callable[
    [Callable[[T, Change], Awaitable[object] | None]],
    Callable[[T, Change], Awaitable[object] | None],
]: ...
@overload
def observe(
    model: type[T], event: Event, /
) -> Callable[
    [Callable[[T], Awaitable[object] | None]], Callable[[T], Awaitable[object] | None]
]: ...
def observe(model: Any, event: str, /) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Call a function at what happens to objects of a model, and of those that inherit from it.

    ::

        @observe(User, "after_commit")
        async def welcome(user: User, change: Change) -> None: ...

    Raises:
        ModelError: there is no such event.
    """
    if event not in EVENTS:
        raise ModelError(f"There is no event {event!r}. There are: {', '.join(EVENTS)}.")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for each in _family(model):
            each.__hooks__.observers.setdefault(event, []).append(function)
        return function

    return register


def _family(model: Any) -> list[Any]:
    found = [model]
    for each in type.__subclasses__(model):
        if TWIN not in vars(each):
            found += [one for one in _family(each) if one not in found]
    return found
