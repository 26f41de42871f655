"""The files of a history: what they have to be, and how two branches come to be one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from oxidite.db.migrations import History, HistoryError, MigrationError, QuestionError, column
from oxidite.db.migrations.history import HEAD
from oxidite.db.migrations.migration import Ops
from oxidite.db.migrations.rebase import rebase

from .support import add_migration, write_history

USERS = (
    "users",
    """op.create_table("users", column("id", "integer", primary_key=True), column("name", "text"))""",
    """op.drop_table("users")""",
)


def adding(name: str) -> tuple[str, str]:
    return (
        f"""op.add_column("users", column("{name}", "text", nullable=True))""",
        f"""op.drop_column("users", "{name}")""",
    )


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    write_history(tmp_path, USERS)
    (tmp_path / "extra.py").write_text("")
    with pytest.raises(HistoryError, match=r"extra\.py is no name of a migration"):
        History.load(tmp_path)


def test_an_id_that_is_not_that_of_the_file_is_refused(tmp_path: Path) -> None:
    file = add_migration(tmp_path, 1, "users", *USERS[1:])
    file.write_text(file.read_text().replace('id="0001"', 'id="0002"'))
    with pytest.raises(HistoryError, match="its id is the number in its name, '0001'"):
        History.load(tmp_path)


def test_a_file_that_does_not_work_is_named(tmp_path: Path) -> None:
    file = add_migration(tmp_path, 1, "users", *USERS[1:])
    file.write_text("1 / 0")
    with pytest.raises(HistoryError, match=r"0001_users\.py cannot be loaded: ZeroDivisionError"):
        History.load(tmp_path)
    file.write_text("x = 1")
    with pytest.raises(HistoryError, match="has no `migration = Migration"):
        History.load(tmp_path)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    write_history(tmp_path, USERS, ("a", *adding("a")), ("b", *adding("b")))
    (tmp_path / "0002_a.py").unlink()
    with pytest.raises(HistoryError, match="0003_b comes after '0002', and the one before it"):
        History.load(tmp_path)


def test_what_head_says_has_to_be_the_last(tmp_path: Path) -> None:
    write_history(tmp_path, USERS)
    (tmp_path / HEAD).write_text("0002_gone\n")
    with pytest.raises(
        HistoryError, match="says '0002_gone', and the last migration is '0001_users'"
    ):
        History.load(tmp_path)


def test_one_that_cannot_follow_is_named(tmp_path: Path) -> None:
    history = write_history(tmp_path, USERS, ("twice", *USERS[1:]))
    with pytest.raises(MigrationError, match="0002_twice: There is a table 'users' already"):
        history.schema()


def test_one_is_found_by_number_or_name(tmp_path: Path) -> None:
    history = write_history(tmp_path, USERS)
    assert history.find("1") is history.find("0001") is history.find("0001_users")
    with pytest.raises(HistoryError, match=r"no migration '7'.*There is: 0001_users"):
        history.find("7")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("""op.drop_table("posts")""", "There is no table 'posts' at this point"),
        ("""op.drop_column("users", "age")""", "no column 'age' at this point"),
        ("""op.drop_index("ix", "users")""", "no index 'ix' at this point"),
        ("""op.add_column("users", column("name", "text"))""", "has a column 'name'"),
        ("""op.rename_column("users", "name", "id")""", "has a column 'id' already"),
        ("""op.create_index("ix", "users", ["age"])""", "no column 'age' at this point"),
        ("""op.add_column("users", column("x", "integer", references="posts.id"))""", "'posts'"),
        ("""op.rename_table("posts", "x")""", "no table 'posts'"),
    ],
)
def test_what_cannot_be_done_at_that_point_is_said(tmp_path: Path, body: str, message: str) -> None:
    history = write_history(tmp_path, USERS, ("second", body, "pass"))
    with pytest.raises(MigrationError, match=f"0002_second: .*{message}"):
        history.schema()


def test_a_table_that_is_referred_to_is_not_dropped(tmp_path: Path) -> None:
    posts = """op.create_table("posts", column("id", "integer", primary_key=True), column("user_id", "integer", references="users.id"))"""
    history = write_history(
        tmp_path, USERS, ("posts", posts, "pass"), ("gone", """op.drop_table("users")""", "pass")
    )
    with pytest.raises(MigrationError, match="cannot be dropped: 'posts' refers to it"):
        history.schema()


def test_words_that_mean_nothing_are_refused() -> None:
    with pytest.raises(MigrationError, match="batch= of 1 or more"):
        Ops().backfill("users", {"a": "1"}, batch=0)
    with pytest.raises(Exception, match=r"is of the type 'int'\. There is: integer, text"):
        column("a", "int")
    with pytest.raises(Exception, match=r"has the check min\. There is: ge"):
        column("a", "integer", check={"min": 1})


# Two branches.


def git(folder: Path, *words: str, fails: bool = False) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=not fails,
        timeout=30,
    )
    assert bool(done.returncode) is fails
    return done.stdout


def test_two_branches_conflict_in_git_and_come_to_be_one(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    write_history(folder, USERS)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "users")
    git(tmp_path, "checkout", "-qb", "theirs")
    add_migration(folder, 2, "age", *adding("age"))
    add_migration(folder, 3, "town", *adding("town"))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "age")
    git(tmp_path, "checkout", "-q", "main")
    add_migration(folder, 2, "street", *adding("street"))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "street")

    assert "CONFLICT (content): Merge conflict in migrations/HEAD" in git(
        tmp_path, "merge", "theirs", fails=True
    )
    with pytest.raises(HistoryError, match=r"0002_age and 0002_street both come after 0001"):
        History.load(folder)
    with pytest.raises(QuestionError, match="oxidite db rebase 0002_street"):
        rebase(folder, ())
    (moved,) = rebase(folder, ["0002_street"])

    assert (moved.old, moved.new, moved.shared) == ("0002_street", "0004_street", ("users",))
    history = History.load(folder)
    assert [each.name for each in history.entries] == [
        "0001_users",
        "0002_age",
        "0003_town",
        "0004_street",
    ]
    assert {each.name for each in history.schema()["users"].columns} == {
        "id",
        "name",
        "age",
        "town",
        "street",
    }


def test_an_order_that_does_not_work_changes_nothing(tmp_path: Path) -> None:
    write_history(tmp_path, USERS)
    add_migration(tmp_path, 2, "drop", """op.drop_column("users", "name")""", "pass")
    other = add_migration(
        tmp_path, 2, "index", """op.create_index("ix", "users", ["name"])""", "pass"
    )
    before = {each.name: each.read_text() for each in tmp_path.iterdir()}

    with pytest.raises(HistoryError, match="do not work in this order, so nothing was changed"):
        rebase(tmp_path, [other.stem])

    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == before


def test_one_in_the_middle_cannot_be_taken_out_alone(tmp_path: Path) -> None:
    write_history(tmp_path, USERS, ("a", *adding("a")), ("b", *adding("b")))
    with pytest.raises(HistoryError, match="name those too that come after"):
        rebase(tmp_path, ["0002_a"])
    with pytest.raises(HistoryError, match="There is no migration 'x'"):
        rebase(tmp_path, ["x"])


def test_a_conflict_in_head_alone_is_mended(tmp_path: Path) -> None:
    write_history(tmp_path, USERS)
    (tmp_path / HEAD).write_text("<<<<<<< ours\n0001_users\n=======\n0002_x\n>>>>>>> theirs\n")
    with pytest.raises(HistoryError, match="has a conflict of git"):
        History.load(tmp_path)
    assert rebase(tmp_path, ()) == []
    assert (tmp_path / HEAD).read_text() == "0001_users\n"
