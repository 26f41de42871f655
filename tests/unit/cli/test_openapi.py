"""``oxidite openapi``."""

from __future__ import annotations

import json

import pytest
import yaml
from tests.unit.cli.conftest import Command

BARE = """
    from oxidite import Oxidite

    app = Oxidite()

    @app.get("/items")
    async def items(limit: int = 10) -> list[str]:
        return []
"""
CHANGED = BARE.replace("limit: int = 10", "limit: int, page: int = 1")
SEVERAL = """
    from oxidite import Oxidite
    from oxidite.openapi import OpenAPI

    app = Oxidite(plugins=[
        OpenAPI(title="Outside", only=lambda route: not route.tags),
        OpenAPI(title="Inside", name="inside", path="/inside.json", docs=None),
    ])

    @app.get("/items/{id:int}", tags=["inside"])
    async def item(id: int) -> None: ...

    @app.get("/items/{name}", tags=["inside"])
    async def named(name: str) -> None: ...
"""


def test_export_writes_json_without_a_plugin_too(oxidite: Command) -> None:
    oxidite.write("app.py", BARE)
    done = oxidite("openapi", "export")
    document = json.loads(done.out)
    assert (done.code, document["openapi"], list(document["paths"])) == (0, "3.1.1", ["/items"])


def test_export_chooses_among_documents(oxidite: Command) -> None:
    oxidite.write("several.py", SEVERAL)
    first = oxidite("openapi", "export", "--app", "several.py")
    assert json.loads(first.out)["info"]["title"] == "Outside"
    inside = oxidite("openapi", "export", "--app", "several.py", "--document", "inside")
    assert list(json.loads(inside.out)["paths"]) == ["/items/{id}"]
    assert "Left out: GET /items/{name}" in inside.err
    wrong = oxidite("openapi", "export", "--app", "several.py", "--document", "outside")
    assert wrong.code == 2
    assert "There is no document 'outside'. There is: public, inside." in wrong.err


def test_export_writes_a_file_in_the_format_of_its_name(oxidite: Command, tmp_path: object) -> None:
    from pathlib import Path

    oxidite.write("app.py", BARE)
    for options, name in (((), "a.json"), ((), "a.yaml"), (("--format", "yaml"), "a.txt")):
        done = oxidite("openapi", "export", *options, "-o", name)
        assert (done.code, done.out) == (0, "")
    text = Path("a.yaml").read_text()
    assert yaml.safe_load(text) == json.loads(Path("a.json").read_text())
    assert Path("a.txt").read_text() == text
    done = oxidite("openapi", "export", "-o", "nowhere/a.json")
    assert done.code == 1
    assert "nowhere/a.json cannot be written: No such file or directory." in done.err


def test_export_of_what_is_no_application(oxidite: Command) -> None:
    oxidite.write("app.py", "app = lambda scope, receive, send: None")
    done = oxidite("openapi", "export")
    assert done.code == 1
    assert "only an Oxidite application has an OpenAPI document" in done.err


def test_diff_shows_what_breaks_and_ends_with_1(oxidite: Command) -> None:
    oxidite.write("app.py", BARE)
    oxidite.write("changed.py", CHANGED)
    oxidite("openapi", "export", "-o", "old.json")
    done = oxidite("openapi", "diff", "old.json", "changed.py")
    assert done.code == 1
    assert done.out.splitlines() == [
        "breaking   GET /items: query limit  the parameter is required now [parameter-required]",
        "compatible GET /items: query page  a new parameter [parameter-added]",
    ]
    assert done.err == "1 breaking, 1 compatible.\n"
    only = oxidite("openapi", "diff", "old.json", "changed.py", "--breaking")
    assert len(only.out.splitlines()) == 1


def test_diff_without_a_break_ends_with_0(oxidite: Command) -> None:
    oxidite.write("app.py", BARE)
    oxidite.write("changed.py", CHANGED)
    assert oxidite("openapi", "diff", "app.py", "app.py").code == 0
    back = oxidite("openapi", "diff", "changed.py", "app.py")
    # A parameter that is gone breaks whoever sends it.
    assert [line.split()[0] for line in back.out.splitlines()] == ["breaking", "compatible"]


def test_diff_writes_json_and_reads_yaml(oxidite: Command) -> None:
    oxidite.write("app.py", BARE)
    oxidite.write("changed.py", CHANGED)
    oxidite("openapi", "export", "-o", "old.yaml")
    done = oxidite("openapi", "diff", "old.yaml", "changed.py", "--json")
    assert done.code == 1
    assert json.loads(done.out)[0] == {
        "where": "GET /items: query limit",
        "code": "parameter-required",
        "message": "the parameter is required now",
        "breaking": True,
    }


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("missing.json", "cannot be read"),
        ("broken.json", "is no JSON"),
        ("list.json", "is no object"),
        ("other.json", "is not an OpenAPI 3 document"),
        ("missing.py", "There is no file missing.py"),
        ("failing.py", "failing.py"),
    ],
)
def test_a_comparison_that_cannot_be_made_ends_with_2(
    oxidite: Command, old: str, message: str
) -> None:
    oxidite.write("app.py", BARE)
    oxidite.write("broken.json", "{")
    oxidite.write("list.json", "[]")
    oxidite.write("other.json", "{}")
    oxidite.write("failing.py", "1 / 0")
    done = oxidite("openapi", "diff", old, "app.py")
    assert done.code == 2
    assert message in done.err
