"""The errors of an operation: by status, as problem documents (RFC 9457)."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence

from oxidite.errors import (
    HTTPError,
    InvalidPathError,
    NotAcceptableError,
    NotFoundError,
    PayloadTooLargeError,
    RouteError,
    UnsupportedMediaTypeError,
    ValidationError,
)
from oxidite.extract.body import InvalidBodyError
from oxidite.http.cookies import TooManyCookiesError
from oxidite.http.declared import declared_by
from oxidite.http.files.ranges import RangeNotSatisfiableError
from oxidite.http.limits import FormLimitError, InvalidFormError, UnsupportedFileError
from oxidite.http.request import FORM_TYPES, InvalidJSONError
from oxidite.http.types import Middleware
from oxidite.http.url import InvalidQueryError
from oxidite.openapi.answers import returns_file
from oxidite.openapi.arguments import Arguments, descriptions_of
from oxidite.openapi.base import JSON, ref
from oxidite.openapi.components import Components
from oxidite.routing.route import Route

__all__ = ["Problems", "declared_errors", "errors_of"]

_TYPE = "application/problem+json"
_IDENTITY = "problem document"

PROBLEM: JSON = {
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "default": "about:blank",
            "description": "Names the kind of problem.",
        },
        "title": {"type": "string", "description": "The same for every problem of this kind."},
        "status": {"type": "integer", "description": "The status of the response."},
        "detail": {"type": "string", "description": "What was wrong, for a person."},
        "code": {"type": "string", "description": "Names the error; it never changes."},
    },
    "required": ["type", "title", "status", "detail", "code"],
}
FIELD_ERROR: JSON = {
    "description": "One thing that is wrong with a request.",
    "type": "object",
    "properties": {
        "in": {"enum": ["path", "query", "header", "cookie", "body"], "type": "string"},
        "parameter": {"type": "string", "description": "The name, outside of the body."},
        "pointer": {
            "type": "string",
            "description": "The place in the body: a JSON Pointer (RFC 6901) as a fragment.",
        },
        "detail": {"type": "string", "description": "What is wrong, for a person."},
        "code": {"type": "string", "description": "Names the kind of mistake."},
    },
    "required": ["in", "detail", "code"],
}


def errors_of(
    route: Route, arguments: Arguments, around: Sequence[Middleware]
) -> list[type[HTTPError]]:
    """Return the errors a route is known to raise, each once; ``around`` is all its middleware."""
    found = dict.fromkeys((*_of_requests(route, arguments), *declared_errors(route, around)))
    return list(found)


def _of_requests(route: Route, arguments: Arguments) -> Iterator[type[HTTPError]]:
    """Yield the errors that the framework raises for requests of this shape."""
    options = route.definition.options
    if route.pattern.params:
        yield InvalidPathError
        yield NotFoundError
    sources = {each["in"] for each in arguments.parameters}
    if "query" in sources:
        yield InvalidQueryError
    if "cookie" in sources:
        yield TooManyCookiesError
    if arguments.body is not None:
        yield from _of_bodies(route, set(arguments.body["content"]))
    if returns_file(route):
        yield NotFoundError
        yield RangeNotSatisfiableError
    if arguments.may_not_fit:
        yield ValidationError
    if options.get("produces"):
        yield NotAcceptableError


def _of_bodies(route: Route, media_types: set[str]) -> Iterator[type[HTTPError]]:
    if "application/json" in media_types:
        yield InvalidJSONError
    if media_types & {*FORM_TYPES}:
        yield InvalidFormError
        yield FormLimitError
    if media_types - {"application/json", *FORM_TYPES}:
        yield InvalidBodyError
    yield PayloadTooLargeError
    yield UnsupportedMediaTypeError
    if any(rule.types for rule in route.files.values()):
        yield UnsupportedFileError


def declared_errors(route: Route, around: Sequence[Middleware]) -> Iterator[type[HTTPError]]:
    """Yield the errors that somebody says are raised.

    Raises:
        RouteError: one of them is none.
    """
    for error in route.definition.options.get("raises", ()):
        if not (isinstance(error, type) and issubclass(error, HTTPError)):
            raise RouteError(f"{route.where}: raises=[{error!r}] is no subclass of HTTPError.")
        yield error
    yield from declared_by(route.handler).raises_for(route.methods)
    for description in descriptions_of(route):
        yield from description.declared.raises_for(route.methods)
    for middleware in around:
        yield from declared_by(middleware).raises_for(route.methods)


class Problems:
    """Makes the responses of errors, as components: many operations share them."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self.responses: dict[str, JSON] = {}
        """Every response made so far, by name."""

    def responses_of(self, errors: Iterable[type[HTTPError]]) -> dict[str, JSON]:
        """Return a reference for each status."""
        by_status: dict[int, list[type[HTTPError]]] = {}
        for error in errors:
            by_status.setdefault(error.status, []).append(error)
        return {str(status): self._reference(each) for status, each in sorted(by_status.items())}

    def _reference(self, errors: list[type[HTTPError]]) -> JSON:
        errors = sorted(errors, key=lambda error: (error.code, error.__qualname__))
        name = "_".join(dict.fromkeys(error.__name__ for error in errors))
        response = self._response(errors)
        number, free = 1, name
        while self.responses.setdefault(free, response) != response:
            number += 1
            free = f"{name}_{number}"
        return ref("responses", free)

    def _response(self, errors: list[type[HTTPError]]) -> JSON:
        codes = list(dict.fromkeys(error.code for error in errors))
        texts = {error.code: _text(error) for error in errors}
        description = (
            texts[codes[0]]
            if len(codes) == 1
            else "\n".join(f"- `{code}`: {texts[code]}" for code in codes)
        )
        schema = self._schema(codes, with_fields=any(e is ValidationError for e in errors))
        media: JSON = {"schema": schema}
        if examples := {e.code: {"value": _example(e)} for e in errors if e is not ValidationError}:
            media["examples"] = examples
        return {"description": description, "content": {_TYPE: media}}

    def _schema(self, codes: list[str], *, with_fields: bool) -> JSON:
        if with_fields and len(codes) == 1:
            return self._validation()
        problem = self._components.reference(_IDENTITY, ("Problem",), "output", lambda: PROBLEM)
        choice: JSON = {"enum": codes} if len(codes) > 1 else {"const": codes[0]}
        return {"allOf": [problem, {"properties": {"code": choice}}]}

    def _validation(self) -> JSON:
        fields = self._components.reference(
            f"{_IDENTITY}: field", ("FieldError",), "output", lambda: FIELD_ERROR
        )
        problem = self._components.reference(_IDENTITY, ("Problem",), "output", lambda: PROBLEM)
        return self._components.reference(
            f"{_IDENTITY}: fields",
            ("ValidationProblem",),
            "output",
            lambda: {
                "allOf": [
                    problem,
                    {
                        "type": "object",
                        "properties": {"errors": {"type": "array", "items": fields}},
                        "required": ["errors"],
                    },
                ]
            },
        )


def _example(error: type[HTTPError]) -> JSON:
    try:
        title = error.__new__(error).title  # without a message, which its constructor may want
    except ValueError:  # a status that has no name
        title = error.__name__.removesuffix("Error")
    return {
        "type": error.type,
        "title": title,
        "status": error.status,
        "detail": _text(error),
        "code": error.code,
    }


def _text(error: type[HTTPError]) -> str:
    text = inspect.cleandoc(error.__doc__ or error.__name__)
    return " ".join(text.partition("\n\n")[0].split())
