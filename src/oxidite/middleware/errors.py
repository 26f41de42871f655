"""Errors become responses here and nowhere else.

An ``HTTPError`` becomes a problem document (RFC 9457), or a small page for a browser. Anything else
is logged with its traceback under an id, and the client gets that id and nothing of the exception;
with ``debug``, all of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import logging
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import TypeAlias

from oxidite.encoding import encode_json
from oxidite.errors import (
    BackendUnavailableError,
    HTTPError,
    InternalServerError,
    ServiceUnavailableError,
    ValidationError,
)
from oxidite.http.negotiation import best_match
from oxidite.http.request import Request
from oxidite.http.response import HTMLResponse, Response

__all__ = ["ErrorHandler", "ErrorRenderer", "Problem"]

_logger = logging.getLogger("oxidite.errors")

ErrorHandler: TypeAlias = Callable[[Request, Exception], Response | Awaitable[Response]]
"""Answers for one kind of exception, or for one status."""

Problem: TypeAlias = dict[str, object]
"""The members of a problem document."""

PROBLEM_JSON = "application/problem+json"


class ErrorRenderer:
    """Makes the response of an exception.

    ``handlers`` are asked first: by the exception's class and its bases, then by its status. One
    that raises is an error like any other.
    """

    def __init__(
        self, handlers: Mapping[type[Exception] | int, ErrorHandler] | None = None, *, debug: bool
    ) -> None:
        self._handlers = dict(handlers or {})
        self._debug = debug
        self.observers: list[Callable[[Request, Exception], None]] = []
        """Told of every exception that is not an ``HTTPError``: tests, the dashboard."""

    async def __call__(self, request: Request, error: Exception) -> Response:
        """Return the response of ``error``, which stands in its ``error``; never raises."""
        response: Response | None = None
        try:
            response = await self._custom(request, error)
            if response is None and isinstance(error, HTTPError):
                response = _answer(request, error, problem_of(error))
        except Exception as failure:  # noqa: BLE001 - rendered like any error
            error = _caused(failure, error)
            with contextlib.suppress(Exception):
                if isinstance(error, HTTPError):
                    response = _answer(request, error, problem_of(error))
        if response is None:
            response = self._unexpected(request, error)
        if "connection" in response.headers and not request.http_version.startswith("1"):
            # Other versions end the stream instead, and know no such field: RFC 9113 section 8.2.2,
            # RFC 9114 section 4.2.
            del response.headers["connection"]
        response.error = error
        return response

    async def _custom(self, request: Request, error: Exception) -> Response | None:
        if not self._handlers:
            return None
        keys: list[type[Exception] | int] = [
            cls for cls in type(error).__mro__ if issubclass(cls, Exception)
        ]
        keys.append(error.status if isinstance(error, HTTPError) else _public(error).status)
        for key in keys:
            handler = self._handlers.get(key)
            if handler is not None:
                answer: object = handler(request, error)
                if inspect.isawaitable(answer):
                    answer = await answer
                if isinstance(answer, Response):
                    return answer if answer.complete else await answer.prepare(request)
                name = getattr(handler, "__qualname__", repr(handler))
                raise TypeError(
                    f"the error handler {name} returned a {type(answer).__name__}, not a Response"
                )
        return None

    def _unexpected(self, request: Request, error: Exception) -> Response:
        error_id = secrets.token_hex(8)
        # Quoted, so that a path cannot write lines of its own into the log.
        _logger.error(
            "error %s: %s %s", error_id, ascii(request.method), ascii(request.path), exc_info=error
        )
        for observer in self.observers:
            try:
                observer(request, error)
            except Exception:
                _logger.exception("an observer of errors failed")
        public = _public(error)
        problem = {**problem_of(public), "error_id": error_id}
        if not self._debug:
            return _answer(request, public, problem)
        return _shown(request, error, public, problem)


def _caused(failure: Exception, error: Exception) -> Exception:
    """Return ``failure``, with ``error`` as its cause unless it is itself behind that one."""
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        if behind is failure:
            return failure
        seen.add(id(behind))
        behind = behind.__cause__ or behind.__context__
    failure.__cause__ = failure.__cause__ or error
    return failure


def _public(error: Exception) -> HTTPError:
    """Return what the client is told of an error that nobody expected."""
    if isinstance(error, BackendUnavailableError):
        return ServiceUnavailableError(headers={"retry-after": "1"})
    return InternalServerError()


def _shown(request: Request, error: Exception, public: HTTPError, problem: Problem) -> Response:
    # Imported only now: it is of no use in production.
    from oxidite.middleware.debug import debug_markdown, debug_page
    from oxidite.middleware.debug.assets import POLICY
    from oxidite.middleware.debug.printable import printable
    from oxidite.security.redact import scrub

    error_id = str(problem["error_id"])
    if _wants_html(request):
        response = HTMLResponse(debug_page(request, error, error_id), public.status)
        # As a field too, so that a policy of the application's does not stand in its way.
        response.headers["content-security-policy"] = POLICY
        response.headers.update(public.headers)
        response.headers.add_vary("accept")
        return response
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - somebody else's __str__
        text = "(its text could not be made)"
    problem["detail"] = printable(scrub(f"{type(error).__name__}: {text}"))
    problem["traceback"] = debug_markdown(request, error, error_id).splitlines()
    return _problem_response(public, problem)


def problem_of(error: HTTPError) -> Problem:
    """Return the members of the problem document of ``error``."""
    problem: Problem = {
        "type": error.type,
        "title": _title(error),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if isinstance(error, ValidationError):
        problem["errors"] = [each.to_dict() for each in error.errors]
    return {**problem, **error.extra}


def _answer(request: Request, error: HTTPError, problem: Problem) -> Response:
    if not _wants_html(request):
        return _problem_response(error, problem)
    response = HTMLResponse(_page(problem), error.status)
    response.headers["content-security-policy"] = _PAGE_POLICY
    response.headers.update(error.headers)
    response.headers.add_vary("accept")
    return response


def _problem_response(error: HTTPError, problem: Problem) -> Response:
    response = Response(
        encode_json(problem), error.status, content_type=PROBLEM_JSON, headers=error.headers
    )
    # Not only on the page: a cache that has the document must not give it to a browser.
    response.headers.add_vary("accept")
    return response


def _title(error: HTTPError) -> str:
    try:
        return error.title
    except ValueError:  # a status that has no name
        return type(error).__name__.removesuffix("Error") or "Error"


def _wants_html(request: Request) -> bool:
    """Tell whether HTML is preferred; a browser says so, a program has to say nothing."""
    accept = request.headers.get("accept")
    if accept is None or "text/html" not in accept:
        return False
    return best_match(accept, (PROBLEM_JSON, "application/json", "text/html")) == "text/html"


_PAGE_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;"
    "color-scheme:light dark}h1{font-size:1.25rem}"
)
# So that it looks as it should under whatever policy the application has for its own pages.
_PAGE_POLICY = (
    "default-src 'none'; style-src "
    f"'sha256-{b64encode(hashlib.sha256(_PAGE_STYLE.encode()).digest()).decode()}'"
)


def _page(problem: Problem) -> str:
    title = escape(f"{problem['status']} {problem['title']}")
    error_id = problem.get("error_id")
    number = f"<p><small>Error {escape(str(error_id))}</small></p>" if error_id else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_PAGE_STYLE}</style>"
        f"<h1>{title}</h1><p>{escape(str(problem['detail']))}</p>{number}</html>"
    )
