"""The schemas of pydantic models, which pydantic makes itself. Imported only for those."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, get_args

import pydantic  # noqa: TID253 - this module is imported only when an application uses pydantic

from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.components import Components, Pointer, names_of

__all__ = ["model_schema"]

_PREFIX = "#/$defs/"


def model_schema(type_: type[object], direction: Direction, components: Components) -> JSON:
    """Return the schema of a type that is or holds a model; models become components."""
    mode: Any = "validation" if direction == "input" else "serialization"
    schema = pydantic.TypeAdapter(type_).json_schema(
        by_alias=True, mode=mode, ref_template=f"{_PREFIX}{{model}}"
    )
    definitions: JSON = schema.pop("$defs", {})
    if isinstance(type_, type) and issubclass(type_, pydantic.BaseModel) and "$ref" not in schema:
        name = _defined_name(type_)
        definitions[name] = schema
        schema = {"$ref": f"{_PREFIX}{name}"}
    result = _Placed(type_, definitions, direction, components).replace(schema)
    assert isinstance(result, dict)  # noqa: S101 - as it was
    return result


def _defined_name(cls: type) -> str:
    return re.sub(r"[^a-zA-Z0-9.\-_]", "_", cls.__name__)


def _models_in(type_: object, found: set[type]) -> set[type]:
    """Collect the models in a type, and in the fields of those."""
    for argument in get_args(type_):
        _models_in(argument, found)
    if isinstance(type_, type) and issubclass(type_, pydantic.BaseModel) and type_ not in found:
        found.add(type_)
        for field in type_.model_fields.values():
            _models_in(field.annotation, found)
    return found


class _Placed:
    """Puts the definitions of one schema among the components."""

    def __init__(
        self, type_: object, definitions: JSON, direction: Direction, components: Components
    ) -> None:
        self._definitions = definitions
        self._direction: Direction = direction
        self._components = components
        self._classes: dict[str, list[type]] = {}
        for cls in _models_in(type_, set()):
            self._classes.setdefault(_defined_name(cls), []).append(cls)

    def replace(self, value: object) -> object:
        """Put references to components where those to definitions are."""
        if isinstance(value, dict):
            return {key: self._value(key, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.replace(each) for each in value]
        return value

    def _value(self, key: str, value: object) -> object:
        if key == "$ref" and isinstance(value, str):
            return self._pointer(value)
        if key == "mapping" and isinstance(value, dict):  # of a discriminator
            return {tag: self._pointer(each) for tag, each in value.items()}
        return self.replace(value)

    def _pointer(self, reference: str) -> Pointer:
        name = reference.removeprefix(_PREFIX)
        classes = self._classes.get(name, [])
        identity: Hashable
        if len(classes) == 1:
            identity, names = classes[0], names_of(classes[0])
        else:
            # Of several of one name, which pydantic has told apart: `blog__store__Post`.
            identity, names = ("pydantic", name), (name,)
        placed = self._components.reference(
            identity, names, self._direction, lambda: self._definition(name)
        )
        pointer = placed["$ref"]
        assert isinstance(pointer, Pointer)  # noqa: S101 - that is what it makes
        return pointer

    def _definition(self, name: str) -> JSON:
        schema = self.replace(self._definitions[name])
        assert isinstance(schema, dict)  # noqa: S101 - as it was
        schema.pop("title", None)
        return schema
