"""From what a handler returns to the responses of an operation that went well."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Mapping
from http import HTTPStatus
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from oxidite.extract.streams import streamed
from oxidite.http.files import FileResponse
from oxidite.http.response import (
    BYTES,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    TextResponse,
)
from oxidite.openapi.base import JSON, OpenAPIError
from oxidite.openapi.examples import check_example
from oxidite.openapi.keywords import any_of
from oxidite.openapi.schemas import Schemas
from oxidite.routing.route import Route

__all__ = ["answers_of"]

_JSON = "application/json"
_LIKE_JSON = (_JSON, "application/msgpack")
_TEXT: JSON = {"schema": {"type": "string"}}
_UNKNOWN = (inspect.Parameter.empty, Any, object)
_KINDS: tuple[tuple[type[Response], Mapping[str, JSON]], ...] = (
    (JSONResponse, {_JSON: {}}),
    (HTMLResponse, {"text/html": _TEXT}),
    (TextResponse, {"text/plain": _TEXT}),
    (StreamingResponse, {BYTES: {}}),
)
_ETAG: JSON = {"description": "Names this version of the answer.", "schema": {"type": "string"}}
_LOCATION: JSON = {
    "description": "Where to go on.",
    "schema": {"type": "string", "format": "uri-reference"},
}


def answers_of(route: Route, schemas: Schemas) -> dict[str, JSON]:
    """Return the responses by status.

    Raises:
        OpenAPIError: an example does not fit.
    """
    answers = _Answers(route, schemas)
    answers.add(route.plan.returns)
    options = route.definition.options
    for status, type_ in options.get("openapi", {}).get("responses", {}).items():
        answers.add_more(status, type_)
    return answers.finished()


class _Answers:
    def __init__(self, route: Route, schemas: Schemas) -> None:
        self._route = route
        self._schemas = schemas
        options = route.definition.options
        self._status = options.get("status", 200)
        self._produces = tuple(options.get("produces", ())) or (_JSON,)
        self._found: dict[str, JSON] = {}

    def add(self, type_: object) -> None:
        """Add what a value of this annotation becomes."""
        if get_origin(type_) in (Union, UnionType):
            self._add_members(get_args(type_))
        elif (stream := streamed(type_)) is not None:
            self._add_stream(stream.item, stream.media_type)
        elif _is_nothing(type_):
            self._response(204 if self._status == 200 else self._status)
        elif isinstance(kind := _class_of(type_), type) and issubclass(kind, Response):
            self._add_response(kind)
        elif type_ in _UNKNOWN or (isinstance(kind, type) and issubclass(kind, AsyncIterable)):
            self._response(self._status)
        elif kind in (str, bytes) and self._produces == (_JSON,):
            self._content(self._status, {"text/plain" if kind is str else BYTES: _TEXT})
        else:
            self._add_data([type_])

    def _add_members(self, members: Iterable[object]) -> None:
        data = []
        for member in members:
            kind = _class_of(member)
            is_response = isinstance(kind, type) and issubclass(kind, Response)
            if _is_nothing(member) or is_response or streamed(member) or kind in (str, bytes):
                self.add(member)
            else:
                data.append(member)
        if data:
            self._add_data(data)

    def _add_data(self, types: list[object]) -> None:
        schema = any_of([self._schemas.of(each, "output") for each in types])
        if len(types) > 1 and (whole := self._schemas.of(Union[tuple(types)], "output")):  # noqa: UP007
            schema = whole
        media: JSON = {"schema": schema} if schema else {}
        examples = self._route.definition.options.get("openapi", {}).get("response_examples", {})
        if examples:
            where = f"{self._route.where}: response_examples"
            media["examples"] = {
                name: {"value": check_example(Union[tuple(types)], value, f"{where}[{name!r}]")}  # noqa: UP007
                for name, value in examples.items()
            }
        self._content(
            self._status,
            # What another encoder makes of a value is not known.
            {each: dict(media) if each in _LIKE_JSON else {} for each in self._produces},
        )
        # Fields that a class says come with its values: the links of a page.
        docs = [getattr(_class_of(each), "__header_docs__", {}) for each in types]
        if headers := {name: text for each in docs for name, text in each.items()}:
            self._response(self._status).setdefault("headers", {}).update(
                {
                    name: {"description": text, "schema": {"type": "string"}}
                    for name, text in headers.items()
                }
            )

    def _add_stream(self, item: object, media_type: str) -> None:
        media = self._schemas.stream(item, "output", media_type)
        self._content(self._status, {media_type: media})

    def _add_response(self, kind: type[Response]) -> None:
        if issubclass(kind, RedirectResponse):
            self._response(303)["headers"] = {"Location": dict(_LOCATION)}
            return
        if issubclass(kind, FileResponse):
            self._add_file()
            return
        media_type = getattr(kind, "media_type", None)
        if isinstance(media_type, str):
            # A class of somebody's own says what it is.
            self._content(self._status, {media_type: {}})
            return
        for known, content in _KINDS:
            if issubclass(kind, known):
                self._content(self._status, {key: dict(each) for key, each in content.items()})
                return
        self._response(self._status)

    def _add_file(self) -> None:
        """Add a file: all of it, or a range, or nothing because the client has it."""
        for status in (200, 206):
            self._content(status, {"*/*": {}})
            self._response(status)["headers"] = {"ETag": dict(_ETAG)}
        self._response(304)["headers"] = {"ETag": dict(_ETAG)}

    def add_more(self, status: int, type_: object) -> None:
        """Add a response that was declared."""
        if not (isinstance(status, int) and 200 <= status <= 599):
            raise OpenAPIError(f"{self._route.where}: responses={{{status!r}: …}} is no status.")
        if _is_nothing(type_):
            self._response(status)
        else:
            self._content(status, {_JSON: {"schema": self._schemas.of(type_, "output")}})

    def _response(self, status: int) -> JSON:
        return self._found.setdefault(str(status), {"description": _phrase(status)})

    def _content(self, status: int, content: Mapping[str, JSON]) -> None:
        self._response(status).setdefault("content", {}).update(content)

    def finished(self) -> dict[str, JSON]:
        """Return them all, with what an entity tag adds."""
        if self._route.definition.options.get("etag") and "200" in self._found:
            self._found["200"].setdefault("headers", {})["ETag"] = dict(_ETAG)
            self._response(304)["headers"] = {"ETag": dict(_ETAG)}
        return dict(sorted(self._found.items()))


def _is_nothing(type_: object) -> bool:
    return type_ is None or type_ is type(None)


def _class_of(type_: object) -> object:
    if get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    return get_origin(type_) or type_


def returns_file(route: Route) -> bool:
    """Tell whether a route answers with a file."""
    kind = _class_of(route.plan.returns)
    return isinstance(kind, type) and issubclass(kind, FileResponse)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
