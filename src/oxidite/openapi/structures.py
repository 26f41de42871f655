"""The schemas of what has a name: classes with fields, and enums."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, TypeAlias, Union, cast, get_args, get_origin, is_typeddict

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as mi

from oxidite.encoding.fields import fields_of
from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.docstrings import field_docs, own_docstring
from oxidite.openapi.examples import check_field_examples, plain
from oxidite.openapi.files import file_fields, limit_file
from oxidite.openapi.keywords import choice, fixed

__all__ = ["Structure", "enum_schema", "structure_schema"]

Structure: TypeAlias = mi.StructType | mi.DataclassType | mi.TypedDictType | mi.NamedTupleType
"""What msgspec tells of a class with fields."""

_EMPTY = (list, dict, set, frozenset, tuple)


def enum_schema(t: mi.EnumType) -> JSON:
    """Return the schema of an enum."""
    return _described(t.cls, choice(plain(each.value) for each in t.cls))


def structure_schema(
    t: Structure, direction: Direction, schema_of: Callable[[mi.Type], JSON]
) -> JSON:
    """Return the schema of a class with fields; ``schema_of`` makes those of the fields' types."""
    cls = cast("type", getattr(t.cls, "__origin__", t.cls))
    properties: JSON = {}
    required: list[str] = []
    if isinstance(t, mi.StructType) and t.tag_field is not None:
        properties[t.tag_field] = {"const": t.tag}
        required.append(t.tag_field)
    texts = field_docs(cls)
    present = _always_present(t.cls) if direction == "output" else set()
    for field in t.fields:
        properties[field.encode_name] = _field(field, schema_of(field.type), texts.get(field.name))
        if field.required or field.name in present:
            required.append(field.encode_name)
    keywords = _own_keywords(cls)
    for field in t.fields if keywords else ():
        for key, value in keywords.get(field.name, {}).items():
            properties[field.encode_name].setdefault(key, value)
    check_field_examples(t.cls, properties)
    for name, rule in file_fields(t.cls):
        properties[name] = limit_file(properties[name], rule)
    if getattr(t, "array_like", False) or isinstance(t, mi.NamedTupleType):
        return _described(cls, fixed(list(properties.values()), at_least=len(required)))
    schema: JSON = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if getattr(t, "forbid_unknown_fields", False):
        schema["additionalProperties"] = False
    return _described(cls, schema)


def _field(field: mi.Field, schema: JSON, text: str | None) -> JSON:
    if text:
        schema.setdefault("description", text)
    default = field.default_factory() if field.default_factory in _EMPTY else field.default
    if default is not NODEFAULT and default is not msgspec.UNSET:
        schema["default"] = plain(default)
    return schema


def _own_keywords(cls: type) -> Mapping[str, Mapping[str, object]]:
    """Return what a class says of its fields beyond their types, as a model does of its columns."""
    own: Callable[[], Mapping[str, Mapping[str, object]]] | None
    own = getattr(cls, "__field_keywords__", None)
    return {} if own is None else own()


def _described(cls: type, schema: JSON) -> JSON:
    text = own_docstring(cls)
    return {"description": text, **schema} if text else schema


def _always_present(cls: Any) -> set[str]:
    """Return the fields that an answer has even where they were not given."""
    origin = getattr(cls, "__origin__", cls)
    if is_typeddict(origin):
        return set()  # what it does not require may be missing
    if issubclass(origin, msgspec.Struct) and origin.__struct_config__.omit_defaults:
        return set()
    names = {field.name for field in fields_of(cls) or () if not _may_be_unset(field.type)}
    if is_dataclass(origin) and "__slots__" not in vars(origin):
        # msgspec leaves a default where it is, in the class, and writes what is in the object.
        names -= {field.name for field in fields(origin) if field.default is not MISSING}
    return names


def _may_be_unset(type_: object) -> bool:
    if type_ is msgspec.UnsetType:
        return True
    return get_origin(type_) in (Union, types.UnionType, Annotated) and any(
        map(_may_be_unset, get_args(type_))
    )
