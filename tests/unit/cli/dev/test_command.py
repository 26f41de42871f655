"""``oxidite.cli.dev.command``: which folder is watched."""

from __future__ import annotations

from pathlib import Path

from oxidite.cli.dev.command import project_directory
from oxidite.servers import Target


def test_the_project_is_watched_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src").mkdir()

    assert project_directory(Target("app", None, tmp_path / "src"), tmp_path) == tmp_path.resolve()


def test_without_a_project_only_the_folder_of_the_application_is(tmp_path: Path) -> None:
    folder = tmp_path / "blog"
    folder.mkdir()

    assert project_directory(Target("app", None, folder), tmp_path) == folder.resolve()


def test_a_project_that_the_application_is_not_in_is_not_watched(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "pyproject.toml").touch()

    assert project_directory(Target("app", None, there), here) == there.resolve()
