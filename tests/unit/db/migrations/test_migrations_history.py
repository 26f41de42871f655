"""A history of twenty migrations, up, down and up again, with rows that have to live through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oxidite.db import Database
from oxidite.db.migrations import History
from oxidite.db.migrations.migrator import Migrator

from .support import write_history

TWENTY: tuple[tuple[str, str, str], ...] = (
    (
        "users",
        """op.create_table("users", column("id", "integer", primary_key=True, generated=True), column("email", "text", max_length=100), index("uq_users_email", ["email"], unique=True))""",
        """op.drop_table("users")""",
    ),
    (
        "posts",
        """op.create_table("posts", column("id", "integer", primary_key=True, generated=True), column("title", "text"), column("author_id", "integer", references="users.id", on_delete="cascade"))
        op.execute("INSERT INTO users (id, email) VALUES (1, 'a@b')")
        op.execute("INSERT INTO posts (id, title, author_id) VALUES (7, 'Tea', 1)")""",
        """op.drop_table("posts")
        op.execute("DELETE FROM users")""",
    ),
    (
        "age",
        """op.add_column("users", column("age", "integer", nullable=True))""",
        """op.drop_column("users", "age")""",
    ),
    (
        "age_index",
        """op.create_index("ix_users_age", "users", ["age"], where="age IS NOT NULL")""",
        """op.drop_index("ix_users_age", "users")""",
    ),
    (
        "age_required",
        """op.change_column("users", column("age", "integer", check={"ge": 0}), fill=18)""",
        """op.change_column("users", column("age", "integer", nullable=True))""",
    ),
    (
        "state",
        """op.add_column("posts", column("state", "enum", values=("draft", "public")), fill="draft")""",
        """op.drop_column("posts", "state")""",
    ),
    (
        "state_archived",
        """op.change_column("posts", column("state", "enum", values=("draft", "public", "archived")))""",
        """op.change_column("posts", column("state", "enum", values=("draft", "public")))""",
    ),
    (
        "name",
        """op.rename_column("users", "email", "address")""",
        """op.rename_column("users", "address", "email")""",
    ),
    (
        "name_index",
        """op.rename_index("uq_users_email", "users", "uq_users_address")""",
        """op.rename_index("uq_users_address", "users", "uq_users_email")""",
    ),
    (
        "people",
        """op.rename_table("users", "people")""",
        """op.rename_table("people", "users")""",
    ),
    (
        "longer",
        """op.change_column("people", column("address", "text", max_length=300))""",
        """op.change_column("people", column("address", "text", max_length=100))""",
    ),
    (
        "created",
        """op.add_column("people", column("created_at", "datetime"), fill=NOW)""",
        """op.drop_column("people", "created_at")""",
    ),
    (
        "lower",
        """op.create_index("ix_people_lower", "people", [SQL("lower(address)")])""",
        """op.drop_index("ix_people_lower", "people")""",
    ),
    (
        "tags",
        """op.create_table("tags", column("post_id", "integer", primary_key=True, references="posts.id", on_delete="cascade"), column("name", "text", primary_key=True, max_length=40))
        op.execute("INSERT INTO tags (post_id, name) VALUES (7, 'x')")""",
        """op.drop_table("tags")""",
    ),
    (
        "writer",
        """op.rename_column("posts", "author_id", "writer_id")""",
        """op.rename_column("posts", "writer_id", "author_id")""",
    ),
    (
        "price",
        """op.add_column("posts", column("price", "decimal", precision=10, scale=2), fill="1.50")
        op.add_column("posts", column("extra", "json"), fill="{}")""",
        """op.drop_column("posts", "extra")
        op.drop_column("posts", "price")""",
    ),
    (
        "age_text",
        """op.change_column("people", column("age", "text", nullable=True))""",
        """op.change_column("people", column("age", "integer", check={"ge": 0}), fill=18)""",
    ),
    (
        "filled",
        """op.add_column("posts", column("likes", "integer", nullable=True))
        op.backfill("posts", {"likes": "id * 2"}, where="likes IS NULL", batch=10, pause=0)""",
        """op.drop_column("posts", "likes")""",
    ),
    (
        "editor",
        """op.add_column("posts", column("editor_id", "integer", nullable=True, references="people.id", on_delete="set null"))
        op.create_index("ix_posts_editor_id", "posts", ["editor_id"], concurrently=True)""",
        """op.drop_index("ix_posts_editor_id", "posts", concurrently=True)
        op.drop_column("posts", "editor_id")""",
    ),
    (
        "no_title",
        """op.drop_column("posts", "title")""",
        """op.add_column("posts", column("title", "text"), fill="gone")""",
    ),
)


async def fetch(db: Database, sql: str) -> list[tuple[Any, ...]]:
    async with db.driver.connection(write=True) as connection:
        return [tuple(row) for row in await connection.fetch(sql, ())]


async def test_twenty_up_down_and_up_again(db: Database, tmp_path: Path) -> None:
    history = write_history(tmp_path / "migrations", *TWENTY)
    migrator = Migrator(db, history)

    for _ in range(2):
        assert len(await migrator.up()) == 20
        assert await migrator.drift() == []
        assert await migrator.up() == []
        posts = await fetch(db, "SELECT id, writer_id, state, likes FROM posts")
        assert posts == [(7, 1, "draft", 14)]
        assert await fetch(db, "SELECT id, address, age FROM people") == [(1, "a@b", "18")]
        assert await fetch(db, "SELECT name FROM tags") == [("x",)]

        assert len(await migrator.down(steps=20)) == 20
        assert {line.state for line in await migrator.status()} == {"pending"}


async def test_each_step_back_is_as_if_it_had_not_been(db: Database, tmp_path: Path) -> None:
    history = write_history(tmp_path / "migrations", *TWENTY)
    migrator = Migrator(db, history)
    for entry in history.entries:
        await migrator.up(to=entry.id)
        assert await migrator.drift() == [], entry.name
        if entry is not history.entries[0]:
            await migrator.down()
            assert await migrator.drift() == [], entry.name
            await migrator.up(to=entry.id)


async def test_foreign_keys_still_hold_after_it(db: Database, tmp_path: Path) -> None:
    await Migrator(db, write_history(tmp_path / "migrations", *TWENTY)).up()

    await fetch(db, "DELETE FROM people WHERE id = 1")

    assert await fetch(db, "SELECT id FROM posts") == []
    assert await fetch(db, "SELECT name FROM tags") == []


def test_a_folder_that_is_not_there_is_an_empty_history(tmp_path: Path) -> None:
    assert len(History.load(tmp_path / "nothing")) == 0
