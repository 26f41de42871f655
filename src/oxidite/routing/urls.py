"""URLs of routes: by handler, checked by the type checker, or by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Concatenate, ParamSpec, TypeVar, overload
from urllib.parse import unquote

from msgspec import Struct

from oxidite.errors import ConfigError
from oxidite.extract.base import location
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, complete
from oxidite.http.url import quote_query
from oxidite.routing.route import Route
from oxidite.routing.router import Controller
from oxidite.security.signing import BadSignatureError, Signer

__all__ = ["URLs"]

P = ParamSpec("P")
C = TypeVar("C", bound=Controller)
A = TypeVar("A")
B = TypeVar("B")
# What is not part of a path: the type of a parameter tells that a handler takes nothing from there.
Given = TypeVar("Given", bound=Struct | Request | AbstractAsyncContextManager[object, bool | None])


class URLs:
    """Makes the URL of a route: ``url(show, id=3)``, ``url("posts.show", id=3)``.

    By handler, a type checker refuses a missing, unknown or ill-typed parameter: name the parameters
    of the path by keyword if the handler takes nothing else without a default, and give them by
    position, in order, if it also takes a body, a resource or the request. Parameters that are not
    in the path become the query.
    """

    def __init__(self, routes: Callable[[], Iterable[Route]], signer: Callable[[], Signer]) -> None:
        self._routes = routes
        self._signer = signer

    @overload
    def __call__(self, route: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    def __call__(
        self, route: Callable[Concatenate[C, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> str: ...
    @overload
    def __call__(self, route: Callable[Concatenate[Given, ...], object], /) -> str: ...
    @overload
    def __call__(self, route: Callable[Concatenate[A, Given, ...], object], a: A, /) -> str: ...
    @overload
    def __call__(
        self, route: Callable[Concatenate[A, B, Given, ...], object], a: A, b: B, /
    ) -> str: ...
    @overload
    def __call__(self, route: str, /, **params: object) -> str: ...
    def __call__(
        self, route: Callable[..., object] | str, /, *args: object, **kwargs: object
    ) -> str:
        """Return the path and query of ``route``, percent-encoded.

        Raises:
            ConfigError: there is no such route, or there are several of one handler.
            ValueError: a parameter is missing, unknown, or does not fit the path.
        """
        found = self._find(route)
        values = _named(found, args, kwargs)
        in_path = {param.name for param in found.pattern.params}
        missing = sorted(in_path - values.keys())
        if missing:
            raise ValueError(f"url of {found.path}: {', '.join(missing)} missing")
        path = found.pattern.url(values)
        query = [(key, value) for key, value in values.items() if key not in in_path]
        pairs = [(key, str(each)) for key, value in query for each in _each(value)]
        return path + (f"?{quote_query(pairs)}" if pairs else "")

    def signed(self, url: str, *, ttl: float | None = None) -> str:
        """Return ``url`` with a signature that is good for ``ttl`` seconds, or for ever.

        It covers the path and the query, not scheme and host. Who has the URL has the right, so
        give it a ``ttl`` and no more power than it needs.
        """
        path, _, query = url.partition("?")
        seal = self._signer().seal(_sealed(unquote(path), query), ttl=ttl)
        return f"{path}?{query}{'&' if query else ''}{_SIGNATURE}{seal}"

    def verify(self, request: Request) -> None:
        """Return if the request's URL was signed here and is still good.

        Raises:
            ExpiredSignatureError: it was signed here, and its time is over.
            BadSignatureError: anything else is wrong with it; both are answered with 403.
        """
        query, found, seal = request.query_string.rpartition(_SIGNATURE)
        if not found or not (query == "" or query.endswith("&")):
            raise BadSignatureError
        self._signer().verify(_sealed(request.path, query.removesuffix("&")), seal)

    @complete
    async def require_signature(self, request: Request, call_next: Handler) -> Response:
        """Middleware: let only requests with a signed URL pass."""
        self.verify(request)
        return await call_next(request)

    def _find(self, wanted: Callable[..., object] | str) -> Route:
        if isinstance(wanted, str):
            found = [route for route in self._routes() if route.name == wanted]
        else:
            target = inspect.unwrap(getattr(wanted, "__func__", wanted))
            found = [route for route in self._routes() if inspect.unwrap(route.handler) is target]
        if len({route.path for route in found}) == 1:
            return found[0]
        what = wanted if isinstance(wanted, str) else location(wanted)
        if not found:
            raise ConfigError(f"No route of this application is {what!r}.")
        paths = ", ".join(f"{route.name!r} ({route.path})" for route in found)
        raise ConfigError(f"{what!r} is several routes: {paths}. Use the name of the one you mean.")


_SIGNATURE = "signature="


def _sealed(path: str, query: str) -> str:
    # The decoded path, because that is what is routed, whatever a proxy does to its encoding.
    return f"{path}?{query}"


def _named(route: Route, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
    if not args:
        return kwargs
    names = [
        step.parameter.name
        for step in route.plan.steps
        if step.extractor.describe().source in ("path", "query")
    ]
    if len(args) > len(names):
        raise ValueError(f"url of {route.path}: {len(args)} values for {len(names)} parameters")
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _each(value: object) -> Iterable[object]:
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return (value,)
