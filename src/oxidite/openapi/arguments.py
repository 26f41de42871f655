"""From what a handler takes to the parameters and the body of an operation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oxidite.extract.base import Description
from oxidite.extract.params import without_none
from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.bodies import body_of
from oxidite.openapi.docstrings import Docstring
from oxidite.openapi.examples import check_example, plain
from oxidite.openapi.keywords import without_null
from oxidite.openapi.schemas import Schemas
from oxidite.routing.pattern import Pattern
from oxidite.routing.route import Route

__all__ = ["Arguments", "descriptions_of"]

_EMPTY = inspect.Parameter.empty
_SOURCES = ("path", "query", "header", "cookie")
# What OpenAPI says by other means, and would ignore as parameters.
_OF_HTTP = ("accept", "content-type", "authorization")


def descriptions_of(route: Route) -> Iterator[Description]:
    """Yield where everything comes from that a route takes, through all its dependencies."""
    for step in route.plan.steps:
        yield from _flat(step.extractor.describe())


def _flat(description: Description) -> Iterator[Description]:
    yield description
    for part in description.parts:
        yield from _flat(part)


@dataclass(frozen=True)
class Arguments:
    """What a route takes, as a document says it."""

    parameters: list[JSON]
    body: JSON | None
    may_not_fit: bool
    """Whether a request can be refused because of its values."""

    @classmethod
    def of(cls, route: Route, schemas: Schemas, docs: Docstring, direction: Direction) -> Arguments:
        """Read them; the body of a webhook goes out, so its ``direction`` is ``output``."""
        found = list(descriptions_of(route))
        reader = _Reader(route, schemas, docs)
        parameters = {(each["in"], each["name"]): each for each in reader.path_parameters(found)}
        for each in found:
            if each.source in _SOURCES[1:]:
                for parameter in reader.parameters(each):
                    key = (parameter["in"], parameter["name"])
                    # Two that read the same: one of them needs it, so it is needed.
                    if key not in parameters or parameter.get("required"):
                        parameters[key] = parameter
        for parameter in _version_parameters(route):
            parameters[parameter["in"], parameter["name"]] = parameter
        bodies = [each for each in found if each.source == "body"]
        body = body_of(route, bodies, schemas, direction)
        may_not_fit = bool(bodies) or any(map(_can_fail, found))
        return cls(list(parameters.values()), body, may_not_fit)


def _version_parameters(route: Route) -> Iterator[JSON]:
    """Yield where a request says the version, if it is not in the path."""
    versioning, version = route.versioning, route.version
    if versioning is None or version is None or not route.selected:
        return
    places = [
        (source, name)
        for source, name in (("header", versioning.header), ("query", versioning.query))
        if name
    ]
    is_needed = len(places) == 1 and not versioning.media_type and versioning.default is None
    for source, name in places:
        parameter: JSON = {"name": name, "in": source, "description": "The version of the API."}
        if is_needed:
            parameter["required"] = True
        yield {**parameter, "schema": {"type": "string", "const": version.name}}


def _can_fail(description: Description) -> bool:
    if description.source == "path":
        return _constrained(description.type)
    if description.source not in _SOURCES:
        return False
    return description.required or without_none(description.type) is not str


def _constrained(type_: object) -> bool:
    return getattr(type_, "__metadata__", None) is not None


class _Reader:
    def __init__(self, route: Route, schemas: Schemas, docs: Docstring) -> None:
        self._route = route
        self._schemas = schemas
        self._docs = docs

    def path_parameters(self, found: list[Description]) -> Iterator[JSON]:
        """Yield the parameters of the path, those that no function takes too."""
        pattern: Pattern = self._route.pattern
        types: Mapping[str, object] = pattern.types()
        declared = {each.name: each.type for each in found if each.source == "path"}
        for param in pattern.params:
            type_ = declared.get(param.name, _EMPTY)
            schema = self._schemas.of(types[param.name] if type_ is _EMPTY else type_, "input")
            if schema == {"type": "string"}:
                schema["minLength"] = 1  # an empty segment is no value
            parameter = self._parameter("path", param.name, schema, required=True)
            if param.converter is not None and param.converter.name == "path":
                parameter.setdefault("description", "The rest of the path; it may have slashes.")
            yield parameter

    def parameters(self, description: Description) -> Iterator[JSON]:
        """Yield what one argument is made of: one parameter, or the fields of a structured type."""
        if description.name is not None:
            yield from self._single(description, description.name)
        else:
            yield from self._fields(description)

    def _single(self, d: Description, name: str) -> Iterator[JSON]:
        if d.source == "header" and name.lower() in _OF_HTTP:
            return
        schema = without_null(self._schemas.of(without_none(d.type), "input"))
        if d.default not in (_EMPTY, None):
            schema = {**schema, "default": plain(d.default)}
        for example in schema.get("examples", ()):
            check_example(d.type, example, f"{self._route.where}: {name}")
        yield self._parameter(d.source, name, schema, required=d.required)

    def _fields(self, d: Description) -> Iterator[JSON]:
        type_ = without_none(d.type)
        structure = self._schemas.properties(type_, "input")
        needed = set(structure.get("required", ())) if d.required else set()
        for key, schema in structure.get("properties", {}).items():
            name = key.replace("_", "-").lower() if d.source == "header" else key
            if not (d.source == "header" and name in _OF_HTTP):
                yield self._parameter(d.source, name, without_null(schema), required=key in needed)

    def _parameter(self, source: str, name: str, schema: JSON, *, required: bool) -> JSON:
        parameter: JSON = {"name": name, "in": source}
        text = self._docs.arguments.get(name.replace("-", "_"))
        if "description" in schema and "$ref" not in schema:
            schema = dict(schema)
            text = text or schema.pop("description")
        if text:
            parameter["description"] = text
        if required:
            parameter["required"] = True
        parameter["schema"] = schema
        return parameter
