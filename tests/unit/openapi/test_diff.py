"""What breaks a client and what does not: one test for each rule."""

from __future__ import annotations

from typing import Any

import pytest

from oxidite.openapi import OpenAPIError
from oxidite.openapi.base import JSON
from oxidite.openapi.diff import compare

OBJECT = {"type": "object"}


def document(operation: JSON | None = None, **more: Any) -> JSON:
    paths = {"/a/{id}": {"get": operation}} if operation is not None else {}
    return {"openapi": "3.1.1", "info": {"title": "A", "version": "1"}, "paths": paths, **more}


def op(**members: Any) -> JSON:
    return {"operationId": "a", "responses": {}, **members}


def changes(old: JSON, new: JSON) -> dict[str, bool]:
    """Return the codes of all changes, and whether each breaks."""
    return {change.code: change.breaking for change in compare(old, new)}


def parameter(schema: JSON | None = None, **members: Any) -> JSON:
    return {"name": "q", "in": "query", "schema": schema or {"type": "string"}, **members}


def body(schema: JSON, **members: Any) -> JSON:
    return {"content": {"application/json": {"schema": schema}}, **members}


def sent(old: JSON, new: JSON, **more: Any) -> dict[str, bool]:
    """Compare what is sent."""
    return changes(
        document(op(requestBody=body(old)), **more), document(op(requestBody=body(new)), **more)
    )


def answered(old: JSON, new: JSON) -> dict[str, bool]:
    """Compare what is answered."""
    return changes(
        document(op(responses={"200": body(old, description="OK")})),
        document(op(responses={"200": body(new, description="OK")})),
    )


def test_nothing_changed() -> None:
    whole = document(op(parameters=[parameter()], requestBody=body(OBJECT)))
    assert compare(whole, whole) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (document(op()), document(), {"operation-removed": True}),
        (document(), document(op()), {"operation-added": False}),
        (document(op()), document(op(operationId="b")), {"operation-id-changed": True}),
        (document(op()), document(op(deprecated=True)), {"deprecated": False}),
        (
            document(op(parameters=[parameter()])),
            document(op()),
            {"parameter-removed": True},
        ),
        (
            document(op()),
            document(op(parameters=[parameter()])),
            {"parameter-added": False},
        ),
        (
            document(op()),
            document(op(parameters=[parameter(required=True)])),
            {"parameter-required": True},
        ),
        (
            document(op(parameters=[parameter()])),
            document(op(parameters=[parameter(required=True)])),
            {"parameter-required": True},
        ),
        (
            document(op(parameters=[parameter(required=True)])),
            document(op(parameters=[parameter()])),
            {"parameter-optional": False},
        ),
        (
            document(op(parameters=[parameter({"type": "string", "default": "a"})])),
            document(op(parameters=[parameter({"type": "string", "default": "b"})])),
            {"default-changed": True},
        ),
        (document(op(requestBody=body(OBJECT))), document(op()), {"body-removed": True}),
        (document(op()), document(op(requestBody=body(OBJECT))), {"body-added": False}),
        (
            document(op()),
            document(op(requestBody=body(OBJECT, required=True))),
            {"body-required": True},
        ),
        (
            document(op(requestBody={"content": {"text/a": {}, "text/b": {}}})),
            document(op(requestBody={"content": {"text/a": {}, "text/c": {}}})),
            {"media-type-removed": True, "media-type-added": False},
        ),
        (
            document(op(responses={"200": {}})),
            document(op(responses={"201": {}})),
            {"response-removed": True, "response-added": False},
        ),
        (
            document(op(responses={"404": {}})),
            document(op(responses={})),
            {"response-removed": False},
        ),
        (
            document(op(responses={"200": {"headers": {"ETag": {}}}})),
            document(op(responses={"200": {}})),
            {"header-removed": True},
        ),
    ],
)
def test_operations(old: JSON, new: JSON, found: dict[str, bool]) -> None:
    assert changes(old, new) == found


STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
NULLABLE = {"type": ["string", "null"]}


