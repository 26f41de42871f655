"""What a function says of itself for documents: errors it raises, how a client authenticates.

Nothing is enforced by it: the function does what it does, and this tells others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from oxidite.errors import HTTPError, RouteError

__all__ = ["NOTHING_DECLARED", "Declared", "SecurityScheme", "declared_by", "declares"]

F = TypeVar("F", bound=Callable[..., object])

_ATTRIBUTE = "__oxidite_declared__"


@dataclass(frozen=True)
class SecurityScheme:
    """A way to authenticate: its name, and its Security Scheme Object in OpenAPI.

    ``SecurityScheme("bearer", {"type": "http", "scheme": "bearer"})``; ``scopes`` are those needed.
    """

    name: str
    definition: Mapping[str, object]
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """What was declared. Of the schemes in ``security`` one is enough.

    ``raises`` counts for requests with one of ``methods`` only, if there are any.
    """

    raises: tuple[type[HTTPError], ...] = ()
    security: tuple[SecurityScheme, ...] = ()
    methods: frozenset[str] = frozenset()

    def raises_for(self, methods: Collection[str]) -> tuple[type[HTTPError], ...]:
        """Return what is raised for a route of ``methods``."""
        return self.raises if not self.methods or self.methods & set(methods) else ()


NOTHING_DECLARED = Declared()


def declares(
    *,
    raises: Sequence[type[HTTPError]] = (),
    security: Sequence[SecurityScheme] = (),
    methods: Iterable[str] = (),
) -> Callable[[F], F]:
    """Tell documents what a handler, a dependency or a middleware raises, and what it asks for.

    ``@declares(raises=[UnauthorizedError], security=[bearer])``. One of the schemes is enough; what
    two functions on the way of a request ask for is needed both. With ``methods`` the errors are only
    those of requests with one of them.
    """
    for each in raises:
        if not (isinstance(each, type) and issubclass(each, HTTPError)):
            raise RouteError(f"raises=[{each!r}]: this is no subclass of HTTPError.")

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, Declared(tuple(raises), tuple(security), frozenset(methods)))
        return function

    return mark


def declared_by(function: object) -> Declared:
    """Return what ``function`` declares."""
    found = getattr(function, _ATTRIBUTE, NOTHING_DECLARED)
    return found if isinstance(found, Declared) else NOTHING_DECLARED
