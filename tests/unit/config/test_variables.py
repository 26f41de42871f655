from __future__ import annotations

from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import assert_type

import pytest

from oxidite.config import Secret, env
from oxidite.errors import ConfigError


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of the machine's own: no variable of ours, no .env file."""
    monkeypatch.chdir(tmp_path)
    for name in ("OXIDITE_ENV", "OXTEST", "OXTEST_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_variable_is_returned_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", " sqlite:///app.db ")

    assert env("OXTEST") == " sqlite:///app.db "
    assert env("OXTEST", "other") == " sqlite:///app.db "


def test_the_default_is_for_what_is_not_set() -> None:
    assert env("OXTEST", "sqlite:///app.db") == "sqlite:///app.db"
    assert env("OXTEST", None) is None
    assert env("OXTEST", None, type=int) is None
    assert env("OXTEST", 5) == 5


def test_a_missing_variable_without_default_is_named() -> None:
    with pytest.raises(ConfigError, match=r"OXTEST is not set.*OXTEST_FILE"):
        env("OXTEST")


def test_the_type_of_the_default_is_the_type_of_the_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OXTEST", "1")

    assert env("OXTEST", True) is True
    assert env("OXTEST", 2) == 1
    assert type(env("OXTEST", 2.0)) is float
    assert env("OXTEST", "2") == "1"
    assert env("OXTEST", None) == "1"
    assert env("OXTEST", Path("x")) == Path("1")
    assert env("OXTEST", timedelta(5)) == timedelta(seconds=1)
    assert env("OXTEST", Secret("2")) == Secret("1")


def test_an_enumeration_is_read_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", "blue")

    assert env("OXTEST", Color.RED) is Color.BLUE


def test_a_type_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", "1,2")

    assert env("OXTEST", type=list[int]) == [1, 2]
    assert env("OXTEST", [], type=list[int]) == [1, 2]
    assert env("OXTEST", type=Secret[str]).reveal() == "1,2"


def test_type_checkers_know_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", "1")

    assert_type(env("OXTEST"), str)
    assert_type(env("OXTEST", "x"), str)
    assert_type(env("OXTEST", None), str | None)
    assert_type(env("OXTEST", 5), int)
    assert_type(env("OXTEST", False), bool)
    assert_type(env("OXTEST", type=int), int)
    assert_type(env("OXTEST", None, type=int), int | None)
    assert_type(env("OXTEST", type=Secret[str]), Secret[str])
    assert type(env("OXTEST", 5)) is int


def test_a_default_that_does_not_say_its_type_asks_for_one() -> None:
    with pytest.raises(ConfigError, match="type="):
        env("OXTEST", [1])


def test_a_wrong_value_is_told_with_what_was_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", "many")

    with pytest.raises(ConfigError, match=r"OXTEST.*whole number, got 'many'"):
        env("OXTEST", 2)


def test_a_wrong_value_of_a_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", "hunter2")

    with pytest.raises(ConfigError, match="whole number") as caught:
        env("OXTEST", type=Secret[int])

    assert "hunter2" not in caught.value.message
    assert caught.value.__suppress_context__


def test_nothing_is_none_where_none_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST", "")

    assert env("OXTEST", "x") == ""
    assert env("OXTEST", None) is None
    assert env("OXTEST", None, type=int) is None
    with pytest.raises(ConfigError, match="whole number, got ''"):
        env("OXTEST", 5)


def test_a_file_can_hold_the_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("OXTEST", "from the variable")
    monkeypatch.setenv("OXTEST_FILE", str(tmp_path / "secret"))

    assert env("OXTEST") == "from the file"


def test_a_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST_FILE", "/no/such/file")

    with pytest.raises(ConfigError, match=r"OXTEST_FILE.*'/no/such/file'.*No such file"):
        env("OXTEST", "default")


def test_a_dotenv_file_is_read_in_development_below_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OXTEST='from the file'")
    assert env("OXTEST", "default") == "default"

    monkeypatch.setenv("OXIDITE_ENV", "development")
    assert env("OXTEST", "default") == "from the file"

    monkeypatch.setenv("OXTEST", "real")
    assert env("OXTEST", "default") == "real"


def test_a_malformed_dotenv_file_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("A=1\nhunter2\n")
    monkeypatch.setenv("OXIDITE_ENV", "development")

    with pytest.raises(ConfigError, match=r"\.env:2") as caught:
        env("OXTEST", "default")

    assert "hunter2" not in caught.value.message
