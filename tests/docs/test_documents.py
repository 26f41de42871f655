"""What README.md and the pages under docs/ say of this repository is so."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import cast

import pytest

import oxidite

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "oxidite"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NO_FILE = re.compile(r"[<*]|/_build/")


def text_of(path: Path) -> str:
    """Return the text of a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    missing = [
        link
        for link in links
        if not link.startswith(("http:", "https:", "#"))
        and not (page.parent / link.partition("#")[0]).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_of_this_repository_exist(page: Path) -> None:
    named = re.findall(r"`((?:src|docs|tests|examples|benchmarks)/[\w./<>*-]+)`", text_of(page))
    missing = [path for path in named if not NO_FILE.search(path) and not (ROOT / path).exists()]
    assert missing == []


def test_the_way_of_a_request_names_functions_that_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "request-lifecycle.md").read_text()
    steps = re.findall(r"\| `([\w/]+\.py)` \| `([\w.]+)` \|$", page, re.MULTILINE)
    assert len(steps) > 10
    for file, name in steps:
        value: object = importlib.import_module("oxidite." + file[:-3].replace("/", "."))
        for part in name.split("."):
            value = getattr(value, part)
        assert callable(value)


def test_files_named_in_the_way_of_a_request_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "request-lifecycle.md").read_text()
    named = set(re.findall(r"`((?:[a-z]+/)?[a-z_]+\.py)`", page))
    assert [file for file in sorted(named) if not (SOURCE / file).is_file()] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text()
    explained = {
        name
        for row in re.findall(
            r"^\| ([a-z0-9, -]+) \| ", page.partition("## Not taken")[0], re.MULTILINE
        )
        for name in row.split(", ")
    }
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    wanted = {
        re.split(r"[\[<>=;! ]", requirement)[0]
        for requirements in (project["project"]["dependencies"], *extras, *groups)
        for requirement in requirements
        if isinstance(requirement, str) and not requirement.startswith("oxidite[")
    }
    assert explained == wanted


def test_every_public_package_has_a_page_of_reference() -> None:
    packages = {
        path.stem
        for path in SOURCE.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file())
        and not path.stem.startswith("__")
    }
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")}
    # `app` has one name, which is public as oxidite.Oxidite; `cli` has commands, not names.
    assert pages - {
        "index",
        "oxidite",
        "protocol-support",
        "databases",
        "cache-stores",
        "queue-stores",
    } == packages - {
        "app",
        "cli",
    }


def test_the_first_page_of_the_reference_lists_every_name() -> None:
    page = (ROOT / "docs" / "reference" / "oxidite.md").read_text()
    listed = set(re.findall(r"`(\w+)`", page)) | {"Oxidite"}
    assert set(oxidite.__all__) - {"__version__"} == listed


def test_the_layers_are_drawn_as_they_are_held() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    held = project["tool"]["importlinter"]["contracts"][0]["layers"]
    drawing = (ROOT / "ARCHITECTURE.md").read_text().partition("## The layers")[2]
    lines = cast("re.Match[str]", re.search(r"```text\n(.*?)```", drawing, re.DOTALL))[1]
    drawn = [re.split(r" {3,}(?!\|)|(?<=\w) {2,}(?![ |])", line)[0] for line in lines.splitlines()]
    assert [layer.replace(" ", "") for layer in drawn] == [layer.replace(" ", "") for layer in held]


def test_the_six_line_application_is_that_of_the_examples() -> None:
    example = (ROOT / "examples" / "hello" / "app.py").read_text()
    assert example in (ROOT / "README.md").read_text()
    assert example in (ROOT / "docs" / "index.md").read_text()
