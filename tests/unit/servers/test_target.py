"""``oxidite.servers.target``: finding the application in a module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import cast

import pytest

from oxidite import Oxidite
from oxidite.servers import ImportFailedError, Target, TargetError

_numbers = count()


class Project:
    """A directory with modules of names that no other test uses."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = f"project_{next(_numbers)}"

    def write(self, source: str, name: str = "") -> Target:
        file = self.directory / f"{name or self.name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(source))
        return Target((name or self.name).replace("/", "."), None, self.directory, file)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A new project; what was imported from it is forgotten."""
    path, modules = sys.path.copy(), set(sys.modules)
    yield Project(tmp_path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_the_attribute_app_is_the_application(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\nother = Oxidite()\napp = Oxidite()\n")

    assert target.load() is sys.modules[target.module].app


def test_the_only_oxidite_is_the_application(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\nblog = Oxidite()\nalias = blog\n")

    assert isinstance(target.load(), Oxidite)


def test_several_applications_are_not_guessed_between(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\none = Oxidite()\ntwo = Oxidite()\n")

    with pytest.raises(TargetError, match=rf"2 applications in \S+: one, two.*{target.module}:one"):
        target.load()


def test_create_app_is_called_when_there_is_no_application(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\ndef create_app():\n    return Oxidite()\n")

    assert isinstance(target.load(), Oxidite)


def test_a_named_factory_is_called(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\ndef make():\n    return Oxidite()\n")

    assert isinstance(Target(target.module, "make", target.directory).load(), Oxidite)


def test_an_attribute_of_an_attribute_can_be_named(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\nclass site:\n    web = Oxidite()\n")

    assert isinstance(Target(target.module, "site.web", target.directory).load(), Oxidite)


def test_any_asgi_application_is_accepted(project: Project) -> None:
    target = project.write("async def app(scope, receive, send): ...\n")

    assert target.load().__name__ == "app"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "There is no application in"),
        ("app = 'text'", "There is no application in"),
        ("async def create_app(): ...", "is async"),
        ("def create_app(): return 3", "of type int is not an ASGI application"),
        ("def create_app(debug): ...", "takes arguments, which a factory does not"),
        ("from oxidite import Oxidite as app", r"is the class Oxidite\. Make an application of it"),
    ],
)
def test_what_is_no_application_is_refused(project: Project, source: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        project.write(source).load()


@pytest.mark.parametrize("source", ["def web(environ, start_response): ...", "web = 3"])
def test_what_is_named_but_no_application_is_refused(project: Project, source: str) -> None:
    target = project.write(source)

    with pytest.raises(TargetError, match="is not an ASGI application"):
        Target(target.module, "web", target.directory).load()


def test_what_is_compiled_and_has_no_signature_may_be_an_application(project: Project) -> None:
    target = project.write("app = max\n")

    assert cast("object", target.load()) is max


def test_a_module_in_a_folder_that_is_not_there_has_nothing_like_it(project: Project) -> None:
    target = Target("blgo.main", None, project.directory / "missing", None)
    with pytest.raises(TargetError) as caught:
        target.load()

    assert "Did you mean" not in caught.value.message


def test_a_wrong_attribute_is_told_the_right_one(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\nblog = Oxidite()\n")

    with pytest.raises(TargetError, match="did you mean 'blog'"):
        Target(target.module, "blok", target.directory).load()


def test_a_wrong_module_is_told_the_right_one(project: Project) -> None:
    project.write("", "weblog_of_mine")

    with pytest.raises(TargetError, match=r"no module 'weblog_of_min' below .*'weblog_of_mine'"):
        Target("weblog_of_min", None, project.directory).load()


def test_a_wrong_module_of_a_package_is_told_the_right_one(project: Project) -> None:
    project.write("", f"{project.name}/__init__")
    project.write("", f"{project.name}/main")

    with pytest.raises(TargetError, match=r"'\w+\.mian' below .*did you mean 'main'"):
        Target(f"{project.name}.mian", None, project.directory).load()


def test_a_missing_import_inside_the_module_is_a_failed_import(project: Project) -> None:
    target = project.write("import does_not_exist_at_all\n")

    with pytest.raises(ImportFailedError, match="No module named 'does_not_exist_at_all'"):
        target.load()


def test_a_failed_import_shows_only_the_users_frames(project: Project) -> None:
    project.write("import json\ndef parse():\n    return json.loads('{')\n", "parsing_module")
    target = project.write("import parsing_module\nsettings = parsing_module.parse()\n")

    with pytest.raises(ImportFailedError) as caught:
        target.load()

    text = caught.value.traceback
    assert "settings = parsing_module.parse()" in text
    assert "return json.loads('{')" in text
    assert "importlib" not in text
    assert "json/decoder.py" not in text
    assert caught.value.summary.startswith("json.decoder.JSONDecodeError: ")


def test_a_syntax_error_shows_the_line(project: Project) -> None:
    target = project.write("def broken(:\n    pass\n")

    with pytest.raises(ImportFailedError) as caught:
        target.load()

    assert "def broken(:" in caught.value.traceback
    assert "Traceback" not in caught.value.traceback


def test_a_module_that_exits_is_a_failed_import(project: Project) -> None:
    target = project.write("raise SystemExit('no configuration')\n")

    with pytest.raises(ImportFailedError, match="no configuration"):
        target.load()


def test_a_factory_that_raises_is_a_failed_import(project: Project) -> None:
    target = project.write("def create_app():\n    raise LookupError('nothing there')\n")

    with pytest.raises(ImportFailedError, match=r"create_app\(\) failed") as caught:
        target.load()

    assert "raise LookupError('nothing there')" in caught.value.traceback


def test_a_file_that_another_module_hides_is_not_mistaken_for_it(project: Project) -> None:
    target = project.write("from oxidite import Oxidite\napp = Oxidite()\n", "json")

    with pytest.raises(
        TargetError, match=r"json\.py cannot be imported as 'json': that is .*Rename"
    ):
        target.load()


def test_a_target_is_written_as_it_is_named() -> None:
    assert (str(Target("blog.main", "app")), str(Target("app"))) == ("blog.main:app", "app")
