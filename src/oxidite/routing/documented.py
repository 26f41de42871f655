"""What can be said of a route for documents only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

__all__ = ["Documented"]


class Documented(TypedDict, total=False):
    """More about a route for OpenAPI documents; most of it is read from the handler.

    ``include=False`` leaves the route out. ``id`` is the operation's, else made of the route's name;
    ``summary`` and ``description`` stand in for the docstring. ``request_examples`` and
    ``response_examples`` are values by name, checked against their types. ``responses`` are further
    answers: the type of the body by status, ``None`` for none. ``external_docs`` is a URL.
    ``extra`` is merged into the operation last, for whatever is not thought of here.
    """

    include: bool
    id: str
    summary: str
    description: str
    deprecated: bool
    request_examples: Mapping[str, object]
    response_examples: Mapping[str, object]
    responses: Mapping[int, object]
    external_docs: str
    extra: Mapping[str, object]
