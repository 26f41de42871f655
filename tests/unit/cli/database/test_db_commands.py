"""``oxidite db``, as it is used: each command in a process of its own, in a project of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Command

APP = """
    from oxidite import Oxidite
    from oxidite.db import Col, Database, Model, col

    class User(Model, table="users"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(max_length=50)
        # more

    class Event(Model, table="events", database="other"):
        id: Col[int] = col(pk=True, init=False)

    app = Oxidite(
        resources=[
            Database.from_url("sqlite:///app.db"),
            Database.from_url("sqlite:///other.db", name="other"),
        ]
    )
"""
WITH_AGE = APP.replace("# more", "age: Col[int] = col(default=18)")
WITH_FULL_NAME = APP.replace("name: Col[str]", "full_name: Col[str]")


VIEW = """
    from oxidite.db.migrations import Migration, Ops

    migration = Migration(id="0003", after="0002")

    @migration.up
    def up(op: Ops) -> None:
        op.execute("CREATE VIEW names AS SELECT name FROM users")

    @migration.down
    def down(op: Ops) -> None:
        op.execute("DROP VIEW names")
"""


@pytest.fixture
def project(oxidite: Command) -> Command:
    oxidite.write("app.py", APP)
    return oxidite


def test_from_models_to_tables_and_back(project: Command) -> None:
    assert (
        project.apart("db", "status").err
        == "There are no migrations yet. The first: oxidite db diff\n"
    )
    checked = project.apart("db", "diff", "--check")
    assert (checked.code, checked.out) == (1, "+ table users (id, name)\n")

    made = project.apart("db", "diff", "The users")
    assert made.code == 0
    assert "Written: migrations/0001_the_users.py" in made.err
    assert (project.directory / "migrations/HEAD").read_text() == "0001_the_users\n"
    planned = project.apart("db", "plan")
    assert planned.out.startswith("-- 0001_the_users\nCREATE TABLE users (")
    up = project.apart("db", "up")
    assert (up.code, up.out) == (0, "")
    assert up.err.endswith("1 migration applied.\n")
    status = project.apart("db", "status", "--check", "--drift", "--json")
    assert status.code == 0
    found = json.loads(status.out)
    assert [each["state"] for each in found["migrations"]] == ["applied"]
    assert found["drift"] == []

    project.write("app.py", WITH_AGE)
    assert "Written: migrations/0002_add_column_users_age.py" in project.apart("db", "diff").err
    assert project.apart("db", "up").code == 0
    assert project.apart("db", "diff", "--check").code == 0
    down = project.apart("db", "down", "--to", "0")
    assert down.err.endswith("2 migrations undone.\n")
    shown = project.apart("db", "show", "--sql")
    assert "CREATE TABLE IF NOT EXISTS users" in shown.out


def test_a_history_is_squashed(project: Command) -> None:
    project.apart("db", "diff", "users")
    project.write("app.py", WITH_AGE)
    project.apart("db", "diff", "age")
    project.write("migrations/0003_view.py", VIEW)
    (project.directory / "migrations/HEAD").write_text("0003_view\n")
    refused = project.apart("db", "squash", "--keep", "3")
    assert (refused.code, "0001_users is pending in this database" in refused.err) == (1, True)
    project.apart("db", "up")

    asked = project.apart("db", "squash")
    assert (asked.code, "0003_view: CREATE VIEW" in asked.err) == (2, True)
    shown = project.apart("db", "squash", "--keep", "3", "--dry-run")
    assert (shown.code, len(list(project.directory.glob("migrations/*.py")))) == (0, 3)
    made = project.apart("db", "squash", "All", "--keep", "3")

    assert "Written: migrations/0003_all.py (in the place of 3 files)" in made.err
    file = project.directory / "migrations/0003_all.py"
    assert list(project.directory.glob("migrations/*.py")) == [file]
    assert file.read_text() == shown.out.replace("Squashed.", "All.").removesuffix("\n")
    status = project.apart("db", "status", "--json", "--drift")
    assert [each["name"] for each in json.loads(status.out)["migrations"]] == ["0003_all"]
    assert project.apart("db", "up").err == "Nothing is pending.\n"
    assert project.apart("db", "diff", "--check").code == 0
    down = project.apart("db", "down")
    assert (down.code, "stands for 3 migrations" in down.err) == (1, True)
    (project.directory / "app.db").unlink()
    assert "1 migration applied." in project.apart("db", "up").err


def test_models_are_written_of_tables_that_are_there(project: Command) -> None:
    made = sqlite3.connect(project.directory / "old.db")
    made.executescript(
        "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL);"
        "CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL, user_id INTEGER NOT NULL "
        "REFERENCES users (id) ON DELETE CASCADE)"
    )
    made.close()

    found = project.apart("db", "inspect", "sqlite:///old.db")
    assert (found.code, found.err) == (0, "")
    assert 'class User(Model, table="users"):' in found.out
    some = project.apart("db", "inspect", "sqlite:///old.db", "--table", "users")
    assert 'table="posts"' not in some.out
    refused = project.apart("db", "inspect", "sqlite:///old.db", "--table", "user")
    assert (refused.code, "There is no table 'user' in this database" in refused.err) == (1, True)

    project.write(
        "app.py",
        found.out + "from oxidite import Oxidite\nfrom oxidite.db import Database\n"
        'app = Oxidite(resources=[Database.from_url("sqlite:///old.db")])\n',
    )
    assert project.apart("db", "inspect").out == found.out
    assert project.apart("db", "diff", "as found").code == 0
    assert "1 migration applied." in project.apart("db", "up").err
    status = project.apart("db", "status", "--drift", "--json")
    assert (status.code, json.loads(status.out)["drift"]) == (0, [])


def test_what_needs_an_answer_ends_with_2_when_nobody_can_be_asked(project: Command) -> None:
    project.apart("db", "diff")
    project.write("app.py", WITH_FULL_NAME)

    asked = project.apart("db", "diff")
    assert asked.code == 2
    assert "--rename users.name:full_name" in asked.err
    shown = project.apart("db", "diff", "--rename", "users.name:full_name", "--dry-run")
    assert shown.code == 0
    assert 'op.rename_column("users", "name", "full_name")' in shown.out
    dropped = project.apart("db", "diff", "--no-renames", "--dry-run")
    assert (dropped.code, "--fill users.full_name=VALUE" in dropped.err) == (2, True)
    assert [each.name for each in (project.directory / "migrations").glob("*.py")] == [
        "0001_add_table_users.py"
    ]


def test_a_person_is_asked_on_a_terminal(project: Command) -> None:
    project.apart("db", "diff")
    project.write("app.py", WITH_FULL_NAME)

    screen = on_terminal(project.directory, ["db", "diff", "full name"], "1\n")

    assert "The column users.name is gone, and there is something new. Is it the same?" in screen
    assert "1  yes, it is full_name now: the values are kept" in screen
    text = (project.directory / "migrations/0002_full_name.py").read_text()
    assert 'op.rename_column("users", "name", "full_name")' in text


def on_terminal(directory: Path, args: list[str], typed: str) -> str:
    """Run the command on a terminal, type, and return what was on the screen."""
    outer, inner = pty.openpty()
    environ = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "oxidite", *args],
        cwd=directory,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=environ,
        close_fds=True,
    ) as process:
        os.close(inner)
        os.write(outer, typed.encode())
        seen = b""
        while select.select([outer], [], [], 30)[0]:
            try:
                part = os.read(outer, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        process.wait(30)
    os.close(outer)
    return seen.decode()


def test_an_empty_migration_is_filled_by_hand(project: Command) -> None:
    assert project.apart("db", "diff", "--empty").code == 2
    assert project.apart("db", "diff", "--empty", "copy names").code == 0
    file = project.directory / "migrations/0001_copy_names.py"
    assert file.read_text().count("    pass\n") == 2
    file.write_text(file.read_text().replace("pass", 'op.execute("SELECT absent")', 1))
    failed = project.apart("db", "up")
    assert failed.code == 1
    assert "Error: 0001_copy_names failed: SQLite: no such column: absent" in failed.err
    assert "Nothing of it was done." in failed.err


def test_each_database_has_migrations_of_its_own(project: Command) -> None:
    made = project.apart("db", "diff", "--database", "other")
    assert made.out == "+ table events (id)\n"
    assert (project.directory / "migrations/other/0001_add_table_events.py").is_file()
    assert project.apart("db", "up", "--database", "other").code == 0
    unknown = project.apart("db", "up", "--database", "third")
    assert (unknown.code, "no database named 'third'" in unknown.err) == (1, True)


def test_the_linter_ends_with_1_for_an_error(project: Command) -> None:
    project.apart("db", "diff")
    project.write("app.py", APP.replace("max_length=50", "max_length=50, index=True"))
    made = project.apart("db", "diff", "names")
    assert made.code == 0
    found = project.apart("db", "lint", "--all", "--for", "postgresql")
    assert found.code == 1
    assert "error: 0002_names: The index ix_users_name of users is made while nobody" in found.err
    assert "Instead: op.create_index(…, concurrently=True)" in found.err


def test_production_refuses_what_is_for_development(project: Command) -> None:
    for command in (["push"], ["fresh", "--yes"]):
        refused = project.apart("db", *command)
        assert refused.code == 1
        assert "refused in production" in refused.err
        assert "OXIDITE_ENV=development oxidite db" in refused.err
    assert not (project.directory / "app.db").exists()


def test_push_and_fresh_in_development(project: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXIDITE_ENV", "development")
    assert project.apart("db", "push").out == "+ table users (id, name)\n"
    project.write("app.py", WITH_AGE)
    assert project.apart("db", "push").out == "+ column users.age (integer)\n"
    assert project.apart("db", "fresh", "--yes").out == "+ table users (id, name, age)\n"
    project.apart("db", "diff")
    # What was pushed is as the first migration would make it.
    assert project.apart("db", "up").err.endswith("1 migration applied.\n")


def test_the_shell_awaits(project: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXIDITE_ENV", "development")
    project.apart("db", "push")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "oxidite", "db", "shell"],
        cwd=project.directory,
        input="made = await User.create(name='Ada')\nprint([u.name for u in await User.query().all()])\n"
        "made.id\n1 / 0\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "['Ada']\n1\n"
    assert "ZeroDivisionError" in done.stderr
    assert done.returncode == 1


def test_an_application_without_a_database_is_told_so(oxidite: Command) -> None:
    oxidite.write("app.py", "from oxidite import Oxidite\n\napp = Oxidite()\n")
    done = oxidite.apart("db", "status")
    assert (done.code, "The application has no database" in done.err) == (1, True)


def test_serve_does_not_start_behind_its_schema(
    project: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.apart("db", "diff", "users")
    refused = project.apart("serve", "--port", "0")
    assert refused.code == 1
    assert "The database is behind the application. 1 pending:\n\n    0001_users" in refused.err
    assert "Apply them first: oxidite db up\nTo serve all the same: --allow-pending" in refused.err
    for words, environment in (([], "development"), (["--allow-pending"], "production")):
        monkeypatch.setenv("OXIDITE_ENV", environment)
        lines = served(project.directory, words)
        assert lines[0] == "Warning: The database is behind the application. 1 pending:"


def served(directory: Path, words: list[str]) -> list[str]:
    """Serve until it says that it does, and return what it said."""
    with subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "oxidite",
            "serve",
            "--server",
            "uvicorn",
            "--port",
            "0",
            *words,
        ],
        cwd=directory,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        try:
            for line in process.stderr:
                lines.append(line.rstrip())
                if line.startswith("Serving"):
                    return lines
        finally:
            process.kill()
    pytest.fail("\n".join(lines))


def test_a_change_in_phases_from_the_models_to_the_end(project: Command) -> None:
    assert project.apart("db", "diff", "users").code == 0
    assert project.apart("db", "up").code == 0
    project.write("app.py", WITH_FULL_NAME)
    said = ("db", "diff", "names", "--split", "--rename", "users.name:full_name")
    dry = project.apart(*said, "--dry-run")
    assert 'migration = Migration(id="0004", after="0003", phase="contract")' in dry.out
    assert not (project.directory / "migrations/0002_names_expand.py").exists()

    made = project.apart(*said)
    assert made.code == 0
    assert made.out.startswith("expand:\n  ~ column users.name (text)\n  + column users.full_name")
    assert "contract:\n  - in step: full_name of users\n" in made.out
    assert "Written: migrations/0004_names_contract.py (contract)\n" in made.err
    assert "warning" not in made.err
    assert made.err.endswith("When no old one runs any more: oxidite db up.\n")
    planned = project.apart("db", "plan", "--phase", "expand")
    assert "-- 0002_names_expand (expand)\n" in planned.out
    assert "0004" not in planned.out

    behind = project.apart("serve", "app:app")
    assert behind.code != 0
    assert "0004" not in behind.err
    assert "Apply them first: oxidite db up --phase expand" in behind.err

    up = project.apart("db", "up", "--phase", "expand")
    assert up.err.endswith(
        "2 migrations applied.\nWaiting (contract): 0004_names_contract. When no version runs any more that was "
        "started before: oxidite db up --phase contract\n"
    )
    assert project.apart("db", "up", "--phase", "expand").err.startswith(
        "Nothing was to be done.\n"
    )
    assert not any("behind" in line for line in served(project.directory, []))
    status = project.apart("db", "status")
    assert "0004_names_contract  contract  pending\n" in status.out
    found = json.loads(project.apart("db", "status", "--json").out)["migrations"]
    assert [each["phase"] for each in found] == [None, "expand", "expand", "contract"]
    assert project.apart("db", "lint").code == 0
    assert project.apart("db", "up", "--phase", "contract").err.endswith("1 migration applied.\n")
    assert project.apart("db", "diff", "--check").code == 0
    assert project.apart("db", "up", "--phase", "later").code == 2
    assert project.apart("db", "diff", "--split", "--check").code == 2


def test_another_type_is_refused_until_it_is_said_how(project: Command) -> None:
    assert project.apart("db", "diff", "users").code == 0
    project.write("app.py", APP.replace("name: Col[str] = col(max_length=50)", "name: Col[int]"))
    refused = project.apart("db", "diff", "--split", "--fill", "users.name=0")
    assert refused.code == 1
    assert 'col(name="name_integer", renamed_from="name")' in refused.err

    number = 'name: Col[int] = col(name="name_integer", renamed_from="name")'
    project.write("app.py", APP.replace("name: Col[str] = col(max_length=50)", number))
    made = project.apart("db", "diff", "--split")
    assert made.code == 0
    assert "[to-write]" in made.err
    assert "Write SQL where TO_WRITE stands" in made.err
    up = project.apart("db", "up")
    assert up.code == 1
    assert "How users.name_integer is made is not written yet" in up.err
