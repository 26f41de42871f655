"""What a migration would do to an application that runs meanwhile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oxidite.db import Database
from oxidite.db.migrations import Migrator
from oxidite.db.migrations.history import History
from oxidite.db.migrations.lint import Finding
from oxidite.db.migrations.lint import lint as look

from .support import add_migration, fetch, same, write_history

BASE = (
    "base",
    """op.create_table("posts", column("id", "integer", primary_key=True))
    op.create_table("users", column("id", "integer", primary_key=True), column("name", "text", max_length=20), column("age", "integer", nullable=True), column("kind", "enum", values=("a", "b")), column("price", "decimal", precision=9, scale=2), index("ix", ["age"]))""",
    "pass",
)


def findings(
    folder: Path, body: str, *, dialect: str = "postgresql", down: str | None = "pass"
) -> list[Finding]:
    write_history(folder, BASE)
    add_migration(folder, 2, "second", body, down)
    history = History.load(folder)
    entry = history.entries[1]
    before = history.schema(before=entry)
    models = history.schema() if "# models: after" in body else before
    return look(entry, before, models, "postgresql" if dialect == "postgresql" else "sqlite")


CASES: dict[str, tuple[str, str, str]] = {
    "an index that locks": (
        """op.create_index("new", "users", ["name"])""",
        "error index-locks",
        "",
    ),
    "an index dropped": ("""op.drop_index("ix", "users")""", "warning index-locks", ""),
    "a required column": (
        """op.add_column("users", column("x", "integer"))""",
        "error not-null-without-fill",
        "error not-null-without-fill",
    ),
    "a reference": (
        """op.add_column("users", column("x", "integer", nullable=True, references="posts.id"))""",
        "warning foreign-key-locks",
        "",
    ),
    "another type": (
        """op.change_column("users", column("age", "text", nullable=True))""",
        "error type-rewrites",
        "",
    ),
    "a shorter text": (
        """op.change_column("users", column("name", "text", max_length=10))""",
        "error type-rewrites",
        "",
    ),
    "another decimal": (
        """op.change_column("users", column("price", "decimal", precision=9, scale=3))""",
        "error type-rewrites",
        "",
    ),
    "not null": (
        """op.change_column("users", column("age", "integer"), fill=0)""",
        "warning not-null-scans",
        "",
    ),
    "a check": (
        """op.change_column("users", column("age", "integer", nullable=True, check={"ge": 0}))""",
        "warning check-scans",
        "",
    ),
    "a reference later": (
        """op.change_column("users", column("age", "integer", nullable=True, references="posts.id"))""",
        "warning foreign-key-locks",
        "",
    ),
    "a value less": (
        """op.change_column("users", column("kind", "enum", values=("a",)))""",
        "error enum-value-gone",
        "error enum-value-gone",
    ),
    "a column that a model has": (
        """op.drop_column("users", "name")""",
        "error used-by-a-model",
        "error used-by-a-model",
    ),
    "a column that no model has": (
        """op.drop_column("users", "name")
        # models: after""",
        "warning drop-in-use",
        "warning drop-in-use",
    ),
    "another name": (
        """op.rename_column("users", "name", "full_name")
        # models: after""",
        "warning rename-in-use",
        "warning rename-in-use",
    ),
    "a check of a row": (
        """op.create_check("few", "users", "age < 9")""",
        "warning check-scans",
        "",
    ),
    "a computed column": (
        """op.add_column("users", column("x", "integer", computed="age * 2"))""",
        "error computed-rewrites",
        "",
    ),
    "a column that is computed now": (
        """op.drop_column("users", "age")
        op.add_column("users", column("age", "integer", nullable=True, computed="id * 2"))""",
        "error values-gone, error computed-rewrites",
        "error values-gone",
    ),
    "an integer of another size": (
        """op.change_column("users", column("age", "integer", nullable=True, bits=32))""",
        "error type-rewrites",
        "",
    ),
    "a type of its own": (
        """op.change_column("users", column("kind", "enum", values=("a", "b"), native=True))""",
        "error type-rewrites",
        "",
    ),
    "a table": ("""op.drop_table("posts")""", "error used-by-a-model", "error used-by-a-model"),
    "a table renamed": (
        """op.rename_table("posts", "articles")
        # models: after""",
        "warning rename-in-use",
        "warning rename-in-use",
    ),
    "a default for each row": (
        """op.execute("ALTER TABLE users ADD COLUMN x uuid DEFAULT gen_random_uuid()")""",
        "error volatile-default",
        "error volatile-default",
    ),
    "all rows at once": (
        """op.execute("UPDATE users SET age = 1")""",
        "warning rows-at-once",
        "warning rows-at-once",
    ),
    "no limit to waiting": (
        """op.execute("SET lock_timeout = 0")""",
        "error no-lock-timeout",
        "error no-lock-timeout",
    ),
    "a backfill beside": (
        """op.add_column("users", column("x", "integer", nullable=True))
        op.backfill("users", {"x": "1"})""",
        "warning backfill-with-schema",
        "warning backfill-with-schema",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_found_and_the_safe_way_is_named(tmp_path: Path, name: str) -> None:
    body, on_postgresql, on_sqlite = CASES[name]
    for dialect, expected in (("postgresql", on_postgresql), ("sqlite", on_sqlite)):
        found = findings(tmp_path / dialect, body, dialect=dialect)
        assert ", ".join(f"{each.severity} {each.rule}" for each in found) == expected
        assert all(each.instead and each.message for each in found)


HARMLESS = [
    """op.create_index("new", "users", ["name"], concurrently=True)""",
    """op.add_column("users", column("x", "integer", nullable=True))""",
    """op.add_column("users", column("x", "integer"), fill=0)""",
    """op.change_column("users", column("name", "text", max_length=200))""",
    """op.change_column("users", column("name", "text"))""",
    """op.change_column("users", column("kind", "enum", values=("a", "b", "c")))""",
    """op.create_table("new", column("id", "integer", primary_key=True))
    op.add_column("new", column("x", "integer"))
    op.create_index("ix_new", "new", ["x"])""",
    """op.backfill("users", {"age": "1"})""",
]


@pytest.mark.parametrize("body", HARMLESS)
def test_what_does_no_harm_is_left_alone(tmp_path: Path, body: str) -> None:
    assert findings(tmp_path, body) == []


def test_no_way_back_is_found(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "pass", down=None)
    assert (found.rule, found.severity) == ("no-way-back", "warning")


def test_a_comment_allows_it(tmp_path: Path) -> None:
    body = """op.create_index("new", "users", ["name"])  # lint: allow index-locks, type-rewrites"""
    assert findings(tmp_path, body) == []


async def test_a_rename_is_told_how_to_be_done_while_the_application_runs(
    db: Database, tmp_path: Path
) -> None:
    rename = """op.rename_column("users", "name", "full_name")
        # models: after"""
    (found,) = findings(tmp_path / "said", rename)
    steps = re.findall(r"op\..*", found.instead)
    assert [each.partition("(")[0] for each in steps] == [
        "op.add_column",
        "op.backfill",
        "op.change_column",
        "op.drop_column",
    ]
    history = write_history(tmp_path / "done", BASE, *(("step", each, "pass") for each in steps))
    migrator = Migrator(db, history)
    await migrator.up(to="0001")
    await fetch(db, "INSERT INTO users (id, name, kind, price) VALUES (1, 'Ann', 'a', 1)")

    await migrator.up()

    assert await fetch(db, "SELECT full_name FROM users") == [("Ann",)]
    assert await migrator.drift() == []
    renamed = History.load(tmp_path / "said").schema()
    assert same(history.schema(), renamed)


def test_another_key_is_told_to_lock(tmp_path: Path) -> None:
    body = """op.change_key("users", ["id", "name"])"""

    assert [each.rule for each in findings(tmp_path / "a", body)] == ["key-locks"]
    assert findings(tmp_path / "b", body, dialect="sqlite") == []


PHASED = {
    "a drop": ("""op.drop_column("users", "name")""", "name is dropped"),
    "a table dropped": ("""op.drop_table("posts")""", "Posts is dropped"),
    "a rename": ("""op.rename_column("users", "name", "n")""", "name is renamed"),
    "a table renamed": ("""op.rename_table("posts", "texts")""", "Posts is renamed"),
    "no value": (
        """op.add_column("users", column("x", "integer"), fill=0)""",
        "x may not be empty, and the version that runs gives it no value",
    ),
    "not null": (
        """op.change_column("users", column("age", "integer"), fill=0)""",
        "age may not be empty any more",
    ),
    "another type": (
        """op.change_column("users", column("age", "text", nullable=True))""",
        "age becomes text",
    ),
    "a shorter text": (
        """op.change_column("users", column("name", "text", max_length=10))""",
        "name becomes shorter",
    ),
    "a smaller number": (
        """op.change_column("users", column("age", "integer", nullable=True, bits=32))""",
        "age becomes smaller",
    ),
    "fewer places": (
        """op.change_column("users", column("price", "decimal", precision=9, scale=1))""",
        "price becomes smaller",
    ),
    "fewer values": (
        """op.change_column("users", column("kind", "enum", values=("a",)))""",
        "kind takes fewer values",
    ),
    "a key": ("""op.change_key("users", ["id", "name"])""", "primary key of users is another one"),
}


def phased(folder: Path, body: str, phase: str) -> list[Finding]:
    """Return what is found about phases."""
    write_history(folder, BASE)
    add_migration(folder, 2, "second", body, "pass", options=f', phase="{phase}"')
    history = History.load(folder)
    entry = history.entries[1]
    found = look(entry, history.schema(before=entry), {}, "sqlite")
    return [
        each for each in found if each.rule in ("only-of-contract", "drop-in-use", "rename-in-use")
    ]


@pytest.mark.parametrize("name", PHASED)
def test_what_only_contract_may_do_is_an_error_before(name: str, tmp_path: Path) -> None:
    body, words = PHASED[name]
    (found,) = phased(tmp_path / "expand", body, "expand")
    assert (found.rule, found.severity) == ("only-of-contract", "error")
    assert words.lower() in found.message.lower()
    assert "oxidite db diff --split" in found.instead
    assert phased(tmp_path / "contract", body, "contract") == []


@pytest.mark.parametrize(
    "body",
    [
        """op.add_column("users", column("x", "integer", nullable=True))""",
        """op.change_column("users", column("name", "text", nullable=True, max_length=30))""",
        """op.change_column("users", column("kind", "enum", values=("a", "b", "c")))""",
        """op.change_column("users", column("price", "decimal", precision=12, scale=3))""",
        """op.create_index("new", "users", ["age"])""",
        """op.create_table("others", column("id", "integer", primary_key=True))
        op.add_column("others", column("x", "integer"))
        op.drop_table("others")""",
    ],
)
def test_what_the_version_that_runs_can_live_with_is_of_expand(body: str, tmp_path: Path) -> None:
    assert phased(tmp_path / "m", body, "expand") == []


def test_what_a_person_has_to_write_is_an_error_until_then(tmp_path: Path) -> None:
    body = """op.create_sync("x", "users", new={"age": TO_WRITE}, old={"name": "age"})"""
    loose = """op.change_column("users", column("name", "text", nullable=True, max_length=20))"""
    found = findings(tmp_path / "m", f"from oxidite.db.migrations import TO_WRITE\n{loose}\n{body}")
    assert [(each.rule, each.severity) for each in found] == [("to-write", "error")]
