"""From a type to its JSON Schema (2020-12), as the codecs of the framework read and write it."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import PurePath
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as mi

from oxidite.encoding import codec_for, encode_json
from oxidite.encoding.errors import DecodeError, MismatchError
from oxidite.encoding.fields import fields_of
from oxidite.http.multipart import FormData, Upload
from oxidite.openapi.base import JSON, Direction, OpenAPIError
from oxidite.openapi.components import Components, Pointer, names_of
from oxidite.openapi.docstrings import field_docs, own_docstring

__all__ = ["Schemas", "check_example", "is_nothing", "plain"]

DECIMAL = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
NULL: JSON = {"type": "null"}

_FLAT: dict[type[mi.Type], JSON] = {
    mi.AnyType: {},
    mi.RawType: {},
    mi.NoneType: NULL,
    mi.BoolType: {"type": "boolean"},
    mi.TimeType: {"type": "string", "format": "time"},
    mi.DateType: {"type": "string", "format": "date"},
    mi.TimeDeltaType: {"type": "string", "format": "duration"},
    mi.UUIDType: {"type": "string", "format": "uuid"},
}
_NUMBERS = (
    ("ge", "minimum"),
    ("gt", "exclusiveMinimum"),
    ("le", "maximum"),
    ("lt", "exclusiveMaximum"),
    ("multiple_of", "multipleOf"),
)
_LENGTHS = (("min_length", "minLength"), ("max_length", "maxLength"))
_STRINGS = (*_LENGTHS, ("pattern", "pattern"))
_ITEMS = (("min_length", "minItems"), ("max_length", "maxItems"))
_ENTRIES = (("min_length", "minProperties"), ("max_length", "maxProperties"))
_BYTES: JSON = {"type": "string", "contentEncoding": "base64"}
# `format` is what tools show a button for a file for; the other is what JSON Schema says.
_FILE: JSON = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


class Schemas:
    """Makes schemas; those of classes are collected in ``components``."""

    def __init__(self, components: Components) -> None:
        self.components = components

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
        return self._node(info, direction)

    def properties(self, type_: object, direction: Direction) -> JSON:
        """Return the schema of a structured type itself, not a reference to it."""
        schema = self.of(type_, direction)
        pointer = schema.get("$ref")
        return self.components.find(pointer) if isinstance(pointer, Pointer) else schema

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

    def _node(self, t: mi.Type, direction: Direction) -> JSON:
        flat = _FLAT.get(type(t))
        if flat is not None:
            return dict(flat)
        make = cast("Callable[[Schemas, Any, Direction], JSON]", _MAKERS[type(t)])
        return make(self, t, direction)

    def _metadata(self, t: mi.Metadata, direction: Direction) -> JSON:
        return {**self._node(t.type, direction), **(t.extra_json_schema or {})}

    def _int(self, t: mi.IntType, direction: Direction) -> JSON:
        return {"type": "integer", **_constraints(t, _NUMBERS)}

    def _float(self, t: mi.FloatType, direction: Direction) -> JSON:
        return {"type": "number", **_constraints(t, _NUMBERS)}

    def _str(self, t: mi.StrType, direction: Direction) -> JSON:
        return {"type": "string", **_constraints(t, _STRINGS)}

    def _bytes(self, t: mi.BytesType, direction: Direction) -> JSON:
        return dict(_BYTES)  # the lengths are of the bytes, not of their text

    def _datetime(self, t: mi.DateTimeType, direction: Direction) -> JSON:
        if t.tz is False:
            return {"type": "string", "description": "A date and a time without a zone, ISO 8601."}
        return {"type": "string", "format": "date-time"}

    def _decimal(self, t: mi.DecimalType, direction: Direction) -> JSON:
        # Answered as text, so that no digit is lost; a number is taken, too.
        kinds = "string" if direction == "output" else ["string", "number"]
        return {"type": kinds, "format": "decimal", "pattern": DECIMAL}

    def _literal(self, t: mi.LiteralType, direction: Direction) -> JSON:
        return _choice(t.values)

    def _custom(self, t: mi.CustomType, direction: Direction) -> JSON:
        if _is_model(t.cls):
            return self.of(t.cls, direction)
        if issubclass(t.cls, Upload):
            return dict(_FILE)
        if issubclass(t.cls, PurePath):
            return {"type": "string"}
        return {"type": "object"} if issubclass(t.cls, FormData) else {}

    def _union(self, t: mi.UnionType, direction: Direction) -> JSON:
        return any_of(
            [self._node(each, direction) for each in t.types], self._discriminator(t, direction)
        )

    def _discriminator(self, t: mi.UnionType, direction: Direction) -> JSON:
        structs = [each for each in t.types if isinstance(each, mi.StructType)]
        others = [e for e in t.types if not isinstance(e, mi.StructType | mi.NoneType)]
        fields = {each.tag_field for each in structs}
        if len(structs) < 2 or others or fields == {None} or any(s.array_like for s in structs):
            return {}
        # No `mapping` where null is allowed too: there is nothing to look at in null.
        mapping = {
            str(each.tag): self._node(each, direction)["$ref"]
            for each in structs
            if isinstance(each.tag, str)
        }
        return {"discriminator": {"propertyName": fields.pop(), "mapping": mapping}}

    def _array(self, t: mi.ListType, direction: Direction) -> JSON:
        items = self._node(t.item_type, direction)
        return {
            "type": "array",
            **({"items": items} if items else {}),
            **_constraints(t, _ITEMS),
        }

    def _tuple(self, t: mi.TupleType, direction: Direction) -> JSON:
        return _fixed([self._node(each, direction) for each in t.item_types])

    def _dict(self, t: mi.DictType, direction: Direction) -> JSON:
        schema: JSON = {"type": "object", **_constraints(t, _ENTRIES)}
        values = self._node(t.value_type, direction)
        if values:
            schema["additionalProperties"] = values
        keys = self._node(t.key_type, direction)
        # A key is text whatever its type: only what is said of text can be said of it.
        if keys.keys() & {"minLength", "maxLength", "pattern", "enum", "format"}:
            schema["propertyNames"] = keys
        return schema

    # What has a name.

    def _enum(self, t: mi.EnumType, direction: Direction) -> JSON:
        def make() -> JSON:
            return _described(t.cls, _choice([each.value for each in t.cls]))

        return self.components.reference(t.cls, names_of(t.cls), direction, make)

    def _object(self, t: Any, direction: Direction) -> JSON:
        def make() -> JSON:
            return self._object_itself(t, direction)

        return self.components.reference(t.cls, names_of(t.cls), direction, make)

    def _object_itself(self, t: Any, direction: Direction) -> JSON:
        cls: type = getattr(t.cls, "__origin__", t.cls)
        is_array = getattr(t, "array_like", False) or isinstance(t, mi.NamedTupleType)
        tag = getattr(t, "tag", None)
        properties: JSON = {}
        required: list[str] = []
        if tag is not None:
            properties[t.tag_field] = {"const": tag}
            required.append(t.tag_field)
        texts = field_docs(cls)
        present = _always_present(t.cls)
        for field in t.fields:
            schema = self._field(field, direction, texts.get(field.name))
            properties[field.encode_name] = schema
            if field.required or (direction == "output" and field.name in present):
                required.append(field.encode_name)
        _check_examples(t.cls, properties)
        if is_array:
            return _described(cls, _fixed(list(properties.values()), at_least=len(required)))
        schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if getattr(t, "forbid_unknown_fields", False):
            schema["additionalProperties"] = False
        return _described(cls, schema)

    def _field(self, field: mi.Field, direction: Direction, text: str | None) -> JSON:
        schema = self._node(field.type, direction)
        if text:
            schema.setdefault("description", text)
        default = field.default
        if field.default_factory in (list, dict, set, frozenset, tuple):
            default = field.default_factory()
        if default is not NODEFAULT:
            schema["default"] = plain(default)
        return schema


_MAKERS: dict[type[mi.Type], Callable[..., JSON]] = {
    mi.Metadata: Schemas._metadata,  # noqa: SLF001 - a table of the methods above
    mi.IntType: Schemas._int,  # noqa: SLF001
    mi.FloatType: Schemas._float,  # noqa: SLF001
    mi.StrType: Schemas._str,  # noqa: SLF001
    mi.BytesType: Schemas._bytes,  # noqa: SLF001
    mi.ByteArrayType: Schemas._bytes,  # noqa: SLF001
    mi.MemoryViewType: Schemas._bytes,  # noqa: SLF001
    mi.ExtType: Schemas._bytes,  # noqa: SLF001
    mi.DecimalType: Schemas._decimal,  # noqa: SLF001
    mi.DateTimeType: Schemas._datetime,  # noqa: SLF001
    mi.LiteralType: Schemas._literal,  # noqa: SLF001
    mi.CustomType: Schemas._custom,  # noqa: SLF001
    mi.UnionType: Schemas._union,  # noqa: SLF001
    mi.CollectionType: Schemas._array,  # noqa: SLF001
    mi.ListType: Schemas._array,  # noqa: SLF001
    mi.SetType: Schemas._array,  # noqa: SLF001
    mi.FrozenSetType: Schemas._array,  # noqa: SLF001
    mi.VarTupleType: Schemas._array,  # noqa: SLF001
    mi.TupleType: Schemas._tuple,  # noqa: SLF001
    mi.DictType: Schemas._dict,  # noqa: SLF001
    mi.EnumType: Schemas._enum,  # noqa: SLF001
    mi.StructType: Schemas._object,  # noqa: SLF001
    mi.DataclassType: Schemas._object,  # noqa: SLF001
    mi.TypedDictType: Schemas._object,  # noqa: SLF001
    mi.NamedTupleType: Schemas._object,  # noqa: SLF001
}
"""What makes the schema of each kind of type."""


def any_of(members: Iterable[JSON], more: JSON | None = None) -> JSON:
    """Return the schema of one of several."""
    different: list[JSON] = []
    for each in members:
        if each not in different:
            different.append(each)
    if {} in different:
        return {}
    if len(different) == 1:
        return {**different[0], **(more or {})}
    first, *rest = sorted(different, key=lambda each: each == NULL)
    if rest == [NULL] and isinstance(first.get("type"), str) and "enum" not in first:
        return {**first, "type": [first["type"], "null"]}
    return {"anyOf": [first, *rest], **(more or {})}


def is_nothing(type_: object) -> bool:
    """Tell whether a handler of this annotation returns ``None``."""
    return type_ is None or type_ is type(None)


def plain(value: object) -> Any:
    """Return a value as JSON has it."""
    return msgspec.json.decode(encode_json(value))


def check_example(type_: object, value: object, where: str) -> Any:
    """Return an example as JSON has it.

    Raises:
        OpenAPIError: it is not of its type.
    """
    try:
        example = plain(value)
        codec_for(type_).decode_json(encode_json(example))
    except MismatchError as exc:
        raise OpenAPIError(f"{where}: the example {value!r} does not fit: {exc.message}") from None
    except (TypeError, DecodeError) as exc:
        raise OpenAPIError(f"{where}: the example {value!r} cannot be used: {exc}") from None
    return example


def _check_examples(cls: object, properties: JSON) -> None:
    if not any("examples" in schema for schema in properties.values()):
        return
    name = getattr(cls, "__qualname__", str(cls))
    for field in fields_of(cls) or ():
        for example in properties.get(field.key, {}).get("examples", ()):
            check_example(field.type, example, f"{name}.{field.name}")


def _always_present(cls: Any) -> set[str]:
    """Return the fields that an answer has even where they were not given."""
    origin = getattr(cls, "__origin__", cls)
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        if origin.__struct_config__.omit_defaults:
            return set()
        found = msgspec.structs.fields(cls)
        return {field.name for field in found if not _may_be_unset(field.type)}
    if getattr(origin, "__total__", None) is not None and issubclass(origin, dict):
        return set()  # what a TypedDict does not require may be missing
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


def _is_model(type_: object) -> bool:
    if hasattr(type_, "__pydantic_core_schema__") or hasattr(type_, "__pydantic_fields__"):
        return True
    return any(map(_is_model, get_args(type_)))


def _constraints(t: mi.Type, names: Iterable[tuple[str, str]]) -> JSON:
    found = ((keyword, getattr(t, attribute, None)) for attribute, keyword in names)
    return {keyword: value for keyword, value in found if value is not None}


def _choice(values: Iterable[object]) -> JSON:
    values = sorted(map(plain, values), key=lambda value: (str(type(value)), value or 0))
    schema: JSON = {"enum": values} if len(values) != 1 else {"const": values[0]}
    kinds = {type(value) for value in values}
    if kinds == {str}:
        schema = {"type": "string", **schema}
    elif kinds == {int}:
        schema = {"type": "integer", **schema}
    return schema


def _fixed(items: list[JSON], *, at_least: int | None = None) -> JSON:
    schema: JSON = {"type": "array", "prefixItems": items, "items": False}
    schema["minItems"] = len(items) if at_least is None else at_least
    schema["maxItems"] = len(items)
    return schema


def _described(cls: type, schema: JSON) -> JSON:
    text = own_docstring(cls)
    return {"description": text, **schema} if text else schema
