"""From a type to its JSON Schema (2020-12), as the codecs of the framework read and write it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, TypeAlias, Union, cast, get_args, get_origin

from msgspec import inspect as mi

from oxidite.http import FormData, Upload
from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.components import Components, Pointer, names_of
from oxidite.openapi.keywords import (
    ENTRIES,
    ITEMS,
    any_of,
    constraints,
    event_of,
    fixed,
)
from oxidite.openapi.scalars import scalar_schema
from oxidite.openapi.structures import Structure, enum_schema, structure_schema

__all__ = ["Schemas"]

# `format` is what tools show a button for a file for; the other is what JSON Schema says.
_FILE: JSON = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


class Schemas:
    """Makes schemas, for a version of OpenAPI; those of classes are collected in ``components``."""

    def __init__(self, components: Components, spec: str = "3.1") -> None:
        self.components: Components = components
        self.spec = spec

    def of(self, type_: object, direction: Direction) -> JSON:
        """Return the schema of a type: of what is sent to the application, or of what it answers."""
        if _is_model(type_):
            from oxidite.openapi.models import model_schema

            return model_schema(cast("type[object]", type_), direction, self.components)
        try:
            info = mi.type_info(type_)
        except TypeError:
            # It can be answered but not read, such as one of two classes without a tag.
            return self._loosely(type_, direction)
        return self.of_info(info, direction)

    def of_info(self, info: mi.Type, direction: Direction) -> JSON:
        """Return the schema of what msgspec says of a type."""
        make = _MAKERS.get(type(info))
        return scalar_schema(info, direction) if make is None else make(self, info, direction)

    def properties(self, type_: object, direction: Direction) -> JSON:
        """Return the schema of a structured type itself, not a reference to it."""
        schema = self.of(type_, direction)
        pointer = schema.get("$ref")
        return self.components.find(pointer) if isinstance(pointer, Pointer) else schema

    def stream(self, item: object, direction: Direction, media_type: str) -> JSON:
        """Return the Media Type Object of a stream, whose items are of the type ``item``."""
        schema = self.of(item, direction)
        if media_type == "text/event-stream":
            schema = event_of(schema)
        # 3.1 has no word for it. A `schema` would be of the whole to some tools, of an item to others.
        return {"x-item-schema" if self.spec == "3.1" else "itemSchema": schema}

    def _loosely(self, type_: object, direction: Direction) -> JSON:
        origin, arguments = get_origin(type_), get_args(type_)
        if origin is Annotated:
            return self.of(arguments[0], direction)
        if origin in (Union, types.UnionType):
            return any_of([self.of(each, direction) for each in arguments])
        if origin in (list, set, frozenset) and arguments:
            return {"type": "array", "items": self.of(arguments[0], direction)}
        if origin is dict and len(arguments) == 2:
            return {"type": "object", "additionalProperties": self.of(arguments[1], direction)}
        return {}


def _metadata(schemas: Schemas, t: mi.Metadata, direction: Direction) -> JSON:
    return {**schemas.of_info(t.type, direction), **(t.extra_json_schema or {})}


def _custom(schemas: Schemas, t: mi.CustomType, direction: Direction) -> JSON:
    if _is_model(t.cls):
        return schemas.of(t.cls, direction)
    if issubclass(t.cls, Upload):
        return dict(_FILE)
    schema: Mapping[str, object] | None = getattr(t.cls, "__plain_schema__", None)
    if schema is not None:
        return dict(schema)
    if issubclass(t.cls, PurePath):
        return {"type": "string"}
    return {"type": "object"} if issubclass(t.cls, FormData) else {}


def _union(schemas: Schemas, t: mi.UnionType, direction: Direction) -> JSON:
    members = [schemas.of_info(each, direction) for each in t.types]
    return any_of(members, _discriminator(t, members))


def _discriminator(t: mi.UnionType, members: list[JSON]) -> JSON:
    """Say by which field the classes of a union are told apart, if it is one of such classes only."""
    tagged = [
        (each, member)
        for each, member in zip(t.types, members, strict=True)
        if isinstance(each, mi.StructType) and each.tag_field is not None and not each.array_like
    ]
    others = [each for each in t.types if not isinstance(each, mi.StructType | mi.NoneType)]
    if len(tagged) < 2 or others:
        return {}
    mapping = {str(each.tag): member["$ref"] for each, member in tagged}
    return {"discriminator": {"propertyName": tagged[0][0].tag_field, "mapping": mapping}}


_Array: TypeAlias = mi.ListType | mi.SetType | mi.FrozenSetType | mi.VarTupleType


def _array(schemas: Schemas, t: _Array, direction: Direction) -> JSON:
    items = schemas.of_info(t.item_type, direction)
    return {"type": "array", **({"items": items} if items else {}), **constraints(t, ITEMS)}


def _tuple(schemas: Schemas, t: mi.TupleType, direction: Direction) -> JSON:
    return fixed([schemas.of_info(each, direction) for each in t.item_types])


def _dict(schemas: Schemas, t: mi.DictType, direction: Direction) -> JSON:
    schema: JSON = {"type": "object", **constraints(t, ENTRIES)}
    values = schemas.of_info(t.value_type, direction)
    if values:
        schema["additionalProperties"] = values
    keys = schemas.of_info(t.key_type, direction)
    # A key is text whatever its type: only what is said of text can be said of it.
    if keys.get("type") == "string" and len(keys) > 1:
        schema["propertyNames"] = keys
    return schema


def _enum(schemas: Schemas, t: mi.EnumType, direction: Direction) -> JSON:
    return schemas.components.reference(t.cls, names_of(t.cls), direction, lambda: enum_schema(t))


def _structure(schemas: Schemas, t: Structure, direction: Direction) -> JSON:
    return schemas.components.reference(
        t.cls,
        names_of(t.cls),
        direction,
        lambda: structure_schema(t, direction, lambda each: schemas.of_info(each, direction)),
    )


def _is_model(type_: object) -> bool:
    if hasattr(type_, "__pydantic_core_schema__") or hasattr(type_, "__pydantic_fields__"):
        return True
    return any(map(_is_model, get_args(type_)))


# Any: each takes its own kind of `Type`, which is the key.
_MAKERS: dict[type[mi.Type], Callable[[Schemas, Any, Direction], JSON]] = {
    mi.Metadata: _metadata,
    mi.CustomType: _custom,
    mi.UnionType: _union,
    mi.ListType: _array,
    mi.SetType: _array,
    mi.FrozenSetType: _array,
    mi.VarTupleType: _array,
    mi.TupleType: _tuple,
    mi.DictType: _dict,
    mi.EnumType: _enum,
    mi.StructType: _structure,
    mi.DataclassType: _structure,
    mi.TypedDictType: _structure,
    mi.NamedTupleType: _structure,
}
"""What makes the schema of each kind of type that is made of others."""
