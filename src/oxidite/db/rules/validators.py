"""Checks of a model's own: of one column, or of several together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from oxidite.errors import FieldError, ValidationError

__all__ = ["Validators", "broken_validators", "validates", "validators_in"]

F = TypeVar("F", bound=Callable[..., object])

Validators: TypeAlias = Mapping[str, tuple[str, ...]]
"""The names of a class's methods that check, and of the columns that each is about."""


def validates(*columns: str) -> Callable[[F], F]:
    """Have a method check columns whenever a row is saved; without names, the object as a whole.

    ::

        @validates("email")
        def is_no_throwaway(self) -> None:
            if self.email.endswith("@throwaway.example"):
                raise ValueError("must be an address that lasts")

    A ``ValueError`` is an error of the first of the columns; a ``ValidationError`` has fields of its
    own. It is only called when the columns that it names are right by themselves.
    """

    def mark(method: F) -> F:
        method.__validates__ = columns  # type: ignore[attr-defined]  # where the class finds it
        return method

    return mark


def validators_in(namespace: Mapping[str, Any]) -> Validators:
    """Return the checks that the body of a class has."""
    return {
        name: value.__validates__
        for name, value in namespace.items()
        if hasattr(value, "__validates__")
    }


def broken_validators(one: Any, wrong: Collection[str | None]) -> list[FieldError]:
    """Return what the checks of an object's class find; ``wrong`` are pointers known to be so."""
    validators: Validators = type(one).__validators__
    if not validators:
        return []
    return [
        error
        for method, columns in validators.items()
        if not any(f"/{column}" in wrong for column in columns) and (columns or not wrong)
        for error in _broken(one, method, columns)
    ]


def _broken(one: Any, method: str, columns: tuple[str, ...]) -> Iterator[FieldError]:
    try:
        getattr(one, method)()
    except ValidationError as exc:
        yield from exc.errors
    except ValueError as exc:
        yield FieldError(
            "body", str(exc), pointer=f"/{columns[0]}" if columns else "", code="invalid"
        )