def fields(*required: str, **properties: JSON) -> JSON:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    ("old", "new", "when_sent", "when_answered"),
    [
        (STRING, INTEGER, {"type-narrowed": True}, {"type-widened": True}),
        (INTEGER, NUMBER, {}, {"type-widened": True}),
        (NUMBER, INTEGER, {"type-narrowed": True}, {}),
        (STRING, NULLABLE, {"type-widened": False}, {"type-widened": True}),
        (NULLABLE, STRING, {"type-narrowed": True}, {"type-narrowed": False}),
        ({}, STRING, {"type-narrowed": True}, {}),
        (STRING, {}, {}, {"type-widened": True}),
        ({"enum": [1, 2]}, {"enum": [1]}, {"values-removed": True}, {"values-removed": False}),
        ({"enum": [1]}, {"enum": [1, 2]}, {"values-added": False}, {"values-added": True}),
        (
            STRING,
            {"type": "string", "const": "a"},
            {"values-narrowed": True},
            {"values-narrowed": False},
        ),
        (
            {"type": "string", "enum": ["a"]},
            STRING,
            {"values-widened": False},
            {"values-widened": True},
        ),
        (
            {"type": "string", "maxLength": 9},
            {"type": "string", "maxLength": 5},
            {"limit-narrowed": True},
            {"limit-narrowed": False},
        ),
        (
            {"type": "integer", "minimum": 1},
            {"type": "integer", "minimum": 0},
            {"limit-widened": False},
            {"limit-widened": False},
        ),
        (
            STRING,
            {"type": "string", "minLength": 1},
            {"limit-narrowed": True},
            {"limit-narrowed": False},
        ),
        (
            STRING,
            {"type": "string", "pattern": "a"},
            {"pattern-changed": True},
            {"pattern-changed": False},
        ),
        (
            {"type": "string", "format": "date"},
            {"type": "string", "format": "date-time"},
            {"format-changed": True},
            {"format-changed": True},
        ),
        (
            {"type": "string", "format": "date"},
            STRING,
            {"format-changed": False},
            {"format-changed": True},
        ),
        (fields(a=STRING), fields(), {"field-removed": True}, {"field-removed": True}),
        (fields(), fields(a=STRING), {"field-added": False}, {"field-added": False}),
        (fields(), fields("a", a=STRING), {"field-required": True}, {"field-added": False}),
        (
            fields(a=STRING),
            fields("a", a=STRING),
            {"field-required": True},
            {"field-required": False},
        ),
        (
            fields("a", a=STRING),
            fields(a=STRING),
            {"field-optional": False},
            {"field-optional": True},
        ),
        (OBJECT, {**OBJECT, "additionalProperties": False}, {"other-fields-refused": True}, {}),
        (
            {**OBJECT, "additionalProperties": INTEGER},
            {**OBJECT, "additionalProperties": NUMBER},
            {},
            {"type-widened": True},
        ),
        (
            {"type": "array", "items": NUMBER},
            {"type": "array", "items": INTEGER},
            {"type-narrowed": True},
            {},
        ),
        (
            {"type": "array", "prefixItems": [INTEGER]},
            {"type": "array", "prefixItems": [NUMBER]},
            {},
            {"type-widened": True},
        ),
        (
            {"allOf": [fields(a=STRING), fields("b", b=STRING)]},
            fields("b", a=STRING, b=STRING),
            {},
            {},
        ),
        (
            {"anyOf": [STRING, INTEGER]},
            {"oneOf": [INTEGER, STRING, {"type": "boolean"}]},
            {"type-widened": False},
            {"type-widened": True},
        ),
    ],
)
def test_schemas(
    old: JSON, new: JSON, when_sent: dict[str, bool], when_answered: dict[str, bool]
) -> None:
    assert sent(old, new) == when_sent
    assert answered(old, new) == when_answered


def test_members_of_a_union_are_compared_with_those_of_the_same_tag() -> None:
    cat = fields("kind", kind={"const": "cat"}, lives=INTEGER)
    dog = fields("kind", kind={"const": "dog"}, bark=STRING)
    other_dog = fields("kind", "bark", kind={"const": "dog"}, bark=STRING)
    assert sent({"anyOf": [cat, dog]}, {"anyOf": [dog, cat]}) == {}
    assert sent({"anyOf": [cat, dog]}, {"anyOf": [other_dog, cat]}) == {"field-required": True}
    assert sent({"anyOf": [cat, dog]}, {"anyOf": [cat]})["type-narrowed"] is True


