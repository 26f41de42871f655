"""The documents are valid, as two validators see it, and the demonstration's is the one that is kept."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema_rs
import openapi_spec_validator
import pytest

from oxidite import Oxidite
from oxidite.encoding import json_text
from oxidite.openapi import documents_of
from oxidite.openapi.base import JSON

KEPT = Path(__file__).parent / "blog.json"


def documents(app: Oxidite) -> list[JSON]:
    return [api.build(app).content for api in documents_of(app).values()]


def official(version: str) -> jsonschema_rs.Draft202012Validator:
    """Return the schema that the OpenAPI Initiative publishes, in another implementation."""
    schemas = resources.files("openapi_spec_validator") / "resources" / "schemas"
    text = (schemas / f"v{version}" / "schema.json").read_text()
    return jsonschema_rs.Draft202012Validator(json.loads(text))


@pytest.mark.parametrize("name", ["blog", "large"])
def test_documents_are_valid(name: str, request: pytest.FixtureRequest) -> None:
    found = documents(request.getfixturevalue(name))
    assert found
    for document in found:
        openapi_spec_validator.validate(document)
        official(document["openapi"][:3]).validate(document)


@pytest.mark.parametrize("wrong", [{"paths": []}, {"info": {}}, {"openapi": 3}])
def test_the_validators_notice_mistakes(blog: Oxidite, wrong: JSON) -> None:
    document = {**documents(blog)[0], **wrong}
    with pytest.raises(jsonschema_rs.ValidationError):
        official("3.1").validate(document)


def test_every_schema_of_a_component_is_one(large: Oxidite) -> None:
    for document in documents(large):
        for name, schema in document["components"]["schemas"].items():
            whole = {**schema, "components": document["components"]}
            assert jsonschema_rs.meta.is_valid(whole), name


def test_no_id_is_there_twice(large: Oxidite) -> None:
    for document in documents(large):
        methods = [each for item in document["paths"].values() for each in item.values()]
        ids = [each["operationId"] for each in methods if "operationId" in each]
        assert len(ids) == len(set(ids)) > 20


def test_the_document_of_the_demonstration_changes_only_on_purpose(blog: Oxidite) -> None:
    """If it did: `oxidite openapi export --app examples/blog/app.py -o tests/openapi/blog.json`."""
    assert f"{json_text(documents(blog)[0])}\n" == KEPT.read_text(encoding="utf-8")
