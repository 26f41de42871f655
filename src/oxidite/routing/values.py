"""What a value that a handler returned adds to its answer: links to other pages, an entity tag.

A class says so with two methods that nobody calls but this file: ``__page_links__()`` returns the pages
beside a value, as ``page_links`` takes them, and the class method ``__etag_maker__()`` what makes the tag
of a value, for routes with ``etag="version"``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from oxidite.errors import RouteError
from oxidite.http.links import page_links
from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = ["Finish", "finish_of"]

Finish: TypeAlias = Callable[[object, Request, Response], None]
"""Adds to the response of a value."""

_UNKNOWN = (inspect.Parameter.empty, Any, object)


def finish_of(returns: object, where: str, *, with_version: bool) -> Finish | None:
    """Return what adds to the responses of a route that is annotated so; ``None`` if nothing does.

    Raises:
        RouteError: ``with_version``, and what is returned has no version.
    """
    kinds = list(_kinds(returns))
    if with_version:
        return _tagging(kinds, where)
    if any(kind in _UNKNOWN or hasattr(kind, "__page_links__") for kind in kinds):
        return _add_links
    return None


def _kinds(type_: object) -> list[object]:
    origin = get_origin(type_)
    if origin is Annotated:
        return _kinds(get_args(type_)[0])
    if origin in (Union, UnionType):
        return [kind for each in get_args(type_) for kind in _kinds(each)]
    return [origin or type_]


def _add_links(value: object, request: Request, response: Response) -> None:
    pages = getattr(type(value), "__page_links__", None)
    if pages is not None:
        response.headers.add("link", page_links(request, pages(value)))


def _tagging(kinds: list[object], where: str) -> Finish:
    makers: dict[object, Callable[[object], str]] = {}
    for kind in kinds:
        maker = getattr(kind, "__etag_maker__", None)
        if maker is not None:
            makers[kind] = maker()
    if not makers:
        raise RouteError(
            f'{where}: etag="version" is the tag of one row, and this does not return a model. Say which '
            'one in the return annotation, or use etag="weak", which is made of the body.'
        )

    def tag(value: object, _: Request, response: Response) -> None:
        make = makers.get(type(value))
        if make is not None and response.status < 300:
            response.headers["etag"] = make(value)

    return tag
