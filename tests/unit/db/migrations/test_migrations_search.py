"""Indexes of words come and go with migrations, and words are found after each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.unit.db.conftest import database_url

from oxidite.db import SQL, Col, Database, Model, col, index, search
from oxidite.db.migrations import ColumnSpec, History, IndexSpec, Migrator, TableSpec, column
from oxidite.db.migrations.ddl import Writer
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.operations import (
    CreateIndex,
    CreateTable,
    DropIndex,
    RenameColumn,
    RenameIndex,
    RenameTable,
)
from oxidite.db.migrations.push import push_tables, wipe
from oxidite.db.migrations.writing import write_migration
from oxidite.db.sql.words import WordIndex, WordTable
from oxidite.db.values.dialects import MARIADB, POSTGRESQL, SQLITE
from oxidite.ids import uuid7

from .support import answers, fetch, tried, write_history


class Post(
    Model,
    table="posts",
    indexes=[index(lambda post: search(post.title, post.body).vector, using="gin", name="words")],
):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(max_length=100)
    body: Col[str | None] = col(default=None)


class Headline(
    Model,
    table="posts",
    indexes=[
        index(lambda post: search(post.headline, post.body).vector, using="gin", name="words")
    ],
):
    id: Col[int] = col(pk=True, init=False)
    headline: Col[str] = col(max_length=100)
    body: Col[str | None] = col(default=None)


class Article(
    Model,
    table="articles",
    indexes=[
        index(lambda post: search(post.headline, post.body).vector, using="gin", name="ix_words")
    ],
):
    id: Col[int] = col(pk=True, init=False)
    headline: Col[str] = col(max_length=100)
    body: Col[str | None] = col(default=None)


class Page(
    Model,
    table="pages",
    indexes=[index(lambda page: search(page.text).vector, using="gin", name="words_of_pages")],
):
    id: Col[UUID] = col(pk=True, default_factory=uuid7)
    text: Col[str]


WORDS = """to_tsvector('simple'::regconfig, coalesce(title, '') || ' ' || coalesce(body, ''))"""
ID = column("id", "integer", primary_key=True, generated=True)
TITLE, BODY = column("title", "text", max_length=100), column("body", "text", nullable=True)


def table(*parts: ColumnSpec | IndexSpec, name: str = "posts") -> dict[str, TableSpec]:
    columns = [each for each in parts if isinstance(each, ColumnSpec)]
    indexes = [each for each in parts if isinstance(each, IndexSpec)]
    return {name: TableSpec(name=name, columns=(ID, *columns), indexes=tuple(indexes))}


def words(*columns: str, language: str = "simple", name: str = "words") -> IndexSpec:
    texts = " || ' ' || ".join(f"coalesce({each}, '')" for each in columns)
    sql = SQL(f"to_tsvector('{language}'::regconfig, {texts})", type="text")
    return IndexSpec(name=name, on=(sql,), using="gin")


def test_an_index_is_said_alike_for_each_database() -> None:
    said = [TableSpec.of(Post.__table__, each).indexes for each in (SQLITE, POSTGRESQL, MARIADB)]
    assert said[0] == said[1] == said[2]
    assert said[0] == (words("title", "body"),)


CHANGES: Mapping[str, tuple[dict[str, TableSpec], dict[str, TableSpec], Mapping[str, str]]] = {
    "made with its table": ({}, table(TITLE, BODY, words("title", "body")), {}),
    "made": (table(TITLE, BODY), table(TITLE, BODY, words("title", "body")), {}),
    "dropped": (table(TITLE, BODY, words("title", "body")), table(TITLE, BODY), {}),
    "of other columns": (
        table(TITLE, BODY, words("title", "body")),
        table(TITLE, BODY, words("body")),
        {},
    ),
    "of another language": (
        table(TITLE, words("title")),
        table(TITLE, words("title", language="english")),
        {},
    ),
    "of another name": (
        table(TITLE, words("title")),
        table(TITLE, words("title", name="others")),
        {},
    ),
    "of a column that goes": (
        table(TITLE, BODY, words("title", "body")),
        table(TITLE, words("title")),
        {},
    ),
    "of a column that is longer": (
        table(column("title", "text", max_length=50), words("title")),
        table(column("title", "text"), words("title")),
        {},
    ),
    "of a column that may be empty": (
        table(TITLE, words("title")),
        table(column("title", "text", max_length=100, nullable=True), words("title")),
        {},
    ),
    "beside a column that comes": (
        table(TITLE, words("title")),
        table(TITLE, column("likes", "integer", check={"ge": 0}), words("title")),
        {},
    ),
    "of names that change": (
        table(TITLE, words("title", name="ix_posts_words")),
        table(
            column("headline", "text", max_length=100),
            words("headline", name="ix_articles_words"),
            name="articles",
        ),
        {"posts": "articles", "articles.title": "headline"},
    ),
    "of a reserved word": (
        table(column("order", "text")),
        table(column("order", "text"), words('"order"')),
        {},
    ),
    "two": (
        table(TITLE, BODY, words("title")),
        table(TITLE, BODY, words("title"), words("body", "title", name="more")),
        {},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_an_index(db: Database, tmp_path: Path, name: str) -> None:
    before, after, renames = CHANGES[name]
    forth = await tried(db, tmp_path, before, after, answers(renames, fills={"posts.likes": 1}))
    match name:
        case "of names that change":
            assert [type(each) for each in forth] == [RenameTable, RenameColumn, RenameIndex]
        case "of other columns" | "of another language":
            assert [type(each) for each in forth] == [DropIndex, CreateIndex]
        case _:
            assert forth
    assert await _own_tables(db) == []


async def _own_tables(db: Database) -> list[str]:
    """Return the names of what is there, but for what belongs to migrations."""
    names = [str(name) for (name,) in await fetch(db, _TABLES[db.dialect.name])]
    return [each for each in names if not each.startswith("oxidite_")]


_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
    "mariadb": "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
}

STEPS = (
    (
        "posts",
        f"""op.create_table("posts", column("id", "integer", primary_key=True, generated=True), column("title", "text", max_length=100), column("body", "text", nullable=True), column("likes", "integer", nullable=True))
        op.execute("INSERT INTO posts (title) VALUES ('bird first')")
        op.create_index("words", "posts", [SQL({WORDS!r})], using="gin")""",
        """op.drop_index("words", "posts")
        op.drop_table("posts")""",
    ),
    (
        "another_column",
        """op.add_column("posts", column("kind", "integer", check={"ge": 0}), fill=1)
        op.change_column("posts", column("kind", "integer", nullable=True))""",
        """op.drop_column("posts", "kind")""",
    ),
    (
        "longer",
        """op.change_column("posts", column("title", "text", max_length=500))
        op.drop_column("posts", "likes")""",
        """op.add_column("posts", column("likes", "integer", nullable=True))
        op.change_column("posts", column("title", "text", max_length=100))""",
    ),
    (
        "headline",
        """op.rename_column("posts", "title", "headline")""",
        """op.rename_column("posts", "headline", "title")""",
    ),
    (
        "articles",
        """op.rename_table("posts", "articles")
        op.rename_index("words", "articles", "ix_words")""",
        """op.rename_index("ix_words", "articles", "words")
        op.rename_table("articles", "posts")""",
    ),
)


async def test_words_are_found_after_each_change(db: Database, tmp_path: Path) -> None:
    migrator = Migrator(db, write_history(tmp_path / "migrations", *STEPS))
    for number, model in enumerate(_MODELS, 1):
        await migrator.up(to=f"{number:04}")
        assert await migrator.drift() == []
        await _is_in_step(model, number)
    for number in (4, 3, 2, 1):
        await migrator.down(to=f"{number:04}")
        assert await migrator.drift() == []
        await _is_in_step(_MODELS[number - 1], number)
    await migrator.down(to="0")
    assert await _own_tables(db) == []


_MODELS: list[Any] = [Post, Post, Post, Headline, Article]
"""What a row is after each step."""


async def _is_in_step(model: Any, number: int) -> None:
    title = model.headline if model is not Post else model.title
    found = search(title, model.body)

    async def titles(text: str) -> list[str]:
        query = model.where(found.matches(text)).order_by(found.rank(text).desc(), model.id)
        return [each for (each,) in await query.select(title).all()]

    assert await titles("first") == ["bird first"]
    made = await model.create(**{title.name: f"fish {number}"}, body="swims")
    assert await titles(f"swims {number}") == [f"fish {number}"]
    made.body = "flies"
    await made.save()
    assert await titles("swims") == []
    assert await titles("flies fish") == [f"fish {number}"]
    await made.delete()
    assert await titles("flies or fish") == []


async def test_rows_that_have_no_number_are_found_in_a_new_table(
    db: Database, tmp_path: Path
) -> None:
    there = TableSpec.of(Page.__table__, db.dialect)
    parts = ", ".join(map(repr, ("pages", *there.columns, *there.indexes)))
    history = write_history(
        tmp_path / "migrations",
        ("pages", f"op.create_table({parts})", None),
        (
            "kind",
            'op.add_column("pages", column("kind", "integer", check={"ge": 0}), fill=1)',
            None,
        ),
    )
    migrator = Migrator(db, history)
    await migrator.up(to="0001")
    await Page.create_many([Page(text=f"page {each}") for each in range(20)])
    found = search(Page.text)
    await Page.where(found.matches("3 or 5 or 7 or 11")).delete()
    await migrator.up()
    assert await migrator.drift() == []
    for number in (0, 4, 19):
        (one,) = await Page.where(found.matches(f"page {number}")).select(Page.text).all()
        assert one == (f"page {number}",)
    assert await Page.where(found.matches("page")).count() == 16
    assert await Page.where(found.matches("page -4")).update(text="other") == 15
    assert await Page.where(found.matches("page")).count() == 1
    assert await Page.where(found.matches("other")).delete() == 15
    assert await Page.where(found.matches("other")).count() == 0


async def test_a_push_makes_it_of_rows_that_are_there(db: Database) -> None:
    plain = schema_of([Post.__table__], db.dialect)["posts"]
    async with db.driver.connection(write=True) as connection:
        steps, _ = Writer(db.dialect, concurrently=False).write(
            [CreateTable(replace(plain, indexes=()))], {}
        )
        for sql in (sql for step in steps for sql in step.statements):
            await connection.run(sql, ())
        await connection.run("INSERT INTO posts (title) VALUES ('fish first'), ('cat')", ())
    pushed = await push_tables(db, [Post.__table__])
    assert (len(pushed.made), pushed.left) == (1, ())
    assert await Post.where(search(Post.title, Post.body).matches("fish")).count() == 1
    assert (await push_tables(db, [Post.__table__])).made == ()
    await db.push(Post)
    assert await Post.where(search(Post.title, Post.body).matches("fish")).count() == 1
    await wipe(db)
    assert await _own_tables(db) == []


async def test_what_a_database_has_else_is_told(db: Database, tmp_path: Path) -> None:
    wanted = table(TITLE, BODY, words("title", "body"))
    change = difference({}, wanted, answers())
    write_migration(History.load(tmp_path / "migrations"), change, "posts")
    migrator = Migrator(db, History.load(tmp_path / "migrations"))
    await migrator.up()
    assert await migrator.drift() == []
    match db.dialect.name:
        case "sqlite":
            await fetch(db, "DROP TRIGGER ox_words_words_changed")
        case "mariadb":
            await fetch(db, "DROP INDEX words ON posts")
        case _:
            await fetch(db, "DROP INDEX words")
    assert "words of posts is missing" in " ".join(await migrator.drift())
    if db.dialect.name == "postgresql":
        german = WORDS.replace("simple", "german")
        await fetch(db, f"CREATE INDEX words ON posts USING gin ({german})")
        assert "words of posts" in " ".join(await migrator.drift())
    if db.dialect.name == "sqlite":
        made = WordTable("posts", "id", WordIndex("words", ("body",), "simple"))
        for sql in (*made.drop(), *made.create()):
            await fetch(db, sql)
        assert await migrator.drift() == ["the index words of posts is missing"]
        made = WordTable("posts", "id", WordIndex("more", ("body",), "simple"))
        for sql in made.create():
            await fetch(db, sql)
        assert "there is an index more of posts" in await migrator.drift()


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_triggers_of_others_stay(kind: str, tmp_path: Path) -> None:
    async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
        migrator = Migrator(db, write_history(tmp_path / "migrations", *STEPS))
        await migrator.up(to="0001")
        await fetch(
            db,
            "CREATE TRIGGER mine AFTER INSERT ON posts BEGIN UPDATE posts SET likes = 7 "
            "WHERE id = new.id; END",
        )
        await migrator.up(to="0002")
        triggers = await fetch(db, "SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert sorted(triggers) == [
            ("mine",),
            ("ox_words_words_added",),
            ("ox_words_words_changed",),
            ("ox_words_words_gone",),
        ]
        await _is_in_step(Post, 2)
