"""``oxidite config show``."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.conftest import Command, Done

SETTINGS = """
    from dataclasses import dataclass
    from oxidite import Oxidite
    from oxidite.config import Secret, load_with_origins

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        title: str = "Blog"
        key: Secret[str] = Secret("hidden")
        url: str = "postgresql://me:hidden@host/db"

    app = Oxidite()
"""


def rows(done: Done) -> dict[str, list[str]]:
    assert done.code == 0, done.err
    found = [line.split(None, 2) for line in done.out.splitlines()[1:]]
    return {name: rest for name, *rest in found}


def test_what_the_command_itself_reads(oxidite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    oxidite.write("a1.py", "from oxidite import Oxidite\napp = Oxidite()\n")
    monkeypatch.setenv("PORT", "8080")
    found = rows(oxidite("config", "show", "a1.py"))

    assert found["environment"] == ["'production'", "default"]
    assert found["host"] == ["'127.0.0.1'", "default"]
    assert found["port"] == ["8080", "environment variable PORT"]


def test_settings_beside_the_application_are_shown_without_their_secrets(oxidite: Command) -> None:
    oxidite.write("a2.py", SETTINGS)
    done = oxidite("config", "show", "a2.py")

    assert rows(done)["title"] == ["'Blog'", "default"]
    assert rows(done)["key"] == ["**********", "default"]
    assert "hidden" not in done.out


def test_settings_are_read_as_the_application_reads_them(
    oxidite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    oxidite.write("a3.py", SETTINGS)
    oxidite.write("blog.toml", "[blog]\ntitle = 'From the file'\n")
    monkeypatch.setenv("BLOG_KEY", "also hidden")
    done = oxidite(
        *("config", "show", "--settings", "a3:Settings", "--prefix", "BLOG_"),
        *("--file", "blog.toml", "--table", "blog", "--json"),
    )
    found = {row["name"]: row for row in json.loads(done.out)}

    assert found["title"] == {
        "name": "title",
        "value": "'From the file'",
        "origin": "toml",
        "place": "blog.toml:2",
    }
    assert found["key"]["place"] == "environment variable BLOG_KEY"
    assert "hidden" not in done.out


def test_settings_that_are_loaded_already_are_shown_as_they_are(oxidite: Command) -> None:
    oxidite.write("a4.py", SETTINGS + "\n    loaded = load_with_origins(Settings, prefix='NO_')\n")

    assert rows(oxidite("config", "show", "a4.py"))["title"] == ["'Blog'", "default"]
    assert rows(oxidite("config", "show", "--settings", "a4:loaded"))["title"][0] == "'Blog'"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("a5:Missing", "a5 has no 'Missing'"),
        ("a5:app", "a5:app is neither a dataclass nor a Struct"),
        ("nowhere:Settings", "There is no module 'nowhere'"),
    ],
)
def test_settings_that_are_none_are_refused(oxidite: Command, named: str, message: str) -> None:
    oxidite.write("a5.py", SETTINGS)
    done = oxidite("config", "show", "--settings", named)

    assert done.code == 1
    assert message in done.err


def test_a_value_that_does_not_fit_is_told(
    oxidite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    oxidite.write("a6.py", SETTINGS)
    monkeypatch.setenv("PORT", "http")
    done = oxidite("config", "show", "a6.py")

    assert done.code == 1
    assert "port: expected a whole number, got 'http' [environment variable PORT]" in done.err
