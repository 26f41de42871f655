"""``oxidite.cli.locate``: which application a command is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from oxidite.cli.locate import locate
from oxidite.errors import ConfigError
from oxidite.servers import TargetError


def write(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()


def described(said: str | None, directory: Path) -> tuple[str, str | None, str]:
    found = locate(said, directory)
    return found.module, found.attribute, str(found.directory.relative_to(directory))


def test_app_py_comes_before_main_py(tmp_path: Path) -> None:
    write(tmp_path, "main.py")
    assert described(None, tmp_path) == ("main", None, ".")
    write(tmp_path, "app.py")
    assert described(None, tmp_path) == ("app", None, ".")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("one.py", ("one", None, ".")),
        ("one.py:web", ("one", "web", ".")),
        ("./one.py", ("one", None, ".")),
        ("plain/two.py", ("two", None, "plain")),
        ("blog/main.py", ("blog.main", None, ".")),
        ("blog/main.py:site", ("blog.main", "site", ".")),
        ("blog/__init__.py", ("blog", None, ".")),
        ("blog/web/views.py", ("blog.web.views", None, ".")),
        ("src/shop/main.py", ("shop.main", None, "src")),
        ("blog/", ("blog.main", None, ".")),
        ("blog.main", ("blog.main", None, ".")),
        ("blog.main:app", ("blog.main", "app", ".")),
        ("one", ("one", None, ".")),
        ("shop.main:app", ("shop.main", "app", "src")),
        ("installed.elsewhere:app", ("installed.elsewhere", "app", ".")),
    ],
)
def test_every_way_to_name_an_application(
    tmp_path: Path, said: str, found: tuple[str, str | None, str]
) -> None:
    write(tmp_path, "one.py", "plain/two.py", "blog/__init__.py", "blog/main.py")
    write(tmp_path, "blog/web/__init__.py", "blog/web/views.py")
    write(tmp_path, "src/shop/__init__.py", "src/shop/main.py")

    assert described(said, tmp_path) == found


def test_the_project_file_names_the_application(tmp_path: Path) -> None:
    write(tmp_path, "app.py", "blog/__init__.py", "blog/main.py")
    (tmp_path / "pyproject.toml").write_text('[tool.oxidite]\napp = "blog.main:site"\n')

    assert described(None, tmp_path) == ("blog.main", "site", ".")
    assert described("app.py", tmp_path) == ("app", None, ".")


def test_a_project_file_of_others_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, "app.py")
    (tmp_path / "pyproject.toml").write_text("[tool.other]\napp = 1\n")

    assert described(None, tmp_path) == ("app", None, ".")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[tool.oxidite\n", "pyproject.toml cannot be read"),
        ("\xff", "pyproject.toml cannot be read"),
        ("[tool.oxidite]\napp = 3\n", "app is text such as"),
    ],
)
def test_a_wrong_project_file_is_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content.encode("latin-1"))

    with pytest.raises(ConfigError, match=message):
        locate(None, tmp_path)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (None, r"no application in .*: neither app\.py nor main\.py"),
        ("worng.py", r"no file worng\.py; did you mean 'wrong\.py'"),
        ("deep/worng.py", r"no file deep/worng\.py$"),
        ("empty/", r"neither app\.py nor main\.py in empty/"),
        ("my-app.py", r"'my-app' is no name of a module\. Rename it to 'my_app'"),
        ("not a module", "is neither a file nor a module"),
        ("", "is neither a file nor a module"),
        (":app", "is neither a file nor a module"),
        ("my-app", r"is neither a file nor a module.*did you mean 'my-app\.py'"),
    ],
)
def test_what_means_nothing_is_told_what_would(
    tmp_path: Path, said: str | None, message: str
) -> None:
    write(tmp_path, "wrong.py", "my-app.py")
    (tmp_path / "empty").mkdir()

    with pytest.raises(TargetError, match=message):
        locate(said, tmp_path)
