"""One migration in the place of many: new databases and old ones end with the same schema."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.unit.db.conftest import KINDS, database_url

from oxidite.db import Database
from oxidite.db.migrations import (
    History,
    HistoryError,
    MigrationError,
    Migrator,
    PendingMigrationsError,
    QuestionError,
)
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.history import HEAD
from oxidite.db.migrations.rebase import rebase
from oxidite.db.migrations.shadow import verify_squash
from oxidite.db.migrations.squash import squash, write_squash
from oxidite.db.migrations.tracking import TABLE

from .support import AGE, USERS, add_migration, add_users, fetch, write_history
from .test_migrations_models import catalog

TWENTY = (
    USERS,
    AGE,
    (
        "index",
        """op.create_index("ix_age", "users", ["age"])""",
        """op.drop_index("ix_age", "users")""",
    ),
    (
        "names",
        """op.rename_column("users", "name", "full_name")""",
        """op.rename_column("users", "full_name", "name")""",
    ),
    (
        "posts",
        """op.create_table("posts", column("id", "integer", primary_key=True, generated=True), column("user_id", "integer", references="users.id", on_delete="cascade"), index("ix_user", ["user_id"]))""",
        """op.drop_table("posts")""",
    ),
    (
        "title",
        """op.add_column("posts", column("title", "text", max_length=80), fill="")""",
        """op.drop_column("posts", "title")""",
    ),
    (
        "longer",
        """op.change_column("posts", column("title", "text", max_length=200))""",
        """op.change_column("posts", column("title", "text", max_length=80))""",
    ),
    (
        "price",
        """op.add_column("posts", column("price", "decimal", precision=9, scale=2, nullable=True))""",
        """op.drop_column("posts", "price")""",
    ),
    (
        "check",
        """op.create_check("adult", "users", "age > 0")""",
        """op.drop_check("adult", "users")""",
    ),
    (
        "state",
        """op.add_column("users", column("state", "enum", values=("on", "off"), native=True), fill="on")""",
        """op.drop_column("users", "state")""",
    ),
    (
        "states",
        """op.change_column("users", column("state", "enum", values=("on", "off", "away"), native=True))""",
        """op.change_column("users", column("state", "enum", values=("on", "off"), native=True))""",
    ),
    (
        "articles",
        """op.rename_table("posts", "articles")""",
        """op.rename_table("articles", "posts")""",
    ),
    (
        "unique",
        """op.create_index("uq_title", "articles", ["title"], unique=True, where="price > 0")""",
        """op.drop_index("uq_title", "articles")""",
    ),
    (
        "computed",
        """op.add_column("users", column("twice", "integer", nullable=True, computed="age * 2"))""",
        """op.drop_column("users", "twice")""",
    ),
    (
        "tags",
        """op.create_table("tags", column("id", "uuid", primary_key=True), column("label", "text", max_length=20))""",
        """op.drop_table("tags")""",
    ),
    (
        "languages",
        """op.add_column("tags", column("language", "text", max_length=5), fill="en")""",
        """op.drop_column("tags", "language")""",
    ),
    ("key", """op.change_key("tags", ["id", "language"])""", """op.change_key("tags", ["id"])"""),
    (
        "no_price",
        """op.drop_index("uq_title", "articles")
     op.drop_column("articles", "price")""",
        """op.add_column("articles", column("price", "decimal", precision=9, scale=2, nullable=True))
     op.create_index("uq_title", "articles", ["title"], unique=True, where="price > 0")""",
    ),
    (
        "lower",
        """op.create_index("ix_lower", "users", [SQL("lower(full_name)")])""",
        """op.drop_index("ix_lower", "users")""",
    ),
    ("fill", """op.backfill("users", {"age": "age + 1"}, batch=5, pause=0)""", "pass"),
)
assert len(TWENTY) == 20
MORE = (
    """op.add_column("articles", column("note", "text", nullable=True))""",
    """op.drop_column("articles", "note")""",
)
VIEW = (
    "view",
    """op.execute("CREATE VIEW names AS SELECT name FROM users")""",
    """op.execute("DROP VIEW names")""",
)
ROWS = ("rows", """op.execute("UPDATE users SET name = 'x'")""", "pass")


def squashed(folder: Path, *, to: str | None = None, **said: list[str]) -> History:
    """Squash the migrations of a folder; return what is there then."""
    history = History.load(folder)
    last = history.entries[-1] if to is None else history.find(to)
    write_squash(history, squash(history, last, **said), "squashed")
    return History.load(folder)


async def test_old_and_new_databases_end_with_the_same_schema(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    old = write_history(folder, *TWENTY)
    await Migrator(db, old).up()
    await add_articles(db)
    made = squash(old, old.entries[-1])
    await verify_squash(db, old, made.change, made.schema)
    assert made.backfills == ("0020_fill",)

    history = squashed(folder)
    assert sorted(each.name for each in folder.iterdir()) == ["0020_squashed.py", HEAD]
    assert [line.state for line in await Migrator(db, history).status()] == ["applied"]
    await Migrator(db, history).check()
    assert await Migrator(db, history).plan() == []
    assert await Migrator(db, history).up() == []
    kind = db.dialect.name if db.dialect.name != "sqlite" else "file"
    async with database_url(kind, tmp_path) as url, Database.from_url(url, name="new") as new:
        assert len(await Migrator(new, history).up()) == 1
        assert await parts(new) == await parts(db)

        add_migration(folder, 21, "more", *MORE)
        history = History.load(folder)
        for each in (db, new):
            migrator = Migrator(each, history)
            assert [line.state for line in await migrator.status()] == ["applied", "pending"]
            assert [done.name for done in await migrator.up()] == ["0021_more"]
            assert await migrator.drift() == []
            async with each.driver.connection(write=True) as connection:
                schema = history.schema()
                assert await differences(connection, each.dialect, schema, others=False) == []
        assert await parts(new) == await parts(db)
    assert await fetch(db, "SELECT title FROM articles") == [("first",)]


async def parts(db: Database) -> set[frozenset[str]]:
    """Return what the tables of a database consist of, but for what comes of their past.

    That are quotes around names, and what counts: how far, and what PostgreSQL calls it.
    """
    lines = (
        re.sub(r'"|AUTO_INCREMENT=\d+|posts_id_seq|articles_id_seq', " ", each)
        for each in await catalog(db)
    )
    return {frozenset(each.split()) for each in lines}


async def add_articles(db: Database) -> None:
    await fetch(db, "INSERT INTO users (full_name, age, state) VALUES ('a', 3, 'on')")
    await fetch(db, "INSERT INTO articles (user_id, title) VALUES (1, 'first')")


async def test_a_database_in_the_middle_is_told_to_go_on_with_the_old_files(
    db: Database, tmp_path: Path
) -> None:
    folder, kept = tmp_path / "m", tmp_path / "kept"
    await Migrator(db, write_history(folder, *TWENTY)).up(to="0012")
    shutil.copytree(folder, kept)

    migrator = Migrator(db, squashed(folder))
    told = ""
    for work in (migrator.up, migrator.down, migrator.check, migrator.plan, migrator.drift):
        with pytest.raises(HistoryError, match="is at 0012_articles, and 0020_squashed") as refused:
            await work()
        told = refused.value.message
    assert "oxidite db up --to 0020" in told
    assert "0020_fill.py" in told
    states = [line.state for line in await migrator.status()]
    assert states == ["missing"] * 12 + ["pending"]

    await Migrator(db, History.load(kept)).up()
    assert await migrator.up() == []
    assert await migrator.drift() == []


async def test_a_part_is_squashed_and_the_rest_goes_on(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    await Migrator(db, write_history(folder, *TWENTY)).up()
    files = {each.name: each.read_text() for each in folder.glob("*.py")}

    history = squashed(folder, to="0012")

    assert [each.name for each in history.entries][:2] == ["0012_squashed", "0013_unique"]
    assert all(each.file.read_text() == files[each.file.name] for each in history.entries[1:])
    migrator = Migrator(db, history)
    assert [line.state for line in await migrator.status()] == ["applied"] * 9
    await migrator.down(to="0012")
    assert [line.state for line in await migrator.status()] == ["applied"] + ["pending"] * 8
    assert await migrator.drift() == []
    await migrator.up()
    assert await migrator.drift() == []


async def test_a_squash_is_undone_only_if_that_is_said(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    await Migrator(db, write_history(folder, *TWENTY)).up()
    migrator = Migrator(db, squashed(folder))

    for batch in (False, True):
        with pytest.raises(MigrationError, match=r"stands for 20 migrations: .* down --to 0"):
            await migrator.down(batch=batch)
    assert await fetch(db, "SELECT count(*) FROM articles") == [(0,)]

    await migrator.down(to="0")
    assert await fetch(db, f"SELECT id FROM {TABLE}") == []
    assert [line.state for line in await migrator.status()] == ["pending"]
    await migrator.up()
    assert await fetch(db, f"SELECT name FROM {TABLE}") == [("0020_squashed",)]
    assert await migrator.drift() == []


async def test_what_was_squashed_is_squashed_again(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    await Migrator(db, write_history(folder, *TWENTY)).up()
    kind = db.dialect.name if db.dialect.name != "sqlite" else "file"
    async with database_url(kind, tmp_path) as url, Database.from_url(url, name="new") as new:
        await Migrator(new, squashed(folder)).up()
        add_migration(folder, 21, "more", *MORE)
        for each in (db, new):
            await Migrator(each, History.load(folder)).up()

        history = squashed(folder)

        assert len(history.entries[0].migration.replaces) == 22
        for each in (db, new):
            assert [line.state for line in await Migrator(each, history).status()] == ["applied"]
            assert await Migrator(each, history).up() == []
            assert await Migrator(each, history).drift() == []


async def test_the_version_before_the_squash_may_still_be_started(
    db: Database, tmp_path: Path
) -> None:
    folder, kept = tmp_path / "m", tmp_path / "kept"
    await Migrator(db, write_history(folder, *TWENTY)).up()
    shutil.copytree(folder, kept)

    await Migrator(db, squashed(folder)).up()

    await Migrator(db, History.load(kept)).check()


async def test_what_was_changed_after_it_was_applied_is_still_noticed(
    db: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    await Migrator(db, write_history(folder, USERS, AGE)).up()
    file = folder / "0001_users.py"
    file.write_text(f"{file.read_text()}\n# A comment.\n")
    history = squashed(folder)

    with pytest.raises(HistoryError, match=r"replaces 0001_users, and .*--accept-changes"):
        await Migrator(db, history).up()
    await Migrator(db, history).up(accept_changes=True)

    assert await fetch(db, f"SELECT id, name FROM {TABLE}") == [("0002", "0002_squashed")]
    assert await Migrator(db, history).up() == []


async def test_a_squash_that_was_changed_is_noticed_where_it_ran(
    db: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    write_history(folder, USERS, AGE)
    history = squashed(folder)
    await Migrator(db, history).up()
    file = history.entries[0].file
    file.write_text(f"{file.read_text()}\n# A comment.\n")

    with pytest.raises(HistoryError, match="Changed after it was applied: 0002_squashed"):
        await Migrator(db, History.load(folder)).up()


# SQL as it stands.


def test_of_sql_it_has_to_be_said_whether_it_is_kept(tmp_path: Path) -> None:
    history = write_history(tmp_path / "m", USERS, VIEW, ROWS)
    last = history.entries[-1]

    with pytest.raises(QuestionError, match="0002_view: CREATE VIEW") as asked:
        squash(history, last, leave_out=["0003"])
    assert "0003" not in asked.value.message
    with pytest.raises(QuestionError, match=r"--keep 0002.*--leave-out 0002"):
        squash(history, last)
    with pytest.raises(MigrationError, match="0001 runs no SQL of its own"):
        squash(history, last, keep=["0001", "0002", "0003"])
    with pytest.raises(MigrationError, match="to be kept and left out"):
        squash(history, last, keep=["0002", "0003"], leave_out=["0003"])


async def test_sql_that_is_kept_is_run_after_the_tables(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    old = write_history(folder, USERS, VIEW, ROWS)
    made = squash(old, old.entries[-1], keep=["0002"], leave_out=["0003"])
    await verify_squash(db, old, made.change, made.schema)
    history = squashed(folder, keep=["0002"], leave_out=["0003"])

    migrator = Migrator(db, history)
    await migrator.up()
    await add_users(db, 1)
    assert await fetch(db, "SELECT name FROM names") == [("user 0",)]
    assert "UPDATE" not in history.entries[0].file.read_text()
    await migrator.down(to="0")
    await migrator.up()


async def test_sql_that_changes_a_table_is_not_squashed(db: Database, tmp_path: Path) -> None:
    sql = ("column", """op.execute("ALTER TABLE users ADD COLUMN note VARCHAR(9)")""", "pass")
    history = write_history(tmp_path / "m", USERS, sql)
    made = squash(history, history.entries[-1], leave_out=["0002"])

    with pytest.raises(MigrationError, match=r"there is a column users\.note"):
        await verify_squash(db, history, made.change, made.schema)


# Files.


def test_one_migration_is_not_squashed(tmp_path: Path) -> None:
    history = write_history(tmp_path / "m", USERS, AGE)

    with pytest.raises(MigrationError, match="nothing to squash"):
        squash(history, history.entries[0])


def test_a_squash_is_never_called_as_what_it_replaces(tmp_path: Path) -> None:
    history = write_history(tmp_path / "m", USERS, AGE)

    with pytest.raises(HistoryError, match="give the squash another name"):
        write_squash(history, squash(history, history.entries[-1]), "age")
    assert len(History.load(tmp_path / "m")) == 2


def test_a_part_of_a_squash_is_told_to_be_one(tmp_path: Path) -> None:
    write_history(tmp_path / "m", USERS, AGE)

    for name in ("0001", "0001_users"):
        with pytest.raises(HistoryError, match="0001_users is a part of 0002_squashed now"):
            squashed(tmp_path / "m").find(name)
        shutil.rmtree(tmp_path / "m")
        write_history(tmp_path / "m", USERS, AGE)


def test_only_the_beginning_can_be_squashed(tmp_path: Path) -> None:
    write_history(tmp_path / "m", USERS)
    add_migration(tmp_path / "m", 2, "age", *AGE[1:], options=', replaces={"0002_x": "0"}')

    with pytest.raises(HistoryError, match="0002_age replaces others, and is not the first"):
        History.load(tmp_path / "m")


def test_a_squash_is_put_behind_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write_history(folder, USERS, AGE)
    squashed(folder)
    add_migration(folder, 3, "more", "pass", "pass")

    with pytest.raises(HistoryError, match="stays the first one"):
        rebase(folder, ["0002_squashed"])


def test_a_branch_that_went_on_fits_behind_a_squash(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write_history(folder, USERS, AGE)
    squashed(folder)
    add_migration(folder, 3, "more", "pass", "pass")
    (folder / HEAD).write_text("<<<<<<<\n0002_squashed\n=======\n0003_more\n>>>>>>>\n")

    rebase(folder, [])

    assert [each.name for each in History.load(folder).entries] == ["0002_squashed", "0003_more"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_pending_is_a_squash_in_an_empty_database(kind: str, tmp_path: Path) -> None:
    write_history(tmp_path / "m", USERS, AGE)
    history = squashed(tmp_path / "m")

    async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
        with pytest.raises(PendingMigrationsError, match="0002_squashed"):
            await Migrator(db, history).check()
