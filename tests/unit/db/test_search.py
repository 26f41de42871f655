"""Full-text search finds what PostgreSQL finds, by an index where there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.db.conftest import database_url
from tests.unit.db.migrations.support import answers, tried

from oxidite.db import (
    Col,
    Database,
    Keys,
    Model,
    QueryError,
    SoftDeletes,
    Timestamps,
    alias,
    col,
    index,
    search,
)
from oxidite.db.migrations import Migrator, TableSpec
from oxidite.db.migrations.history import History
from oxidite.db.values.dialects import POSTGRESQL


class Post(
    Model,
    SoftDeletes,
    table="search_posts",
    indexes=[
        index(
            lambda post: search(post.title, post.body, language="english").vector,
            using="gin",
            name="ix_search_posts_words",
        )
    ],
):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(max_length=200)
    body: Col[str | None] = col(default=None)
    likes: Col[int] = col(default=0)


class Note(Model, Timestamps, table="search_notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    secret: Col[str] = col(encrypted=Keys("k" * 40), default="")


_GERMAN = """CREATE INDEX ix_search_posts_words ON search_posts USING gin
(to_tsvector('german'::regconfig, coalesce(title, '') || ' ' || coalesce(body, '')))"""
ENGLISH = search(Post.title, Post.body, language="english")
SIMPLE = search(Post.title, Post.body)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with (
        database_url("postgresql", tmp_path) as url,
        Database.from_url(url) as found,
    ):
        await found.push(Post)
        await Post.create_many(
            [
                Post(title="Cats", body="They sleep on the sofa. A cat purrs."),
                Post(title="Dogs and cats", body="Running dogs, sleeping cats"),
                Post(title="The dog's own sofa"),
                Post(title="It's 100% 'quoted' \\ é 😀", body=""),
            ]
        )
        yield found


async def titles(words: str, found: Any = ENGLISH) -> list[str]:
    query = Post.where(found.matches(words)).order_by(found.rank(words).desc(), Post.id)
    return [each.title for each in await query.all()]


@pytest.mark.service("postgres")
@pytest.mark.usefixtures("db")
class TestWords:
    async def test_other_forms_of_a_word_are_found_by_its_language(self) -> None:
        assert sorted(await titles("cat")) == ["Cats", "Dogs and cats"]
        assert await titles("slept run") == []
        assert await titles("sleeping running") == ["Dogs and cats"]
        assert await titles("cat", SIMPLE) == ["Cats"]

    async def test_words_are_meant_as_people_type_them(self) -> None:
        assert await titles("cat -dog") == ["Cats"]
        assert await titles('"dog and cat"') == ["Dogs and cats"]
        assert sorted(await titles("purr or sofa")) == ["Cats", "The dog's own sofa"]
        assert await titles("sofa dog") == ["The dog's own sofa"]

    async def test_the_best_comes_first(self) -> None:
        await Post.create(title="Cats, cats, cats", body="cat " * 20)
        assert (await titles("cat"))[0] == "Cats, cats, cats"
        rank = ENGLISH.rank("cat")
        found = await Post.where(ENGLISH.matches("cat")).order_by(rank.desc()).select(rank).all()
        ranks = [each for (each,) in found]
        assert ranks == sorted(ranks, reverse=True)
        assert all(isinstance(each, float) and each > 0 for each in ranks)

    @pytest.mark.parametrize(
        "words", ["", "   ", "-", '"', "the", "!!!", "😀" * 2000, "a\0b", "é" * 600]
    )
    async def test_what_has_no_word_of_theirs_finds_nothing(self, words: str) -> None:
        assert await titles(words) == []

    async def test_it_stands_beside_other_conditions(self) -> None:
        query = Post.where(ENGLISH.matches("cat") | (Post.title == "nothing"), Post.likes == 0)
        assert await query.count() == 2
        await Post.where(ENGLISH.matches("purr")).delete()
        assert await query.count() == 1
        assert await Post.where(~ENGLISH.matches("cat")).count() == 2
        assert await Post.where(ENGLISH.matches("cat")).update(likes=5) == 1

    async def test_of_an_alias(self) -> None:
        Other = alias(Post, "other")  # noqa: N806 - a model
        found = Post.query().join(Other, on=Other.id == Post.id)
        assert await found.where(search(Other.title).matches("dogs")).count() == 1

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        words=st.text(st.sampled_from("ab \"'-\\&|!:*()<>%é😀\0$1;") | st.characters(codec="utf-8"))
    )
    async def test_any_text_is_understood(self, words: str) -> None:
        assert len(await titles(words)) <= 4
        assert len(await titles(words, SIMPLE)) <= 4


@pytest.mark.service("postgres")
async def test_an_index_is_used(db: Database) -> None:
    async with db.transaction():
        await db.sql("SET LOCAL enable_seqscan = off").all()
        told = await Post.where(ENGLISH.matches("cats")).explain()
        other = await Post.where(SIMPLE.matches("cats")).explain()
    assert "ix_search_posts_words" in told
    assert "ix_search_posts_words" not in other


@pytest.mark.service("postgres")
async def test_an_index_comes_with_a_migration(tmp_path: Path) -> None:
    (spec,) = TableSpec.of(Post.__table__, POSTGRESQL).indexes
    assert str(spec.on[0]).startswith("to_tsvector('english'::regconfig, ")
    async with (
        database_url("postgresql", tmp_path) as url,
        Database.from_url(url) as db,
    ):
        schema = {"search_posts": TableSpec.of(Post.__table__, POSTGRESQL)}
        # Written, tried forth and back, applied: what is there is what was meant.
        await tried(db, tmp_path / "migrations", {}, schema, answers())
        migrator = Migrator(db, History.load(tmp_path / "migrations"))
        await migrator.up()
        await Post.create(title="Cats")
        assert await titles("cat") == ["Cats"]
        async with db.connection() as connection:
            await connection.run("DROP INDEX ix_search_posts_words", ())
            await connection.run(_GERMAN, ())
        assert "ix_search_posts_words" in " ".join(await migrator.drift())


@pytest.mark.parametrize(
    "kind", ["memory", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))]
)
async def test_elsewhere_it_is_refused(kind: str, tmp_path: Path) -> None:
    async with (
        database_url(kind, tmp_path) as url,
        Database.from_url(url) as db,
    ):
        await db.push(Note)
        with pytest.raises(QueryError, match=r"PostgreSQL's full-text search.*contains"):
            await Note.where(search(Note.text).matches("a")).all()
        with pytest.raises(QueryError, match="full-text search"):
            await db.push(Post)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(QueryError, match="takes texts"):
        search()
    with pytest.raises(QueryError, match="columns of text"):
        search(Post.likes)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="Encrypted"):
        search(Note.secret)
    with pytest.raises(QueryError, match="simple, english"):
        search(Post.title, language="english'; --")
    with pytest.raises(QueryError, match="as one text"):
        search(Post.title).matches(["a"])  # type: ignore[arg-type]
