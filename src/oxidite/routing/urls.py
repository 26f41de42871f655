"""URLs of routes: by handler, checked by the type checker, or by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Concatenate, ParamSpec, TypeVar, overload
from urllib.parse import unquote, urlsplit, urlunsplit

from msgspec import Struct, json

from oxidite.encoding import encode_json
from oxidite.errors import ConfigError
from oxidite.extract.base import location
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler
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
    in the path become the query, written as the handler reads them; those of the host are left out.
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
    def __call__(self, route: Callable[Concatenate[Request, A, ...], object], a: A, /) -> str: ...
    @overload
    def __call__(
        self, route: Callable[Concatenate[Request, A, B, ...], object], a: A, b: B, /
    ) -> str: ...
    @overload
    def __call__(self, route: str, /, **params: object) -> str: ...
    def __call__(
        self, route: Callable[..., object] | str, /, *args: object, **kwargs: object
    ) -> str:
        """Return the path and query of ``route``, percent-encoded.

        Raises:
            ConfigError: there is no such route, or there are several of one handler.
            ValueError: a parameter is missing, does not fit the path, or is part of no URL.
        """
        found = self._find(route)
        values = _in_path(found, _named(found, args, kwargs))
        in_path = {param.name for param in found.pattern.params}
        missing = sorted(in_path - values.keys())
        if missing:
            raise ValueError(f"url of {found.path}: {', '.join(missing)} missing")
        path = found.pattern.url(values)
        pairs = [
            pair
            for name, value in values.items()
            if name not in in_path
            for pair in _query(found, name, value)
        ]
        return path + (f"?{quote_query(pairs)}" if pairs else "")

    def signed(self, url: str, *, ttl: float | None = None) -> str:
        """Return ``url`` with a signature that is good for ``ttl`` seconds, or for ever.

        It covers the path and the query, not scheme and host. Who has the URL has the right, so
        give it a ``ttl`` and no more power than it needs.
        """
        parts = urlsplit(url)
        seal = self._signer().seal(_sealed(unquote(parts.path or "/"), parts.query), ttl=ttl)
        query = f"{parts.query}{'&' if parts.query else ''}{_SIGNATURE}{seal}"
        return urlunsplit(parts._replace(query=query))

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


def _in_path(route: Route, values: dict[str, object]) -> dict[str, object]:
    """Give what an argument is made of to the path, such as the key for a row that is bound to it."""
    for step in route.plan.steps:
        convert = getattr(step.extractor, "url_value", None)
        if convert is not None and step.parameter.name in values:
            name, value = convert(values[step.parameter.name])
            values = {key: each for key, each in values.items() if key != step.parameter.name}
            values[name] = value
    return values


def _query(route: Route, name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the pairs of one value that is not in the path."""
    if route.host is not None and name in route.host.types():
        return
    steps = {step.parameter.name: step.extractor.describe() for step in route.plan.steps}
    if name in steps and steps[name].source != "query":
        raise ValueError(f"url of {route.path}: {name!r} is no part of a URL")
    plain = value if type(value) is str else json.decode(encode_json(value))
    if name in steps and steps[name].name is None and isinstance(plain, Mapping):
        for key, each in plain.items():
            yield from _pairs(key, each)
    else:
        yield from _pairs((name in steps and steps[name].name) or name, plain)


def _pairs(key: str, value: object) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list | tuple) else (value,):
        if each is not None:
            yield key, str(each).lower() if isinstance(each, bool) else str(each)
