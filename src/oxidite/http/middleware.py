"""What a middleware says of itself: its name, where it stands, and that it makes no streams.

What is first in ``middleware=[…]`` is outermost. A middleware that only works inside or outside of
others says so by their names, and an application that has them the other way round does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from oxidite.errors import ConfigError
from oxidite.http.types import Middleware

__all__ = ["check_order", "complete", "middleware_name", "ordered"]

M = TypeVar("M", bound=Callable[..., object])


def complete(middleware: M) -> M:
    """Promise that a middleware returns what ``call_next`` gave, or something complete of its own.

    An application in which everything promises complete bodies can be served over a faster interface
    (RSGI). A stream that comes all the same is answered with an error there.
    """
    middleware.complete = True  # type: ignore[attr-defined]  # functions take attributes
    return middleware


def ordered(*, outside: Sequence[str] = (), inside: Sequence[str] = ()) -> Callable[[M], M]:
    """Say outside and inside of which others a middleware has to stand, where those are used too.

    ``@ordered(inside=["request_id"])`` on a middleware, or on what a factory returns. Names are those
    that ``oxidite routes --middleware`` shows: of the function, of its factory, or of the class.
    """

    def mark(middleware: M) -> M:
        middleware.outside = tuple(outside)  # type: ignore[attr-defined]  # functions take attributes
        middleware.inside = tuple(inside)  # type: ignore[attr-defined]
        return middleware

    return mark


def check_order(chain: Sequence[Middleware], where: str) -> None:
    """Check the middleware of one route, outermost first; ``where`` says whose it is.

    Raises:
        ConfigError: two of them stand the wrong way round.
    """
    names = [middleware_name(each) for each in chain]
    for place, middleware in enumerate(chain):
        wants_out = set(getattr(middleware, "outside", ())) & set(names[:place])
        wants_in = set(getattr(middleware, "inside", ())) & set(names[place + 1 :])
        for other in sorted(wants_out):
            raise _wrong(names[place], other, where)
        for other in sorted(wants_in):
            raise _wrong(other, names[place], where)


def _wrong(outer: str, inner: str, where: str) -> ConfigError:
    return ConfigError(
        f"{where}: the middleware {outer} has to stand outside of {inner}, so before it in the list: "
        f"middleware=[{outer}, {inner}]. That of the application is outside of that of a group, and "
        "that outside of that of a route."
    )


def middleware_name(middleware: Middleware) -> str:
    """Return a name for a person: of the function, of the one that made it, or of the class."""
    name: str = getattr(middleware, "__qualname__", type(middleware).__qualname__)
    outer, _, inner = name.rpartition(".<locals>.")
    # What a factory returns is called after the factory; a function in a test is itself.
    return outer.rpartition(".")[2] if outer and inner in _INNER_NAMES else inner


_INNER_NAMES = frozenset(("middleware", "layer", "wrapper", "inner", "wrapped"))
