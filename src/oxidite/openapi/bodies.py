"""From what a handler takes of the body to the body of an operation."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import get_args, get_origin

from oxidite.extract.base import Description
from oxidite.extract.params import without_none
from oxidite.http import FormData
from oxidite.http.request import FORM_TYPES
from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.examples import check_example
from oxidite.openapi.files import encodings_of, limit_file
from oxidite.openapi.schemas import Schemas
from oxidite.routing.route import Route

__all__ = ["body_of"]

_MULTIPART = "multipart/form-data"
# Other names for the same; one is enough to tell.
_ALIASES = ("application/vnd.msgpack", "application/x-msgpack", "application/x-ndjson")


def body_of(
    route: Route, found: Sequence[Description], schemas: Schemas, direction: Direction
) -> JSON | None:
    """Return the body that all descriptions are of; ``None`` if nothing reads it.

    Those with a name are each a field of a form, beside the one that is the whole, if there is one.
    """
    if not found:
        return None
    wholes = [each for each in found if each.name is None]
    parts = {each.name: each for each in found if each.name is not None}
    media_types = _media_types(found, wholes, has_files=bool(route.files))
    if wholes and (item := _item_of(wholes[0].type)) is not None:
        content = {each: schemas.stream(item, direction, each) for each in media_types}
    else:
        media = _media(route, wholes, list(parts.values()), schemas, direction)
        _add_examples(media, route, wholes)
        content = {each: dict(media) for each in media_types}
    if _MULTIPART in content and (encodings := encodings_of(route.files)):
        content[_MULTIPART]["encoding"] = encodings
    body: JSON = {"content": content}
    if any(each.required for each in found):
        body["required"] = True
    return body


def _media_types(
    found: Sequence[Description], wholes: Sequence[Description], *, has_files: bool
) -> list[str]:
    every = dict.fromkeys(media_type for each in found for media_type in each.media_types)
    media_types = [each for each in every if each not in _ALIASES] or ["*/*"]
    has_files = has_files or any(each.type is FormData for each in wholes)
    # A file has no place in a form of the other kind.
    return [each for each in media_types if not has_files or each != FORM_TYPES[0]]


def _media(
    route: Route,
    wholes: Sequence[Description],
    parts: Sequence[Description],
    schemas: Schemas,
    direction: Direction,
) -> JSON:
    members = [schemas.of(each.type, direction) for each in wholes[:1]]
    if parts:
        members.append(_form_of(route, parts, schemas, direction))
    schema = members[0] if len(members) == 1 else {"allOf": members}
    return {"schema": schema} if schema else {}


def _form_of(
    route: Route, parts: Sequence[Description], schemas: Schemas, direction: Direction
) -> JSON:
    properties: JSON = {}
    for each in parts:
        name = str(each.name)
        schema = schemas.of(without_none(each.type), direction)
        properties[name] = limit_file(schema, route.files[name]) if name in route.files else schema
    required = [str(each.name) for each in parts if each.required]
    form: JSON = {"type": "object", "properties": properties}
    return {**form, "required": required} if required else form


def _item_of(type_: object) -> object | None:
    """Return the type of the items of a body that is read item by item."""
    origin = get_origin(type_)
    if isinstance(origin, type) and issubclass(origin, AsyncIterable):
        item: object = get_args(type_)[0]
        return item
    return None


def _add_examples(media: JSON, route: Route, wholes: Sequence[Description]) -> None:
    examples = route.definition.options.get("openapi", {}).get("request_examples")
    if examples and wholes:
        where = f"{route.where}: request_examples"
        media["examples"] = {
            name: {"value": check_example(wholes[0].type, value, f"{where}[{name!r}]")}
            for name, value in examples.items()
        }
