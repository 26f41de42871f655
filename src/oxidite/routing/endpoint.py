"""From a request to a response: the handler is called, and what surrounds it is folded around it."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

from oxidite.encoding import encode_json, encode_msgpack
from oxidite.errors import (
    NotAcceptableError,
    PreconditionFailedError,
    RouteError,
    ValidationError,
)
from oxidite.extract.depends import forget
from oxidite.extract.plan import Plan
from oxidite.http.conditional import Validators, not_modified
from oxidite.http.negotiation import best_match
from oxidite.http.request import Request, Scopes
from oxidite.http.response import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StoredResponse,
    TextResponse,
    to_response,
)
from oxidite.http.types import Handler
from oxidite.routing.layers import RenderError
from oxidite.routing.streams import stream_call
from oxidite.routing.values import Finish

__all__ = [
    "SAFE_METHODS",
    "ETag",
    "Encoder",
    "ending_scope",
    "endpoint_of",
    "may_stream",
    "offers_of",
    "with_etag",
]

_logger = logging.getLogger("oxidite")

Encoder: TypeAlias = Callable[[object], bytes]
"""Makes the body of a value in one media type."""

ETag: TypeAlias = Literal["weak", "strong", "version"]
"""What an entity tag is made of: the body, or the version of the row that was returned."""

_ENCODERS: Mapping[str, Encoder] = {
    "application/json": encode_json,
    "application/msgpack": encode_msgpack,
}


SAFE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS", "QUERY"))
"""Asking with one of them changes nothing; RFC 9110 section 9.2.1."""
_COMPLETE_KINDS = (JSONResponse, HTMLResponse, TextResponse, RedirectResponse)


def may_stream(type_: object) -> bool:
    """Tell whether a value of this annotation may be a stream: only values and known kinds are not."""
    return _may_be(type_, lambda kind: not issubclass(kind, (*_COMPLETE_KINDS, StoredResponse)))


def _may_be_incomplete(type_: object) -> bool:
    """Tell whether a value of this annotation may be more than complete bytes."""
    return _may_be(type_, lambda kind: not issubclass(kind, _COMPLETE_KINDS))


def _may_be(type_: object, test: Callable[[type[Response]], bool]) -> bool:
    """Tell whether a value of this annotation may be a stream, or a response that passes ``test``."""
    origin = get_origin(type_)
    if origin is Annotated:
        return _may_be(get_args(type_)[0], test)
    if origin in (Union, UnionType):
        return any(_may_be(each, test) for each in get_args(type_))
    type_ = origin or type_
    if type_ in (inspect.Parameter.empty, Any, object):
        return True
    if isinstance(type_, type):
        if issubclass(type_, Response):
            return test(type_)
        return hasattr(type_, "__aiter__")
    return False


def offers_of(
    produces: Sequence[str] | Mapping[str, Encoder] | None, where: str
) -> Mapping[str, Encoder]:
    """Return the media types a route offers, and what encodes each."""
    if produces is None:
        return {}
    if isinstance(produces, Mapping):
        return produces
    unknown = [each for each in produces if each not in _ENCODERS]
    if unknown:
        raise RouteError(
            f"{where}: nothing encodes {', '.join(unknown)}. Give the encoder with it: "
            f"produces={{{unknown[0]!r}: encode, ...}}."
        )
    return {each: _ENCODERS[each] for each in produces}


def _choose(offers: Mapping[str, Encoder], request: Request) -> str:
    chosen = best_match(request.headers.get("accept"), tuple(offers))
    if chosen is None:
        raise NotAcceptableError(f"Available here: {', '.join(offers)}.")
    return chosen


def _encoded(value: object, status: int, media_type: str, encode: Encoder) -> Response:
    if value is None or isinstance(value, Response | tuple):
        return to_response(value, status)
    response = Response(encode(value), status, content_type=media_type)
    response.headers.add_vary("accept")
    return response


def endpoint_of(  # noqa: C901 - one frame for every request
    plan: Plan,
    status: int,
    offers: Mapping[str, Encoder],
    finish: Finish | None,
    render: RenderError,
) -> Handler:
    """Return what calls the handler and makes a response of what it returns."""
    streamed = stream_call(plan, status)
    call = streamed or plan.call
    only = plan.only if streamed is None else None
    function: Callable[..., Any] = plan.function  # Any: that of a handler is what it returns
    may_be_incomplete = _may_be_incomplete(plan.returns)

    async def endpoint(request: Request) -> Response:  # noqa: C901 - as above
        called = None
        try:
            if offers:
                # Before the handler runs: an answer nobody can read must not change anything.
                chosen = _choose(offers, request)
                called = call(request)
                value = await called
                response = _encoded(value, status, chosen, offers[chosen])
            else:
                called = call(request) if only is None else function(await only(request))
                value = await called
                response = to_response(value, status)
            if finish is not None:
                finish(value, request, response)
            if may_be_incomplete and not response.complete:
                response = await response.prepare(request)
        except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
            if called is None and isinstance(exc, ValidationError):
                exc = await _with_others(plan, exc, request)
            if request.opened is not None:
                exc = await _leave(request.opened, exc) or exc
            return await render(request, exc)
        except BaseException as exc:
            if request.opened is not None:
                await _abandon(request.opened, exc)
            raise
        if request.opened is not None:
            failure = await _leave(request.opened, None)
            if failure is not None:
                return await render(request, failure)
        return response

    return endpoint


async def _with_others(plan: Plan, first: ValidationError, request: Request) -> Exception:
    try:
        return await plan.with_others(first, request)
    except Exception as other:  # noqa: BLE001 - of an argument not looked at before; the caller renders it
        return other


def ending_scope(handler: Handler, render: RenderError) -> Handler:
    """End the request's scope when the route's own middleware is through.

    So inside that of the application, which then sees the answer as it goes out, with the failure of a
    clean-up in it. A stream keeps what it uses until it has ended: its protocol sees to that.
    """

    async def ending(request: Request) -> Response:
        response = await handler(request)
        if request.opened is None or not response.complete:
            return response
        scope, error = request.opened.request, response.error
        forget(request.opened, "request")
        try:
            if error is None:
                await scope.aclose()
            else:
                await scope.__aexit__(type(error), error, error.__traceback__)
        except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
            if exc is not error:
                return await render(request, exc)
        return response

    return ending


async def _leave(scopes: Scopes, exc: Exception | None) -> Exception | None:
    """End the scope of a handler with its exception; return what the clean-up raised, if it did."""
    forget(scopes, "handler")
    try:
        if exc is None:
            await scopes.handler.aclose()
        else:
            await scopes.handler.__aexit__(type(exc), exc, exc.__traceback__)
    except Exception as other:  # noqa: BLE001 - the caller renders it
        return other
    return None


async def _abandon(scopes: Scopes, exc: BaseException) -> None:
    """End every scope of a handler that was cancelled: what it had begun must not look finished."""
    for scope in (scopes.handler, scopes.request, scopes.stream):
        try:
            await scope.__aexit__(type(exc), exc, exc.__traceback__)
        except Exception:
            _logger.exception("clean-up of a cancelled request failed")
        except BaseException as other:  # the same, passed through: the caller raises it
            if other is not exc:
                raise


def with_etag(handler: Handler, render: RenderError, kind: ETag) -> Handler:
    """Answer 304 where the client has what ``handler`` answers, told by an entity tag of that kind."""

    async def conditional(request: Request) -> Response:
        response = await handler(request)
        if not (response.complete and response.status == 200 and request.method in SAFE_METHODS):
            return response
        etag = response.headers.get("etag")
        if etag is None:
            if kind == "version":
                return response  # nothing that has one was returned
            digest = hashlib.blake2b(response.body, digest_size=16).hexdigest()
            etag = response.headers["etag"] = f'W/"{digest}"' if kind == "weak" else f'"{digest}"'
        try:
            answer = Validators(etag).check(request.method, request.headers)
        except PreconditionFailedError as exc:
            return await render(request, exc)
        return not_modified(response) if answer == "same" else response

    return conditional