def test_the_name_of_a_parameter_of_the_path_and_of_a_schema_are_no_matter() -> None:
    def one(path: str, name: str, schema: str) -> JSON:
        return {
            "openapi": "3.1.1",
            "paths": {
                path: {
                    "parameters": [
                        {"name": name, "in": "path", "required": True, "schema": INTEGER}
                    ],
                    "get": op(requestBody=body({"$ref": f"#/components/schemas/{schema}"})),
                }
            },
            "components": {"schemas": {schema: fields(a=STRING)}},
        }

    assert compare(one("/x/{id}", "id", "Old"), one("/x/{key}", "key", "New")) == []


def test_recursive_schemas_end() -> None:
    def tree(schema: JSON) -> JSON:
        node = fields(value=schema, next={"$ref": "#/components/schemas/Node"})
        return document(
            op(requestBody=body({"$ref": "#/components/schemas/Node"})),
            components={"schemas": {"Node": node}},
        )

    assert changes(tree(NUMBER), tree(INTEGER)) == {"type-narrowed": True}


def test_every_way_in_must_stay_one() -> None:
    def secured(*ways: JSON) -> JSON:
        return document(op(security=list(ways)))

    key: JSON = {"key": []}
    scoped: JSON = {"key": ["read"]}
    assert changes(document(op()), secured(key)) == {"security-changed": True}
    assert changes(secured(key), document(op())) == {}
    assert changes(secured(key), secured(key, {"other": []})) == {}
    assert changes(secured(key, {"other": []}), secured(key)) == {"security-changed": True}
    assert changes(secured(key), secured(scoped)) == {"security-changed": True}
    assert changes(secured(scoped), secured(key)) == {}
    assert changes(document(op()), document(op(), security=[key])) == {"security-changed": True}
    (change,) = compare(document(op()), secured(scoped))
    assert change.message == "nothing was enough, now it takes key (read)"


def test_what_a_webhook_sends_is_what_a_client_gets() -> None:
    def hook(schema: JSON | None) -> JSON:
        operation = op(requestBody=body(schema, required=True)) if schema else None
        return document(webhooks={"paid": {"post": operation}} if operation else {})

    assert changes(hook(fields(a=STRING)), hook(fields())) == {"field-removed": True}
    assert changes(hook(fields()), hook(fields("a", a=STRING))) == {"field-added": False}
    assert changes(hook(OBJECT), hook(None)) == {"webhook-removed": True}
    assert changes(hook(None), hook(OBJECT)) == {"webhook-added": False}


def test_items_of_streams_and_other_methods_are_compared() -> None:
    def stream(schema: JSON) -> JSON:
        content = {"text/event-stream": {"itemSchema": schema}}
        operation = op(responses={"200": {"content": content}})
        return {"openapi": "3.2.0", "paths": {"/": {"additionalOperations": {"PURGE": operation}}}}

    assert changes(stream(INTEGER), stream(NUMBER)) == {"type-widened": True}


def test_breaking_changes_come_first_and_say_where() -> None:
    first, second = compare(
        document(op(requestBody=body(fields(a=STRING)))),
        document(op(deprecated=True, requestBody=body(fields(a=INTEGER)))),
    )[:2]
    assert (first.breaking, second.breaking) == (True, False)
    assert first.where == "GET /a/{id}: body application/json /a"
    assert first.message == "string is not accepted any more, only integer"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "is not an OpenAPI 3 document"),
        ({"openapi": "2.0"}, "is not an OpenAPI 3 document"),
        (document(op(requestBody={"$ref": "#/nowhere"})), "refers to nothing"),
        (document(op(requestBody={"$ref": "other.json"})), "is not in the document"),
        (
            document(
                op(requestBody={"$ref": "#/components/a"}),
                components={"a": {"$ref": "#/components/a"}},
            ),
            "refers to itself",
        ),
    ],
)
def test_what_is_no_document_is_refused(wrong: JSON, message: str) -> None:
    with pytest.raises(OpenAPIError, match=message):
        compare(wrong, wrong)
